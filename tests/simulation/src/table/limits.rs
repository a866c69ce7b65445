//! DynamoDB's limits, and its format of numbers.
//!
//! DynamoDB must not refuse any write or query of the product, so each refusal is a panic: a
//! history that ends in one has found a bug. Types that the product does not store are refused
//! too.

use answerback::store::{Attributes, Key};
use aws_sdk_dynamodb::types::AttributeValue;

/// Maximum size of an item, including the names of its attributes.
const ITEM_BYTES_MAX: usize = 400 * 1024;
/// Maximum size of the items that one page of a query reads.
pub(super) const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Maximum length of a partition key.
const PARTITION_KEY_BYTES_MAX: usize = 2048;
/// Maximum length of a sort key.
const SORT_KEY_BYTES_MAX: usize = 1024;
/// Maximum number of digits of a number.
const DIGITS_MAX: usize = 38;

/// Returns true if the text is valid as a partition key.
pub(super) fn is_partition_key(text: &str) -> bool {
    (1..=PARTITION_KEY_BYTES_MAX).contains(&text.len())
}

/// Returns true if the text is valid as a sort key.
pub(super) fn is_sort_key(text: &str) -> bool {
    (1..=SORT_KEY_BYTES_MAX).contains(&text.len())
}

pub(super) fn admit_key(key: &Key) {
    let fits = is_partition_key(&key.pk) && is_sort_key(&key.sk);
    assert!(fits, "DynamoDB refuses {key:?}: a key is empty or too long");
}

pub(super) fn admit_partition(partition: &str) {
    assert!(is_partition_key(partition), "DynamoDB refuses {partition:?}: empty or too long");
}

pub(super) fn admit_limit(limit: i32) -> usize {
    let limit = usize::try_from(limit).ok().filter(|it| *it > 0);
    limit.expect("DynamoDB refuses a limit below 1")
}

pub(super) fn admit_size(item: &Attributes) {
    let n_bytes = size(item);
    assert!(n_bytes <= ITEM_BYTES_MAX, "DynamoDB refuses an item of {n_bytes} bytes");
}

/// Accepts attributes, and normalizes their numbers as DynamoDB does.
pub(super) fn admit(attributes: &mut Attributes) {
    for (name, value) in attributes {
        assert!(!name.is_empty(), "DynamoDB refuses an attribute without a name");
        if let AttributeValue::N(number) = value
            && !is_canonical(number)
        {
            *number = canonical(number);
        }
    }
}

/// Size of an item by DynamoDB's rules.
pub(super) fn size(item: &Attributes) -> usize {
    let size = |value: &AttributeValue| match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        // Two digits per byte, plus one byte, plus one for the sign.
        AttributeValue::N(number) => {
            let digits = number.trim_start_matches('-');
            digits.len().div_ceil(2) + 1 + (number.len() - digits.len())
        }
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
        other => panic!("the product stores no value like {other:?}"),
    };
    item.iter().map(|(name, value)| name.len() + size(value)).sum()
}

fn is_canonical(number: &str) -> bool {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let is_plain = digits.bytes().all(|it| it.is_ascii_digit()) && digits.len() <= DIGITS_MAX;
    is_plain && (digits.starts_with(|it: char| it != '0') || number == "0")
}

/// A number without a plus sign and without leading or trailing zeros.
fn canonical(number: &str) -> String {
    let is_negative = number.starts_with('-');
    let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !(whole.is_empty() && part.is_empty())
        && whole.bytes().chain(part.bytes()).all(|it| it.is_ascii_digit());
    assert!(is_number, "{number:?} is not a number that the product writes");
    let (whole, part) = (whole.trim_start_matches('0'), part.trim_end_matches('0'));
    assert!(whole.len() + part.len() <= DIGITS_MAX, "DynamoDB refuses {number:?}: too many digits");
    let sign = if is_negative && !(whole.is_empty() && part.is_empty()) { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if part.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{part}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_normalized() {
        let check = |written: &str, read: &str| {
            let number = AttributeValue::N(written.to_owned());
            let mut item = Attributes::from([("n".to_owned(), number)]);
            admit(&mut item);
            assert_eq!(item["n"], AttributeValue::N(read.to_owned()));
        };
        check("0", "0");
        check("-0", "0");
        check("007", "7");
        check("+5", "5");
        check("-1.50", "-1.5");
        check("0.0", "0");
        check(".25", "0.25");
        check("1000", "1000");
        check("-9223372036854775808", "-9223372036854775808");
    }
}
