//! SQS operations in the JSON protocol of the SDKs and the CLI.

use serde_json::{Map, Value, json};

use super::{
    Depth, Error, Message, Queue,
    input::{
        BATCH_BYTES_MAX, Batch, BatchEntry, ChangeVisibility, DeleteMessage, ENTRIES_MAX,
        GetAttributes, ListQueues, NoInput, OnQueue, QueueName, QueueUrl, ReceiveMessage,
        SendMessage, SetAttributes, VISIBILITY_SECONDS_MAX, WAIT_SECONDS_MAX, duration, invalid,
        parse,
    },
    message::{md5_of_attributes, md5_of_body},
    settings::arn,
    stored::NewMessage,
};
use crate::ACCOUNT;

impl Queue {
    /// Carries out `operation`.
    pub(crate) async fn call(&self, operation: &str, input: &[u8]) -> Result<Value, Error> {
        match operation {
            "CreateQueue" => self.create_queue(parse(input)?).await,
            "GetQueueUrl" => self.get_queue_url(parse(input)?).await,
            "ListQueues" => self.list_queues(parse(input)?).await,
            "GetQueueAttributes" => self.get_attributes(parse(input)?).await,
            "SetQueueAttributes" => self.set_attributes(parse(input)?).await,
            "SendMessage" => self.send_message(parse(input)?).await,
            "SendMessageBatch" => self.send_batch(parse(input)?).await,
            "ReceiveMessage" => self.receive_message(parse(input)?).await,
            "DeleteMessage" => self.delete_message(parse(input)?).await,
            "DeleteMessageBatch" => self.delete_batch(parse(input)?).await,
            "ChangeMessageVisibility" => self.change_visibility(parse(input)?).await,
            "PurgeQueue" => self.purge_queue(parse(input)?).await,
            _ => Err(Error::UnknownOperation(operation.to_owned())),
        }
    }

    async fn create_queue(
        &self,
        QueueName { queue_name, attributes }: QueueName,
    ) -> Result<Value, Error> {
        let legal = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        if !(1..=80).contains(&queue_name.len()) || !queue_name.chars().all(legal) {
            let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to \
                          80 in length; FIFO queues are not emulated.";
            return Err(invalid("QueueName", queue_name, reason));
        }
        let url = json!({ "QueueUrl": self.url(&queue_name) });
        self.run(move |state, _| state.create(&queue_name, &attributes)).await?;
        Ok(url)
    }

    async fn get_queue_url(&self, QueueName { queue_name, .. }: QueueName) -> Result<Value, Error> {
        let url = json!({ "QueueUrl": self.url(&queue_name) });
        self.run(move |state, _| state.settings(&queue_name).map(|_| ())).await?;
        Ok(url)
    }

    async fn list_queues(
        &self,
        ListQueues { queue_name_prefix: prefix }: ListQueues,
    ) -> Result<Value, Error> {
        let names = self.run(move |state, _| {
            Ok(state.names().filter(|it| it.starts_with(&prefix)).cloned().collect::<Vec<_>>())
        });
        let urls: Vec<_> = names.await?.iter().map(|it| self.url(it)).collect();
        Ok(json!({ "QueueUrls": urls }))
    }

    async fn get_attributes(
        &self,
        OnQueue { queue_url, input }: OnQueue<GetAttributes>,
    ) -> Result<Value, Error> {
        let QueueUrl(queue) = queue_url;
        let known = self.run(move |state, now| {
            let mut all = state.settings(&queue)?.all();
            let Depth { visible, delayed, in_flight } = state.depth(&queue, now)?;
            all.insert("QueueArn", arn(&queue));
            all.insert("ApproximateNumberOfMessages", visible.to_string());
            all.insert("ApproximateNumberOfMessagesDelayed", delayed.to_string());
            all.insert("ApproximateNumberOfMessagesNotVisible", in_flight.to_string());
            Ok(all)
        });
        let mut known = known.await?;
        if !input.attribute_names.iter().any(|it| it == "All") {
            known.retain(|name, _| input.attribute_names.iter().any(|it| it == name));
        }
        Ok(json!({ "Attributes": known }))
    }

    async fn set_attributes(
        &self,
        OnQueue { queue_url, input }: OnQueue<SetAttributes>,
    ) -> Result<Value, Error> {
        self.run(move |state, _| state.set(&queue_url.0, &input.attributes)).await?;
        Ok(json!({}))
    }

    async fn send_message(
        &self,
        OnQueue { queue_url, input }: OnQueue<SendMessage>,
    ) -> Result<Value, Error> {
        let sent = self.run(move |state, now| {
            let message = input.into_message(state.settings(&queue_url.0)?.message_bytes_max)?;
            let mut output = acknowledgement(&message);
            for id in state.send(&queue_url.0, vec![message], now)? {
                output["MessageId"] = json!(id);
            }
            Ok(output)
        });
        sent.await
    }

    async fn send_batch(
        &self,
        OnQueue { queue_url, input }: OnQueue<Batch<SendMessage>>,
    ) -> Result<Value, Error> {
        let entries = input.checked()?;
        let bytes: usize = entries.iter().map(|it| it.input.bytes()).sum();
        if bytes > BATCH_BYTES_MAX {
            return Err(Error::BatchRequestTooLong(BATCH_BYTES_MAX));
        }
        let sent = self.run(move |state, now| {
            let bytes_max = state.settings(&queue_url.0)?.message_bytes_max;
            let (mut messages, mut successful, mut failed) = (Vec::new(), Vec::new(), Vec::new());
            for BatchEntry { id, input } in entries {
                match input.into_message(bytes_max) {
                    Ok(message) => {
                        let mut output = acknowledgement(&message);
                        output["Id"] = json!(id);
                        successful.push(output);
                        messages.push(message);
                    }
                    Err(err) => failed.push(failure(&id, &err)),
                }
            }
            let ids = state.send(&queue_url.0, messages, now)?;
            for (output, id) in successful.iter_mut().zip(ids) {
                output["MessageId"] = json!(id);
            }
            Ok(json!({ "Successful": successful, "Failed": failed }))
        });
        sent.await
    }

