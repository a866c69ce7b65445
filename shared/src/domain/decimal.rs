//! Numbers as people wrote them.
//!
//! A 64-bit float holds 15 to 17 digits: account numbers and amounts of money would change silently.
//! So a number keeps its decimal text, and two numbers are compared digit by digit.

use std::{cmp::Ordering, fmt};

/// Longest number, in characters.
pub const NUMBER_CHARS_MAX: usize = 100;

/// A number, as the text of a JSON number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal(String);

/// A number's sign, digits and size: `-0.120e3` has the digits `12` and its first digit counts 10².
struct Parts {
    is_negative: bool,
    /// Without zeros at either end. Zero has none.
    digits: Vec<u8>,
    /// The power of ten of the first digit.
    magnitude: i64,
}

impl Decimal {
    /// The number with this text, if it is one and receivers that use floats can read it.
    ///
    /// `+5`, `.5`, `5.` and `05`, which browsers and people write, become `5`, `0.5`, `5` and `5`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > NUMBER_CHARS_MAX {
            return None;
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let is_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let is_exponent = |it: &str| {
            let it = it.strip_prefix(['+', '-']).unwrap_or(it);
            !it.is_empty() && is_digits(it)
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_number = is_digits(whole)
            && is_digits(fraction)
            && !(whole.is_empty() && fraction.is_empty())
            && exponent.is_none_or(is_exponent);
        if !is_number || !text.parse::<f64>().is_ok_and(f64::is_finite) {
            return None;
        }
        let mut json = String::with_capacity(text.len() + 1);
        if text.starts_with('-') {
            json.push('-');
        }
        let whole = whole.trim_start_matches('0');
        json.push_str(if whole.is_empty() { "0" } else { whole });
        if !fraction.is_empty() {
            json.push('.');
            json.push_str(fraction);
        }
        if exponent.is_some() {
            json.push_str(&unsigned[mantissa.len()..]);
        }
        Some(Self(json))
    }

    /// Its text, which is also JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares the values: `1.0` equals `1`.
    pub fn compare(&self, other: &Self) -> Ordering {
        let (left, right) = (self.parts(), other.parts());
        match (left.sign(), right.sign()) {
            (1, 1) => left.compare_size(&right),
            (-1, -1) => right.compare_size(&left),
            (left, right) => left.cmp(&right),
        }
    }

    fn parts(&self) -> Parts {
        let text = self.0.trim_start_matches('-');
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let n_leading = all.iter().take_while(|it| **it == b'0').count();
        let mut digits = all[n_leading..].to_vec();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        // An exponent of twenty digits is far outside of all numbers that are not zero.
        let limit = if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
        let exponent =
            exponent.parse::<i64>().map_or(limit, |it| it.clamp(i64::MIN / 2, i64::MAX / 2));
        let place = |n: usize| i64::try_from(n).expect("a short text");
        let magnitude = exponent + place(whole.len()) - 1 - place(n_leading);
        Parts { is_negative: self.0.starts_with('-'), digits, magnitude }
    }
}

impl Parts {
    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    /// Compares without the sign. Both are not zero.
    fn compare_size(&self, other: &Self) -> Ordering {
        // Digits sort like the fractions that they are, because none ends in zero.
        self.magnitude.cmp(&other.magnitude).then_with(|| self.digits.cmp(&other.digits))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
    }

    #[test]
    fn number_keeps_its_text() {
        for text in [
            "5",
            "5.0",
            "-0",
            "1.10",
            "98765432109876543210",
            "9007199254740993",
            "0.1",
            "1e5",
            "-2.50E-3",
            "1E+2",
            "1000000000000000000001",
        ] {
            assert_eq!(decimal(text).as_str(), text);
        }
        for (text, json) in
            [("+5", "5"), (".5", "0.5"), ("5.", "5"), ("007", "7"), (" 1 ", "1"), ("-.0", "-0.0")]
        {
            assert_eq!(decimal(text).as_str(), json);
        }
        for text in [
            "", "-", ".", "e5", "5e", "1,5", "0x10", "inf", "NaN", "1e400", "--1", "1 2", "１",
            "1_0",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert!(Decimal::parse(&"9".repeat(NUMBER_CHARS_MAX)).is_some());
        assert_eq!(Decimal::parse(&"9".repeat(NUMBER_CHARS_MAX + 1)), None);
    }

    #[test]
    fn numbers_are_compared_without_rounding() {
        for (less, more) in [
            ("9007199254740992", "9007199254740993"),
            ("0.1", "0.10000000000000000001"),
            ("-9007199254740993", "-9007199254740992"),
            ("-1", "0"),
            ("0", "1e-99999999999999999999"),
            ("9.99e2", "1000"),
            ("1e-400", "1e-399"),
        ] {
            assert_eq!(decimal(less).compare(&decimal(more)), Ordering::Less, "{less} {more}");
            assert_eq!(decimal(more).compare(&decimal(less)), Ordering::Greater, "{more} {less}");
        }
        for (one, other) in [("5", "5.0"), ("0", "-0.00e7"), ("100", "1e2"), ("0.010", "1e-2")] {
            assert_eq!(decimal(one).compare(&decimal(other)), Ordering::Equal, "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn comparison_agrees_with_whole_numbers(left: i64, right: i64, zeros in 0_usize..4) {
            let scaled = |it: i64| decimal(&format!("{it}{}e-{zeros}", "0".repeat(zeros)));
            prop_assert_eq!(scaled(left).compare(&decimal(&right.to_string())), left.cmp(&right));
        }

        #[test]
        fn comparison_agrees_with_floats(left: f64, right: f64) {
            if let Some((one, other)) =
                Decimal::parse(&format!("{left:e}")).zip(Decimal::parse(&format!("{right:e}")))
            {
                prop_assert_eq!(Some(one.compare(&other)), left.partial_cmp(&right));
            }
        }

        #[test]
        fn text_is_json_that_parses_to_itself(text in "[+-]?[0-9]{0,5}[.]?[0-9]{0,5}([eE][+-]?[0-9]{1,2})?") {
            if let Some(number) = Decimal::parse(&text) {
                prop_assert!(serde_json::from_str::<f64>(number.as_str()).is_ok(), "{}", number);
                prop_assert_eq!(Decimal::parse(number.as_str()), Some(number));
            }
        }
    }
}
