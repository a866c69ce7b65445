//! The quorum: the answers that decide a request.

use super::question::Answer;

/// The answers that decide a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// The number of answers.
    pub count: Count,
    /// If set, only answers with this option count.
    pub option: Option<String>,
    /// One answer with any of these options decides at once.
    pub veto: Vec<String>,
}

/// The number of answers that decide a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// As many as recipients are asked at first.
    All,
    /// This many, at least 1.
    AtLeast(u32),
}

/// The result of the answers so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumVerdict {
    /// The missing answers can still decide it.
    Open,
    /// The quorum is met. It holds the option that decided, if there is one.
    Met(Option<String>),
    /// The missing answers can no longer meet it. It holds the option that all chose, if they did.
    Unreachable(Option<String>),
    /// A recipient chose this option, which is a veto.
    Vetoed(String),
}

impl Quorum {
    /// Every recipient must answer, with any option.
    pub const ALL: Self = Self { count: Count::All, option: None, veto: Vec::new() };

    /// The result of the answers so far, of which there can be as many as there are places: one for
    /// each recipient who is asked at first. It does not matter who gave them, so it does not matter
    /// either how many recipients are asked later.
    pub fn judge<'a>(
        &self,
        answers: impl Iterator<Item = &'a Answer> + Clone,
        n_places: usize,
    ) -> QuorumVerdict {
        let chosen = answers.map(|it| it.option.as_deref().unwrap_or_default());
        if let Some(veto) = chosen.clone().find(|it| self.veto.iter().any(|veto| veto == it)) {
            return QuorumVerdict::Vetoed(veto.to_owned());
        }

        let n_answers = chosen.clone().count();
        let n_missing = n_places.saturating_sub(n_answers);
        let n_counted = match &self.option {
            Some(option) => chosen.clone().filter(|it| it == option).count(),
            None => n_answers,
        };
        let n_needed = match self.count {
            Count::All => n_places,
            Count::AtLeast(count) => count as usize,
        };
        if n_counted >= n_needed {
            QuorumVerdict::Met(self.option.clone().or_else(|| unanimous(chosen)))
        } else if n_counted + n_missing < n_needed {
            QuorumVerdict::Unreachable(unanimous(chosen))
        } else {
            QuorumVerdict::Open
        }
    }
}

