//! People in Slack: recipients press buttons of the copies that they see. Others press in their place, and
//! calls of Slack are replayed.

use answerback::{
    domain::{Delivery, DeliveryId, Request as Asked, RequestId},
    signing::sign_as_slack,
    store::{Item, Key, keys},
};
use axum::{
    body::{Body, Bytes},
    http::Request,
};
use futures::FutureExt as _;
use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};
use std::sync::Arc;

use crate::{
    caller::{Caller, Known},
    fault::{CallKind, Fault},
    fleet::{self, Http},
    messengers::{Messenger, Service},
    process::Process,
    scenario::{Action, Plan, What},
    seen::{Called, Want},
    slack::{self, Response, Shown, TEAM, Tapped, user_of},
    world::since_epoch,
};

/// Separates the random numbers of people in Slack from others of the same seed.
const TAPS: u64 = 0x5441_5053;
/// Longest latency from Slack, in milliseconds.
const LATENCY: i64 = 20;
/// Pause before a person looks for a message again, in milliseconds.
const PATIENCE: i64 = 3_000;
/// Times that a person looks for a message, or presses a button.
const TRIES_MAX: u32 = 3;
/// Pause before a person presses a button again, in milliseconds.
const PAUSE: i64 = 4_000;
/// Time that a person takes for a modal, in milliseconds.
const WRITING: i64 = 2_000;

/// The way in which a button is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tap {
    /// By the recipient.
    Once,
    /// By the recipient, twice at once.
    Twice,
    /// By the recipient, and the same call comes again after this many milliseconds.
    Replayed(i64),
    /// By another user.
    Stranger,
    /// By a user of another workspace with the same identifier.
    Foreigner,
    /// By the recipient, in another channel.
    Elsewhere,
}

/// A person, and the button.
struct Finger<'a> {
    row: usize,
    option: &'static str,
    how: Tap,
    copy: &'a Shown,
    /// The value of the button.
    value: String,
    /// The user of the recipient.
    user: String,
}

/// A call by Slack before it is made.
#[derive(Clone)]
struct Signed {
    path: String,
    second: String,
    signature: String,
    body: Bytes,
    tapped: Tapped,
}

/// The source of random numbers for people in Slack of this seed.
pub(crate) fn chance(seed: u64) -> Pcg64Mcg {
    rand::SeedableRng::seed_from_u64(seed ^ TAPS)
}

/// Adds presses of buttons to a request in a scenario with Slack.
pub(crate) fn tap(chance: &mut Pcg64Mcg, messengers: &[Messenger], plan: &mut Plan) {
    let has_slack = messengers.iter().any(|it| matches!(it.service, Service::Slack(_)));
    let n_rows = plan.body["recipients"].as_array().map_or(0, Vec::len);
    if !has_slack || n_rows == 0 {
        return;
    }
    let timeout = plan.body["timeout_seconds"].as_i64().unwrap_or(60) * 1_000;
    for _ in 0..chance.random_range(1..6) {
        let at = match chance.random_range(0..4) {
            0 => chance.random_range(0..timeout),
            1 => chance.random_range(0..timeout.min(20_000)),
            2 => chance.random_range(0..timeout.min(400_000)),
            _ => timeout + chance.random_range(-3_000..30_000),
        };
        let option = if chance.random_bool(0.6) { "yes" } else { "no" };
        let how = match chance.random_range(0..12) {
            0..4 => Tap::Once,
            4 => Tap::Twice,
            5 | 6 => Tap::Replayed(chance.random_range(500..20_000)),
            7 => Tap::Replayed(chance.random_range(20_000..290_000)),
            8 => Tap::Replayed(chance.random_range(304_000..900_000)),
            9 => Tap::Stranger,
            10 => Tap::Foreigner,
            _ => Tap::Elsewhere,
        };
        let what = What::Tap(chance.random_range(0..n_rows), option, how);
        plan.actions.push(Action { at, what });
    }
    plan.actions.sort_by_key(|it| it.at);
}

impl Tap {
    /// The recipient presses the button of their own message.
    pub(crate) fn is_genuine(self) -> bool {
        match self {
            Self::Once | Self::Twice | Self::Replayed(_) => true,
            Self::Stranger | Self::Foreigner | Self::Elsewhere => false,
        }
    }
}

