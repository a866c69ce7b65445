//! What a recipient must know, in sentences of the reader's language. The answer page and all
//! channels say the same.

use super::{Content, action, text::one_line};
use crate::{
    domain::{
        self, Assurance, Question, Request, delivery::message::Purpose, question::Required,
        text::cleaned,
    },
    page::{self, Action, Asker, Requester, RequesterKind, Words, fill, isolated},
};

/// What a recipient must know.
pub(super) struct Facts {
    /// The words of the request's language.
    pub(super) words: &'static Words,
    /// The question in one line.
    pub(super) title: String,
    /// The name or address of the recipient, in one line.
    pub(super) recipient: Option<String>,
    /// Says that it is a test.
    pub(super) test: Option<String>,
    /// The reason for a message that is not the first.
    pub(super) reason: Option<&'static str>,
    /// Who asks.
    pub(super) asked: Vec<String>,
    /// The action that is approved.
    pub(super) action: Option<Action>,
    /// The question in detail, as it was written.
    pub(super) body: Option<String>,
    /// The end of the time to answer.
    pub(super) deadline: String,
}

impl Facts {
    pub(super) fn of(content: &Content<'_>) -> Self {
        let question = &content.request.question;
        let words = question.locale.and_then(|it| Words::find(it.as_str()));
        let words = words.unwrap_or(Words::english());
        let is_test = !content.request.owner.mode.is_live();
        let deadline = page::written_out(content.request.deadline, content.now, &words.time);
        let recipient = question.recipients.get(content.row);
        let approval = || approval(content.request, words);
        Self {
            words,
            title: one_line(&question.title),
            recipient: recipient
                .map(|it| one_line(it.name.as_deref().unwrap_or(it.email.as_given()))),
            test: is_test.then(|| format!("{} {}", words.frame.test_mode, words.frame.test_detail)),
            reason: match content.purpose {
                Purpose::Ask => None,
                Purpose::Remind => Some(words.message.reminder),
                Purpose::Escalate => Some(words.message.escalated),
                Purpose::Code => Some(words.message.new_code),
            },
            asked: asked(&asker(question), words),
            action: question.action.as_ref().map(|it| action::shown(it, approval())),
            body: question.body.as_deref().map(cleaned).filter(|it| !it.trim().is_empty()),
            deadline: fill(words.facts.answer_by, &[&deadline]),
        }
    }

    /// The sentences above the question, for a place that others read too.
    pub(super) fn opening(&self) -> Vec<String> {
        let recipient = self.recipient.as_deref();
        let recipient = recipient.map(|it| fill(self.words.message.recipient, &[&isolated(it)]));
        let reason = self.reason.map(str::to_owned);
        let notes = [self.test.clone(), reason, recipient].into_iter().flatten();
        notes.chain(self.asked.iter().cloned()).collect()
    }

    /// The sentences below the question, for a place that others read too.
    pub(super) fn closing(&self) -> [&str; 2] {
        [&self.deadline, self.words.frame.do_not_share]
    }
}

/// Who asks a question.
pub(crate) fn asker(question: &Question) -> Asker<'_> {
    let requester = question.requester.as_ref().and_then(|it| {
        let kind = match it.kind {
            domain::RequesterKind::Person => RequesterKind::Person,
            domain::RequesterKind::Service => RequesterKind::Service,
            domain::RequesterKind::Agent => RequesterKind::Agent,
        };
        Some(Requester { kind, name: it.shown()?, is_verified: question.is_requester_fixed })
    });
    Asker { account: question.asked_by.as_deref(), requester }
}

fn asked(asker: &Asker<'_>, words: &Words) -> Vec<String> {
    let sentence = |text, name: &str| fill(text, &[&isolated(&one_line(name))]);
    let account = asker.account.map(|it| sentence(words.facts.asked_by, it));
    let requester = asker.requester.map(|it| sentence(it.on_behalf_of(words), it.name));
    account.into_iter().chain(requester).collect()
}

/// The answer that approves the action, and the use of the approval. Nothing, if it cannot be used.
pub(crate) fn approval(request: &Request, words: &Words) -> Vec<String> {
    let Some(policy) = &request.policy.consume else { return Vec::new() };
    let facts = &words.facts;
    let within = page::length(policy.within_seconds.into(), &words.time);
    let used = match policy.count {
        1 => fill(facts.used_once, &[&within]),
        count => fill(facts.used_often, &[&count.to_string(), &within]),
    };
    vec![fill(facts.approves, &[&label(request, &policy.option)]), used]
}

/// The label of an option.
pub(crate) fn label(request: &Request, value: &str) -> String {
    let option = request.question.options.iter().find(|it| it.value == value);
    isolated(option.map_or(value, |it| &it.label))
}

/// An option alone can be an answer: no field must be filled in first.
pub(super) fn takes_option_alone(question: &Question) -> bool {
    let needs_value = question.fields.iter().any(|it| it.required != Required::Never);
    !question.options.is_empty() && !needs_value
}

/// A press of a button outside of the page may decide.
pub(super) fn takes_press(request: &Request) -> bool {
    let is_link_enough = match request.policy.assurance {
        Assurance::Link => true,
        Assurance::Confirm | Assurance::Code => false,
    };
    is_link_enough && takes_option_alone(&request.question)
}
