//! A command that waits: its messages, its end by signal or time, and the loop of held calls.

use std::{
    future::{self, Future},
    pin::pin,
    time::{Duration, Instant},
};

use answerback::{domain::RequestId, platform::Clock};

use super::{Accepted, WaitFlags};
use crate::{
    client::{Call, Client, HOLD_MAX, Reply},
    duration,
    exit::{Exit, Failure},
    output::JsonFlags,
    printable::printable,
    progress::{Awaited, Progress},
    request::{Request, Shown},
    signals::Signals,
};

/// Interval between updates of the progress line.
const TICK: Duration = Duration::from_secs(1);
/// Longest time that an interrupted command spends on canceling. GitHub Actions ends a process 7.5 s
/// after SIGINT.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);
/// Shortest time between two calls, if the server answers a held call at once.
const CALL_INTERVAL: Duration = Duration::from_secs(1);

/// A command that waits.
pub(crate) struct Session {
    pub(crate) progress: Progress,
    signals: Signals,
    until: Option<Instant>,
    wait_timeout: Duration,
    cancels: bool,
}

/// The end of a call that a signal or the time may end first.
pub(crate) enum Attended<T> {
    /// The call ended.
    Done(T),
    /// A signal arrived.
    Interrupted(Exit),
    /// `--wait-timeout` has passed.
    OutOfTime,
}

impl Session {
    /// Starts the clock, and listens for signals.
    pub(crate) fn new(flags: &WaitFlags) -> anyhow::Result<Self> {
        Ok(Self {
            progress: Progress::new(),
            signals: Signals::new()?,
            until: flags.wait_timeout.and_then(|it| Instant::now().checked_add(it)),
            wait_timeout: flags.wait_timeout.unwrap_or_default(),
            cancels: flags.cancel_on_interrupt,
        })
    }

    /// True if an interrupt cancels the request.
    pub(crate) fn cancels(&self) -> bool {
        self.cancels
    }

    /// Runs `work` to its end, while the progress line moves.
    pub(crate) async fn attend<T>(
        &mut self,
        client: &Client,
        awaited: Option<Awaited<'_>>,
        work: impl Future<Output = T>,
    ) -> Attended<T> {
        let mut work = pin!(work);
        let mut time_out = pin!(at(self.until));
        loop {
            self.progress.tick(awaited, client.trouble(), Clock::System.now());
            tokio::select! {
                biased;
                exit = self.signals.next() => return Attended::Interrupted(exit),
                done = &mut work => {
                    self.progress.tick(awaited, client.trouble(), Clock::System.now());
                    return Attended::Done(done);
                }
                () = &mut time_out => return Attended::OutOfTime,
                () = Clock::System.sleep(TICK) => (),
            }
        }
    }

    /// Reports a request when the wait for it begins.
    pub(crate) fn announce(&mut self, request: &Request, flags: JsonFlags) {
        let left = duration::text(request.time_left(Clock::System.now()));
        let title = printable(&request.title);
        let state = if request.is_pending() {
            format!("pending, {left} left")
        } else {
            request.status.as_str().to_owned()
        };
        self.progress.line(&format!("{} {state}: {title}", request.id));
        if !request.is_pending() {
            return;
        }
        let has_links = request.recipients.iter().any(|it| it.answer_url.is_some());
        if has_links && !flags.show_links && !self.progress.is_live() {
            self.progress.line(
                "answer links are not shown: logs have many readers. --show-links prints them",
            );
            return;
        }
        for recipient in &request.recipients {
            if let Some(link) = &recipient.answer_url {
                let who = recipient.email.as_deref().unwrap_or("anyone");
                self.progress.line(&printable(&format!("answer link for {who}: {link}")));
            }
        }
    }

    /// Waits until the request ends. Returns its last state, and the exit code.
    pub(crate) async fn wait(
        &mut self,
        client: &Client,
        mut shown: Shown,
        accepted: &Accepted,
    ) -> Result<(Shown, Exit), Failure> {
        loop {
            self.progress.report(&shown.request);
            if let Some(exit) = accepted.judge(&shown.request) {
                self.progress.end(&shown.request);
                return Ok((shown, exit));
            }
            let awaited = Awaited::Pending(&shown.request);
            match self.attend(client, Some(awaited), read_held(client, shown.request.id)).await {
                Attended::Done(reply) => shown = reply?.request()?,
                Attended::Interrupted(exit) => {
                    let exit = self.interrupted(client, awaited, exit).await;
                    return Ok((shown, exit));
                }
                Attended::OutOfTime => {
                    let exit = self.out_of_time(awaited);
                    return Ok((shown, exit));
                }
            }
        }
    }

    /// Ends after a signal: cancels the request, if the flags say so.
    pub(crate) async fn interrupted(
        &mut self,
        client: &Client,
        awaited: Awaited<'_>,
        exit: Exit,
    ) -> Exit {
        if !self.cancels {
            self.progress.line(&format!("interrupted; {}", awaited.last_state()));
            self.progress.clear();
            return exit;
        }
        let id = awaited.id();
        let call = Call::post(format!("/v1/requests/{id}/cancel"));
        let text = match self.hurry(client.call(&call)).await {
            Some(Ok(_)) => format!("interrupted; cancelled {id}"),
            Some(Err(err)) => format!("interrupted; could not cancel {id}: {err}"),
            None => format!("interrupted; could not cancel {id} in time"),
        };
        self.progress.line(&text);
        self.progress.clear();
        exit
    }

    /// Ends because `--wait-timeout` has passed.
    pub(crate) fn out_of_time(&mut self, awaited: Awaited<'_>) -> Exit {
        let waited = duration::text(self.wait_timeout);
        self.progress.line(&format!("{} after {waited}", awaited.last_state()));
        self.progress.clear();
        Exit::StillPending
    }

    /// Runs the last work of an interrupted command. A second signal or the time ends it.
    pub(crate) async fn hurry<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            _ = self.signals.next() => None,
            () = Clock::System.sleep(CANCEL_TIMEOUT) => None,
        }
    }
}

/// A held read of a pending request. A server that answers early is not called again at once.
async fn read_held(client: &Client, id: RequestId) -> Result<Reply, Failure> {
    let began = Instant::now();
    let reply = client.call(&Call::wait_for(id)).await?;
    if reply.json["status"] == "pending" {
        Clock::System.sleep(pause(reply.retry_after, began.elapsed())).await;
    }
    Ok(reply)
}

/// The pause after a held read that took so long, of a request that is still pending.
fn pause(retry_after: Option<Duration>, elapsed: Duration) -> Duration {
    match retry_after {
        Some(asked) => asked.clamp(CALL_INTERVAL, HOLD_MAX),
        None => CALL_INTERVAL.saturating_sub(elapsed),
    }
}

/// Waits until a time, or forever.
async fn at(until: Option<Instant>) {
    match until {
        Some(until) => {
            let left = until.saturating_duration_since(Instant::now());
            Clock::System.sleep(left).await;
        }
        None => future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_between_reads_are_neither_zero_nor_long() {
        let seconds = Duration::from_secs;
        for (retry_after, elapsed, expected) in
            [(None, 25, 0), (None, 0, 1), (Some(0), 0, 1), (Some(7), 0, 7), (Some(3_600), 0, 25)]
        {
            assert_eq!(pause(retry_after.map(seconds), seconds(elapsed)), seconds(expected));
        }
    }
}
