//! The permissions in `template.yaml`.
//!
//! Each function has a separate role with an explicit policy. A statement allows actions on
//! resources, under a condition on the call, and is read as all combinations. Other parts of a
//! statement (denials, other conditions) are errors.
//!
//! | condition | is read as |
//! |-----------|------------|
//! | `ForAllValues:StringLike: {dynamodb:LeadingKeys: [req_*, …]}` | one [`Limit::Keys`] for each prefix |
//! | `ForAllValues:StringNotLike`, the same | one [`Limit::OtherKeys`] |
//! | `StringEquals: {kms:EncryptionContext:NAME: VALUE}` | one [`Limit::Context`] |

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::Path,
    sync::{Arc, LazyLock},
};

use anyhow::{Context as _, bail, ensure};
use local::system::Function;
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// Conditions of a deployment with all optional resources.
pub const EVERYTHING: [&str; 3] = ["HasEventBus", "HasSes", "MakesSecretsKey"];
/// The beginning of the ARN of a resource of SES. The rest is its name here.
const SES_ARN: &str = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:";
/// Actions that Lambda takes with the function's role to poll its queue.
const TO_BE_FED: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
/// Actions that Lambda takes with the function's role to write its log.
const TO_LOG: [&str; 2] = ["logs:CreateLogStream", "logs:PutLogEvents"];

/// A template. Clones share it.
#[derive(Clone, Debug)]
pub struct Template(Arc<Value>);

/// A permission of a function, granted or used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The function.
    pub function: Function,
    /// The IAM name of the action.
    pub action: String,
    /// The name of the resource in the template; for an index, the table and the index.
    pub resource: String,
    /// The calls that the permission is for.
    pub limit: Limit,
}

/// The calls that a permission is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// All calls.
    None,
    /// Calls for items whose partition key begins with this.
    Keys(String),
    /// Calls for items whose partition key begins with none of these.
    OtherKeys(Vec<String>),
    /// Calls with this member in their encryption context.
    Context(String, String),
}

impl Template {
    /// The template of this project.
    pub fn of_the_project() -> Self {
        static READ: LazyLock<Template> = LazyLock::new(|| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
            let text = fs::read_to_string(path).expect("the template");
            Template::parse(&text).expect("the template is valid")
        });
        READ.clone()
    }

    /// Parses a template.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let documents = Yaml::load_from_str(text)?;
        let [document] = documents.as_slice() else { bail!("not one document") };
        Ok(Self::from_json(json_of(document)?))
    }

    /// A template that was parsed and possibly changed.
    pub fn from_json(template: Value) -> Self {
        Self(Arc::new(template))
    }

    /// The template in the JSON of `CloudFormation`.
    pub fn as_json(&self) -> &Value {
        &self.0
    }

    /// The permissions of functions if exactly these conditions are true.
    pub fn granted(&self, is_true: &[&str]) -> anyhow::Result<BTreeSet<Right>> {
        let mut rights = BTreeSet::new();
        for (function, properties) in self.functions(is_true)? {
            ensure!(properties["Policies"].is_null(), "{function:?} has policies beside its role");
            let role = properties["Role"].as_str().context("a function has no role")?;
            let role = resolved(&self.0["Resources"][role], is_true)?;
            for policy in list(&role["Properties"]["Policies"]) {
                for statement in list(&policy["PolicyDocument"]["Statement"]) {
                    for Grant { action, resource, limit } in grants(statement)? {
                        rights.insert(Right { function, action, resource, limit });
                    }
                }
            }
        }
        Ok(rights)
    }

    /// Permissions that Lambda itself uses, and no function.
    pub fn used_by_lambda(&self) -> anyhow::Result<BTreeSet<Right>> {
        let mut rights = BTreeSet::new();
        for (function, properties) in self.functions(&EVERYTHING)? {
            let events = properties["Events"].as_object().context("a function has no events")?;
            let queues = events.values().filter(|it| it["Type"] == "SQS");
            let queues = queues.map(|it| (&it["Properties"]["Queue"], &TO_BE_FED[..]));
            let logs = [(&properties["LoggingConfig"]["LogGroup"], &TO_LOG[..])];
            for (resource, actions) in queues.chain(logs) {
                let resource = resource.as_str().context("a queue or log group has no name")?;
                for action in actions {
                    let (action, resource) = ((*action).to_owned(), resource.to_owned());
                    rights.insert(Right { function, action, resource, limit: Limit::None });
                }
            }
        }
        Ok(rights)
    }

    /// The resource that this environment variable of the functions names.
    pub fn named_by(&self, variable: &str) -> anyhow::Result<String> {
        let variables = &self.0["Globals"]["Function"]["Environment"]["Variables"];
        let value = resolved(&variables[variable], &EVERYTHING)?;
        value.as_str().map(str::to_owned).with_context(|| format!("`{variable}` is not set"))
    }

    /// The functions with their properties.
    fn functions(&self, is_true: &[&str]) -> anyhow::Result<Vec<(Function, Value)>> {
        let resources = self.0["Resources"].as_object().context("no resources")?;
        let functions = resources.iter().filter(|it| it.1["Type"] == "AWS::Serverless::Function");
        functions
            .map(|(name, it)| {
                let program = &it["Metadata"]["BuildProperties"]["Binary"];
                let function = Function::ALL.into_iter().find(|it| program == it.name());
                let function =
                    function.with_context(|| format!("{name} is no function of ours"))?;
                Ok((function, resolved(&it["Properties"], is_true)?))
            })
            .collect()
    }
}

