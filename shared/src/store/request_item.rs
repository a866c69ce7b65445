//! The encoding of requests.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    answer_item::{CodeItem, EventItem, LONG, RowItem, long_answers},
    compact::Attributes,
    item::{Encoded, Item, Layout},
    keys::{self, Key},
    long_question_item::{self, QUESTION},
    policy_item::PolicyItem,
    question_item::QuestionItem,
    reader::{DecodeError, Reader, time},
    step_item::{STEPS, StepStateItem},
};
use crate::domain::{
    BodyHash, OpId, Question, Request, RequestId,
    approval::{Approval, ApprovalUse},
    consumption::Consumption,
    delivery::waiting::BREAKER_WAIT_MAX,
    request::{
        DecidedBy, LinkSecret, MessageKey, Outcome, ReachState, RequestEnd, RequestState, StepState,
    },
};

/// Time from the last possible attempt of its callback to the deletion of a request.
const CALLBACK_RETENTION: std::time::Duration = std::time::Duration::from_hours(24);

/// Time for which a long question and long answers are kept longer than their request. DynamoDB deletes
/// expired items in no order, within a few days.
const PARTS_GRACE: std::time::Duration = std::time::Duration::from_hours(7 * 24);

/// Time from an erasure to the deletion of the tombstone. It is longer than an idempotency key
/// lives.
const TOMBSTONE_RETENTION: std::time::Duration = std::time::Duration::from_hours(48);

