//! Intake with the rules of development, for measurements: it calls a Slack on loopback, whose certificate is in the
//! file that `AWS_CA_BUNDLE` names.

use std::{env, fs};

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
    let rules = CallbackRules::development();
    #[expect(clippy::disallowed_methods, reason = "only this measurement has the variable")]
    let certificates = fs::read(env::var("AWS_CA_BUNDLE")?)?;
    let app = App {
        core,
        egress: egress::Client::trusting(rules.clone(), Resolver::System, &certificates)?,
        rules,
        probes: Probes::default(),
        publishes: false,
        public_base_url: wiring.config.public_base_url,
    };
    lambda_http::run(intake::router(app)).await
}
