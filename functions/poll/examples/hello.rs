//! The least function that answers an HTTP call: the baseline for cold starts.

use lambda_http::{Body, Error, Request, Response, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let hello = async |_: Request| Ok::<_, Error>(Response::new(Body::from("hello")));
    lambda_http::run(service_fn(hello)).await
}
