//! Answer links: the request behind a link, and the page that its recipient sees.

mod controls;
mod effects;
mod faults;

use std::borrow::Cow;

use jiff::Timestamp;
use url::Url;

use crate::{
    api::views,
    domain::{
        Request,
        assurance::{LoadedPage, PageStep, Sureness},
        question,
        request::{AnswerMode, Outcome, Proof, Refusal, RequestEnd, RequestState, Row},
    },
    notify::{action, facts},
    page::{
        self, Answered, CodeInput, Confirmation, Content, Ending, FieldError, Form, FormPart, Page,
        SubmittedForm, Words, Written,
    },
    service::Core,
    signing::{LinkPlace, LinkToken},
    store::{Error, keys},
};
use controls::{choice, field, shown, values};
pub use faults::{CodeFault, of_answer as fault_text};

/// An opened answer link: a request, and one of its recipients.
#[derive(Debug)]
pub struct OpenedLink {
    /// The request.
    pub request: Request,
    /// The recipient's row.
    pub row: usize,
}

/// The call that a page responds to.
#[derive(Clone, Copy, Debug)]
pub enum PageFor<'a> {
    /// A visit. A link may have chosen an option already.
    Visit {
        /// The value of the chosen option.
        chosen: Option<&'a str>,
    },
    /// A form with faults.
    Correction {
        /// The form.
        form: &'a SubmittedForm,
        /// Its faults.
        faults: Faults<'a>,
    },
    /// A form that needs the second step.
    Confirmation {
        /// The form.
        form: &'a SubmittedForm,
        /// The reason.
        sureness: Sureness,
    },
    /// A form whose answer is refused: it came too late, or the first one is final.
    Refusal {
        /// The form.
        form: &'a SubmittedForm,
    },
}

/// The faults of a form.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults<'a> {
    /// The parts of the answer that do not fit.
    pub misfits: &'a [question::Misfit],
    /// The fault of the code.
    pub code: Option<CodeFault>,
    /// The reason why the answer is refused for now.
    pub refusal: Option<&'a Refusal>,
}

impl Core {
    /// Opens the link with this token, and settles its request. `None` if the token is unknown or
    /// altered, its recipient is not asked yet, or its request was erased.
    pub async fn open_link(&self, token: &str) -> Result<Option<OpenedLink>, Error> {
        let Some(token) = LinkToken::parse(token) else { return Ok(None) };
        let row = usize::from(token.row);
        let request: Option<Request> = self.store.get(keys::request(token.request)).await?;
        let is_there =
            |it: &Request| row < it.rows.len() && !matches!(it.state, RequestState::Erased { .. });
        let opened = request.filter(|it| token.is_genuine(&it.link_secret) && is_there(it));
        let Some(request) = opened else { return Ok(None) };
        let request = self.settled(request).await?;
        // It may have been erased in the meantime. A recipient who is not asked yet does not learn
        // that the question exists.
        let is_open = |it: &Request| is_there(it) && it.is_asked(row);
        Ok(request.filter(is_open).map(|request| OpenedLink { request, row }))
    }
}

impl OpenedLink {
    /// The recipient's answer, if there is one.
    pub fn answered(&self) -> Option<&Row> {
        // The rows of a request that was erased in the meantime are gone.
        self.request.rows.get(self.row).and_then(Option::as_ref)
    }

