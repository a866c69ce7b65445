//! SES: accepted, refused and kept mails.

use anyhow::Result;
use axum::{
    body::Bytes,
    http::{Method, Request, StatusCode},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use local_aws::MailFault;
use serde_json::{Value, json};

use super::Cloud;

const RAW: &[u8] = b"From: Answerback <a@b.example>\r\nSubject: Go?\r\n\r\nGo?\r\n";

/// The response to a call.
#[derive(Debug, PartialEq)]
struct Response {
    status: StatusCode,
    /// The error's name.
    kind: Option<String>,
    body: Value,
}

impl Response {
    fn error(status: StatusCode, kind: &str, message: &str) -> Self {
        Self { status, kind: Some(kind.to_owned()), body: json!({ "message": message }) }
    }
}

async fn call(
    cloud: &Cloud,
    method: Method,
    path: &str,
    body: impl Into<Bytes>,
) -> Result<Response> {
    let request = Request::builder().method(method).uri(path).body(body.into())?;
    let response = cloud.aws.call(request).await?;
    let kind = response.headers().get("x-amzn-errortype");
    let kind = kind.map(|it| it.to_str().map(str::to_owned)).transpose()?;
    let status = response.status();
    Ok(Response { status, kind, body: serde_json::from_slice(response.body()).unwrap_or_default() })
}

async fn send(cloud: &Cloud, body: &Value) -> Result<Response> {
    call(cloud, Method::POST, "/v2/email/outbound-emails", body.to_string()).await
}

/// A call that is accepted.
fn mail() -> Value {
    json!({
        "FromEmailAddress": "Answerback <a@b.example>",
        "Destination": { "ToAddresses": ["ada@example.com"], "BccAddresses": ["c@example.com"] },
        "Content": { "Raw": { "Data": BASE64.encode(RAW) } },
        "ConfigurationSetName": "events",
        "ConfigurationOverrides": { "Tracking": { "OpenTrackingEnabled": "DISABLED" } },
        "EmailTags": [{ "Name": "a", "Value": "b" }],
    })
}

/// The same call with one part replaced. `null` removes it.
fn mail_with(pointer: &str, value: Value) -> Value {
    let mut mail = mail();
    *mail.pointer_mut(pointer).expect("a part of the call") = value;
    mail
}

#[tokio::test]
async fn accepted_mail_is_kept_as_it_was_sent() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cloud = Cloud::in_folder(folder.path()).await?;
    let sent = send(&cloud, &mail()).await?;
    assert_eq!((sent.status, sent.kind), (StatusCode::OK, None));
    let id = sent.body["MessageId"].as_str().expect("an id").to_owned();
    cloud.pass(60);
    let simulator = json!({ "ToAddresses": ["bounce@simulator.amazonses.com"] });
    let second = send(&cloud, &mail_with("/Destination", simulator)).await?;
    assert_eq!(second.body.as_object().map(serde_json::Map::len), Some(1), "{second:?}");

    let [newest, kept] = cloud.aws.mail().list(None, 10).await?.try_into().expect("two mails");
    assert_eq!(newest.to, ["bounce@simulator.amazonses.com"]);
    let expected = local_aws::SentMail {
        id: id.clone(),
        sent_at: "2026-11-20T08:00:00Z".parse()?,
        from: "Answerback <a@b.example>".to_owned(),
        to: vec!["ada@example.com".to_owned(), "c@example.com".to_owned()],
        n_bytes: RAW.len(),
        raw: RAW.to_vec(),
    };
    assert_eq!(kept, expected);
    assert_eq!(cloud.aws.mail().list(Some(&newest.id), 10).await?, std::slice::from_ref(&expected));
    assert_eq!(cloud.aws.mail().list(None, 1).await?, [newest]);
    cloud.aws.stop().await;
    let cloud = Cloud::in_folder(folder.path()).await?;
    assert_eq!(cloud.aws.mail().get(&id).await?, Some(expected));
    assert_eq!(cloud.aws.mail().get("other").await?, None);
    Ok(())
}

