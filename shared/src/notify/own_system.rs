//! The account's own system: everything that it needs to bring the link to a recipient, in the names
//! of the API.

use serde_json::{Map, Value, json};

use super::Content;
use crate::domain::{
    Action, Locale, Requester,
    delivery::message::Purpose,
    question::{Choice, Recipient, Style},
};

/// The message with this content.
pub fn own_system(content: &Content<'_>) -> Value {
    let request = content.request;
    let question = &request.question;
    let mut message = json!({
        "notification_id": content.notification.to_string(),
        "in_reply_to": content.in_reply_to.map(|it| it.to_string()),
        "purpose": purpose(content.purpose),
        "request_id": request.id.to_string(),
        "recipient": question.recipients.get(content.row).map(recipient),
        "answer_url": content.link,
        "title": question.title,
        "body": question.body,
        "action": question.action.as_ref().map(action),
        "options": question.options.iter().map(option).collect::<Vec<_>>(),
        "requester": question.requester.as_ref().map(requester),
        "locale": question.locale.map(Locale::as_str),
        "deadline": format!("{:.3}", request.deadline),
        "external_reference_id": question.external_reference_id,
        "livemode": request.owner.mode.is_live(),
    });
    if let Some(code) = content.code {
        message["code"] = code.into();
    }
    message
}

fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Ask => "ask",
        Purpose::Remind => "remind",
        Purpose::Escalate => "escalate",
        Purpose::Code => "code",
    }
}

fn recipient(recipient: &Recipient) -> Value {
    json!({ "email": recipient.email.as_given(), "name": recipient.name })
}

fn action(action: &Action) -> Value {
    let args: Value = serde_json::from_str(&action.args).unwrap_or_default();
    json!({ "name": action.name, "args": args, "digest": action.digest.to_string() })
}

fn option(option: &Choice) -> Value {
    let members = [("value", &option.value), ("label", &option.label)];
    let mut view: Map<String, Value> =
        members.into_iter().map(|(name, it)| (name.to_owned(), it.as_str().into())).collect();
    if let Some(style) = option.style {
        let style = match style {
            Style::Primary => "primary",
            Style::Secondary => "secondary",
            Style::Destructive => "destructive",
        };
        view.insert("style".to_owned(), style.into());
    }
    view.into()
}

fn requester(requester: &Requester) -> Value {
    json!({
        "kind": requester.kind.as_str(),
        "name": requester.name,
        "email": requester.email,
        "id": requester.id,
    })
}
