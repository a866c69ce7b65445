//! Mail by Amazon SES in the operator's account.
//!
//! We make one call, `SendEmail` of version 2 of the API, without SES's SDK. It is not repeated here: the
//! delivery is, and it knows that an unknown outcome may have been a mail. Links and openings are not
//! tracked, whatever the configuration set says: tracking replaces each link by one of SES.

use std::{fmt, sync::Arc, time::Duration};

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        orchestrator::{HttpRequest, HttpResponse, OrchestratorError},
        result::SdkError,
    },
};
use aws_smithy_types::body::SdkBody;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::json;

use super::sdk::{Deferred, RestService, Sdk};
use crate::{Promise, domain::NotificationId};

/// `SendEmail`.
const PATH: &str = "/v2/email/outbound-emails";
/// The tag of a mail with the id of its message. `template.yaml` has it too.
pub const NOTIFICATION_TAG: &str = "notification";
/// The tag of a mail with the index of its way. `template.yaml` has it too.
pub const WAY_TAG: &str = "way";
/// Timeout of the call. It is longer than those of other services, because the outcome is then unknown.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Codes of calls that succeed later.
const THROTTLED: [&str; 4] = [
    "LimitExceededException",
    "SendingPausedException",
    "ThrottlingException",
    "TooManyRequestsException",
];
/// Codes of mails that SES never takes.
const REFUSED: [&str; 2] = ["BadRequestException", "MessageRejected"];

/// Amazon SES.
#[derive(Clone, Debug)]
pub struct Ses(Backend);

#[derive(Clone, Debug)]
enum Backend {
    /// Amazon SES.
    Ses(Deferred<SendEmail>),
    /// The simulation's SES.
    Simulated(Arc<dyn MailService>),
}

/// The call of SES.
type SendEmail = Operation<SesMail, String, SesError>;

/// The simulation's replacement for SES.
pub trait MailService: fmt::Debug + Send + Sync {
    /// Sends a mail, and returns its identifier.
    fn send(&self, mail: SesMail) -> Promise<'_, Result<String, SesError>>;
}

/// One mail.
#[derive(Clone)]
pub struct SesMail {
    /// The sender, whose identity SES has verified.
    pub from: String,
    /// The recipient's address.
    pub to: String,
    /// The mail, with its headers.
    pub raw: Vec<u8>,
    /// The configuration set, which publishes bounces.
    pub configuration_set: Option<String>,
    /// The message that it is. SES repeats it when it reports a bounce.
    pub reference: MailReference,
}

/// The message that a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailReference {
    /// The message.
    pub notification: NotificationId,
    /// The index of the way by which it goes.
    pub way: usize,
}

/// SES did not send a mail, or it is unknown whether it did.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Amazon SES did not accept the mail: {code}")]
pub struct SesError {
    /// Kind of error.
    pub kind: SesErrorKind,
    /// The error code of AWS, or of ours for a call without a response.
    pub code: String,
}

/// The meaning of an error of SES.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SesErrorKind {
    /// Nothing was sent, and the call succeeds later: a quota is used up, or sending is paused.
    Throttled,
    /// Nothing was sent until the operator mends something, such as a right or an identity.
    Misconfigured,
    /// Nothing was sent, and this mail never succeeds.
    Refused,
    /// The outcome is unknown: there was no response in time, or one of a failing service.
    Unknown,
}

impl Sdk {
    /// Amazon SES.
    pub fn ses(&self) -> Ses {
        Ses(Backend::Ses(self.deferred(send_email)))
    }
}

impl Ses {
    /// SES in the simulation.
    pub fn simulated(service: Arc<dyn MailService>) -> Self {
        Self(Backend::Simulated(service))
    }

    /// Sends a mail once, and returns the identifier that SES gave it.
    pub async fn send(&self, mail: SesMail) -> Result<String, SesError> {
        let operation = match &self.0 {
            Backend::Ses(operation) => operation,
            Backend::Simulated(service) => return service.send(mail).await,
        };
        operation.invoke(mail).await.map_err(|error| match error {
            SdkError::ServiceError(context) => context.into_err(),
            SdkError::TimeoutError(_) => SesError::unknown("Timeout"),
            _ => SesError::unknown("NoResponse"),
        })
    }
}

/// The call, over the HTTP client that all calls to AWS share.
fn send_email(sdk: &Sdk) -> SendEmail {
    let service = RestService {
        name: "SESv2",
        endpoint_prefix: "email",
        signing_name: "ses",
        timeout: TIMEOUT,
    };
    let operation = sdk.rest(service).operation_name("SendEmail");
    operation.serializer(request).deserializer(message_id).build()
}

fn request(mail: SesMail) -> Result<HttpRequest, BoxError> {
    let mut body = json!({
        "FromEmailAddress": mail.from,
        "Destination": {"ToAddresses": [mail.to]},
        "EmailTags": [
            {"Name": NOTIFICATION_TAG, "Value": mail.reference.notification.to_string()},
            {"Name": WAY_TAG, "Value": mail.reference.way.to_string()},
        ],
        "Content": {"Raw": {"Data": BASE64_STANDARD.encode(mail.raw)}},
        "ConfigurationOverrides": {
            "Tracking": {"ClickTrackingEnabled": "DISABLED", "OpenTrackingEnabled": "DISABLED"},
        },
    });
    if let Some(set) = mail.configuration_set {
        body["ConfigurationSetName"] = set.into();
    }
    let mut request = HttpRequest::new(SdkBody::from(body.to_string()));
    request.set_method("POST")?;
    request.set_uri(PATH)?;
    request.headers_mut().insert("content-type", "application/json");
    Ok(request)
}

/// The body of a response.
#[derive(Default, Deserialize)]
struct Response {
    #[serde(rename = "MessageId")]
    message_id: Option<String>,
    #[serde(rename = "__type")]
    error_type: Option<String>,
}

fn message_id(response: &HttpResponse) -> Result<String, OrchestratorError<SesError>> {
    let body: Response =
        response.body().bytes().and_then(|it| serde_json::from_slice(it).ok()).unwrap_or_default();
    let status = response.status().as_u16();
    let error = match body.message_id {
        Some(id) if response.status().is_success() => return Ok(id),
        _ if response.status().is_success() => SesError::unknown("NoMessageId"),
        _ => {
            let header = response.headers().get("x-amzn-errortype");
            SesError::of(status, header.or(body.error_type.as_deref()))
        }
    };
    Err(OrchestratorError::operation(error))
}

impl SesError {
    /// The error of a response. Its type may have a namespace before the code, and a URL after it.
    fn of(status: u16, error_type: Option<&str>) -> Self {
        let code = error_type.and_then(|it| it.split(':').next()?.rsplit('#').next());
        let is_code = |it: &&str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric());
        let code = code.filter(is_code).map_or_else(|| format!("Http{status}"), str::to_owned);
        let kind = match status {
            _ if REFUSED.contains(&&*code) => SesErrorKind::Refused,
            _ if THROTTLED.contains(&&*code) => SesErrorKind::Throttled,
            429 => SesErrorKind::Throttled,
            400..500 => SesErrorKind::Misconfigured,
            _ => SesErrorKind::Unknown,
        };
        Self { kind, code }
    }

    fn unknown(code: &str) -> Self {
        Self { kind: SesErrorKind::Unknown, code: code.to_owned() }
    }
}

// A mail has links and codes that decide, and the address of a person.
impl fmt::Debug for SesMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SesMail")
            .field("from", &self.from)
            .field("n_raw_bytes", &self.raw.len())
            .field("configuration_set", &self.configuration_set)
            .field("reference", &self.reference)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
