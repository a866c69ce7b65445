//! The Lambda function `sweep`, which a schedule invokes every minute.

use answerback::{
    platform::{Vault, wiring::Wiring},
    service::Core,
};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use sweep::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let wiring = Wiring::from_env()?;
    let app = &App { core: Core::wire(&wiring, Vault::absent()).await? };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<IgnoredAny>| {
        let ends_at = app.core.clock.deadline(event.context.deadline);
        Ok::<_, Error>(sweep::sweep(app, ends_at).await)
    }))
    .await
}
