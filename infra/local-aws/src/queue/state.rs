//! What is in the queues. Every change is written down first and then made.

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
    stored::{Content, Draft, Sent, Stored},
};
use crate::{
    ids::unique_id,
    journal::{Changes, Journal},
};

pub(super) struct State {
    journal: Journal,
    queues: BTreeMap<String, Shelf>,
    messages: HashMap<String, Stored>,
    /// The number of the next message.
    next: u64,
    sent: bool,
}

/// One queue.
#[derive(Default)]
struct Shelf {
    settings: Settings,
    /// Its messages in the order in which they become visible.
    by_time: BTreeSet<(Timestamp, String)>,
}

/// How many messages a queue holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Those that a receive would find.
    pub visible: usize,
    /// Those that were sent with a delay that is not over.
    pub delayed: usize,
    /// Those that were received, and neither deleted nor given back.
    pub in_flight: usize,
}

const QUEUE: &str = "q#";
const MESSAGE: &str = "m#";

impl State {
    /// Takes up what `journal` holds, at `now`.
    ///
    /// Messages that were in flight are visible at once, where SQS would hide them until their
    /// time-out is over. It cannot know whether a holder lives; here each lived in the process that
    /// had the folder before, and that one is dead, because the folder is locked. The receive that
    /// was counted stays counted, and no other is.
    pub(super) fn read(journal: Journal, now: Timestamp) -> anyhow::Result<Self> {
        let records = journal.read()?;
        let mut state = Self {
            journal,
            queues: BTreeMap::new(),
            messages: HashMap::new(),
            next: 1,
            sent: false,
        };
        for (name, record) in records {
            let read = |what| format!("reading the {what} of `{name}`");
            if let Some(queue) = name.strip_prefix(QUEUE) {
                let settings =
                    serde_json::from_str(&record.head).with_context(|| read("settings"))?;
                state.queues.entry(queue.to_owned()).or_default().settings = settings;
            } else if let Some(id) = name.strip_prefix(MESSAGE) {
                let mut message: Stored =
                    serde_json::from_str(&record.head).with_context(|| read("head"))?;
                let sent = serde_json::from_str(&record.body).with_context(|| read("body"))?;
                // Nobody receives a message while it is delayed, so this one was in flight.
                if message.receive_count > 0 {
                    message.visible_at = message.visible_at.min(now);
                }
                message.content = Arc::new(Content { sent, json: record.body });
                let number = id.rsplit('-').next().and_then(|it| u64::from_str_radix(it, 16).ok());
                state.next = state.next.max(number.map_or(0, |it| it + 1));
                state.place(id.to_owned(), message);
            }
        }
        Ok(state)
    }

    /// Whether anything became visible, or will, since this was asked last.
    pub(super) fn take_sent(&mut self) -> bool {
        std::mem::take(&mut self.sent)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.queues.keys()
    }

    pub(super) fn settings(&self, queue: &str) -> Result<&Settings, Error> {
        Ok(&self.shelf(queue)?.settings)
    }

