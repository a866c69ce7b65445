//! What an answer does, and what else decides a request, in the reader's words.

use crate::{
    domain::{
        Request,
        quorum::Count,
        request::{AnswerMode, OnDeadline},
    },
    page::{self, Words, fill, isolated},
};

/// The sentences, the most important first.
pub(super) fn effects(request: &Request, words: &Words) -> Vec<String> {
    let facts = &words.facts;
    let is_final = request.policy.mode == AnswerMode::OnUserAction;
    let mut effects = vec![if is_final { facts.is_final } else { facts.may_change }.to_owned()];
    let n_asked = request.rows.len();
    if n_asked > 1 {
        let n_answered = request.rows.iter().flatten().count();
        let [asked, answered] = [n_asked, n_answered].map(|it| it.to_string());
        effects.push(match n_answered {
            0 => fill(facts.asked_and_none_answered, &[&asked]),
            _ => fill(facts.asked_and_answered, &[&asked, &answered]),
        });
    } else {
        effects.push(facts.only_you.to_owned());
    }
    let (veto, ends, default) = if is_final {
        (facts.veto, facts.else_ends, facts.else_default)
    } else {
        effects.push(facts.at_deadline.to_owned());
        (facts.veto_at_deadline, facts.otherwise_ends, facts.otherwise_default)
    };
    let policy = &request.policy;
    // Of answers that may change, the first one decides nothing.
    let is_first_enough =
        policy.quorum.count == Count::AtLeast(1) && policy.quorum.option.is_none();
    if is_final || !is_first_enough {
        effects.extend(decided_by(request, words));
    }
    let vetoes = policy.quorum.veto.iter();
    effects.extend(vetoes.map(|it| fill(veto, &[&label(request, it)])));
    effects.push(match &policy.on_deadline {
        OnDeadline::Expire => ends.to_owned(),
        OnDeadline::Default(option) => fill(default, &[&label(request, option)]),
    });
    effects
}

/// The answer that approves the action, and the use of the approval. Nothing, if it cannot be used.
pub(super) fn approval(request: &Request, words: &Words) -> Vec<String> {
    let Some(policy) = &request.policy.consume else { return Vec::new() };
    let facts = &words.facts;
    let within = page::length(policy.within_seconds.into(), &words.time);
    let used = match policy.count {
        1 => fill(facts.used_once, &[&within]),
        count => fill(facts.used_often, &[&count.to_string(), &within]),
    };
    vec![fill(facts.approves, &[&label(request, &policy.option)]), used]
}

/// A sentence on whether this option approves the action. `None`, if none does.
pub(super) fn approval_by(request: &Request, option: &str, words: &Words) -> Option<&'static str> {
    let policy = request.policy.consume.as_ref()?;
    let facts = &words.facts;
    Some(if policy.option == option { facts.this_approves } else { facts.this_does_not_approve })
}

/// The answers that decide. One person's only answer needs no explanation.
fn decided_by(request: &Request, words: &Words) -> Option<String> {
    let (facts, quorum) = (&words.facts, &request.policy.quorum);
    let is_alone = request.rows.len() == 1;
    let label = quorum.option.as_deref().map(|it| label(request, it));
    Some(match (quorum.count, label) {
        (_, None) if is_alone => return None,
        (Count::AtLeast(1), None) => facts.needs_one.to_owned(),
        (Count::AtLeast(count), None) => fill(facts.needs_some, &[&count.to_string()]),
        (Count::All, None) => facts.needs_all.to_owned(),
        (Count::All, Some(label)) if is_alone => fill(facts.needs_one_for, &[&label]),
        (Count::AtLeast(1), Some(label)) => fill(facts.needs_one_for, &[&label]),
        (Count::AtLeast(count), Some(label)) => {
            fill(facts.needs_some_for, &[&count.to_string(), &label])
        }
        (Count::All, Some(label)) => fill(facts.needs_all_for, &[&label]),
    })
}

/// The label of an option.
fn label(request: &Request, value: &str) -> String {
    let option = request.question.options.iter().find(|it| it.value == value);
    isolated(option.map_or(value, |it| &it.label))
}
