//! A function's process, and how it calls AWS.
//!
//! Calls to AWS go as its SDK makes them: each try has its limit, what fails is tried again after
//! a pause, and all tries together have a limit too. So a write whose answer was lost is repeated,
//! and meets its own condition.

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
    fault::Fault,
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
pub(crate) struct OutOfReach;

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
    pub(crate) async fn call<T>(
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

    /// Calls DynamoDB, which did not `operation` where all tries failed.
    pub(crate) async fn dynamodb<T: Send>(
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

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).finish_non_exhaustive()
    }
}
