//! The API's contract, held against every call that the tests make.
//!
//! The OpenAPI document is written by hand, and this is what keeps it true. The harness hands over
//! each [`Exchange`], and [`Contract::check`] says where code and document part:
//!
//! ```text
//! path, method      documented; else the answer is the shared 404 or 405, with all methods
//! status            documented for the operation
//! response          content type documented, body valid, required headers there, all valid
//! request           parameters and body valid if they were accepted, that is, answered 2xx
//! ```
//!
//! The last line finds code that is laxer than its document; code that is stricter shows in the
//! tests that expect a 2xx. It knows nothing of what the operations mean.

mod document;

use std::{
    borrow::Cow,
    collections::HashMap,
    io::Read as _,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use answerback::api::http::read_json;
use anyhow::{Context as _, bail, ensure};
use axum::{
    extract::Query,
    http::{
        HeaderMap, Method, StatusCode, Uri,
        header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, LOCATION},
    },
};
use document::{Document, Part};
use flate2::read::GzDecoder;
use jsonschema::{Registry, Validator};
use serde_json::{Map, Value, json};

/// URI of the document while its references are resolved.
const DOCUMENT_URI: &str = "urn:answerback:openapi";
/// Number of characters of a body that a message shows.
const SHOWN_CHARACTERS_MAX: usize = 2_000;

/// One request and its response, as sent.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// The method of the call.
    pub method: &'a Method,
    /// The path of the call with its query.
    pub path: &'a str,
    /// The headers of the call.
    pub request_headers: &'a HeaderMap,
    /// The request body; empty if there is none.
    pub request_body: &'a [u8],
    /// The status of the response.
    pub status: StatusCode,
    /// The headers of the response.
    pub response_headers: &'a HeaderMap,
    /// The response body; empty if there is none.
    pub response_body: &'a [u8],
}

