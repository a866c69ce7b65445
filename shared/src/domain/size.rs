//! The size of questions and answers, about as JSON in the table. A question and a hundred answers
//! must fit into an item of 400 KB.

use super::{
    Action, Answer, Question, Requester,
    action::DIGEST_CHARS,
    question::{
        Choice, Field, FieldValue, QUESTION_INLINE_BYTES_MAX, Recipient, TEXT_OVERHEAD_BYTES,
        json_bytes,
    },
};

/// A notifier with its kind.
const NOTIFIER_CHOICE_BYTES: usize = 52;

impl Answer {
    /// The bytes of its fields as a JSON object, and of its option.
    pub fn n_bytes(&self) -> usize {
        let option = self.option.as_ref().map_or(0, String::len);
        let field =
            |(key, value): (&String, &FieldValue)| json_bytes(key) + ":,".len() + value.n_bytes();
        // The last comma counts as one of the braces.
        option + "{".len() + self.fields.iter().map(field).sum::<usize>().max("}".len())
    }
}

impl Question {
    /// It is about too long for the item of its request.
    pub fn is_about_long(&self) -> bool {
        self.n_bytes() > QUESTION_INLINE_BYTES_MAX
    }

    /// False: it fits into the item of its request, also with escaped characters and the names of all
    /// members.
    pub(super) fn may_be_long(&self) -> bool {
        let reference = self.external_reference_id.as_ref().map_or(0, String::len);
        self.n_bytes() + reference > QUESTION_INLINE_BYTES_MAX / 4
    }

    /// Its approximate bytes in the table.
    pub fn n_bytes(&self) -> usize {
        self.title.len()
            + self.body.as_ref().map_or(0, String::len)
            + self.action.as_ref().map_or(0, of_action)
            + self.asked_by.as_ref().map_or(0, String::len)
            + self.requester.as_ref().map_or(0, Requester::n_bytes)
            + self.metadata.as_ref().map_or(0, String::len)
            + self.recipients.iter().map(of_recipient).sum::<usize>()
            + self.options.iter().map(Choice::n_bytes).sum::<usize>()
            + self.fields.iter().map(Field::n_bytes).sum::<usize>()
    }
}

/// The arguments are a string with JSON in it.
fn of_action(action: &Action) -> usize {
    json_bytes(&action.name) + json_bytes(&action.args) + DIGEST_CHARS + 3 * TEXT_OVERHEAD_BYTES
}

fn of_recipient(recipient: &Recipient) -> usize {
    let email = recipient.email.as_given().len() + recipient.email.canonical().len();
    let via = recipient.via.len() * NOTIFIER_CHOICE_BYTES;
    let slack_user = recipient.slack_user.map_or(0, |it| it.as_str().len() + TEXT_OVERHEAD_BYTES);
    email
        + recipient.name.as_ref().map_or(0, String::len)
        + 2 * TEXT_OVERHEAD_BYTES
        + via
        + slack_user
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::Decimal;

    fn values() -> impl Strategy<Value = FieldValue> {
        prop_oneof![
            any::<String>().prop_map(FieldValue::Text),
            any::<bool>().prop_map(FieldValue::Toggle),
            prop::collection::vec(any::<String>(), 0..3).prop_map(FieldValue::Choices),
            any::<i64>().prop_map(|it| {
                FieldValue::Number(Decimal::parse(&it.to_string()).expect("a number"))
            }),
        ]
    }

    proptest! {
        #[test]
        fn answer_has_the_size_of_its_json(
            option in prop::option::of("[a-z]{0,9}"),
            fields in prop::collection::btree_map(any::<String>(), values(), 0..5),
        ) {
            let value = |it: &FieldValue| match it {
                FieldValue::Text(text) => json!(text),
                FieldValue::Number(number) => number.as_str().parse().expect("JSON"),
                FieldValue::Toggle(toggle) => json!(toggle),
                FieldValue::Choices(values) => json!(values),
            };
            let json: BTreeMap<&String, Value> = fields.iter().map(|(key, it)| (key, value(it))).collect();
            let n_bytes = json!(json).to_string().len() + option.as_ref().map_or(0, String::len);
            let answer = Answer { option, fields };
            prop_assert_eq!(answer.n_bytes(), n_bytes);
        }
    }
}
