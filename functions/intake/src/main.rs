//! Intake, in Lambda.

use answerback::{
    domain::CallbackRules,
    egress::{self, Resolver},
    platform::wiring::Wiring,
    service::Core,
};
use intake::{App, Probes};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let wiring = Wiring::from_env()?;
    let core = Core::wire(&wiring, wiring.vault()?).await?;
    let rules = CallbackRules::strict();
    let app = App {
        core,
        egress: egress::Client::network(rules.clone(), Resolver::System),
        rules,
        probes: Probes::default(),
        publishes: wiring.config.bus_name.is_some(),
        public_base_url: wiring.config.public_base_url,
    };
    lambda_http::run(intake::router(app)).await
}
