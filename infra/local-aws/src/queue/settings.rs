//! Settings of a queue and their defaults. AWS calls them attributes.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Error;
use crate::{ACCOUNT, REGION};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Settings {
    visibility_seconds: u32,
    delay_seconds: u32,
    wait_seconds: u32,
    retention_seconds: u32,
    pub(super) message_bytes_max: u32,
    pub(super) redrive: Option<Redrive>,
}

/// The dead-letter queue of messages that are received too often.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Redrive {
    pub(super) dead_letters: String,
    pub(super) receives_max: u32,
}

/// AWS accepts the count as a number and as a string.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    max_receive_count: Value,
}

/// A setting that is a number.
struct NumberSetting<'a> {
    name: &'static str,
    setting: &'a mut u32,
    /// The values that AWS accepts.
    range: RangeInclusive<u32>,
}

impl Default for Settings {
    /// The defaults that AWS documents.
    fn default() -> Self {
        Self {
            visibility_seconds: 30,
            delay_seconds: 0,
            wait_seconds: 0,
            retention_seconds: 4 * 24 * 60 * 60,
            message_bytes_max: 1024 * 1024,
            redrive: None,
        }
    }
}

impl Settings {
    pub(super) fn visibility(&self) -> Duration {
        Duration::from_secs(self.visibility_seconds.into())
    }

    pub(super) fn delay(&self) -> Duration {
        Duration::from_secs(self.delay_seconds.into())
    }

    pub(super) fn wait(&self) -> Duration {
        Duration::from_secs(self.wait_seconds.into())
    }

    pub(super) fn retention(&self) -> Duration {
        Duration::from_secs(self.retention_seconds.into())
    }

    /// Changes the settings named in `values`. `exists` reports if a queue of a name exists.
    pub(super) fn set(
        &mut self,
        values: &BTreeMap<String, String>,
        exists: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        for (name, value) in values {
            if name == REDRIVE {
                self.redrive = redrive(value, &exists)?;
                continue;
            }
            let NumberSetting { setting, range, name } =
                self.number(name).ok_or_else(|| Error::InvalidAttributeName(name.clone()))?;
            *setting = value.parse().ok().filter(|it| range.contains(it)).ok_or_else(|| {
                let reason = format!("Must be from {} to {}.", range.start(), range.end());
                Error::InvalidParameterValue { name, value: value.clone(), reason }
            })?;
        }
        Ok(())
    }

    /// All settings, under AWS's names.
    pub(super) fn all(&self) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::from([
            ("VisibilityTimeout", self.visibility_seconds.to_string()),
            ("DelaySeconds", self.delay_seconds.to_string()),
            ("ReceiveMessageWaitTimeSeconds", self.wait_seconds.to_string()),
            ("MessageRetentionPeriod", self.retention_seconds.to_string()),
            ("MaximumMessageSize", self.message_bytes_max.to_string()),
        ]);
        if let Some(Redrive { dead_letters, receives_max }) = &self.redrive {
            let policy = json!({
                "deadLetterTargetArn": arn(dead_letters),
                "maxReceiveCount": receives_max,
            });
            all.insert(REDRIVE, policy.to_string());
        }
        all
    }

    /// The numeric setting that AWS calls `name`.
    fn number(&mut self, name: &str) -> Option<NumberSetting<'_>> {
        let of = |name, setting, range| Some(NumberSetting { name, setting, range });
        match name {
            "VisibilityTimeout" => {
                of("VisibilityTimeout", &mut self.visibility_seconds, 0..=43_200)
            }
            "DelaySeconds" => of("DelaySeconds", &mut self.delay_seconds, 0..=900),
            "ReceiveMessageWaitTimeSeconds" => {
                of("ReceiveMessageWaitTimeSeconds", &mut self.wait_seconds, 0..=20)
            }
            "MessageRetentionPeriod" => {
                of("MessageRetentionPeriod", &mut self.retention_seconds, 60..=1_209_600)
            }
            "MaximumMessageSize" => {
                of("MaximumMessageSize", &mut self.message_bytes_max, 1024..=1_048_576)
            }
            _ => None,
        }
    }
}

const REDRIVE: &str = "RedrivePolicy";

/// The ARN of a queue.
pub(super) fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}

/// Parses a redrive policy. An empty one removes the policy.
fn redrive(value: &str, exists: impl Fn(&str) -> bool) -> Result<Option<Redrive>, Error> {
    if value.is_empty() {
        return Ok(None);
    }
    let invalid = |reason: &str| Error::InvalidParameterValue {
        name: REDRIVE,
        value: value.to_owned(),
        reason: reason.to_owned(),
    };
    let policy: RedrivePolicy = serde_json::from_str(value)
        .map_err(|_| invalid("Amazon SQS can't create the redrive policy, as it's not valid."))?;
    let receives_max = match &policy.max_receive_count {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|it| u32::try_from(it).ok()),
    };
    let receives_max = receives_max
        .filter(|it| (1..=1000).contains(it))
        .ok_or_else(|| invalid("Invalid value for maxReceiveCount."))?;
    let dead_letters = policy
        .dead_letter_target_arn
        .rsplit(':')
        .next()
        .filter(|it| exists(it))
        .ok_or_else(|| invalid("Dead letter target does not exist."))?;
    Ok(Some(Redrive { dead_letters: dead_letters.to_owned(), receives_max }))
}