#[tokio::test]
async fn call_that_breaks_a_rule_is_refused_as_by_ses() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let missing = |member| {
        format!(
            "1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must not be null"
        )
    };
    let many = vec!["a@example.com"; 50];
    let to = |it| mail_with("/Destination/ToAddresses", json!(it));
    let raw = |it: &str| mail_with("/Content/Raw/Data", json!(BASE64.encode(it)));
    for (body, kind, message) in [
        (mail_with("/Content", Value::Null), "BadRequestException", missing("content")),
        (
            mail_with("/Content/Raw/Data", Value::Null),
            "BadRequestException",
            missing("content.raw.data"),
        ),
        (to(many), "BadRequestException", "Recipient count exceeds 50.".to_owned()),
        (to(vec!["ada"]), "BadRequestException", "Missing final '@domain'".to_owned()),
        (
            mail_with("/FromEmailAddress", json!("Answerback")),
            "MessageRejected",
            "Missing final '@domain'".to_owned(),
        ),
        (
            raw("To: a@b\r\n\r\n"),
            "BadRequestException",
            "Missing required header 'From'.".to_owned(),
        ),
        (
            raw("From: a@b\r\nFrom: c@d\r\n\r\n"),
            "BadRequestException",
            "Duplicate header 'From'.".to_owned(),
        ),
        (
            mail_with("/Content/Raw/Data", json!("?")),
            "BadRequestException",
            "content.raw.data is not base64".to_owned(),
        ),
    ] {
        let expected = Response::error(StatusCode::BAD_REQUEST, kind, &message);
        assert_eq!(send(&cloud, &body).await?, expected);
    }
    let path = "/v2/email/outbound-emails";
    let malformed = call(&cloud, Method::POST, path, "{").await?;
    assert_eq!(malformed.kind.as_deref(), Some("SerializationException"));
    for (method, path) in [(Method::GET, path), (Method::POST, "/v2/email/identities")] {
        let unknown = call(&cloud, method, path, "{}").await?;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
        assert_eq!(unknown.kind.as_deref(), Some("UnknownOperationException"));
    }
    assert_eq!(cloud.aws.mail().list(None, 10).await?, []);
    Ok(())
}

#[tokio::test]
async fn large_mail_is_accepted_up_to_the_limit() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let mut raw = RAW.to_vec();
    raw.resize(40 * 1024 * 1024, b'x');
    let body = |raw: &[u8]| mail_with("/Content/Raw/Data", json!(BASE64.encode(raw)));
    assert_eq!(send(&cloud, &body(&raw)).await?.status, StatusCode::OK);
    raw.push(b'x');
    let message = "Message length is more than 41943040 bytes long: '41943041'.";
    let expected = Response::error(StatusCode::BAD_REQUEST, "BadRequestException", message);
    assert_eq!(send(&cloud, &body(&raw)).await?, expected);
    let path = "/v2/email/outbound-emails";
    let huge = call(&cloud, Method::POST, path, vec![b' '; 56 * 1024 * 1024 + 1]).await?;
    assert_eq!(huge.status, StatusCode::PAYLOAD_TOO_LARGE);
    Ok(())
}

#[tokio::test]
async fn failed_call_sends_nothing_unless_its_response_is_lost() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let mails = cloud.aws.mail();
    for (fault, status, kind, n_mails) in [
        (MailFault::Throttled, 429, "TooManyRequestsException", 0),
        (MailFault::Internal, 500, "InternalFailure", 0),
        (MailFault::LostResponse, 500, "InternalFailure", 1),
    ] {
        mails.fail_calls(fault, 1);
        let failed = send(&cloud, &mail()).await?;
        assert_eq!((failed.status.as_u16(), failed.kind.as_deref()), (status, Some(kind)));
        assert_eq!(mails.list(None, 10).await?.len(), n_mails, "{fault:?}");
    }
    assert_eq!(send(&cloud, &mail()).await?.status, StatusCode::OK);
    Ok(())
}
