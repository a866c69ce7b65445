//! The emulated AWS, as the real clients see it.

mod kms;
mod mail;
mod queue;

use std::{path::Path, time::Duration};

use answerback::platform::{Clock, Deferred, Sdk};
use anyhow::{Context as _, Result};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use axum::http::{Request, StatusCode};
use jiff::Timestamp;
use local::EmulatorClock;
use local_aws::{Aws, Data};
use serde_json::json;

/// Visibility timeout of received messages in these tests.
const VISIBILITY_SECONDS: i32 = 180;

/// An emulated AWS and its clients.
struct Cloud {
    aws: Aws,
    clock: Clock,
    sqs: Deferred<aws_sdk_sqs::Client>,
    dynamodb: aws_sdk_dynamodb::Client,
    eventbridge: Deferred<aws_sdk_eventbridge::Client>,
    kms: Deferred<aws_sdk_kms::Client>,
}

impl Cloud {
    async fn start(data: Data) -> Result<Self> {
        let clock = Clock::manual("2026-11-20T08:00:00Z".parse::<Timestamp>()?);
        let aws = Aws::start(data, None, EmulatorClock::shared(clock.clone())).await?;
        let local_aws::Credentials { access_key_id, secret_access_key } = aws.credentials();
        let sdk = Sdk::local(aws.endpoint(), access_key_id, secret_access_key);
        let (dynamodb, sqs, eventbridge, kms) =
            (sdk.dynamodb(), sdk.sqs(), sdk.eventbridge(), sdk.kms());
        Ok(Self { aws, clock, sqs, dynamodb, eventbridge, kms })
    }

    async fn in_memory() -> Result<Self> {
        Self::start(Data::Memory).await
    }

    async fn in_folder(folder: &Path) -> Result<Self> {
        Self::start(Data::Folder(folder.to_owned())).await
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn queue(&self, name: &str) -> Result<String> {
        let created = self
            .sqs
            .create_queue()
            .queue_name(name)
            .attributes(QueueAttributeName::VisibilityTimeout, VISIBILITY_SECONDS.to_string())
            .send()
            .await?;
        created.queue_url.context("a URL")
    }

    async fn send(&self, url: &str, body: &str, delay_seconds: i32) -> Result<()> {
        let sending = self.sqs.send_message().queue_url(url).message_body(body);
        sending.delay_seconds(delay_seconds).send().await?;
        Ok(())
    }

    async fn receive(&self, url: &str) -> Result<Vec<Message>> {
        let received = self
            .sqs
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await?;
        Ok(received.messages.unwrap_or_default())
    }

    async fn bodies(&self, url: &str) -> Result<Vec<String>> {
        Ok(self.receive(url).await?.into_iter().filter_map(|it| it.body).collect())
    }

    async fn things(&self) -> Result<()> {
        let definition = json!({
            "TableName": "things",
            "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        });
        self.aws.create_table(definition).await
    }
}

fn receipt(messages: &[Message]) -> &str {
    let [message] = messages else { panic!("expected one message, not {messages:?}") };
    message.receipt_handle().expect("every received message has one")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_200_concurrent_conditional_puts_wins() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    cloud.things().await?;
    let puts = (0..200).map(|n| {
        let put = cloud.dynamodb.put_item().table_name("things");
        let put = put.item("id", AttributeValue::S("one".to_owned()));
        let put = put.item("n", AttributeValue::N(n.to_string()));
        tokio::spawn(put.condition_expression("attribute_not_exists(id)").send())
    });
    let mut n_won = 0;
    for result in futures::future::join_all(puts).await {
        match result? {
            Ok(_) => n_won += 1,
            Err(err) => {
                let err = err.into_service_error();
                assert!(err.is_conditional_check_failed_exception(), "{err:?}");
            }
        }
    }
    assert_eq!(n_won, 1);
    Ok(())
}

#[tokio::test]
async fn acknowledged_writes_survive_a_crash() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cloud = Cloud::in_folder(folder.path()).await?;
    cloud.things().await?;
    let put = cloud.dynamodb.put_item().table_name("things");
    put.item("id", AttributeValue::S("kept".to_owned())).send().await?;
    let url = cloud.queue("hints").await?;
    cloud.send(&url, "taken", 0).await?;
    let taken = cloud.receive(&url).await?;
    cloud.send(&url, "deleted", 0).await?;
    let deleted = cloud.receive(&url).await?;
    cloud.sqs.delete_message().queue_url(&url).receipt_handle(receipt(&deleted)).send().await?;
    cloud.send(&url, "delayed", 60).await?;
    cloud.send(&url, "sent", 0).await?;

    // Copy the files while the emulator runs: a killed process closes nothing.
    let crashed = tempfile::tempdir()?;
    for file in std::fs::read_dir(folder.path())? {
        let file = file?;
        std::fs::copy(file.path(), crashed.path().join(file.file_name()))?;
    }
    let cloud = Cloud::in_folder(crashed.path()).await?;
    let get = cloud.dynamodb.get_item().table_name("things");
    let got = get.key("id", AttributeValue::S("kept".to_owned())).send().await?;
    assert!(got.item().is_some());
    // The receipt from before the crash is still valid.
    cloud.sqs.delete_message().queue_url(&url).receipt_handle(receipt(&taken)).send().await?;
    assert_eq!(cloud.bodies(&url).await?, ["sent"]);
    cloud.pass(60);
    assert_eq!(cloud.bodies(&url).await?, ["delayed"]);
    assert_eq!(cloud.aws.queue().len("hints").await?.in_flight, 2);
    Ok(())
}

#[tokio::test]
async fn items_and_messages_survive_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cloud = Cloud::in_folder(folder.path()).await?;
    cloud.things().await?;
    let put = cloud.dynamodb.put_item().table_name("things");
    put.item("id", AttributeValue::S("kept".to_owned())).send().await?;
    let url = cloud.queue("hints").await?;
    cloud.send(&url, "sent", 0).await?;
    cloud.aws.stop().await;

    let cloud = Cloud::in_folder(folder.path()).await?;
    // Creating an existing table is not an error.
    cloud.things().await?;
    let get = cloud.dynamodb.get_item().table_name("things");
    let got = get.key("id", AttributeValue::S("kept".to_owned())).send().await?;
    assert!(got.item().is_some());
    assert_eq!(cloud.bodies(&url).await?, ["sent"]);
    cloud.aws.stop().await;
    Ok(())
}

#[tokio::test]
async fn folder_is_used_by_one_process_at_a_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let first = Cloud::in_folder(folder.path()).await?;
    let second =
        Cloud::in_folder(folder.path()).await.err().context("the second start must fail")?;
    assert!(second.to_string().ends_with("is in use by another process"), "{second}");
    first.aws.stop().await;
    Cloud::in_folder(folder.path()).await?.aws.stop().await;
    Ok(())
}