impl Caller {
    /// A person presses the button of an option in a copy that they see.
    pub(crate) async fn tap(&self, known: &Known, row: usize, option: &'static str, how: Tap) {
        let world = &self.fleet.world;
        let mut found = self.copy_for(known, row);
        for _ in 1..TRIES_MAX {
            if found.is_none() {
                world.sleep(PATIENCE).await;
                found = self.copy_for(known, row);
            }
        }
        let Some((copy, email)) = found else { return };
        let index = if option == "yes" { ".0" } else { ".1" };
        let Some(value) = copy.buttons.iter().find(|it| it.ends_with(index)).cloned() else {
            return;
        };
        let user = user_of(&email);
        let finger = Finger { row, option, how, copy: &copy, value, user };
        match how {
            Tap::Twice => {
                futures::join!(self.press(&finger), self.press(&finger));
            }
            Tap::Replayed(after) => {
                let last = self.press(&finger).await;
                world.sleep(after).await;
                self.call_as_slack(&last).await;
            }
            Tap::Stranger | Tap::Foreigner => {
                self.press(&finger).await;
                let metadata = format!("{}/0", finger.value);
                self.submit(&finger, &metadata).await;
            }
            Tap::Once | Tap::Elsewhere => _ = self.press(&finger).await,
        }
    }

    /// A message to the recipient of a row, and the recipient's address.
    fn copy_for(&self, known: &Known, row: usize) -> Option<(Shown, String)> {
        let id: RequestId = known.id.parse().ok()?;
        let request: Asked = self.item(keys::request(id))?;
        let recipient = request.question.recipients.get(row);
        let email = recipient.map(|it| it.email.as_given().to_owned());
        let email = email.or_else(|| known.recipients.get(row).cloned().flatten())?;
        let mut state = self.fleet.world.state();
        let is_of = |it: &&Shown| {
            it.delivery.parse().is_ok_and(|it: DeliveryId| {
                it.event().request() == Some(id) && request.is_message(it, row)
            })
        };
        let copies: Vec<Shown> = state.seen.slack.copies.iter().filter(is_of).cloned().collect();
        let last = i64::try_from(copies.len()).ok()? - 1;
        let place = usize::try_from(state.up_to(last)).ok()?;
        Some((copies.get(place)?.clone(), email))
    }

    /// The stored item at `key`.
    fn item<T: Item>(&self, key: Key) -> Option<T> {
        let store = fleet::store(&Arc::new(Process::outside(&self.fleet.world)));
        let found = store.get(key).now_or_never().expect("the operator's calls succeed at once");
        found.expect("what the functions wrote can be read")
    }

    /// Presses a button until there is a response, and fills in the modal that opens. Returns the last
    /// call.
    async fn press(&self, finger: &Finger<'_>) -> Signed {
        let world = &self.fleet.world;
        let mut n_tries = 0;
        loop {
            n_tries += 1;
            let number = world.state().seen.slack.next_press();
            let trigger = number.to_string();
            let press = self.sign(finger, &press(finger, world.now(), number));
            let response = self.call_as_slack(&press).await;
            let modal = {
                let state = world.state();
                let modals = &state.seen.slack.modals;
                modals.iter().find(|it| it.0 == trigger).map(|it| it.1.clone())
            };
            if let Some(metadata) = modal {
                world.sleep(WRITING).await;
                return self.submit(finger, &metadata).await;
            }
            let is_over = response.is_some_and(|it| it != Response::Nothing && !it.is_failure());
            if is_over || n_tries == TRIES_MAX {
                return press;
            }
            world.sleep(PAUSE).await;
        }
    }

    /// Sends a modal without any text.
    async fn submit(&self, finger: &Finger<'_>, metadata: &str) -> Signed {
        let (user, team) = finger.person();
        let payload = json!({
            "type": "view_submission",
            "user": { "id": user },
            "team": { "id": team },
            "view": { "private_metadata": metadata, "state": { "values": {} } },
        });
        let sent = self.sign(finger, &payload);
        self.call_as_slack(&sent).await;
        sent
    }

    fn sign(&self, finger: &Finger<'_>, payload: &Value) -> Signed {
        let now = self.fleet.world.now();
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let body = form.append_pair("payload", &payload.to_string()).finish();
        let second = (since_epoch(now) / 1_000).to_string();
        let signature = sign_as_slack(&slack::SIGNING_SECRET.into(), &second, body.as_bytes());
        let notifier = finger.copy.place - self.first_messenger;
        Signed {
            path: format!("/v1/slack/{}", Messenger::id(notifier)),
            second,
            signature,
            body: body.into(),
            tapped: Tapped {
                request: self.number,
                row: finger.row,
                option: finger.option,
                delivery: finger.copy.delivery.parse().expect("it was found by it"),
                notifier,
                how: finger.how,
                pressed_at: now,
                began_at: 0,
                ended_at: 0,
                is_stored: false,
                response: Response::Nothing,
                is_whole: false,
            },
        }
    }

