//! The encoding of answers: in the rows of a request, in its outbox, and alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    compact::{Attributes, read_text, stored_name},
    delivery_item::ReasonItem,
    keys::{self, Key},
    reader::{DecodeError, Reader, time},
};
use crate::domain::{
    Answer, Decimal, OpId, OutboxEvent, RequestEvent, RequestId,
    question::FieldValue,
    request::{CodeState, EventDetail, FailedMessage, MessageKey, Proof, RecordedAnswer, Row},
    slack::{SlackId, SlackUser},
};

/// The attribute that says that some answers are in separate items.
pub(super) const LONG: &str = "long";

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum FieldValueItem {
    Text(String),
    Toggle(bool),
    Choices(Vec<String>),
    /// A number as text, because JSON parsers would read a float.
    Number {
        n: String,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct AnswerItem {
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    option: Option<String>,
    #[serde(rename = "f", default, skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<String, FieldValueItem>,
}

/// Row, time, operation, option, and more if there is more.
#[derive(Serialize, Deserialize)]
pub(super) struct RowItem(
    usize,
    i64,
    u64,
    Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<RowDetailItem>,
);

#[derive(Default, PartialEq, Serialize, Deserialize)]
struct RowDetailItem {
    #[serde(rename = "c", default, skip_serializing_if = "is_zero")]
    changes: u32,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    event: Option<u32>,
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<u64>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    proof: Option<ProofItem>,
    /// The answer is in an item next to this one, but for its option.
    #[serde(rename = "l", default, skip_serializing_if = "std::ops::Not::not")]
    long: bool,
    #[serde(rename = "f", default, skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<String, FieldValueItem>,
}

/// A proof by more than a link.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProofItem {
    Confirm,
    Code,
    Key(String),
    Slack(String, String),
}

/// Number, kind, time, and a detail if there is one.
#[derive(Serialize, Deserialize)]
pub(super) struct EventItem(
    u32,
    String,
    i64,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<EventDetailItem>,
);

#[derive(Serialize, Deserialize)]
enum EventDetailItem {
    #[serde(rename = "a")]
    Answered(RecordedAnswerItem),
    #[serde(rename = "r")]
    Recipient(usize),
    #[serde(rename = "f")]
    Message(FailedMessageItem),
    #[serde(rename = "s")]
    Step(StepEventItem),
}

#[derive(Serialize, Deserialize)]
struct StepEventItem {
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    step: Option<usize>,
    #[serde(rename = "m", default, skip_serializing_if = "is_zero")]
    n_reminders: u32,
    #[serde(rename = "r")]
    rows: Vec<usize>,
}

/// The number of the event, the row, the notifier, and the reason.
#[derive(Serialize, Deserialize)]
struct FailedMessageItem(u32, usize, String, ReasonItem);

#[derive(Serialize, Deserialize)]
pub(super) struct CodeItem {
    #[serde(rename = "r")]
    row: usize,
    #[serde(rename = "i")]
    issue: u32,
    #[serde(rename = "w", default, skip_serializing_if = "Vec::is_empty")]
    wrong: Vec<u64>,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    by: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct RecordedAnswerItem {
    #[serde(rename = "r")]
    row: usize,
    #[serde(rename = "p")]
    op: u64,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    proof: Option<ProofItem>,
    /// As in a row.
    #[serde(rename = "l", default, skip_serializing_if = "std::ops::Not::not")]
    long: bool,
    #[serde(flatten)]
    answer: AnswerItem,
}

impl From<&FieldValue> for FieldValueItem {
    fn from(value: &FieldValue) -> Self {
        match value {
            FieldValue::Text(text) => Self::Text(text.clone()),
            FieldValue::Number(number) => Self::Number { n: number.to_string() },
            FieldValue::Toggle(toggle) => Self::Toggle(*toggle),
            FieldValue::Choices(values) => Self::Choices(values.clone()),
        }
    }
}

impl FieldValueItem {
    pub(super) fn read(self) -> Option<FieldValue> {
        Some(match self {
            Self::Text(text) => FieldValue::Text(text),
            Self::Number { n } => FieldValue::Number(number(&n)?),
            Self::Toggle(toggle) => FieldValue::Toggle(toggle),
            Self::Choices(values) => FieldValue::Choices(values),
        })
    }
}

impl ProofItem {
    fn of(proof: Proof) -> Option<Self> {
        match proof {
            Proof::Link => None,
            Proof::Confirm => Some(Self::Confirm),
            Proof::Code => Some(Self::Code),
            Proof::Key(key) => Some(Self::Key(key.to_string())),
            Proof::Slack(SlackUser { team, user }) => {
                Some(Self::Slack(team.to_string(), user.to_string()))
            }
        }
    }

    /// The proof, or `None` if it is malformed.
    fn read(item: Option<Self>) -> Option<Proof> {
        Some(match item {
            None => Proof::Link,
            Some(Self::Confirm) => Proof::Confirm,
            Some(Self::Code) => Proof::Code,
            Some(Self::Key(key)) => Proof::Key(key.parse().ok()?),
            Some(Self::Slack(team, user)) => Proof::Slack(SlackUser {
                team: SlackId::parse(&team)?,
                user: SlackId::parse(&user)?,
            }),
        })
    }
}

impl From<&Answer> for AnswerItem {
    fn from(answer: &Answer) -> Self {
        Self {
            option: answer.option.clone(),
            fields: answer.fields.iter().map(|(key, it)| (key.clone(), it.into())).collect(),
        }
    }
}

impl AnswerItem {
    /// The answer as it is in its request's item: the option of a long one, and all of another.
    pub(super) fn short(answer: &Answer) -> Self {
        if answer.is_long() {
            return Self { option: answer.option.clone(), fields: BTreeMap::new() };
        }
        Self::from(answer)
    }

    /// The answer, or `None` if it is malformed.
    pub(super) fn read(self) -> Option<Answer> {
        let fields = self.fields.into_iter().map(|(key, it)| Some((key, it.read()?)));
        Some(Answer { option: self.option, fields: fields.collect::<Option<_>>()? })
    }
}

pub(super) fn number(text: &str) -> Option<Decimal> {
    Decimal::parse(text).filter(|it| it.as_str() == text)
}

/// The keys of all long answers that a request's item refers to.
pub(super) fn long_answers(item: &Attributes) -> Option<Vec<Key>> {
    let id: RequestId = Key::of(item)?.pk.parse().ok()?;
    let text = |name| item.get(stored_name(name)).cloned().and_then(read_text);
    let rows: Vec<RowItem> =
        text("answers").map_or(Some(Vec::new()), |it| serde_json::from_str(&it).ok())?;
    let events: Vec<EventItem> =
        text("outbox").map_or(Some(Vec::new()), |it| serde_json::from_str(&it).ok())?;
    let rows = rows.iter().filter(|it| it.is_long()).map(|it| (it.0, it.2));
    let answered = events.iter().filter_map(EventItem::answered);
    let all = rows.chain(answered.filter(|it| it.long).map(|it| (it.row, it.op)));
    let keys: BTreeSet<Key> = all.map(|(row, op)| keys::long_answer(id, row, OpId(op))).collect();
    Some(keys.into_iter().collect())
}

impl From<&OutboxEvent> for EventItem {
    fn from(event: &OutboxEvent) -> Self {
        let detail = match &event.detail {
            EventDetail::None => None,
            EventDetail::Recipient(row) => Some(EventDetailItem::Recipient(*row)),
            EventDetail::Message(it) => Some(EventDetailItem::Message(FailedMessageItem(
                it.key.event,
                it.key.row,
                it.notifier.to_string(),
                it.reason.into(),
            ))),
            EventDetail::Step { step, n_reminders, rows } => {
                Some(EventDetailItem::Step(StepEventItem {
                    step: *step,
                    n_reminders: *n_reminders,
                    rows: rows.clone(),
                }))
            }
            EventDetail::Answered(it) => Some(EventDetailItem::Answered(RecordedAnswerItem {
                row: it.row,
                op: it.op.0,
                proof: ProofItem::of(it.proof),
                long: it.answer.is_long(),
                answer: AnswerItem::short(&it.answer),
            })),
        };
        let kind = event.kind.as_str().to_owned();
        Self(event.number, kind, event.at.as_millisecond(), detail)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl From<(&usize, &CodeState)> for CodeItem {
    fn from((row, code): (&usize, &CodeState)) -> Self {
        Self {
            row: *row,
            issue: code.issue,
            wrong: code.wrong.iter().map(|it| it.0).collect(),
            by: code.issued_by.map(|it| it.0),
        }
    }
}

impl CodeItem {
    pub(super) fn read(self) -> (usize, CodeState) {
        let wrong = self.wrong.into_iter().map(OpId).collect();
        (self.row, CodeState { issue: self.issue, wrong, issued_by: self.by.map(OpId) })
    }
}

impl RowItem {
    pub(super) fn new(number: usize, row: &Row) -> Self {
        let AnswerItem { option, fields } = AnswerItem::short(&row.answer);
        let detail = RowDetailItem {
            changes: row.n_changes,
            event: row.event,
            replaced: row.replaced.iter().map(|it| it.0).collect(),
            proof: ProofItem::of(row.proof),
            long: row.answer.is_long(),
            fields,
        };
        let detail = Some(detail).filter(|it| *it != RowDetailItem::default());
        Self(number, row.at.as_millisecond(), row.op.0, option, detail)
    }

    /// The number of the row.
    pub(super) fn row(&self) -> usize {
        self.0
    }

    /// The answer is in another item.
    pub(super) fn is_long(&self) -> bool {
        self.4.as_ref().is_some_and(|it| it.long)
    }

    pub(super) fn read(self, request: RequestId, item: &Reader) -> Result<Row, DecodeError> {
        let Self(row, at, op, option, detail) = self;
        let (op, detail) = (OpId(op), detail.unwrap_or_default());
        let answer = if detail.long {
            item.part(&keys::long_answer(request, row, op), "answers")?
        } else {
            AnswerItem { option, fields: detail.fields }
        };
        Ok(Row {
            answer: answer.read().ok_or(DecodeError::of("answers"))?,
            at: time("answers", at)?,
            op,
            proof: ProofItem::read(detail.proof).ok_or(DecodeError::of("answers"))?,
            n_changes: detail.changes,
            event: detail.event,
            replaced: detail.replaced.into_iter().map(OpId).collect(),
        })
    }
}

impl EventItem {
    /// Its answer is in another item.
    pub(super) fn is_long(&self) -> bool {
        self.answered().is_some_and(|it| it.long)
    }

    fn answered(&self) -> Option<&RecordedAnswerItem> {
        match &self.3 {
            Some(EventDetailItem::Answered(answered)) => Some(answered),
            Some(
                EventDetailItem::Recipient(_)
                | EventDetailItem::Message(_)
                | EventDetailItem::Step(_),
            )
            | None => None,
        }
    }

    pub(super) fn read(
        self,
        request: RequestId,
        item: &Reader,
    ) -> Result<OutboxEvent, DecodeError> {
        let Self(number, kind, at, detail) = self;
        Ok(OutboxEvent {
            number,
            kind: RequestEvent::parse(&kind).ok_or(DecodeError::of("outbox"))?,
            at: time("outbox", at)?,
            detail: match detail {
                Some(EventDetailItem::Answered(it)) => {
                    EventDetail::Answered(it.read(request, item)?)
                }
                Some(EventDetailItem::Recipient(row)) => EventDetail::Recipient(row),
                Some(EventDetailItem::Message(it)) => {
                    EventDetail::Message(it.read().ok_or(DecodeError::of("outbox"))?)
                }
                Some(EventDetailItem::Step(it)) => {
                    EventDetail::Step { step: it.step, n_reminders: it.n_reminders, rows: it.rows }
                }
                None => EventDetail::None,
            },
        })
    }
}

impl FailedMessageItem {
    fn read(self) -> Option<FailedMessage> {
        let Self(event, row, notifier, reason) = self;
        let key = MessageKey { event, row };
        Some(FailedMessage { key, notifier: notifier.parse().ok()?, reason: reason.failure()? })
    }
}

impl RecordedAnswerItem {
    pub(super) fn read(
        self,
        request: RequestId,
        item: &Reader,
    ) -> Result<RecordedAnswer, DecodeError> {
        let op = OpId(self.op);
        let answer = if self.long {
            item.part(&keys::long_answer(request, self.row, op), "outbox")?
        } else {
            self.answer
        };
        let answer = answer.read().ok_or(DecodeError::of("outbox"))?;
        let proof = ProofItem::read(self.proof).ok_or(DecodeError::of("outbox"))?;
        Ok(RecordedAnswer { row: self.row, op, answer, proof })
    }
}
