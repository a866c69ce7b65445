//! The services that take messages for people: chat programs, topics, mail servers and Amazon SES.
//!
//! They behave as receivers do, with the same faults. A mail server or SES that behaves like a receiver
//! with a certain status makes the reply of its own protocol with the same meaning.

use std::sync::Arc;

use answerback::{
    Promise,
    egress::{
        Failure, FailureKind, Post, Reply,
        mail::{Mail, MailFailure, SmtpReply, SmtpStage},
    },
    platform::ses::{MailService, SesError, SesErrorKind, SesMail},
};

use crate::{
    messengers::place_of,
    process::Process,
    queue,
    receiver::{Arrives, Behaviour, Encounter},
    seen::{Bounced, Came, Carried},
    slack::Shown,
    world::State,
};

/// Timeout of a call of Amazon SES, in milliseconds.
const SES_TIMEOUT: i64 = 5_000;
/// Time after which a mail that comes back had arrived, and was then reported as spam, in milliseconds.
const COMPLAINTS_AFTER: i64 = 3_000;
/// The part of an answer link before its token.
const LINK: &str = "https://answers.example.net/a/";

/// A message on its way to a service.
pub(crate) struct Letter {
    /// The identifier of the message.
    pub(crate) notification: String,
    /// The index of its way, if its service reports bounces.
    pub(crate) way: Option<usize>,
    /// Number of the service among all receivers.
    pub(crate) place: usize,
    /// The address of the recipient, if the service has to know it.
    pub(crate) to: Option<String>,
    /// Everything that the service gets.
    pub(crate) text: String,
    /// The time limit, in milliseconds.
    pub(crate) limit: i64,
    /// The post, if it is one whose signature counts.
    pub(crate) arrival: Option<crate::seen::Arrival>,
    /// The message as Slack shows it.
    pub(crate) copy: Option<Shown>,
}

impl Process {
    /// Gives a message to its service. `judge` says what the sender hears.
    pub(crate) async fn carry<T>(
        &self,
        letter: Letter,
        judge: impl FnOnce(Result<Reply, Failure>) -> (Came, T),
    ) -> T {
        let Letter { notification, way, place, to, text, limit, arrival, copy } = letter;
        let what = || format!("{} gives a message to {place}", self.name);
        let Encounter { spec, fault, latency } = self.meet(place, what, |it| &mut it.behaviours);
        let sent = {
            let mut state = self.world.state();
            let began_at = state.now();
            let process = self.name.clone();
            let is_http = to.is_none();
            state.seen.carried.push(Carried {
                process,
                notification,
                place,
                tokens: tokens(&text),
                to,
                began_at,
                heard: None,
                // Mail has no way to say it.
                asked_for: spec.patience().filter(|_| is_http),
                arrived_at: Vec::new(),
                arrival,
                ts: copy.as_ref().map(|it| it.ts.clone()),
            });
            state.seen.carried.len() - 1
        };
        let arrives: Arrives = Arc::new(move |state| {
            let at = state.now();
            state.tell(|| format!("service {place} GETS message {sent}"));
            state.seen.carried[sent].arrived_at.push(at);
            if is_refusal(spec) {
                return;
            }
            if let Some(way) = way {
                arrive_or_bounce(state, sent, way);
            }
            if let Some(copy) = &copy {
                state.seen.slack.post(copy.clone());
            }
        });
        let answer = self.exchange(arrives, spec, fault, limit, latency).await;
        let (came, result) = judge(answer);
        let mut state = self.world.state();
        let at = state.now();
        state.seen.carried[sent].heard = Some((at, came));
        state.tell(|| format!("{} hears {came:?} about message {sent}", self.name));
        result
    }

    /// Posts a message.
    pub(crate) async fn post_message(
        &self,
        post: &Post,
        place: usize,
        arrival: crate::seen::Arrival,
    ) -> Result<Reply, Failure> {
        let letter = Letter {
            notification: arrival.delivery.clone(),
            way: None,
            place,
            to: None,
            text: String::from_utf8_lossy(&post.body).into_owned(),
            limit: i64::try_from(post.timeout.as_millis()).expect("15 s"),
            arrival: Some(arrival),
            copy: None,
        };
        self.carry(letter, |answer| (Came::of(&answer), answer)).await
    }

