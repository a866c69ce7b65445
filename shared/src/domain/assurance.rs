//! Assurance: how sure it is that a person, and not a program, sent the form of an answer page.
//!
//! Mail gateways open links, submit forms and press buttons. So a form says which page it comes
//! from, and a form that was sent faster than people read decides nothing: it leads to a second step,
//! "You chose Approve. Confirm".
//!
//! | assurance | decides | does not hold against a program that |
//! |-----------|---------|--------------------------------------|
//! | `link`    | a form sent 2 s or more after its page was loaded; else the second step | waits for 2 s and presses once |
//! | `confirm` | the second step | presses twice |
//! | `code`    | as `link`, with the 6 digits that a person types | reads the message with the code |

use std::time::Duration;

use jiff::Timestamp;

/// Least time that a person reads before a form decides.
pub const READING_TIME_MIN: Duration = Duration::from_secs(2);
/// Least time that a person takes for the second step.
pub const CONFIRMING_TIME_MIN: Duration = Duration::from_secs(1);
/// Longest time from loading a page to its form.
pub const PAGE_AGE_MAX: Duration = Duration::from_hours(12);
/// Most that the clock of the process that showed the page may be ahead.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(5);

/// How sure it must be that a person answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Assurance {
    /// The holder of the link, who read the page.
    #[default]
    Link,
    /// The holder of the link, who confirmed the choice in a second step.
    Confirm,
    /// The holder of the link, who typed the code that came with it.
    Code,
}

/// A page with a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStep {
    /// The question, with its options.
    Question,
    /// The second step, with the chosen option.
    Confirmation,
}

/// The page that a form comes from, as a genuine nonce says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadedPage {
    /// Its step.
    pub step: PageStep,
    /// The time at which it was loaded.
    pub at: Timestamp,
    /// The number of answers of the recipient so far, as they were then.
    pub n_answers: u32,
}

/// The consequence of a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sureness {
    /// It decides.
    Sure,
    /// It leads to the second step.
    Unsure,
    /// It leads to the second step, because the recorded answer has changed since the page was loaded.
    Outdated,
}

impl Assurance {
    /// All of them, with their names in the API.
    pub const ALL: [(&str, Self); 3] =
        [("link", Self::Link), ("confirm", Self::Confirm), ("code", Self::Code)];

    /// Its name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Confirm => "confirm",
            Self::Code => "code",
        }
    }

    /// The consequence of a form from `page`, while the recipient has given `n_answers`.
    pub fn judge(self, page: Option<LoadedPage>, n_answers: u32, now: Timestamp) -> Sureness {
        let Some(page) = page else { return Sureness::Unsure };
        // A clock that is ahead counts as a page that was just loaded.
        let age = Duration::try_from(now.duration_since(page.at)).unwrap_or_default();
        if page.at > now + CLOCK_AHEAD_MAX || age > PAGE_AGE_MAX {
            return Sureness::Unsure;
        }
        if page.n_answers != n_answers {
            return Sureness::Outdated;
        }
        let is_sure = match page.step {
            PageStep::Question => self != Self::Confirm && age >= READING_TIME_MIN,
            PageStep::Confirmation => age >= CONFIRMING_TIME_MIN,
        };
        if is_sure { Sureness::Sure } else { Sureness::Unsure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    fn page(step: PageStep, age_millis: i64) -> LoadedPage {
        let at = Timestamp::from_millisecond(NOW.as_millisecond() - age_millis).expect("in range");
        LoadedPage { step, at, n_answers: 0 }
    }

    fn check(assurance: Assurance, step: PageStep, decisive: std::ops::RangeInclusive<i64>) {
        let ages = [
            -60_000, -5_001, -5_000, -1, 0, 1, 999, 1_000, 1_999, 2_000, 60_000, 43_200_000,
            43_200_001,
        ];
        for age in ages {
            let sureness = assurance.judge(Some(page(step, age)), 0, NOW);
            let expected = if decisive.contains(&age) { Sureness::Sure } else { Sureness::Unsure };
            assert_eq!(sureness, expected, "{assurance:?} {step:?} {age}");
        }
        assert_eq!(assurance.judge(None, 0, NOW), Sureness::Unsure);
        assert_eq!(assurance.judge(Some(page(step, 5_000)), 1, NOW), Sureness::Outdated);
    }

    #[test]
    fn form_decides_after_two_seconds_and_the_second_step_after_one() {
        for assurance in [Assurance::Link, Assurance::Code] {
            check(assurance, PageStep::Question, 2_000..=43_200_000);
            check(assurance, PageStep::Confirmation, 1_000..=43_200_000);
        }
        #[expect(clippy::reversed_empty_ranges, reason = "no age decides")]
        check(Assurance::Confirm, PageStep::Question, 1..=0);
        check(Assurance::Confirm, PageStep::Confirmation, 1_000..=43_200_000);
    }
}
