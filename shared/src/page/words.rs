//! The page's own words, in each language that it speaks.
//!
//! What people ask and answer is shown as they wrote it. `{}` marks the place of a value. To add a
//! language, add a table and its line in [`Words::ALL`]; the tests compare the places.

mod de;
mod en;
mod es;
mod message;

pub(crate) use message::MessageWords;

/// The words of one language.
#[derive(Debug)]
pub struct Words {
    /// The language, as a tag of BCP 47.
    pub lang: &'static str,
    pub(crate) frame: Frame,
    pub(crate) facts: Facts,
    pub(crate) status: Status,
    pub(crate) form: FormWords,
    pub(crate) answer: AnswerWords,
    pub(crate) ending: EndingWords,
    pub(crate) code: CodeWords,
    pub(crate) message: MessageWords,
    pub(crate) fault: FaultWords,
    pub(crate) time: TimeWords,
    pub(crate) problem: ProblemWords,
}

/// Around the question.
#[derive(Debug)]
pub(crate) struct Frame {
    /// The title that other programs show for a link. It says nothing about the question.
    pub(crate) preview: &'static str,
    pub(crate) test_mode: &'static str,
    pub(crate) test_detail: &'static str,
    pub(crate) do_not_share: &'static str,
}

/// Who asks whom, and what an answer does.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) asked_by: &'static str,
    pub(crate) on_behalf_of_person: &'static str,
    pub(crate) on_behalf_of_service: &'static str,
    pub(crate) on_behalf_of_agent: &'static str,
    /// The same for requesters that the key of the call fixes.
    pub(crate) for_person: &'static str,
    pub(crate) for_service: &'static str,
    pub(crate) for_agent: &'static str,
    /// The heading of the action that is approved, and the text below it.
    pub(crate) action: &'static str,
    pub(crate) action_detail: &'static str,
    /// The option that approves the action, and the use of the approval.
    pub(crate) approves: &'static str,
    pub(crate) used_once: &'static str,
    pub(crate) used_often: &'static str,
    pub(crate) this_approves: &'static str,
    pub(crate) this_does_not_approve: &'static str,
    pub(crate) hidden: &'static str,
    /// The heading of the requester's own text, where there is an action.
    pub(crate) message: &'static str,
    pub(crate) because_asked: &'static str,
    pub(crate) because_link: &'static str,
    pub(crate) answer_by: &'static str,
    pub(crate) closed_at: &'static str,
    pub(crate) title: &'static str,
    pub(crate) is_final: &'static str,
    pub(crate) may_change: &'static str,
    pub(crate) only_you: &'static str,
    pub(crate) asked_and_answered: &'static str,
    pub(crate) asked_and_none_answered: &'static str,
    pub(crate) needs_all: &'static str,
    pub(crate) needs_one: &'static str,
    pub(crate) needs_some: &'static str,
    pub(crate) needs_all_for: &'static str,
    pub(crate) needs_one_for: &'static str,
    pub(crate) needs_some_for: &'static str,
    pub(crate) veto: &'static str,
    pub(crate) else_ends: &'static str,
    pub(crate) else_default: &'static str,
    /// Of answers that may change until the deadline.
    pub(crate) at_deadline: &'static str,
    pub(crate) veto_at_deadline: &'static str,
    pub(crate) otherwise_ends: &'static str,
    pub(crate) otherwise_default: &'static str,
    /// The next steps: a reminder, and one or more people who are asked, too.
    pub(crate) next_reminder: &'static str,
    pub(crate) next_one: &'static str,
    pub(crate) next_some: &'static str,
}

/// The prefixes of the title in a tab.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) error: &'static str,
    pub(crate) recorded: &'static str,
    pub(crate) confirm: &'static str,
    pub(crate) locked: &'static str,
    pub(crate) already: &'static str,
    pub(crate) closed: &'static str,
}

