//! Times for people.
//!
//! Without a script the page cannot know the reader's time zone. So it shows UTC, and also the
//! distance from now, because few people convert time zones in their head.

use askama::Template;
use jiff::Timestamp;

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

pub(super) fn moment(at: &Timestamp, now: &Timestamp) -> Moment {
    Moment {
        machine: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        human: at.strftime("%A, %-d %B %Y, %H:%M UTC").to_string(),
        relative: relative(at.as_second() - now.as_second()),
    }
}

fn relative(seconds: i64) -> String {
    let distance = match seconds.abs() {
        s if s < MINUTE_SECONDS => "less than a minute".to_owned(),
        s if s < HOUR_SECONDS => about(s, MINUTE_SECONDS, "minute"),
        s if s < 2 * DAY_SECONDS => about(s, HOUR_SECONDS, "hour"),
        s => about(s, DAY_SECONDS, "day"),
    };
    if seconds <= 0 { format!("{distance} ago") } else { format!("in {distance}") }
}

/// Rounds to the nearest whole unit.
fn about(seconds: i64, unit_seconds: i64, unit: &str) -> String {
    let n_units = (seconds + unit_seconds / 2) / unit_seconds;
    let plural = if n_units == 1 { "" } else { "s" };
    format!("about {n_units} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_rounded_and_in_words() {
        let said =
            [-200_000, -60, -59, 0, 59, 60, 150, 5_400, 86_399, 172_799, 172_800, 31_536_000]
                .map(relative);
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
        assert_eq!(
            moment(&at, &now).to_string().trim(),
            "<time datetime=\"2026-11-21T10:46:09Z\">Saturday, 21 November 2026, 10:46 UTC</time> \
             (in about 3 hours)"
        );
    }
}
