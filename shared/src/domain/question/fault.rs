//! The faults of an answer.

use jiff::civil::Date;

use super::ANSWER_BYTES_MAX;
use crate::domain::Decimal;

/// The rule that a part of an answer breaks. Its text has neither subject nor period: `is required`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The field needs a value.
    #[error("is required")]
    Required,
    /// The field needs a value in answers with this option.
    #[error("is required with this option")]
    RequiredWithOption,
    /// A text has control characters.
    #[error("must not contain control characters")]
    ControlCharacters,
    /// A text is too long.
    #[error("must be at most {max} characters (got {n_chars})")]
    TooLong {
        /// Most characters.
        max: u32,
        /// Its characters.
        n_chars: usize,
    },
    /// A text has line breaks.
    #[error("must be one line")]
    NotOneLine,
    /// A number is expected.
    #[error("must be a number")]
    NotANumber,
    /// A number is too small.
    #[error("must be at least {min}")]
    TooSmall {
        /// The smallest.
        min: Decimal,
    },
    /// A number is too large.
    #[error("must be at most {max}")]
    TooLarge {
        /// The largest.
        max: Decimal,
    },
    /// A date is expected.
    #[error("must be a date, such as 2026-01-31")]
    NotADate,
    /// A date is too early.
    #[error("must not be before {min}")]
    TooEarly {
        /// The earliest.
        min: Date,
    },
    /// A date is too late.
    #[error("must not be after {max}")]
    TooLate {
        /// The latest.
        max: Date,
    },
    /// The value is none of the choices.
    #[error("is not one of the choices")]
    NotAChoice,
    /// A list has a value that is none of the choices.
    #[error("has an entry that is not one of the choices: {value}")]
    UnknownChoice {
        /// The value.
        value: String,
    },
    /// A list has a value twice.
    #[error("has an entry twice: {value}")]
    ChosenTwice {
        /// The value.
        value: String,
    },
    /// A list of choices is expected.
    #[error("must be an array of choices")]
    NotAList,
    /// A required toggle is off.
    #[error("must be accepted")]
    NotAccepted,
    /// A toggle is neither true nor false.
    #[error("must be true or false")]
    NotATruthValue,
    /// A text is expected.
    #[error("must be text")]
    NotText,
    /// The question has no such field.
    #[error("is not a field of this request")]
    UnknownField,
    /// The answer has no option.
    #[error("choose one of the options")]
    NoOption,
    /// The question has no such option.
    #[error("is not one of the options: {}", options.join(", "))]
    UnknownOption {
        /// The values of its options.
        options: Vec<String>,
    },
    /// The answer as a whole is too long.
    #[error(
        "must be shorter: an answer must be at most {ANSWER_BYTES_MAX} bytes in all (got {n_bytes})"
    )]
    AnswerTooLong {
        /// Its bytes.
        n_bytes: usize,
    },
}
