//! The payload of an interaction: the members that we use.
//!
//! <https://docs.slack.dev/reference/interaction-payloads>

use answerback::domain::slack::{SlackId, SlackTs, SlackUser};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// An interaction of a user.
pub(super) struct Payload {
    /// The user, and the workspace that the app is used in.
    pub(super) user: Option<SlackUser>,
    pub(super) interaction: Interaction,
}

/// A press of a button, or a modal that was sent.
pub(super) enum Interaction {
    Tap(Tap),
    Submission(Submission),
}

/// A press of a button.
pub(super) struct Tap {
    /// Names the owner of the request, the message and the button.
    value: String,
    /// The message in which it was pressed.
    pub(super) channel: Option<SlackId>,
    pub(super) ts: Option<SlackTs>,
    /// The time of the press.
    pub(super) at: Option<Timestamp>,
    /// Opens a modal, within 3 seconds.
    pub(super) trigger_id: String,
    /// Takes a reply.
    pub(super) response_url: String,
}

/// A modal that was sent.
pub(super) struct Submission {
    /// As in the button that opened it, and the number of answers at that time.
    metadata: String,
    /// What was entered.
    pub(super) state: Value,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    user: WireId,
    #[serde(default)]
    team: Option<WireId>,
    #[serde(default)]
    container: WireContainer,
    #[serde(default)]
    actions: Vec<WireAction>,
    #[serde(default)]
    trigger_id: String,
    #[serde(default)]
    response_url: String,
    #[serde(default)]
    view: Option<WireView>,
}

#[derive(Default, Deserialize)]
struct WireId {
    #[serde(default)]
    id: String,
}

#[derive(Default, Deserialize)]
struct WireContainer {
    #[serde(default)]
    channel_id: String,
    #[serde(default)]
    message_ts: String,
}

#[derive(Deserialize)]
struct WireAction {
    #[serde(default)]
    value: String,
    #[serde(default)]
    action_ts: String,
}

#[derive(Deserialize)]
struct WireView {
    #[serde(default)]
    private_metadata: String,
    #[serde(default)]
    state: Value,
}

impl Payload {
    /// Reads a body: a form with JSON in its member `payload`.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut members = url::form_urlencoded::parse(body);
        let (_, json) = members.find(|(name, _)| name == "payload")?;
        let wire: Wire = serde_json::from_str(&json).ok()?;
        let team = wire.team.as_ref().and_then(|it| SlackId::parse(&it.id));
        let user = team.zip(SlackId::parse(&wire.user.id));
        let user = user.map(|(team, user)| SlackUser { team, user });
        let interaction = match wire.kind.as_str() {
            "block_actions" => {
                let action = wire.actions.into_iter().next()?;
                Interaction::Tap(Tap {
                    value: action.value,
                    channel: SlackId::parse(&wire.container.channel_id),
                    ts: SlackTs::parse(&wire.container.message_ts),
                    at: time(&action.action_ts),
                    trigger_id: wire.trigger_id,
                    response_url: wire.response_url,
                })
            }
            "view_submission" => {
                let WireView { private_metadata, state } = wire.view?;
                Interaction::Submission(Submission { metadata: private_metadata, state })
            }
            _ => return None,
        };
        Some(Self { user, interaction })
    }

    /// The value of the button that was pressed, or that opened the modal.
    pub(super) fn value(&self) -> &str {
        match &self.interaction {
            Interaction::Tap(tap) => &tap.value,
            Interaction::Submission(it) => it.split().map_or("", |(value, _)| value),
        }
    }
}

impl Submission {
    /// The number of answers that the recipient had given when the modal was opened.
    pub(super) fn n_answers(&self) -> Option<u32> {
        self.split()?.1.parse().ok()
    }

    fn split(&self) -> Option<(&str, &str)> {
        self.metadata.rsplit_once('/')
    }
}

/// A time in seconds, such as `1548426417.840180`.
fn time(text: &str) -> Option<Timestamp> {
    let (seconds, rest) = text.split_once('.')?;
    let millis: String = rest.chars().chain("000".chars()).take(3).collect();
    let millis = seconds.parse::<i64>().ok()?.checked_mul(1_000)? + millis.parse::<i64>().ok()?;
    Timestamp::from_millisecond(millis).ok()
}
