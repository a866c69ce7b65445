//! Poll, in Lambda.

use answerback::{
    platform::{Clock, Entropy, wiring::Wiring},
    service::{Accounts, Webhooks},
};
use poll::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let wiring = Wiring::from_env()?;
    let store = wiring.store().await;
    let app = App {
        accounts: Accounts::new(store.clone(), Clock::System),
        webhooks: Webhooks::new(store.clone(), Clock::System),
        store,
        clock: Clock::System,
        entropy: Entropy::System,
        hints: wiring.hints()?,
        vault: wiring.vault()?,
    };
    lambda_http::run(poll::router(app)).await
}
