//! SQS's operations in the JSON that the SDKs and the CLI speak.

use serde_json::{Map, Value, json};

use super::{
    Depth, Error, Message, Queue,
    input::{
        BATCH_BYTES_MAX, Batch, Delete, ENTRIES_MAX, Entry, Get, Hide, List, Named, Nothing, On,
        QueueUrl, Receive, Sending, Set, VISIBILITY_SECONDS_MAX, WAIT_SECONDS_MAX, invalid, read,
        within,
    },
    message::{md5_of_attributes, md5_of_body},
    settings::arn,
    stored::Draft,
};
use crate::ACCOUNT;

impl Queue {
    /// Does what `operation` with this input asks for.
    pub(crate) async fn call(&self, operation: &str, input: &[u8]) -> Result<Value, Error> {
        match operation {
            "CreateQueue" => self.create_queue(read(input)?).await,
            "GetQueueUrl" => self.get_queue_url(read(input)?).await,
            "ListQueues" => self.list_queues(read(input)?).await,
            "GetQueueAttributes" => self.get_attributes(read(input)?).await,
            "SetQueueAttributes" => self.set_attributes(read(input)?).await,
            "SendMessage" => self.send_message(read(input)?).await,
            "SendMessageBatch" => self.send_batch(read(input)?).await,
            "ReceiveMessage" => self.receive_message(read(input)?).await,
            "DeleteMessage" => self.delete_message(read(input)?).await,
            "DeleteMessageBatch" => self.delete_batch(read(input)?).await,
            "ChangeMessageVisibility" => self.change_visibility(read(input)?).await,
            "PurgeQueue" => self.purge_queue(read(input)?).await,
            _ => Err(Error::UnknownOperation(operation.to_owned())),
        }
    }

    async fn create_queue(&self, Named { queue_name, attributes }: Named) -> Result<Value, Error> {
        let legal = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        if !(1..=80).contains(&queue_name.len()) || !queue_name.chars().all(legal) {
            let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to \
                          80 in length; FIFO queues are not emulated.";
            return Err(invalid("QueueName", queue_name, reason));
        }
        let url = json!({ "QueueUrl": self.url(&queue_name) });
        self.with(move |state, _| state.create(&queue_name, &attributes)).await?;
        Ok(url)
    }

    async fn get_queue_url(&self, Named { queue_name, .. }: Named) -> Result<Value, Error> {
        let url = json!({ "QueueUrl": self.url(&queue_name) });
        self.with(move |state, _| state.settings(&queue_name).map(|_| ())).await?;
        Ok(url)
    }

    async fn list_queues(&self, List { queue_name_prefix: prefix }: List) -> Result<Value, Error> {
        let names = self.with(move |state, _| {
            Ok(state.names().filter(|it| it.starts_with(&prefix)).cloned().collect::<Vec<_>>())
        });
        let urls: Vec<_> = names.await?.iter().map(|it| self.url(it)).collect();
        Ok(json!({ "QueueUrls": urls }))
    }

    async fn get_attributes(&self, On { queue_url, what }: On<Get>) -> Result<Value, Error> {
        let QueueUrl(queue) = queue_url;
        let known = self.with(move |state, now| {
            let mut all = state.settings(&queue)?.all();
            let Depth { visible, delayed, in_flight } = state.depth(&queue, now)?;
            all.insert("QueueArn", arn(&queue));
            all.insert("ApproximateNumberOfMessages", visible.to_string());
            all.insert("ApproximateNumberOfMessagesDelayed", delayed.to_string());
            all.insert("ApproximateNumberOfMessagesNotVisible", in_flight.to_string());
            Ok(all)
        });
        let mut known = known.await?;
        if !what.attribute_names.iter().any(|it| it == "All") {
            known.retain(|name, _| what.attribute_names.iter().any(|it| it == name));
        }
        Ok(json!({ "Attributes": known }))
    }

    async fn set_attributes(&self, On { queue_url, what }: On<Set>) -> Result<Value, Error> {
        self.with(move |state, _| state.set(&queue_url.0, &what.attributes)).await?;
        Ok(json!({}))
    }

    async fn send_message(&self, On { queue_url, what }: On<Sending>) -> Result<Value, Error> {
        let sent = self.with(move |state, now| {
            let draft = what.into_draft(state.settings(&queue_url.0)?.message_bytes_max)?;
            let mut answer = acknowledgement(&draft);
            for id in state.send(&queue_url.0, vec![draft], now)? {
                answer["MessageId"] = json!(id);
            }
            Ok(answer)
        });
        sent.await
    }

