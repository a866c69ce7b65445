//! Notifiers that exist from the start, and what their owners do with them meanwhile.

use std::sync::Arc;

use answerback::{
    domain::{
        self, Account, Mailbox, Mode, Notifier, NotifierId, OpId,
        delivery::Credentials,
        notifier::{
            ChatFormat, EmailSettings, EmailTransport, IncomingWebhookSettings, NewNotifier,
            NotifierSettings, NotifierUpdate, NtfySettings, OwnSystemSettings, SlackSettings,
            SmtpServer, SmtpTls,
        },
        secret::{Holder, Sealed},
        slack::SlackId,
    },
    platform::Entropy,
    store::{Saved, Store},
};
use axum::{body::Body, http::Request};
use futures::FutureExt as _;
use jiff::Timestamp;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

use crate::{
    fleet::{self, Fleet, Http},
    receiver::Behaviour,
    scenario::Plan,
    seen::{Called, Want},
    slack,
};

/// A notifier, its service, and the actions of its owner.
#[derive(Clone, Debug)]
pub struct Messenger {
    /// The service that it uses.
    pub service: Service,
    /// Requests that name no notifier use it.
    pub is_default: bool,
    /// Behavior of its service, message by message.
    pub behaviours: Vec<Behaviour>,
    /// Behavior of Slack for calls that are no messages and no updates, call by call.
    pub others: Vec<Behaviour>,
    /// Times in milliseconds after which mails that SES took come back, mail by mail.
    pub bounces: Vec<Option<i64>>,
    /// Actions of its owner, each with its time in milliseconds.
    pub changes: Vec<(i64, Change)>,
}

/// The service that brings the messages of a notifier to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// A topic of an ntfy server, with or without buttons.
    Ntfy(bool),
    /// A chat program.
    Chat(ChatFormat),
    /// The account's own system.
    OwnSystem,
    /// Slack, by a bot that writes to each recipient, or to all in one channel.
    Slack(SlackPlace),
    /// Amazon SES.
    Ses,
    /// A mail server.
    Smtp,
}

/// The place of messages in Slack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlackPlace {
    /// A direct message for each recipient.
    Direct,
    /// A channel that others read.
    Channel,
}

/// An action of a notifier's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is disabled.
    Disable,
    /// It is enabled, after it was disabled or refused.
    Enable,
    /// It gets another name. So its owner has seen it, and a refusal before that no longer counts.
    Rename,
    /// It is deleted.
    Delete,
}

/// The owner of a notifier, with the key to change it.
struct Owner {
    fleet: Arc<Fleet>,
    number: usize,
    api_key: Arc<str>,
}

/// Formats of chat programs.
const FORMATS: [ChatFormat; 5] = [
    ChatFormat::Teams,
    ChatFormat::Discord,
    ChatFormat::Mattermost,
    ChatFormat::GoogleChat,
    ChatFormat::Slack,
];

impl Messenger {
    /// The notifiers of the scenario with this seed. Most scenarios have none.
    pub(crate) fn random(chance: &mut Pcg64Mcg) -> Vec<Self> {
        if chance.random_bool(0.65) {
            return Vec::new();
        }
        let n = [1, 1, 2, 2, 3][chance.random_range(0..5)];
        (0..n).map(|_| Self::any(chance)).collect()
    }

    fn any(chance: &mut Pcg64Mcg) -> Self {
        let service = match chance.random_range(0..6) {
            0 => Service::Ntfy(chance.random_bool(0.5)),
            1 => Service::Chat(FORMATS[chance.random_range(0..FORMATS.len())]),
            2 => Service::OwnSystem,
            3 | 4 => Service::Ses,
            _ => Service::Smtp,
        };
        let behaviours = if chance.random_bool(0.02) {
            vec![Behaviour::Kills; chance.random_range(1..14)]
        } else {
            (0..chance.random_range(0..7)).map(|_| behaviour(chance)).collect()
        };
        let mut changes: Vec<(i64, Change)> = Vec::new();
        if chance.random_bool(0.35) {
            for _ in 0..chance.random_range(1..4) {
                let at = match chance.random_range(0..3) {
                    0 => chance.random_range(0..70_000),
                    1 => chance.random_range(0..600_000),
                    _ => chance.random_range(0..3_000_000),
                };
                let what = match chance.random_range(0..7) {
                    0..3 => Change::Disable,
                    3 | 4 => Change::Enable,
                    5 => Change::Rename,
                    _ => Change::Delete,
                };
                changes.push((at, what));
            }
            changes.sort_by_key(|it| it.0);
        }
        let is_default = chance.random_bool(0.7);
        let others = Vec::new();
        Self { service, is_default, behaviours, others, bounces: Vec::new(), changes }
    }

