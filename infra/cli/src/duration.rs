//! Durations on the command line: `90s`, `2h`, `1h 30m`, `3d`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Parses a duration. A day has 24 hours.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>().map_err(|err| err.to_string())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let length = length.map_err(|_| "must have units up to days, such as `2h` or `3d`".to_owned());
    Duration::try_from(length?).map_err(|_| "must not be negative".to_owned())
}

/// Parses a duration that is not zero.
pub(crate) fn positive(text: &str) -> Result<Duration, String> {
    parse(text).and_then(|it| {
        if it.is_zero() { Err("must be longer than 0 s".to_owned()) } else { Ok(it) }
    })
}

/// The two largest units of a length: `2 h 5 min`.
pub(crate) fn text(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [("d", 86_400, 86_400), ("h", 3_600, 24), ("min", 60, 60), ("s", 1, 60)];
    let mut parts = Vec::new();
    for (number, (unit, size, wrap)) in units.into_iter().enumerate() {
        let count = if number == 0 { seconds / size } else { seconds / size % wrap };
        if count > 0 {
            parts.push((number, format!("{count} {unit}")));
        }
    }
    let Some((first, largest)) = parts.first().cloned() else { return "0 s".to_owned() };
    match parts.get(1) {
        Some((second, next)) if *second == first + 1 => format!("{largest} {next}"),
        _ => largest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_up_to_days() {
        for (written, seconds) in
            [("90s", 90), ("2h", 7_200), ("1h 30m", 5_400), ("3d", 259_200), ("PT1M", 60)]
        {
            assert_eq!(parse(written), Ok(Duration::from_secs(seconds)), "{written}");
        }
        for written in ["", "5", "-1s", "1 month", "soon"] {
            assert!(parse(written).is_err(), "{written}");
        }
        assert!(positive("0s").is_err());
    }

    #[test]
    fn lengths_are_shown_in_two_units() {
        for (seconds, shown) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_661, "1 h 1 min"),
            (3_605, "1 h"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(text(Duration::from_secs(seconds)), shown);
        }
    }
}
