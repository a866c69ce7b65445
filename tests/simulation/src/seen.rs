//! Outside view of a history: the responses to callers and the callbacks at receivers.

use answerback::{
    domain::profile::Unit,
    egress::{Failure, FailureKind, Reply},
};

use crate::{messengers::Change, page::SCANNED, slack::Workspace};

/// Everything that was observed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Calls, in the order of their ends.
    pub(crate) calls: Vec<Called>,
    /// Calls about webhooks; `request` is the number of the webhook.
    pub(crate) hook_calls: Vec<Called>,
    /// Calls that may have taken effect and got no response or a failure.
    pub(crate) unanswered: Vec<(usize, Want)>,
    /// Posts, in the order of their starts.
    pub(crate) posts: Vec<Sent>,
    /// Messages to people, in the order of their starts.
    pub(crate) carried: Vec<Carried>,
    /// Mails that came back.
    pub(crate) bounces: Vec<Bounced>,
    /// Messages, and the indexes of their ways, whose mails arrived.
    pub(crate) mails_arrived: Vec<(String, usize)>,
    /// Slack.
    pub(crate) slack: Workspace,
    /// Messages of the queue that were given up: no worker followed them.
    pub(crate) dead: Vec<String>,
    /// Calls of the owners of notifiers; `request` is the number of the notifier. Status 0: no response.
    pub(crate) changes: Vec<Called>,
    /// Callbacks that arrived at receivers.
    pub(crate) arrivals: Vec<Arrival>,
    /// Events that arrived at the event bus.
    pub(crate) published: Vec<Published>,
    /// Invocations of functions.
    pub(crate) invocations: Vec<Invocation>,
}

/// A caller's call with the function's response, even if the response was lost.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    /// Number of the scenario's request that it was about.
    pub(crate) request: usize,
    /// Purpose of the call.
    pub(crate) want: Want,
    /// Time of the call.
    pub(crate) began_at: i64,
    /// Time of the function's response.
    pub(crate) ended_at: i64,
    /// Status of the response.
    pub(crate) status: u16,
    /// Body of the response.
    pub(crate) body: serde_json::Value,
    /// True if the caller got the response.
    pub(crate) is_heard: bool,
    /// True if every call that the function made was reachable.
    pub(crate) is_whole: bool,
}

/// Purpose of a caller's call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Create,
    Answer {
        row: usize,
        option: &'static str,
    },
    /// A person's form.
    Form {
        row: usize,
        option: &'static str,
    },
    /// A scanner's form, which decides nothing if it is judged before `until`.
    Scan {
        row: usize,
        until: i64,
    },
    /// A visit of the answer page.
    Open,
    Cancel,
    /// The recipients are reminded under this idempotency key.
    Remind {
        key: String,
        /// Time of the first call.
        asked_at: i64,
    },
    Erase,
    View,
    Read,
    Acknowledge {
        receipt: String,
    },
    Redeliver {
        delivery: String,
    },
    Post {
        key: String,
    },
    /// An approval is used under this idempotency key.
    Consume {
        key: String,
    },
    /// A webhook's secret is rotated.
    Rotate,
    /// A webhook loses its event types.
    Narrow,
    /// A test event for a webhook.
    Trigger,
    /// An action of a notifier's owner.
    Change(Change),
}

/// A post, as its sender saw it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) process: String,
    pub(crate) delivery: String,
    pub(crate) attempt: u32,
    pub(crate) began_at: i64,
    /// Time and kind of the response, if the sender lived to get it.
    pub(crate) heard: Option<(i64, Came)>,
    /// The delay that the response asked for, in seconds.
    pub(crate) asked_for: Option<u32>,
}

/// A message to a person, as its sender saw it, and its arrivals.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    pub(crate) process: String,
    /// The identifier of the message.
    pub(crate) notification: String,
    /// Number of the service among all receivers.
    pub(crate) place: usize,
    /// The tokens of the links in it.
    pub(crate) tokens: Vec<String>,
    /// The recipient's address, if the service has to know it.
    pub(crate) to: Option<String>,
    pub(crate) began_at: i64,
    /// Time and kind of the reply, if the sender lived to get it.
    pub(crate) heard: Option<(i64, Came)>,
    /// The delay that the service asked for, in seconds.
    pub(crate) asked_for: Option<u32>,
    /// Times at which the service took it.
    pub(crate) arrived_at: Vec<i64>,
    /// The post, if it is one. The account's own system gets it signed.
    pub(crate) arrival: Option<Arrival>,
    /// The time by which Slack names it.
    pub(crate) ts: Option<String>,
}