/// The form, and its second step.
#[derive(Debug)]
pub(crate) struct FormWords {
    pub(crate) your_answer: &'static str,
    pub(crate) change: &'static str,
    pub(crate) you_chose: &'static str,
    pub(crate) press_to_answer: &'static str,
    pub(crate) see_all: &'static str,
    pub(crate) choose_below: &'static str,
    pub(crate) submit: &'static str,
    pub(crate) caution: &'static str,
    pub(crate) required: &'static str,
    pub(crate) required_for: &'static str,
    pub(crate) please_choose: &'static str,
    pub(crate) no_choice: &'static str,
    pub(crate) at_most_characters: &'static str,
    /// The characters that are left, which a script counts.
    pub(crate) characters_left: &'static str,
    pub(crate) between: &'static str,
    pub(crate) at_least: &'static str,
    pub(crate) at_most: &'static str,
    pub(crate) not_before: &'static str,
    pub(crate) not_after: &'static str,
    pub(crate) please_confirm: &'static str,
    pub(crate) confirm: &'static str,
    pub(crate) back: &'static str,
    pub(crate) outdated: &'static str,
    pub(crate) outdated_detail: &'static str,
}

/// A recorded answer.
#[derive(Debug)]
pub(crate) struct AnswerWords {
    pub(crate) recorded: &'static str,
    pub(crate) recorded_may_change: &'static str,
    pub(crate) recorded_final: &'static str,
    pub(crate) already: &'static str,
    pub(crate) already_detail: &'static str,
    pub(crate) yours: &'static str,
    pub(crate) yours_current: &'static str,
    pub(crate) choice: &'static str,
    pub(crate) at: &'static str,
    pub(crate) yes: &'static str,
    pub(crate) no: &'static str,
    pub(crate) kept: &'static str,
    pub(crate) kept_detail: &'static str,
}

/// The end of a question.
#[derive(Debug)]
pub(crate) struct EndingWords {
    pub(crate) decided: &'static str,
    pub(crate) decided_detail: &'static str,
    pub(crate) vetoed_detail: &'static str,
    pub(crate) not_met: &'static str,
    pub(crate) not_met_detail: &'static str,
    pub(crate) enough: &'static str,
    pub(crate) enough_detail: &'static str,
    pub(crate) cancelled: &'static str,
    pub(crate) cancelled_detail: &'static str,
    /// With the reason.
    pub(crate) cancel_reason: &'static str,
    pub(crate) timed_out: &'static str,
    pub(crate) timed_out_detail: &'static str,
    pub(crate) defaulted: &'static str,
    pub(crate) no_answer: &'static str,
}

/// The code of a link.
#[derive(Debug)]
pub(crate) struct CodeWords {
    pub(crate) label: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) locked: &'static str,
    pub(crate) locked_detail: &'static str,
    pub(crate) renew: &'static str,
    pub(crate) renew_detail: &'static str,
    pub(crate) renew_button: &'static str,
    pub(crate) no_more: &'static str,
}

/// The faults of an answer, without subject and period.
#[derive(Debug)]
pub(crate) struct FaultWords {
    pub(crate) not_recorded: &'static str,
    pub(crate) prefix: &'static str,
    /// A label, and its fault.
    pub(crate) sentence: &'static str,
    pub(crate) required: &'static str,
    pub(crate) required_with_option: &'static str,
    pub(crate) control_characters: &'static str,
    pub(crate) too_long: &'static str,
    pub(crate) not_one_line: &'static str,
    pub(crate) not_a_number: &'static str,
    pub(crate) too_small: &'static str,
    pub(crate) too_large: &'static str,
    pub(crate) not_a_date: &'static str,
    pub(crate) too_early: &'static str,
    pub(crate) too_late: &'static str,
    pub(crate) not_a_choice: &'static str,
    pub(crate) not_accepted: &'static str,
    pub(crate) unknown_field: &'static str,
    pub(crate) wrong_type: &'static str,
    pub(crate) no_option: &'static str,
    pub(crate) unknown_option: &'static str,
    pub(crate) answer_too_long: &'static str,
    pub(crate) code_missing: &'static str,
    pub(crate) code_wrong: &'static str,
    pub(crate) changed_too_soon: &'static str,
    pub(crate) changed_too_often: &'static str,
    pub(crate) too_busy: &'static str,
}

