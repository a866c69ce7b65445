//! Receivers of callbacks, and DNS for their names.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use answerback::{
    Promise,
    domain::{
        CallbackRules, CallbackUrl,
        profile::{self, Profile},
    },
    egress::{
        Failure, FailureKind, HeaderMap, Post, Receivers, Reply,
        mail::{Mail, MailFailure, SmtpReply},
    },
    signing::{verify_body, verify_standard, verify_timed},
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    fault::{CallKind, Fault},
    process::Process,
    seen::{Arrival, Came, Signature},
    slack,
    world::{State, since_epoch},
};

/// Delay before a network element sends a post a second time, in milliseconds.
const AGAIN: i64 = 100;
/// Valid ages of a signature, in seconds: a post may be 90 s late, and a clock 1 s off.
const AGES: RangeInclusive<i64> = -2..=95;
/// Longest latency to a receiver, in milliseconds.
const LATENCY: i64 = 40;

/// Behavior of a receiver for one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// It responds with this status after this many milliseconds.
    Answers(u16, u32),
    /// It responds with 503 and a `Retry-After` of this many seconds.
    AsksForPatience(u32),
    /// It receives the post and never responds.
    Hangs,
    /// It receives the post, and its response is cut off before its status.
    BreaksOff,
    /// It receives the post, and its response is cut off after this status.
    BreaksOffAfter(u16),
    /// It receives the post, and its response is larger than the limit.
    Floods,
    /// Its name does not resolve.
    HasNoName,
    /// Its name resolves to a private address.
    IsPrivate,
    /// It refuses connections.
    Refuses,
    /// It receives the post, and its response kills the sender's process.
    Kills,
}

/// Hosts of receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Each receiver has its own.
    Each,
    /// All receivers share one, with different paths.
    Shared,
}

/// A receiver.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    /// Its behaviors, attempt by attempt. After them it accepts.
    pub(crate) behaviours: VecDeque<Behaviour>,
    /// Its behaviors at the path for posted events, or those of Slack for other calls than messages and
    /// their updates.
    pub(crate) events: VecDeque<Behaviour>,
    /// It takes messages for people, and no callbacks.
    pub(crate) is_service: bool,
    /// Times after which mails that it takes come back, mail by mail. After them none does.
    pub(crate) bounces: VecDeque<Option<i64>>,
}

/// What one attempt at a receiver meets.
pub(crate) struct Encounter {
    pub(crate) spec: Behaviour,
    pub(crate) fault: Option<Fault>,
    pub(crate) latency: i64,
}

/// The effect of something that reaches its receiver.
pub(crate) type Arrives = Arc<dyn Fn(&mut State) + Send + Sync>;

impl Receiver {
    /// The behaviors at the path of this URL.
    fn at(&mut self, url: &CallbackUrl) -> &mut VecDeque<Behaviour> {
        if url.as_str().ends_with(EVENTS) { &mut self.events } else { &mut self.behaviours }
    }
}

/// End of the path for posted events.
const EVENTS: &str = "/events";

impl Hosts {
    /// URL of the receiver with this number.
    pub(crate) fn url(self, number: usize) -> String {
        format!("{}/hook", self.base(number))
    }

    /// URL of the receiver with this number for events that its sender posts.
    pub(crate) fn events_url(self, number: usize) -> String {
        format!("{}{EVENTS}", self.base(number))
    }

    fn base(self, number: usize) -> String {
        let host = match self {
            Self::Each => number,
            Self::Shared => 0,
        };
        format!("https://r{host}.example.com/{number}")
    }
}

/// Token for a receiver that expects no signature.
pub(crate) const TOKEN: &str = "a-token-of-the-receiver";

/// Number of the receiver with this URL.
fn number_of(url: &CallbackUrl) -> usize {
    let target = url.target();
    let number = target.split('/').nth(1).unwrap_or_default();
    number.parse().expect("our own paths")
}