/// One combination that a statement allows.
struct Grant {
    action: String,
    resource: String,
    limit: Limit,
}

/// All combinations that a statement allows.
fn grants(statement: &Value) -> anyhow::Result<Vec<Grant>> {
    let parts = statement.as_object().context("a statement is none")?;
    let names = ["Effect", "Action", "Resource", "Condition"];
    let known = parts.keys().all(|it| names.contains(&it.as_str()));
    ensure!(known && statement["Effect"] == "Allow", "only what is allowed is read: {statement}");
    let limits = match &statement["Condition"] {
        Value::Null => vec![Limit::None],
        condition => limits(condition).with_context(|| format!("the condition {condition}"))?,
    };
    let mut grants = Vec::new();
    for action in list(&statement["Action"]) {
        for resource in list(&statement["Resource"]) {
            for limit in limits.clone() {
                let text =
                    |it: &Value| it.as_str().map(str::to_owned).context("neither name nor ARN");
                grants.push(Grant { action: text(action)?, resource: text(resource)?, limit });
            }
        }
    }
    ensure!(!grants.is_empty(), "it allows nothing: {statement}");
    Ok(grants)
}

/// The calls that satisfy a condition.
fn limits(condition: &Value) -> anyhow::Result<Vec<Limit>> {
    let only = |value: &Value| {
        let mut members = value.as_object().into_iter().flatten();
        let member = members.next().map(|(name, it)| (name.clone(), it.clone()));
        member.filter(|_| members.next().is_none()).context("it has not one member")
    };
    let (operator, test) = only(condition)?;
    let (name, expected) = only(&test)?;
    match (operator.as_str(), name.strip_prefix("kms:EncryptionContext:")) {
        ("ForAllValues:StringLike", None) if name == "dynamodb:LeadingKeys" => {
            Ok(prefixes(&expected)?.into_iter().map(Limit::Keys).collect())
        }
        ("ForAllValues:StringNotLike", None) if name == "dynamodb:LeadingKeys" => {
            Ok(vec![Limit::OtherKeys(prefixes(&expected)?)])
        }
        ("StringEquals", Some(member)) => {
            let value = expected.as_str().context("a context has one value")?;
            Ok(vec![Limit::Context(member.to_owned(), value.to_owned())])
        }
        _ => bail!("it is not understood"),
    }
}

/// Patterns that are prefixes: `req_*`.
fn prefixes(patterns: &Value) -> anyhow::Result<Vec<String>> {
    let prefix = |it: &Value| {
        let prefix = it.as_str().and_then(|it| it.strip_suffix('*'));
        let prefix = prefix.filter(|it| !it.is_empty() && !it.contains(['*', '?', '$']));
        prefix.map(str::to_owned).context("a key is no prefix")
    };
    list(patterns).iter().map(prefix).collect()
}

