//! One history: a scenario as it runs, and its outcome.

use answerback::{
    domain::{Account, EmailPattern, Owner, Scope},
    platform::Entropy,
    service::{NewKey, new_account},
    store::Saved,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::FutureExt as _;
use secrecy::ExposeSecret as _;

use crate::{
    caller,
    check::{Violation, check},
    fault::{CallKind, Fault, Schedule},
    fleet::{self, Fleet, MINUTE},
    hooks, messengers,
    process::Process,
    queue,
    receiver::Receiver,
    scenario::Scenario,
    world::{World, since_epoch},
};

/// Maximum length of a history until it is at rest: longer than all retries of any delivery.
const LENGTH_MAX: i64 = 100 * 3_600_000;

/// Outcome of a history.
#[derive(Debug)]
pub struct Outcome {
    /// Broken promises.
    pub violations: Vec<Violation>,
    /// Faults that happened, by the number of the call.
    pub injected: Vec<(u32, Fault)>,
    /// The calls to the outside.
    pub calls: Vec<CallKind>,
    /// Longest time from the end of a request to the first attempt to report it.
    pub slowest: i64,
    /// Log of the history, if it was recorded.
    pub story: Vec<String>,
}

impl Outcome {
    /// Number of calls to the outside.
    pub fn n_calls(&self) -> u32 {
        u32::try_from(self.calls.len()).expect("a history has an end")
    }
}

/// A history that has ended.
pub(crate) struct Over<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) world: &'a Arc<World>,
    pub(crate) account: &'a Account,
    /// True if everything came to rest.
    pub(crate) rests: bool,
}

impl Scenario {
    /// Runs the history.
    pub fn run(&self) -> Outcome {
        self.happen(false)
    }

    /// Runs the history and records its story.
    pub fn run_telling(&self) -> Outcome {
        self.happen(true)
    }

    fn happen(&self, tells: bool) -> Outcome {
        let world = World::new(
            self.seed,
            self.schedule.clone(),
            self.weather.clone(),
            self.receivers(),
            tells,
        );
        let entropy = Entropy::Counting(Arc::new(AtomicU64::new(self.seed << 20)));
        let (account, api_key) = settle_in(&world, &entropy);
        let store = fleet::store(&Arc::new(Process::outside(&world)));
        for (number, hook) in self.hooks.iter().enumerate() {
            let url = self.hosts.url(self.requests.len() + number);
            hook.settle_in(number, url, &account, &store, &entropy, world.clock.now());
        }
        for (number, messenger) in self.messengers.iter().enumerate() {
            let place = self.place_of_messenger(number);
            messenger.settle_in(number, place, &account, &store, &entropy, world.clock.now());
        }
        let fleet = Fleet::new(Arc::clone(&world), entropy, self.publishes);
        let rested = Arc::new(AtomicU64::new(0));
        let main = {
            let (fleet, scenario, rested) = (Arc::clone(&fleet), self.clone(), Arc::clone(&rested));
            let home = caller::Home {
                hosts: self.hosts,
                first_messenger: self.place_of_messenger(0),
                api_key: Arc::clone(&api_key),
            };
            async move {
                let callers = scenario.requests.into_iter().enumerate();
                let callers = callers.map(|(number, plan)| {
                    caller::live(Arc::clone(&fleet), number, plan, home.clone())
                });
                let hooks = scenario.hooks.into_iter().enumerate().map(|(number, hook)| {
                    let owner = hooks::Owner::new(&fleet, number, &api_key);
                    hooks::live(owner, hook)
                });
                let messengers = scenario.messengers.into_iter().enumerate();
                let messengers = messengers.map(|(number, it)| {
                    messengers::live(Arc::clone(&fleet), number, it.changes, Arc::clone(&api_key))
                });
                futures::join!(
                    futures::future::join_all(callers),
                    futures::future::join_all(hooks),
                    futures::future::join_all(messengers)
                );
                let is_at_rest = rest(&fleet.world).await;
                rested.store(u64::from(is_at_rest), Ordering::Relaxed);
            }
        };
        world.spawn(sweep_each_minute(Arc::clone(&fleet)));
        world.run(main, || queue::collect(&fleet));

        let rests = rested.load(Ordering::Relaxed) == 1;
        let (violations, slowest) =
            check(&Over { scenario: self, world: &world, account: &account, rests });
        let mut state = world.state();
        Outcome {
            violations,
            slowest,
            injected: std::mem::take(&mut state.faults.injected),
            calls: std::mem::take(&mut state.faults.calls),
            story: state.story.take().unwrap_or_default(),
        }
    }

