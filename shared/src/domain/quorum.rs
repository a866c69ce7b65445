//! How many answers, and which, decide a request.

use super::question::Answer;

/// What must be answered before a request is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// How many answers count as enough.
    pub count: Count,
    /// If set, only answers that choose this option are counted.
    pub option: Option<String>,
    /// Any answer that chooses one of these decides at once.
    pub veto: Vec<String>,
}

/// How many answers are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Everybody's.
    All,
    /// This many, at least 1.
    AtLeast(u32),
}

/// What the answers so far amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answers that are missing can still decide it.
    Open,
    /// The quorum is met. The option that decided, if there is one.
    Met(Option<String>),
    /// The missing answers can no longer meet it. The option that all chose, if they did.
    Unreachable(Option<String>),
    /// Somebody chose this option, which is a veto.
    Vetoed(String),
}

impl Quorum {
    /// Everybody must answer, whatever they choose.
    pub const ALL: Self = Self { count: Count::All, option: None, veto: Vec::new() };

    /// What `rows` (one for each recipient, `None` where the answer is missing) amount to.
    pub fn judge<'a>(&self, rows: impl Iterator<Item = Option<&'a Answer>> + Clone) -> Verdict {
        let chosen = rows.clone().flatten().map(|it| it.option.as_deref().unwrap_or_default());
        if let Some(veto) = chosen.clone().find(|it| self.veto.iter().any(|veto| veto == it)) {
            return Verdict::Vetoed(veto.to_owned());
        }

        let n_rows = rows.clone().count();
        let n_missing = rows.filter(Option::is_none).count();
        let n_counted = match &self.option {
            Some(option) => chosen.clone().filter(|it| it == option).count(),
            None => n_rows - n_missing,
        };
        let n_needed = match self.count {
            Count::All => n_rows,
            Count::AtLeast(count) => count as usize,
        };
        if n_counted >= n_needed {
            Verdict::Met(self.option.clone().or_else(|| unanimous(chosen)))
        } else if n_counted + n_missing < n_needed {
            Verdict::Unreachable(unanimous(chosen))
        } else {
            Verdict::Open
        }
    }
}

/// The option that all chose, if they chose one and the same.
fn unanimous<'a>(mut chosen: impl Iterator<Item = &'a str>) -> Option<String> {
    let first = chosen.next().filter(|it| !it.is_empty())?;
    chosen.all(|it| it == first).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(quorum: &Quorum, rows: &[&str], expected: &Verdict) {
        let rows: Vec<Option<Answer>> = rows
            .iter()
            .map(|it| {
                (!it.is_empty())
                    .then(|| Answer { option: Some((*it).to_owned()), fields: <_>::default() })
            })
            .collect();
        assert_eq!(quorum.judge(rows.iter().map(Option::as_ref)), *expected, "{rows:?}");
    }

    fn quorum(count: Count, option: Option<&str>, veto: &[&str]) -> Quorum {
        Quorum {
            count,
            option: option.map(str::to_owned),
            veto: veto.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn all_means_everybody_whatever_they_choose() {
        check(&Quorum::ALL, &["yes", ""], &Verdict::Open);
        check(&Quorum::ALL, &["yes", "yes"], &Verdict::Met(Some("yes".into())));
        check(&Quorum::ALL, &["yes", "no"], &Verdict::Met(None));
    }

    #[test]
    fn a_count_of_one_option_is_met_or_becomes_unreachable() {
        let two = quorum(Count::AtLeast(2), Some("yes"), &[]);
        check(&two, &["yes", "", ""], &Verdict::Open);
        check(&two, &["yes", "no", "yes"], &Verdict::Met(Some("yes".into())));
        check(&two, &["no", "no", ""], &Verdict::Unreachable(Some("no".into())));
        check(&two, &["no", "yes", "maybe"], &Verdict::Unreachable(None));
    }

    #[test]
    fn a_veto_decides_at_once() {
        let vetoable = quorum(Count::All, Some("yes"), &["no"]);
        check(&vetoable, &["yes", "no", ""], &Verdict::Vetoed("no".into()));
        let any = quorum(Count::AtLeast(1), None, &["no"]);
        check(&any, &["", "no"], &Verdict::Vetoed("no".into()));
    }

    proptest! {
        /// Once every answer is in, a quorum is never open; and a verdict that is reached stays
        /// reached when more answers come, unless one of them is a veto.
        #[test]
        fn verdicts_are_final(
            rows in prop::collection::vec(prop::sample::select(vec!["yes", "no", "maybe"]), 1..8),
            count in prop::option::of(1_u32..8),
            only_yes: bool,
        ) {
            let count = count.map_or(Count::All, |it| {
                Count::AtLeast(it.min(u32::try_from(rows.len()).expect("small")))
            });
            let quorum = quorum(count, only_yes.then_some("yes"), &[]);
            let answers: Vec<Answer> = rows
                .iter()
                .map(|it| Answer { option: Some((*it).to_owned()), fields: <_>::default() })
                .collect();
            let after = |n: usize| {
                quorum.judge(answers.iter().enumerate().map(|(i, it)| (i < n).then_some(it)))
            };
            let mut reached = false;
            for n in 0..=rows.len() {
                let open = after(n) == Verdict::Open;
                prop_assert!(!(reached && open), "reopened after {} answers", n);
                reached |= !open;
            }
            prop_assert!(reached);
        }
    }
}
