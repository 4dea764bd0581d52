//! What all threads share: references to the parts, no behaviour of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use darter_storage::{Options, Store, TimeSource};

use crate::blocking::Waiters;
use crate::clients::Clients;
use crate::config::Config;
use crate::interest::Interest;
use crate::pubsub::PubSub;
use crate::script::cache::ScriptCache;
use crate::stats::Stats;

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
    /// What has happened so far.
    pub stats: Stats,
    /// When the server was made.
    pub started: Instant,
    /// Whether the server is to end.
    pub is_stopping: AtomicBool,
    random: AtomicU64,
}

impl Services {
    /// The parts of a new server with these options.
    pub fn new(config: Config) -> Services {
        let databases = config.databases();
        let started = Instant::now();
        let seed = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64 | 1);
        Services {
            store: Store::with_options(Options { databases, time: TimeSource::Manual }),
            clients: Clients::new(),
            pubsub: PubSub::new(),
            waiters: Waiters::new(),
            interest: Interest::new(),
            scripts: ScriptCache::new(),
            stats: Stats::new(),
            started,
            is_stopping: AtomicBool::new(false),
            random: AtomicU64::new(seed),
            config,
        }
    }

    /// A number drawn at random: a Weyl sequence through a mixing function (Steele et al., 2014).
    pub fn random(&self) -> u64 {
        let mut word = self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }

    /// Lets the store's time catch up with the system's.
    pub fn read_clock(&self) {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        self.store.set_time(since.unwrap_or_default().as_millis() as u64);
    }
}
