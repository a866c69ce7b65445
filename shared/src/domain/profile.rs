//! Delivery profiles: how a callback looks and behaves, as data.
//!
//! A receiver that was written for another product keeps working when its profile is chosen.

use jiff::Timestamp;

use super::{RequestEvent, retry::RetryPolicy};

/// A known way to make callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// [Standard Webhooks](https://www.standardwebhooks.com).
    Standard,
    /// As `NextKS`'s interactive notifications call back.
    NextKs,
    /// As Nextmv's webhooks tell of runs.
    Nextmv,
    /// As `NotifyNL` (and GOV.UK Notify) call back.
    Notify,
    /// As Ping calls back.
    Ping,
    /// As Noukai's signed webhooks tell of executions.
    Noukai,
}

/// What a [`Profile`] stands for.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// As it is written in the API.
    pub name: &'static str,
    /// What the body is made of.
    pub body: Body,
    /// How it is signed.
    pub signature: Signature,
    /// Headers beside those that every profile has.
    pub headers: &'static [(&'static str, Header)],
    /// Types of event that go by another name.
    pub event_names: &'static [(&'static str, &'static str)],
    /// Events of a request that are told unless others are asked for.
    pub events: &'static [RequestEvent],
    /// Types of event that a webhook is told of unless others are asked for.
    pub event_types: &'static [&'static str],
    /// The whole time for one attempt.
    pub timeout_seconds: u32,
    /// The delay before each retry.
    pub delays_seconds: &'static [u32],
    /// By how much of itself a delay may grow at random.
    pub jitter: f64,
    /// What ends a delivery at once; whatever else is not 2xx is retried. A redirection is never
    /// followed either way.
    pub permanent: Permanent,
}

/// What the body of a callback is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The event with its data in it.
    Envelope,
    /// The data alone.
    Data,
    /// What became of a request, in `NextKS`'s words.
    NextKs,
    /// One answer, in Ping's words.
    Ping,
    /// What became of an execution, and the rest of the data as its payload.
    Noukai,
}

/// How the body of a callback is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// `webhook-signature`, with the delivery's identifier and the second.
    Standard,
    /// `sha256=` and hexadecimal, of the body alone, with the current secret.
    Body {
        /// The header.
        header: &'static str,
    },
    /// `t=<time>,v1=<hexadecimal>`, of time, full stop and body.
    Timed {
        /// The header.
        header: &'static str,
        /// What the time counts.
        unit: Unit,
        /// How signatures with the previous secrets are marked while these live.
        previous: Previous,
    },
    /// Not at all: the receiver knows us by a bearer token.
    None,
}

/// What the time in a signature counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since the epoch.
    Seconds,
    /// Milliseconds since the epoch.
    Milliseconds,
}

/// How signatures with previous secrets are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// As `v1` too, after the current one's.
    Alike,
    /// The latest of them as `v2`.
    Apart,
}

/// What a header of a profile's own says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Which request the event is of.
    Request,
    /// The kind of event, as this profile calls it.
    EventName,
    /// The delivery's identifier, written as a UUID.
    DeliveryUuid,
    /// The second of the attempt.
    Second,
    /// Always the same.
    Text(&'static str),
}

/// What ends a delivery at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permanent {
    /// A redirection, and 410.
    RedirectOrGone,
    /// A redirection.
    Redirect,
    /// Nothing.
    Nothing,
    /// Any failure.
    Everything,
}

const SECOND: u32 = 1;
const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;

const STANDARD: Spec = Spec {
    name: "standard",
    body: Body::Envelope,
    signature: Signature::Standard,
    headers: &[],
    event_names: &[],
    events: &[RequestEvent::RequestFinished],
    event_types: &["*"],
    timeout_seconds: 20,
    delays_seconds: &[
        5 * SECOND,
        5 * MINUTE,
        30 * MINUTE,
        2 * HOUR,
        5 * HOUR,
        10 * HOUR,
        14 * HOUR,
        20 * HOUR,
        24 * HOUR,
    ],
    jitter: 0.2,
    permanent: Permanent::RedirectOrGone,
};