/// The OpenAPI document, ready for checks.
#[derive(Debug)]
pub struct Contract {
    document: Document,
    registry: Registry<'static>,
    /// Validators by pointer. Building one takes far longer than using it.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Contract {
    /// The contract of the served API.
    pub fn of_the_api() -> &'static Self {
        static CONTRACT: LazyLock<Contract> =
            LazyLock::new(|| Contract::parse(poll::OPENAPI).expect("the served document is valid"));
        &CONTRACT
    }

    /// Reads an OpenAPI document.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let document: Value = serde_json::from_str(text).context("the document is not JSON")?;
        let registry = Registry::new()
            .add(DOCUMENT_URI, document.clone())
            .and_then(jsonschema::RegistryBuilder::prepare)
            .context("the document's references do not resolve")?;
        Ok(Self { document: Document(document), registry, validators: Mutex::default() })
    }

    /// The document itself.
    pub fn document(&self) -> &Value {
        &self.document.0
    }

    /// Returns an error where an exchange differs from the document.
    pub fn check(&self, exchange: &Exchange<'_>) -> anyhow::Result<()> {
        self.compare(exchange).with_context(|| {
            let Exchange { method, path, status, .. } = exchange;
            let answer = String::from_utf8_lossy(exchange.response_body);
            let shown: String = answer.chars().take(SHOWN_CHARACTERS_MAX).collect();
            format!("{method} {path} and its {status} part from the OpenAPI document: {shown}")
        })
    }

    /// Validates a value against the schema at a JSON Pointer, such as
    /// `/components/schemas/RequestEvent`.
    pub fn validate(&self, pointer: &str, value: &Value) -> anyhow::Result<()> {
        let validator = self.validator(pointer)?;
        let faults: Vec<String> = validator
            .iter_errors(value)
            .map(|it| format!("{}: {it} ({})", it.instance_path(), it.schema_path()))
            .collect();
        ensure!(faults.is_empty(), "not as {pointer} has it:\n  {}", faults.join("\n  "));
        Ok(())
    }

    fn compare(&self, exchange: &Exchange<'_>) -> anyhow::Result<()> {
        let uri: Uri = exchange.path.parse().context("the path is not one")?;
        let Some((route, in_path)) = self.document.route(uri.path()) else {
            return self.check_unknown_path(uri.path(), exchange);
        };
        let Some(operation) = self.document.operation(&route, exchange.method) else {
            let status = exchange.status;
            ensure!(status == StatusCode::METHOD_NOT_ALLOWED, "the method is not documented");
            let allowed = exchange.response_headers.get(ALLOW).and_then(|it| it.to_str().ok());
            let methods = self.document.methods(&route);
            ensure!(allowed == Some(&methods), "`Allow` is {allowed:?} instead of {methods}");
            let name = Self::shared_problem("MethodNotAllowed", exchange);
            return self.check_answer(&self.document.shared_response(name)?, exchange);
        };
        let responses =
            self.document.part(&operation, "responses").context("`responses` is missing")?;
        let response = self
            .document
            .part(&responses, exchange.status.as_str())
            .context("the status is not documented")?;
        self.check_answer(&response, exchange)?;
        if exchange.status.is_success() {
            self.check_parameters(&operation, &in_path, uri.query(), exchange.request_headers)?;
            self.check_request_body(&operation, exchange)?;
        }
        Ok(())
    }

    /// An undocumented path is 404, or leads to an answer link without the slash at its end.
    fn check_unknown_path(&self, path: &str, exchange: &Exchange<'_>) -> anyhow::Result<()> {
        if exchange.status == StatusCode::PERMANENT_REDIRECT {
            let location = exchange.response_headers.get(LOCATION).and_then(|it| it.to_str().ok());
            ensure!(location == path.strip_suffix('/'), "it leads to {location:?}");
            ensure!(location.and_then(|it| self.document.route(it)).is_some(), "no such path");
            return Ok(());
        }
        ensure!(exchange.status == StatusCode::NOT_FOUND, "the path is not documented");
        let name = Self::shared_problem("NotFound", exchange);
        self.check_answer(&self.document.shared_response(name)?, exchange)
    }

    /// The name of a shared response: a problem, or for people a page without details.
    fn shared_problem<'a>(name: &'a str, exchange: &Exchange<'_>) -> &'a str {
        let is_page = media_type(exchange.response_headers).is_some_and(|it| it == "text/html");
        if is_page { "PageNotFound" } else { name }
    }

    fn check_answer(&self, response: &Part<'_>, exchange: &Exchange<'_>) -> anyhow::Result<()> {
        if let Some(headers) = self.document.part(response, "headers") {
            for name in keys(headers.value) {
                let header = self.document.part(&headers, name).context("a header is missing")?;
                match exchange.response_headers.get(name) {
                    Some(value) => {
                        let value = value.to_str().with_context(|| format!("`{name}`"))?;
                        self.check_text(&header, value).with_context(|| format!("`{name}`"))?;
                    }
                    None => ensure!(!header.is_required(), "the answer has no header `{name}`"),
                }
            }
        }
        let body = exchange.response_body;
        let Some(content) = self.document.part(response, "content") else {
            ensure!(body.is_empty(), "the answer has a body, and none is documented");
            return Ok(());
        };
        if *exchange.method == Method::HEAD {
            ensure!(body.is_empty(), "an answer to HEAD has a body");
            return Ok(());
        }
        let media_type = media_type(exchange.response_headers).unwrap_or_default();
        let body = decoded(exchange)?;
        self.check_body(&content, &media_type, &body).context("the answer's body")
    }

    fn check_request_body(
        &self,
        operation: &Part<'_>,
        exchange: &Exchange<'_>,
    ) -> anyhow::Result<()> {
        let Some(request_body) = self.document.part(operation, "requestBody") else {
            let is_read = [Method::GET, Method::HEAD, Method::OPTIONS].contains(exchange.method);
            let body = String::from_utf8_lossy(exchange.request_body);
            let is_empty = ["", "{}"].contains(&body.trim_start_matches('\u{feff}').trim());
            ensure!(is_read || is_empty, "the call was accepted with an undocumented body");
            return Ok(());
        };
        if exchange.request_body.is_empty() && !request_body.is_required() {
            return Ok(());
        }
        let content =
            self.document.part(&request_body, "content").context("`content` is missing")?;
        let media_type = media_type(exchange.request_headers).unwrap_or_default();
        self.check_body(&content, &media_type, exchange.request_body)
            .context("the call was accepted with this body")
    }

    fn check_body(&self, content: &Part<'_>, media_type: &str, body: &[u8]) -> anyhow::Result<()> {
        let documented = self
            .document
            .part(content, media_type)
            .with_context(|| format!("the content type `{media_type}` is not documented"))?;
        let value = if media_type.ends_with("json") {
            read_json(body).context("it is not JSON")?
        } else {
            let text = std::str::from_utf8(body).context("it is not UTF-8")?;
            if media_type == "application/x-www-form-urlencoded" {
                let entries = form(text)?.into_iter().map(|(key, value)| (key, value.into()));
                Value::Object(entries.collect::<Map<_, _>>())
            } else {
                text.into()
            }
        };
        self.validate(&documented.schema(), &value)
    }

    fn check_parameters(
        &self,
        operation: &Part<'_>,
        in_path: &HashMap<String, String>,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> anyhow::Result<()> {
        let Some(parameters) = self.document.part(operation, "parameters") else { return Ok(()) };
        let n_parameters = parameters.value.as_array().map_or(0, Vec::len);
        let mut in_query: HashMap<_, _> = form(query.unwrap_or_default())?.into_iter().collect();
        let mut takes_query = false;
        for index in 0..n_parameters {
            let parameter = self
                .document
                .part(&parameters, &index.to_string())
                .context("a parameter is missing")?;
            let name = parameter.value["name"].as_str().context("a parameter has no name")?;
            let given = match parameter.value["in"].as_str() {
                Some("path") => in_path.get(name).cloned(),
                Some("query") => {
                    takes_query = true;
                    in_query.remove(name)
                }
                Some("header") => {
                    headers.get(name).map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned())
                }
                elsewhere => bail!("`{name}` is in {elsewhere:?}, where nobody looks"),
            };
            match given {
                Some(text) => self
                    .check_text(&parameter, &text)
                    .with_context(|| format!("the call was accepted with this `{name}`"))?,
                None => ensure!(!parameter.is_required(), "it was accepted without `{name}`"),
            }
        }
        // Undocumented parameters are allowed where the document says so: mail programs add some to
        // answer links.
        let takes_query = takes_query && operation.value["x-other-parameters"] != "ignored";
        let unknown: Vec<_> = in_query.keys().collect();
        ensure!(!takes_query || unknown.is_empty(), "it was accepted with unknown {unknown:?}");
        Ok(())
    }

    /// Checks a header or parameter. Both are text, whatever their type.
    fn check_text(&self, described: &Part<'_>, text: &str) -> anyhow::Result<()> {
        let pointer = described.schema();
        let as_text = self.validate(&pointer, &text.into());
        let Ok(value) = serde_json::from_str::<Value>(text) else { return as_text };
        as_text.or_else(|_| self.validate(&pointer, &value))
    }

    fn validator(&self, pointer: &str) -> anyhow::Result<Arc<Validator>> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = validators.get(pointer) {
            return Ok(Arc::clone(validator));
        }
        // A URI's fragment may not hold braces, and our paths do.
        let fragment = pointer.replace('{', "%7B").replace('}', "%7D");
        let validator = jsonschema::options()
            .with_registry(&self.registry)
            .should_validate_formats(true)
            .build(&json!({ "$ref": format!("{DOCUMENT_URI}#{fragment}") }))
            .with_context(|| format!("{pointer} is not a schema"))?;
        let validator = Arc::new(validator);
        validators.insert(pointer.to_owned(), Arc::clone(&validator));
        Ok(validator)
    }
}

/// The response body without its content encoding.
fn decoded<'a>(exchange: &Exchange<'a>) -> anyhow::Result<Cow<'a, [u8]>> {
    match exchange.response_headers.get(CONTENT_ENCODING) {
        None => Ok(Cow::Borrowed(exchange.response_body)),
        Some(encoding) => {
            ensure!(encoding == "gzip", "the content encoding {encoding:?} is not known");
            let mut body = Vec::new();
            GzDecoder::new(exchange.response_body).read_to_end(&mut body).context("no gzip")?;
            Ok(Cow::Owned(body))
        }
    }
}

fn keys(object: &Value) -> impl Iterator<Item = &String> {
    object.as_object().into_iter().flat_map(Map::keys)
}

/// The content type without its parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// Parses a form, which is encoded like a query.
fn form(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let uri: Uri = format!("/?{text}").parse().context("it is not a form")?;
    let Query(entries) = Query::try_from_uri(&uri).context("it is not a form")?;
    Ok(entries)
}
