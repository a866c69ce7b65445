//! What an answer does, and what else decides a request, in the reader's words.

use crate::{
    domain::{
        Request,
        quorum::Count,
        request::{AnswerMode, OnDeadline, StepAction},
    },
    notify::facts::label,
    page::{Coming, Words, around, fill},
};

/// The sentences, the most important first.
pub(super) fn effects(request: &Request, words: &Words) -> Vec<String> {
    let facts = &words.facts;
    let is_final = request.policy.mode == AnswerMode::OnUserAction;
    let mut effects = vec![if is_final { facts.is_final } else { facts.may_change }.to_owned()];
    let n_asked = request.n_asked();
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
    let count = count(request);
    // Of answers that may change, the first one decides nothing.
    let is_first_enough = count == Count::AtLeast(1) && policy.quorum.option.is_none();
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
    let count = count(request);
    let label = quorum.option.as_deref().map(|it| label(request, it));
    Some(match (count, label) {
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

/// The number of answers that decide. Where others can be asked in addition, "all of them" would be
/// too many.
fn count(request: &Request) -> Count {
    let n_places = request.n_places();
    let count = request.policy.quorum.count;
    let can_grow = count == Count::All && n_places < request.rows.len();
    u32::try_from(n_places).ok().filter(|_| can_grow).map_or(count, Count::AtLeast)
}

/// The next reminder and the next escalation.
pub(super) fn coming(request: &Request, words: &Words) -> Vec<Coming> {
    let facts = &words.facts;
    let ahead = || request.steps_ahead().map(|it| (it, request.policy.steps[it].action));
    let is_reminder = |action: StepAction| action == StepAction::Remind;
    let reminder = ahead().find(|(_, action)| is_reminder(*action));
    let escalation = ahead().find(|(_, action)| !is_reminder(*action));
    let mut next: Vec<_> = reminder.into_iter().chain(escalation).collect();
    next.sort_unstable_by_key(|(step, _)| *step);
    let sentence = |(step, action): (usize, StepAction)| {
        let (text, count) = match action {
            StepAction::Remind => (facts.next_reminder, String::new()),
            StepAction::Escalate { n_recipients: 1 } => (facts.next_one, String::new()),
            StepAction::Escalate { n_recipients } => (facts.next_some, n_recipients.to_string()),
        };
        let (before, after) = around(text);
        Some(Coming { before, at: request.step_at(step)?, after: fill(after, &[&count]) })
    };
    next.into_iter().filter_map(sentence).collect()
}
