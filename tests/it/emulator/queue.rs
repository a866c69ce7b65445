//! The emulated SQS, as the real client sees it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_sqs::{
    error::SdkError,
    operation::receive_message::{ReceiveMessageError, ReceiveMessageOutput},
    types::{
        DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
        QueueAttributeName, SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
    },
};
use local_aws::{Depth, QueueError, sqs_event};
use serde_json::json;
use tokio::task::JoinHandle;

use super::{Cloud, receipt};

const VISIBILITY: Duration = Duration::from_mins(3);

#[tokio::test]
async fn received_message_is_hidden_and_deleted_message_is_gone() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    cloud.send(&url, "hello, wörld", 0).await?;

    let received = cloud.receive(&url).await?;
    assert_eq!(received[0].body(), Some("hello, wörld"));
    assert_eq!(cloud.bodies(&url).await?, [""; 0]);
    let in_flight = Depth { in_flight: 1, ..Depth::default() };
    assert_eq!(cloud.aws.queue().len("hints").await?, in_flight);

    cloud.sqs.delete_message().queue_url(&url).receipt_handle(receipt(&received)).send().await?;
    cloud.pass(3600);
    assert_eq!(cloud.bodies(&url).await?, [""; 0]);
    assert_eq!(cloud.aws.queue().len("hints").await?, Depth::default());
    Ok(())
}

#[tokio::test]
async fn delayed_message_is_received_when_its_delay_is_over() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    cloud.send(&url, "later", 900).await?;
    cloud.send(&url, "sooner", 60).await?;

    assert_eq!(cloud.bodies(&url).await?, [""; 0]);
    let next = cloud.aws.queue().next_visible_at("hints").await?;
    assert_eq!(next, Some("2026-11-20T08:01:00Z".parse()?));
    cloud.pass(60);
    assert_eq!(cloud.bodies(&url).await?, ["sooner"]);
    cloud.pass(839);
    let received = cloud.receive(&url).await?;
    // Only the first one is back, because it was not deleted.
    assert_eq!(received.iter().filter_map(Message::body).collect::<Vec<_>>(), ["sooner"]);
    cloud.pass(1);
    assert_eq!(cloud.bodies(&url).await?, ["later"]);
    Ok(())
}

#[tokio::test]
async fn delay_over_fifteen_minutes_is_refused() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    let sending = cloud.sqs.send_message().queue_url(&url).message_body("x").delay_seconds(901);
    let refused = sending.send().await.expect_err("too long").into_service_error();
    assert_eq!(refused.meta().code(), Some("InvalidParameterValue"));
    assert_eq!(
        refused.meta().message(),
        Some(
            "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 \
             and <= 900."
        ),
    );
    Ok(())
}

#[tokio::test]
async fn old_receipt_does_not_delete_a_message_received_again() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    cloud.send(&url, "x", 0).await?;
    let first = cloud.receive(&url).await?;
    cloud.pass(180);
    let second = cloud.receive(&url).await?;
    let count = second[0].attributes().and_then(|all| {
        all.get(&MessageSystemAttributeName::ApproximateReceiveCount).map(String::as_str)
    });
    assert_eq!(count, Some("2"));

    cloud.sqs.delete_message().queue_url(&url).receipt_handle(receipt(&first)).send().await?;
    assert_eq!(cloud.aws.queue().len("hints").await?.in_flight, 1);
    cloud.sqs.delete_message().queue_url(&url).receipt_handle(receipt(&second)).send().await?;
    assert_eq!(cloud.aws.queue().len("hints").await?, Depth::default());
    Ok(())
}

#[tokio::test]
async fn visibility_timeout_of_a_received_message_can_be_changed() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    cloud.send(&url, "x", 0).await?;
    let hide = |receipt: &str, seconds| {
        let call = cloud.sqs.change_message_visibility().queue_url(&url).receipt_handle(receipt);
        call.visibility_timeout(seconds).send()
    };

    let received = cloud.receive(&url).await?;
    hide(receipt(&received), 600).await?;
    cloud.pass(599);
    assert_eq!(cloud.bodies(&url).await?, [""; 0]);
    hide(receipt(&received), 0).await?;
    let again = hide(receipt(&received), 10).await.expect_err("visible").into_service_error();
    assert!(again.is_message_not_inflight(), "{again:?}");
    assert_eq!(cloud.bodies(&url).await?, ["x"]);
    Ok(())
}

