//! The operator's event bus.

use aws_sdk_eventbridge::{error::ProvideErrorMetadata as _, types::PutEventsRequestEntry};

/// Where the events are said to come from.
const SOURCE: &str = "answerback";

/// A bus of Amazon EventBridge.
#[derive(Clone, Debug)]
pub struct Bus {
    client: aws_sdk_eventbridge::Client,
    name: String,
}

/// The bus did not take an event.
#[derive(Debug, thiserror::Error)]
#[error("the event bus did not take the event: {0}")]
pub struct PublishError(String);

impl PublishError {
    /// There is no bus: it was switched off after the event was made.
    pub fn none() -> Self {
        Self("no bus is configured".to_owned())
    }
}

impl Bus {
    /// The bus called `name`.
    pub fn new(client: aws_sdk_eventbridge::Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Publishes one event.
    pub async fn publish(&self, kind: &str, detail: &str) -> Result<(), PublishError> {
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(kind)
            .detail(detail)
            .build();
        let output = self.client.put_events().entries(entry).send().await.map_err(|err| {
            // Whose bus it is, and how it is reached, is the operator's to know.
            tracing::warn!(
                error = &err as &(dyn std::error::Error + 'static),
                "the event bus did not answer well"
            );
            PublishError(err.code().unwrap_or("no answer").to_owned())
        })?;
        // The call succeeds even where an entry does not.
        match output.entries.unwrap_or_default().into_iter().find_map(|it| it.error_code) {
            None => Ok(()),
            Some(code) => Err(PublishError(code)),
        }
    }
}
