//! AWS Signature Version 4, for calls that post a body in memory to a plain path, as all of ours do.
//!
//! The SDK's signer derives the key for each call, and writes a general canonical form. That was half of a
//! call. This one derives the key once a day. The SDK's signs repeated attempts, because it
//! corrects the time after a call that was refused for it.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::sync::Mutex;

use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4Signer};
use aws_sdk_dynamodb::{
    config::{ConfigBag, Credentials, RuntimeComponents},
    error::BoxError,
};
use aws_smithy_runtime_api::client::{
    auth::{AuthScheme, AuthSchemeEndpointConfig, AuthSchemeId, Sign},
    identity::{Identity, SharedIdentityResolver},
    orchestrator::HttpRequest,
    retries::RequestAttempts,
    runtime_components::GetIdentityResolver,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use crate::signing::{hex, sha256};

/// The authentication of calls to one service.
#[derive(Debug)]
pub(super) struct FastSigner {
    /// Region and service.
    place: Place,
    key: Mutex<Option<DailyKey>>,
    sdk: SigV4Signer,
}

#[derive(Debug)]
struct Place {
    region: String,
    service: &'static str,
}

/// The signing key of one day.
#[derive(Clone, Debug)]
struct DailyKey {
    access_key_id: String,
    date: String,
    mac: Hmac<Sha256>,
}

impl FastSigner {
    pub(super) fn new(region: &str, service: &'static str) -> Self {
        let place = Place { region: region.to_owned(), service };
        Self { place, key: Mutex::default(), sdk: SigV4Signer::new() }
    }

    /// Adds the signature of a call at `now`.
    fn sign(
        &self,
        request: &mut HttpRequest,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<(), BoxError> {
        let body = request.body().bytes().ok_or("the body is a stream")?;
        let body_hash = hex(&sha256(body));
        let target = Target::of(request.uri()).ok_or("the path is not plain")?;
        let (host, path) = (target.host.to_owned(), target.path.to_owned());
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let headers = request.headers_mut();
        headers.insert("x-amz-date", time.clone());
        if let Some(token) = credentials.session_token() {
            headers.insert("x-amz-security-token", token.to_owned());
        }
        let is_signed = |it: &str| it.starts_with("x-amz-") || it == "content-type";
        let mut signed: Vec<_> = request.headers().iter().filter(|it| is_signed(it.0)).collect();
        signed.push(("host", &host));
        signed.sort_unstable();
        let names: Vec<&str> = signed.iter().map(|it| it.0).collect();
        let names = names.join(";");
        let lines: String =
            signed.iter().flat_map(|(name, value)| [*name, ":", value.trim(), "\n"]).collect();
        let canonical = format!("POST\n{path}\n\n{lines}\n{names}\n{body_hash}");

        let key = self.key(credentials, &time[..8]);
        let Place { region, service } = &self.place;
        let scope = format!("{}/{region}/{service}/aws4_request", key.date);
        let hash = hex(&sha256(canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{hash}");
        let signature = hex(&sign(key.mac, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            key.access_key_id
        );
        request.headers_mut().insert("authorization", authorization);
        Ok(())
    }

    /// The signing key of a day, which is derived at its first use.
    fn key(&self, credentials: &Credentials, date: &str) -> DailyKey {
        let access_key_id = credentials.access_key_id();
        let mut known = self.key.lock().expect("no holder panics");
        let is_current = |it: &DailyKey| it.date == date && it.access_key_id == access_key_id;
        if let Some(key) = known.as_ref().filter(|it| is_current(it)) {
            return key.clone();
        }
        let key = DailyKey {
            access_key_id: access_key_id.to_owned(),
            date: date.to_owned(),
            mac: self.place.derive(credentials, date),
        };
        known.insert(key).clone()
    }
}

impl Place {
    fn derive(&self, credentials: &Credentials, date: &str) -> Hmac<Sha256> {
        let mac = |key: &[u8]| Hmac::new_from_slice(key).expect("HMAC takes a key of any length");
        let secret = format!("AWS4{}", credentials.secret_access_key());
        [date, &self.region, self.service, "aws4_request"]
            .into_iter()
            .fold(mac(secret.as_bytes()), |it, part| mac(&sign(it, part)))
    }
}

fn sign(mac: Hmac<Sha256>, text: &str) -> [u8; 32] {
    mac.chain_update(text).finalize().into_bytes().into()
}

impl Sign for FastSigner {
    fn sign_http_request(
        &self,
        request: &mut HttpRequest,
        identity: &Identity,
        endpoint: AuthSchemeEndpointConfig<'_>,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        let is_repeated = config.load::<RequestAttempts>().is_some_and(|it| it.attempts() > 1);
        if is_repeated {
            return self.sdk.sign_http_request(request, identity, endpoint, components, config);
        }
        let credentials = identity.data().ok_or("the identity has no credentials")?;
        let now = components.time_source().unwrap_or_default().now();
        self.sign(request, credentials, now.try_into()?)
    }
}

impl AuthScheme for FastSigner {
    fn scheme_id(&self) -> AuthSchemeId {
        SCHEME_ID
    }

    fn identity_resolver(
        &self,
        resolvers: &dyn GetIdentityResolver,
    ) -> Option<SharedIdentityResolver> {
        resolvers.identity_resolver(SCHEME_ID)
    }

    fn signer(&self) -> &dyn Sign {
        self
    }
}

/// The target of a call.
#[derive(Debug, PartialEq, Eq)]
struct Target<'a> {
    /// Host and port.
    host: &'a str,
    path: &'a str,
}

impl<'a> Target<'a> {
    /// The target of a URL whose path is its own canonical form, without a query: letters, digits and
    /// hyphens between single slashes.
    fn of(url: &'a str) -> Option<Self> {
        let (_, rest) = url.split_once("://")?;
        let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"-/".contains(&it);
        (path.bytes().all(is_plain) && !path.contains("//")).then_some(Self { host, path })
    }
}

#[cfg(test)]
mod tests {
    use aws_sigv4::http_request::{
        SignableBody, SignableRequest, SigningSettings, sign as sign_by_sdk,
    };
    use aws_smithy_types::body::SdkBody;

    use super::*;

    /// The signature in AWS's test suite for Signature Version 4.
    #[track_caller]
    fn check(token: Option<&str>, expected_headers: &str, expected: &str) {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let token = token.map(str::to_owned);
        let credentials = Credentials::new("AKIDEXAMPLE", secret, token, None, "test");
        let signer = FastSigner::new("us-east-1", "service");
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri("https://example.amazonaws.com/").expect("a URL");
        let now = "2015-08-30T12:36:00Z".parse().expect("a time");
        for _ in 0..2 {
            signer.sign(&mut request, &credentials, now).expect("signed");
            let scope = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={expected_headers}, \
                 Signature={expected}"
            );
            assert_eq!(request.headers().get("authorization"), Some(&*expected));
        }
    }

    #[test]
    fn signatures_are_those_of_the_test_suite() {
        let expected = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        check(None, "host;x-amz-date", expected);
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let expected = "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead";
        check(Some(token), "host;x-amz-date;x-amz-security-token", expected);
    }

    #[test]
    fn signatures_are_those_of_the_sdk() {
        check_against_sdk("https://dynamodb.eu-central-1.amazonaws.com/");
        check_against_sdk("https://email.eu-central-1.amazonaws.com/v2/email/outbound-emails");
    }

    #[track_caller]
    fn check_against_sdk(url: &str) {
        let body = r#"{"TableName": "answers"}"#;
        let credentials =
            Credentials::new("AKIDEXAMPLE", "secret", Some("token".into()), None, "test");
        let signer = FastSigner::new("eu-central-1", "dynamodb");
        let headers = [
            ("x-amz-target", "DynamoDB_20120810.PutItem"),
            ("content-type", "application/x-amz-json-1.0"),
        ];
        for time in ["2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z"] {
            let now: Timestamp = time.parse().expect("a time");
            let mut request = HttpRequest::new(SdkBody::from(body));
            request.set_uri(url).expect("a URL");
            for (name, value) in headers {
                request.headers_mut().insert(name, value);
            }
            signer.sign(&mut request, &credentials, now).expect("signed");

            let identity = credentials.clone().into();
            let parameters = aws_sigv4::sign::v4::SigningParams::builder()
                .identity(&identity)
                .region("eu-central-1")
                .name("dynamodb")
                .time(now.into())
                .settings(SigningSettings::default())
                .build()
                .expect("parameters");
            let bytes = SignableBody::Bytes(body.as_bytes());
            let signable =
                SignableRequest::new("POST", url, headers.into_iter(), bytes).expect("signable");
            let (instructions, _) =
                sign_by_sdk(signable, &parameters.into()).expect("signed").into_parts();
            for (name, value) in instructions.headers() {
                assert_eq!(request.headers().get(name), Some(value), "{name} at {time}");
            }
        }
    }

    #[test]
    fn other_paths_are_not_signed() {
        let target = |host, path| Some(Target { host, path });
        let kms = "kms.us-east-1.amazonaws.com";
        assert_eq!(Target::of("https://kms.us-east-1.amazonaws.com"), target(kms, "/"));
        assert_eq!(Target::of("http://127.0.0.1:8000/"), target("127.0.0.1:8000", "/"));
        assert_eq!(Target::of("https://example.com/v2/a-b"), target("example.com", "/v2/a-b"));
        for path in ["/?query", "?query", "/a//b", "/a/../b", "/a%20b", "/a b", "/a#b"] {
            assert_eq!(Target::of(&format!("https://example.com{path}")), None, "{path}");
        }
    }
}
