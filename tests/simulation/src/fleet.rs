//! The deployed system: the functions, their processes, and their triggers.
//!
//! A process serves one invocation at a time. It is kept for the next one unless it died. Each
//! process has its own clock and its function's caches.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use answerback::{
    domain::{CallbackRules, account::LIST_SHARDS, delivery::LEASE},
    egress,
    platform::{Bus, Entropy, Hints, Ses, Vault},
    service::Core,
    store::{Layout, Store},
};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use axum::{
    body::{Body, Bytes, to_bytes},
    http::{Request, StatusCode},
};
use futures::future::{Either, select};
use jiff::Timestamp;

use crate::{
    process::Process,
    routers::HttpApp,
    world::{World, since_epoch},
};

/// Timeout of an invocation of intake, poll or deliver, in milliseconds, as in `template.yaml`.
const FUNCTION: i64 = 30_000;
/// Timeout of a sweep, in milliseconds.
const SWEEP: i64 = 55_000;
/// Interval between sweeps, in milliseconds.
pub(crate) const MINUTE: i64 = 60_000;
/// Number of partitions of the due index. More would only slow the simulation down.
const N_DUE_SHARDS: u32 = 2;

/// All functions.
pub(crate) struct Fleet {
    pub(crate) world: Arc<World>,
    entropy: Entropy,
    publishes: bool,
    intake: Mutex<Pool<HttpApp>>,
    poll: Mutex<Pool<HttpApp>>,
    sweep: Mutex<Pool<sweep::App>>,
    deliver: Mutex<Pool<deliver::App>>,
}

/// Idle processes of one function.
struct Pool<A> {
    idle: Vec<(Arc<Process>, A)>,
    n_made: u32,
}

/// One of the two functions that serve HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    Intake,
    Poll,
}

/// Response of a function.
pub(crate) type Answer = (StatusCode, Bytes);

impl Fleet {
    pub(crate) fn new(world: Arc<World>, entropy: Entropy, publishes: bool) -> Arc<Self> {
        Arc::new(Self {
            world,
            entropy,
            publishes,
            intake: Mutex::default(),
            poll: Mutex::default(),
            sweep: Mutex::default(),
            deliver: Mutex::default(),
        })
    }

    /// Calls a function over HTTP. Returns `None` if its process died. Also returns whether every
    /// call that the function made was reachable.
    pub(crate) async fn http(
        &self,
        function: Http,
        request: Request<Body>,
    ) -> Option<(Answer, bool)> {
        let (pool, name) = match function {
            Http::Intake => (&self.intake, "intake"),
            Http::Poll => (&self.poll, "poll"),
        };
        let make = |process: &Arc<Process>| match function {
            Http::Intake => HttpApp::Intake(self.intake_app(process)),
            Http::Poll => HttpApp::Poll(self.poll_app(process)),
        };
        let work = async |app: HttpApp| {
            let response = app.respond(request).await;
            let status = response.status();
            let body = to_bytes(response.into_body(), usize::MAX).await;
            (status, body.expect("a complete body"))
        };
        self.invoke(pool, name, FUNCTION, make, work).await
    }

    /// Processes hints. Returns `None` if the process died.
    pub(crate) async fn deliver(&self, event: SqsEvent) -> Option<SqsBatchResponse> {
        let ends_at = self.ends_at(FUNCTION);
        let make = |process: &Arc<Process>| self.deliver_app(process);
        let work = async |app: deliver::App| deliver::deliver(&app, event, ends_at).await;
        self.invoke(&self.deliver, "deliver", FUNCTION, make, work).await.map(|(done, _)| done)
    }

    /// Runs a sweep. Returns `None` if the process died.
    pub(crate) async fn sweep(&self) -> Option<sweep::Swept> {
        let ends_at = self.ends_at(SWEEP);
        let make = |process: &Arc<Process>| self.sweep_app(process);
        let work = async |app: sweep::App| sweep::sweep(&app, ends_at).await;
        self.invoke(&self.sweep, "sweep", SWEEP, make, work).await.map(|(swept, _)| swept)
    }

