//! The delivery worker in Lambda. SQS invokes it with a batch of hints.

use answerback::{
    domain::{CallbackRules, delivery::LEASE},
    egress::{self, Resolver},
    platform::wiring::Wiring,
    service::Core,
};
use anyhow::Context as _;
use aws_lambda_events::sqs::SqsEvent;
use deliver::{App, Breakers, Reads};
use lambda_runtime::{Error, LambdaEvent, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_env()?;
    let rules = CallbackRules::strict();
    let app = &App {
        core: Core::wire(&wiring, wiring.vault()?).await?,
        egress: egress::Client::network(rules.clone(), Resolver::System),
        rules,
        bus: wiring.bus(),
        ses: wiring.ses(),
        public_base_url: wiring.config.public_base_url.context("`PUBLIC_BASE_URL` must be set")?,
        ses_configuration_set: wiring.config.ses_configuration_set,
        breakers: Breakers::default(),
        reads: Reads::default(),
        lease: LEASE,
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let ends_at = app.core.clock.deadline(event.context.deadline);
        Ok::<_, Error>(deliver::deliver(app, event.payload, ends_at).await)
    }))
    .await
}
