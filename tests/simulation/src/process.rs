//! A function's process, and its calls to the outside: the ports behind which the real functions
//! have AWS and the internet.
//!
//! Calls to AWS go as its SDK makes them: each try has its limit, what fails is tried again after
//! a pause, and all tries together have a limit too. So a write whose answer was lost is repeated,
//! and meets its own condition.

use std::{
    collections::HashMap,
    fmt,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use answerback::{
    Promise,
    service::{
        Clock,
        bus::{PublishError, Publisher},
        hints::{self, SendError},
    },
    store::{Attributes, Cursor, DueCursor, DuePage, Error, Key, Page, Put, Table},
};
use aws_sdk_dynamodb::types::error::InternalServerError;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use jiff::Timestamp;

use crate::{
    fault::Fault,
    queue,
    world::{State, World},
};

/// How long one try may take.
const TRY: i64 = 1_500;
/// How long all tries may take.
const TRIES: i64 = 4_000;
/// How often a call is tried.
const N_TRIES: u32 = 4;
/// The first pause between tries; it doubles.
const PAUSE: i64 = 50;
/// The longest that a call takes when nothing is wrong.
const LATENCY: i64 = 10;

/// A running process of a function.
pub(crate) struct Process {
    pub(crate) world: Arc<World>,
    /// What it is called in the story.
    pub(crate) name: String,
    /// Its own clock.
    pub(crate) clock: Clock,
    is_dead: AtomicBool,
    n_given_up: AtomicU32,
    /// Whether its calls always succeed, and take no time: what looks at the world from outside.
    is_outside: bool,
}

/// All tries failed.
struct OutOfReach;

impl Process {
    pub(crate) fn new(world: Arc<World>, name: String, clock: Clock) -> Self {
        let (is_dead, n_given_up) = (AtomicBool::new(false), AtomicU32::new(0));
        Self { world, name, clock, is_dead, n_given_up, is_outside: false }
    }

    /// Somebody to whom nothing happens.
    pub(crate) fn outside(world: &Arc<World>) -> Self {
        let clock = world.clock.clone();
        Self { is_outside: true, ..Self::new(Arc::clone(world), "operator".to_owned(), clock) }
    }

    /// Whether it has died.
    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// How often all tries of a call failed.
    pub(crate) fn n_given_up(&self) -> u32 {
        self.n_given_up.load(Ordering::Relaxed)
    }

    /// Dies: whoever runs it lets go of it when this next waits.
    pub(crate) fn die(&self, why: &str) {
        self.is_dead.store(true, Ordering::Relaxed);
        self.world.tell(|| format!("{} DIES: {why}", self.name));
    }

    /// What goes wrong at its next call.
    pub(crate) fn next_fault(&self, what: &str) -> Option<Fault> {
        self.world.state().next_fault(|| format!("{} {what}", self.name))
    }

    /// Dies, and so never goes on.
    pub(crate) async fn perish<T>(&self, why: &str) -> T {
        self.die(why);
        pending().await
    }

    /// Calls AWS until it answers or all tries are over.
    async fn call<T>(
        &self,
        what: impl Fn() -> String + Send + Sync,
        effect: impl Fn(&mut State) -> T + Clone + Send + Sync + 'static,
    ) -> Result<T, OutOfReach>
    where
        T: Send,
    {
        let world = &self.world;
        if self.is_outside {
            return Ok(effect(&mut world.state()));
        }
        let give_up_at = world.now() + TRIES;
        for number in 0..N_TRIES {
            let (fault, latency) = {
                let mut state = world.state();
                let fault = state.next_fault(|| format!("{} {}", self.name, what()));
                let latency = 1 + state.up_to(LATENCY - 1);
                (fault, latency)
            };
            let limit = TRY.min(give_up_at - world.now());
            match fault {
                None => {
                    world.sleep(latency).await;
                    return Ok(effect(&mut world.state()));
                }
                Some(Fault::FailsBefore) => world.sleep(latency).await,
                Some(Fault::AnswerLost) => {
                    world.sleep(latency).await;
                    effect(&mut world.state());
                }
                Some(Fault::CrashBefore) => self.perish("before a call").await,
                Some(Fault::CrashAfter) => {
                    world.sleep(latency).await;
                    effect(&mut world.state());
                    self.perish::<()>("after a call").await;
                }
                Some(Fault::Twice) => {
                    world.sleep(latency).await;
                    let answer = effect(&mut world.state());
                    let again = world.state().up_to(2_000);
                    world.later(again, move |state| drop(effect(state)));
                    return Ok(answer);
                }
                Some(Fault::AnswerLate(_)) => {
                    world.sleep(latency).await;
                    effect(&mut world.state());
                    world.sleep(limit - latency).await;
                }
                Some(Fault::DoneLate(seconds)) => {
                    let effect = effect.clone();
                    world.later(i64::from(seconds) * 1_000, move |state| drop(effect(state)));
                    world.sleep(limit).await;
                }
                Some(Fault::Out) => {
                    world.sleep(latency).await;
                    break;
                }
                Some(Fault::OutAfter) => {
                    world.sleep(latency).await;
                    effect(&mut world.state());
                    break;
                }
            }
            if world.now() >= give_up_at {
                break;
            }
            let pause = world.state().up_to(PAUSE << number);
            world.sleep(pause.min(give_up_at - world.now())).await;
        }
        self.n_given_up.fetch_add(1, Ordering::Relaxed);
        Err(OutOfReach)
    }

    async fn dynamodb<T: Send>(
        &self,
        operation: &'static str,
        what: impl Fn() -> String + Send + Sync,
        effect: impl Fn(&mut State) -> T + Clone + Send + Sync + 'static,
    ) -> Result<T, Error> {
        self.call(what, effect).await.map_err(|OutOfReach| {
            let error = InternalServerError::builder().message("out of reach").build();
            let source = Box::new(aws_sdk_dynamodb::Error::InternalServerError(error));
            Error::Dynamo { operation, source }
        })
    }
}

impl Table for Process {
    fn get(&self, key: Key) -> Promise<'_, Result<Option<Attributes>, Error>> {
        Box::pin(async move {
            let what = || format!("reads {}", key.pk);
            let key = key.clone();
            self.dynamodb("read an item", what, move |it| it.table.get(&key)).await
        })
    }

    fn get_many(&self, keys: Vec<Key>) -> Promise<'_, Result<HashMap<String, Attributes>, Error>> {
        Box::pin(async move {
            let what = || format!("reads {} items", keys.len());
            let keys = keys.clone();
            self.dynamodb("read items", what, move |it| it.table.get_many(&keys)).await
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
            self.dynamodb("create an item", what, effect).await
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
            self.dynamodb("write an item", what, effect).await
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
            let what = || format!("lists what is due in shard {shard}");
            let shard = shard.clone();
            let effect = move |it: &mut State| {
                let (until, at) = (now.as_millisecond(), crate::world::since_epoch(it.now()));
                it.table.due(&shard, until, limit, after.as_ref(), at)
            };
            self.dynamodb("list what is due", what, effect).await
        })
    }

    fn put_off(&self, key: Key, until: Timestamp) -> Promise<'_, Result<u32, Error>> {
        Box::pin(async move {
            let what = || format!("puts off {}", key.pk);
            let key = key.clone();
            let effect = move |it: &mut State| {
                let visible_at = it.visible_at();
                it.table.put_off(&key, until.as_millisecond(), visible_at)
            };
            self.dynamodb("put off an item", what, effect).await
        })
    }

    fn disarm(&self, key: Key, due_at: Timestamp) -> Promise<'_, Result<(), Error>> {
        Box::pin(async move {
            let what = || format!("sets aside {}", key.pk);
            let key = key.clone();
            let effect = move |it: &mut State| {
                let visible_at = it.visible_at();
                it.table.disarm(&key, due_at.as_millisecond(), visible_at);
            };
            self.dynamodb("set an item aside", what, effect).await
        })
    }

    fn list(
        &self,
        index: &'static str,
        partition: String,
        limit: i32,
        cursor: Option<Cursor>,
    ) -> Promise<'_, Result<Page, Error>> {
        Box::pin(async move {
            let what = || format!("lists {partition} by {index}");
            let partition = partition.clone();
            let effect = move |it: &mut State| {
                let at = crate::world::since_epoch(it.now());
                it.table.list(index, &partition, limit, cursor.as_ref(), at)
            };
            self.dynamodb("list items", what, effect).await
        })
    }

    fn attempts(
        &self,
        pk: String,
        limit: i32,
        after: Option<String>,
    ) -> Promise<'_, Result<Page, Error>> {
        Box::pin(async move {
            let what = || format!("lists the attempts of {pk}");
            let pk = pk.clone();
            let effect = move |it: &mut State| it.table.attempts(&pk, limit, after.as_deref());
            self.dynamodb("list attempts", what, effect).await
        })
    }
}

impl hints::Queue for Process {
    fn send(
        &self,
        entries: Vec<SendMessageBatchRequestEntry>,
    ) -> Promise<'_, Result<Vec<String>, SendError>> {
        Box::pin(async move {
            let what = || {
                let hints = entries.iter().map(SendMessageBatchRequestEntry::message_body);
                format!("sends {}", hints.collect::<Vec<_>>().join(", "))
            };
            let entries = entries.clone();
            let effect = move |it: &mut State| {
                for entry in &entries {
                    let delay = i64::from(entry.delay_seconds().unwrap_or(0)) * 1_000;
                    queue::send(it, entry.message_body(), delay);
                }
            };
            match self.call(what, effect).await {
                Ok(()) => Ok(Vec::new()),
                Err(OutOfReach) => Err("the queue is out of reach".into()),
            }
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
            let published = self.call(what, effect).await;
            published.map_err(|OutOfReach| PublishError::new("out of reach"))
        })
    }
}

fn text<'a>(attributes: &'a Attributes, name: &str) -> &'a str {
    attributes.get(name).and_then(|it| it.as_s().ok()).map_or("", String::as_str)
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).finish_non_exhaustive()
    }
}
