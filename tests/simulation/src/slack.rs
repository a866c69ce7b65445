//! Slack: a workspace that takes messages of bots, and changes them. It keeps the copies that people see.
//!
//! It behaves as receivers do, with the same faults. With a certain status it makes the reply of Slack's
//! own protocol with the same meaning.
//!
//! <https://docs.slack.dev/apis/web-api>

use std::sync::Arc;

use answerback::{
    domain::DeliveryId,
    egress::{Failure, Post, Reply},
};
use serde_json::{Value, json};

use crate::{
    process::Process,
    receiver::{Arrives, Behaviour, Encounter},
    seen::{Arrival, Came},
    services::{Letter, is_refusal},
    taps::Tap,
    world::{State, since_epoch},
};

/// The workspace.
pub(crate) const TEAM: &str = "T0G9PQBBK";
/// The channel of notifiers that post into one.
pub(crate) const CHANNEL: &str = "C024BE91L";
/// The secret with which Slack signs its calls.
pub(crate) const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

/// Everything in Slack, and the calls of it and by it.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// The messages that people see.
    pub(crate) copies: Vec<Shown>,
    /// Calls other than those that post messages, in the order of their starts.
    pub(crate) calls: Vec<SlackCall>,
    /// The modals that were opened, by their triggers: their metadata.
    pub(crate) modals: Vec<(String, String)>,
    /// Updates of messages that do not exist.
    pub(crate) strays: Vec<String>,
    /// Calls by Slack, in the order of their ends.
    pub(crate) taps: Vec<Tapped>,
    n_posted: u32,
    n_presses: u32,
}

/// A message as people see it.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// Number of the service among all receivers.
    pub(crate) place: usize,
    pub(crate) channel: String,
    pub(crate) ts: String,
    /// The delivery that is this message.
    pub(crate) delivery: String,
    /// The values of the buttons that it was posted with.
    pub(crate) buttons: Vec<String>,
    /// It still has them.
    pub(crate) has_buttons: bool,
    /// Everything that it shows.
    pub(crate) text: String,
}

/// A call of Slack, as its sender saw it.
#[derive(Clone, Debug)]
pub(crate) struct SlackCall {
    pub(crate) process: String,
    /// Number of the service among all receivers.
    pub(crate) place: usize,
    pub(crate) what: Asked,
    pub(crate) began_at: i64,
    /// Time and kind of the reply, if the sender lived to get it.
    pub(crate) heard: Option<(i64, Came)>,
    /// Times at which it took effect.
    pub(crate) done_at: Vec<i64>,
}

/// The purpose of a call of Slack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The user with this address.
    LookUp { email: String },
    /// A message shows this from now on.
    Update { channel: String, ts: String, text: String },
    /// A modal.
    Open { trigger: String, metadata: String },
    /// A text that only the user who pressed a button sees.
    Reply,
}

/// A call by Slack with the function's response, even if the response was lost.
#[derive(Clone, Debug)]
pub(crate) struct Tapped {
    /// Number of the scenario's request.
    pub(crate) request: usize,
    pub(crate) row: usize,
    pub(crate) option: &'static str,
    /// The message.
    pub(crate) delivery: DeliveryId,
    /// Number of the notifier.
    pub(crate) notifier: usize,
    /// The way in which the button was pressed.
    pub(crate) how: Tap,
    /// Time of the press.
    pub(crate) pressed_at: i64,
    /// Time of the call.
    pub(crate) began_at: i64,
    /// Time of the function's response.
    pub(crate) ended_at: i64,
    /// The message was stored before the call.
    pub(crate) is_stored: bool,
    /// The response.
    pub(crate) response: Response,
    /// True if every call to AWS that the function made was reachable.
    pub(crate) is_whole: bool,
}

/// A function's response to Slack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// It was accepted, and the person was shown nothing.
    Silent,
    /// The person was shown a text, or would have been.
    Told,
    /// A modal was opened, or would have been.
    Opened,
    /// Another status than 200.
    Status(u16),
    /// The process died.
    Nothing,
}

/// The user with this e-mail address.
pub(crate) fn user_of(email: &str) -> String {
    let name = email.split('@').next().unwrap_or_default();
    let name = name.chars().filter(char::is_ascii_alphanumeric);
    format!("U0{}", name.collect::<String>().to_ascii_uppercase())
}

