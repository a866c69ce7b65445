//! Messages: bring the link of a request to a recipient, by a notifier.
//!
//! ```text
//!  request ── wanted? ──▶ notifier ──▶ render ──▶ e-mail, or one POST ──▶ verdict
//! ```
//!
//! A message is rendered at each attempt, from the request and the notifier as they are now. So nothing
//! is sent for a request that has ended, and no link is stored. What a service answers may quote the
//! message, so records keep its status alone.

mod email;
mod http;
mod slack;
mod update;

use answerback::{
    Promise,
    domain::{
        Delivery, EmailAddress, NotificationId, Notifier, NotifierKind, Request,
        attempt::{AttemptError, ErrorKind, Exchange, Response},
        delivery::{AttemptVerdict, DeliveryEnd, FailureReason, Message, TestMessage},
        notifier::NotifierSettings,
        request::RequestState,
        secret::{Holder, Sealed},
        slack::{SlackCopy, SlackId},
    },
    notify::{AnyContent, Content, TestContent},
    signing::{LinkPlace, LinkToken},
    store::keys,
};
use jiff::Timestamp;
use secrecy::SecretString;

use super::{Exchanged, Sent};
use crate::{App, Error, breaker, suppression};
pub(crate) use update::erase_copy;
pub(super) use update::send_update;

/// A message that is about to be sent.
pub(super) struct Outgoing<'a> {
    app: &'a App,
    delivery: &'a Delivery,
    notifier: &'a Notifier,
    content: AnyContent<'a>,
    to: Option<Addressee<'a>>,
    at: Timestamp,
}

/// The person who gets a message.
#[derive(Clone, Copy)]
struct Addressee<'a> {
    email: &'a EmailAddress,
    name: Option<&'a str>,
    /// Their user in Slack. `None`: the one with their address.
    slack_user: Option<SlackId>,
}

/// The reply of a notifier's service.
pub(super) struct Reply {
    /// The service, without a path, which may be a secret.
    url: String,
    status: Option<u16>,
    judgement: Judgement,
    /// The message as its recipient sees it.
    copy: Option<SlackCopy>,
}

/// The meaning of a reply.
pub(super) struct Judgement {
    verdict: AttemptVerdict,
    error: Option<AttemptError>,
    /// The service refused the notifier and not this message: it never works again as it is.
    refuses_notifier: bool,
}

/// Sends `delivery`, which is this message.
pub(super) async fn send(
    app: &App,
    delivery: &Delivery,
    message: &Message,
    at: Timestamp,
) -> Result<Sent, Error> {
    let (Some(id), Some(way)) = (delivery.request(), delivery.way()) else {
        return Ok(Sent::Unsent(DeliveryEnd::Cancelled));
    };
    let request = app.core.store.get::<Request>(keys::request(id)).await?;
    // The message may be one of an earlier request under the same idempotency key.
    let is_due =
        |it: &Request| it.is_message(delivery.id, message.row) && is_wanted(it, message, at);
    let Some(mut request) = request.filter(is_due) else {
        return Ok(Sent::Unsent(DeliveryEnd::Cancelled));
    };
    let destinations = app.reads.destinations(&app.core, delivery.owner).await?;
    if destinations.unreadable.contains(&way.notifier) {
        return Ok(Sent::Postponed);
    }
    let notifier = destinations.notifiers.iter().find(|it| it.id == way.notifier);
    let Some(notifier) = notifier.filter(|it| it.is_enabled()) else {
        return Ok(Sent::Unsent(DeliveryEnd::Failed(FailureReason::Disabled)));
    };
    if way.kind == NotifierKind::Email
        && let Some(recipient) = request.question.recipients.get(message.row)
        && suppression::is_suppressed(app, request.owner.account, &recipient.email, at).await?
    {
        return Ok(Sent::Unsent(DeliveryEnd::Failed(FailureReason::Bounced)));
    }
    // A caller's header decided the address in the request, and people trust what their mail says.
    request.base_url.clone_from(&app.public_base_url);
    let link = link(&request, message.row);
    let code = request
        .needs_code()
        .then(|| LinkPlace::of(&request, message.row).code(request.code_issue(message.row)));
    let content = Content {
        request: &request,
        row: message.row,
        purpose: message.purpose,
        notification: NotificationId(delivery.id),
        in_reply_to: request.first_notification(message.row).filter(|it| it.0 != delivery.id),
        link: &link,
        code: code.as_deref(),
        now: at,
    };
    let recipient = request.question.recipients.get(message.row);
    let to = recipient.map(|it| Addressee {
        email: &it.email,
        name: it.name.as_deref(),
        slack_user: it.slack_user,
    });
    let content = AnyContent::Request(content);
    Outgoing { app, delivery, notifier, content, to, at }.send().await
}

