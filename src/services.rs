//! What all threads share: references to the parts, no behaviour of its own.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use darter_storage::{
    CommitError, Committed, Conflict, Mode, Options, Store, TimeSource, Transaction,
};
use tokio::sync::Notify;

use crate::blocking::Waiters;
use crate::clients::Clients;
use crate::config::Config;
use crate::interest::Interest;
use crate::latency::Latency;
use crate::memory;
use crate::monitor::Monitors;
use crate::pubsub::PubSub;
use crate::scan_cursors::ScanCursors;
use crate::script::cache::ScriptCache;
use crate::script::functions::Registry;
use crate::slow_log::SlowLog;
use crate::stats::Stats;
use crate::system_time::since_1970;
use crate::watchdog::Watchdog;

/// The parts of one server.
pub struct Services {
    /// The data.
    pub store: Store,
    /// Options, as they stand now.
    pub config: Config,
    /// Who is connected.
    pub clients: Clients,
    /// Who is subscribed to what.
    pub pubsub: PubSub,
    /// Who is blocked on what.
    pub waiters: Waiters,
    /// Whether anybody needs the stream of effects.
    pub interest: Interest,
    /// Scripts by their SHA-1.
    pub scripts: ScriptCache,
    /// Libraries of functions.
    pub functions: Registry,
    /// Where walks over the keys of a prefix stand.
    pub scan_cursors: ScanCursors,
    /// What has happened so far.
    pub stats: Stats,
    /// Who is told of all commands.
    pub monitors: Monitors,
    /// Commands that took long.
    pub slow_log: SlowLog,
    /// How long things took that took too long.
    pub latency: Latency,
    /// Which threads stayed with one client for long.
    pub watchdog: Watchdog,
    /// What DEBUG switches.
    pub switches: Switches,
    /// Scripts that have not come to their end within a slice.
    pub suspended_scripts: AtomicUsize,
    /// When the server was made.
    pub started: Instant,
    /// Tells this run of the server from others.
    pub run_id: String,
    /// Bytes in use when the server was made.
    pub start_bytes: u64,
    stop: Stop,
    forces_conflict: AtomicBool,
}

/// What DEBUG switches.
pub struct Switches {
    /// Whether the housekeeping removes what has expired.
    pub expires_actively: AtomicBool,
    /// Whether scripts may call what they may not, as far as it does not steer other commands.
    pub lets_scripts_call_all: AtomicBool,
}

impl Default for Switches {
    fn default() -> Switches {
        Switches {
            expires_actively: AtomicBool::new(true),
            lets_scripts_call_all: AtomicBool::new(false),
        }
    }
}

const WEYL: u64 = 0x9E37_79B9_7F4A_7C15;

/// Mixes a word of a Weyl sequence (Steele et al., 2014).
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// Forty hexadecimal digits, as Redis has them.
fn run_id(seed: u64) -> String {
    let words = (1..=3).map(|at| mix(seed.wrapping_add(WEYL.wrapping_mul(at))));
    let mut digits: String = words.map(|word| format!("{word:016x}")).collect();
    digits.truncate(40);
    digits
}

/// Whether the server is to end, for threads and for tasks that wait for it.
#[derive(Default)]
struct Stop {
    is_stopping: Mutex<bool>,
    for_threads: Condvar,
    for_tasks: Notify,
}

impl Services {
    /// The parts of a new server with these options.
    pub fn new(config: Config) -> Services {
        let databases = config.databases();
        let started = Instant::now();
        let seed = since_1970().as_nanos() as u64 | 1;
        let scripts = ScriptCache::with_undeclared(config.startup.undeclared_shas.clone());
        for (sha, flags) in &config.startup.script_flags {
            // They were checked when they were set, and there are none to contradict yet.
            let _ = scripts.add_flags(*sha, *flags);
        }
        Services {
            store: Store::with_options(Options {
                databases,
                time: TimeSource::Manual,
            }),
            clients: Clients::new(),
            pubsub: PubSub::new(),
            waiters: Waiters::new(),
            interest: Interest::new(),
            scripts,
            functions: Registry::new(),
            scan_cursors: ScanCursors::default(),
            stats: Stats::new(),
            monitors: Monitors::default(),
            slow_log: SlowLog::default(),
            latency: Latency::default(),
            watchdog: Watchdog::default(),
            switches: Switches::default(),
            suspended_scripts: AtomicUsize::new(0),
            started,
            run_id: run_id(seed),
            start_bytes: memory::used_bytes() as u64,
            stop: Stop::default(),
            forces_conflict: AtomicBool::new(false),
            config,
        }
    }

    /// Makes the next commit of a command meet a conflict, whoever's it is: what runs again after
    /// one must do the same as before.
    pub fn force_conflict(&self) {
        // Relaxed: whoever forces one sends the command afterwards, through a socket.
        self.forces_conflict.store(true, Ordering::Relaxed);
    }

    /// Commits what a command did, unless a conflict is forced.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn commit(&self, transaction: &mut Transaction) -> Result<Committed, CommitError> {
        // Relaxed: see `force_conflict`. The swap, which writes, is kept off the usual way.
        if self.forces_conflict.load(Ordering::Relaxed)
            && self.forces_conflict.swap(false, Ordering::Relaxed)
        {
            return Err(Conflict.into());
        }
        if transaction.mode() == Mode::Snapshot {
            self.publish_apart(transaction)?;
        }
        transaction.commit()
    }

    /// Publishes what was published on a snapshot: reads that missed. Its own commit, which is none,
    /// tells of nothing.
    fn publish_apart(&self, transaction: &mut Transaction) -> Result<(), CommitError> {
        let messages = transaction.take_messages();
        if messages.is_empty() {
            return Ok(());
        }
        let mut apart = self.store.begin(Mode::Direct);
        messages
            .iter()
            .for_each(|message| apart.publish(message.clone()));
        let published = apart.commit().map(drop);
        if published.is_err() {
            messages
                .into_iter()
                .for_each(|message| transaction.publish(message));
        }
        published
    }

    /// Lets the store's time catch up with the system's.
    pub fn read_clock(&self) {
        self.store.set_time(since_1970().as_millis() as u64);
    }

    fn is_stopping(&self) -> MutexGuard<'_, bool> {
        self.stop
            .is_stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the server.
    pub fn stop(&self) {
        *self.is_stopping() = true;
        self.stop.for_threads.notify_all();
        // Kept for whoever waits next, too.
        self.stop.for_tasks.notify_one();
        self.interest.stop();
    }

    /// Waits on the calling thread for the server's end, at most this long. `true` if it ends.
    pub fn wait_for_stop(&self, at_most: Duration) -> bool {
        let stopping = self.is_stopping();
        let waited = self
            .stop
            .for_threads
            .wait_timeout_while(stopping, at_most, |is| !*is);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits for the server's end. One task may wait.
    pub async fn stopped(&self) {
        if !*self.is_stopping() {
            self.stop.for_tasks.notified().await;
        }
    }
}
