use std::sync::Mutex;

use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        result::ConnectorError,
    },
    http::StatusCode,
};
use serde_json::Value;

use super::*;

/// SES with one response. `None`: the connection breaks.
#[derive(Clone, Debug)]
struct FakeSes {
    response: Option<(u16, &'static str, &'static str)>,
    requests: Arc<Mutex<Vec<HttpRequest>>>,
}

impl HttpConnector for FakeSes {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.requests.lock().expect("no holder panics").push(request);
        HttpConnectorFuture::ready(match self.response {
            Some((status, error_type, body)) => {
                let status = StatusCode::try_from(status).expect("a status");
                let mut response = HttpResponse::new(status, SdkBody::from(body));
                if !error_type.is_empty() {
                    response.headers_mut().insert("x-amzn-errortype", error_type);
                }
                Ok(response)
            }
            None => Err(ConnectorError::io("it broke".into())),
        })
    }
}

impl FakeSes {
    fn new(response: Option<(u16, &'static str, &'static str)>) -> Self {
        Self { response, requests: Arc::default() }
    }

    fn ses(&self, endpoint: &str) -> Ses {
        let connector = SharedHttpConnector::new(self.clone());
        let sdk = Sdk::local(endpoint, "AKIDEXAMPLE", "secret");
        sdk.in_process(http_client_fn(move |_, _| connector.clone())).ses()
    }

    fn requests(&self) -> std::sync::MutexGuard<'_, Vec<HttpRequest>> {
        self.requests.lock().expect("no holder panics")
    }
}

fn notification() -> NotificationId {
    NotificationId(crate::domain::RequestId::from_bits(7).event(1).delivery(2))
}

fn mail() -> SesMail {
    SesMail {
        from: "answers@example.org".to_owned(),
        to: "ada@example.com".to_owned(),
        raw: b"Subject: Deploy?\r\n\r\nYes or no?".to_vec(),
        configuration_set: None,
        reference: MailReference { notification: notification(), way: 1 },
    }
}

#[tokio::test]
async fn mail_is_one_signed_call_without_tracking() {
    let fake = FakeSes::new(Some((200, "", r#"{"MessageId": "0100-1"}"#)));
    let ses = fake.ses("http://127.0.0.1:8000");
    assert!(fake.requests().is_empty());
    let mail = SesMail { configuration_set: Some("bounces".to_owned()), ..mail() };
    assert_eq!(ses.send(mail).await, Ok("0100-1".to_owned()));

    let requests = fake.requests();
    let [request] = &requests[..] else { panic!("{} calls", requests.len()) };
    assert_eq!(request.method(), "POST");
    assert_eq!(request.uri(), "http://127.0.0.1:8000/v2/email/outbound-emails");
    let header = |name: &str| request.headers().get(name).unwrap_or_default();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("user-agent"), concat!("answerback/", env!("CARGO_PKG_VERSION")));
    let signature = header("authorization");
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{signature}");
    assert!(signature.contains("/us-east-1/ses/aws4_request, "), "{signature}");
    let body: Value =
        serde_json::from_slice(request.body().bytes().expect("in memory")).expect("JSON");
    // As botocore writes it.
    let expected = json!({
        "FromEmailAddress": "answers@example.org",
        "Destination": {"ToAddresses": ["ada@example.com"]},
        "Content": {"Raw": {"Data": "U3ViamVjdDogRGVwbG95Pw0KDQpZZXMgb3Igbm8/"}},
        "ConfigurationSetName": "bounces",
        "EmailTags": [
            {"Name": "notification", "Value": "ntf_000000000000000000000000010000000000000002"},
            {"Name": "way", "Value": "1"},
        ],
        "ConfigurationOverrides": {
            "Tracking": {"ClickTrackingEnabled": "DISABLED", "OpenTrackingEnabled": "DISABLED"},
        },
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn errors_say_whether_a_mail_may_have_been_sent() {
    use SesErrorKind::{Misconfigured, Refused, Throttled, Unknown};
    let url = "MessageRejected:http://internal.amazon.com/coral/com.amazonaws.ses/";
    let typed = r#"{"__type": "com.amazonaws.ses#BadRequestException", "message": "no"}"#;
    let cases = [
        (Some((429, "TooManyRequestsException", "{}")), Throttled, "TooManyRequestsException"),
        (Some((400, "LimitExceededException", "{}")), Throttled, "LimitExceededException"),
        (Some((400, "SendingPausedException", "{}")), Throttled, "SendingPausedException"),
        (Some((429, "", "")), Throttled, "Http429"),
        (Some((400, url, "{}")), Refused, "MessageRejected"),
        (
            Some((400, "MailFromDomainNotVerifiedException", "{}")),
            Misconfigured,
            "MailFromDomainNotVerifiedException",
        ),
        (
            Some((400, "AccountSuspendedException", "{}")),
            Misconfigured,
            "AccountSuspendedException",
        ),
        (Some((400, "", typed)), Refused, "BadRequestException"),
        (Some((404, "NotFoundException", "{}")), Misconfigured, "NotFoundException"),
        (Some((403, "<script>", "{}")), Misconfigured, "Http403"),
        (Some((500, "InternalFailure", "{}")), Unknown, "InternalFailure"),
        (Some((503, "", "garbage")), Unknown, "Http503"),
        (Some((200, "", "garbage")), Unknown, "NoMessageId"),
        (Some((200, "", "{}")), Unknown, "NoMessageId"),
        (None, Unknown, "NoResponse"),
    ];
    for (response, kind, code) in cases {
        let fake = FakeSes::new(response);
        let error = fake.ses("http://127.0.0.1:8000").send(mail()).await;
        assert_eq!(error, Err(SesError { kind, code: code.to_owned() }));
        assert_eq!(fake.requests().len(), 1, "{code} is not repeated");
    }
}

/// Connections to SES that hang.
#[derive(Debug)]
struct Hanging;

impl HttpConnector for Hanging {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(std::future::pending())
    }
}

#[tokio::test]
async fn outcome_of_a_call_that_hangs_is_unknown() {
    let connector = SharedHttpConnector::new(Hanging);
    let sdk = Sdk::local("http://127.0.0.1:8000", "AKIDEXAMPLE", "secret");
    let ses = sdk.in_process(http_client_fn(move |_, _| connector.clone())).ses();
    let unknown = SesError { kind: SesErrorKind::Unknown, code: "Timeout".to_owned() };
    assert_eq!(ses.send(mail()).await, Err(unknown));
}

#[test]
fn debug_output_has_neither_the_mail_nor_its_recipient() {
    let expected = "SesMail { from: \"answers@example.org\", n_raw_bytes: 30, \
                    configuration_set: None, reference: MailReference { notification: \
                    ntf_000000000000000000000000010000000000000002, way: 1 }, .. }";
    assert_eq!(format!("{:?}", mail()), expected);
}
