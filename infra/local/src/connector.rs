//! The way of the SDK's calls to the emulated AWS of the same process: no socket, no HTTP parser.
//!
//! ```text
//! function ─▶ SDK (retries, timeouts, signature) ─▶ InProcess ─▶ Aws::call ─▶ service
//! ```
//!
//! Functions in other processes (`cargo lambda watch`, SAM local) and the AWS CLI use the port.

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use axum::body::Bytes;
use local_aws::Aws;

/// Hands calls to an emulator in this process.
#[derive(Clone, Debug)]
struct InProcess(Aws);

/// The error of a body that is not in memory. No call of the functions has one.
#[derive(Debug, thiserror::Error)]
#[error("the emulated AWS takes no streamed bodies")]
struct StreamedBody;

/// An HTTP client whose every call goes to `aws`.
pub(crate) fn http_client(aws: &Aws) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(InProcess(aws.clone()));
    http_client_fn(move |_, _| connector.clone())
}

impl InProcess {
    async fn pass(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|it| ConnectorError::user(it.into()))?;
        let body =
            request.body().bytes().ok_or_else(|| ConnectorError::user(StreamedBody.into()))?;
        let body = Bytes::copy_from_slice(body);
        let response = self.0.call(request.map(|_| body)).await;
        let response = response.map_err(|it| ConnectorError::io(it.into()))?;
        let response = HttpResponse::try_from(response.map(SdkBody::from));
        response.map_err(|it| ConnectorError::other(it.into(), None))
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().pass(request))
    }
}
