//! E-mail addresses: which texts are one, and which are one mailbox.

use std::fs;

use proptest::prelude::*;

use super::*;

/// Pairs of texts that name one mailbox.
const ONE: [(&str, &str); 60] = [
    ("ada@example.com", "ADA@EXAMPLE.COM"),
    ("Ada.Lovelace@example.com", "ada.lovelace@Example.Com"),
    ("a@bücher.example", "a@xn--bcher-kva.example"),
    ("a@bücher.example", "a@BÜCHER.example"),
    ("a@bücher.example", "a@bu\u{308}cher.example"),
    ("a@bücher.example", "a@XN--BCHER-KVA.example"),
    ("a@bu\u{308}cher.example", "a@xn--bcher-kva.example"),
    ("a@Bu\u{308}cher.example", "a@BU\u{308}CHER.EXAMPLE"),
    ("björn@example.com", "bjo\u{308}rn@example.com"),
    ("BJÖRN@example.com", "bjo\u{308}rn@example.com"),
    ("björn@bücher.example", "BJO\u{308}RN@xn--bcher-kva.example"),
    ("ａｄａ@example.com", "ada@example.com"),
    ("ＡＤＡ@example.com", "ada@example.com"),
    ("ada@ｅｘａｍｐｌｅ.com", "ada@example.com"),
    ("ada@example。com", "ada@example.com"),
    ("ada@example．com", "ada@example.com"),
    ("ada@example｡com", "ada@example.com"),
    ("ａｄａ＋ｘ@example.com", "ada+x@example.com"),
    ("ａｄａ．ｌ@example.com", "ada.l@example.com"),
    ("ada１@example.com", "ada1@example.com"),
    ("ada@हिन्दी.भारत", "ada@xn--j2bd4cyah0f.xn--h2brj9c"),
    ("ada@ท้อง.ไทย", "ada@xn--72c5a1d9e.xn--o3cw4h"),
    ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
    ("ada@пример.рф", "ada@xn--e1afmkfd.xn--p1ai"),
    ("ada@ПРИМЕР.РФ", "ada@пример.рф"),
    ("ada@παράδειγμα.ελ", "ada@ΠΑΡΆΔΕΙΓΜΑ.ΕΛ"),
    ("ada@straße.example", "ada@xn--strae-oqa.example"),
    ("ada@STRAẞE.example", "ada@straße.example"),
    ("ada@faß.de", "ada@xn--fa-hia.de"),
    ("ada@münchen.de", "ada@xn--mnchen-3ya.de"),
    ("ada@mu\u{308}nchen.de", "ada@MÜNCHEN.DE"),
    ("ada@ﬁrma.example", "ada@firma.example"),
    ("ada@①.example", "ada@1.example"),
    ("ada@ｘｎ－－bcher-kva.example", "ada@bücher.example"),
    ("ada@한국.example", "ada@\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}.example"),
    ("김@example.com", "\u{1100}\u{1175}\u{11b7}@example.com"),
    ("é@example.com", "e\u{301}@example.com"),
    ("É@example.com", "e\u{301}@example.com"),
    ("ñandú@example.com", "n\u{303}andu\u{301}@example.com"),
    ("Ñandú@example.com", "N\u{303}ANDU\u{301}@EXAMPLE.COM"),
    ("ångström@example.com", "\u{212b}ngström@example.com"),
    ("ångström@example.com", "A\u{30a}ngstro\u{308}m@example.com"),
    ("\u{212a}@example.com", "k@example.com"),
    ("ω@example.com", "\u{2126}@example.com"),
    ("Ω@example.com", "ω@example.com"),
    ("иван@example.com", "ИВАН@example.com"),
    ("ёж@example.com", "е\u{308}ж@example.com"),
    ("ЙОД@example.com", "и\u{306}од@example.com"),
    ("ग़@example.com", "ग\u{93c}@example.com"),
    ("ệ@example.com", "e\u{323}\u{302}@example.com"),
    ("ệ@example.com", "e\u{302}\u{323}@example.com"),
    ("ộ@việt.example", "Ộ@VIỆT.EXAMPLE"),
    ("ada@việt.example", "ada@vie\u{302}\u{323}t.example"),
    ("ǆ@example.com", "Ǆ@example.com"),
    ("ǆ@example.com", "ǅ@example.com"),
    ("þór@example.com", "ÞÓR@example.com"),
    ("łódź@example.com", "ŁÓDŹ@example.com"),
    ("ǰ@example.com", "j\u{30c}@example.com"),
    ("first.last+tag@example.co.uk", "FIRST.LAST+TAG@EXAMPLE.CO.UK"),
    ("o'brien@example.com", "O'Brien@Example.com"),
];