/// A mail that came back.
#[derive(Clone, Debug)]
pub(crate) struct Bounced {
    /// The identifier of the message.
    pub(crate) notification: String,
    /// The index of the way by which it went.
    pub(crate) way: usize,
    /// The recipient's address.
    pub(crate) to: String,
    /// Time of the hint.
    pub(crate) at: i64,
}

/// Result of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// A response with this status.
    Status(u16),
    /// No complete response.
    Nothing(FailureKind),
}

/// A callback, as its receiver saw it.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: i64,
    pub(crate) receiver: usize,
    pub(crate) delivery: String,
    pub(crate) event_kind: String,
    pub(crate) body: Vec<u8>,
    /// Signature, if the callback has one.
    pub(crate) signature: Option<Signature>,
}

/// Signature of a callback.
#[derive(Clone, Debug)]
pub(crate) enum Signature {
    Standard {
        id: String,
        second: String,
        signatures: String,
    },
    Body(String),
    Timed(Unit, String),
    /// No signature but a token.
    Token(String),
}

/// An event on the bus.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) at: i64,
    pub(crate) kind: String,
    pub(crate) detail: String,
}

/// One invocation of a function.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) process: String,
    pub(crate) began_at: i64,
    pub(crate) ended_at: i64,
    /// True if the invocation completed and every call that it made was reachable.
    pub(crate) is_whole: bool,
}

impl Seen {
    pub(crate) fn sent(
        &mut self,
        began_at: i64,
        process: String,
        delivery: &str,
        attempt: &str,
    ) -> usize {
        let attempt = attempt.parse().expect("a number");
        let delivery = delivery.to_owned();
        self.posts.push(Sent {
            process,
            delivery,
            attempt,
            began_at,
            heard: None,
            asked_for: None,
        });
        self.posts.len() - 1
    }

    pub(crate) fn came_back(&mut self, sent: usize, at: i64, came: Came) {
        self.posts[sent].heard = Some((at, came));
    }

    pub(crate) fn arrived(&mut self, arrival: Arrival) {
        self.arrivals.push(arrival);
    }

    pub(crate) fn published(&mut self, at: i64, kind: &str, detail: &str) {
        let (kind, detail) = (kind.to_owned(), detail.to_owned());
        self.published.push(Published { at, kind, detail });
    }

    pub(crate) fn invoked(&mut self, process: &str, began_at: i64, ended_at: i64, is_whole: bool) {
        let process = process.to_owned();
        self.invocations.push(Invocation { process, began_at, ended_at, is_whole });
    }

    /// True if the invocation that sent this post completed and reached everything that it called.
    pub(crate) fn is_whole(&self, sent: &Sent) -> bool {
        self.was_whole(&sent.process, sent.began_at)
    }

    /// True if the invocation of `process` at this time completed and reached everything that it called.
    pub(crate) fn was_whole(&self, process: &str, at: i64) -> bool {
        self.invocations.iter().any(|it| {
            it.process == process && (it.began_at..=it.ended_at).contains(&at) && it.is_whole
        })
    }
}

impl Want {
    /// The purpose, for forms the answer that they record.
    pub(crate) fn effect(&self) -> Self {
        match self {
            Self::Form { row, option } => Self::Answer { row: *row, option },
            Self::Scan { row, .. } => Self::Answer { row: *row, option: SCANNED },
            other => other.clone(),
        }
    }
}

impl Came {
    /// The result of a post with this answer.
    pub(crate) fn of(answer: &Result<Reply, Failure>) -> Self {
        match answer {
            Ok(reply) | Err(Failure { reply: Some(reply), .. }) => Self::Status(reply.status),
            Err(failure) => Self::Nothing(failure.kind),
        }
    }

    pub(crate) fn is_accepted(self) -> bool {
        matches!(self, Self::Status(200..=299))
    }
}
