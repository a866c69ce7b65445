//! Events that invoke the workers: from the queue and from the schedule.

use answerback::{
    domain::RequestId,
    platform::{Hint, Lane},
};
use local_aws::sqs_event;
use serde::de::IgnoredAny;

use super::*;

/// True if a message is a hint. A simple copy of the product's check.
fn is_hint(body: Option<&str>) -> bool {
    match serde_json::from_str(body.unwrap_or_default()) {
        Ok(Hint::Request { id, .. } | Hint::Deadline { id, .. } | Hint::Step { id, .. }) => {
            id.parse::<RequestId>().is_ok()
        }
        Ok(Hint::Bounce { id, way, .. } | Hint::Arrival { id, way, .. }) => {
            id.parse::<answerback::domain::NotificationId>().is_ok() && way.parse::<usize>().is_ok()
        }
        Ok(Hint::Event { id, .. }) => id.parse::<answerback::domain::EventId>().is_ok(),
        Ok(Hint::Delivery { id, .. }) => id.parse::<answerback::domain::DeliveryId>().is_ok(),
        Err(_) => false,
    }
}

/// A Lambda record with members that are absent, null or unknown, and any text.
fn records() -> impl Strategy<Value = Value> {
    let id = prop_oneof![
        3 => Just("req_00000000000000000000000000".to_owned()),
        3 => Just("dlv_000000000000000000000000000000000000000000".to_owned()),
        3 => Just("evt_00000000000000000000000000".to_owned()),
        3 => Just("ntf_000000000000000000000000000000000000000000".to_owned()),
        1 => ".{0,5}",
    ];
    let kind = select(vec![
        "request", "deadline", "step", "event", "delivery", "bounce", "arrival", "ping",
    ]);
    let hint =
        (kind, id, prop::option::of(0_u32..9), 0_u32..9).prop_map(|(kind, id, attempt, hops)| {
            json!({ "kind": kind, "id": id, "attempt": attempt, "step": hops, "way": "0", "hops": hops })
                .to_string()
        });
    let body = prop_oneof![
        4 => hint.prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        1 => Just("[".repeat(10_000).into()),
        1 => Just(Value::Null),
    ];
    let absent = prop::sample::subsequence(
        vec!["body", "receiptHandle", "attributes", "messageAttributes", "awsRegion", "md5OfBody"],
        0..3,
    );
    (body, absent).prop_map(|(body, absent)| {
        let mut record = json!({
            "receiptHandle": "r",
            "body": body,
            "md5OfBody": "m",
            "attributes": { "ApproximateReceiveCount": "1" },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "awsRegion": "eu-central-1",
            "later": [1],
        });
        for name in absent {
            record.as_object_mut().expect("it is one").remove(name);
        }
        record
    })
}

/// Broken records return to the queue by identifier, and the other hints are followed.
#[test]
fn broken_hint_does_not_affect_other_hints() {
    let batches = (prop::collection::vec(records(), 0..6), any::<Index>());
    run(48, &batches, async |world, (mut records, place)| {
        let question = json!({
            "title": "Deploy?",
            "options": [{ "value": "yes", "label": "Yes" }],
            "callback_url": "https://hooks.example.com/a",
        });
        let request = world.create(question).await;
        world.answer(&request, 0, json!({ "option": "yes" })).await;
        let sent = world
            .system
            .receive(Lane::Fast, std::time::Duration::ZERO)
            .await
            .expect("the queue exists");
        let sent = serde_json::to_value(sqs_event(&sent)).expect("plain data");
        let good = sent["Records"].as_array().expect("records").clone();
        let at = place.index(records.len() + 1);
        records.splice(at..at, good);
        for (number, record) in records.iter_mut().enumerate() {
            record["messageId"] = json!(number.to_string());
        }
        let n_posts = world.posts().len();

        let event = json!({ "Records": records, "later": {} });
        let event = serde_json::from_value(event).expect("the event is valid");
        let response = invoke(world, event).await;

        let is_broken = |it: &&Value| !is_hint(it["body"].as_str());
        let mut broken: Vec<_> =
            records.iter().filter(is_broken).map(|it| it["messageId"].clone()).collect();
        let mut failed: Vec<_> = response.into_iter().map(Value::from).collect();
        broken.sort_by_key(Value::to_string);
        failed.sort_by_key(Value::to_string);
        prop_assert_eq!(failed, broken);
        prop_assert_eq!(world.posts().len(), n_posts + 1, "the callback was made");
        Ok(())
    });
}

/// Invokes `deliver`, and returns the messages that go back to the queue.
async fn invoke(world: &World, event: aws_lambda_events::sqs::SqsEvent) -> Vec<String> {
    let ends_at = world.system.clock.now() + std::time::Duration::from_secs(30);
    let response = deliver::deliver(&world.system.deliver, event, Some(ends_at)).await;
    response.batch_item_failures.into_iter().map(|it| it.item_identifier).collect()
}

/// The sweep ignores the schedule's event, so it runs on any JSON.
#[test]
fn sweep_runs_on_any_schedule_event() {
    const MAIN: &str = include_str!("../../../functions/sweep/src/main.rs");
    assert!(MAIN.contains("LambdaEvent<IgnoredAny>"), "the sweep looks at its input");
    let names = vec!["version", "detail", "time", "resources", "account", "source", "detail-type"];
    let value = prop_oneof![
        any::<f64>().prop_map(|it| json!(it).to_string()),
        any::<String>().prop_map(|it| json!(it).to_string()),
        select(vec![
            "null",
            "1e999",
            r#""\ud800""#,
            "{}",
            "[]",
            "-0",
            "123456789012345678901234567890"
        ])
        .prop_map(str::to_owned),
    ];
    let member = (select(names), value).prop_map(|(name, value)| format!("{name:?}:{value}"));
    let event = prop::collection::vec(member, 0..9).prop_map(|it| format!("{{{}}}", it.join(",")));
    proptest!(|(event in event, depth in 0_usize..5_000)| {
        let event = format!("{}{event}{}", "[".repeat(depth), "]".repeat(depth));
        prop_assert!(serde_json::from_slice::<IgnoredAny>(event.as_bytes()).is_ok());
    });
}
