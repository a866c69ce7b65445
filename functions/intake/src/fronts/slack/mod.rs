//! Slack: `POST /v1/slack/{notifier_id}`. Somebody pressed a button of a message, or sent a modal.
//!
//! ```text
//!   call ─▶ payload names a message ─▶ its notifier's secret: signature ─▶ workspace, copy, user ─┬─▶ answer
//!                                                                                                 ├─▶ modal
//!                                                                                                 └─▶ reply
//! ```
//!
//! - Until the signature is verified, the payload only says which items to read.
//! - **Who answers is the user whom Slack names**, and that must be the one to whom the message was sent. All
//!   others get a reply that only they see.
//! - One conditional write records the answer. The copies of the message are changed later, by the queue.
//!
//! <https://docs.slack.dev/interactivity/handling-user-interaction>

mod payload;
mod reply;
mod submission;
mod tap;

use answerback::{
    api::{
        Code, Problem,
        http::{header, read_body},
    },
    domain::{
        Delivery, DeliveryId, Notifier, NotifierId, NotifierKind, Request,
        delivery::{Message, Target},
        notifier::{NotifierSettings, SlackSettings},
        secret::{Holder, Sealed},
        slack::{SlackCopy, SlackUser},
    },
    notify::slack::Button,
    signing::is_signed_by_slack,
    store::keys,
};
use axum::{
    extract::{Path, Request as HttpRequest, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use secrecy::SecretString;

use self::payload::{Interaction, Payload};
use crate::App;

/// An interaction with a message that we sent, signed by Slack.
struct Verified<'a> {
    app: &'a App,
    notifier: Notifier,
    settings: SlackSettings,
    /// `None`: it is not stored yet.
    message: Option<Sent>,
    request: Request,
    payload: Payload,
    button: Button,
}

/// A message that the notifier sent.
struct Sent {
    id: DeliveryId,
    /// The recipient's row.
    row: usize,
    /// What the recipient sees. `None`: it is not stored yet.
    copy: Option<SlackCopy>,
}

impl Sent {
    /// `None`: it is no message of the request, or not one that the notifier sent.
    fn of(message: Delivery, request: &Request, notifier: NotifierId) -> Option<Self> {
        let Target::Message(Message { row, ways, .. }) = &message.target else { return None };
        let row = *row;
        // It may have gone on with another way.
        let mut tried = ways.iter().take(message.way + 1);
        let is_sent_by = tried.any(|it| it.notifier == notifier && it.kind == NotifierKind::Slack);
        // The message may be one of an earlier request under the same idempotency key.
        let is_ours = is_sent_by && request.is_message(message.id, row);
        is_ours.then_some(Self { id: message.id, row, copy: message.copy })
    }
}

/// Takes one interaction.
pub(crate) async fn interact(
    State(app): State<App>,
    Path(notifier): Path<String>,
    call: HttpRequest,
) -> Result<Response, Problem> {
    let headers = call.headers().clone();
    let body = read_body(call, &()).await?;
    let notifier: NotifierId = notifier.parse().map_err(|_| Problem::not_found())?;
    let Some(payload) = Payload::read(&body) else {
        let detail = "the body must be a form with a `payload` of Slack";
        return Err(Problem::new(Code::MalformedJson, detail));
    };
    let verified = Box::pin(verify(&app, notifier, &headers, &body, payload)).await?;
    match &verified.payload.interaction {
        Interaction::Tap(tap) => Box::pin(verified.tap(tap)).await,
        Interaction::Submission(submission) => Box::pin(verified.submit(submission)).await,
    }
}

/// Finds the message, and verifies the signature of the call.
async fn verify<'a>(
    app: &'a App,
    notifier: NotifierId,
    headers: &HeaderMap,
    body: &[u8],
    payload: Payload,
) -> Result<Verified<'a>, Problem> {
    let (owner, message, button) = Button::parse(payload.value()).ok_or_else(Problem::not_found)?;
    let request = message.event().request().ok_or_else(Problem::not_found)?;
    // By one call: two at once are two connections when a function starts.
    let keys = [keys::request(request), keys::delivery(message), keys::notifier(owner, notifier)];
    let (request, message, stored) =
        app.core.store.get_three::<Request, Delivery, Notifier>(keys).await?;
    let request = request.filter(|it| it.owner == owner).ok_or_else(Problem::not_found)?;
    let message = match message {
        Some(message) => {
            Some(Sent::of(message, &request, notifier).ok_or_else(Problem::not_found)?)
        }
        // It was sent a moment ago, and is stored after that.
        None => None,
    };
    let notifier = stored.filter(Notifier::is_enabled).ok_or_else(Problem::not_found)?;
    let NotifierSettings::Slack(settings) = notifier.settings.clone() else {
        return Err(Problem::not_found());
    };
    let secret = open(app, &notifier, &settings.signing_secret).await?;
    let timestamp = header(headers, "x-slack-request-timestamp").unwrap_or_default();
    let signature = header(headers, "x-slack-signature").unwrap_or_default();
    if !is_signed_by_slack(&secret, timestamp, body, signature, app.core.now()) {
        let detail = "the signature is missing, wrong or older than 5 minutes";
        return Err(Problem::new(Code::InvalidSignature, detail));
    }
    Ok(Verified { app, notifier, settings, message, request, payload, button })
}

/// Opens a secret of the notifier.
async fn open(app: &App, notifier: &Notifier, sealed: &Sealed) -> Result<SecretString, Problem> {
    let Notifier { owner, id, created_by, .. } = notifier;
    let holder = Holder::Notifier(*owner, *id, *created_by);
    Ok(app.core.vault.open_credential(&holder, sealed, app.core.now()).await?)
}

/// Slack shows nothing, and closes a modal. It wants an empty body.
fn accepted() -> Response {
    "".into_response()
}

impl Verified<'_> {
    /// The user, if this copy was sent to them in the notifier's workspace.
    fn recipient(&self, copy: &SlackCopy) -> Option<SlackUser> {
        let SlackUser { team, user } = self.payload.user?;
        (team == self.settings.team_id && user == copy.user).then_some(SlackUser { team, user })
    }
}