impl Receivers for Process {
    fn check(&self, url: CallbackUrl) -> Promise<'_, Result<(), Failure>> {
        Box::pin(async move {
            let fault = self.next_fault(CallKind::Probe, &format!("resolves {}", url.host()));
            let latency = self.world.state().up_to(LATENCY);
            self.world.sleep(latency).await;
            match fault {
                None | Some(Fault::Twice) => Ok(()),
                Some(fault) if fault.is_crash() => self.perish("before a look-up").await,
                Some(Fault::AnswerLate(_) | Fault::DoneLate(_)) => {
                    self.world.sleep(5_000).await;
                    Err(Failure::new(FailureKind::Timeout, "no whole answer within 5 s"))
                }
                Some(_) => Err(Failure::new(FailureKind::Dns, "look-up: no answer")),
            }
        })
    }

    fn probe(&self, url: CallbackUrl, limit: Duration) -> Promise<'_, Result<u16, Failure>> {
        Box::pin(async move {
            let limit = i64::try_from(limit.as_millis()).expect("5 s");
            let number = number_of(&url);
            let (fault, spec, latency) = {
                let mut state = self.world.state();
                let what = || format!("{} probes {number}", self.name);
                let fault = state.next_fault(CallKind::Probe, what);
                let spec = state.receivers[number].at(&url).front().copied();
                (fault, spec.unwrap_or(Behaviour::Answers(200, 5)), 1 + state.up_to(LATENCY))
            };
            self.world.sleep(latency).await;
            match fault {
                None | Some(Fault::Twice) => (),
                Some(fault) if fault.is_crash() => return self.perish("in a probe").await,
                Some(Fault::AnswerLate(_) | Fault::DoneLate(_)) => {
                    self.world.sleep(limit - latency).await;
                    return Err(too_slow());
                }
                Some(_) => return Err(Failure::new(FailureKind::Connect, "no connection: reset")),
            }
            if let Some(failure) = unreached(spec) {
                return Err(failure);
            }
            // A probe does not kill its sender.
            let spec = if spec == Behaviour::Kills { Behaviour::BreaksOff } else { spec };
            match self.reply(spec, limit - latency).await {
                Ok(reply) | Err(Failure { reply: Some(reply), .. }) => Ok(reply.status),
                Err(failure) => Err(failure),
            }
        })
    }

    fn post(&self, post: Post) -> Promise<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            let world = &self.world;
            let number = number_of(&post.url);
            if slack::is_call(&post) {
                return self.call_slack(&post, number).await;
            }
            if world.state().receivers[number].is_service {
                return self.post_message(&post, number, arrival(&post, number)).await;
            }
            let limit = i64::try_from(post.timeout.as_millis()).expect("20 s");
            let delivery = text(&post.headers, "answerback-delivery");
            let attempt = text(&post.headers, "answerback-attempt");
            let what = || format!("{} posts {delivery} (attempt {attempt}) to {number}", self.name);
            let Encounter { spec, fault, latency } = self.meet(number, what, |it| it.at(&post.url));
            let sent = {
                let mut state = world.state();
                let at = state.now();
                state.seen.sent(at, self.name.clone(), &delivery, &attempt)
            };
            let arrives: Arrives = {
                let arrival = arrival(&post, number);
                Arc::new(move |state| arrive(state, arrival.clone()))
            };
            let answer = self.exchange(arrives, spec, fault, limit, latency).await;
            let mut state = world.state();
            let at = state.now();
            let came = Came::of(&answer);
            state.seen.came_back(sent, at, came);
            if let (Ok(_), Behaviour::AsksForPatience(seconds)) = (&answer, spec) {
                state.seen.posts[sent].asked_for = Some(seconds);
            }
            state.tell(|| format!("{} hears {came:?}", self.name));
            drop(state);
            answer
        })
    }

    fn mail(&self, mail: Mail) -> Promise<'_, Result<SmtpReply, MailFailure>> {
        Box::pin(self.mail_message(mail))
    }
}

