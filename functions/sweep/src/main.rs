//! The sweep, in Lambda, woken by a schedule.

use answerback::{
    platform::{Clock, Entropy, wiring::Wiring},
    service::Webhooks,
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use sweep::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_env()?;
    let store = wiring.store().await;
    let app = &App {
        webhooks: Webhooks::new(store.clone(), Clock::System),
        store,
        clock: Clock::System,
        entropy: Entropy::System,
        hints: wiring.hints()?,
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<IgnoredAny>| {
        let ends_at = app.clock.deadline(event.context.deadline);
        Ok::<_, Error>(sweep::sweep(app, ends_at).await)
    }))
    .await
}
