//! The content of the queues. Every change is written to the journal before it is made in memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use jiff::Timestamp;

use super::{
    Error, Message,
    settings::{Redrive, Settings},
    stored::{NewMessage, Sent, Stored},
};
use crate::{
    ids::unique_id,
    journal::{Changes, Journal},
};

/// All queues and their messages.
pub(super) struct QueueState {
    journal: Journal,
    queues: BTreeMap<String, OneQueue>,
    messages: HashMap<String, Stored>,
    /// The sequence number of the next message.
    next_sequence: u64,
    /// A message became visible, or will, since [`QueueState::take_sent`].
    sent: bool,
}

/// One queue.
#[derive(Default)]
struct OneQueue {
    settings: Settings,
    /// Its messages, by the time at which they become visible.
    by_time: BTreeSet<(Timestamp, String)>,
}

/// The number of messages in a queue, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that a receive would return.
    pub visible: usize,
    /// Messages whose delay is not over.
    pub delayed: usize,
    /// Received messages whose visibility timeout is not over.
    pub in_flight: usize,
}

/// Prefix of the journal's records of queues.
const QUEUE: &str = "q#";
/// Prefix of the journal's records of messages.
const MESSAGE: &str = "m#";

impl QueueState {
    /// Loads the queues from `journal`, at `now`.
    ///
    /// Messages that were in flight become visible at once. SQS would hide them until their timeout
    /// is over, because it cannot know if their worker is alive. Here every worker lived in the
    /// process that used the folder before, and that process is dead, because we hold its lock. The
    /// receive that was counted stays counted.
    pub(super) fn read(journal: Journal, now: Timestamp) -> anyhow::Result<Self> {
        let records = journal.read()?;
        let mut state = Self {
            journal,
            queues: BTreeMap::new(),
            messages: HashMap::new(),
            next_sequence: 1,
            sent: false,
        };
        for (name, record) in records {
            let reading = |part| format!("reading the {part} of `{name}`");
            if let Some(queue) = name.strip_prefix(QUEUE) {
                let settings =
                    serde_json::from_str(&record.head).with_context(|| reading("settings"))?;
                state.queues.entry(queue.to_owned()).or_default().settings = settings;
            } else if let Some(id) = name.strip_prefix(MESSAGE) {
                let mut message: Stored =
                    serde_json::from_str(&record.head).with_context(|| reading("head"))?;
                let content =
                    serde_json::from_str(&record.body).with_context(|| reading("body"))?;
                message.content = Arc::new(content);
                // A delayed message has never been received, so this one was in flight.
                if message.receive_count > 0 {
                    message.visible_at = message.visible_at.min(now);
                }
                let sequence =
                    id.rsplit('-').next().and_then(|it| u64::from_str_radix(it, 16).ok());
                state.next_sequence = state.next_sequence.max(sequence.map_or(0, |it| it + 1));
                state.insert(id.to_owned(), message);
            }
        }
        Ok(state)
    }

    /// True if a message became visible, or will, since the last call.
    pub(super) fn take_sent(&mut self) -> bool {
        std::mem::take(&mut self.sent)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.queues.keys()
    }

    pub(super) fn settings(&self, queue: &str) -> Result<&Settings, Error> {
        Ok(&self.find(queue)?.settings)
    }

    /// Creates a queue. If it exists, its settings must equal `values`.
    pub(super) fn create(
        &mut self,
        queue: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let settings = self.changed(self.queues.get(queue), values)?;
        let Some(old) = self.queues.get(queue) else { return self.put(queue, settings) };
        let old = old.settings.all();
        match settings.all().into_iter().find(|(name, value)| old.get(name) != Some(value)) {
            Some((name, _)) => Err(Error::QueueNameExists(name.to_owned())),
            None => Ok(()),
        }
    }

    pub(super) fn set(
        &mut self,
        queue: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let settings = self.changed(Some(self.find(queue)?), values)?;
        self.put(queue, settings)
    }