/// The option that all chose, if they all chose the same.
fn unanimous<'a>(mut chosen: impl Iterator<Item = &'a str>) -> Option<String> {
    let first = chosen.next().filter(|it| !it.is_empty())?;
    chosen.all(|it| it == first).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(quorum: &Quorum, rows: &[&str], expected: &QuorumVerdict) {
        let rows: Vec<Option<Answer>> = rows
            .iter()
            .map(|it| {
                (!it.is_empty())
                    .then(|| Answer { option: Some((*it).to_owned()), fields: <_>::default() })
            })
            .collect();
        assert_eq!(quorum.judge(rows.iter().flatten(), rows.len()), *expected, "{rows:?}");
    }

    fn quorum(count: Count, option: Option<&str>, veto: &[&str]) -> Quorum {
        Quorum {
            count,
            option: option.map(str::to_owned),
            veto: veto.iter().map(|it| (*it).to_owned()).collect(),
        }
    }

    #[test]
    fn all_needs_every_answer_with_any_option() {
        check(&Quorum::ALL, &["yes", ""], &QuorumVerdict::Open);
        check(&Quorum::ALL, &["yes", "yes"], &QuorumVerdict::Met(Some("yes".into())));
        check(&Quorum::ALL, &["yes", "no"], &QuorumVerdict::Met(None));
    }

    #[test]
    fn count_of_one_option_is_met_or_becomes_unreachable() {
        let two = quorum(Count::AtLeast(2), Some("yes"), &[]);
        check(&two, &["yes", "", ""], &QuorumVerdict::Open);
        check(&two, &["yes", "no", "yes"], &QuorumVerdict::Met(Some("yes".into())));
        check(&two, &["no", "no", ""], &QuorumVerdict::Unreachable(Some("no".into())));
        check(&two, &["no", "yes", "maybe"], &QuorumVerdict::Unreachable(None));
    }

    #[test]
    fn substitute_fills_an_open_place_and_no_other() {
        let answers = |options: &[&str]| -> Vec<Answer> {
            let answer = |it: &&str| Answer { option: Some((*it).to_owned()), ..<_>::default() };
            options.iter().map(answer).collect()
        };
        let judge = |quorum: &Quorum, given: &[&str]| quorum.judge(answers(given).iter(), 2);
        assert_eq!(judge(&Quorum::ALL, &["no"]), QuorumVerdict::Open);
        assert_eq!(judge(&Quorum::ALL, &["no", "yes"]), QuorumVerdict::Met(None));
        // A "no" has filled its place, and no substitute can take it back.
        let both = quorum(Count::All, Some("yes"), &[]);
        assert_eq!(judge(&both, &["no"]), QuorumVerdict::Unreachable(Some("no".into())));
    }

    #[test]
    fn veto_decides_at_once() {
        let vetoable = quorum(Count::All, Some("yes"), &["no"]);
        check(&vetoable, &["yes", "no", ""], &QuorumVerdict::Vetoed("no".into()));
        let any = quorum(Count::AtLeast(1), None, &["no"]);
        check(&any, &["", "no"], &QuorumVerdict::Vetoed("no".into()));
    }

    const OPTIONS: [&str; 3] = ["yes", "no", "stop"];

    /// Rows with and without an answer, one per recipient.
    fn rows() -> impl Strategy<Value = Vec<Option<usize>>> {
        prop::collection::vec(prop::option::of(0..OPTIONS.len()), 1..6)
    }

    fn quorums() -> impl Strategy<Value = Quorum> {
        let veto = prop::sample::subsequence(vec!["no", "stop"], 0..=2);
        (prop::option::of(1_u32..6), any::<bool>(), veto).prop_map(|(count, only_yes, veto)| {
            let count = count.map_or(Count::All, Count::AtLeast);
            quorum(count, only_yes.then_some("yes"), &veto)
        })
    }

    fn judge(quorum: &Quorum, rows: &[Option<usize>], n_places: usize) -> QuorumVerdict {
        let answer =
            |it: usize| Answer { option: Some(OPTIONS[it].to_owned()), fields: <_>::default() };
        let answers: Vec<Answer> = rows.iter().flatten().copied().map(answer).collect();
        quorum.judge(answers.iter(), n_places)
    }

    /// The rows of recipients, of whom the first are asked at first, and the number of those. As many
    /// have answered as there are places, at most.
    fn escalated() -> impl Strategy<Value = (Vec<Option<usize>>, usize)> {
        (rows(), 1_usize..6).prop_map(|(mut rows, n_places)| {
            let n_places = n_places.min(rows.len());
            let answers: Vec<usize> = (0..rows.len()).filter(|it| rows[*it].is_some()).collect();
            for row in answers.into_iter().skip(n_places) {
                rows[row] = None;
            }
            (rows, n_places)
        })
    }

    /// Enough answers count. A second implementation, as simple as possible.
    fn is_met(quorum: &Quorum, rows: &[Option<usize>], n_places: usize) -> bool {
        let counts =
            |it: &&usize| quorum.option.as_deref().is_none_or(|only| only == OPTIONS[**it]);
        let n_counted = rows.iter().flatten().filter(counts).count();
        match quorum.count {
            Count::All => n_counted == n_places,
            Count::AtLeast(n) => n_counted >= n as usize,
        }
    }

    /// All possible futures: the open places are filled by any of the missing answers, with every
    /// option.
    fn completions(rows: &[Option<usize>], n_places: usize) -> Vec<Vec<Option<usize>>> {
        let all = rows.iter().fold(vec![Vec::new()], |done: Vec<Vec<_>>, row| {
            let choices: Vec<Option<usize>> = match row {
                Some(given) => vec![Some(*given)],
                None => (0..OPTIONS.len()).map(Some).chain([None]).collect(),
            };
            let with = |head: &Vec<_>, it| [head.as_slice(), &[it]].concat();
            done.iter().flat_map(|head| choices.iter().map(move |it| with(head, *it))).collect()
        });
        all.into_iter().filter(|it| it.iter().flatten().count() == n_places).collect()
    }

    proptest! {
        /// The verdict agrees with all possible futures. So a verdict is never taken back, and an
        /// unreachable quorum is never met.
        #[test]
        fn verdict_agrees_with_every_possible_future(
            (rows, n_places) in escalated(),
            quorum in quorums(),
        ) {
            let is_veto = |it: &usize| quorum.veto.iter().any(|veto| veto == OPTIONS[*it]);
            let verdict = judge(&quorum, &rows, n_places);
            let futures = completions(&rows, n_places);
            prop_assert!(!futures.is_empty());
            let is_met = |it: &[Option<usize>]| is_met(&quorum, it, n_places);
            let can_be_met = futures.iter().any(|it| is_met(it));
            match &verdict {
                QuorumVerdict::Vetoed(option) => {
                    let vetoed = rows.iter().flatten().find(|it| is_veto(it));
                    prop_assert_eq!(vetoed.map(|it| OPTIONS[*it]), Some(option.as_str()));
                }
                QuorumVerdict::Met(_) => prop_assert!(is_met(&rows)),
                QuorumVerdict::Unreachable(_) => prop_assert!(!can_be_met),
                QuorumVerdict::Open => prop_assert!(can_be_met && !is_met(&rows)),
            }
            prop_assert_eq!(
                matches!(verdict, QuorumVerdict::Vetoed(_)),
                rows.iter().flatten().any(is_veto)
            );
            for future in futures {
                let then = judge(&quorum, &future, n_places);
                let agrees = match &verdict {
                    QuorumVerdict::Open => then != QuorumVerdict::Open,
                    QuorumVerdict::Met(_) => matches!(then, QuorumVerdict::Met(_) | QuorumVerdict::Vetoed(_)),
                    QuorumVerdict::Unreachable(_) => {
                        matches!(then, QuorumVerdict::Unreachable(_) | QuorumVerdict::Vetoed(_))
                    }
                    QuorumVerdict::Vetoed(_) => matches!(then, QuorumVerdict::Vetoed(_)),
                };
                prop_assert!(agrees, "{:?} became {:?}", verdict, then);
            }
        }

        /// Substitutes change nothing but who may fill a place.
        #[test]
        fn verdict_does_not_depend_on_who_is_asked_later(
            (rows, n_places) in escalated(),
            quorum in quorums(),
        ) {
            let mut first: Vec<Option<usize>> = rows.iter().flatten().copied().map(Some).collect();
            first.resize(n_places, None);
            prop_assert_eq!(judge(&quorum, &rows, n_places), judge(&quorum, &first, n_places));
        }

        #[test]
        fn verdict_does_not_depend_on_the_order_of_recipients(
            (rows, other) in rows().prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle())),
            quorum in quorums(),
        ) {
            let n_places = rows.len();
            match (judge(&quorum, &rows, n_places), judge(&quorum, &other, n_places)) {
                // Of several vetoes, the verdict holds the first recipient's.
                (QuorumVerdict::Vetoed(_), QuorumVerdict::Vetoed(_)) => (),
                (verdict, other) => prop_assert_eq!(verdict, other),
            }
        }

        /// A quorum with all answers is never open, and without a veto a verdict is final.
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
            let after = |n: usize| quorum.judge(answers.iter().take(n), answers.len());
            let mut reached = false;
            for n in 0..=rows.len() {
                let open = after(n) == QuorumVerdict::Open;
                prop_assert!(!(reached && open), "reopened after {} answers", n);
                reached |= !open;
            }
            prop_assert!(reached);
        }
    }
}
