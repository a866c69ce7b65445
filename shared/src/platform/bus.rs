//! The operator's event bus.

use std::{fmt, sync::Arc};

use aws_sdk_eventbridge::{error::ProvideErrorMetadata as _, types::PutEventsRequestEntry};

use crate::Promise;

/// Where the events are said to come from.
const SOURCE: &str = "answerback";

/// An event bus.
#[derive(Clone, Debug)]
pub struct Bus {
    side: Side,
    name: String,
}

#[derive(Clone, Debug)]
enum Side {
    /// Amazon EventBridge.
    EventBridge(aws_sdk_eventbridge::Client),
    /// The simulation's.
    Simulated(Arc<dyn Publisher>),
}

/// What stands in for `EventBridge` in the simulation.
pub trait Publisher: fmt::Debug + Send + Sync {
    /// Publishes one event.
    fn publish(&self, kind: String, detail: String) -> Promise<'_, Result<(), PublishError>>;
}

/// The bus did not take an event.
#[derive(Debug, thiserror::Error)]
#[error("the event bus did not take the event: {0}")]
pub struct PublishError(String);

impl PublishError {
    /// The bus said so.
    pub fn new(code: impl Into<String>) -> Self {
        Self(code.into())
    }

    /// There is no bus: it was switched off after the event was made.
    pub fn none() -> Self {
        Self("no bus is configured".to_owned())
    }
}

impl Bus {
    /// The bus called `name`.
    pub fn new(client: aws_sdk_eventbridge::Client, name: impl Into<String>) -> Self {
        Self { side: Side::EventBridge(client), name: name.into() }
    }

    /// A bus of the simulation's.
    pub fn simulated(publisher: Arc<dyn Publisher>, name: impl Into<String>) -> Self {
        Self { side: Side::Simulated(publisher), name: name.into() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Publishes one event.
    pub async fn publish(&self, kind: &str, detail: &str) -> Result<(), PublishError> {
        let client = match &self.side {
            Side::EventBridge(client) => client,
            Side::Simulated(publisher) => {
                return publisher.publish(kind.to_owned(), detail.to_owned()).await;
            }
        };
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(SOURCE)
            .detail_type(kind)
            .detail(detail)
            .build();
        let output = client.put_events().entries(entry).send().await.map_err(|err| {
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