    /// Sends messages, all or none, and returns their ids.
    pub(super) fn send(
        &mut self,
        queue: &str,
        messages: Vec<NewMessage>,
        now: Timestamp,
    ) -> Result<Vec<String>, Error> {
        let default_delay = self.find(queue)?.settings.delay();
        let mut changes = Changes::default();
        let mut stored = Vec::new();
        for (NewMessage { body, attributes, group_id, delay }, sequence) in
            messages.into_iter().zip(self.next_sequence..)
        {
            let id = unique_id(now, sequence);
            let sent = Sent { body, attributes, group_id, at: now };
            let json = serde_json::to_string(&sent).expect("strings make JSON");
            let message = Stored {
                queue: queue.to_owned(),
                visible_at: now + delay.unwrap_or(default_delay),
                receive_count: 0,
                first_received_at: None,
                content: Arc::new(sent),
            };
            changes.put_head(record_name(&id), message.head());
            changes.put_body(record_name(&id), json);
            stored.push((id, message));
        }
        self.write(&changes)?;

        let ids: Vec<_> = stored.iter().map(|(id, _)| id.clone()).collect();
        self.next_sequence += ids.len() as u64;
        self.sent = true;
        for (id, message) in stored {
            self.insert(id, message);
        }
        Ok(ids)
    }

    /// Receives up to `max` visible messages. Expired messages are deleted on the way, and messages
    /// that were received too often move to the dead-letter queue.
    pub(super) fn receive(
        &mut self,
        queue: &str,
        max: usize,
        visibility: Option<Duration>,
        now: Timestamp,
    ) -> Result<Vec<Message>, Error> {
        let from = self.find(queue)?;
        let hidden_until = now + visibility.unwrap_or(from.settings.visibility());
        let mut changes = Changes::default();
        let (mut moved, mut expired, mut received) = (Vec::new(), Vec::new(), Vec::new());
        for (_, id) in from.by_time.iter().take_while(|(at, _)| *at <= now) {
            if received.len() == max {
                break;
            }
            let mut message = self.messages[id].clone();
            if message.content.at + from.settings.retention() <= now {
                changes.delete(record_name(id));
                expired.push(id.clone());
                continue;
            }
            match &from.settings.redrive {
                Some(Redrive { dead_letters, receives_max })
                    if message.receive_count >= *receives_max =>
                {
                    message.queue.clone_from(dead_letters);
                    message.visible_at = now;
                }
                _ => {
                    message.receive_count += 1;
                    message.first_received_at.get_or_insert(now);
                    message.visible_at = hidden_until;
                    received.push(message.received(id));
                }
            }
            changes.put_head(record_name(id), message.head());
            moved.push((id.clone(), message));
        }
        self.write(&changes)?;

        self.sent |= moved.len() > received.len();
        for id in &expired {
            self.remove(id);
        }
        for (id, message) in moved {
            self.insert(id, message);
        }
        Ok(received)
    }

    /// Deletes a message. A message that is gone, or was received again, is no error.
    pub(super) fn delete(&mut self, queue: &str, receipt: &str) -> Result<(), Error> {
        let Some(id) = self.received_with(queue, receipt)? else { return Ok(()) };
        let mut changes = Changes::default();
        changes.delete(record_name(&id));
        self.write(&changes)?;
        self.remove(&id);
        Ok(())
    }

    /// Hides a received message for `visibility` from now on.
    pub(super) fn change_visibility(
        &mut self,
        queue: &str,
        receipt: &str,
        visibility: Duration,
        now: Timestamp,
    ) -> Result<(), Error> {
        let id =
            self.received_with(queue, receipt)?.ok_or_else(|| Error::InvalidParameterValue {
                name: "ReceiptHandle",
                value: receipt.to_owned(),
                reason: "Message does not exist or is not available for visibility timeout change."
                    .to_owned(),
            })?;
        let mut message = self.messages[&id].clone();
        if message.visible_at <= now {
            return Err(Error::MessageNotInflight);
        }
        message.visible_at = now + visibility;
        let mut changes = Changes::default();
        changes.put_head(record_name(&id), message.head());
        self.write(&changes)?;
        self.sent = true;
        self.insert(id, message);
        Ok(())
    }

