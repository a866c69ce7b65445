//! The encoding of answers: in the rows of a request, in its outbox, and alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    item::{Attributes, DecodeError, Reader, time},
    keys::{self, Key},
};
use crate::domain::{
    Answer, Decimal, OpId, OutboxEvent, RequestEvent, RequestId,
    question::FieldValue,
    request::{CodeState, EventDetail, Proof, RecordedAnswer, Row},
};

/// The attribute that says that some answers are in separate items.
pub(super) const LONG: &str = "long";

#[derive(Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    option: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<String, FieldValueItem>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RowItem {
    pub(super) row: usize,
    at: i64,
    op: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    changes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<ProofItem>,
    /// The answer is in an item next to this one, but for its option.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    long: bool,
    #[serde(flatten)]
    answer: AnswerItem,
}

/// A proof by more than a link.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProofItem {
    Confirm,
    Code,
    Key(String),
}

#[derive(Serialize, Deserialize)]
pub(super) struct EventItem {
    number: u32,
    kind: String,
    at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answered: Option<RecordedAnswerItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipient: Option<usize>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct CodeItem {
    row: usize,
    issue: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    wrong: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct RecordedAnswerItem {
    row: usize,
    op: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<ProofItem>,
    /// As in a row.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
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
        }
    }

    /// The proof, or `None` if it is malformed.
    fn read(item: Option<Self>) -> Option<Proof> {
        Some(match item {
            None => Proof::Link,
            Some(Self::Confirm) => Proof::Confirm,
            Some(Self::Code) => Proof::Code,
            Some(Self::Key(key)) => Proof::Key(key.parse().ok()?),
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
    let text = |name| item.get(name).and_then(|it| it.as_s().ok());
    let rows: Vec<RowItem> =
        text("answers").map_or(Some(Vec::new()), |it| serde_json::from_str(it).ok())?;
    let events: Vec<EventItem> =
        text("outbox").map_or(Some(Vec::new()), |it| serde_json::from_str(it).ok())?;
    let rows = rows.iter().filter(|it| it.long).map(|it| (it.row, it.op));
    let answered = events.iter().flat_map(|it| &it.answered);
    let all = rows.chain(answered.filter(|it| it.long).map(|it| (it.row, it.op)));
    let keys: BTreeSet<Key> = all.map(|(row, op)| keys::long_answer(id, row, OpId(op))).collect();
    Some(keys.into_iter().collect())
}

impl From<&OutboxEvent> for EventItem {
    fn from(event: &OutboxEvent) -> Self {
        Self {
            number: event.number,
            kind: event.kind.as_str().to_owned(),
            at: event.at.as_millisecond(),
            answered: event.answered().map(|it| RecordedAnswerItem {
                row: it.row,
                op: it.op.0,
                proof: ProofItem::of(it.proof),
                long: it.answer.is_long(),
                answer: AnswerItem::short(&it.answer),
            }),
            recipient: match event.detail {
                EventDetail::Recipient(row) => Some(row),
                EventDetail::None | EventDetail::Answered(_) => None,
            },
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_zero(number: &u32) -> bool {
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
        Self {
            row: number,
            at: row.at.as_millisecond(),
            op: row.op.0,
            changes: row.n_changes,
            event: row.event,
            replaced: row.replaced.iter().map(|it| it.0).collect(),
            proof: ProofItem::of(row.proof),
            long: row.answer.is_long(),
            answer: AnswerItem::short(&row.answer),
        }
    }

    /// The answer is in another item.
    pub(super) fn is_long(&self) -> bool {
        self.long
    }

    pub(super) fn read(self, request: RequestId, item: &Reader) -> Result<Row, DecodeError> {
        let op = OpId(self.op);
        let answer = if self.long {
            item.part(&keys::long_answer(request, self.row, op), "answers")?
        } else {
            self.answer
        };
        Ok(Row {
            answer: answer.read().ok_or(DecodeError::of("answers"))?,
            at: time("answers", self.at)?,
            op,
            proof: ProofItem::read(self.proof).ok_or(DecodeError::of("answers"))?,
            n_changes: self.changes,
            event: self.event,
            replaced: self.replaced.into_iter().map(OpId).collect(),
        })
    }
}

impl EventItem {
    /// Its answer is in another item.
    pub(super) fn is_long(&self) -> bool {
        self.answered.as_ref().is_some_and(|it| it.long)
    }

    pub(super) fn read(
        self,
        request: RequestId,
        item: &Reader,
    ) -> Result<OutboxEvent, DecodeError> {
        Ok(OutboxEvent {
            number: self.number,
            kind: RequestEvent::parse(&self.kind).ok_or(DecodeError::of("outbox"))?,
            at: time("outbox", self.at)?,
            detail: match (self.answered, self.recipient) {
                (Some(answered), _) => EventDetail::Answered(answered.read(request, item)?),
                (None, Some(row)) => EventDetail::Recipient(row),
                (None, None) => EventDetail::None,
            },
        })
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
