//! Faults of an answer, in the reader's words.

use crate::{
    domain::{
        question::{ANSWER_BYTES_MAX, Fault},
        request::Refusal,
    },
    page::{Words, fill},
};

/// A fault of the code of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeFault {
    /// It is missing.
    Missing,
    /// It is wrong.
    Wrong {
        /// The number of wrong codes that lock the link.
        n_left: usize,
    },
}

/// The fault without subject and period.
pub fn of_answer(fault: &Fault, words: &Words) -> String {
    let words = &words.fault;
    match fault {
        Fault::Required => words.required.to_owned(),
        Fault::RequiredWithOption => words.required_with_option.to_owned(),
        Fault::ControlCharacters => words.control_characters.to_owned(),
        Fault::TooLong { max, n_chars } => {
            fill(words.too_long, &[&max.to_string(), &n_chars.to_string()])
        }
        Fault::NotOneLine => words.not_one_line.to_owned(),
        Fault::NotANumber => words.not_a_number.to_owned(),
        Fault::TooSmall { min } => fill(words.too_small, &[min.as_str()]),
        Fault::TooLarge { max } => fill(words.too_large, &[max.as_str()]),
        Fault::NotADate => words.not_a_date.to_owned(),
        Fault::TooEarly { min } => fill(words.too_early, &[&min.to_string()]),
        Fault::TooLate { max } => fill(words.too_late, &[&max.to_string()]),
        Fault::NotAChoice | Fault::UnknownChoice { .. } | Fault::ChosenTwice { .. } => {
            words.not_a_choice.to_owned()
        }
        Fault::NotAccepted => words.not_accepted.to_owned(),
        Fault::UnknownField => words.unknown_field.to_owned(),
        // The page's own form does not send these.
        Fault::NotAList | Fault::NotATruthValue | Fault::NotText => words.wrong_type.to_owned(),
        Fault::NoOption => words.no_option.to_owned(),
        Fault::UnknownOption { .. } => words.unknown_option.to_owned(),
        Fault::AnswerTooLong { n_bytes } => {
            fill(words.answer_too_long, &[&n_bytes.to_string(), &ANSWER_BYTES_MAX.to_string()])
        }
    }
}

/// The fault of a code.
pub(super) fn of_code(fault: CodeFault, words: &Words) -> String {
    match fault {
        CodeFault::Missing => words.fault.code_missing.to_owned(),
        CodeFault::Wrong { n_left } => fill(words.fault.code_wrong, &[&n_left.to_string()]),
    }
}

/// The reason why an answer is refused for now, which the form shows as a fault. Each of the
/// other reasons has its own page.
pub(super) fn of_refusal(refusal: &Refusal, words: &Words) -> String {
    let words = &words.fault;
    match refusal {
        Refusal::ChangedTooSoon => words.changed_too_soon.to_owned(),
        Refusal::ChangedTooOften { .. } => words.changed_too_often.to_owned(),
        Refusal::TooBusy
        | Refusal::AlreadyAnswered(_)
        | Refusal::Ended
        | Refusal::AlreadyFinished
        | Refusal::LinkLocked
        | Refusal::NotAsked
        | Refusal::NoOpenPlace
        | Refusal::RemindedTooSoon { .. }
        | Refusal::Erased => words.too_busy.to_owned(),
    }
}
