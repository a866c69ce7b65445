//! The questions that a key may ask: of which recipients, by which requester, and how often. And how
//! many messages an account sends.

use jiff::Timestamp;

use super::{
    Accounts, Caller,
    limits::{limited, log_skipped_limit},
};
use crate::{
    api::{Code, FieldError, FieldErrors, Problem},
    domain::{
        Owner, Question, Scope,
        account::AskLimit,
        assurance::Assurance,
        request::{RequestPolicy, steps::RecipientPlace},
    },
    store::Counted,
};

/// Length of the window in which requests and messages are counted.
const ASK_WINDOW_SECONDS: i64 = 60 * 60;

impl Accounts {
    /// Refuses a question that the caller's key may not ask: of other recipients than it is made for,
    /// by another requester than it names, or by a requester who answers it. And one that names who
    /// answers, by a key that could not answer for them.
    pub fn check_ask(
        &self,
        caller: &Caller,
        question: &mut Question,
        policy: &RequestPolicy,
    ) -> Result<(), Problem> {
        let key = caller.api_key();
        let mut errors = FieldErrors::default();
        if key.requester.is_some() && question.requester.is_some() {
            let detail = "must not be set: the key has a fixed requester";
            errors.add(|| FieldError::pointer("/requester", detail));
        }
        if question.recipients.is_empty() && !key.may_ask(None) {
            let detail = "must name at least one: the key may ask only some recipients";
            errors.add(|| FieldError::pointer("/recipients", detail));
        }
        if policy.slack_channel.is_some() && !key.may_ask(None) {
            let detail =
                "must be left out: the key may ask only some recipients, and others read a channel";
            errors.add(|| FieldError::pointer("/slack_channel", detail));
        }
        let may_name_users = caller.may(Scope::LinksRead) && !key.is_confined();
        for (row, recipient) in question.recipients.iter().enumerate() {
            let pointer = || match policy.place_of(question, row) {
                RecipientPlace::First { index } => format!("/recipients/{index}"),
                RecipientPlace::Step { step, index } => format!("/steps/{step}/to/{index}"),
            };
            if !key.may_ask(Some(&recipient.email)) {
                let detail = "is not a recipient that the key may ask";
                errors.add(|| FieldError::pointer(pointer(), detail));
            }
            if recipient.slack_user.is_some() && !may_name_users {
                let detail = "must be left out by a key without `requests:write` and `links:read`: this user answers for the address";
                errors.add(|| FieldError::pointer(format!("{}/slack_user", pointer()), detail));
            }
        }
        if key.is_confined() {
            check_confined(policy, &mut errors);
        }
        if !errors.is_empty() {
            return Err(Problem::invalid(errors));
        }
        if let Some(requester) = &key.requester {
            question.requester = Some(requester.clone());
            question.is_requester_fixed = true;
        }
        if question.asks_its_requester() && !policy.allows_self {
            let detail = "the requester is one of the recipients";
            return Err(Problem::new(Code::SelfApproval, detail));
        }
        Ok(())
    }

    /// A question that was accepted before may be refused now: its account or key has a limit.
    pub async fn limits_asking(
        &self,
        owner: Owner,
        caller: Option<&Caller>,
    ) -> Result<bool, Problem> {
        let account = self.account_of(owner).await?;
        let is_key_limited = caller.is_some_and(|it| !it.api_key().ask_limits.is_empty());
        Ok(account.max_pending_requests.is_some() || is_key_limited)
    }

    /// Counts a request that the caller is about to make, and refuses it if its key, or one that it
    /// descends from, has used up this hour.
    pub async fn count_ask(&self, caller: &Caller) -> Result<(), Problem> {
        // Its own limit first: what it refuses must not count for the keys above.
        for AskLimit { key, per_hour: max } in caller.api_key().ask_limits.iter().rev() {
            let now = self.clock.now();
            let (hour, ends_at) = hour(now);
            match self.store.count_ask(*key, hour, *max, ends_at).await {
                Ok(Counted::Counted) => (),
                Ok(Counted::Full) => {
                    let detail = format!("limit of {max} requests per hour exceeded");
                    return Err(limited(detail, ends_at, now));
                }
                Err(err) => log_skipped_limit(&err),
            }
        }
        Ok(())
    }

    /// Counts `n` messages to recipients that a call is about to ask for, and refuses it if its account
    /// has used up this hour.
    pub async fn count_messages(&self, owner: Owner, n: usize) -> Result<(), Problem> {
        if n == 0 {
            return Ok(());
        }
        let max = self.account_of(owner).await?.max_messages_per_hour;
        let now = self.clock.now();
        let (hour, ends_at) = hour(now);
        let count = u32::try_from(n).unwrap_or(u32::MAX);
        match self.store.count_messages(owner.account, hour, count, max, ends_at).await {
            Ok(Counted::Counted) => Ok(()),
            Ok(Counted::Full) => {
                let detail = format!(
                    "limit of {max} messages to recipients per hour exceeded; this call asks for {n}"
                );
                Err(limited(detail, ends_at, now))
            }
            Err(err) => {
                log_skipped_limit(&err);
                Ok(())
            }
        }
    }
}

/// The number of the current hour, and its end.
fn hour(now: Timestamp) -> (i64, Timestamp) {
    let hour = now.as_second().div_euclid(ASK_WINDOW_SECONDS);
    (hour, Timestamp::from_second((hour + 1) * ASK_WINDOW_SECONDS).unwrap_or(now))
}

/// A key that only asks must not weaken what its requests prove.
fn check_confined(policy: &RequestPolicy, errors: &mut FieldErrors) {
    if policy.allows_self {
        let detail = "must be false: the key may only ask others";
        errors.add(|| FieldError::pointer("/allow_self", detail));
    }
    if policy.consume.is_some() && policy.assurance == Assurance::Link {
        let detail = "must be `confirm` or `code` with `consume`, because the key may only ask";
        errors.add(|| FieldError::pointer("/assurance", detail));
    }
}
