//! Delivery profiles: the form and behavior of callbacks, as data.
//!
//! A receiver that was written for another product keeps working with that product's profile. A
//! profile is one constant below: body, signature, headers, timeout, retries.

use jiff::Timestamp;

use super::{RequestEvent, Source, retry::RetryPolicy};

/// A profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// [Standard Webhooks](https://www.standardwebhooks.com).
    Standard,
    /// Callbacks of `NextKS`'s interactive notifications.
    NextKs,
    /// Webhooks of Nextmv about runs.
    Nextmv,
    /// Callbacks of `NotifyNL` and GOV.UK Notify.
    Notify,
    /// Callbacks of Ping.
    Ping,
    /// Signed webhooks of Noukai about executions.
    Noukai,
}

/// The rules of a [`Profile`].
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name in the API.
    pub name: &'static str,
    /// The content of the body.
    pub body: Body,
    /// The signature scheme.
    pub signature: Signature,
    /// Headers in addition to those of every profile.
    pub headers: &'static [(&'static str, Header)],
    /// Event types with another name: ours, and the profile's.
    pub event_names: &'static [(&'static str, &'static str)],
    /// Default events of a request's callback.
    pub events: &'static [RequestEvent],
    /// Default event types of a webhook.
    pub event_types: &'static [&'static str],
    /// The time limit of one attempt.
    pub timeout_seconds: u32,
    /// The delay before each retry.
    pub delays_seconds: &'static [u32],
    /// The largest random extension of a delay, as a part of it.
    pub jitter: f64,
    /// The responses that end a delivery at once. Other responses that are not 2xx are retried.
    /// Redirects are never followed.
    pub permanent: Permanent,
}

/// The content of a callback's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The event, with its data inside.
    Envelope,
    /// The data alone.
    Data,
    /// The outcome of a request, in `NextKS`'s form.
    NextKs,
    /// One answer, in Ping's form.
    Ping,
    /// The status of an execution, with the rest of the data as its payload.
    Noukai,
}

/// The signature scheme of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// `webhook-signature`, of the delivery's identifier, the second and the body.
    Standard,
    /// `sha256=<hexadecimal>`, of the body alone, with the oldest live secret.
    Body {
        /// The name of the header.
        header: &'static str,
    },
    /// `t=<time>,v1=<hexadecimal>`, of the time, a dot and the body.
    Timed {
        /// The name of the header.
        header: &'static str,
        /// The unit of the time.
        unit: Unit,
        /// The mark of signatures with previous secrets.
        previous: Previous,
    },
    /// No signature: the receiver authenticates us by a bearer token.
    None,
}

/// The unit of the time in a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since the epoch.
    Seconds,
    /// Milliseconds since the epoch.
    Milliseconds,
}

/// The mark of signatures with previous secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// All are marked `v1`, after the current one's.
    Alike,
    /// The latest is marked `v2`, and there are no others.
    Apart,
}

/// The value of a profile's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The request of the event.
    Request,
    /// The event type, under the profile's name.
    EventName,
    /// The delivery's identifier, in the form of a UUID.
    DeliveryUuid,
    /// The time of the attempt, in seconds since the epoch.
    Second,
    /// A fixed text.
    Text(&'static str),
}

/// The responses that end a delivery at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permanent {
    /// A redirect, or 410.
    RedirectOrGone,
    /// A redirect.
    Redirect,
    /// None.
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
    /// All profiles.
    pub const ALL: [Self; 6] =
        [Self::Standard, Self::NextKs, Self::Nextmv, Self::Notify, Self::Ping, Self::Noukai];

    /// Its rules.
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

    /// True if deliveries set this header under some profile, or if it has a profile's prefix
    /// (`x-<name>-`). `header` is in lower case.
    pub fn reserves(header: &str) -> bool {
        Self::ALL.into_iter().map(Self::spec).any(|spec| {
            let of_profile = header.strip_prefix("x-").and_then(|it| it.strip_prefix(spec.name));
            let of_signature = match spec.signature {
                Signature::Standard => header.starts_with("webhook-"),
                Signature::Body { header: name } | Signature::Timed { header: name, .. } => {
                    header == name
                }
                Signature::None => false,
            };
            of_signature
                || of_profile.is_some_and(|it| it.starts_with('-'))
                || spec.headers.iter().any(|it| it.0 == header)
        })
    }

    /// The profile with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.spec().name == name)
    }
}

impl Body {
    /// The only source that the body serves, or `None` if it serves both.
    ///
    /// A body that has no event type inside the signed bytes serves one source, so that no receiver
    /// takes one for the other.
    pub fn source(self) -> Option<Source> {
        match self {
            Self::NextKs | Self::Ping => Some(Source::Requests),
            Self::Data => Some(Source::Events),
            Self::Envelope | Self::Noukai => None,
        }
    }
}

impl Unit {
    /// `now` in this unit, since the epoch.
    pub fn count(self, now: Timestamp) -> i64 {
        match self {
            Self::Seconds => now.as_second(),
            Self::Milliseconds => now.as_millisecond(),
        }
    }

    /// The time of a count in this unit, or `None` if it is out of range.
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

    /// The body can tell of events of this source.
    pub fn serves(&self, source: Source) -> bool {
        self.body.source().is_none_or(|it| it == source)
    }

    /// The profile's name for the event type `ours`.
    pub fn event_name<'a>(&self, ours: &'a str) -> &'a str {
        self.event_names.iter().find(|it| it.0 == ours).map_or(ours, |it| it.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_profiles_are_reserved() {
        let set = ["webhook-id", "x-nextks-signature", "nextmv-signature", "x-ping-other"];
        assert!(set.into_iter().all(Profile::reserves));
        let free = ["x-team", "x-pingpong", "nextmv", "signature"];
        assert!(!free.into_iter().any(Profile::reserves));
    }
}
