//! The notifiers of a request: read from its body, and found in the account.

use answerback::{
    api::{Code, FieldError, FieldErrors, Problem, body::Object},
    domain::{
        Assurance, Mode, NotifierId, NotifierKind, NotifierSummary, Owner, Question, Scope,
        notifier::{NOTIFIERS_MAX, NotifierChoice},
        request::{OnUnreachable, RequestPolicy, steps::RecipientPlace},
    },
    service::Caller,
};
use serde_json::Value;

use crate::App;

/// The member that names notifiers.
const NOTIFY: &str = "notify";

/// The notifiers that a body names.
#[derive(Clone, Debug, Default)]
pub(crate) struct NotifyBody {
    /// Of the request.
    notify: Notify,
    /// Of its recipients, in their order. Empty: those of the request.
    pub(crate) via: Vec<Vec<NotifierName>>,
}

/// The notifiers of a request.
#[derive(Clone, Debug, Default)]
enum Notify {
    /// The account's default notifiers.
    #[default]
    Default,
    /// None: the sender brings the links to people.
    None,
    /// These.
    Named(Vec<NotifierName>),
}

/// A notifier, as a body names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotifierName {
    /// By its id.
    Id(NotifierId),
    /// All of a kind.
    Kind(NotifierKind),
}

impl NotifyBody {
    /// Reads the notifiers of a request. Those of the recipients are `via`.
    pub(super) fn read(body: &mut Object<'_>, via: Vec<Vec<NotifierName>>) -> Self {
        let notify = if body.is_list(NOTIFY) {
            let names = body.distinct(NOTIFY, 1..=NOTIFIERS_MAX, |it| match name(it)? {
                NotifierName::Kind(_) => Err("must be the id of a notifier".to_owned()),
                named @ NotifierName::Id(_) => Ok(named),
            });
            names.map_or(Notify::Default, Notify::Named)
        } else if body.take_word(NOTIFY, "none") {
            Notify::None
        } else if body.take_word(NOTIFY, "default") {
            Notify::Default
        } else {
            if let Some(item) = body.item(NOTIFY) {
                item.error("must be `default`, `none` or a list of ids of notifiers");
            }
            Notify::Default
        };
        Self { notify, via }
    }
}

/// Reads the consequence if no recipient could be reached.
pub(super) fn on_unreachable(body: &mut Object<'_>) -> OnUnreachable {
    const WORDS: [(&str, OnUnreachable); 2] =
        [("wait", OnUnreachable::Wait), ("expire", OnUnreachable::Expire)];
    body.word("on_unreachable", &WORDS).unwrap_or_default()
}

/// Reads the notifiers of a recipient.
pub(super) fn via(recipient: &mut Object<'_>) -> Vec<NotifierName> {
    recipient.distinct("via", 1..=NOTIFIERS_MAX, name).unwrap_or_default()
}

fn name(value: &Value) -> Result<NotifierName, String> {
    let text = value.as_str().unwrap_or_default();
    let kind = NotifierKind::parse(text).map(NotifierName::Kind);
    kind.or_else(|| text.parse().ok().map(NotifierName::Id))
        .ok_or_else(|| "must be the id of a notifier, or a kind of notifiers".to_owned())
}

/// A request that is about to be made.
pub(super) struct Asking<'a> {
    pub(super) owner: Owner,
    pub(super) asker: Option<&'a Caller>,
    pub(super) body: &'a NotifyBody,
    pub(super) has_assurance: bool,
}

/// Finds the notifiers for the recipients, and writes them into the request.
pub(super) async fn resolve(
    app: &App,
    asking: &Asking<'_>,
    question: &mut Question,
    policy: &mut RequestPolicy,
) -> Result<(), Problem> {
    let owner = asking.owner;
    let known = app.core.destinations.notifiers(owner).await?;
    let mut refused = choose(asking, &known, question, policy);
    if refused.is_err() {
        // The latest notifier may be a few seconds old.
        app.core.destinations.evict(owner);
        let known = app.core.destinations.notifiers(owner).await?;
        refused = choose(asking, &known, question, policy);
    }
    refused
}

