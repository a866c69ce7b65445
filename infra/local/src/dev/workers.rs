//! Background work: consumes hints from the queues, and sweeps on a schedule.

use std::time::Duration;

use answerback::platform::Lane;
use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior},
};

use crate::System;

/// Concurrent events of the fast lane. An event often holds a single hint, so this many new receivers
/// can hang before other deliveries wait.
const INVOCATIONS_MAX: usize = 250;
/// Concurrent events of the slow lane. Slow receivers may wait for each other.
const SLOW_INVOCATIONS_MAX: usize = 10;
/// Long-poll wait on a queue. A stop takes at most this long.
const POLL_WAIT: Duration = Duration::from_secs(1);

/// Follows hints until stopped.
pub(super) struct Worker {
    stop: watch::Sender<()>,
    following: [JoinHandle<()>; 2],
}

impl Worker {
    /// Starts to follow hints.
    pub(super) fn start(system: &System) -> Self {
        let (stop, stopping) = watch::channel(());
        let follow =
            |lane, max| tokio::spawn(follow_hints(system.clone(), lane, max, stopping.clone()));
        let following =
            [follow(Lane::Fast, INVOCATIONS_MAX), follow(Lane::Slow, SLOW_INVOCATIONS_MAX)];
        Self { stop, following }
    }

    /// Receives no more hints, and finishes the events in flight.
    pub(super) async fn stop(self) {
        drop(self.stop);
        for following in self.following {
            log_panic(following.await);
        }
    }
}

/// Sweeps at every interval, until the caller drops this: that ends a sweep as a crash would.
pub(super) async fn sweep_at_intervals(system: &System, interval: Duration) {
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        system.sweep().await;
    }
}

/// Follows the hints of one lane, with up to `max` concurrent events.
async fn follow_hints(system: System, lane: Lane, max: usize, stopping: watch::Receiver<()>) {
    let mut events = JoinSet::new();
    // A receive is never cancelled: its messages would stay hidden for minutes.
    while stopping.has_changed().is_ok() {
        let messages = match system.receive(lane, POLL_WAIT).await {
            Ok(messages) => messages,
            Err(err) => {
                tracing::error!(error = format!("{err:#}"), "could not receive hints");
                system.clock.sleep(POLL_WAIT).await;
                continue;
            }
        };
        if !messages.is_empty() {
            let system = system.clone();
            events.spawn(async move {
                if let Err(err) = system.follow(messages).await {
                    tracing::error!(error = format!("{err:#}"), "could not handle an event");
                }
            });
        }
        while let Some(ended) = events.try_join_next() {
            log_panic(ended);
        }
        if events.len() >= max
            && let Some(ended) = events.join_next().await
        {
            log_panic(ended);
        }
    }
    while let Some(ended) = events.join_next().await {
        log_panic(ended);
    }
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(err) = ended {
        tracing::error!(error = %err, "a worker panicked");
    }
}