#[derive(Serialize, Deserialize)]
struct EndItem {
    #[serde(rename = "o")]
    outcome: OutcomeItem,
    #[serde(rename = "b")]
    by: DecidedByItem,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    decision: Option<String>,
    #[serde(rename = "t")]
    at: i64,
    #[serde(rename = "p")]
    op: u64,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    consumption: Option<ConsumptionItem>,
    #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty")]
    uses: Vec<UseItem>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    withdrawn_by: Option<u64>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A use of an approval. JSON has no numbers of 128 bits.
#[derive(Serialize, Deserialize)]
struct UseItem {
    call: String,
    op: u64,
    at: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeItem {
    Completed,
    NotMet,
    Vetoed,
    TimedOut,
    Defaulted,
    Cancelled,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DecidedByItem {
    Recipients,
    DeadlinePolicy,
    Sender,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ConsumptionItem {
    Read,
    Leased { op: u64, until: i64 },
    Consumed { op: u64 },
    Expired,
}

#[derive(Serialize, Deserialize)]
struct ErasedItem {
    at: i64,
    searches: u8,
}

/// Numbers of events and rows of failed messages, rows that were not reached, and whether that was reported.
#[derive(Serialize, Deserialize)]
struct ReachItem(Vec<(u32, usize)>, Vec<usize>, bool);

impl ReachItem {
    /// The encoding, or `None` if there is nothing.
    fn of(state: &ReachState) -> Option<Self> {
        let failed = state.failed.iter().map(|it| (it.event, it.row)).collect();
        let unreached = state.unreached.iter().copied().collect();
        (*state != ReachState::default()).then_some(Self(failed, unreached, state.is_reported))
    }

    fn read(self) -> ReachState {
        let Self(failed, unreached, is_reported) = self;
        let failed = failed.into_iter().map(|(event, row)| MessageKey { event, row }).collect();
        ReachState { failed, unreached: unreached.into_iter().collect(), is_reported }
    }
}

impl Item for Request {
    const NAME: &'static str = "a request";
    const VERSION: u32 = super::item::version_with(
        1,
        &[super::question_item::VERSION, super::receiver_item::VERSION],
    );

    fn key(&self) -> Key {
        keys::request(self.id)
    }

    fn revision(&self) -> u64 {
        self.revision
    }

    fn immutable(&self, _: &Layout) -> Encoded {
        let encoded = Encoded::default()
            .listed(self.owner, keys::Listed::Requests)
            .op("created_by", self.created_by)
            .bytes("body_hash", self.body_hash.map(|it| it.0.to_vec()))
            .time("created_at", self.created_at)
            .time("deadline", self.deadline)
            .json(QUESTION, &QuestionItem::from(&self.question))
            .json("policy", &PolicyItem::from(&self.policy))
            .id("channel", self.channel)
            .id("family", self.family)
            .trace(self.trace)
            .bytes("link_secret", self.link_secret.0.to_vec())
            .text("base_url", self.base_url.clone())
            .optional_flag("published", self.is_published);
        if !self.is_counted {
            return encoded;
        }
        encoded.flag("counted", true).text("webhook_pk", keys::pending(self.owner.account))
    }

    fn mutable(&self, layout: &Layout) -> Encoded {
        let rows: Vec<RowItem> = self
            .rows
            .iter()
            .enumerate()
            .filter_map(|(row, it)| Some((row, it.as_ref()?)))
            .map(|(row, it)| RowItem::new(row, it))
            .collect();
        let outbox: Vec<EventItem> = self.outbox.iter().map(EventItem::from).collect();
        let codes: Vec<CodeItem> = self.codes.iter().map(CodeItem::from).collect();
        let is_long = rows.iter().any(RowItem::is_long) || outbox.iter().any(EventItem::is_long);
        let encoded = Encoded::default()
            .number("revision", self.revision.cast_signed())
            .json_list("answers", &rows)
            .json_list("outbox", &outbox)
            .json_list("codes", &codes)
            .optional_json(STEPS, StepStateItem::of(&self.steps).as_ref())
            .optional_flag(LONG, is_long)
            .optional_flag("leftovers", self.has_leftovers)
            .optional_json("reach", ReachItem::of(&self.reach).as_ref())
            .count("n_events", self.n_events)
            // Only errors in a row count.
            .number("n_errors", None)
            .number("callback_event", self.callback_event.map(i64::from))
            .due(&self.id.to_string(), self.due_at, layout);
        let encoded = if self.is_counted && self.state != RequestState::Pending {
            encoded.text("webhook_pk", None)
        } else {
            encoded
        };
        match &self.state {
            RequestState::Pending => encoded,
            RequestState::Ended(end) => {
                let expires_at = self.expires_at(end.at, layout);
                encoded.json("ended", &EndItem::from(end)).ttl(Some(expires_at))
            }
            RequestState::Erased { at, n_searches } => encoded
                .json("erased", &ErasedItem { at: at.as_millisecond(), searches: *n_searches })
                .text("ended", None)
                .text(QUESTION, None)
                .unlisted(self.owner)
                .json("policy", &PolicyItem::from(&self.policy))
                .ttl(Some(*at + TOMBSTONE_RETENTION)),
        }
    }

    fn split(&self, attributes: &mut Attributes, layout: &Layout) -> Option<Attributes> {
        long_question_item::split(self, attributes, layout)
    }

    fn parts(item: &Attributes) -> Vec<Key> {
        let answers = item.get(LONG).and_then(|_| long_answers(item));
        // A malformed list is reported when it is read.
        let answers = answers.unwrap_or_default();
        long_question_item::of_request(item).into_iter().chain(answers).collect()
    }

    fn read(mut item: Reader) -> Result<Self, DecodeError> {
        let ended: Option<EndItem> = item.optional_json("ended")?;
        let erased: Option<ErasedItem> = item.optional_json("erased")?;
        let state = match (erased, ended) {
            (Some(erased), _) => {
                RequestState::Erased { at: time("erased", erased.at)?, n_searches: erased.searches }
            }
            (None, Some(ended)) => RequestState::Ended(RequestEnd::try_from(ended)?),
            (None, None) => RequestState::Pending,
        };
        item.is_flagged(LONG)?;
        let id: RequestId = item.parsed("pk")?;
        let events: Vec<EventItem> = item.optional_json("outbox")?.unwrap_or_default();
        let outbox = events.into_iter().map(|it| it.read(id, &item));
        let outbox = outbox.collect::<Result<_, _>>()?;
        let mut request = Self {
            id,
            owner: item.owner()?,
            created_by: item.op("created_by")?,
            body_hash: item.array("body_hash")?.map(BodyHash),
            created_at: item.time("created_at")?,
            deadline: item.time("deadline")?,
            question: match state {
                RequestState::Erased { .. } => Question::default(),
                RequestState::Pending | RequestState::Ended(_) => {
                    item.json::<QuestionItem>(QUESTION)?.try_into()?
                }
            },
            policy: item.json::<PolicyItem>("policy")?.try_into()?,
            channel: item.optional_id("channel")?,
            family: item.optional_id("family")?,
            trace: item.trace()?,
            link_secret: LinkSecret(
                item.array("link_secret")?.ok_or(DecodeError::of("link_secret"))?,
            ),
            is_counted: item.is_flagged("counted")?,
            base_url: item.text("base_url")?,
            is_published: item.is_flagged("published")?,
            rows: Vec::new(),
            steps: match item.optional_json::<StepStateItem>(STEPS)? {
                Some(steps) => steps.read()?,
                None => StepState::default(),
            },
            codes: item
                .optional_json::<Vec<CodeItem>>("codes")?
                .unwrap_or_default()
                .into_iter()
                .map(CodeItem::read)
                .collect(),
            state,
            outbox,
            n_events: item.count("n_events")?,
            callback_event: item.optional_number("callback_event")?,
            reach: item.optional_json("reach")?.map(ReachItem::read).unwrap_or_default(),
            has_leftovers: item.is_flagged("leftovers")?,
            due_at: item.optional_time("due_at")?,
            revision: item.number("revision")?,
        };
        if !matches!(request.state, RequestState::Erased { .. }) {
            request.rows = vec![None; request.question.n_rows()];
        }
        for it in item.optional_json::<Vec<RowItem>>("answers")?.unwrap_or_default() {
            let row = request.rows.get_mut(it.row()).ok_or(DecodeError::of("answers"))?;
            *row = Some(it.read(id, &item)?);
        }
        Ok(request)
    }
}

impl Request {
    /// The time from which an ended request may be deleted. A result may be readable, and an approval
    /// usable, for longer than the retention, and a callback may be retried for longer than that.
    pub(super) fn expires_at(&self, ended_at: Timestamp, layout: &Layout) -> Timestamp {
        let over_at = self.policy.read.expires_at(ended_at).unwrap_or(ended_at);
        let called_back = self.policy.callback.as_ref().map(|it| {
            ended_at + it.receiver.retry.longest() + BREAKER_WAIT_MAX + CALLBACK_RETENTION
        });
        let lapses_at = match &self.state {
            // Its long answers are stored before it ends.
            RequestState::Pending => self.policy.consume.as_ref().map(|it| it.lapses_at(ended_at)),
            RequestState::Ended(_) | RequestState::Erased { .. } => self.approval_lapses_at(),
        };
        let over_at = lapses_at.map_or(over_at, |it| it.max(over_at));
        let kept_until = over_at + layout.retention;
        called_back.map_or(kept_until, |it| it.max(kept_until))
    }

    /// The time from which the parts of a request that ends at `ended_at` may be deleted.
    pub(super) fn parts_expire_at(&self, ended_at: Timestamp, layout: &Layout) -> Timestamp {
        self.expires_at(ended_at, layout) + PARTS_GRACE
    }
}

impl UseItem {
    fn read(self) -> Result<ApprovalUse, DecodeError> {
        let call = u128::from_str_radix(&self.call, 16).map_err(|_| DecodeError::of("ended"))?;
        Ok(ApprovalUse { call, op: OpId(self.op), at: time("ended", self.at)? })
    }
}

impl From<&RequestEnd> for EndItem {
    fn from(end: &RequestEnd) -> Self {
        Self {
            outcome: match end.outcome {
                Outcome::Completed => OutcomeItem::Completed,
                Outcome::NotMet => OutcomeItem::NotMet,
                Outcome::Vetoed => OutcomeItem::Vetoed,
                Outcome::TimedOut => OutcomeItem::TimedOut,
                Outcome::Defaulted => OutcomeItem::Defaulted,
                Outcome::Cancelled => OutcomeItem::Cancelled,
            },
            by: match end.decided_by {
                DecidedBy::Recipients => DecidedByItem::Recipients,
                DecidedBy::DeadlinePolicy => DecidedByItem::DeadlinePolicy,
                DecidedBy::Sender => DecidedByItem::Sender,
            },
            decision: end.decision.clone(),
            at: end.at.as_millisecond(),
            op: end.op.0,
            consumption: match end.consumption {
                Consumption::Unread => None,
                Consumption::Read => Some(ConsumptionItem::Read),
                Consumption::Leased { op, until } => {
                    Some(ConsumptionItem::Leased { op: op.0, until: until.as_millisecond() })
                }
                Consumption::Consumed { op } => Some(ConsumptionItem::Consumed { op: op.0 }),
                Consumption::Expired => Some(ConsumptionItem::Expired),
            },
            uses: end
                .approval
                .uses
                .iter()
                .map(|it| UseItem {
                    call: format!("{:032x}", it.call),
                    op: it.op.0,
                    at: it.at.as_millisecond(),
                })
                .collect(),
            withdrawn_by: end.approval.withdrawn_by.map(|it| it.0),
            reason: end.reason.clone(),
        }
    }
}

impl TryFrom<EndItem> for RequestEnd {
    type Error = DecodeError;

    fn try_from(item: EndItem) -> Result<Self, DecodeError> {
        Ok(Self {
            outcome: match item.outcome {
                OutcomeItem::Completed => Outcome::Completed,
                OutcomeItem::NotMet => Outcome::NotMet,
                OutcomeItem::Vetoed => Outcome::Vetoed,
                OutcomeItem::TimedOut => Outcome::TimedOut,
                OutcomeItem::Defaulted => Outcome::Defaulted,
                OutcomeItem::Cancelled => Outcome::Cancelled,
            },
            decided_by: match item.by {
                DecidedByItem::Recipients => DecidedBy::Recipients,
                DecidedByItem::DeadlinePolicy => DecidedBy::DeadlinePolicy,
                DecidedByItem::Sender => DecidedBy::Sender,
            },
            decision: item.decision,
            at: time("ended", item.at)?,
            op: OpId(item.op),
            consumption: match item.consumption {
                None => Consumption::Unread,
                Some(ConsumptionItem::Read) => Consumption::Read,
                Some(ConsumptionItem::Leased { op, until }) => {
                    Consumption::Leased { op: OpId(op), until: time("ended", until)? }
                }
                Some(ConsumptionItem::Consumed { op }) => Consumption::Consumed { op: OpId(op) },
                Some(ConsumptionItem::Expired) => Consumption::Expired,
            },
            approval: Approval {
                uses: item.uses.into_iter().map(UseItem::read).collect::<Result<_, _>>()?,
                withdrawn_by: item.withdrawn_by.map(OpId),
            },
            reason: item.reason,
        })
    }
}