fn choose(
    asking: &Asking<'_>,
    known: &[NotifierSummary],
    question: &mut Question,
    policy: &mut RequestPolicy,
) -> Result<(), Problem> {
    let NotifyBody { notify, via } = asking.body;
    let mut errors = FieldErrors::default();
    policy.notify = match notify {
        Notify::None => Vec::new(),
        // The oldest first.
        Notify::Default => {
            let usual = known.iter().rev().filter(|it| it.is_default && it.is_enabled);
            usual.map(choice).collect()
        }
        Notify::Named(names) => named(names, known, "/notify", &mut errors),
    };
    for (row, names) in via.iter().enumerate().filter(|(_, names)| !names.is_empty()) {
        let pointer = format!("{}/via", pointer(question, policy, row));
        if matches!(notify, Notify::None) {
            errors.add(|| FieldError::pointer(&pointer, "must not be used with `notify`: `none`"));
        }
        question.recipients[row].via = named(names, known, &pointer, &mut errors);
    }
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let rows = 0..question.n_rows();
    let uses_mail = question.recipients.iter().flat_map(|it| &it.via).chain(&policy.notify);
    if !asking.has_assurance
        && policy.assurance == Assurance::Link
        && uses_mail.into_iter().any(|it| it.kind == NotifierKind::Email)
    {
        // Mail gateways open links, and some submit forms.
        policy.assurance = Assurance::Confirm;
    }
    let sees_links = asking.asker.is_none_or(|it| it.may(Scope::LinksRead));
    let is_live = asking.owner.mode == Mode::Live;
    if sees_links || !is_live || matches!(notify, Notify::None) {
        return Ok(());
    }
    let is_lost = |row: &usize| policy.notifiers_of(question.recipients.get(*row)).is_empty();
    match rows.into_iter().find(is_lost) {
        None => Ok(()),
        Some(row) => {
            let detail = format!(
                "no notifier reaches the recipient at {}, and this key does not see its link; add a notifier, or \
                 set `notify` to `none` if another key brings the link",
                pointer(question, policy, row)
            );
            Err(Problem::new(Code::NoWayToReach, detail))
        }
    }
}

/// The place of a recipient in the body.
fn pointer(question: &Question, policy: &RequestPolicy, row: usize) -> String {
    match policy.place_of(question, row) {
        RecipientPlace::First { index } => format!("/recipients/{index}"),
        RecipientPlace::Step { step, index } => format!("/steps/{step}/to/{index}"),
    }
}

/// The notifiers with these names that are enabled. Reports names that lead to none.
fn named(
    names: &[NotifierName],
    known: &[NotifierSummary],
    pointer: &str,
    errors: &mut FieldErrors,
) -> Vec<NotifierChoice> {
    let mut chosen: Vec<NotifierChoice> = Vec::new();
    let mut disabled = None;
    for (number, name) in names.iter().enumerate() {
        let mut matching: Vec<&NotifierSummary> =
            known.iter().rev().filter(|it| is_named(it, *name)).collect();
        // The account's own preference among several of a kind.
        matching.sort_by_key(|it| !it.is_default);
        if matching.is_empty() {
            let detail = match name {
                NotifierName::Id(_) => "is not a notifier of the account",
                NotifierName::Kind(_) => "the account has no notifier of this kind",
            };
            errors.add(|| FieldError::pointer(format!("{pointer}/{number}"), detail));
        }
        for it in matching {
            if !it.is_enabled {
                disabled = disabled.or(Some(number));
            } else if !chosen.iter().any(|chosen| chosen.id == it.id) {
                chosen.push(choice(it));
            }
        }
    }
    if let (true, Some(number)) = (chosen.is_empty(), disabled) {
        errors.add(|| FieldError::pointer(format!("{pointer}/{number}"), "is disabled"));
    }
    chosen
}

fn is_named(notifier: &NotifierSummary, name: NotifierName) -> bool {
    match name {
        NotifierName::Id(id) => notifier.id == id,
        NotifierName::Kind(kind) => notifier.kind == kind,
    }
}

fn choice(notifier: &NotifierSummary) -> NotifierChoice {
    NotifierChoice { id: notifier.id, kind: notifier.kind }
}
