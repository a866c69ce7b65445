//! Laws of hints and their groups.

use proptest::prelude::*;

use super::*;
use crate::domain::{AccountId, breaker::Authority};

#[test]
fn hint_has_the_documented_json() {
    let hint = Hint::delivery(EventId::from_bits(0).delivery(0), 2);
    assert_eq!(
        serde_json::to_string(&hint).expect("serializes"),
        r#"{"kind":"delivery","id":"dlv_000000000000000000000000000000000000000000","attempt":2,"hops":0}"#
    );
}

#[test]
fn slow_lane_hint_adds_only_the_slow_member() {
    let hint = Hint::delivery(EventId::from_bits(0).delivery(0), 2).in_lane(Lane::Slow);
    assert_eq!(hint.lane(), Lane::Slow);
    assert_eq!(
        serde_json::to_string(&hint).expect("serializes"),
        r#"{"kind":"delivery","id":"dlv_000000000000000000000000000000000000000000","attempt":2,"hops":0,"slow":true}"#
    );
}

#[test]
fn group_is_account_and_host_without_the_port() {
    let account = AccountId::from_bits(7 << 100);
    let group = |url| Group::Receiver(account, Authority::of(url).expect("a host")).to_text();
    assert_eq!(group("https://a.example/x"), group("https://a.example:8443/y"));
    assert_ne!(group("https://a.example/"), group("https://b.example/"));
    let other =
        Group::Receiver(AccountId::from_bits(8 << 100), Authority::from_text("a.example:443"));
    assert_ne!(group("https://a.example/"), other.to_text());
    assert_eq!(Group::Account(account).to_text(), account.to_string());
    let longest =
        Group::Receiver(account, Authority::from_text(format!("{}.é:1", "x".repeat(999))));
    let longest = longest.to_text();
    let is_taken = |it: char| it.is_ascii_alphanumeric() || it.is_ascii_punctuation();
    assert!(longest.len() <= 128 && longest.chars().all(is_taken), "{longest}");
}

#[test]
fn hint_is_passed_on_a_limited_number_of_times() {
    let hint = Hint::request(RequestId::from_bits(0));
    assert!(hint.clone().hop(HOPS_MAX - 1).is_some());
    assert!(hint.hop(HOPS_MAX).is_none());
}

proptest! {
    #[test]
    fn hint_survives_json_and_stops_after_its_hops(
        hint in hints(),
        id in r"\PC*",
        // The maximum cannot be incremented.
        hops in prop_oneof![4 => 0_u32..6, 4 => any::<u32>(), 1 => Just(u32::MAX)],
    ) {
        let text = serde_json::to_string(&hint).expect("serializes");
        prop_assert_eq!(serde_json::from_str::<Hint>(&text).ok(), Some(hint.clone()));
        // A newer version may add members, and an older one had fewer.
        let newer = text.replacen('{', &format!(r#"{{"later":{},"#, serde_json::json!(id)), 1);
        prop_assert_eq!(serde_json::from_str::<Hint>(&newer).ok(), Some(hint.clone()));
        let mut older: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        older.as_object_mut().expect("an object").remove("hops");
        let older: Hint = serde_json::from_value(older).expect("hops are optional");
        prop_assert_eq!(older.hop(0), hint.clone().hop(0));

        let hop = hint.hop(hops);
        prop_assert_eq!(hop.is_some(), hops < HOPS_MAX);
    }

    #[test]
    fn no_message_makes_the_hint_parser_panic(
        text in r#"\PC*|\{("(kind|id|attempt|step|hops)":("request"|"delivery"|null|-?[0-9]{1,12}|\[\]),?){0,5}\}"#,
    ) {
        if let Ok(hint) = serde_json::from_str::<Hint>(&text) {
            let again = serde_json::to_string(&hint).expect("serializes");
            prop_assert_eq!(serde_json::from_str::<Hint>(&again).ok(), Some(hint));
        }
    }
}

fn hints() -> impl Strategy<Value = Hint> {
    (any::<u128>(), any::<u32>(), 0..4).prop_map(|(bits, attempt, kind)| match kind {
        0 => Hint::request(RequestId::from_bits(bits)),
        1 => Hint::deadline(RequestId::from_bits(bits)),
        2 => Hint::step(RequestId::from_bits(bits), usize::from(bits % 2 == 0)),
        _ => {
            let id = EventId::from_bits(bits).delivery(7).to_string();
            Hint::Delivery { id, attempt, hops: 0, slow: bits % 2 == 0 }
        }
    })
}