impl Behaviour {
    /// The delay that it asks for, in seconds.
    pub(crate) fn patience(self) -> Option<u32> {
        match self {
            Self::AsksForPatience(seconds) => Some(seconds),
            _ => None,
        }
    }
}

/// The failure to reach a receiver that behaves like this.
fn unreached(spec: Behaviour) -> Option<Failure> {
    match spec {
        Behaviour::HasNoName => Some(Failure::new(FailureKind::Dns, "look-up: no such host")),
        Behaviour::IsPrivate => {
            let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
            assert!(!CallbackRules::strict().allows(address), "10.0.0.1 is private");
            Some(Failure::new(FailureKind::BlockedAddress, "it leads to 10.0.0.1"))
        }
        Behaviour::Refuses => Some(Failure::new(FailureKind::Connect, "no connection: refused")),
        Behaviour::Answers(..)
        | Behaviour::AsksForPatience(_)
        | Behaviour::Hangs
        | Behaviour::BreaksOff
        | Behaviour::BreaksOffAfter(_)
        | Behaviour::Floods
        | Behaviour::Kills => None,
    }
}

impl Process {
    /// Draws what an attempt at a receiver meets.
    pub(crate) fn meet(
        &self,
        number: usize,
        what: impl FnOnce() -> String,
        behaviours: impl FnOnce(&mut Receiver) -> &mut VecDeque<Behaviour>,
    ) -> Encounter {
        let mut state = self.world.state();
        let fault = state.next_fault(CallKind::Post, what);
        let is_reached =
            !matches!(fault, Some(Fault::FailsBefore | Fault::Out | Fault::CrashBefore));
        let behaviours = behaviours(&mut state.receivers[number]);
        let spec = if is_reached { behaviours.pop_front() } else { None };
        let spec = spec.unwrap_or(Behaviour::Answers(200, 5));
        state.tell(|| format!("receiver {number}: {spec:?}"));
        let latency = 1 + state.up_to(LATENCY);
        Encounter { spec, fault, latency }
    }

    /// Result of one attempt, within its timeout. What is sent `arrives`, maybe twice or late.
    pub(crate) async fn exchange(
        &self,
        arrives: Arrives,
        spec: Behaviour,
        fault: Option<Fault>,
        limit: i64,
        latency: i64,
    ) -> Result<Reply, Failure> {
        let world = &self.world;
        world.sleep(latency).await;
        if fault == Some(Fault::CrashBefore) {
            return self.perish("before a post").await;
        }
        let is_reached =
            !matches!(spec, Behaviour::HasNoName | Behaviour::IsPrivate | Behaviour::Refuses);
        if fault == Some(Fault::CrashAfter) && !is_reached {
            return self.perish("after a look-up").await;
        }
        if let Some(failure) = unreached(spec) {
            return Err(failure);
        }
        match fault {
            Some(Fault::FailsBefore | Fault::Out) => {
                return Err(Failure::new(FailureKind::Connect, "no connection: reset"));
            }
            Some(Fault::DoneLate(seconds)) => {
                let wait = i64::from(seconds) * 1_000 - latency;
                world.happen_later(wait, move |state| arrives(state));
                if i64::from(seconds) * 1_000 >= limit {
                    world.sleep(limit - latency).await;
                    return Err(too_slow());
                }
                world.sleep(wait).await;
            }
            Some(Fault::Twice) => {
                arrives(&mut world.state());
                world.happen_later(AGAIN, move |state| arrives(state));
            }
            _ => arrives(&mut world.state()),
        }
        match fault {
            Some(Fault::CrashAfter) => self.perish("after a post").await,
            Some(Fault::AnswerLost | Fault::OutAfter) => {
                return Err(Failure::new(FailureKind::Protocol, "no HTTP answer: reset"));
            }
            Some(Fault::AnswerLate(seconds)) => {
                let wait = i64::from(seconds) * 1_000;
                world.sleep(wait.min(limit - latency)).await;
                if wait >= limit - latency {
                    return Err(too_slow());
                }
            }
            _ => (),
        }
        self.reply(spec, limit - latency).await
    }