const NEXTKS: Spec = Spec {
    name: "nextks",
    body: Body::NextKs,
    signature: Signature::Body { header: "x-nextks-signature" },
    headers: &[("x-nextks-request-id", Header::Request)],
    event_types: &["request.finished"],
    timeout_seconds: 10,
    delays_seconds: &[MINUTE, MINUTE, MINUTE],
    jitter: 0.0,
    permanent: Permanent::Nothing,
    ..STANDARD
};

const NEXTMV: Spec = Spec {
    name: "nextmv",
    body: Body::Data,
    signature: Signature::Timed {
        header: "nextmv-signature",
        unit: Unit::Milliseconds,
        previous: Previous::Alike,
    },
    event_types: &["run.status"],
    timeout_seconds: 15,
    ..STANDARD
};

const NOTIFY: Spec = Spec {
    name: "notify",
    body: Body::Data,
    signature: Signature::None,
    event_types: &["notification.receipt", "message.received", "letter.returned"],
    timeout_seconds: 5,
    delays_seconds: &[5 * MINUTE, 5 * MINUTE, 5 * MINUTE, 5 * MINUTE, 5 * MINUTE],
    jitter: 0.0,
    permanent: Permanent::Nothing,
    ..STANDARD
};

const PING: Spec = Spec {
    name: "ping",
    body: Body::Ping,
    signature: Signature::Timed {
        header: "x-ping-signature",
        unit: Unit::Seconds,
        previous: Previous::Alike,
    },
    events: &[RequestEvent::RequestAnswered],
    event_types: &["request.answered"],
    timeout_seconds: 10,
    delays_seconds: &[],
    jitter: 0.0,
    permanent: Permanent::Everything,
    ..STANDARD
};

const NOUKAI: Spec = Spec {
    name: "noukai",
    body: Body::Noukai,
    signature: Signature::Timed {
        header: "x-noukai-signature",
        unit: Unit::Seconds,
        previous: Previous::Apart,
    },
    headers: &[
        ("x-noukai-event", Header::EventName),
        ("x-noukai-delivery", Header::DeliveryUuid),
        ("x-noukai-timestamp", Header::Second),
        ("user-agent", Header::Text("Noukai-Webhook/1.0")),
    ],
    event_names: &[("job.completed", "flow.completed"), ("job.failed", "flow.failed")],
    event_types: &["job.*"],
    delays_seconds: &[MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR],
    jitter: 0.0,
    permanent: Permanent::Redirect,
    ..STANDARD
};

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::NextKs, Self::Nextmv, Self::Notify, Self::Ping, Self::Noukai];

    /// What it stands for.
    pub fn spec(self) -> &'static Spec {
        match self {
            Self::Standard => &STANDARD,
            Self::NextKs => &NEXTKS,
            Self::Nextmv => &NEXTMV,
            Self::Notify => &NOTIFY,
            Self::Ping => &PING,
            Self::Noukai => &NOUKAI,
        }
    }

    /// The profile that is written so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.spec().name == name)
    }
}

impl Unit {
    /// The time at `now`, so counted.
    pub fn count(self, now: Timestamp) -> i64 {
        match self {
            Self::Seconds => now.as_second(),
            Self::Milliseconds => now.as_millisecond(),
        }
    }

    /// The time that is counted so; nothing where it is out of range.
    pub fn timestamp(self, count: i64) -> Option<Timestamp> {
        match self {
            Self::Seconds => Timestamp::from_second(count).ok(),
            Self::Milliseconds => Timestamp::from_millisecond(count).ok(),
        }
    }
}

impl Spec {
    /// Its retries.
    pub fn retry(&self) -> RetryPolicy {
        RetryPolicy { delays_seconds: self.delays_seconds.to_vec(), jitter: self.jitter }
    }

    /// What it calls the type of event that we call `ours`.
    pub fn event_name<'a>(&self, ours: &'a str) -> &'a str {
        self.event_names.iter().find(|it| it.0 == ours).map_or(ours, |it| it.1)
    }
}