/// Times.
#[derive(Debug)]
pub(crate) struct TimeWords {
    /// Monday first.
    pub(crate) weekdays: [&'static str; 7],
    pub(crate) months: [&'static str; 12],
    /// Weekday, day, month, year and time of day.
    pub(crate) moment: &'static str,
    pub(crate) future: &'static str,
    pub(crate) past: &'static str,
    pub(crate) moments: &'static str,
    pub(crate) minute: &'static str,
    pub(crate) minutes: &'static str,
    pub(crate) hour: &'static str,
    pub(crate) hours: &'static str,
    pub(crate) day: &'static str,
    pub(crate) days: &'static str,
}

/// A title and a text.
#[derive(Clone, Copy, Debug)]
pub struct Notice {
    /// The title.
    pub title: &'static str,
    /// The text. It says whether the answer was recorded, and what to do.
    pub detail: &'static str,
}

/// Pages without a question.
#[derive(Debug)]
pub(crate) struct ProblemWords {
    pub(crate) unknown_link: Notice,
    pub(crate) not_found: Notice,
    pub(crate) too_large: Notice,
    pub(crate) unreadable: Notice,
    pub(crate) too_many: Notice,
    pub(crate) busy: Notice,
    pub(crate) internal: Notice,
    pub(crate) other: Notice,
}

/// The kind of a page without a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The link is unknown or altered.
    UnknownLink,
    /// There is nothing at this address.
    NotFound,
    /// The form is too large.
    TooLarge,
    /// The form cannot be read.
    Unreadable,
    /// Too many calls at the moment.
    TooMany,
    /// Too many answers to this request at the moment.
    Busy,
    /// A fault of ours.
    Internal,
    /// Any other.
    Other,
}

impl Words {
    /// All languages, the default first.
    pub const ALL: [&'static Self; 3] = [&en::WORDS, &de::WORDS, &es::WORDS];

    /// The default.
    pub fn english() -> &'static Self {
        &en::WORDS
    }

    /// The words of the language with this tag, or of the language that it is a variety of.
    pub fn find(tag: &str) -> Option<&'static Self> {
        let language = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|it| it.lang.eq_ignore_ascii_case(language))
    }

    /// The title and text of a problem.
    pub fn problem(&self, kind: ProblemKind) -> Notice {
        match kind {
            ProblemKind::UnknownLink => self.problem.unknown_link,
            ProblemKind::NotFound => self.problem.not_found,
            ProblemKind::TooLarge => self.problem.too_large,
            ProblemKind::Unreadable => self.problem.unreadable,
            ProblemKind::TooMany => self.problem.too_many,
            ProblemKind::Busy => self.problem.busy,
            ProblemKind::Internal => self.problem.internal,
            ProblemKind::Other => self.problem.other,
        }
    }
}

/// The text with values in its places.
pub(crate) fn fill(text: &str, values: &[&str]) -> String {
    let mut parts = text.split("{}");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for (part, value) in parts.zip(values.iter().chain(std::iter::repeat(&""))) {
        filled.push_str(value);
        filled.push_str(part);
    }
    filled
}

/// The parts before and after the only place of a text.
pub(crate) fn around(text: &str) -> (&str, &str) {
    text.split_once("{}").unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All texts of a language, in the order of the structure.
    fn texts(words: &Words) -> Vec<String> {
        let shown = format!("{words:?}");
        // Every text is a quoted string of the debugging output.
        shown.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn all_languages_have_the_same_places_for_values() {
        let english = texts(Words::english());
        for words in Words::ALL {
            let own = texts(words);
            assert_eq!(own.len(), english.len(), "{}", words.lang);
            for (own, english) in own.iter().zip(&english) {
                let n_places = |it: &String| it.matches("{}").count();
                assert_eq!(n_places(own), n_places(english), "{own} / {english}");
                assert!(!own.trim().is_empty());
            }
        }
    }

    #[test]
    fn no_text_was_left_in_english() {
        let english = texts(Words::english());
        for words in &Words::ALL[1..] {
            let same = texts(words).into_iter().zip(&english).filter(|(own, it)| own == *it);
            let same: Vec<String> = same.map(|it| it.0).collect();
            // The same in both languages.
            let known =
                ["Code", "Error:", "in {}", "No", "April", "August", "September", "November"];
            assert!(same.iter().all(|it| known.contains(&it.as_str())), "{same:?}");
        }
    }

    #[test]
    fn values_fill_their_places_in_order() {
        assert_eq!(fill("{} of {}.", &["1", "2"]), "1 of 2.");
        assert_eq!(fill("none", &["1"]), "none");
        assert_eq!(fill("{} {}", &["{}"]), "{} ");
    }

    #[test]
    fn varieties_of_a_language_share_its_words() {
        for (tag, lang) in [("de", "de"), ("de-AT", "de"), ("ES_mx", "es"), ("en-GB", "en")] {
            assert_eq!(Words::find(tag).map(|it| it.lang), Some(lang), "{tag}");
        }
        for tag in ["", "fr", "deu", "*"] {
            assert!(Words::find(tag).is_none(), "{tag}");
        }
    }
}
