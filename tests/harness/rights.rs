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

use crate::template::{Limit, Right, Template};

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

/// The end of the address that mails are sent to. The call has no `X-Amz-Target`.
const SEND_EMAIL: &str = "/v2/email/outbound-emails";
/// The actions that `SendEmail` with a raw message needs.
const SEND_EMAIL_ACTIONS: [&str; 2] = ["ses:SendEmail", "ses:SendRawEmail"];
/// The resources that it is checked against: the sender, and the configuration set.
const SEND_EMAIL_RESOURCES: &[&str] = &["identity/*", "configuration-set/SesConfigurationSet"];

/// Checks the calls of one function.
#[derive(Debug)]
struct Eye {
    function: Function,
    judge: Judge,
}

/// The members of a call's body that name its resource, and that conditions are about.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Call {
    table_name: Option<String>,
    index_name: Option<String>,
    request_items: BTreeMap<String, RequestItems>,
    queue_url: Option<String>,
    entries: Vec<Entry>,
    key_id: Option<String>,
    key: Option<PrimaryKey>,
    item: Option<PrimaryKey>,
    key_condition_expression: Option<String>,
    expression_attribute_values: BTreeMap<String, Attribute>,
    encryption_context: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RequestItems {
    keys: Vec<PrimaryKey>,
}

/// An item or its key. Only the partition key is read.
#[derive(Deserialize)]
struct PrimaryKey {
    pk: Attribute,
}

/// An attribute, if it is text.
#[derive(Deserialize)]
struct Attribute {
    #[serde(rename = "S")]
    text: Option<String>,
}

/// A call, as permissions are about it.
struct Needed {
    action: String,
    resources: Vec<String>,
    call: Call,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    event_bus_name: Option<String>,
}

impl Judge {
    /// A judge for `template`, with or without a bus.
    pub fn new(template: &Template, bus: Option<&str>) -> anyhow::Result<Self> {
        let mut conditions = vec!["HasSes", "MakesSecretsKey"];
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

    /// The permission that a call to `target` (`X-Amz-Target`) with this body needs.
    fn needed(&self, target: &str, body: &[u8]) -> anyhow::Result<Needed> {
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
        let resources = resources?;
        Ok(Needed { action: action(target), resources, call })
    }
}

impl Call {
    /// The partition keys that `dynamodb:LeadingKeys` has.
    fn leading_keys(&self) -> Vec<&str> {
        let items = self.request_items.values().flat_map(|it| &it.keys);
        let keys = items.chain(&self.key).chain(&self.item).map(|it| &it.pk);
        // A query begins with the partition key: `#pk = :pk AND …`.
        let condition = self.key_condition_expression.as_deref();
        let name = condition.and_then(|it| it.split(" AND ").next()?.split_once(" = "));
        let value = name.and_then(|(_, name)| self.expression_attribute_values.get(name));
        keys.chain(value).filter_map(|it| it.text.as_deref()).collect()
    }

    /// The parts of `granted` that allow this call. `None` if it is not allowed.
    fn allowed_by<'a>(&self, granted: &[&'a Right]) -> Option<Vec<&'a Right>> {
        if let Some(right) = granted.iter().find(|it| self.satisfies(&it.limit)) {
            return Some(vec![right]);
        }
        let keys = self.leading_keys();
        let allow = |key: &str| {
            let mut rights = granted.iter().copied();
            rights.find(|it| matches!(&it.limit, Limit::Keys(prefix) if key.starts_with(prefix)))
        };
        let rights: Option<Vec<&Right>> = keys.into_iter().map(allow).collect();
        rights.filter(|it| !it.is_empty())
    }

    /// The whole call satisfies a limit that is not about single keys.
    fn satisfies(&self, limit: &Limit) -> bool {
        match limit {
            Limit::None => true,
            Limit::Keys(_) => false,
            Limit::OtherKeys(prefixes) => {
                let keys = self.leading_keys();
                let is_other = |key: &&str| !prefixes.iter().any(|it| key.starts_with(&**it));
                !keys.is_empty() && keys.iter().all(is_other)
            }
            Limit::Context(name, value) => self.encryption_context.get(name) == Some(value),
        }
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
        if request.uri().ends_with(SEND_EMAIL) {
            for action in SEND_EMAIL_ACTIONS {
                self.judge_call(action, SEND_EMAIL_RESOURCES, &Call::default());
            }
            return Ok(());
        }
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let needed = self.judge.needed(target, request.body().bytes().unwrap_or_default());
        let Needed { action, resources, call } =
            needed.unwrap_or_else(|err| panic!("{target}: {err:#}"));
        let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
        self.judge_call(&action, &resources, &call);
        Ok(())
    }
}

impl Eye {
    /// Records the use of `action` on `resources`, or panics if the template does not allow it.
    fn judge_call(&self, action: &str, resources: &[&str], call: &Call) {
        for resource in resources {
            let is_it = |it: &&Right| {
                it.function == self.function && it.action == action && it.resource == *resource
            };
            let granted: Vec<&Right> = self.judge.0.granted.iter().filter(is_it).collect();
            // A panic, since functions swallow errors of calls that they can do without.
            let rights = call.allowed_by(&granted).unwrap_or_else(|| {
                let (name, keys) = (self.function.name(), call.leading_keys());
                panic!("the template does not allow {name}: {action} on {resource} ({keys:?})")
            });
            let mut used = self.judge.0.used.lock().expect("no holder panics");
            used.extend(rights.into_iter().cloned());
        }
    }
}
