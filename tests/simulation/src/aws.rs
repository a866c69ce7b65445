//! AWS as a process sees it: the ports of the table, the queue and the event bus.

use std::collections::HashMap;

use answerback::{
    Promise,
    platform::{
        bus::{PublishError, Publisher},
        hints::{self, Lane, SendError},
    },
    store::{Attributes, Counted, DueCursor, DuePage, Error, Key, ListStart, Page, Put, Table},
};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use jiff::Timestamp;

use crate::{
    fault::CallKind,
    process::{OutOfReach, Process},
    queue,
    world::{State, since_epoch},
};

impl Table for Process {
    fn get(&self, key: Key) -> Promise<'_, Result<Option<Attributes>, Error>> {
        Box::pin(async move {
            let what = || format!("reads {}", key.pk);
            let key = key.clone();
            self.dynamodb(CallKind::Read, "read an item", what, move |it| it.table.get(&key)).await
        })
    }

    fn get_many(&self, keys: Vec<Key>) -> Promise<'_, Result<HashMap<Key, Attributes>, Error>> {
        Box::pin(async move {
            let what = || format!("reads {} items", keys.len());
            let keys = keys.clone();
            self.dynamodb(CallKind::Read, "read items", what, move |it| it.table.get_many(&keys))
                .await
        })
    }

    fn put_new(&self, attributes: Attributes) -> Promise<'_, Result<Put, Error>> {
        Box::pin(async move {
            let what = || format!("creates {}", text(&attributes, "pk"));
            let attributes = attributes.clone();
            let effect = move |it: &mut State| {
                let visible_at = it.visible_at();
                it.table.put_new(attributes.clone(), visible_at)
            };
            self.dynamodb(CallKind::Write, "create an item", what, effect).await
        })
    }

    fn update(
        &self,
        key: Key,
        moving: Attributes,
        previous: u64,
    ) -> Promise<'_, Result<Put, Error>> {
        Box::pin(async move {
            let what = || format!("writes {} after revision {previous}", key.pk);
            let key = key.clone();
            let effect = move |it: &mut State| {
                let visible_at = it.visible_at();
                it.table.update(&key, moving.clone(), previous, visible_at)
            };
            self.dynamodb(CallKind::Write, "write an item", what, effect).await
        })
    }

    fn due(
        &self,
        shard: String,
        now: Timestamp,
        limit: i32,
        after: Option<DueCursor>,
    ) -> Promise<'_, Result<DuePage, Error>> {
        Box::pin(async move {
            let what = || format!("lists due items in shard {shard}");
            let shard = shard.clone();
            let effect = move |it: &mut State| {
                let (until, at) = (now.as_millisecond(), since_epoch(it.now()));
                it.table.due(&shard, until, limit, after.as_ref(), at)
            };
            self.dynamodb(CallKind::Read, "list due items", what, effect).await
        })
    }

    fn postpone(
        &self,
        key: Key,
        until: Timestamp,
        n_errors: u32,
    ) -> Promise<'_, Result<u32, Error>> {
        Box::pin(async move {
            let what = || format!("postpones {}", key.pk);
            let key = key.clone();
            let effect = move |it: &mut State| {
                let visible_at = it.visible_at();
                it.table.postpone(&key, until.as_millisecond(), n_errors, visible_at)
            };
            self.dynamodb(CallKind::Write, "postpone an item", what, effect).await
        })
    }

    fn count_up(
        &self,
        key: Key,
        by: u32,
        max: u32,
        expires_at: Timestamp,
    ) -> Promise<'_, Result<Counted, Error>> {
        Box::pin(async move {
            let what = || format!("counts in {}", key.pk);
            let key = key.clone();
            let expires_at = expires_at.as_second();
            let effect = move |it: &mut State| it.table.count_up(&key, by, max, expires_at);
            self.dynamodb(CallKind::Write, "count a call", what, effect).await
        })
    }

    fn quarantine(&self, key: Key, due_at: Timestamp) -> Promise<'_, Result<(), Error>> {
        Box::pin(async move {
            let what = || format!("quarantines {}", key.pk);
            let key = key.clone();
            let effect = move |it: &mut State| {
                let visible_at = it.visible_at();
                it.table.quarantine(&key, due_at.as_millisecond(), visible_at);
            };
            self.dynamodb(CallKind::Write, "quarantine an item", what, effect).await
        })
    }

    fn list(
        &self,
        index: &'static str,
        partition: String,
        limit: i32,
        start: Option<ListStart>,
    ) -> Promise<'_, Result<Page, Error>> {
        Box::pin(async move {
            let what = || format!("lists {partition} by {index}");
            let partition = partition.clone();
            let effect = move |it: &mut State| {
                let at = since_epoch(it.now());
                it.table.list(index, &partition, limit, start.as_ref(), at)
            };
            self.dynamodb(CallKind::Read, "list items", what, effect).await
        })
    }

    fn n_listed(
        &self,
        index: &'static str,
        partition: String,
        max: u32,
    ) -> Promise<'_, Result<u32, Error>> {
        Box::pin(async move {
            let what = || format!("counts {partition} in {index}");
            let partition = partition.clone();
            let effect = move |it: &mut State| {
                let at = since_epoch(it.now());
                it.table.n_listed(index, &partition, max, at)
            };
            self.dynamodb(CallKind::Read, "count items", what, effect).await
        })
    }

    fn under(
        &self,
        pk: String,
        beginning: String,
        limit: i32,
        after: Option<String>,
    ) -> Promise<'_, Result<Page, Error>> {
        Box::pin(async move {
            let what = || format!("lists {beginning} of {pk}");
            let (pk, beginning) = (pk.clone(), beginning.clone());
            let effect =
                move |it: &mut State| it.table.under(&pk, &beginning, limit, after.as_deref());
            self.dynamodb(CallKind::Read, "list a collection", what, effect).await
        })
    }
}

impl hints::Queue for Process {
    fn send(
        &self,
        lane: Lane,
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> Promise<'_, Result<Vec<String>, SendError>> {
        Box::pin(async move {
            let what = || {
                let hints = entries.iter().map(SendMessageBatchRequestEntry::message_body);
                format!("sends {}", hints.collect::<Vec<_>>().join(", "))
            };
            let entries = entries.clone();
            let effect = move |it: &mut State| {
                let mut refused = Vec::new();
                for entry in &entries {
                    let delay = i64::from(entry.delay_seconds().unwrap_or(0)) * 1_000;
                    if !queue::send(it, lane, entry.message_body(), delay) {
                        refused.push(entry.id().to_owned());
                    }
                }
                refused
            };
            let sent = self.call(CallKind::Write, what, effect).await;
            sent.map_err(|OutOfReach| "the queue is out of reach".into())
        })
    }
}

impl Publisher for Process {
    fn publish(&self, kind: String, detail: String) -> Promise<'_, Result<(), PublishError>> {
        Box::pin(async move {
            let what = || format!("publishes {kind}");
            let kind = kind.clone();
            let effect = move |it: &mut State| {
                let at = it.now();
                it.seen.published(at, &kind, &detail);
            };
            let published = self.call(CallKind::Write, what, effect).await;
            published.map_err(|OutOfReach| PublishError::new("out of reach"))
        })
    }
}

fn text<'a>(attributes: &'a Attributes, name: &str) -> &'a str {
    attributes.get(name).and_then(|it| it.as_s().ok()).map_or("", String::as_str)
}
