//! What can be seen of a history from outside: what callers were told, and what receivers got.

use answerback::{domain::profile::Unit, egress::FailureKind};

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Calls, in the order of their ends.
    pub(crate) calls: Vec<Called>,
    /// Calls that may have been carried out, and were answered by nobody or with a failure.
    pub(crate) unanswered: Vec<(usize, Want)>,
    /// Posts, in the order of their beginnings.
    pub(crate) posts: Vec<Sent>,
    /// What arrived at receivers.
    pub(crate) arrivals: Vec<Arrival>,
    /// What arrived at the event bus.
    pub(crate) published: Vec<Published>,
    /// What ran.
    pub(crate) invocations: Vec<Invocation>,
}

/// A call of a caller's that a function answered, whether the caller heard it or not.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    /// Which of the scenario's requests it was about.
    pub(crate) request: usize,
    /// What was wanted.
    pub(crate) want: Want,
    /// When it began.
    pub(crate) began_at: i64,
    /// When the function had answered.
    pub(crate) ended_at: i64,
    /// The status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: serde_json::Value,
    /// Whether the caller got the answer.
    pub(crate) is_heard: bool,
    /// Whether nothing that the function called was out of its reach.
    pub(crate) is_whole: bool,
}

/// What a caller wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    Create,
    Answer { row: usize, option: &'static str },
    Cancel,
    Erase,
    View,
    Read,
    Acknowledge { receipt: String },
    Redeliver { delivery: String },
    Post { key: String },
}

/// A post, as its sender saw it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) process: String,
    pub(crate) delivery: String,
    pub(crate) attempt: u32,
    pub(crate) began_at: i64,
    /// When and what the sender heard, if it lived to.
    pub(crate) heard: Option<(i64, Came)>,
}

/// What came of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// An answer with this status.
    Status(u16),
    /// No whole answer.
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
    /// How it was signed, if it was.
    pub(crate) signature: Option<Signature>,
}

/// How a callback was signed.
#[derive(Clone, Debug)]
pub(crate) enum Signature {
    Standard {
        id: String,
        second: String,
        signatures: String,
    },
    Body(String),
    Timed(Unit, String),
    /// Not signed, but sent with a token.
    Token(String),
}

/// An event on the bus.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) at: i64,
    pub(crate) kind: String,
    pub(crate) detail: String,
}

/// One run of a function.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) process: String,
    pub(crate) began_at: i64,
    pub(crate) ended_at: i64,
    /// Whether it lived to its end, and nothing that it called was out of its reach.
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
        self.posts.push(Sent { process, delivery, attempt, began_at, heard: None });
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

    /// Whether the invocation that sent this lived to its end, and reached all that it called.
    pub(crate) fn is_whole(&self, sent: &Sent) -> bool {
        self.invocations.iter().any(|it| {
            it.process == sent.process
                && (it.began_at..=it.ended_at).contains(&sent.began_at)
                && it.is_whole
        })
    }
}

impl Came {
    pub(crate) fn is_accepted(self) -> bool {
        matches!(self, Self::Status(200..=299))
    }
}
