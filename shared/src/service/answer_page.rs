//! Answer links: the request behind a link, and the page that its recipient sees.

use std::borrow::Cow;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
};
use jiff::Timestamp;

use crate::{
    api::views,
    domain::{
        Decimal, Request,
        question::{self, FieldValue},
        request::{AnswerMode, Outcome, Refusal, RequestEnd, RequestState, Row},
    },
    page::{self, Answered, Content, Ending, FieldError, Form, Page},
    service::Core,
    signing::LinkToken,
    store::{Error, keys},
};

/// An opened answer link: a request, and one of its recipients.
#[derive(Debug)]
pub struct OpenedLink {
    /// The request.
    pub request: Request,
    /// The recipient's row.
    pub row: usize,
}

/// The form that was just submitted, if the page responds to one.
#[derive(Debug, Default)]
pub struct Submission<'a> {
    /// The submitted texts, by key of the field.
    pub values: Option<&'a [(String, String)]>,
    /// The faults of the answer.
    pub misfits: &'a [question::Misfit],
    /// The recipient had answered before, and the first answer is final.
    pub is_second_try: bool,
}

impl Core {
    /// Opens the link with this token, and settles its request. `None` if the token is unknown or
    /// altered, or its request was erased.
    pub async fn open_link(&self, token: &str) -> Result<Option<OpenedLink>, Error> {
        let Some(token) = LinkToken::parse(token) else { return Ok(None) };
        let row = usize::from(token.row);
        let request: Option<Request> = self.store.get(keys::request(token.request)).await?;
        let is_there =
            |it: &Request| row < it.rows.len() && !matches!(it.state, RequestState::Erased { .. });
        let opened = request.filter(|it| token.is_genuine(&it.link_secret) && is_there(it));
        let Some(request) = opened else { return Ok(None) };
        let request = self.settled(request).await?;
        // It may have been erased in the meantime.
        Ok(request.filter(is_there).map(|request| OpenedLink { request, row }))
    }
}

impl OpenedLink {
    /// The recipient's answer, if there is one.
    pub fn answered(&self) -> Option<&Row> {
        self.request.rows[self.row].as_ref()
    }

    /// The recipient may answer now.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.refusal(now).is_none()
    }

    /// The reason why the recipient may not answer now, if there is one.
    pub fn refusal(&self, now: Timestamp) -> Option<Refusal> {
        match self.answered() {
            Some(row) if self.request.policy.mode == AnswerMode::OnUserAction => {
                Some(Refusal::AlreadyAnswered(row.clone()))
            }
            _ if self.request.state == RequestState::Pending && now < self.request.deadline => None,
            _ => Some(Refusal::Ended),
        }
    }

    /// The recipient's answer, in the form of the API.
    pub fn response(&self) -> Option<views::ResponseView<'_>> {
        self.answered().map(|_| views::ResponseView::of_row(&self.request, self.row))
    }

    /// The page for the recipient.
    pub fn page(&self, submission: &Submission<'_>, now: Timestamp) -> String {
        let question = &self.request.question;
        let texts = self.answered().map(|row| self.texts(row));
        let own = self.answered().zip(texts.as_ref()).map(|(row, texts)| Answered {
            option: self.label(row),
            fields: texts.iter().map(|(label, text)| (*label, text.clone())).collect(),
            at: row.at,
        });
        let stored = self.answered().map(values);
        let values = submission.values.or(stored.as_deref());
        let content = match (own, &self.request.state) {
            (own, _) if self.is_open(now) => {
                Content::Form(self.form(submission.misfits, values, own))
            }
            (Some(own), _) if submission.is_second_try => Content::AlreadyAnswered(own),
            (Some(own), RequestState::Pending) if now < self.request.deadline => {
                Content::Answered(own)
            }
            (own, RequestState::Ended(end))
                if end.outcome != Outcome::Completed || own.is_none() =>
            {
                Content::Ended { ending: self.ending(end), own }
            }
            (Some(own), _) => Content::Answered(own),
            (None, _) => Content::Ended { ending: Ending::TimedOut, own: None },
        };
        page::render(&Page {
            title: &question.title,
            body_markdown: question.body.as_deref(),
            recipient_name: question
                .recipients
                .get(self.row)
                .map(|it| it.name.as_deref().unwrap_or(it.email.as_given())),
            is_test: !self.request.owner.mode.is_live(),
            deadline: self.request.deadline,
            now,
            content,
        })
    }

    fn form<'a>(
        &'a self,
        misfits: &'a [question::Misfit],
        values: Option<&'a [(String, String)]>,
        current: Option<Answered<'a>>,
    ) -> Form<'a> {
        let question = &self.request.question;
        Form {
            options: question.options.iter().map(choice).collect(),
            fields: question.fields.iter().map(field).collect(),
            current,
            values,
            errors: misfits
                .iter()
                .map(|it| FieldError { key: it.field.as_deref(), detail: &it.detail })
                .collect(),
        }
    }

    fn ending(&self, end: &RequestEnd) -> Ending<'_> {
        match end.outcome {
            Outcome::Completed | Outcome::NotMet | Outcome::Vetoed => Ending::Decided,
            Outcome::Cancelled => Ending::Cancelled,
            Outcome::TimedOut => Ending::TimedOut,
            Outcome::Defaulted => match &self.request.policy.on_deadline {
                crate::domain::request::OnDeadline::Default(option) => {
                    Ending::Defaulted { option: self.option_label(option) }
                }
                crate::domain::request::OnDeadline::Expire => Ending::TimedOut,
            },
        }
    }

    fn label(&self, row: &Row) -> Option<&str> {
        if self.request.question.options.is_empty() {
            return None;
        }
        let value = row.answer.option.as_deref()?;
        self.request.question.options.iter().find(|it| it.value == value).map(|it| &*it.label)
    }

    fn option_label<'a>(&'a self, value: &'a str) -> &'a str {
        let options = &self.request.question.options;
        options.iter().find(|it| it.value == value).map_or(value, |it| &it.label)
    }

    /// The label and text of every field that was filled in.
    fn texts<'a>(&'a self, row: &'a Row) -> Vec<(&'a str, Cow<'a, str>)> {
        let fields = self.request.question.fields.iter();
        fields
            .filter_map(|field| Some((field, row.answer.fields.get(&field.key)?)))
            .map(|(field, value)| (field.label.as_str(), shown(field, value)))
            .collect()
    }
}

