//! Patterns of e-mail addresses: the people that a key may ask.

use std::fmt;

use super::EmailAddress;

/// The wildcard. In a local part it stands for any characters, as a first label for any labels.
const ANY: char = '*';

/// A pattern of addresses, such as `*@corp.example` or `*@*.corp.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailPattern {
    local: String,
    domain: DomainPattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum DomainPattern {
    /// This domain.
    Exactly(String),
    /// Every domain below this one.
    Below(String),
}

impl EmailPattern {
    /// The pattern with this text. `None` if no address could match it.
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        let (domain, is_exact) = match domain.strip_prefix("*.") {
            Some(parent) => (parent, false),
            None => (domain, true),
        };
        // A wildcard is a valid character of a local part, so that part is an address's.
        let address = EmailAddress::parse(&format!("{local}@{domain}"))?;
        let (local, domain) = address.canonical().rsplit_once('@')?;
        let (local, domain) = (local.to_owned(), domain.to_owned());
        let domain =
            if is_exact { DomainPattern::Exactly(domain) } else { DomainPattern::Below(domain) };
        Some(Self { local, domain })
    }

    /// The address matches.
    pub fn matches(&self, address: &EmailAddress) -> bool {
        let Some((local, domain)) = address.canonical().rsplit_once('@') else { return false };
        is_match(&self.local, local) && self.domain.has(domain)
    }

    /// Every address that matches `other` matches this one, too.
    pub fn covers(&self, other: &Self) -> bool {
        let has_domain = match &other.domain {
            DomainPattern::Exactly(domain) => self.domain.has(domain),
            DomainPattern::Below(parent) => match &self.domain {
                DomainPattern::Exactly(_) => false,
                DomainPattern::Below(own) => own == parent || self.domain.has(parent),
            },
        };
        // Only a wildcard matches a wildcard, and then whatever that one stands for.
        has_domain && is_match(&self.local, &other.local)
    }
}

impl DomainPattern {
    fn has(&self, domain: &str) -> bool {
        match self {
            Self::Exactly(own) => own == domain,
            Self::Below(parent) => {
                domain.strip_suffix(parent.as_str()).is_some_and(|it| it.ends_with('.'))
            }
        }
    }
}

impl fmt::Display for EmailPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            DomainPattern::Exactly(domain) => write!(f, "{}@{domain}", self.local),
            DomainPattern::Below(parent) => write!(f, "{}@*.{parent}", self.local),
        }
    }
}

/// `text` matches `pattern`, in which a wildcard stands for any characters.
fn is_match(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once(ANY) else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split(ANY).collect();
    let last = parts.pop().unwrap_or_default();
    // The leftmost place of each part leaves the most for the others.
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> EmailPattern {
        EmailPattern::parse(text).unwrap_or_else(|| panic!("{text} is a pattern"))
    }

    fn is_matched(by: &str, address: &str) -> bool {
        pattern(by).matches(&EmailAddress::parse(address).expect("an address"))
    }

    #[test]
    fn pattern_matches_the_canonical_address() {
        for (by, address, expected) in [
            ("*@corp.example", "Ada@CORP.example", true),
            ("*@Bücher.example", "ada@xn--bcher-kva.example", true),
            ("ada@corp.example", "ADA@corp.example", true),
            ("ada@corp.example", "ada2@corp.example", false),
            ("*@corp.example", "ada@corp.example.evil.example", false),
            ("*@corp.example", "ada@evilcorp.example", false),
            ("*@corp.example", "ada@eu.corp.example", false),
            ("*@*.corp.example", "ada@eu.corp.example", true),
            ("*@*.corp.example", "ada@corp.example", false),
            ("*@*.corp.example", "ada@evilcorp.example", false),
            ("ops-*@corp.example", "ops-eu@corp.example", true),
            ("ops-*@corp.example", "ada@corp.example", false),
            ("a*b*c@corp.example", "a-b-b-c@corp.example", true),
            ("a*b*c@corp.example", "a-c-b@corp.example", false),
        ] {
            assert_eq!(is_matched(by, address), expected, "{by} {address}");
        }
    }

    #[test]
    fn pattern_needs_a_domain_of_two_labels() {
        for text in ["", "*", "*@*", "*@example", "*@*.example", "@corp.example", "*@c*.example"] {
            assert_eq!(EmailPattern::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn covering_pattern_matches_what_the_covered_one_does(
            locals in ["[ab*]{1,4}", "[ab*]{1,4}"],
            domains in prop::array::uniform2("(\\*\\.)?(x\\.)?corp\\.example"),
            local in "[ab]{1,5}",
            domain in "(y\\.)?(x\\.)?corp\\.example",
        ) {
            let all = [0, 1].map(|it| pattern(&format!("{}@{}", locals[it], domains[it])));
            let [wide, narrow] = all;
            let address = EmailAddress::parse(&format!("{local}@{domain}")).expect("an address");
            if wide.covers(&narrow) && narrow.matches(&address) {
                prop_assert!(wide.matches(&address), "{wide} {narrow} {address}");
            }
            prop_assert!(wide.covers(&wide));
            prop_assert_eq!(pattern(&wide.to_string()), wide);
        }
    }
}