/// A time as Slack writes it.
pub(crate) fn ts(at: i64, micros: u32) -> String {
    let at = since_epoch(at);
    format!("{}.{:06}", at / 1_000, at % 1_000 * 1_000 + i64::from(micros % 1_000))
}

/// This post is a call of Slack.
pub(crate) fn is_call(post: &Post) -> bool {
    matches!(post.url.target().split('/').nth(2), Some("api" | "actions"))
}

impl Workspace {
    /// A number that no other press of a button has.
    pub(crate) fn next_press(&mut self) -> u32 {
        self.n_presses += 1;
        self.n_presses
    }

    /// The message is posted, maybe for the second time.
    pub(crate) fn post(&mut self, mut copy: Shown) {
        while self.copies.iter().any(|it| it.place == copy.place && it.ts == copy.ts) {
            copy.ts.push('1');
        }
        self.copies.push(copy);
    }

    fn take(&mut self, place: usize, what: &Asked) {
        match what {
            Asked::LookUp { .. } | Asked::Reply => (),
            Asked::Open { trigger, metadata } => {
                self.modals.push((trigger.clone(), metadata.clone()));
            }
            Asked::Update { channel, ts, text } => {
                let is_it =
                    |it: &&mut Shown| it.place == place && it.channel == *channel && it.ts == *ts;
                match self.copies.iter_mut().find(is_it) {
                    Some(copy) => {
                        copy.has_buttons = !buttons(text).is_empty();
                        copy.text.clone_from(text);
                    }
                    None => self.strays.push(ts.clone()),
                }
            }
        }
    }
}

impl Response {
    /// The function failed, so the person presses again.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Status(500..))
    }
}

impl SlackCall {
    /// It changes this message.
    pub(crate) fn updates(&self, copy: &Shown) -> bool {
        self.place == copy.place
            && matches!(&self.what, Asked::Update { channel, ts, .. } if *channel == copy.channel && *ts == copy.ts)
    }

    /// The text that it gives to a message.
    pub(crate) fn text(&self) -> &str {
        match &self.what {
            Asked::Update { text, .. } => text,
            Asked::LookUp { .. } | Asked::Open { .. } | Asked::Reply => "",
        }
    }
}

impl Process {
    /// Calls Slack.
    pub(crate) async fn call_slack(&self, post: &Post, place: usize) -> Result<Reply, Failure> {
        let target = post.url.target();
        let method = target.split('/').nth(3).unwrap_or_default();
        let text = String::from_utf8_lossy(&post.body).into_owned();
        let json: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let member = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let what = match method {
            "chat.postMessage" => return self.post_to_slack(post, place, &text, &json).await,
            "users.lookupByEmail" => {
                let mut form = url::form_urlencoded::parse(&post.body);
                let email = form.find(|it| it.0 == "email").map(|it| it.1.into_owned());
                Asked::LookUp { email: email.unwrap_or_default() }
            }
            "chat.update" => Asked::Update { channel: member("channel"), ts: member("ts"), text },
            "views.open" => {
                let metadata = json["view"]["private_metadata"].as_str().unwrap_or_default();
                Asked::Open { trigger: member("trigger_id"), metadata: metadata.to_owned() }
            }
            _ => Asked::Reply,
        };
        self.ask(post, place, what).await
    }

    async fn ask(&self, post: &Post, place: usize, what: Asked) -> Result<Reply, Failure> {
        let about = || format!("{} calls Slack {place}: {}", self.name, what.name());
        let is_update = matches!(what, Asked::Update { .. });
        let Encounter { spec, fault, latency } = self
            .meet(place, about, |it| if is_update { &mut it.behaviours } else { &mut it.events });
        let number = {
            let mut state = self.world.state();
            let began_at = state.now();
            let (process, what) = (self.name.clone(), what.clone());
            let calls = &mut state.seen.slack.calls;
            calls.push(SlackCall { process, place, what, began_at, heard: None, done_at: vec![] });
            calls.len() - 1
        };
        let accepted = match &what {
            Asked::LookUp { email } => json!({ "ok": true, "user": { "id": user_of(email) } }),
            Asked::Update { .. } | Asked::Open { .. } | Asked::Reply => json!({ "ok": true }),
        };
        let arrives: Arrives = Arc::new(move |state: &mut State| {
            let at = state.now();
            state.tell(|| format!("Slack {place} GETS {}", what.name()));
            if !is_refusal(spec) {
                state.seen.slack.calls[number].done_at.push(at);
                state.seen.slack.take(place, &what);
            }
        });
        let limit = i64::try_from(post.timeout.as_millis()).expect("15 s");
        let answer = self.exchange(arrives, spec, fault, limit, latency).await;
        let (came, answer) = in_its_words(answer, &accepted);
        let mut state = self.world.state();
        let at = state.now();
        state.seen.slack.calls[number].heard = Some((at, came));
        state.tell(|| format!("{} hears {came:?}", self.name));
        answer
    }

