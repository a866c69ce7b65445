//! Checks the permissions of functions: a call that the template does not grant fails its test.
//!
//! A [`Judge`] looks at each outgoing call as AWS would see it:
//!
//! ```text
//! function ─▶ SDK ─▶ target and body ─▶ action and resource ─▶ granted? ─▶ emulated AWS
//!                                                                 └ no: the test fails
//! ```
//!
//! It records the calls, so that a test can compare them with all granted permissions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, bail};
use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, SharedInterceptor,
        interceptors::BeforeTransmitInterceptorContextRef,
    },
    error::BoxError,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use local::{
    TABLE,
    system::{Function, HINTS, SLOW_HINTS},
};
use local_aws::KMS_KEY_ARN;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::template::{Right, Template};

/// The granted and the used permissions of all functions. Clones share them.
#[derive(Clone, Debug)]
pub struct Judge(Arc<Case>);

#[derive(Debug)]
struct Case {
    granted: BTreeSet<Right>,
    /// Names of resources in the template, by local name.
    names: BTreeMap<String, String>,
    used: Mutex<BTreeSet<Right>>,
}

/// Checks the calls of one function.
#[derive(Debug)]
struct Eye {
    function: Function,
    judge: Judge,
}

/// The members of a call's body that name its resource.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Call {
    table_name: Option<String>,
    index_name: Option<String>,
    request_items: BTreeMap<String, Box<RawValue>>,
    queue_url: Option<String>,
    entries: Vec<Entry>,
    key_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    event_bus_name: Option<String>,
}

impl Judge {
    /// A judge for `template`, with or without a bus.
    pub fn new(template: &Template, bus: Option<&str>) -> anyhow::Result<Self> {
        let mut conditions = vec!["MakesSecretsKey"];
        conditions.extend(bus.map(|_| "HasEventBus"));
        let mut names = BTreeMap::new();
        for (name, variable) in [
            (Some(TABLE), "TABLE_NAME"),
            (Some(HINTS), "HINT_QUEUE_URL"),
            (Some(SLOW_HINTS), "SLOW_HINT_QUEUE_URL"),
            (Some(KMS_KEY_ARN), "SECRETS_KEY_ID"),
            (bus, "BUS_NAME"),
        ] {
            if let Some(name) = name {
                names.insert(name.to_owned(), template.named_by(variable)?);
            }
        }
        let granted = template.granted(&conditions)?;
        Ok(Self(Arc::new(Case { granted, names, used: Mutex::default() })))
    }

    /// The interceptor for the calls of this function.
    pub fn of(&self, function: Function) -> SharedInterceptor {
        SharedInterceptor::new(Eye { function, judge: self.clone() })
    }

    /// The permissions used so far.
    pub fn used(&self) -> BTreeSet<Right> {
        self.0.used.lock().expect("no holder panics").clone()
    }

    /// The action and resource of a call to `target` (`X-Amz-Target`) with this body.
    fn needed(&self, target: &str, body: &[u8]) -> anyhow::Result<(String, Vec<String>)> {
        let call: Call = serde_json::from_slice(body).context("the body of a call is JSON")?;
        let named = |name: Option<&String>| {
            let name = name.map_or("", |it| it.as_str());
            // A queue is called by its URL, which ends with its name.
            let name = if name.starts_with("http") { last(name) } else { name };
            let known = self.0.names.get(name).cloned();
            known.with_context(|| format!("no variable names `{name}`"))
        };
        let all = |names: Vec<Option<&String>>| names.into_iter().map(named).collect();
        let resources: anyhow::Result<Vec<String>> = match target.split_once('.') {
            Some(("DynamoDB_20120810", "Query")) if call.index_name.is_some() => {
                let table = named(call.table_name.as_ref())?;
                Ok(call.index_name.iter().map(|it| format!("{table}/index/{it}")).collect())
            }
            Some(("DynamoDB_20120810", "GetItem" | "PutItem" | "Query" | "UpdateItem")) => {
                all(vec![call.table_name.as_ref()])
            }
            Some(("DynamoDB_20120810", "BatchGetItem")) => {
                all(call.request_items.keys().map(Some).collect())
            }
            Some(("AmazonSQS", "SendMessageBatch")) => all(vec![call.queue_url.as_ref()]),
            Some(("AWSEvents", "PutEvents")) => {
                all(call.entries.iter().map(|it| it.event_bus_name.as_ref()).collect())
            }
            Some(("TrentService", "GenerateDataKey" | "Decrypt")) => {
                all(vec![call.key_id.as_ref()])
            }
            _ => bail!("nobody has said which right `{target}` takes"),
        };
        Ok((action(target), resources?))
    }
}

/// The IAM name of an action.
fn action(target: &str) -> String {
    let (service, operation) = target.split_once('.').unwrap_or_default();
    let service = match service {
        "DynamoDB_20120810" => "dynamodb",
        "AmazonSQS" => "sqs",
        "AWSEvents" => "events",
        "TrentService" => "kms",
        other => other,
    };
    // The only action with another name: a batch needs the permission of a single message.
    let operation = if operation == "SendMessageBatch" { "SendMessage" } else { operation };
    format!("{service}:{operation}")
}

fn last(url: &str) -> &str {
    url.rsplit_once('/').map_or(url, |it| it.1)
}

#[dyn_dispatch_hint]
impl Intercept for Eye {
    fn name(&self) -> &'static str {
        "Judge"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let needed = self.judge.needed(target, request.body().bytes().unwrap_or_default());
        let (action, resources) = needed.unwrap_or_else(|err| panic!("{target}: {err:#}"));
        for resource in resources {
            let right = Right { function: self.function, action: action.clone(), resource };
            // A panic, since functions swallow errors of calls that they can do without.
            assert!(self.judge.0.granted.contains(&right), "the template does not allow {right}");
            self.judge.0.used.lock().expect("no holder panics").insert(right);
        }
        Ok(())
    }
}