    /// Creates a queue; one of this name must have the settings that are given.
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
        let settings = self.changed(Some(self.shelf(queue)?), values)?;
        self.put(queue, settings)
    }

    /// Sends messages, all or none, and tells their identifiers.
    pub(super) fn send(
        &mut self,
        queue: &str,
        drafts: Vec<Draft>,
        now: Timestamp,
    ) -> Result<Vec<String>, Error> {
        let default_delay = self.shelf(queue)?.settings.delay();
        let mut changes = Changes::default();
        let mut stored = Vec::new();
        for (Draft { body, attributes, group_id, delay }, number) in
            drafts.into_iter().zip(self.next..)
        {
            let id = unique_id(now, number);
            let sent = Sent { body, attributes, group_id, at: now };
            let json = serde_json::to_string(&sent).expect("strings make JSON");
            let message = Stored {
                queue: queue.to_owned(),
                visible_at: now + delay.unwrap_or(default_delay),
                receive_count: 0,
                first_received_at: None,
                content: Arc::new(Content { sent, json }),
            };
            changes.put_head(&record(&id), &message.head());
            changes.put_body(&record(&id), &message.content.json);
            stored.push((id, message));
        }
        self.write(&changes)?;

        let ids: Vec<_> = stored.iter().map(|(id, _)| id.clone()).collect();
        self.next += ids.len() as u64;
        self.sent = true;
        for (id, message) in stored {
            self.place(id, message);
        }
        Ok(ids)
    }

    /// Takes up to `max` visible messages. What was kept for too long is forgotten on the way,
    /// and what was received too often goes to the dead letters.
    pub(super) fn receive(
        &mut self,
        queue: &str,
        max: usize,
        visibility: Option<Duration>,
        now: Timestamp,
    ) -> Result<Vec<Message>, Error> {
        let from = self.shelf(queue)?;
        let hidden_until = now + visibility.unwrap_or(from.settings.visibility());
        let mut changes = Changes::default();
        let (mut moved, mut expired, mut received) = (Vec::new(), Vec::new(), Vec::new());
        for (_, id) in from.by_time.iter().take_while(|(at, _)| *at <= now) {
            if received.len() == max {
                break;
            }
            let mut message = self.messages[id].clone();
            if message.content.sent.at + from.settings.retention() <= now {
                changes.delete(&record(id), &message.content.json);
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
            changes.put_head(&record(id), &message.head());
            moved.push((id.clone(), message));
        }
        self.write(&changes)?;

        self.sent |= moved.len() > received.len();
        for id in &expired {
            self.forget(id);
        }
        for (id, message) in moved {
            self.place(id, message);
        }
        Ok(received)
    }

    /// Deletes a message. One that is gone, or was received again since, is no error.
    pub(super) fn delete(&mut self, queue: &str, receipt: &str) -> Result<(), Error> {
        let Some(id) = self.holder(queue, receipt)? else { return Ok(()) };
        let mut changes = Changes::default();
        changes.delete(&record(&id), &self.messages[&id].content.json);
        self.write(&changes)?;
        self.forget(&id);
        Ok(())
    }

    /// Hides a received message for `visibility` from now on.
    pub(super) fn hide(
        &mut self,
        queue: &str,
        receipt: &str,
        visibility: Duration,
        now: Timestamp,
    ) -> Result<(), Error> {
        let id = self.holder(queue, receipt)?.ok_or_else(|| Error::InvalidParameterValue {
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
        changes.put_head(&record(&id), &message.head());
        self.write(&changes)?;
        self.sent = true;
        self.place(id, message);
        Ok(())
    }

    /// Deletes all messages.
    pub(super) fn purge(&mut self, queue: &str) -> Result<(), Error> {
        let ids: Vec<_> = self.shelf(queue)?.by_time.iter().map(|(_, id)| id.clone()).collect();
        let mut changes = Changes::default();
        for id in &ids {
            changes.delete(&record(id), &self.messages[id].content.json);
        }
        self.write(&changes)?;
        for id in &ids {
            self.forget(id);
        }
        Ok(())
    }

    pub(super) fn depth(&self, queue: &str, now: Timestamp) -> Result<Depth, Error> {
        let mut depth = Depth::default();
        for (at, id) in &self.shelf(queue)?.by_time {
            match self.messages[id].receive_count {
                _ if *at <= now => depth.visible += 1,
                0 => depth.delayed += 1,
                _ => depth.in_flight += 1,
            }
        }
        Ok(depth)
    }

    pub(super) fn peek(&self, queue: &str) -> Result<Vec<Message>, Error> {
        let ids = self.shelf(queue)?.by_time.iter();
        Ok(ids.map(|(_, id)| self.messages[id].received(id)).collect())
    }

    pub(super) fn next_visible_at(&self, queue: &str) -> Result<Option<Timestamp>, Error> {
        Ok(self.shelf(queue)?.by_time.first().map(|(at, _)| *at))
    }

    fn shelf(&self, queue: &str) -> Result<&Shelf, Error> {
        self.queues.get(queue).ok_or(Error::QueueDoesNotExist)
    }

    fn changed(
        &self,
        old: Option<&Shelf>,
        values: &BTreeMap<String, String>,
    ) -> Result<Settings, Error> {
        let mut settings = old.map(|it| it.settings.clone()).unwrap_or_default();
        settings.set(values, |name| self.queues.contains_key(name))?;
        Ok(settings)
    }

    fn put(&mut self, queue: &str, settings: Settings) -> Result<(), Error> {
        let head = serde_json::to_string(&settings).expect("numbers and strings make JSON");
        let mut changes = Changes::default();
        changes.put_head(&format!("{QUEUE}{queue}"), &head);
        self.write(&changes)?;
        self.queues.entry(queue.to_owned()).or_default().settings = settings;
        Ok(())
    }

    /// The message that this is the latest receipt of.
    fn holder(&self, queue: &str, receipt: &str) -> Result<Option<String>, Error> {
        self.shelf(queue)?;
        let (id, count) = receipt
            .split_once('/')
            .and_then(|(id, count)| Some((id, count.parse::<u32>().ok()?)))
            .ok_or(Error::ReceiptHandleIsInvalid)?;
        let held = |it: &&Stored| it.queue == queue && it.receive_count == count;
        Ok(self.messages.get(id).filter(held).map(|_| id.to_owned()))
    }

    fn write(&self, changes: &Changes) -> Result<(), Error> {
        self.journal.write(changes).map_err(Error::Disk)
    }

    /// Puts a message where it belongs, and takes it away from where it was.
    fn place(&mut self, id: String, message: Stored) {
        self.forget(&id);
        let to = self.queues.entry(message.queue.clone()).or_default();
        to.by_time.insert((message.visible_at, id.clone()));
        self.messages.insert(id, message);
    }

    fn forget(&mut self, id: &str) {
        if let Some(old) = self.messages.remove(id)
            && let Some(shelf) = self.queues.get_mut(&old.queue)
        {
            shelf.by_time.remove(&(old.visible_at, id.to_owned()));
        }
    }
}

fn record(id: &str) -> String {
    format!("{MESSAGE}{id}")
}
