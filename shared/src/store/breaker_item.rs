//! The encoding of breakers.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    item::{DecodeError, Encoded, Item, Layout, Reader},
    keys::{self, Key},
};
use crate::domain::{
    Breaker, OpId,
    breaker::{Authority, BreakerState, FAILURES_MAX},
};

/// Time from the latest write of a breaker to its deletion. It is far longer than the longest wait
/// of an open breaker.
const BREAKER_RETENTION: Duration = Duration::from_hours(24);

#[derive(Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum StateItem {
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
            .json("state", &StateItem::from(&self.state))
            .flag("slow", self.is_slow)
            .number("recovered_by", self.recovered_by.map(|it| it.0.cast_signed()))
            .time("changed_at", self.changed_at)
            .ttl(Some(self.changed_at + BREAKER_RETENTION))
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            account: item.parsed("account")?,
            authority: Authority::from_text(item.text("authority")?),
            state: item.json::<StateItem>("state")?.try_into()?,
            is_slow: item.flag("slow")?,
            recovered_by: item
                .optional_number("recovered_by")?
                .map(|it: i64| OpId(it.cast_unsigned())),
            changed_at: item.time("changed_at")?,
            revision: item.number("revision")?,
        })
    }
}

impl From<&BreakerState> for StateItem {
    fn from(state: &BreakerState) -> Self {
        match state {
            BreakerState::Closed { failed } => {
                Self::Closed { failed: failed.iter().map(|it| it.0).collect() }
            }
            BreakerState::Open { until, n_openings } => {
                Self::Open { until: until.as_millisecond(), n_openings: *n_openings }
            }
            BreakerState::Trial { by, until, n_openings } => {
                Self::Trial { by: by.0, until: until.as_millisecond(), n_openings: *n_openings }
            }
        }
    }
}

impl TryFrom<StateItem> for BreakerState {
    type Error = DecodeError;

    fn try_from(item: StateItem) -> Result<Self, DecodeError> {
        let time = |it| Timestamp::from_millisecond(it).map_err(|_| DecodeError::of("state"));
        Ok(match item {
            StateItem::Closed { failed } => {
                let failed = failed.into_iter().take(FAILURES_MAX - 1);
                Self::Closed { failed: failed.map(OpId).collect() }
            }
            StateItem::Open { until, n_openings } => Self::Open { until: time(until)?, n_openings },
            StateItem::Trial { by, until, n_openings } => {
                Self::Trial { by: OpId(by), until: time(until)?, n_openings }
            }
        })
    }
}