/// Pairs of texts that name two mailboxes.
const TWO: [(&str, &str); 30] = [
    ("ada@example.com", "ada@example.org"),
    ("ada@example.com", "bob@example.com"),
    ("ada@example.com", "ada+x@example.com"),
    ("ada+x@example.com", "ada+y@example.com"),
    ("a.da@example.com", "ada@example.com"),
    ("ada@mail.example.com", "ada@example.com"),
    ("ada@straße.example", "ada@strasse.example"),
    ("ada@faß.de", "ada@fass.de"),
    ("straße@example.com", "strasse@example.com"),
    ("björn@example.com", "bjorn@example.com"),
    ("björn@example.com", "bjoern@example.com"),
    ("a@bücher.example", "a@bucher.example"),
    ("a@bücher.example", "a@buecher.example"),
    ("é@example.com", "e@example.com"),
    ("é@example.com", "è@example.com"),
    ("аda@example.com", "ada@example.com"),
    ("ada@аpple.com", "ada@apple.com"),
    ("o@example.com", "ο@example.com"),
    ("ada_@example.com", "ada@example.com"),
    ("ada-b@example.com", "ada_b@example.com"),
    ("ada1@example.com", "adal@example.com"),
    ("ı@example.com", "i@example.com"),
    ("ada@xn--bcher-kva.example", "ada@bcher-kva.example"),
    ("ﬁ@example.com", "fi@example.com"),
    ("ς@example.com", "σ@example.com"),
    ("ada@παράδειγμας.ελ", "ada@παράδειγμασ.ελ"),
    ("x²@example.com", "x2@example.com"),
    ("ada@a-b.example", "ada@ab.example"),
    ("ада@example.com", "ada@example.com"),
    ("ー@example.com", "-@example.com"),
];

/// Texts that are no addresses.
const NONE: [&str; 48] = [
    "",
    "a",
    "a@",
    "@example.com",
    "a@localhost",
    "a b@example.com",
    "a@b@c.com",
    "<a@example.com>",
    "a@exa mple.com",
    "a@.com",
    "a@-x.com",
    "a@x-.com",
    "a..b@example.com",
    ".a@example.com",
    "a.@example.com",
    "a@example.com.",
    "a@example..com",
    "\"a\"@example.com",
    "a,b@example.com",
    "a;b@example.com",
    "mailto:ada@example.com",
    "MAILTO:ada@example.com",
    "ada\u{200b}@example.com",
    "\u{feff}ada@example.com",
    "\u{202e}ada@example.com",
    "a\u{ad}da@example.com",
    "ada\u{2060}@example.com",
    "ada\u{200d}@example.com",
    "ada\u{3164}@example.com",
    "ada\u{fe0f}@example.com",
    "ada\u{e0041}@example.com",
    "ada\u{0}@example.com",
    "ada\u{85}@example.com",
    "ada\u{a0}@example.com",
    "\u{3000}ada@example.com",
    " ada@example.com",
    "ada@example.com ",
    "ada@example.com\n",
    "ada＠example.com",
    "a＠b@example.com",
    "ada\u{e000}@example.com",
    "ada@192.168.0.1",
    "ada@[192.168.0.1]",
    "ada@exa_mple.com",
    "ada@xn--a.example",
    "ada@ex\u{202e}ample.com",
    "ada(x)@example.com",
    "ada\\@example.com",
];

fn parse(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap_or_else(|| panic!("{text:?} is an address"))
}