    /// Posts a message.
    async fn post_to_slack(
        &self,
        post: &Post,
        place: usize,
        text: &str,
        json: &Value,
    ) -> Result<Reply, Failure> {
        let channel = match json["channel"].as_str().unwrap_or_default() {
            user if user.starts_with('U') => format!("D{}", &user[1..]),
            channel => channel.to_owned(),
        };
        let ts = {
            let mut state = self.world.state();
            state.seen.slack.n_posted += 1;
            ts(state.now(), state.seen.slack.n_posted)
        };
        let buttons = buttons(text);
        let delivery = buttons.first().and_then(|it| it.split('.').nth(2)).unwrap_or_default();
        let delivery = delivery.to_owned();
        let accepted = json!({ "ok": true, "channel": channel, "ts": ts });
        let copy = Shown {
            place,
            channel,
            ts,
            delivery: delivery.clone(),
            buttons,
            has_buttons: true,
            text: text.to_owned(),
        };
        let letter = Letter {
            notification: notification_of(&delivery),
            way: None,
            place,
            to: None,
            text: text.to_owned(),
            limit: i64::try_from(post.timeout.as_millis()).expect("15 s"),
            arrival: None::<Arrival>,
            copy: Some(copy),
        };
        self.carry(letter, |answer| in_its_words(answer, &accepted)).await
    }
}

impl Asked {
    fn name(&self) -> &'static str {
        match self {
            Self::LookUp { .. } => "a look-up",
            Self::Update { .. } => "an update",
            Self::Open { .. } => "a modal",
            Self::Reply => "a reply",
        }
    }
}

fn notification_of(delivery: &str) -> String {
    let id: Option<answerback::domain::DeliveryId> = delivery.parse().ok();
    id.map_or_else(String::new, |it| answerback::domain::NotificationId(it).to_string())
}

/// The values of the buttons in a message.
fn buttons(message: &str) -> Vec<String> {
    let json: Value = serde_json::from_str(message).unwrap_or(Value::Null);
    let blocks = json["blocks"].as_array().into_iter().flatten();
    let elements = blocks.filter_map(|it| it["elements"].as_array()).flatten();
    elements.filter_map(|it| it["value"].as_str()).map(str::to_owned).collect()
}

/// The reply of Slack, if it behaves like a receiver that replies like this. What counts is at its
/// beginning, so it may be too large or broken off.
fn in_its_words(
    answer: Result<Reply, Failure>,
    accepted: &Value,
) -> (Came, Result<Reply, Failure>) {
    let came = Came::of(&answer);
    let reply = match answer {
        Ok(reply) | Err(Failure { reply: Some(reply), .. }) => reply,
        Err(failure) => return (came, Err(failure)),
    };
    let says = |body: &Value| Reply {
        status: 200,
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    };
    let refuses = |reason: &str| says(&json!({ "ok": false, "error": reason }));
    let reply = match reply.status {
        200..=299 => says(accepted),
        400 => refuses("channel_not_found"),
        401 | 403 => refuses("account_inactive"),
        410 => refuses("internal_error"),
        429 => refuses("ratelimited"),
        503 => Reply { status: 429, ..reply },
        _ => reply,
    };
    (came, Ok(reply))
}

/// Behavior of Slack for a call that is no message and no update.
pub(crate) fn other(chance: &mut rand_pcg::Pcg64Mcg) -> Behaviour {
    use rand::RngExt as _;
    match chance.random_range(0..40) {
        0..30 => Behaviour::Answers(200, chance.random_range(0..300)),
        30 | 31 => Behaviour::Answers(500, 5),
        32 | 33 => Behaviour::Answers(429, 5),
        34 => Behaviour::AsksForPatience(chance.random_range(0..100)),
        35 | 36 => Behaviour::BreaksOff,
        37 => Behaviour::Hangs,
        38 => Behaviour::Answers(400, 5),
        _ => Behaviour::Answers(403, 5),
    }
}
