//! The operator's event bus in Amazon EventBridge.

use std::{fmt, sync::Arc};

use aws_sdk_eventbridge::{error::ProvideErrorMetadata as _, types::PutEventsRequestEntry};

use crate::{Promise, platform::Deferred};

/// The `source` of every event that we publish.
const SOURCE: &str = "answerback";

/// An event bus.
#[derive(Clone, Debug)]
pub struct Bus {
    backend: Backend,
    name: String,
}

#[derive(Clone, Debug)]
enum Backend {
    /// Amazon EventBridge.
    EventBridge(Deferred<aws_sdk_eventbridge::Client>),
    /// The simulation's bus.
    Simulated(Arc<dyn Publisher>),
}

/// The simulation's replacement for EventBridge.
pub trait Publisher: fmt::Debug + Send + Sync {
    /// Publishes one event.
    fn publish(&self, kind: String, detail: String) -> Promise<'_, Result<(), PublishError>>;
}

/// The bus did not accept an event.
#[derive(Debug, thiserror::Error)]
#[error("the event bus did not accept the event: {0}")]
pub struct PublishError(String);

impl PublishError {
    /// The bus rejected the event with this code.
    pub fn new(code: impl Into<String>) -> Self {
        Self(code.into())
    }

    /// No bus is configured: the operator removed it after the event was created.
    pub fn no_bus() -> Self {
        Self("no bus is configured".to_owned())
    }
}

impl Bus {
    /// The bus called `name`.
    pub fn new(client: Deferred<aws_sdk_eventbridge::Client>, name: impl Into<String>) -> Self {
        Self { backend: Backend::EventBridge(client), name: name.into() }
    }

    /// A bus in the simulation.
    pub fn simulated(publisher: Arc<dyn Publisher>, name: impl Into<String>) -> Self {
        Self { backend: Backend::Simulated(publisher), name: name.into() }
    }

    /// The name of the bus.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Publishes one event.
    pub async fn publish(&self, kind: &str, detail: &str) -> Result<(), PublishError> {
        let client = match &self.backend {
            Backend::EventBridge(client) => client,
            Backend::Simulated(publisher) => {
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
            // Details of the bus are for the operator, and the attempt's record is for the customer.
            tracing::warn!(
                error = &err as &(dyn std::error::Error + 'static),
                "could not publish an event"
            );
            PublishError(err.code().unwrap_or("no response").to_owned())
        })?;
        // `PutEvents` succeeds even if an entry fails.
        match output.entries.unwrap_or_default().into_iter().find_map(|it| it.error_code) {
            None => Ok(()),
            Some(code) => Err(PublishError(code)),
        }
    }
}
