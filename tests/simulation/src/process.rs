//! A function's process, and its calls to AWS.
//!
//! Calls to AWS follow the SDK: each try has a timeout, failed tries are retried after a pause, and
//! all tries together have a timeout too. So a write whose response was lost is repeated, and fails
//! its own condition.

use std::{
    fmt,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use answerback::{platform::Clock, store::Error};
use aws_sdk_dynamodb::types::error::InternalServerError;

use crate::{
    fault::{CallKind, Fault},
    world::{State, World},
};

/// Timeout of one try, in milliseconds.
const TRY: i64 = 1_500;
/// Timeout of all tries together, in milliseconds.
const TRIES: i64 = 4_000;
/// Maximum number of tries of a call.
const N_TRIES: u32 = 4;
/// First pause between tries, in milliseconds. It doubles.
const PAUSE: i64 = 50;
/// Longest duration of a call without faults, in milliseconds.
const LATENCY: i64 = 10;

/// A running process of a function.
pub(crate) struct Process {
    pub(crate) world: Arc<World>,
    /// Name in the story.
    pub(crate) name: String,
    /// Clock of the process.
    pub(crate) clock: Clock,
    is_dead: AtomicBool,
    n_given_up: AtomicU32,
    /// True for an observer outside the world: its calls always succeed and take no time.
    is_outside: bool,
}

/// All tries failed.
pub(crate) struct OutOfReach;

impl Process {
    pub(crate) fn new(world: Arc<World>, name: String, clock: Clock) -> Self {
        let (is_dead, n_given_up) = (AtomicBool::new(false), AtomicU32::new(0));
        Self { world, name, clock, is_dead, n_given_up, is_outside: false }
    }

    /// A process that no fault affects.
    pub(crate) fn outside(world: &Arc<World>) -> Self {
        let clock = world.clock.clone();
        Self { is_outside: true, ..Self::new(Arc::clone(world), "operator".to_owned(), clock) }
    }

    /// Returns true if the process has died.
    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// Number of calls for which all tries failed.
    pub(crate) fn n_given_up(&self) -> u32 {
        self.n_given_up.load(Ordering::Relaxed)
    }

    /// Kills the process. Its invocation is dropped when it next waits.
    pub(crate) fn die(&self, why: &str) {
        self.is_dead.store(true, Ordering::Relaxed);
        self.world.tell(|| format!("{} DIES: {why}", self.name));
    }

    /// Draws the fault of its next call.
    pub(crate) fn next_fault(&self, kind: CallKind, what: &str) -> Option<Fault> {
        self.world.state().next_fault(kind, || format!("{} {what}", self.name))
    }

    /// Kills the process and never returns.
    pub(crate) async fn perish<T>(&self, why: &str) -> T {
        self.die(why);
        pending().await
    }

    /// Calls AWS until it responds or all tries have failed.
    pub(crate) async fn call<T>(
        &self,
        kind: CallKind,
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
                let fault = state.next_fault(kind, || format!("{} {}", self.name, what()));
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
                    world.happen_later(again, move |state| drop(effect(state)));
                    return Ok(answer);
                }
                Some(Fault::AnswerLate(_)) => {
                    world.sleep(latency).await;
                    effect(&mut world.state());
                    world.sleep(limit - latency).await;
                }
                Some(Fault::DoneLate(seconds)) => {
                    let effect = effect.clone();
                    world
                        .happen_later(i64::from(seconds) * 1_000, move |state| drop(effect(state)));
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

    /// Calls DynamoDB. Returns an error for `operation` if all tries failed.
    pub(crate) async fn dynamodb<T: Send>(
        &self,
        kind: CallKind,
        operation: &'static str,
        what: impl Fn() -> String + Send + Sync,
        effect: impl Fn(&mut State) -> T + Clone + Send + Sync + 'static,
    ) -> Result<T, Error> {
        self.call(kind, what, effect).await.map_err(|OutOfReach| {
            let error = InternalServerError::builder().message("out of reach").build();
            let source = Arc::new(aws_sdk_dynamodb::Error::InternalServerError(error));
            Error::Dynamo { operation, source }
        })
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).finish_non_exhaustive()
    }
}