    /// Adds a Slack notifier to some scenarios.
    pub(crate) fn add_slack(chance: &mut Pcg64Mcg, messengers: &mut Vec<Self>) {
        if chance.random_bool(0.8) {
            return;
        }
        let place = if chance.random_bool(0.4) { SlackPlace::Channel } else { SlackPlace::Direct };
        let service = Service::Slack(place);
        let mut messenger = Self { service, is_default: true, ..Self::any(chance) };
        messenger.others = (0..chance.random_range(0..8)).map(|_| slack::other(chance)).collect();
        if chance.random_bool(0.6) {
            messenger.changes.clear();
        }
        if chance.random_bool(0.6) {
            messenger.behaviours.clear();
        }
        // The first is tried first.
        let place = if chance.random_bool(0.7) { 0 } else { messengers.len() };
        messengers.insert(place, messenger);
    }

    /// Makes mails come back, if it sends them by SES.
    pub(crate) fn bounce(&mut self, chance: &mut Pcg64Mcg) {
        if self.service != Service::Ses || chance.random_bool(0.2) {
            return;
        }
        let after = |chance: &mut Pcg64Mcg| match chance.random_range(0..8) {
            0 | 1 => None,
            2..5 => Some(chance.random_range(0..3_000)),
            5 | 6 => Some(chance.random_range(0..90_000)),
            _ => Some(chance.random_range(0..2_000_000)),
        };
        self.bounces = (0..chance.random_range(1..6)).map(|_| after(chance)).collect();
    }

    /// Id of the notifier with this number.
    pub(crate) fn id(number: usize) -> NotifierId {
        NotifierId::from_bits((u128::try_from(number).expect("few") + 1) << 64)
    }

    /// Creates the notifier with this number, whose service has the number `place` among all receivers.
    pub(crate) fn settle_in(
        &self,
        number: usize,
        place: usize,
        account: &Account,
        store: &Store,
        entropy: &Entropy,
        now: Timestamp,
    ) {
        let (id, created_by) = (Self::id(number), OpId::new(entropy.next()));
        let owner = domain::Owner { account: account.id, mode: Mode::Live };
        let holder = Holder::Notifier(owner, id, created_by);
        let notifier = Notifier::new(NewNotifier {
            id,
            owner,
            created_by,
            call: None,
            // The oldest is tried first.
            created_at: now,
            update: NotifierUpdate {
                name: None,
                settings: self.settings(place, &holder),
                is_default: self.is_default,
                is_enabled: true,
            },
        });
        let made = store.create(&notifier).now_or_never();
        assert!(matches!(made, Some(Ok(Saved::Saved))), "the operator's calls succeed at once");
    }

    fn settings(&self, place: usize, holder: &Holder) -> NotifierSettings {
        let origin = format!("https://m{place}.example.com");
        let url = format!("{origin}/{place}");
        let email = |transport| {
            let from = Mailbox::parse(&sender(place)).expect("a mailbox");
            NotifierSettings::Email(EmailSettings { from, reply_to: None, transport })
        };
        match self.service {
            Service::Ntfy(buttons) => NotifierSettings::Ntfy(NtfySettings {
                url,
                topic: seal(holder, "a-topic"),
                token: None,
                buttons,
            }),
            Service::Chat(format) => NotifierSettings::IncomingWebhook(IncomingWebhookSettings {
                url: seal(holder, &url),
                origin,
                format,
            }),
            Service::OwnSystem => NotifierSettings::Webhook(OwnSystemSettings {
                url,
                credentials: Credentials::default(),
            }),
            Service::Slack(place_in_slack) => {
                let id = |text| SlackId::parse(text).expect("an identifier");
                NotifierSettings::Slack(SlackSettings {
                    api_url: format!("{url}/api/"),
                    bot_token: seal(holder, "xoxb-1"),
                    signing_secret: seal(holder, slack::SIGNING_SECRET),
                    team_id: id(slack::TEAM),
                    default_channel: match place_in_slack {
                        SlackPlace::Direct => None,
                        SlackPlace::Channel => Some(id(slack::CHANNEL)),
                    },
                })
            }
            Service::Ses => email(EmailTransport::Ses),
            Service::Smtp => email(EmailTransport::Smtp(SmtpServer {
                host: format!("m{place}.example.com"),
                port: 587,
                tls: SmtpTls::StartTls,
                login: None,
            })),
        }
    }
}

/// The senders of all mails.
pub(crate) const SENDERS: &str = "*@example.com";

/// The sender of the mails of the service with the number `place` among all receivers.
fn sender(place: usize) -> String {
    format!("m{place}@example.com")
}

/// The number of the service with this sender.
pub(crate) fn place_of(sender: &str) -> usize {
    let name = sender.trim_start_matches('m').split('@').next().unwrap_or_default();
    name.parse().expect("our own senders")
}

fn seal(holder: &Holder, text: &str) -> Sealed {
    let text = text.to_owned().into();
    let sealed = fleet::vault().seal_credential(holder, &text).now_or_never();
    sealed.and_then(Result::ok).expect("nothing waits, and a local key seals")
}