    /// The receivers of callbacks, of webhooks, and of messages.
    fn receivers(&self) -> Vec<Receiver> {
        let of_requests = self.requests.iter().map(|it| Receiver {
            behaviours: it.receiver.iter().copied().collect(),
            events: it.events_receiver.iter().copied().collect(),
            is_service: false,
            bounces: VecDeque::new(),
        });
        let of_hooks = self.hooks.iter().map(|it| Receiver {
            behaviours: it.receiver.iter().copied().collect(),
            events: VecDeque::new(),
            is_service: false,
            bounces: VecDeque::new(),
        });
        let of_messengers = self.messengers.iter().map(|it| Receiver {
            behaviours: it.behaviours.iter().copied().collect(),
            events: it.others.iter().copied().collect(),
            is_service: true,
            bounces: it.bounces.iter().copied().collect(),
        });
        of_requests.chain(of_hooks).chain(of_messengers).collect()
    }

    /// The number among all receivers of the service of the messenger with this number.
    pub(crate) fn place_of_messenger(&self, number: usize) -> usize {
        self.requests.len() + self.hooks.len() + number
    }

    /// This history with only its first `n_faults` faults.
    #[must_use]
    pub fn with_faults(&self, faults: &[(u32, Fault)]) -> Self {
        Self { schedule: Schedule::At(faults.to_vec()), ..self.clone() }
    }
}

/// Creates an account with a key that has all scopes.
fn settle_in(world: &Arc<World>, entropy: &Entropy) -> (Account, Arc<str>) {
    let now = world.clock.now();
    let account = new_account(now, entropy, &fleet::vault()).now_or_never();
    let account = account.and_then(Result::ok).expect("nothing waits, and a local key seals");
    let senders = [EmailPattern::parse(messengers::SENDERS).expect("it is a pattern")];
    let account = account.allow_senders(&senders).expect("one").expect("it had none");
    let key = NewKey::make(Owner::live(account.id), vec![Scope::Admin], now, entropy);
    let store = fleet::store(&Arc::new(Process::outside(world)));
    let made = async {
        let account: Result<Saved<Account>, _> = store.create(&account).await;
        let key = store.create(&key.key).await;
        matches!((account, key), (Ok(Saved::Saved), Ok(Saved::Saved)))
    };
    assert_eq!(made.now_or_never(), Some(true), "the operator's calls succeed at once");
    (account, key.text.expose_secret().into())
}

async fn sweep_each_minute(fleet: Arc<Fleet>) {
    let world = &fleet.world;
    let phase = world.state().up_to(MINUTE - 1);
    for minute in 0.. {
        world.sleep_until(phase + minute * MINUTE).await;
        let n_sweeps = {
            let mut state = world.state();
            let (missed, doubled) = (state.weather.sweeps_missed, state.weather.sweeps_doubled);
            if state.happens(missed) {
                state.tell(|| "a sweep is MISSED".to_owned());
                0
            } else if state.happens(doubled) {
                2
            } else {
                1
            }
        };
        // A sweep that would find nothing is skipped, because it has no effect.
        let finds = {
            let mut state = world.state();
            let soon = since_epoch(state.now() + state.weather.skew);
            state.next_due().is_some_and(|it| it <= soon)
        };
        for _ in 0..if finds { n_sweeps } else { 0 } {
            let (fleet, world) = (Arc::clone(&fleet), Arc::clone(world));
            let after = world.state().up_to(500);
            let own = Arc::clone(&world);
            world.spawn(async move {
                own.sleep(after).await;
                let swept = fleet.sweep().await;
                own.tell(|| format!("swept: {swept:?}"));
            });
        }
    }
}

/// Waits until no work is left. Returns false if that takes too long.
async fn rest(world: &Arc<World>) -> bool {
    while world.now() < LENGTH_MAX {
        let is_at_rest = {
            let mut state = world.state();
            let is_idle = state.n_running == 0 && state.n_late == 0;
            is_idle && state.next_due().is_none() && state.queue.is_empty()
        };
        if is_at_rest && world.now() >= world.state().weather.ends_at {
            return true;
        }
        world.sleep(10_000).await;
    }
    false
}
