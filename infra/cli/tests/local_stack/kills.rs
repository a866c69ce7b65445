//! Hundreds of kills at random moments under load, then a count: nothing that was acknowledged is
//! missing.
//!
//! ```text
//!  clients ── create, answer, cancel, poll ──▶ program ── callbacks ──▶ a receiver with random failures
//!     │   no response: repeat the call          ▲ SIGKILL, then a new start          │
//!     ▼                                         │                                    ▼
//!   their responses  ─────────────────────────▶ count ◀──────────────── arrived callbacks
//! ```
//!
//! Clients and receivers outlive the program and record every response and callback. There are
//! several folders at once, each with its program, receiver and clients, because a program mostly
//! waits. A seed decides the clients' actions and the times of the kills. The operating system decides
//! what a kill interrupts, so the same seed gives a similar history, not the same one.
//!
//! A worker that was killed during an attempt holds its lease until it expires. The programs run with
//! a lease of [`LEASE_SECONDS`] instead of production's 45 seconds, so the test does not wait that long.

mod clients;
mod count;
mod endpoint;
mod events;

use std::{
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use answerback::platform::Entropy;
use tokio::task::JoinSet;

use crate::stack::{Reaction, Receiver, Stack, answerback, pause};
use clients::{TrackedRequest, keep_asking};
use count::Count;
use endpoint::Endpoint;

/// The variable that sets the seed, to repeat a failed run.
const SEED: &str = "ANSWERBACK_KILLS_SEED";
const FOLDERS: u64 = 4;
const KILLS_EACH: u64 = 52;
const CLIENTS_EACH: u64 = 5;
/// The lease of deliveries. An attempt here takes less, even on a busy machine.
const LEASE_SECONDS: u64 = 10;
/// The flags of every program under random kills.
const FLAGS: [&str; 4] = ["--sweep-interval", "1s", "--lease", "10s"];
/// Life of a program after it is ready, in milliseconds.
const LIFE: (u64, u64) = (50, 400);
/// Life of a program that is killed while it starts, in milliseconds. A start takes about 80.
const START: (u64, u64) = (0, 120);

/// A generator of the same numbers from the same seed (`SplitMix64`).
#[derive(Clone)]
pub(crate) struct Random(u64);

/// A program that is killed and started on the same folder, with its receiver.
struct Program {
    folder: tempfile::TempDir,
    endpoint: Endpoint,
    receiver: Receiver,
    random: Random,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_missing_after_200_kills() {
    let seed = seed();
    eprintln!("{SEED}={seed}");
    let began = Instant::now();
    let mut runs = JoinSet::new();
    for number in 0..FOLDERS {
        runs.spawn(run(Random(seed).fork(number)));
    }
    let mut count = Count::default();
    while let Some(counted) = runs.join_next().await {
        count.add(&counted.expect("the count of this folder is right"));
    }
    eprintln!("{count:?} in {} s", began.elapsed().as_secs());
    assert!(count.n_kills >= 200);
    assert!(count.n_recreated <= count.n_requests / 10, "too many stopped: {count:?}");
    assert!(count.n_duplicates as u64 <= count.n_kills, "too many duplicates: {count:?}");
    for happened in [count.n_answers, count.n_callbacks, count.n_lost_calls, count.n_repeats] {
        assert!(happened > 0, "the test covered too little: {count:?}");
    }
}

/// Kills the program on a new folder repeatedly, lets it finish its work, and counts.
async fn run(random: Random) -> Count {
    let folder = tempfile::tempdir().expect("a folder");
    let reactions = Arc::new(Mutex::new(random.fork(0)));
    let react = move || reaction(&mut reactions.lock().expect("no holder panics"));
    let receiver = Receiver::reacting(react).await;
    let endpoint = Endpoint::default();
    let mut program = Program { folder, endpoint, receiver, random: random.fork(1) };

    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS_EACH {
        let random = random.fork(2 + number);
        let (endpoint, url) = (program.endpoint.clone(), program.receiver.url.clone());
        clients.spawn(keep_asking(number, endpoint, url, random, Arc::clone(&is_over)));
    }
    let mut n_early_kills = 0;
    for life in 0..KILLS_EACH {
        assert!(clients.try_join_next().is_none(), "a client got a wrong response");
        // The first life creates the account, which the clients need.
        if life > 0 && program.random.one_in(8) {
            program.die_early().await;
            n_early_kills += 1;
        } else {
            program.live_and_die().await;
        }
    }
    is_over.store(true, Ordering::SeqCst);

    let _stack = program.start(FLAGS.to_vec()).await;
    let mut requests: Vec<TrackedRequest> = Vec::new();
    while let Some(client) = clients.join_next().await {
        requests.extend(client.expect("this client got no wrong response"));
    }
    let began = Instant::now();
    let n_recreated = count::wait_until_idle(&program.endpoint, &requests).await;
    let seconds_to_idle = began.elapsed().as_secs();
    let count = count::count(&program.endpoint, &mut requests, &program.receiver).await;
    Count { n_kills: KILLS_EACH, n_early_kills, n_recreated, seconds_to_idle, ..count }
}

impl Program {
    /// Starts the program with these flags.
    async fn start(&self, flags: Vec<&'static str>) -> Stack {
        let path = self.folder.path().to_owned();
        let start = move || Stack::start(&path, &flags);
        let stack = tokio::task::spawn_blocking(start).await.expect("it starts on existing data");
        self.endpoint.open(&stack);
        stack
    }

    async fn live_and_die(&mut self) {
        let loses_hints = self.random.one_in(8);
        let lost: &[&str] = if loses_hints { &["--no-queue"] } else { &[] };
        let stack = self.start([&FLAGS[..], lost].concat()).await;
        pause(self.random.milliseconds(LIFE)).await;
        self.endpoint.close();
        stack.kill();
    }

    async fn die_early(&mut self) {
        let folder = self.folder.path().to_str().expect("UTF-8");
        let mut program = answerback(&["--json", "--port", "0", "--data-dir", folder]);
        let child = program.args(FLAGS).stdout(Stdio::null()).spawn();
        let mut child = child.expect("the program was built with this test");
        pause(self.random.milliseconds(START)).await;
        child.kill().expect("the program runs");
        child.wait().expect("it is our child process");
    }
}

/// A receiver that sometimes refuses and sometimes is slow.
fn reaction(random: &mut Random) -> Reaction {
    let status = if random.one_in(12) { 503 } else { 204 };
    let is_slow = random.one_in(12);
    let delay = if is_slow { random.milliseconds((100, 800)) } else { Duration::ZERO };
    Reaction { status, delay }
}

#[expect(clippy::disallowed_methods, reason = "a seed for a manual run")]
fn seed() -> u64 {
    let given = std::env::var(SEED).ok();
    given.map_or_else(
        || u64::try_from(Entropy::System.next() >> 64).expect("64 bits are left"),
        |it| it.parse().expect("a seed is a whole number"),
    )
}

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// An independent generator. One task's numbers then do not depend on another task's speed.
    fn fork(&self, number: u64) -> Self {
        let mut other = Self(self.0 ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        Self(other.next())
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn milliseconds(&mut self, (min, max): (u64, u64)) -> Duration {
        Duration::from_millis(min + self.below(max - min))
    }
}