    /// Deletes all messages.
    pub(super) fn purge(&mut self, queue: &str) -> Result<(), Error> {
        let ids: Vec<_> = self.find(queue)?.by_time.iter().map(|(_, id)| id.clone()).collect();
        let mut changes = Changes::default();
        for id in &ids {
            changes.delete(record_name(id));
        }
        self.write(&changes)?;
        for id in &ids {
            self.remove(id);
        }
        Ok(())
    }

    pub(super) fn depth(&self, queue: &str, now: Timestamp) -> Result<Depth, Error> {
        let mut depth = Depth::default();
        for (at, id) in &self.find(queue)?.by_time {
            match self.messages[id].receive_count {
                _ if *at <= now => depth.visible += 1,
                0 => depth.delayed += 1,
                _ => depth.in_flight += 1,
            }
        }
        Ok(depth)
    }

    pub(super) fn peek(&self, queue: &str) -> Result<Vec<Message>, Error> {
        let ids = self.find(queue)?.by_time.iter();
        Ok(ids.map(|(_, id)| self.messages[id].received(id)).collect())
    }

    pub(super) fn next_visible_at(&self, queue: &str) -> Result<Option<Timestamp>, Error> {
        Ok(self.find(queue)?.by_time.first().map(|(at, _)| *at))
    }

    fn find(&self, queue: &str) -> Result<&OneQueue, Error> {
        self.queues.get(queue).ok_or(Error::QueueDoesNotExist)
    }

    fn changed(
        &self,
        old: Option<&OneQueue>,
        values: &BTreeMap<String, String>,
    ) -> Result<Settings, Error> {
        let mut settings = old.map(|it| it.settings.clone()).unwrap_or_default();
        settings.set(values, |name| self.queues.contains_key(name))?;
        Ok(settings)
    }

    fn put(&mut self, queue: &str, settings: Settings) -> Result<(), Error> {
        let head = serde_json::to_string(&settings).expect("numbers and strings make JSON");
        let mut changes = Changes::default();
        changes.put_head(format!("{QUEUE}{queue}"), head);
        self.write(&changes)?;
        self.queues.entry(queue.to_owned()).or_default().settings = settings;
        Ok(())
    }

    /// The id of the message whose latest receipt this is.
    fn received_with(&self, queue: &str, receipt: &str) -> Result<Option<String>, Error> {
        self.find(queue)?;
        let (id, count) = receipt
            .split_once('/')
            .and_then(|(id, count)| Some((id, count.parse::<u32>().ok()?)))
            .ok_or(Error::ReceiptHandleIsInvalid)?;
        let is_latest = |it: &&Stored| it.queue == queue && it.receive_count == count;
        Ok(self.messages.get(id).filter(is_latest).map(|_| id.to_owned()))
    }

    fn write(&self, changes: &Changes) -> Result<(), Error> {
        self.journal.write(changes).map_err(Error::Disk)
    }

    /// Adds a message to its queue, or moves it there.
    fn insert(&mut self, id: String, message: Stored) {
        self.remove(&id);
        let to = self.queues.entry(message.queue.clone()).or_default();
        to.by_time.insert((message.visible_at, id.clone()));
        self.messages.insert(id, message);
    }

    fn remove(&mut self, id: &str) {
        if let Some(old) = self.messages.remove(id)
            && let Some(queue) = self.queues.get_mut(&old.queue)
        {
            queue.by_time.remove(&(old.visible_at, id.to_owned()));
        }
    }
}

fn record_name(id: &str) -> String {
    format!("{MESSAGE}{id}")
}
