//! Slack, by a bot: finds the recipient's user, and posts the message. Later it changes the message.

use answerback::{
    domain::{
        Notifier,
        attempt::ErrorKind,
        delivery::{AttemptVerdict, FailureReason, message::MESSAGE_TIMEOUT},
        notifier::SlackSettings,
        slack::{SlackCopy, SlackId, SlackIdKind},
    },
    egress::{SlackAnswer, SlackApi, SlackError},
    notify::{AnyContent, slack::Place},
};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;

use super::{
    Addressee, Judgement, Outgoing, Reply,
    http::{Meaning, origin, refused, unanswered},
    open,
};
use crate::{App, Error};

/// Reasons for which Slack never again takes a call by this token.
const TOKEN_IS_DEAD: [&str; 7] = [
    "account_inactive",
    "invalid_auth",
    "missing_scope",
    "not_allowed_token_type",
    "not_authed",
    "token_expired",
    "token_revoked",
];
/// Reasons of its limits.
const TOO_MANY: [&str; 2] = ["ratelimited", "rate_limited"];
/// Reasons of a moment.
const TRY_LATER: [&str; 7] = [
    "fatal_error",
    "internal_error",
    "org_login_required",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
    "unreadable_answer",
];

/// A change of a copy.
pub(super) struct Change<'a> {
    pub(super) app: &'a App,
    pub(super) notifier: &'a Notifier,
    /// The message as it is now.
    pub(super) body: &'a Value,
    pub(super) at: Timestamp,
}

/// Posts the message to the recipient, or for them in the channel of the request or the notifier.
pub(super) async fn send(
    outgoing: &Outgoing<'_>,
    settings: &SlackSettings,
) -> Result<Reply, Error> {
    // Only recipients with an address have a way by Slack.
    let Addressee { email, slack_user, .. } = outgoing.to.ok_or(Error::NoAddress)?;
    let token = outgoing.open(&settings.bot_token).await?;
    let api = api(outgoing.app, settings, &token);
    let user = match slack_user {
        Some(user) => user,
        None => match api.user_of(&email.for_mail()).await {
            Ok(SlackAnswer { user: Some(user), .. }) => user,
            Ok(_) => return Ok(failed(outgoing.app, settings, incomplete())),
            Err(err) => return Ok(failed(outgoing.app, settings, err)),
        },
    };
    let of_request = match &outgoing.content {
        AnyContent::Request(content) => content.request.policy.slack_channel.as_ref(),
        AnyContent::Test(_) => None,
    };
    let place = match of_request.or(settings.default_channel.as_ref()) {
        Some(channel) => Place { channel: channel.as_str(), is_shared: true },
        None => Place { channel: user.as_str(), is_shared: !user.is(SlackIdKind::User) },
    };
    Ok(match api.call("chat.postMessage", &outgoing.content.slack(&place)).await {
        Ok(answer) => Reply { copy: copy_of(answer, user), ..accepted(settings) },
        Err(err) => failed(outgoing.app, settings, err),
    })
}

/// Changes a message.
pub(super) async fn change(change: &Change<'_>, settings: &SlackSettings) -> Result<Reply, Error> {
    let token = open(change.app, change.notifier, &settings.bot_token, change.at).await?;
    let api = api(change.app, settings, &token);
    Ok(match api.call("chat.update", change.body).await {
        Ok(_) => accepted(settings),
        Err(err) => failed(change.app, settings, err),
    })
}

fn api<'a>(app: &'a App, settings: &'a SlackSettings, token: &'a SecretString) -> SlackApi<'a> {
    SlackApi {
        egress: &app.egress,
        rules: &app.rules,
        api_url: &settings.api_url,
        token,
        timeout: MESSAGE_TIMEOUT / 2,
    }
}

fn copy_of(answer: SlackAnswer, user: SlackId) -> Option<SlackCopy> {
    let (channel, ts) = answer.channel.zip(answer.ts)?;
    Some(SlackCopy { channel, ts, user })
}

fn incomplete() -> SlackError {
    SlackError::Refused("unreadable_answer".to_owned())
}

fn accepted(settings: &SlackSettings) -> Reply {
    let url = origin(&settings.api_url);
    Reply { url, status: Some(200), judgement: Judgement::accepted(), copy: None }
}

fn failed(app: &App, settings: &SlackSettings, err: SlackError) -> Reply {
    let (status, judgement) = match err {
        SlackError::Blocked(err) => {
            let verdict = AttemptVerdict::Permanent(FailureReason::BlockedAddress);
            let judgement = Judgement::failed(verdict, ErrorKind::BlockedAddress, err.to_string());
            (None, judgement)
        }
        SlackError::Failed(failure) => (None, unanswered(failure.kind, failure.message)),
        SlackError::Status(reply) => {
            (Some(reply.status), refused(app, &reply, Meaning::Failed, None))
        }
        SlackError::Refused(reason) => (Some(200), of_reason(&reason)),
    };
    Reply { url: origin(&settings.api_url), status, judgement, copy: None }
}

fn of_reason(reason: &str) -> Judgement {
    // A reason is a word of Slack's. Anything else may be a part of the message.
    let is_word =
        reason.len() <= 40 && reason.bytes().all(|it| it.is_ascii_lowercase() || it == b'_');
    let word = if is_word { reason } else { "unreadable_answer" };
    let failed = |verdict| {
        Judgement::failed(verdict, ErrorKind::Protocol, format!("Slack refused it: {word}"))
    };
    if TOKEN_IS_DEAD.contains(&word) {
        return failed(AttemptVerdict::Permanent(FailureReason::Refused)).of_notifier();
    }
    if TOO_MANY.contains(&word) {
        return failed(AttemptVerdict::Throttled { retry_after: None });
    }
    if TRY_LATER.contains(&word) {
        return failed(AttemptVerdict::Retry { retry_after: None });
    }
    failed(AttemptVerdict::Permanent(FailureReason::NotAccepted))
}
