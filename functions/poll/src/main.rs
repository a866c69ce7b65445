//! The function `poll`.

use answerback::{platform::wiring::Wiring, service::Core};
use poll::App;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    let wiring = Wiring::from_env()?;
    let app = App { core: Core::wire(&wiring, wiring.vault()?).await? };
    lambda_http::run(poll::router(app)).await
}
