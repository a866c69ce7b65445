//! JSON values, and their canonical form (RFC 8785): the one spelling of all texts that mean the same.
//!
//! It is made of three rules: members in the order of their names as UTF-16, strings with the fewest
//! escapes, and numbers as ECMAScript writes doubles.

use std::{collections::BTreeMap, fmt::Write as _};

use super::Decimal;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number.
    Number(Double),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(BTreeMap<String, Json>),
}

/// A finite double.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Double(f64);

impl Double {
    /// The number with this JSON text, if its value survives as a double. `9007199254740993` does
    /// not: every program that reads doubles takes it for `9007199254740992`.
    pub fn parse(text: &str) -> Option<Self> {
        let double = Self(text.parse().ok().filter(|it: &f64| it.is_finite())?);
        let (given, kept) = (Decimal::parse(text)?, Decimal::parse(&double.canonical())?);
        given.compare(&kept).is_eq().then_some(double)
    }

    /// Its canonical form.
    pub fn canonical(self) -> String {
        ryu_js::Buffer::new().format_finite(self.0).to_owned()
    }
}

impl Json {
    /// Its canonical form.
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Flag(true) => out.push_str("true"),
            Self::Flag(false) => out.push_str("false"),
            Self::Number(number) => out.push_str(&number.canonical()),
            Self::Text(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (number, item) in items.iter().enumerate() {
                    out.push_str(if number == 0 { "" } else { "," });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (number, (name, value)) in sorted(members).into_iter().enumerate() {
                    out.push_str(if number == 0 { "" } else { "," });
                    quote(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// The members in the order of their names as UTF-16, which is not that of UTF-8.
pub fn sorted(members: &BTreeMap<String, Json>) -> Vec<(&String, &Json)> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
    sorted
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match escape(character) {
            Some(escape) => out.push_str(&escape),
            None => out.push(character),
        }
    }
    out.push('"');
}

/// The escape of a character that must have one in a string.
pub fn escape(character: char) -> Option<String> {
    let short = match character {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{8}' => "\\b",
        '\t' => "\\t",
        '\n' => "\\n",
        '\u{c}' => "\\f",
        '\r' => "\\r",
        '\0'..='\u{1f}' => return Some(unicode_escape(character)),
        _ => return None,
    };
    Some(short.to_owned())
}

/// The character as `\uXXXX`, twice above U+FFFF.
pub fn unicode_escape(character: char) -> String {
    let mut escape = String::new();
    for unit in character.encode_utf16(&mut [0; 2]) {
        write!(escape, "\\u{unit:04x}").expect("a string takes all");
    }
    escape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Json {
        Json::Number(Double::parse(text).unwrap_or_else(|| panic!("{text} is kept")))
    }

    fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// RFC 8785, section 3.2.2.
    #[test]
    fn example_of_the_rfc_has_its_canonical_form() {
        let numbers =
            ["333333333.3333333", "1E30", "4.50", "2e-3", "0.000000000000000000000000001"];
        let text = "\u{20ac}$\u{f}\nA'B\"\\\\\"/";
        let value = object([
            ("numbers", Json::List(numbers.map(number).into())),
            ("string", Json::Text(text.to_owned())),
            ("literals", Json::List(vec![Json::Null, Json::Flag(true), Json::Flag(false)])),
        ]);
        let expected = "{\"literals\":[null,true,false],\
             \"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
             \"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(value.canonical(), expected);
    }

    /// RFC 8785, section 3.2.3.
    #[test]
    fn members_are_sorted_by_their_names_as_utf_16() {
        let names = ["\u{20ac}", "\r", "\u{fb33}", "1", "\u{1f600}", "\u{80}", "\u{f6}"];
        let value = object(names.map(|it| (it, Json::Null)));
        let Json::Object(members) = &value else { unreachable!("it is an object") };
        let order: Vec<&str> = sorted(members).into_iter().map(|it| it.0.as_str()).collect();
        assert_eq!(order, ["\r", "1", "\u{80}", "\u{f6}", "\u{20ac}", "\u{1f600}", "\u{fb33}"]);
        assert!(value.canonical().starts_with("{\"\\r\":null,\"1\":null,"));
    }

    /// RFC 8785, appendix B.
    #[test]
    fn doubles_have_the_forms_of_the_rfc() {
        for (bits, expected) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            let double = f64::from_bits(bits);
            assert_eq!(Double(double).canonical(), expected, "{bits:x}");
            assert_eq!(Double::parse(expected), Some(Double(double)), "{expected}");
        }
    }

    #[test]
    fn number_that_a_double_does_not_keep_is_refused() {
        for text in [
            "9007199254740993",
            "-9007199254740993",
            "1e400",
            "-1e400",
            "1e-400",
            "0.10000000000000000555",
            "1152921504606846977",
        ] {
            assert_eq!(Double::parse(text), None, "{text}");
        }
        for (text, expected) in [
            ("1.10", "1.1"),
            ("-0.0", "0"),
            ("1E2", "100"),
            ("0.30000000000000004", "0.30000000000000004"),
        ] {
            assert_eq!(number(text).canonical(), expected);
        }
    }
}