/// Sends `delivery`, which is this test message, whether its notifier is enabled or not.
pub(super) async fn send_test(
    app: &App,
    delivery: &Delivery,
    test: &TestMessage,
    at: Timestamp,
) -> Result<Sent, Error> {
    let destinations = app.core.store.destinations(delivery.owner).await?;
    // A tester waits for the result, so nothing is postponed.
    let not_now = Sent::Unsent(DeliveryEnd::Failed(FailureReason::NotAccepted));
    if destinations.unreadable.contains(&test.way.notifier) {
        return Ok(not_now);
    }
    let notifier = destinations.notifiers.iter().find(|it| it.id == test.way.notifier);
    let Some(notifier) = notifier else { return Ok(Sent::Unsent(DeliveryEnd::Cancelled)) };
    let account = delivery.owner.account;
    if let Some(to) = &test.to
        && suppression::is_suppressed(app, account, to, at).await?
    {
        return Ok(Sent::Unsent(DeliveryEnd::Failed(FailureReason::Bounced)));
    }
    let name = app.core.accounts.account(account).await?.and_then(|it| it.name.clone());
    let content = AnyContent::Test(TestContent {
        account: name.as_deref(),
        notification: NotificationId(delivery.id),
        base_url: &app.public_base_url,
    });
    let to = test.to.as_ref().map(|email| Addressee { email, name: None, slack_user: None });
    let sent = Outgoing { app, delivery, notifier, content, to, at }.send().await?;
    let Sent::Exchanged(mut exchanged) = sent else { return Ok(not_now) };
    // A test disables nothing.
    exchanged.refused = None;
    if let AttemptVerdict::Retry { .. } | AttemptVerdict::Throttled { .. } = exchanged.verdict {
        exchanged.verdict = AttemptVerdict::Permanent(FailureReason::NotAccepted);
    }
    Ok(Sent::Exchanged(exchanged))
}

impl Outgoing<'_> {
    /// Sends the message, and judges the reply.
    async fn send(self) -> Result<Sent, Error> {
        conclude(self.app, self.delivery, self.notifier, Box::pin(self.exchange())).await
    }

    async fn exchange(&self) -> Result<Reply, Error> {
        match &self.notifier.settings {
            NotifierSettings::Email(settings) => email::send(self, settings).await,
            NotifierSettings::Slack(settings) => slack::send(self, settings).await,
            NotifierSettings::Ntfy(settings) => http::send_to_topic(self, settings).await,
            NotifierSettings::IncomingWebhook(settings) => http::send_to_chat(self, settings).await,
            NotifierSettings::Webhook(settings) => http::send_to_system(self, settings).await,
        }
    }

    /// Opens a secret of the notifier.
    async fn open(&self, sealed: &Sealed) -> Result<SecretString, Error> {
        open(self.app, self.notifier, sealed, self.at).await
    }

    /// The holder of the notifier's secrets.
    fn holder(&self) -> Holder {
        holder(self.notifier)
    }
}

async fn open(
    app: &App,
    notifier: &Notifier,
    sealed: &Sealed,
    at: Timestamp,
) -> Result<SecretString, Error> {
    Ok(app.core.vault.open_credential(&holder(notifier), sealed, at).await?)
}

fn holder(notifier: &Notifier) -> Holder {
    let Notifier { owner, id, created_by, .. } = notifier;
    Holder::Notifier(*owner, *id, *created_by)
}

/// Waits for the reply of a notifier's service.
async fn conclude(
    app: &App,
    delivery: &Delivery,
    notifier: &Notifier,
    exchange: Promise<'_, Result<Reply, Error>>,
) -> Result<Sent, Error> {
    let reply = match breaker::watch(app, delivery, exchange).await {
        // The operator mends it. Until then each worker would die of it.
        Err(Error::Vault(err)) => {
            let error = &err as &(dyn std::error::Error + 'static);
            tracing::error!(delivery.id = %delivery.id, error, "could not open a notifier's secret");
            return Ok(Sent::Postponed);
        }
        reply => reply?,
    };
    let Reply { url, status, judgement, copy } = reply;
    // What a service says may quote the link.
    let response = status.map(|status| Response { status, headers: vec![], body: String::new() });
    let exchange = Exchange { url, headers: Vec::new(), response };
    let Judgement { verdict, error, refuses_notifier } = judgement;
    let refused = refuses_notifier.then(|| notifier.clone());
    let exchanged = Exchanged { verdict, exchange, error, webhook: None, refused, copy };
    Ok(Sent::Exchanged(Box::new(exchanged)))
}

impl Judgement {
    fn accepted() -> Self {
        Self { verdict: AttemptVerdict::Accepted, error: None, refuses_notifier: false }
    }

    fn failed(verdict: AttemptVerdict, kind: ErrorKind, message: String) -> Self {
        let error = Some(AttemptError { kind, message });
        Self { verdict, error, refuses_notifier: false }
    }

    /// The service refused the notifier.
    fn of_notifier(self) -> Self {
        let verdict = AttemptVerdict::Permanent(FailureReason::Refused);
        Self { verdict, refuses_notifier: true, ..self }
    }
}

/// The recipient can still answer, and has not.
pub(crate) fn is_wanted(request: &Request, message: &Message, at: Timestamp) -> bool {
    *request.state() == RequestState::Pending
        && at < request.deadline
        && request.has_open_place()
        && request.rows().get(message.row).is_some_and(Option::is_none)
}

/// The answer link of a row.
fn link(request: &Request, row: usize) -> String {
    let row = u8::try_from(row).expect("at most 100 recipients");
    let token = LinkToken::new(request.id, row, &request.link_secret);
    format!("{}/a/{}", request.base_url, token.to_text())
}