    async fn receive_message(
        &self,
        OnQueue { queue_url, input }: OnQueue<ReceiveMessage>,
    ) -> Result<Value, Error> {
        let QueueUrl(queue) = queue_url;
        let max = input.max_number_of_messages.unwrap_or(1);
        if !(1..=ENTRIES_MAX).contains(&max) {
            let reason = "Must be between 1 and 10, if provided.";
            return Err(invalid("MaxNumberOfMessages", max.to_string(), reason));
        }
        let seconds = input.visibility_timeout;
        let visibility =
            seconds.map(|it| duration("VisibilityTimeout", it, VISIBILITY_SECONDS_MAX));
        let visibility = visibility.transpose()?;
        let wait = if let Some(seconds) = input.wait_time_seconds {
            duration("WaitTimeSeconds", seconds, WAIT_SECONDS_MAX)?
        } else {
            let queue = queue.clone();
            self.run(move |state, _| Ok(state.settings(&queue)?.wait())).await?
        };

        let messages = self.take_within(wait, &queue, max, visibility).await?;
        let messages: Vec<_> = messages.iter().map(|it| input.output(it)).collect();
        Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
    }

    async fn delete_message(
        &self,
        OnQueue { queue_url, input }: OnQueue<DeleteMessage>,
    ) -> Result<Value, Error> {
        self.delete(&queue_url.0, &input.receipt_handle).await?;
        Ok(json!({}))
    }

    async fn delete_batch(
        &self,
        OnQueue { queue_url, input }: OnQueue<Batch<DeleteMessage>>,
    ) -> Result<Value, Error> {
        let entries = input.checked()?;
        let deleted = self.run(move |state, _| {
            state.settings(&queue_url.0)?;
            let (mut successful, mut failed) = (Vec::new(), Vec::new());
            for BatchEntry { id, input } in entries {
                match state.delete(&queue_url.0, &input.receipt_handle) {
                    Ok(()) => successful.push(json!({ "Id": id })),
                    Err(err) => failed.push(failure(&id, &err)),
                }
            }
            Ok(json!({ "Successful": successful, "Failed": failed }))
        });
        deleted.await
    }

    async fn change_visibility(
        &self,
        OnQueue { queue_url, input }: OnQueue<ChangeVisibility>,
    ) -> Result<Value, Error> {
        let visibility =
            duration("VisibilityTimeout", input.visibility_timeout, VISIBILITY_SECONDS_MAX)?;
        let hidden = self.run(move |state, now| {
            state.change_visibility(&queue_url.0, &input.receipt_handle, visibility, now)
        });
        hidden.await?;
        Ok(json!({}))
    }

    async fn purge_queue(
        &self,
        OnQueue { queue_url, .. }: OnQueue<NoInput>,
    ) -> Result<Value, Error> {
        self.run(move |state, _| state.purge(&queue_url.0)).await?;
        Ok(json!({}))
    }

    /// The URL of the queue with this name.
    pub fn url(&self, queue: &str) -> String {
        format!("{}/{ACCOUNT}/{queue}", self.0.endpoint)
    }
}

impl ReceiveMessage {
    /// `message` as the caller asked for it.
    fn output(&self, message: &Message) -> Value {
        let mut system = message.system_attributes();
        let mut requested = self.message_system_attribute_names.iter().chain(&self.attribute_names);
        if !requested.any(|it| it == "All") {
            system.retain(|name, _| {
                let names = [&self.message_system_attribute_names, &self.attribute_names];
                names.into_iter().flatten().any(|it| it == name)
            });
        }
        let mut attributes = message.attributes.clone();
        attributes.retain(|name, _| {
            self.message_attribute_names.iter().any(|it| match it.strip_suffix(".*") {
                Some(prefix) => name.starts_with(prefix),
                None => it == "All" || it == name,
            })
        });

        let mut output = Map::new();
        let mut put = |name: &str, value: Value| output.insert(name.to_owned(), value);
        put("MessageId", json!(message.id));
        put("ReceiptHandle", json!(message.receipt));
        put("Body", json!(message.body));
        put("MD5OfBody", json!(md5_of_body(&message.body)));
        if !system.is_empty() {
            put("Attributes", json!(system));
        }
        if let Some(md5) = md5_of_attributes(&attributes) {
            put("MD5OfMessageAttributes", json!(md5));
            put("MessageAttributes", json!(attributes));
        }
        output.into()
    }
}

/// The checksums that the sender of a message compares.
fn acknowledgement(message: &NewMessage) -> Value {
    let mut output = json!({ "MD5OfMessageBody": md5_of_body(&message.body) });
    if let Some(md5) = md5_of_attributes(&message.attributes) {
        output["MD5OfMessageAttributes"] = json!(md5);
    }
    output
}

fn failure(id: &str, err: &Error) -> Value {
    let code = err.names().query_code;
    let is_sender_fault = !matches!(err, Error::Disk(_) | Error::Stopped);
    json!({ "Id": id, "SenderFault": is_sender_fault, "Code": code, "Message": err.to_string() })
}