/// The texts that a form for a recorded answer starts with, by key of the field.
fn values(row: &Row) -> Vec<(String, String)> {
    let text = |value: &FieldValue| match value {
        FieldValue::Text(text) => text.clone(),
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Toggle(toggle) => toggle.to_string(),
    };
    row.answer.fields.iter().map(|(key, it)| (key.clone(), text(it))).collect()
}

/// A value as people see it.
fn shown<'a>(field: &'a question::Field, value: &'a FieldValue) -> Cow<'a, str> {
    match (value, &field.kind) {
        (FieldValue::Text(text), question::FieldKind::Select { choices }) => {
            let choice = choices.iter().find(|it| it.value == *text);
            choice.map_or(text.as_str(), |it| &it.label).into()
        }
        (FieldValue::Text(text), _) => text.as_str().into(),
        (FieldValue::Number(number), _) => number.as_str().into(),
        (FieldValue::Toggle(true), _) => "Yes".into(),
        (FieldValue::Toggle(false), _) => "No".into(),
    }
}

fn choice(choice: &question::Choice) -> page::Choice<'_> {
    let style = match choice.style {
        Some(question::Style::Primary) => page::Style::Primary,
        Some(question::Style::Destructive) => page::Style::Destructive,
        Some(question::Style::Secondary) | None => page::Style::Secondary,
    };
    page::Choice { value: &choice.value, label: &choice.label, style }
}

fn field(field: &question::Field) -> page::Field<'_> {
    use question::FieldKind as Kind;
    page::Field {
        key: &field.key,
        label: &field.label,
        kind: match &field.kind {
            Kind::Text { max_length } => page::FieldKind::Text { max_length: *max_length },
            Kind::Textarea { max_length } => page::FieldKind::Textarea { max_length: *max_length },
            Kind::Number { min, max } => page::FieldKind::Number {
                min: min.as_ref().map(Decimal::as_str),
                max: max.as_ref().map(Decimal::as_str),
            },
            Kind::Select { choices } => page::FieldKind::Select {
                choices: choices.iter().map(|it| (&*it.value, &*it.label)).collect(),
            },
            Kind::Toggle => page::FieldKind::Toggle,
        },
        is_required: field.is_required,
        default: field.default.as_ref().map(|it| match it {
            FieldValue::Text(text) => Cow::Borrowed(text.as_str()),
            FieldValue::Number(number) => Cow::Borrowed(number.as_str()),
            FieldValue::Toggle(toggle) => Cow::Owned(toggle.to_string()),
        }),
    }
}

/// A page with its headers.
pub fn html(status: StatusCode, page: String) -> Response {
    let headers = page::headers().map(|(name, value)| {
        let value = HeaderValue::from_str(value).expect("our own headers are ASCII");
        (HeaderName::from_static(name), value)
    });
    (status, headers, page).into_response()
}