/// The values of a list, or a single value.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(values) => values,
        one => std::slice::from_ref(one),
    }
}

/// The value with functions of `CloudFormation` evaluated; a resource becomes its name.
fn resolved(value: &Value, is_true: &[&str]) -> anyhow::Result<Value> {
    let parts = match value {
        Value::Object(parts) => parts,
        Value::Array(values) => {
            let values = values.iter().map(|it| resolved(it, is_true));
            let values: Vec<Value> = values.collect::<anyhow::Result<_>>()?;
            return Ok(values.into_iter().filter(|it| !it.is_null()).collect());
        }
        other => return Ok(other.clone()),
    };
    let function = parts.iter().next().filter(|_| parts.len() == 1);
    let Some((function, given)) = function.map(|(name, given)| (name.as_str(), given)) else {
        let parts = parts.iter().map(|(name, it)| Ok((name.clone(), resolved(it, is_true)?)));
        return Ok(Value::Object(parts.collect::<anyhow::Result<_>>()?));
    };
    Ok(match (function, given.as_str(), given.as_array().map(Vec::as_slice)) {
        ("Ref", Some("AWS::NoValue"), _) => Value::Null,
        ("Ref", Some(name), _) => name.into(),
        ("Fn::GetAtt", Some(it), _) => it.trim_end_matches(".Arn").into(),
        ("Fn::Sub", Some(it), _) if it.starts_with(SES_ARN) => {
            it[SES_ARN.len()..].replace("${", "").replace('}', "").into()
        }
        // A URL is nothing that rights are about.
        ("Fn::Sub", Some(it), _) if it.starts_with("https://") => it.into(),
        ("Fn::Sub", Some(it), _) => {
            let name = it.replace("${", "").replace(".Arn}", "");
            ensure!(!name.contains('}'), "only names and ARNs are put into text: `{it}`");
            name.into()
        }
        ("Fn::If", _, Some([condition, then, otherwise])) => {
            let condition = condition.as_str().context("a condition has a name")?;
            resolved(if is_true.contains(&condition) { then } else { otherwise }, is_true)?
        }
        (name, ..) if name.starts_with("Fn::") => bail!("`{name}` is not understood here"),
        (name, ..) => json!({ name: resolved(given, is_true)? }),
    })
}

/// The value with `!GetAtt` and similar tags spelled out, as in the JSON of `CloudFormation`.
fn json_of(yaml: &Yaml<'_>) -> anyhow::Result<Value> {
    Ok(match yaml {
        Yaml::Value(Scalar::String(text)) => text.as_ref().into(),
        Yaml::Value(Scalar::Integer(number)) => (*number).into(),
        Yaml::Value(Scalar::Boolean(it)) => (*it).into(),
        Yaml::Value(Scalar::FloatingPoint(number)) => number.into_inner().into(),
        Yaml::Sequence(values) => values.iter().map(json_of).collect::<anyhow::Result<_>>()?,
        Yaml::Mapping(parts) => {
            let parts = parts.iter().map(|(name, it)| {
                let name = name.as_str().context("a name is text")?;
                Ok((name.to_owned(), json_of(it).with_context(|| format!("in `{name}`"))?))
            });
            Value::Object(parts.collect::<anyhow::Result<Map<_, _>>>()?)
        }
        Yaml::Tagged(tag, value) => {
            let prefix = if tag.suffix == "Ref" { "" } else { "Fn::" };
            json!({ format!("{prefix}{}", tag.suffix): json_of(value)? })
        }
        other => bail!("neither text nor number, list nor map: {other:?}"),
    })
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} on {}", self.function.name(), self.action, self.resource)?;
        match &self.limit {
            Limit::None => Ok(()),
            Limit::Keys(prefix) => write!(f, " with {prefix}…"),
            Limit::OtherKeys(prefixes) => write!(f, " without {}…", prefixes.join("…, ")),
            Limit::Context(name, value) => write!(f, " with {name} = {value}"),
        }
    }
}