    /// Makes a call once. Returns `None` if no response arrives.
    async fn call_as_slack(&self, press: &Signed) -> Option<Response> {
        let world = &self.fleet.world;
        let (fault, latency) = {
            let mut state = world.state();
            let Tapped { row, option, how, .. } = press.tapped;
            let what = || format!("Slack {}: row {row} presses {option} ({how:?})", self.number);
            (state.next_fault(CallKind::Caller, what), state.up_to(LATENCY))
        };
        world.sleep(latency).await;
        match fault {
            Some(Fault::FailsBefore | Fault::CrashBefore | Fault::Out) => return None,
            Some(Fault::DoneLate(seconds)) => world.sleep(i64::from(seconds) * 1_000).await,
            Some(Fault::Twice) => {
                let (caller, press) = (self.clone(), press.clone());
                let after = world.state().up_to(100);
                world.later(after, async move { _ = caller.answer_tap(press).await });
            }
            _ => (),
        }
        let is_lost = matches!(
            fault,
            Some(Fault::AnswerLost | Fault::CrashAfter | Fault::OutAfter | Fault::DoneLate(_))
        );
        let response = self.answer_tap(press.clone()).await;
        if let Some(Fault::AnswerLate(seconds)) = fault {
            world.sleep(i64::from(seconds) * 1_000).await;
        }
        Some(response).filter(|_| !is_lost)
    }

    async fn answer_tap(&self, press: Signed) -> Response {
        let world = &self.fleet.world;
        let is_stored = self.item::<Delivery>(keys::delivery(press.tapped.delivery)).is_some();
        let began_at = world.now();
        let request = Request::builder()
            .method("POST")
            .uri(press.path)
            .header("host", "answers.example.net")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-slack-request-timestamp", press.second)
            .header("x-slack-signature", press.signature)
            .body(Body::from(press.body))
            .expect("a valid request");
        let answer = self.fleet.http(Http::Intake, request).await;
        let mut state = world.state();
        let ended_at = state.now();
        // Nothing happened since it ended.
        let invocation = state.seen.invocations.last().expect("it has just ended").clone();
        let calls = state.seen.slack.calls.iter();
        let calls = calls
            .filter(|it| it.process == invocation.process && it.began_at >= invocation.began_at);
        let (mut has_reply, mut has_modal) = (false, false);
        for call in calls {
            match call.what {
                slack::Asked::Reply => has_reply = true,
                slack::Asked::Open { .. } => has_modal = true,
                slack::Asked::LookUp { .. } | slack::Asked::Update { .. } => (),
            }
        }
        let response = match &answer {
            None => Response::Nothing,
            Some(((status, _), _)) if status.as_u16() != 200 => Response::Status(status.as_u16()),
            Some(((_, body), _)) if has_reply || !body.is_empty() => Response::Told,
            Some(_) if has_modal => Response::Opened,
            Some(_) => Response::Silent,
        };
        let is_whole = answer.is_some_and(|it| it.1);
        let tapped = Tapped { began_at, ended_at, is_stored, response, is_whole, ..press.tapped };
        let Tapped { row, option, how, .. } = tapped;
        state.tell(|| format!("Slack {}: {response:?}", self.number));
        let want = Want::Answer { row, option };
        if how.is_genuine() && response == Response::Silent {
            // The answer was recorded.
            state.seen.calls.push(Called {
                request: self.number,
                want,
                began_at,
                ended_at,
                status: 200,
                body: Value::Null,
                is_heard: true,
                is_whole,
            });
        } else if how.is_genuine() && (response == Response::Nothing || response.is_failure()) {
            state.seen.unanswered.push((self.number, want));
        }
        state.seen.slack.taps.push(tapped);
        response
    }
}

impl Finger<'_> {
    /// The user who presses, and the workspace.
    fn person(&self) -> (&str, &'static str) {
        match self.how {
            Tap::Stranger => ("U0STRANGER", TEAM),
            Tap::Foreigner => (&self.user, "T0FOREIGN"),
            Tap::Once | Tap::Twice | Tap::Replayed(_) | Tap::Elsewhere => (&self.user, TEAM),
        }
    }
}

/// The payload of a press.
fn press(finger: &Finger<'_>, now: i64, number: u32) -> Value {
    let Finger { how, copy, value, .. } = finger;
    let (user, team) = finger.person();
    let channel = match how {
        Tap::Elsewhere => "C0ELSEWHERE",
        Tap::Once | Tap::Twice | Tap::Replayed(_) | Tap::Stranger | Tap::Foreigner => &copy.channel,
    };
    let place = copy.place;
    json!({
        "type": "block_actions",
        "user": { "id": user },
        "team": { "id": team },
        "container": { "type": "message", "message_ts": copy.ts, "channel_id": channel },
        "actions": [{ "value": value, "action_ts": slack::ts(now, 0) }],
        "trigger_id": number.to_string(),
        "response_url": format!("https://m{place}.example.com/{place}/actions/{number}"),
    })
}
