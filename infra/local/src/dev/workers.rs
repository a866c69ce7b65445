//! What moves things without a call: the queue's events and the schedule's.

use std::{pin::pin, time::Duration};

use answerback::platform::Lane;
use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle, JoinSet},
    time::{Instant, MissedTickBehavior},
};

use crate::System;

/// Most events of the fast lane that are worked on at once. An event often holds a single hint, so
/// this is also how many receivers that nobody knows may hang before others wait for them.
const INVOCATIONS_MAX: usize = 250;
/// Most of the slow lane: some receivers that are slow wait for others.
const SLOW_INVOCATIONS_MAX: usize = 10;
/// How long one look at the queue waits; so long may a stop take.
const LOOK: Duration = Duration::from_secs(1);

/// Follows hints until stopped.
pub(super) struct Worker {
    stop: watch::Sender<()>,
    following: [JoinHandle<()>; 2],
}

impl Worker {
    /// Begins to follow hints.
    pub(super) fn start(system: &System) -> Self {
        let (stop, stopping) = watch::channel(());
        let follow =
            |lane, most| tokio::spawn(follow_hints(system.clone(), lane, most, stopping.clone()));
        let following =
            [follow(Lane::Fast, INVOCATIONS_MAX), follow(Lane::Slow, SLOW_INVOCATIONS_MAX)];
        Self { stop, following }
    }

    /// Takes no more hints, and finishes what is under way.
    pub(super) async fn stop(self) {
        drop(self.stop);
        for following in self.following {
            log_panic(following.await);
        }
    }
}

/// Sweeps at every interval until `told` to stop. A sweep that has begun is finished.
pub(super) async fn sweep_until(system: &System, interval: Duration, told: impl Future) {
    let mut told = pin!(told);
    let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut told => return,
        }
        system.sweep().await;
    }
}

/// Follows the hints of one lane, with up to `most` events at once.
async fn follow_hints(system: System, lane: Lane, most: usize, stopping: watch::Receiver<()>) {
    let mut events = JoinSet::new();
    // A look is never broken off: what it had taken would stay hidden for minutes.
    while stopping.has_changed().is_ok() {
        let messages = match system.receive(lane, LOOK).await {
            Ok(messages) => messages,
            Err(err) => {
                tracing::error!(error = format!("{err:#}"), "hints could not be received");
                system.clock.sleep(LOOK).await;
                continue;
            }
        };
        if !messages.is_empty() {
            let system = system.clone();
            events.spawn(async move {
                if let Err(err) = system.follow(messages).await {
                    tracing::error!(error = format!("{err:#}"), "an event could not be handled");
                }
            });
        }
        while let Some(ended) = events.try_join_next() {
            log_panic(ended);
        }
        if events.len() >= most
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
