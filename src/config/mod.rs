//! The options as they stand now, in the form that the server uses.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::script::flags::Flags;

/// A limit on what waits to be sent to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// Over this many bytes the client is disconnected at once; 0 is no limit.
    pub hard_bytes: usize,
    /// Over this many bytes for `soft_seconds` it is disconnected; 0 is no limit.
    pub soft_bytes: usize,
    /// See `soft_bytes`.
    pub soft_seconds: u64,
}

/// See the module's text. What may change while the server runs is behind atomics and locks.
pub struct Config {
    databases: usize,
    /// Data-plane threads.
    pub threads: usize,
    /// Whether `protected-mode` is on.
    pub protected_mode: AtomicBool,
    /// Connections at most.
    pub max_clients: AtomicUsize,
    /// Seconds after which an idle connection is closed; 0 is never.
    pub timeout_s: AtomicU64,
    /// Seconds between TCP keepalive probes; 0 is none.
    pub tcp_keepalive_s: AtomicU64,
    /// The longest bulk string.
    pub bulk_bytes_max: AtomicUsize,
    /// Milliseconds after which a script counts as slow; 0 is never.
    pub lua_time_limit_ms: AtomicU64,
    /// Milliseconds after which a script is ended; 0 is never.
    pub lua_kill_limit_ms: AtomicU64,
    /// Bytes that one run of a script may take.
    pub lua_memory_bytes: AtomicUsize,
    password: RwLock<Option<String>>,
    default_flags: RwLock<Flags>,
    /// For normal clients and for subscribers.
    output_limits: RwLock<[OutputLimit; 2]>,
}

impl Default for Config {
    fn default() -> Config {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Config::new(16, threads)
    }
}

impl Config {
    /// The defaults, with this many databases and data-plane threads.
    pub fn new(databases: usize, threads: usize) -> Config {
        let none = OutputLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 };
        let subscribers =
            OutputLimit { hard_bytes: 32 << 20, soft_bytes: 8 << 20, soft_seconds: 60 };
        Config {
            databases,
            threads,
            protected_mode: AtomicBool::new(true),
            max_clients: AtomicUsize::new(10_000),
            timeout_s: AtomicU64::new(0),
            tcp_keepalive_s: AtomicU64::new(300),
            bulk_bytes_max: AtomicUsize::new(512 << 20),
            lua_time_limit_ms: AtomicU64::new(5000),
            lua_kill_limit_ms: AtomicU64::new(0),
            lua_memory_bytes: AtomicUsize::new(256 << 20),
            password: RwLock::new(None),
            default_flags: RwLock::new(Flags::NONE),
            output_limits: RwLock::new([none, subscribers]),
        }
    }

    /// How many databases there are.
    pub fn databases(&self) -> usize {
        self.databases
    }

    /// The password that clients must give, if one is asked.
    pub fn password(&self) -> Option<String> {
        self.password.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for a password from now on, or for none.
    pub fn set_password(&self, password: Option<String>) {
        *self.password.write().unwrap_or_else(PoisonError::into_inner) = password;
    }

    /// The flags of scripts that say nothing else.
    pub fn default_flags(&self) -> Flags {
        *self.default_flags.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the flags of scripts that say nothing else.
    pub fn set_default_flags(&self, flags: Flags) {
        *self.default_flags.write().unwrap_or_else(PoisonError::into_inner) = flags;
    }

    /// The limits for normal clients and for subscribers.
    pub fn output_limits(&self) -> [OutputLimit; 2] {
        *self.output_limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the limits for normal clients and for subscribers.
    pub fn set_output_limits(&self, limits: [OutputLimit; 2]) {
        *self.output_limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// The longest bulk string, in bytes.
    pub fn bulk_bytes_max(&self) -> usize {
        self.bulk_bytes_max.load(Ordering::Relaxed)
    }
}