    async fn send_batch(&self, On { queue_url, what }: On<Batch<Sending>>) -> Result<Value, Error> {
        let entries = what.checked()?;
        let bytes: usize = entries.iter().map(|it| it.what.bytes()).sum();
        if bytes > BATCH_BYTES_MAX {
            return Err(Error::BatchRequestTooLong(BATCH_BYTES_MAX));
        }
        let sent = self.with(move |state, now| {
            let bytes_max = state.settings(&queue_url.0)?.message_bytes_max;
            let (mut drafts, mut successful, mut failed) = (Vec::new(), Vec::new(), Vec::new());
            for Entry { id, what } in entries {
                match what.into_draft(bytes_max) {
                    Ok(draft) => {
                        let mut answer = acknowledgement(&draft);
                        answer["Id"] = json!(id);
                        successful.push(answer);
                        drafts.push(draft);
                    }
                    Err(err) => failed.push(failure(&id, &err)),
                }
            }
            let ids = state.send(&queue_url.0, drafts, now)?;
            for (answer, id) in successful.iter_mut().zip(ids) {
                answer["MessageId"] = json!(id);
            }
            Ok(json!({ "Successful": successful, "Failed": failed }))
        });
        sent.await
    }

    async fn receive_message(&self, On { queue_url, what }: On<Receive>) -> Result<Value, Error> {
        let QueueUrl(queue) = queue_url;
        let max = what.max_number_of_messages.unwrap_or(1);
        if !(1..=ENTRIES_MAX).contains(&max) {
            let reason = "Must be between 1 and 10, if provided.";
            return Err(invalid("MaxNumberOfMessages", max.to_string(), reason));
        }
        let seconds = what.visibility_timeout;
        let visibility = seconds.map(|it| within("VisibilityTimeout", it, VISIBILITY_SECONDS_MAX));
        let visibility = visibility.transpose()?;
        let wait = if let Some(seconds) = what.wait_time_seconds {
            within("WaitTimeSeconds", seconds, WAIT_SECONDS_MAX)?
        } else {
            let queue = queue.clone();
            self.with(move |state, _| Ok(state.settings(&queue)?.wait())).await?
        };

        let messages = self.take_within(wait, &queue, max, visibility).await?;
        let messages: Vec<_> = messages.iter().map(|it| what.answer(it)).collect();
        Ok(if messages.is_empty() { json!({}) } else { json!({ "Messages": messages }) })
    }

    async fn delete_message(&self, On { queue_url, what }: On<Delete>) -> Result<Value, Error> {
        self.delete(&queue_url.0, &what.receipt_handle).await?;
        Ok(json!({}))
    }

    async fn delete_batch(
        &self,
        On { queue_url, what }: On<Batch<Delete>>,
    ) -> Result<Value, Error> {
        let entries = what.checked()?;
        let deleted = self.with(move |state, _| {
            state.settings(&queue_url.0)?;
            let (mut successful, mut failed) = (Vec::new(), Vec::new());
            for Entry { id, what } in entries {
                match state.delete(&queue_url.0, &what.receipt_handle) {
                    Ok(()) => successful.push(json!({ "Id": id })),
                    Err(err) => failed.push(failure(&id, &err)),
                }
            }
            Ok(json!({ "Successful": successful, "Failed": failed }))
        });
        deleted.await
    }

    async fn change_visibility(&self, On { queue_url, what }: On<Hide>) -> Result<Value, Error> {
        let visibility =
            within("VisibilityTimeout", what.visibility_timeout, VISIBILITY_SECONDS_MAX)?;
        let hidden = self.with(move |state, now| {
            state.hide(&queue_url.0, &what.receipt_handle, visibility, now)
        });
        hidden.await?;
        Ok(json!({}))
    }

    async fn purge_queue(&self, On { queue_url, .. }: On<Nothing>) -> Result<Value, Error> {
        self.with(move |state, _| state.purge(&queue_url.0)).await?;
        Ok(json!({}))
    }

    /// The URL of the queue with this name.
    pub fn url(&self, queue: &str) -> String {
        format!("{}/{ACCOUNT}/{queue}", self.0.endpoint)
    }
}

impl Receive {
    fn answer(&self, message: &Message) -> Value {
        let mut system = message.system_attributes();
        let mut wanted = self.message_system_attribute_names.iter().chain(&self.attribute_names);
        if !wanted.any(|it| it == "All") {
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

        let mut answer = Map::new();
        let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
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
        answer.into()
    }
}

/// What the sender of a message compares.
fn acknowledgement(draft: &Draft) -> Value {
    let mut answer = json!({ "MD5OfMessageBody": md5_of_body(&draft.body) });
    if let Some(md5) = md5_of_attributes(&draft.attributes) {
        answer["MD5OfMessageAttributes"] = json!(md5);
    }
    answer
}

fn failure(id: &str, err: &Error) -> Value {
    let (_, code) = err.names();
    let sender = !matches!(err, Error::Disk(_) | Error::Stopped);
    json!({ "Id": id, "SenderFault": sender, "Code": code, "Message": err.to_string() })
}
