//! Parts of a question on the command line: options, fields, quorum, deadline.

use std::{str::FromStr, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::duration;

/// The styles of an option.
const STYLES: [&str; 3] = ["primary", "secondary", "destructive"];
/// The types of a field. Those with choices list them: `select=eu,us`.
const TYPES: [&str; 7] = ["text", "textarea", "number", "date", "toggle", "select", "multi_select"];

/// An option: `VALUE:LABEL`, `VALUE:LABEL:STYLE`, or `VALUE`, which is then also the label.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(super) struct OptionPart {
    pub(super) value: String,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    style: Option<String>,
}

/// A field: `KEY:TYPE:LABEL`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub(super) struct FieldPart {
    key: String,
    r#type: String,
    label: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<OptionPart>,
}

/// The answers that decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuorumPart {
    /// Everyone must answer.
    All,
    /// The first answer decides.
    Any,
    /// This many people must choose an accepted option.
    Count(u32),
}

/// The end of the time to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeadlinePart {
    /// This long after the request is created.
    In(Duration),
    /// A time.
    At(Timestamp),
}

impl OptionPart {
    /// The options of a question that has neither options nor fields.
    pub(super) fn approve_or_reject() -> Vec<Self> {
        let part = |value: &str, label: &str, style: &str| Self {
            value: value.to_owned(),
            label: label.to_owned(),
            style: Some(style.to_owned()),
        };
        vec![part("approve", "Approve", "primary"), part("reject", "Reject", "destructive")]
    }
}

impl FromStr for OptionPart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (value, rest) = text.split_once(':').unwrap_or((text, text));
        let (label, style) = match rest.rsplit_once(':') {
            Some((label, style)) if STYLES.contains(&style) => (label, Some(style.to_owned())),
            // It could be a style with a typing error.
            Some((_, other)) => {
                let styles = STYLES.join(", ");
                return Err(format!("`{other}` must be one of the styles {styles}"));
            }
            None => (rest, None),
        };
        if value.is_empty() || label.is_empty() {
            return Err("must be VALUE:LABEL or VALUE:LABEL:STYLE".to_owned());
        }
        Ok(Self { value: value.to_owned(), label: label.to_owned(), style })
    }
}

impl FromStr for FieldPart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().filter(|it| !it.is_empty());
        let (Some(key), Some(kind), Some(label)) = (part(), part(), part()) else {
            return Err("must be KEY:TYPE:LABEL, such as `why:textarea:Why?`".to_owned());
        };
        let (kind, choices) = match kind.split_once('=') {
            Some((kind, choices)) => (kind, choices.split(',').collect()),
            None => (kind, Vec::new()),
        };
        if !TYPES.contains(&kind) {
            return Err(format!("type `{kind}` must be one of {}", TYPES.join(", ")));
        }
        if kind.ends_with("select") == choices.is_empty() {
            return Err(format!("`{kind}` must have choices only for select: `select=eu,us`"));
        }
        let choice =
            |it: &str| OptionPart { value: it.to_owned(), label: it.to_owned(), style: None };
        Ok(Self {
            key: key.to_owned(),
            r#type: kind.to_owned(),
            label: label.to_owned(),
            choices: choices.into_iter().map(choice).collect(),
        })
    }
}

impl FromStr for QuorumPart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "any" => Ok(Self::Any),
            number => match number.parse() {
                Ok(count) if count > 0 => Ok(Self::Count(count)),
                _ => Err("must be `all`, `any` or a number".to_owned()),
            },
        }
    }
}

impl QuorumPart {
    /// The quorum as the API takes it. A number counts the answers with the accepted option.
    pub(super) fn to_json(self, accepted: &[String], veto: &[String]) -> Value {
        let option = match (self, accepted) {
            (Self::Count(_), [option]) => Some(option),
            _ => None,
        };
        if veto.is_empty() && option.is_none() {
            return match self {
                Self::All => json!("all"),
                Self::Any => json!("any"),
                Self::Count(count) => json!({ "count": count }),
            };
        }
        let count = match self {
            Self::All => json!("all"),
            Self::Any => json!(1),
            Self::Count(count) => json!(count),
        };
        let mut quorum = json!({ "count": count, "veto": veto });
        if let Some(option) = option {
            quorum["option"] = json!(option);
        }
        quorum
    }
}

impl FromStr for DeadlinePart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        let length = duration::positive(text)
            .map_err(|_| "must be a duration such as `2h`, or a time in RFC 3339".to_owned())?;
        Ok(Self::In(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(text: &str) -> Value {
        serde_json::to_value(text.parse::<OptionPart>().expect("an option")).expect("JSON")
    }

    #[test]
    fn options_have_a_value_a_label_and_perhaps_a_style() {
        assert_eq!(option("yes"), json!({ "value": "yes", "label": "yes" }));
        let colon = json!({ "value": "yes", "label": "Go: now", "style": "secondary" });
        assert_eq!(option("yes:Go: now:secondary"), colon);
        let styled = json!({ "value": "no", "label": "Stop", "style": "destructive" });
        assert_eq!(option("no:Stop:destructive"), styled);
        for text in ["", ":Label", "value:", "yes:Go:primry", "yes:Go: now", "yes:Go:"] {
            assert!(text.parse::<OptionPart>().is_err(), "{text}");
        }
    }

    #[test]
    fn fields_have_a_type_and_choices_for_select() {
        let field = |text: &str| {
            let field = text.parse::<FieldPart>();
            field.map(|it| serde_json::to_value(it).expect("JSON"))
        };
        let why = json!({ "key": "why", "type": "textarea", "label": "Why: in full" });
        assert_eq!(field("why:textarea:Why: in full"), Ok(why));
        let region = json!({
            "key": "region", "type": "select", "label": "Region",
            "choices": [{ "value": "eu", "label": "eu" }, { "value": "us", "label": "us" }],
        });
        assert_eq!(field("region:select=eu,us:Region"), Ok(region));
        for text in ["why", "why:text", "why:email:Why", "a:select:A", "a:text=b:A"] {
            assert!(field(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbered_quorum_counts_the_accepted_option() {
        let [yes, no] = ["yes", "no"].map(|it| vec![it.to_owned()]);
        for (quorum, accepted, veto, expected) in [
            (QuorumPart::All, &yes, &vec![], json!("all")),
            (QuorumPart::Any, &yes, &vec![], json!("any")),
            (
                QuorumPart::Count(2),
                &yes,
                &vec![],
                json!({ "count": 2, "option": "yes", "veto": [] }),
            ),
            (QuorumPart::Any, &yes, &no, json!({ "count": 1, "veto": ["no"] })),
            (
                QuorumPart::Count(2),
                &yes,
                &no,
                json!({ "count": 2, "option": "yes", "veto": ["no"] }),
            ),
        ] {
            assert_eq!(quorum.to_json(accepted, veto), expected);
        }
    }

    #[test]
    fn deadline_is_a_duration_or_a_time() {
        let two_hours = DeadlinePart::In(Duration::from_hours(2));
        assert_eq!("2h".parse(), Ok(two_hours));
        let at = "2026-12-24T12:00:00Z".parse().expect("a time");
        assert_eq!("2026-12-24T13:00:00+01:00".parse(), Ok(DeadlinePart::At(at)));
        assert!("tomorrow".parse::<DeadlinePart>().is_err());
    }
}
