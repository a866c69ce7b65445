//! The encoding of breakers.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    reader::{DecodeError, Reader},
};
use crate::domain::{
    Breaker, OpId,
    breaker::{Authority, Circuit, Endpoint, EndpointHealth, FAILURES_MAX},
};

/// Time from the latest write of a breaker to its deletion. It is far longer than the longest wait
/// of an open circuit.
const BREAKER_RETENTION: Duration = Duration::from_hours(24);

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum CircuitItem {
    Closed {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failed: Vec<u64>,
    },
    Open {
        until: i64,
        n_openings: u32,
    },
    Trial {
        by: u64,
        until: i64,
        n_openings: u32,
    },
}

#[derive(Serialize, Deserialize)]
struct EndpointItem {
    of: String,
    circuit: CircuitItem,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    slow: bool,
    changed_at: i64,
}

impl Item for Breaker {
    const NAME: &'static str = "a breaker";

    fn key(&self) -> Key {
        keys::breaker(self.account, &self.authority)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn immutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .text("account", self.account.to_string())
            .text("authority", self.authority.to_string())
    }

    fn mutable(&self, _: &Layout) -> Encoded {
        Encoded::default()
            .number("revision", self.revision.cast_signed())
            .json("connection", &CircuitItem::from(&self.connection))
            .flag("slow", self.is_slow)
            .json_list(
                "endpoints",
                &self.endpoints.iter().map(EndpointItem::from).collect::<Vec<_>>(),
            )
            .time("changed_at", self.changed_at)
            .ttl(Some(self.changed_at + BREAKER_RETENTION))
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            account: item.parsed("account")?,
            authority: Authority::from_text(item.text("authority")?),
            connection: item.json::<CircuitItem>("connection")?.try_into()?,
            is_slow: item.flag("slow")?,
            endpoints: item
                .optional_json::<Vec<EndpointItem>>("endpoints")?
                .unwrap_or_default()
                .into_iter()
                .map(EndpointItem::read)
                .collect::<Result<_, _>>()?,
            changed_at: item.time("changed_at")?,
            revision: item.number("revision")?,
        })
    }
}

impl From<(&Endpoint, &EndpointHealth)> for EndpointItem {
    fn from((endpoint, health): (&Endpoint, &EndpointHealth)) -> Self {
        Self {
            of: endpoint.to_string(),
            circuit: CircuitItem::from(&health.circuit),
            slow: health.is_slow,
            changed_at: health.changed_at.as_millisecond(),
        }
    }
}

impl EndpointItem {
    fn read(self) -> Result<(Endpoint, EndpointHealth), DecodeError> {
        let wrong = || DecodeError::of("endpoints");
        let changed_at = Timestamp::from_millisecond(self.changed_at).map_err(|_| wrong())?;
        let circuit = self.circuit.try_into()?;
        let health = EndpointHealth { circuit, is_slow: self.slow, changed_at };
        Ok((Endpoint::parse(&self.of).ok_or_else(wrong)?, health))
    }
}

impl From<&Circuit> for CircuitItem {
    fn from(circuit: &Circuit) -> Self {
        match circuit {
            Circuit::Closed { failed } => {
                Self::Closed { failed: failed.iter().map(|it| it.0).collect() }
            }
            Circuit::Open { until, n_openings } => {
                Self::Open { until: until.as_millisecond(), n_openings: *n_openings }
            }
            Circuit::Trial { by, until, n_openings } => {
                Self::Trial { by: by.0, until: until.as_millisecond(), n_openings: *n_openings }
            }
        }
    }
}

impl TryFrom<CircuitItem> for Circuit {
    type Error = DecodeError;

    fn try_from(item: CircuitItem) -> Result<Self, DecodeError> {
        let time = |it| Timestamp::from_millisecond(it).map_err(|_| DecodeError::of("connection"));
        Ok(match item {
            CircuitItem::Closed { failed } => {
                let failed = failed.into_iter().take(FAILURES_MAX - 1);
                Self::Closed { failed: failed.map(OpId).collect() }
            }
            CircuitItem::Open { until, n_openings } => {
                Self::Open { until: time(until)?, n_openings }
            }
            CircuitItem::Trial { by, until, n_openings } => {
                Self::Trial { by: OpId(by), until: time(until)?, n_openings }
            }
        })
    }
}
