//! The thread that uses the database, and group commit.
//!
//! ```text
//! DynamoDB calls ─┐                 ┌ job, job, job ─▶ one sync ─▶ all acknowledged ┐
//! queue calls ────┴▶ waiting jobs ──┴───────────────◀ the next group ◀──────────────┘
//! ```
//!
//! A job is one call: it commits by itself. The thread takes all waiting jobs as a group, carries
//! them out in order, and syncs the log if one of them wrote. Nothing is acknowledged before it
//! would survive a power cut, reads included: they may have seen a write of their group.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
};

use anyhow::Context as _;
use tokio::sync::oneshot;

use crate::database::Database;

/// Largest group. It bounds the wait of its first job.
const GROUP_MAX: usize = 64;

/// The way to the thread. Clones share it, and it ends with the last one.
#[derive(Clone)]
pub(super) struct Disk(mpsc::Sender<Message>);

enum Message {
    Job(Job),
    /// Everything before this is done, and the thread ends.
    Stop,
}

/// Carries out a call, and returns its acknowledgement.
type Job = Box<dyn FnOnce() -> Acknowledge + Send>;
type Acknowledge = Box<dyn FnOnce() + Send>;

/// A job was not carried out, or its result is not on disk.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the emulated AWS has stopped")]
    Stopped,
    #[error("the call panicked, or the disk failed")]
    Failed,
}

/// The thread's end of a [`Disk`].
pub(super) struct Worker {
    jobs: mpsc::Receiver<Message>,
    database: Database,
    /// The write-ahead log. None in memory.
    log: Option<File>,
}

impl Disk {
    /// Starts the thread. Its handle returns after [`Disk::stop`].
    pub(super) fn start(
        database: Database,
        log: Option<File>,
    ) -> anyhow::Result<(Self, thread::JoinHandle<()>)> {
        let (sender, jobs) = mpsc::channel();
        let worker = Worker { jobs, database, log };
        let thread = thread::Builder::new().name("disk".to_owned());
        let thread = thread.spawn(move || worker.work()).context("starting a thread")?;
        Ok((Self(sender), thread))
    }

    /// Runs `work` on the thread. It finishes even if this future is dropped, unless it has not begun.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, result) = oneshot::channel();
        let job = move || -> Acknowledge {
            if reply.is_closed() {
                return Box::new(|| ());
            }
            let output = work();
            // An error means that the caller has given up.
            Box::new(move || drop(reply.send(output)))
        };
        self.0.send(Message::Job(Box::new(job))).map_err(|_| Error::Stopped)?;
        result.await.map_err(|_| Error::Failed)
    }

    /// Ends the thread after the jobs that wait. Later ones fail.
    pub(super) fn stop(&self) {
        // An error means that it has ended.
        let _: Result<(), _> = self.0.send(Message::Stop);
    }
}

impl Worker {
    fn work(self) {
        while let Ok(Message::Job(first)) = self.jobs.recv() {
            let waiting = self.jobs.try_iter().take(GROUP_MAX - 1);
            let mut group = vec![first];
            let mut is_stopping = false;
            for message in waiting {
                match message {
                    Message::Job(job) => group.push(job),
                    Message::Stop => {
                        is_stopping = true;
                        break;
                    }
                }
            }
            if !self.carry_out(group) || is_stopping {
                break;
            }
        }
    }

    /// Returns false after a failed sync. What is on disk is then unknown, and another sync may report
    /// success for writes that were lost ([fsyncgate](https://lwn.net/Articles/752063/)).
    fn carry_out(&self, group: Vec<Job>) -> bool {
        let n_changes = self.database.n_changes();
        let done: Vec<_> = group.into_iter().filter_map(|job| self.one(job)).collect();
        let has_written = self.database.n_changes() != n_changes;
        let log = self.log.as_ref().filter(|_| has_written);
        if let Some(Err(err)) = log.map(File::sync_data) {
            tracing::error!(error = %err, "could not sync the data; all calls fail from now on");
            return false;
        }
        for acknowledge in done {
            acknowledge();
        }
        true
    }

    fn one(&self, job: Job) -> Option<Acknowledge> {
        // The job's captures are gone after a panic, and the database is repaired.
        let done = catch_unwind(AssertUnwindSafe(job));
        if done.is_err() {
            tracing::error!("a call to the emulated AWS panicked");
            self.database.undo();
        }
        done.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panic_fails_its_own_call_only() {
        let database = Database::memory().expect("memory");
        let (disk, thread) = Disk::start(database.clone(), None).expect("a thread");
        let ours = database.clone();
        let failed = disk.run(move || {
            ours.storage().begin_transaction().expect("none is open");
            panic!("a bug");
        });
        assert!(matches!(failed.await, Err(Error::Failed)));
        let is_free = disk.run(move || database.storage().conn().is_autocommit());
        assert!(matches!(is_free.await, Ok(true)));

        disk.stop();
        assert!(thread.join().is_ok());
        assert!(matches!(disk.run(|| ()).await, Err(Error::Stopped)));
    }
}
