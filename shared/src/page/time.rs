//! Times for people.
//!
//! Without a script the page cannot know the reader's time zone. So it shows UTC, and also the
//! distance from now, because few people convert time zones in their head. Its script replaces the
//! first by the reader's own.

use askama::Template;
use jiff::Timestamp;

use super::words::{TimeWords, fill};

const MINUTE_SECONDS: i64 = 60;
const HOUR_SECONDS: i64 = 60 * MINUTE_SECONDS;
const DAY_SECONDS: i64 = 24 * HOUR_SECONDS;

/// A `<time>` element such as "Saturday, 21 November 2026, 10:46 UTC (in about 3 hours)".
#[derive(Template)]
#[template(path = "time.html")]
pub(super) struct Moment {
    machine: String,
    human: String,
    relative: String,
}

pub(super) fn moment(at: &Timestamp, now: &Timestamp, words: &TimeWords) -> Moment {
    Moment {
        machine: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        human: human(*at, words),
        relative: relative(at.as_second() - now.as_second(), words),
    }
}

/// The time for a text, such as "Saturday, 21 November 2026, 10:46 UTC (in about 3 hours)".
pub(crate) fn written_out(at: Timestamp, now: Timestamp, words: &TimeWords) -> String {
    let Moment { human, relative, machine: _ } = moment(&at, &now, words);
    format!("{human} ({relative})")
}

fn human(at: Timestamp, words: &TimeWords) -> String {
    let at = at.to_zoned(jiff::tz::TimeZone::UTC);
    let index = |it: i8| usize::try_from(it).unwrap_or_default();
    let weekday = words.weekdays[index(at.weekday().to_monday_zero_offset())];
    let month = words.months[index(at.month() - 1)];
    let (day, year) = (at.day().to_string(), at.year().to_string());
    fill(words.moment, &[weekday, &day, month, &year, &at.strftime("%H:%M").to_string()])
}

fn relative(seconds: i64, words: &TimeWords) -> String {
    let distance = length(seconds.abs(), words);
    fill(if seconds <= 0 { words.past } else { words.future }, &[&distance])
}

/// A length of time such as "about 3 hours".
pub(crate) fn length(seconds: i64, words: &TimeWords) -> String {
    match seconds {
        s if s < MINUTE_SECONDS => words.moments.to_owned(),
        s if s < HOUR_SECONDS => about(s, MINUTE_SECONDS, [words.minute, words.minutes]),
        s if s < 2 * DAY_SECONDS => about(s, HOUR_SECONDS, [words.hour, words.hours]),
        s => about(s, DAY_SECONDS, [words.day, words.days]),
    }
}

/// Rounds to the nearest whole unit, whose names are for one and for several.
fn about(seconds: i64, unit_seconds: i64, [one, several]: [&str; 2]) -> String {
    let n_units = (seconds + unit_seconds / 2) / unit_seconds;
    if n_units == 1 { one.to_owned() } else { fill(several, &[&n_units.to_string()]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Words;

    #[test]
    fn distance_is_rounded_and_in_words() {
        let words = &Words::english().time;
        let said =
            [-200_000, -60, -59, 0, 59, 60, 150, 5_400, 86_399, 172_799, 172_800, 31_536_000]
                .map(|it| relative(it, words));
        assert_eq!(
            said,
            [
                "about 2 days ago",
                "about 1 minute ago",
                "less than a minute ago",
                "less than a minute ago",
                "in less than a minute",
                "in about 1 minute",
                "in about 3 minutes",
                "in about 2 hours",
                "in about 24 hours",
                "in about 48 hours",
                "in about 2 days",
                "in about 365 days",
            ]
        );
    }

    #[test]
    fn moment_has_a_text_for_machines_and_one_for_people() {
        let at = "2026-11-21T10:46:09.123Z".parse().expect("a valid time");
        let now = "2026-11-21T07:40:00Z".parse().expect("a valid time");
        for (lang, human) in [
            ("en", "Saturday, 21 November 2026, 10:46 UTC</time> (in about 3 hours)"),
            ("de", "Samstag, 21. November 2026, 10:46 UTC</time> (in etwa 3 Stunden)"),
            (
                "es",
                "sábado, 21 de noviembre de 2026, 10:46 UTC</time> (dentro de aproximadamente 3 horas)",
            ),
        ] {
            let words = Words::find(lang).expect("a language");
            let shown = moment(&at, &now, &words.time).to_string();
            let expected = format!("<time datetime=\"2026-11-21T10:46:09Z\">{human}");
            assert_eq!(shown.trim(), expected);
        }
    }
}