    /// The recipient may answer now.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.refusal(now).is_none()
    }

    /// The reason why the recipient may not answer now, if there is one.
    pub fn refusal(&self, now: Timestamp) -> Option<Refusal> {
        match self.answered() {
            _ if matches!(self.request.state(), RequestState::Erased { .. }) => {
                Some(Refusal::Erased)
            }
            Some(row) if self.request.policy.mode == AnswerMode::OnUserAction => {
                Some(Refusal::AlreadyAnswered(Box::new(row.clone())))
            }
            None if self.is_pending(now) && !self.request.has_open_place() => {
                Some(Refusal::NoOpenPlace)
            }
            _ if self.is_pending(now) => None,
            _ => Some(Refusal::Ended),
        }
    }

    fn is_pending(&self, now: Timestamp) -> bool {
        self.request.state == RequestState::Pending && now < self.request.deadline
    }

    /// The recipient's answer, in the form of the API.
    pub fn response(&self) -> Option<views::ResponseView<'_>> {
        self.answered().map(|_| views::ResponseView::of_row(&self.request, self.row))
    }

    /// The path of the link's page.
    pub fn path(&self) -> String {
        let base = Url::parse(&self.request.base_url).ok();
        let base = base.as_ref().map_or("", |it| it.path().trim_end_matches('/'));
        let place = self.place();
        let token = LinkToken::new(place.request, place.row, place.secret);
        format!("{base}/a/{}", token.to_text())
    }

    /// The recipient, for nonces and codes.
    pub fn place(&self) -> LinkPlace<'_> {
        LinkPlace::of(&self.request, self.row)
    }

    /// The page that a form comes from, and so whether it decides.
    pub fn judge(&self, form: &SubmittedForm, now: Timestamp) -> Sureness {
        let page = form.nonce.as_deref().and_then(|it| self.place().loaded_page(it));
        self.request.policy.assurance.judge(page, self.request.n_answers(self.row), now)
    }

    /// The proof of who sent this form, which decides.
    pub fn proof(&self, form: &SubmittedForm) -> Proof {
        if self.request.needs_code() {
            return Proof::Code;
        }
        let page = form.nonce.as_deref().and_then(|it| self.place().loaded_page(it));
        match page.map(|it| it.step) {
            Some(PageStep::Confirmation) => Proof::Confirm,
            Some(PageStep::Question) | None => Proof::Link,
        }
    }

    fn nonce(&self, step: PageStep, now: Timestamp) -> String {
        let n_answers = self.request.n_answers(self.row);
        self.place().nonce(&LoadedPage { step, at: now, n_answers })
    }

    /// The page for the recipient, whose own language is that of `words`.
    pub fn page(&self, page_for: PageFor<'_>, words: &'static Words, now: Timestamp) -> String {
        let question = &self.request.question;
        let words = question.locale.and_then(|it| Words::find(it.as_str())).unwrap_or(words);
        let content = self.content(page_for, words, now);
        page::render(&Page {
            words,
            asker: facts::asker(question),
            title: &question.title,
            action: question
                .action
                .as_ref()
                .map(|it| action::shown(it, facts::approval(&self.request, words))),
            body_markdown: question.body.as_deref(),
            recipient_name: question
                .recipients
                .get(self.row)
                .map(|it| it.name.as_deref().unwrap_or(it.email.as_given())),
            is_test: !self.request.owner.mode.is_live(),
            deadline: self.request.deadline,
            closed_at: match self.request.state() {
                RequestState::Ended(end) => Some(end.at),
                RequestState::Pending | RequestState::Erased { .. } => None,
            },
            effects: effects::effects(&self.request, words),
            coming: effects::coming(&self.request, words),
            now,
            content,
        })
    }

    fn content<'a>(
        &'a self,
        page_for: PageFor<'a>,
        words: &'static Words,
        now: Timestamp,
    ) -> Content<'a> {
        let own = self.answered().map(|row| Answered {
            option: self.label(row.answer.option.as_deref()),
            fields: self.texts(row, words),
            at: row.at,
        });
        let is_locked = self.request.needs_code() && self.request.is_link_locked(self.row);
        match (page_for, own, self.request.state()) {
            (_, own, _) if self.is_open(now) => match page_for {
                _ if is_locked => {
                    Content::Locked { can_renew: self.request.can_renew_code(self.row) }
                }
                PageFor::Confirmation { form, sureness } => {
                    Content::Confirmation(self.confirmation(form, sureness, own, words, now))
                }
                PageFor::Visit { .. } | PageFor::Correction { .. } | PageFor::Refusal { .. } => {
                    Content::Form(self.form(page_for, own, words, now))
                }
            },
            (PageFor::Refusal { form }, Some(own), RequestState::Pending) => {
                Content::AlreadyAnswered { own, written: Some(self.written(form, words)) }
            }
            (PageFor::Refusal { form }, Some(own), _) if self.is_final() => {
                Content::AlreadyAnswered { own, written: Some(self.written(form, words)) }
            }
            (_, Some(own), RequestState::Pending) if now < self.request.deadline => {
                Content::Answered(own)
            }
            (_, own, RequestState::Ended(end))
                if end.outcome != Outcome::Completed || own.is_none() || page_for.is_refused() =>
            {
                let written = page_for.form().map(|it| self.written(it, words));
                Content::Ended { ending: self.ending(end), own, written }
            }
            (_, Some(own), _) => Content::Answered(own),
            (_, None, RequestState::Pending) if now < self.request.deadline => {
                let written = page_for.form().map(|it| self.written(it, words));
                Content::Ended { ending: Ending::Enough, own: None, written }
            }
            (_, None, _) => {
                let written = page_for.form().map(|it| self.written(it, words));
                Content::Ended { ending: Ending::TimedOut, own: None, written }
            }
        }
    }

    fn is_final(&self) -> bool {
        self.request.policy.mode == AnswerMode::OnUserAction
    }

    fn form<'a>(
        &'a self,
        page_for: PageFor<'a>,
        current: Option<Answered<'a>>,
        words: &'static Words,
        now: Timestamp,
    ) -> Form<'a> {
        let question = &self.request.question;
        let form = page_for.form();
        let chosen = match page_for {
            PageFor::Visit { chosen } => chosen,
            PageFor::Correction { .. } | PageFor::Confirmation { .. } | PageFor::Refusal { .. } => {
                None
            }
        };
        let chosen = chosen.filter(|it| question.options.iter().any(|option| option.value == *it));
        let is_shown = |it: &&question::Choice| chosen.is_none_or(|chosen| it.value == chosen);
        let stored = || self.answered().map(|it| Cow::Owned(values(it)));
        let code = form.and_then(|it| it.code.as_deref()).unwrap_or_default();
        Form {
            options: question.options.iter().filter(is_shown).map(choice).collect(),
            fields: question.fields.iter().map(|it| field(it, &question.options)).collect(),
            values: form.map(|it| Cow::Borrowed(&*it.fields)).or_else(stored),
            current,
            errors: page_for.errors(words),
            chosen,
            nonce: self.nonce(PageStep::Question, now),
            code: self.request.needs_code().then_some(CodeInput { value: code }),
        }
    }

    fn confirmation<'a>(
        &'a self,
        form: &'a SubmittedForm,
        sureness: Sureness,
        current: Option<Answered<'a>>,
        words: &'static Words,
        now: Timestamp,
    ) -> Confirmation<'a> {
        let option = form.option.as_deref().unwrap_or(question::SUBMIT);
        let chosen = self.request.question.options.iter().find(|it| it.value == option);
        Confirmation {
            written: self.written(form, words),
            style: chosen.map_or(page::Style::Primary, |it| choice(it).style),
            option,
            values: &form.fields,
            current,
            is_outdated: sureness == Sureness::Outdated,
            nonce: self.nonce(PageStep::Confirmation, now),
            code: form.code.as_deref(),
            approval: effects::approval_by(&self.request, option, words),
        }
    }

    /// A submitted answer as people see it.
    fn written<'a>(&'a self, form: &'a SubmittedForm, words: &'static Words) -> Written<'a> {
        let shown = |(key, text): &'a (String, String)| {
            let field = self.request.question.fields.iter().find(|it| it.key == *key)?;
            let text = controls::written(field, text, words);
            (!text.is_empty()).then_some((field.label.as_str(), text))
        };
        Written {
            option: self.label(form.option.as_deref()),
            fields: form.fields.iter().filter_map(shown).collect(),
        }
    }

    fn ending<'a>(&'a self, end: &'a RequestEnd) -> Ending<'a> {
        match end.outcome {
            Outcome::Completed => Ending::Decided,
            Outcome::NotMet => Ending::NotMet,
            Outcome::Vetoed => Ending::Vetoed,
            Outcome::Cancelled => Ending::Cancelled { reason: end.reason.as_deref() },
            Outcome::TimedOut => Ending::TimedOut,
            Outcome::Defaulted => match &self.request.policy.on_deadline {
                crate::domain::request::OnDeadline::Default(option) => {
                    Ending::Defaulted { option: self.option_label(option) }
                }
                crate::domain::request::OnDeadline::Expire => Ending::TimedOut,
            },
        }
    }

    fn label(&self, value: Option<&str>) -> Option<&str> {
        let value = value?;
        self.request.question.options.iter().find(|it| it.value == value).map(|it| &*it.label)
    }

    fn option_label<'a>(&'a self, value: &'a str) -> &'a str {
        let options = &self.request.question.options;
        options.iter().find(|it| it.value == value).map_or(value, |it| &it.label)
    }

    /// The label and text of every field that was filled in.
    fn texts<'a>(&'a self, row: &'a Row, words: &'static Words) -> Vec<(&'a str, Cow<'a, str>)> {
        let fields = self.request.question.fields.iter();
        fields
            .filter_map(|field| Some((field, row.answer.fields.get(&field.key)?)))
            .map(|(field, value)| (field.label.as_str(), shown(field, value, words)))
            .collect()
    }
}

impl<'a> PageFor<'a> {
    /// The form that was submitted, if one was.
    fn form(self) -> Option<&'a SubmittedForm> {
        match self {
            Self::Visit { .. } => None,
            Self::Correction { form, .. }
            | Self::Confirmation { form, .. }
            | Self::Refusal { form } => Some(form),
        }
    }

    /// An answer was refused.
    fn is_refused(self) -> bool {
        matches!(self, Self::Refusal { .. })
    }

    fn errors(self, words: &'static Words) -> Vec<FieldError<'a>> {
        let Self::Correction { faults, .. } = self else { return Vec::new() };
        let misfits = faults.misfits.iter().map(|it| FieldError {
            part: it.field.as_deref().map_or(FormPart::Options, FormPart::Field),
            detail: faults::of_answer(&it.fault, words),
        });
        let code = faults
            .code
            .map(|it| FieldError { part: FormPart::Code, detail: faults::of_code(it, words) });
        let refusal = faults.refusal.map(|it| FieldError {
            part: FormPart::Options,
            detail: faults::of_refusal(it, words),
        });
        misfits.chain(code).chain(refusal).collect()
    }
}