    /// The reply of a receiver that was reached, with `left` milliseconds for it.
    async fn reply(&self, spec: Behaviour, left: i64) -> Result<Reply, Failure> {
        let world = &self.world;
        let empty = |status| Reply { status, headers: Vec::new(), body: Vec::new() };
        match spec {
            Behaviour::Answers(status, milliseconds) => {
                let wait = i64::from(milliseconds);
                world.sleep(wait.min(left)).await;
                if wait < left { Ok(empty(status)) } else { Err(too_slow()) }
            }
            Behaviour::AsksForPatience(seconds) => {
                let headers = vec![("retry-after".to_owned(), seconds.to_string())];
                Ok(Reply { headers, ..empty(503) })
            }
            Behaviour::Hangs => {
                world.sleep(left).await;
                Err(too_slow())
            }
            Behaviour::Kills => self.perish("of an answer").await,
            Behaviour::BreaksOff => {
                Err(Failure::new(FailureKind::Protocol, "no HTTP answer: broken off"))
            }
            Behaviour::BreaksOffAfter(status) => {
                let failure = Failure::new(FailureKind::Protocol, "the body broke off");
                Err(Failure { reply: Some(empty(status)), ..failure })
            }
            Behaviour::Floods => {
                let failure = Failure::new(FailureKind::TooLarge, "the answer is too large");
                Err(Failure { reply: Some(empty(200)), ..failure })
            }
            Behaviour::HasNoName | Behaviour::IsPrivate | Behaviour::Refuses => {
                unreachable!("no receiver was reached")
            }
        }
    }
}

fn too_slow() -> Failure {
    Failure::new(FailureKind::Timeout, "no whole answer in time")
}

fn arrival(post: &Post, receiver: usize) -> Arrival {
    Arrival {
        at: 0,
        receiver,
        delivery: text(&post.headers, "answerback-delivery"),
        event_kind: text(&post.headers, "answerback-event"),
        body: post.body.clone(),
        signature: signature(&post.headers),
    }
}

/// The proof that a callback is genuine, from its headers.
fn signature(headers: &HeaderMap) -> Option<Signature> {
    let get = |name: &str| headers.contains_key(name).then(|| text(headers, name));
    Profile::ALL.into_iter().find_map(|it| match it.spec().signature {
        profile::Signature::Standard => Some(Signature::Standard {
            signatures: get("webhook-signature")?,
            id: get("webhook-id")?,
            second: get("webhook-timestamp")?,
        }),
        profile::Signature::Body { header } => get(header).map(Signature::Body),
        profile::Signature::Timed { header, unit, .. } => {
            get(header).map(|it| Signature::Timed(unit, it))
        }
        profile::Signature::None => get("authorization").map(Signature::Token),
    })
}

fn arrive(state: &mut State, mut arrival: Arrival) {
    arrival.at = state.now();
    let number = arrival.receiver;
    state.tell(|| format!("receiver {number} GETS {} of {}", arrival.event_kind, arrival.delivery));
    state.seen.arrived(arrival);
}

/// Returns true if a callback was signed with `secret`, not long before it arrived.
pub(crate) fn is_genuine(arrival: &Arrival, secret: &SecretString) -> bool {
    let secret = secret.expose_secret();
    let body = &arrival.body;
    let is_recent = |signed_at: i64| AGES.contains(&(since_epoch(arrival.at) / 1_000 - signed_at));
    match &arrival.signature {
        None => false,
        Some(Signature::Token(token)) => *token == format!("Bearer {TOKEN}"),
        Some(Signature::Body(signature)) => verify_body(secret, body, signature),
        Some(Signature::Timed(unit, signature)) => verify_timed(secret, body, signature)
            .and_then(|it| unit.timestamp(it))
            .is_some_and(|it| is_recent(it.as_second())),
        Some(Signature::Standard { id, second, signatures }) => {
            *id == arrival.delivery
                && second.parse().is_ok_and(is_recent)
                && verify_standard(secret, id, second, body, signatures)
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned()
}