    /// Gives a mail to a mail server.
    pub(crate) async fn mail_message(&self, mail: Mail) -> Result<SmtpReply, MailFailure> {
        let text = unfolded(&mail.raw);
        let letter = Letter {
            notification: message_id(&text),
            way: None,
            place: place_of(&mail.from),
            to: Some(mail.to),
            text,
            limit: i64::try_from(mail.timeout.as_millis()).expect("15 s"),
            arrival: None,
            copy: None,
        };
        self.carry(letter, |answer| match answer {
            Ok(reply) => {
                let status = Came::Status(reply.status);
                let reply = smtp_reply(reply.status);
                let is_taken = reply.code == 250;
                (status, if is_taken { Ok(reply) } else { Err(MailFailure::refused(reply)) })
            }
            Err(failure) => (Came::Nothing(failure.kind), Err(failure.into())),
        })
        .await
    }
}

impl MailService for Process {
    fn send(&self, mail: SesMail) -> Promise<'_, Result<String, SesError>> {
        Box::pin(async move {
            let letter = Letter {
                notification: mail.reference.notification.to_string(),
                way: Some(mail.reference.way),
                place: place_of(&mail.from),
                to: Some(mail.to),
                text: unfolded(&mail.raw),
                limit: SES_TIMEOUT,
                arrival: None,
                copy: None,
            };
            self.carry(letter, |answer| match answer {
                Ok(reply) => (Came::Status(reply.status), ses_reply(reply.status)),
                Err(failure) => (Came::Nothing(failure.kind), Err(unheard(failure.kind))),
            })
            .await
        })
    }
}

/// The reply of a mail server that behaves like a receiver with this status.
fn smtp_reply(status: u16) -> SmtpReply {
    let (code, stage) = match status {
        200..=299 => (250, SmtpStage::Data),
        401 | 403 | 404 | 410 => (535, SmtpStage::Login),
        429 | 503 => (451, SmtpStage::Recipient),
        300..=499 => (550, SmtpStage::Recipient),
        _ => (554, SmtpStage::Greeting),
    };
    SmtpReply { code, enhanced: None, stage }
}

/// The reply of Amazon SES if it behaves like a receiver with this status.
fn ses_reply(status: u16) -> Result<String, SesError> {
    let kind = match status {
        200..=299 => return Ok("an-id".to_owned()),
        429 | 503 => SesErrorKind::Throttled,
        300..=499 => SesErrorKind::Refused,
        _ => SesErrorKind::Unknown,
    };
    Err(SesError { kind, code: status.to_string() })
}

fn unheard(kind: FailureKind) -> SesError {
    SesError { kind: SesErrorKind::Unknown, code: format!("{kind:?}") }
}

/// A mail that SES took arrives or comes back, or both. Then the rule in `template.yaml` sends a hint.
fn arrive_or_bounce(state: &mut State, sent: usize, way: usize) {
    let Carried { place, notification, to, .. } = state.seen.carried[sent].clone();
    let bounces_after = state.receivers[place].bounces.pop_front().flatten();
    // A late one is a complaint.
    if bounces_after.is_none_or(|it| it > COMPLAINTS_AFTER) && state.up_to(9) < 7 {
        let after = state.up_to(COMPLAINTS_AFTER);
        state.tell(|| format!("message {sent} ARRIVES after {after} ms"));
        queue::report(state, "arrival", &notification, way, after);
        state.seen.mails_arrived.push((notification.clone(), way));
    }
    let Some(after) = bounces_after else { return };
    let at = state.now() + after;
    state.tell(|| format!("message {sent} BOUNCES after {after} ms"));
    queue::report(state, "bounce", &notification, way, after);
    state.seen.bounces.push(Bounced { notification, way, to: to.unwrap_or_default(), at });
}

/// A service that behaves like this takes no message.
pub(crate) fn is_refusal(spec: Behaviour) -> bool {
    matches!(
        spec,
        Behaviour::Answers(300.., _)
            | Behaviour::BreaksOffAfter(300..)
            | Behaviour::AsksForPatience(_)
    )
}

/// The identifier of the message that a mail names.
fn message_id(mail: &str) -> String {
    let rest = mail.split_once("Message-ID: <").map_or("", |it| it.1);
    rest.split('@').next().unwrap_or_default().to_owned()
}

/// A mail without its soft line breaks.
fn unfolded(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).replace("=\r\n", "")
}

/// The tokens of the answer links in a text, each once.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    for (at, _) in text.match_indices(LINK) {
        let rest = &text[at + LINK.len()..];
        let end = rest.find(|it: char| !it.is_ascii_alphanumeric()).unwrap_or(rest.len());
        if !tokens.iter().any(|it| it == &rest[..end]) {
            tokens.push(rest[..end].to_owned());
        }
    }
    tokens
}
