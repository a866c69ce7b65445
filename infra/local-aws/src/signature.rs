//! Credentials of the emulator, and AWS Signature Version 4, with which clients prove them.
//!
//! The credentials are new at each start. Other programs of this machine's user find them in the
//! data folder; web pages and other users do not.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::{self, Write as _};

use axum::http::{HeaderMap, Method, StatusCode, Uri, header::AUTHORIZATION};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    digest::{SHA256, digest},
    hmac,
};
use subtle::ConstantTimeEq as _;

use crate::{error::AwsError, ids::random_bytes};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Bytes of randomness in a secret access key, as many as AWS has.
const SECRET_BYTES: usize = 30;

/// The only credentials that the emulator accepts.
#[derive(Clone)]
pub struct Credentials {
    /// The access key id.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
}

/// The parts of an `Authorization` header.
struct Authorization<'a> {
    access_key_id: &'a str,
    /// Date, region, service and terminator.
    scope: Vec<&'a str>,
    signed_headers: &'a str,
    signature: &'a str,
}

impl Credentials {
    /// New credentials.
    pub(super) fn random() -> Self {
        Self {
            access_key_id: format!("LOCAL{}", hex(&random_bytes::<8>()).to_uppercase()),
            secret_access_key: URL_SAFE_NO_PAD.encode(random_bytes::<SECRET_BYTES>()),
        }
    }

    /// Refuses a call that is not signed with these credentials.
    pub(super) fn check(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), AwsError> {
        let header = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
        let authorization = header.and_then(Authorization::parse).ok_or_else(|| {
            refused("MissingAuthenticationToken", "the call is not signed (AWS4-HMAC-SHA256)")
        })?;
        if authorization.access_key_id != self.access_key_id {
            let detail = "the access key id is not that of this emulator; see `functions.env`";
            return Err(refused("UnrecognizedClientException", detail));
        }
        let expected = self.sign(&authorization, method, uri, headers, body);
        let is_same = |it: &String| it.as_bytes().ct_eq(authorization.signature.as_bytes()).into();
        if expected.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        let detail = "the signature does not match; see `functions.env` for the secret";
        Err(refused("InvalidSignatureException", detail))
    }

    /// The signature of a call. `None` if a signed header is missing.
    fn sign(
        &self,
        authorization: &Authorization<'_>,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Option<String> {
        let date = headers.get("x-amz-date")?.to_str().ok()?;
        let mut canonical = format!("{method}\n{}\n{}\n", escaped(uri.path()), query(uri));
        for name in authorization.signed_headers.split(';') {
            let values = headers.get_all(name).iter().map(|it| it.to_str().ok().map(trimmed));
            let values: Vec<String> = values.collect::<Option<_>>()?;
            if values.is_empty() {
                return None;
            }
            canonical.extend([name, ":", &values.join(","), "\n"]);
        }
        canonical.extend(["\n", authorization.signed_headers, "\n", &hash(body)]);
        let scope = authorization.scope.join("/");
        let text = format!("{ALGORITHM}\n{date}\n{scope}\n{}", hash(canonical.as_bytes()));
        let mut key = format!("AWS4{}", self.secret_access_key).into_bytes();
        for part in &authorization.scope {
            key = keyed(&key, part);
        }
        Some(hex(&keyed(&key, &text)))
    }
}

impl<'a> Authorization<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let parameters = header.strip_prefix(ALGORITHM)?;
        let parameter = |name: &str| {
            let mut all = parameters.split(',').map(str::trim);
            all.find_map(|it| it.strip_prefix(name)?.strip_prefix('='))
        };
        let (access_key_id, scope) = parameter("Credential")?.split_once('/')?;
        Some(Self {
            access_key_id,
            scope: scope.split('/').collect(),
            signed_headers: parameter("SignedHeaders")?,
            signature: parameter("Signature")?,
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

fn refused(kind: &'static str, detail: &str) -> AwsError {
    AwsError { status: StatusCode::FORBIDDEN, kind, query_code: None, message: detail.to_owned() }
}

/// A path, encoded again: slashes stay.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            text.push(byte.into());
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The parameters of the query, sorted.
fn query(uri: &Uri) -> String {
    let parameters = uri.query().unwrap_or_default().split('&').filter(|it| !it.is_empty());
    let with_value = |it: &str| if it.contains('=') { it.to_owned() } else { format!("{it}=") };
    let mut parameters: Vec<String> = parameters.map(with_value).collect();
    parameters.sort_unstable();
    parameters.join("&")
}

/// A header's value with single spaces.
fn trimmed(value: &str) -> String {
    value.split(' ').filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ")
}

fn hash(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    /// The example in AWS's test suite: `get-vanilla-query-order-key-case`.
    #[test]
    fn example_of_aws_is_verified() {
        let credentials = Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        };
        let signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        let header = |name, value: &str| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("ASCII"))
        };
        let headers = HeaderMap::from_iter([
            header("host", "example.amazonaws.com"),
            header("x-amz-date", "20150830T123600Z"),
            header("authorization", &authorization),
        ]);
        let uri = Uri::from_static("/?Param2=value2&Param1=value1");
        let check = |credentials: &Credentials, headers: &HeaderMap, body: &[u8]| {
            credentials.check(&Method::GET, &uri, headers, body).map_err(|err| err.kind)
        };
        assert_eq!(check(&credentials, &headers, b""), Ok(()));
        assert_eq!(check(&credentials, &headers, b"{}"), Err("InvalidSignatureException"));
        let mut other = credentials.clone();
        other.secret_access_key.push('x');
        assert_eq!(check(&other, &headers, b""), Err("InvalidSignatureException"));
        let stranger = Credentials::random();
        assert_eq!(check(&stranger, &headers, b""), Err("UnrecognizedClientException"));
        let mut without_date = headers.clone();
        without_date.remove("x-amz-date");
        assert_eq!(check(&credentials, &without_date, b""), Err("InvalidSignatureException"));
        without_date.remove(AUTHORIZATION);
        assert_eq!(check(&credentials, &without_date, b""), Err("MissingAuthenticationToken"));
    }
}