#[test]
fn texts_of_one_mailbox_are_one_recipient() {
    for (one, other) in ONE {
        let (one, other) = (parse(one), parse(other));
        assert_eq!(one.canonical(), other.canonical(), "{one} {other}");
        assert_eq!(one, other);
    }
}

#[test]
fn texts_of_two_mailboxes_stay_two_recipients() {
    for (one, other) in TWO {
        assert_ne!(parse(one), parse(other), "{one} {other}");
    }
}

#[test]
fn texts_that_are_no_addresses_are_refused() {
    for text in NONE {
        assert!(EmailAddress::parse(text).is_none(), "{text:?}");
    }
    let long = |n: usize| format!("{}@example.com", "a".repeat(n));
    assert!(EmailAddress::parse(&long(64)).is_some());
    assert!(EmailAddress::parse(&long(65)).is_none());
    let label = |n: usize| format!("a@{}.com", "a".repeat(n));
    assert!(EmailAddress::parse(&label(63)).is_some());
    assert!(EmailAddress::parse(&label(64)).is_none());
}

#[test]
fn address_is_shown_as_it_was_given() {
    let address = parse("Ada@Bücher.Example");
    assert_eq!(address.as_given(), "Ada@Bücher.Example");
    assert_eq!(address.to_string(), "Ada@Bücher.Example");
    assert_eq!(address.canonical(), "ada@xn--bcher-kva.example");
}

/// Names of the tests with a character that Unicode has assigned since.
const ASSIGNED_SINCE: [&str; 2] = ["xn--5cb172r175fug38a.xn--mlj", "xn--t92s.xn--znb.xn--5-y88f"];

/// The tests of UTS #46 decide what a domain is.
#[test]
fn domains_agree_with_the_tests_of_uts_46() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpora/idna/to_ascii.tsv");
    let tests = fs::read_to_string(file).expect("the tests");
    let mut n_domains = 0;
    for line in tests.lines().filter(|it| !it.starts_with('#')) {
        let (name, expected) = line.split_once('\t').expect("two columns");
        let name = unescaped(name);
        let expected = (expected != "!").then(|| unescaped(expected));
        let ascii = to_ascii(&name);
        if expected.is_none() && ascii.as_deref().is_some_and(|it| ASSIGNED_SINCE.contains(&it)) {
            continue;
        }
        assert_eq!(ascii, expected, "{line}");
        let Some(ascii) = expected else { continue };
        n_domains += 1;
        let is_number = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
        let is_address = ascii.len() <= EMAIL_CHARS_MAX - "a@".len()
            && ascii.rsplit_once('.').is_some_and(|(_, last)| !is_number(last));
        let canonical = EmailAddress::parse(&format!("a@{name}")).map(|it| it.canonical);
        assert_eq!(canonical, is_address.then(|| format!("a@{ascii}")), "{line}");
    }
    assert!(n_domains > 100, "{n_domains}");
}

/// A text of that file: `\u0308` and `\x{1F469}` are characters, and `""` is empty.
fn unescaped(text: &str) -> String {
    if text == "\"\"" {
        return String::new();
    }
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = match part.strip_prefix("x{") {
            Some(braced) => braced.split_once('}').expect("a closing brace"),
            None => part[1..].split_at(4),
        };
        let code = u32::from_str_radix(digits, 16).expect("hexadecimal digits");
        // Lone surrogates cannot come up in UTF-8.
        plain.push(char::from_u32(code).unwrap_or('\u{fffd}'));
        plain.push_str(rest);
    }
    plain
}

proptest! {
    /// The canonical form is an address, and its own canonical form.
    #[test]
    fn canonical_form_is_its_own_canonical_form(
        text in r"\PC{1,8}@\PC{1,8}\.(com|рф)|[A-Za-zéÉ̈ａ.+]{1,8}@[A-Za-zéü̈ß]{1,6}\.com",
    ) {
        if let Some(address) = EmailAddress::parse(&text) {
            let again = EmailAddress::parse(address.canonical());
            prop_assert_eq!(again.map(|it| it.canonical), Some(address.canonical));
        }
    }
}