#[tokio::test]
async fn failed_event_does_not_fail_the_others_in_its_call() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    let entry = |detail: &str| {
        let entry = PutEventsRequestEntry::builder().source("answerback").detail_type("answered");
        entry.event_bus_name("ours").detail(detail).build()
    };
    cloud.aws.bus().fail_entries(1);
    let put = cloud.eventbridge.put_events();
    let put = put.entries(entry("{\"n\":1}")).entries(entry("{\"n\":2}")).entries(entry("[]"));
    let put = put.send().await?;

    assert_eq!(put.failed_entry_count(), 2);
    let codes: Vec<_> = put.entries().iter().map(|it| it.error_code()).collect();
    assert_eq!(codes, [Some("InternalFailure"), None, Some("MalformedDetail")]);
    let events = cloud.aws.bus().events();
    assert_eq!(events.len(), 1);
    assert_eq!((&*events[0].bus, &*events[0].detail), ("ours", "{\"n\":2}"));
    assert_eq!(put.entries()[1].event_id(), Some(&*events[0].id));
    Ok(())
}

#[tokio::test]
async fn event_may_have_member_names_that_serde_json_reserves() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    for name in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
        let detail = json!({ "a": { name: 1 } }).to_string();
        let entry = PutEventsRequestEntry::builder().source("answerback").detail_type("answered");
        let put = cloud.eventbridge.put_events().entries(entry.detail(&detail).build());
        assert_eq!(put.send().await?.failed_entry_count(), 0, "{detail}");
        assert_eq!(cloud.aws.bus().events().last().map(|it| it.detail.clone()), Some(detail));
    }
    Ok(())
}

#[tokio::test]
async fn failed_call_to_the_bus_publishes_nothing() -> Result<()> {
    let cloud = Cloud::in_memory().await?;
    // The client makes four attempts.
    cloud.aws.bus().fail_calls(4);
    let entry = PutEventsRequestEntry::builder().source("answerback").detail_type("answered");
    let put = cloud.eventbridge.put_events().entries(entry.detail("{}").build());
    let failed =
        put.clone().send().await.expect_err("the bus was set to fail").into_service_error();
    assert!(failed.is_internal_exception(), "{failed:?}");
    assert_eq!(cloud.aws.bus().events(), []);
    put.send().await?;
    assert_eq!(cloud.aws.bus().events().len(), 1);
    Ok(())
}

#[tokio::test]
async fn calls_without_a_socket_keep_the_limits() -> Result<()> {
    let aws = Cloud::in_memory().await?.aws;
    let call = async |body: Vec<u8>| {
        let request = Request::post("/").header("x-amz-target", "DynamoDB_20120810.GetItem");
        aws.call(request.body(body.into()).expect("a request")).await
    };

    let missing = r#"{"TableName":"nowhere","Key":{"id":{"S":"1"}}}"#.as_bytes();
    let response = call(missing.to_vec()).await?;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let body = String::from_utf8_lossy(response.body());
    assert!(body.contains("ResourceNotFoundException"), "{body}");
    let too_large = call(vec![b' '; 16 * 1024 * 1024 + 1]).await?;
    assert_eq!(too_large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    aws.clone().stop().await;
    assert!(call(missing.to_vec()).await.is_err());
    Ok(())
}