#[tokio::test]
async fn message_received_too_often_moves_to_the_dead_letter_queue() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    let dead = cloud.queue("dead-hints").await?;
    let policy = json!({
        "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead-hints",
        "maxReceiveCount": 3,
    });
    let setting = cloud.sqs.set_queue_attributes().queue_url(&url);
    setting.attributes(QueueAttributeName::RedrivePolicy, policy.to_string()).send().await?;
    cloud.send(&url, "poison", 0).await?;

    for _ in 0..3 {
        assert_eq!(cloud.bodies(&url).await?, ["poison"]);
        assert_eq!(cloud.bodies(&dead).await?, [""; 0]);
        cloud.pass(180);
    }
    assert_eq!(cloud.bodies(&url).await?, [""; 0]);
    assert_eq!(cloud.bodies(&dead).await?, ["poison"]);
    assert_eq!(cloud.aws.queue().len("hints").await?, Depth::default());
    Ok(())
}

#[tokio::test]
async fn batch_response_names_the_refused_messages() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    let entry = |id: &str, delay| {
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(id);
        entry.message_group_id("example.com").delay_seconds(delay).build()
    };
    let sent = cloud
        .sqs
        .send_message_batch()
        .queue_url(&url)
        .entries(entry("good", 0)?)
        .entries(entry("late", 901)?)
        .entries(entry("also-good", 0)?)
        .send()
        .await?;
    let successful: Vec<_> =
        sent.successful().iter().map(SendMessageBatchResultEntry::id).collect();
    assert_eq!(successful, ["good", "also-good"]);
    assert_eq!(sent.failed()[0].id(), "late");
    assert_eq!(sent.failed()[0].code(), "InvalidParameterValue");

    // In a batch, too, each message is separate.
    cloud.send(&url, "alone", 0).await?;
    let received = cloud.receive(&url).await?;
    let bodies: Vec<_> = received.iter().filter_map(Message::body).collect();
    assert_eq!(bodies, ["good", "also-good", "alone"]);
    let mut deletion = cloud.sqs.delete_message_batch().queue_url(&url);
    for message in &received {
        let entry = DeleteMessageBatchRequestEntry::builder().set_id(message.body.clone());
        let entry = entry.set_receipt_handle(message.receipt_handle.clone()).build()?;
        deletion = deletion.entries(entry);
    }
    assert_eq!(deletion.send().await?.successful().len(), 3);
    assert_eq!(cloud.aws.queue().len("hints").await?, Depth::default());
    Ok(())
}

#[tokio::test]
async fn message_of_one_mebibyte_is_accepted_and_no_larger_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cloud = Cloud::in_folder(folder.path()).await?;
    let url = cloud.queue("hints").await?;
    // Three bytes a character, so that pieces cannot all end between two of them.
    let longest = "€".repeat(349_525) + "x";
    assert_eq!(longest.len(), 1024 * 1024);
    let sending = cloud.sqs.send_message().queue_url(&url);
    let refused = sending.message_body(longest.clone() + "x").send().await;
    let refused = refused.expect_err("one too many").into_service_error();
    assert_eq!(refused.meta().code(), Some("InvalidParameterValue"));
    cloud.send(&url, &longest, 0).await?;
    cloud.aws.stop().await;

    let cloud = Cloud::in_folder(folder.path()).await?;
    let [body] = <[String; 1]>::try_from(cloud.bodies(&url).await?).expect("one message");
    assert!(body == longest, "the message came back changed");
    cloud.aws.stop().await;
    Ok(())
}

/// SQS would wait for the visibility timeout.
#[tokio::test]
async fn reopened_folder_shows_in_flight_messages_at_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cloud = Cloud::in_folder(folder.path()).await?;
    let url = cloud.queue("hints").await?;
    cloud.send(&url, "taken", 0).await?;
    cloud.send(&url, "delayed", 60).await?;
    assert_eq!(cloud.bodies(&url).await?, ["taken"]);
    cloud.aws.stop().await;

    // Opening counts no receive, however often it happens.
    Cloud::in_folder(folder.path()).await?.aws.stop().await;
    let cloud = Cloud::in_folder(folder.path()).await?;
    let depth = Depth { visible: 1, delayed: 1, in_flight: 0 };
    assert_eq!(cloud.aws.queue().len("hints").await?, depth);
    let [again] = <[_; 1]>::try_from(cloud.aws.queue().receive("hints", 10, VISIBILITY).await?)
        .expect("one message");
    assert_eq!((again.body.as_str(), again.receive_count), ("taken", 2));
    assert_eq!(cloud.aws.queue().len("hints").await?, Depth { visible: 0, in_flight: 1, ..depth });
    cloud.aws.stop().await;
    Ok(())
}