    /// Runs work in a process of a function.
    async fn invoke<A: Clone, T>(
        &self,
        pool: &Mutex<Pool<A>>,
        name: &str,
        limit: i64,
        make: impl FnOnce(&Arc<Process>) -> A,
        work: impl AsyncFnOnce(A) -> T,
    ) -> Option<(T, bool)> {
        let waiting = pool.lock().expect("no holder panics").idle.pop();
        let (process, app) = waiting.unwrap_or_else(|| {
            let mut pool = pool.lock().expect("no holder panics");
            pool.n_made += 1;
            let process = self.process(format!("{name}/{}", pool.n_made));
            let app = make(&process);
            (process, app)
        });
        self.world.state().n_running += 1;
        let n_given_up = process.n_given_up();
        let began_at = self.world.now();
        let done = {
            let done = std::pin::pin!(alive(&process, work(app.clone())));
            let end = std::pin::pin!(self.world.sleep(limit));
            match select(done, end).await {
                Either::Left((done, _)) => done,
                Either::Right(_) => {
                    process.die("its time is up");
                    None
                }
            }
        };
        let mut state = self.world.state();
        state.n_running -= 1;
        let ended_at = state.now();
        let is_whole = done.is_some() && process.n_given_up() == n_given_up;
        state.seen.invoked(&process.name, began_at, ended_at, is_whole);
        drop(state);
        if done.is_some() {
            let mut pool = pool.lock().expect("no holder panics");
            pool.idle.push((process, app));
        }
        done.map(|it| (it, is_whole))
    }

    fn process(&self, name: String) -> Arc<Process> {
        let skew = {
            let mut state = self.world.state();
            let most = state.weather.skew;
            state.up_to(2 * most) - most
        };
        self.world.tell(|| format!("{name} starts, {skew} ms ahead"));
        let clock = self.world.clock.ahead(skew);
        Arc::new(Process::new(Arc::clone(&self.world), name, clock))
    }

    fn ends_at(&self, limit: i64) -> Option<Timestamp> {
        Timestamp::from_millisecond(since_epoch(self.world.now() + limit)).ok()
    }

    fn core(&self, process: &Arc<Process>) -> Core {
        let hints = Hints::Simulated(Arc::clone(process) as _);
        Core::new(store(process), vault(), hints, process.clock.clone(), self.entropy.clone())
    }

    fn intake_app(&self, process: &Arc<Process>) -> intake::App {
        let core = self.core(process);
        intake::App {
            core,
            egress: egress::Client::Simulated(Arc::clone(process) as _),
            rules: CallbackRules::strict(),
            probes: intake::Probes::default(),
            public_base_url: Some("https://answers.example.net".to_owned()),
            publishes: self.publishes,
        }
    }

    fn poll_app(&self, process: &Arc<Process>) -> poll::App {
        let core = self.core(process);
        poll::App { core }
    }

    fn sweep_app(&self, process: &Arc<Process>) -> sweep::App {
        let core = self.core(process);
        sweep::App { core }
    }

    fn deliver_app(&self, process: &Arc<Process>) -> deliver::App {
        let core = self.core(process);
        let bus = self.publishes.then(|| Bus::simulated(Arc::clone(process) as _, "bus"));
        deliver::App {
            core,
            egress: egress::Client::Simulated(Arc::clone(process) as _),
            rules: CallbackRules::strict(),
            bus,
            ses: Some(Ses::simulated(Arc::clone(process) as _)),
            ses_configuration_set: None,
            public_base_url: "https://answers.example.net".to_owned(),
            breakers: deliver::Breakers::default(),
            reads: deliver::Reads::default(),
            lease: LEASE,
        }
    }
}

/// The store, called by `process`.
pub(crate) fn store(process: &Arc<Process>) -> Store {
    let retention = std::time::Duration::from_hours(30 * 24);
    let layout = Layout { n_due_shards: N_DUE_SHARDS, n_list_shards: LIST_SHARDS, retention };
    Store::new(Arc::clone(process) as _, layout)
}

/// The vault with which all processes and the checks seal and open secrets.
pub(crate) fn vault() -> Vault {
    Vault::simulated([7; 32])
}

/// Returns the result of `work`, or `None` if the process dies.
async fn alive<T>(process: &Process, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| {
        let polled = work.as_mut().poll(context);
        if process.is_dead() {
            return std::task::Poll::Ready(None);
        }
        polled.map(Some)
    })
    .await
}

impl<A> Default for Pool<A> {
    fn default() -> Self {
        Self { idle: Vec::new(), n_made: 0 }
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").finish_non_exhaustive()
    }
}