/// Behavior of a service for one message. A status has the same meaning for mail as for HTTP.
fn behaviour(chance: &mut Pcg64Mcg) -> Behaviour {
    match chance.random_range(0..22) {
        0..4 => Behaviour::Answers(200, chance.random_range(0..2_000)),
        4 => Behaviour::Answers(200, chance.random_range(2_000..18_000)),
        5..8 => Behaviour::Answers(500, 5),
        8 | 9 => Behaviour::Answers(429, 5),
        10 | 11 => Behaviour::AsksForPatience(chance.random_range(0..400)),
        12 | 13 => Behaviour::Answers(403, chance.random_range(0..4_000)),
        14 => Behaviour::Answers(410, 5),
        15 => Behaviour::Answers(400, 5),
        16 => Behaviour::Hangs,
        17 => Behaviour::BreaksOff,
        18 => Behaviour::BreaksOffAfter([200, 500, 403][chance.random_range(0..3)]),
        19 => Behaviour::Floods,
        20 => Behaviour::HasNoName,
        _ => Behaviour::Refuses,
    }
}

/// Makes requests name notifiers.
pub(crate) fn choose(chance: &mut Pcg64Mcg, messengers: &[Messenger], plan: &mut Plan) {
    if messengers.is_empty() {
        return;
    }
    let is_none = match chance.random_range(0..10) {
        0..5 => false,
        5..9 => {
            plan.body["notify"] = some(chance, messengers).into();
            false
        }
        _ => {
            plan.body["notify"] = "none".into();
            true
        }
    };
    let recipients = plan.body.get_mut("recipients").and_then(Value::as_array_mut);
    for recipient in recipients.into_iter().flatten() {
        if !is_none && chance.random_bool(0.3) {
            choose_for(chance, messengers, recipient);
        }
    }
    if chance.random_bool(0.3) {
        plan.body["on_unreachable"] = "expire".into();
    }
    // Longer than the retries of a message.
    if chance.random_bool(0.6) {
        plan.body["timeout_seconds"] = [400, 3_000, 20_000][chance.random_range(0..3)].into();
    }
    if let Some(events) = plan.body["callback"]["events"].as_array_mut() {
        events.push("notification.failed".into());
        events.push("request.unreachable".into());
    }
}

/// Makes a recipient name notifiers.
pub(crate) fn choose_for(chance: &mut Pcg64Mcg, messengers: &[Messenger], recipient: &mut Value) {
    *recipient = json!({ "email": recipient, "via": some(chance, messengers) });
}

fn some(chance: &mut Pcg64Mcg, messengers: &[Messenger]) -> Vec<String> {
    let mut some: Vec<String> =
        (0..messengers.len()).map(|it| Messenger::id(it).to_string()).collect();
    some.rotate_left(chance.random_range(0..messengers.len()));
    some.truncate(chance.random_range(1..=messengers.len()));
    some
}

/// Makes the calls of a notifier's owner.
pub(crate) async fn live(
    fleet: Arc<Fleet>,
    number: usize,
    changes: Vec<(i64, Change)>,
    api_key: Arc<str>,
) {
    let owner = Owner { fleet, number, api_key };
    for (at, change) in changes {
        owner.fleet.world.sleep_until(at).await;
        owner.make(change).await;
    }
}

impl Owner {
    /// Makes one call, which may fail.
    async fn make(&self, change: Change) {
        let world = &self.fleet.world;
        let (method, body) = match change {
            Change::Disable => ("PATCH", Some(json!({ "enabled": false }))),
            Change::Enable => ("PATCH", Some(json!({ "enabled": true }))),
            Change::Rename => ("PATCH", Some(json!({ "name": "Another name" }))),
            Change::Delete => ("DELETE", None),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("/v1/notifiers/{}", Messenger::id(self.number)))
            .header("host", "answers.example.net")
            .header("x-api-key", &*self.api_key)
            .body(body.map_or_else(Body::empty, |it| Body::from(it.to_string())))
            .expect("a valid request");
        let began_at = world.now();
        let answer = self.fleet.http(Http::Intake, request).await;
        let mut state = world.state();
        let ended_at = state.now();
        let (status, body, is_whole) = match answer {
            Some(((status, body), is_whole)) => (status.as_u16(), body, is_whole),
            // It may have taken effect.
            None => (0, axum::body::Bytes::new(), false),
        };
        state.tell(|| format!("{change:?} of notifier {}: {status}", self.number));
        state.seen.changes.push(Called {
            request: self.number,
            want: Want::Change(change),
            began_at,
            ended_at,
            status,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            is_heard: true,
            is_whole,
        });
    }
}

/// The random numbers of the messengers of a scenario.
pub(crate) fn stream(seed: u64) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(seed.wrapping_mul(8).wrapping_add(5))
}
