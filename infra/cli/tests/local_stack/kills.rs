//! Hundreds of kills at random moments, under load; then a count: nothing that was acknowledged is
//! missing.
//!
//! ```text
//!  clients ── ask, answer, cancel, poll ──▶ the program ── callbacks ──▶ a moody receiver
//!     │   no answer: the same call again         ▲ SIGKILL, and started again        │
//!     ▼                                          │                                   ▼
//!   what they were told  ────────────────────▶ the count ◀────────────────── what arrived
//! ```
//!
//! Callers and receivers outlive the program, and keep books. There are several folders at once,
//! each with its own program, receiver and clients, because most of a life is waiting. A seed
//! decides who does what and when a kill comes; the operating system decides what that hits, so
//! the same seed makes a similar history and not the same one.
//!
//! About half of the time goes into coming to rest: a worker that was killed in an attempt has
//! leased it for 45 s, and only then somebody else takes over.

mod callers;
mod count;
mod door;
mod many;

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

use crate::stack::{Mood, Receiver, Stack, answerback, pause};
use callers::{Asked, keep_asking};
use count::Count;
use door::Door;

/// Where a seed can be given, to try again what failed.
const SEED: &str = "ANSWERBACK_KILLS_SEED";
const FOLDERS: u64 = 4;
const KILLS_EACH: u64 = 52;
const CLIENTS_EACH: u64 = 5;
/// How long a life lasts from when it is ready, in milliseconds.
const LIFE: (u64, u64) = (50, 400);
/// How long one lasts that does not get ready, or only just; a start takes about 80.
const BIRTH: (u64, u64) = (0, 120);

/// The same numbers from the same seed (`SplitMix64`).
#[derive(Clone)]
pub(crate) struct Chance(u64);

/// One program, over one folder.
struct Stage {
    folder: tempfile::TempDir,
    door: Door,
    receiver: Receiver,
    chance: Chance,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_missing_after_two_hundred_kills() {
    let seed = seed();
    eprintln!("{SEED}={seed}");
    let began = Instant::now();
    let mut stages = JoinSet::new();
    for number in 0..FOLDERS {
        stages.spawn(play(Chance(seed).apart(number)));
    }
    let mut count = Count::default();
    while let Some(played) = stages.join_next().await {
        count.add(&played.expect("this folder's count is right"));
    }
    eprintln!("{count:?} in {} s", began.elapsed().as_secs());
    assert!(count.n_kills >= 200);
    assert!(count.n_woken <= count.n_requests / 10, "too many did not go on: {count:?}");
    assert!(count.n_duplicates as u64 <= count.n_kills, "too many came twice: {count:?}");
    for happened in [count.n_answers, count.n_callbacks, count.n_lost_calls, count.n_repeats] {
        assert!(happened > 0, "too little was tried: {count:?}");
    }
}

/// Kills the program over a new folder again and again, lets it come to rest, and counts.
async fn play(chance: Chance) -> Count {
    let folder = tempfile::tempdir().expect("a folder");
    let moods = Arc::new(Mutex::new(chance.apart(0)));
    let receiver = Receiver::moody(move || mood(&mut moods.lock().expect("no panics"))).await;
    let door = Door::default();
    let mut stage = Stage { folder, door, receiver, chance: chance.apart(1) };

    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS_EACH {
        let client = chance.apart(2 + number);
        let url = stage.receiver.url.clone();
        clients.spawn(keep_asking(number, stage.door.clone(), url, client, Arc::clone(&is_over)));
    }
    let mut n_early_kills = 0;
    for life in 0..KILLS_EACH {
        assert!(clients.try_join_next().is_none(), "a client was told something wrong");
        // The first one makes the account, which the callers need.
        if life > 0 && stage.chance.one_in(8) {
            stage.die_early().await;
            n_early_kills += 1;
        } else {
            stage.live_and_die().await;
        }
    }
    is_over.store(true, Ordering::SeqCst);

    let _stack = stage.start(&[]).await;
    let mut asked: Vec<Asked> = Vec::new();
    while let Some(client) = clients.join_next().await {
        asked.extend(client.expect("this client was told nothing wrong"));
    }
    let began = Instant::now();
    let n_woken = count::come_to_rest(&stage.door, &asked).await;
    let seconds_to_rest = began.elapsed().as_secs();
    let count = count::count(&stage.door, &mut asked, &stage.receiver).await;
    Count { n_kills: KILLS_EACH, n_early_kills, n_woken, seconds_to_rest, ..count }
}

impl Stage {
    async fn start(&self, flags: &'static [&str]) -> Stack {
        let path = self.folder.path().to_owned();
        let start = move || Stack::start(&path, &[flags, &["--sweep-interval", "1s"]].concat());
        let stack = tokio::task::spawn_blocking(start).await.expect("it starts over what is there");
        self.door.open(&stack);
        stack
    }

    async fn live_and_die(&mut self) {
        let loses_hints = self.chance.one_in(8);
        let stack = self.start(if loses_hints { &["--no-queue"] } else { &[] }).await;
        pause(self.chance.milliseconds(LIFE)).await;
        self.door.shut();
        stack.kill();
    }

    async fn die_early(&mut self) {
        let folder = self.folder.path().to_str().expect("UTF-8");
        let mut program = answerback(&["--json", "--port", "0", "--data-dir", folder]);
        let mut child = program.stdout(Stdio::null()).spawn().expect("it was built");
        pause(self.chance.milliseconds(BIRTH)).await;
        child.kill().expect("it runs");
        child.wait().expect("it is ours");
    }
}

/// Now and then a receiver refuses, or is slow.
fn mood(chance: &mut Chance) -> Mood {
    match chance.below(12) {
        0 => (503, Duration::ZERO),
        1 => (204, chance.milliseconds((100, 800))),
        _ => (204, Duration::ZERO),
    }
}

#[expect(clippy::disallowed_methods, reason = "a person's choice for one run of this test")]
fn seed() -> u64 {
    let given = std::env::var(SEED).ok();
    given.map_or_else(
        || u64::try_from(Entropy::System.next() >> 64).expect("64 bits are left"),
        |it| it.parse().expect("a seed is a whole number"),
    )
}

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A generator of somebody else's, so that nobody's numbers depend on who is faster.
    fn apart(&self, number: u64) -> Self {
        let mut other = Self(self.0 ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        Self(other.next())
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn milliseconds(&mut self, (least, most): (u64, u64)) -> Duration {
        Duration::from_millis(least + self.below(most - least))
    }
}