#[tokio::test]
async fn unknown_queue_is_refused() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let asked = cloud.sqs.get_queue_url().queue_name("nowhere").send().await;
    assert!(asked.expect_err("unknown").into_service_error().is_queue_does_not_exist());
    let url = format!("{}/000000000000/nowhere", cloud.aws.endpoint());
    let sent = cloud.sqs.send_message().queue_url(&url).message_body("x").send().await;
    assert!(sent.expect_err("unknown").into_service_error().is_queue_does_not_exist());
    Ok(())
}

#[tokio::test]
async fn lambda_event_has_the_shape_that_lambda_sends() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    let number = MessageAttributeValue::builder().data_type("Number.java.lang.Long");
    let number = number.string_value("1493147359900").build()?;
    cloud
        .sqs
        .send_message()
        .queue_url(&url)
        .message_body("{}")
        .message_group_id("example.com")
        .message_attributes("timestamp", number)
        .send()
        .await?;
    cloud.pass(2);

    let queue = cloud.aws.queue();
    let messages = queue.receive("hints", 10, VISIBILITY).await?;
    let event = serde_json::to_value(sqs_event(&messages))?;
    let expected = json!({ "Records": [{
        "messageId": messages[0].id,
        "receiptHandle": messages[0].receipt,
        "body": "{}",
        "md5OfBody": "99914b932bd37a50b983c5e7c90ae93b",
        "md5OfMessageAttributes": "2e2e4876d8e0bd6b8c2c8f556831c349",
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1795161600000",
            "SenderId": "000000000000",
            "ApproximateFirstReceiveTimestamp": "1795161602000",
            "MessageGroupId": "example.com",
        },
        "messageAttributes": { "timestamp": {
            "stringValue": "1493147359900",
            "binaryValue": null,
            "stringListValues": [],
            "binaryListValues": [],
            "dataType": "Number.java.lang.Long",
        } },
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:hints",
        "awsRegion": "us-east-1",
    }] });
    assert_eq!(event, expected);
    Ok(())
}

type Poll = JoinHandle<Result<ReceiveMessageOutput, SdkError<ReceiveMessageError>>>;

/// Number of messages that a poll returned. A message is due, so this takes only network time.
async fn found(poll: Poll) -> Result<usize> {
    let received = tokio::time::timeout(Duration::from_secs(10), poll).await;
    Ok(received.context("the poll goes on")???.messages().len())
}

/// Starts a poll of 20 seconds, and returns it once it waits.
///
/// The wait is visible by its side effect: the poll removes a message past its retention.
async fn begun_poll(cloud: &Cloud, url: &str) -> Result<Poll> {
    let setting = cloud.sqs.set_queue_attributes().queue_url(url);
    setting.attributes(QueueAttributeName::MessageRetentionPeriod, "60").send().await?;
    cloud.send(url, "old", 0).await?;
    cloud.pass(60);
    let poll = cloud.sqs.receive_message().queue_url(url).wait_time_seconds(20);
    let poll = tokio::spawn(poll.send());
    while !cloud.aws.queue().peek("hints").await?.is_empty() {
        tokio::task::yield_now().await;
    }
    Ok(poll)
}

#[tokio::test]
async fn long_poll_ends_with_a_message() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    let poll = begun_poll(&cloud, &url).await?;
    cloud.send(&url, "x", 0).await?;
    assert_eq!(found(poll).await?, 1);
    Ok(())
}

#[tokio::test]
async fn long_poll_ends_when_a_delay_is_over() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    let poll = begun_poll(&cloud, &url).await?;
    cloud.send(&url, "x", 10).await?;
    cloud.pass(10);
    assert_eq!(found(poll).await?, 1);
    Ok(())
}

#[tokio::test]
async fn long_poll_ends_after_its_wait_time() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    let poll = begun_poll(&cloud, &url).await?;
    cloud.pass(20);
    assert_eq!(found(poll).await?, 0);
    Ok(())
}

#[tokio::test]
async fn stop_ends_long_polls() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let url = cloud.queue("hints").await?;
    let poll = begun_poll(&cloud, &url).await?;
    // The clock stands still, so only the stop can end this poll.
    cloud.aws.clone().stop().await;
    assert_eq!(found(poll).await?, 0);
    let asked = cloud.aws.queue().len("hints").await;
    assert!(matches!(asked, Err(QueueError::Stopped)), "{asked:?}");
    Ok(())
}
