//! Intake, in Lambda.

use answerback::{
    domain::CallbackRules,
    egress::{self, Resolver},
    platform::{Clock, Entropy, wiring::Wiring},
    service::{Accounts, Webhooks},
};
use intake::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let wiring = Wiring::from_env()?;
    let store = wiring.store().await;
    let rules = CallbackRules::strict();
    let app = App {
        accounts: Accounts::new(store.clone(), Clock::System),
        webhooks: Webhooks::new(store.clone(), Clock::System),
        store,
        clock: Clock::System,
        entropy: Entropy::System,
        hints: wiring.hints()?,
        vault: wiring.vault()?,
        egress: egress::Client::network(rules.clone(), Resolver::System),
        rules,
        publishes: wiring.config.bus_name.is_some(),
        public_base_url: wiring.config.public_base_url,
    };
    lambda_http::run(intake::router(app)).await
}
