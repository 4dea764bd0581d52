//! The options: each once, in the table of `parameters`, from which the command line, the
//! configuration file, CONFIG GET, SET and REWRITE's refusal all come.

mod checks;
pub mod descriptors;
pub mod file;
mod memory;
pub mod parameters;
mod scripting;
pub mod setting;
mod slow;
mod values;
mod without_meaning;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
use std::sync::{PoisonError, RwLock};

use crate::script::cache::Sha;
use crate::script::flags::Flags;
use crate::server::Listen;

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

/// The classes of clients that output limits tell apart.
pub const OUTPUT_CLASSES: [&str; 3] = ["normal", "replica", "pubsub"];

/// What is fixed once the server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// The TCP port; 0 is none.
    pub port: u16,
    /// The addresses to listen on.
    pub bind: Vec<String>,
    /// A Unix socket to listen on.
    pub unix_socket: Option<PathBuf>,
    /// Who may connect to it, as the bits of a file's mode; 0 leaves that to the system.
    pub unix_socket_mode: u32,
    /// A file for the log; standard output if there is none.
    pub log_file: Option<PathBuf>,
    /// How many databases there are.
    pub databases: usize,
    /// Data-plane threads.
    pub threads: usize,
    /// Flags of scripts by their SHA-1, as if set by SCRIPT FLAGS.
    pub script_flags: Vec<(Sha, Flags)>,
    /// Scripts that may use undeclared keys besides what their flags allow.
    pub undeclared_shas: Vec<Sha>,
    /// Whether the server tells of itself as a cluster of one.
    pub emulates_cluster: bool,
    /// Who may use DEBUG.
    pub debugging: Debugging,
}

/// Who may use DEBUG.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debugging {
    /// Nobody.
    No,
    /// Clients from this machine.
    Local,
    /// Everybody.
    Yes,
}

/// The options as they stand now. What may change while the server runs is behind atomics and
/// locks.
pub struct Config {
    /// What is fixed once the server runs.
    pub startup: Startup,
    /// Whether strangers from other machines are refused while no password is set.
    pub protected_mode: AtomicBool,
    /// Connections at most.
    pub max_clients: AtomicUsize,
    /// Entries of a stream that go together where a trim need not be exact; 0 is all.
    pub stream_node_entries: AtomicUsize,
    /// Seconds after which an idle connection is closed; 0 is never.
    pub timeout_s: AtomicU64,
    /// Seconds between TCP keepalive probes; 0 is none.
    pub tcp_keepalive_s: AtomicU64,
    /// The longest bulk string.
    pub bulk_bytes_max: AtomicUsize,
    /// A HyperLogLog of more bytes is kept in the dense form.
    sparse_sketch_bytes_max: AtomicUsize,
    /// Bytes in use over which nothing is added; 0 is no limit.
    pub max_memory_bytes: AtomicUsize,
    /// Bytes that the buffers of all clients may take together; 0 is no limit, and less than 0 so
    /// many hundredths of `max_memory_bytes`.
    client_memory_limit: AtomicI64,
    /// Seconds after which a snapshot is ended; 0 is never.
    snapshot_age_s: AtomicU64,
    /// Snapshots that may be held at once; 0 is no limit.
    snapshots_max: AtomicUsize,
    /// Bytes that may be kept for snapshots alone; 0 is no limit.
    snapshot_bytes_max: AtomicUsize,
    /// Milliseconds after which a script counts as slow; 0 is never.
    pub lua_time_limit_ms: AtomicU64,
    /// Milliseconds after which a script is ended; 0 is never.
    pub lua_kill_limit_ms: AtomicU64,
    /// Bytes that one run of a script may take.
    pub lua_memory_bytes: AtomicUsize,
    /// Scripts that may be between two slices at once; 0 is no limit.
    pub lua_suspended_max: AtomicUsize,
    slow: slow::Slow,
    notified: AtomicU32,
    undeclared_keys: AtomicU8,
    /// Whether a script that was refused an undeclared key may use any from then on.
    pub corrects_flags: AtomicBool,
    /// Whether a declared key with a tag declares all keys of that tag.
    pub declares_by_tag: AtomicBool,
    /// Whether redis.log does anything.
    pub scripts_log: AtomicBool,
    password: RwLock<Option<String>>,
    default_flags: AtomicU16,
    log_level: RwLock<String>,
    output_limits: RwLock<[OutputLimit; 3]>,
    /// Redis's options without a meaning here, as they were set.
    pub(crate) without_meaning: RwLock<Vec<(String, String)>>,
}

/// How scripts run that may use keys which they did not declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UndeclaredKeys {
    /// While nobody else writes.
    Exclusive,
    /// As all others: what they read is compared at the commit.
    Optimistic,
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
        let none = OutputLimit {
            hard_bytes: 0,
            soft_bytes: 0,
            soft_seconds: 0,
        };
        let replicas = OutputLimit {
            hard_bytes: 256 << 20,
            soft_bytes: 64 << 20,
            soft_seconds: 60,
        };
        let subscribers = OutputLimit {
            hard_bytes: 32 << 20,
            soft_bytes: 8 << 20,
            soft_seconds: 60,
        };
        Config {
            startup: Startup {
                port: 6379,
                bind: vec!["127.0.0.1".into(), "-::1".into()],
                unix_socket: None,
                unix_socket_mode: 0,
                log_file: None,
                databases,
                threads,
                script_flags: Vec::new(),
                undeclared_shas: Vec::new(),
                emulates_cluster: false,
                debugging: Debugging::No,
            },
            protected_mode: AtomicBool::new(true),
            max_clients: AtomicUsize::new(10_000),
            stream_node_entries: AtomicUsize::new(100),
            timeout_s: AtomicU64::new(0),
            tcp_keepalive_s: AtomicU64::new(300),
            bulk_bytes_max: AtomicUsize::new(512 << 20),
            sparse_sketch_bytes_max: AtomicUsize::new(3000),
            max_memory_bytes: AtomicUsize::new(0),
            client_memory_limit: AtomicI64::new(1 << 30),
            snapshot_age_s: AtomicU64::new(3600),
            snapshots_max: AtomicUsize::new(1024),
            snapshot_bytes_max: AtomicUsize::new(crate::memory::machine_bytes() / 4),
            lua_time_limit_ms: AtomicU64::new(5000),
            lua_kill_limit_ms: AtomicU64::new(0),
            lua_memory_bytes: AtomicUsize::new(256 << 20),
            lua_suspended_max: AtomicUsize::new(1000),
            slow: slow::Slow::default(),
            notified: AtomicU32::new(0),
            corrects_flags: AtomicBool::new(false),
            declares_by_tag: AtomicBool::new(false),
            scripts_log: AtomicBool::new(true),
            password: RwLock::new(None),
            undeclared_keys: AtomicU8::new(UndeclaredKeys::Exclusive as u8),
            default_flags: AtomicU16::new(Flags::NONE.bits()),
            log_level: RwLock::new("notice".into()),
            output_limits: RwLock::new([none, replicas, subscribers]),
            without_meaning: RwLock::default(),
        }
    }

    /// How many databases there are.
    pub fn databases(&self) -> usize {
        self.startup.databases
    }

    /// The password that clients must give, if one is asked.
    pub fn password(&self) -> Option<String> {
        read(&self.password)
    }

    /// Asks for a password from now on, or for none.
    pub fn set_password(&self, password: Option<String>) {
        write(&self.password, password);
    }

    /// How scripts with undeclared keys run.
    pub fn undeclared_keys(&self) -> UndeclaredKeys {
        if self.undeclared_keys.load(Ordering::Relaxed) == UndeclaredKeys::Optimistic as u8 {
            UndeclaredKeys::Optimistic
        } else {
            UndeclaredKeys::Exclusive
        }
    }

    /// Changes how scripts with undeclared keys run, from their next start on.
    pub fn set_undeclared_keys(&self, how: UndeclaredKeys) {
        self.undeclared_keys.store(how as u8, Ordering::Relaxed);
    }

    /// Which keyspace notifications are wanted; see [`crate::notifications::class`].
    #[inline]
    pub fn notified(&self) -> u32 {
        self.notified.load(Ordering::Relaxed)
    }

    /// Changes which keyspace notifications are wanted.
    pub fn set_notified(&self, classes: u32) {
        self.notified.store(classes, Ordering::Relaxed);
    }

    /// The flags of scripts that say nothing else.
    pub fn default_flags(&self) -> Flags {
        Flags::of_bits(self.default_flags.load(Ordering::Relaxed))
    }

    /// Changes the flags of scripts that say nothing else.
    pub fn set_default_flags(&self, flags: Flags) {
        self.default_flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// How much is logged: `debug`, `verbose`, `notice`, `warning` or `nothing`.
    pub fn log_level(&self) -> String {
        read(&self.log_level)
    }

    /// Changes how much is logged.
    pub fn set_log_level(&self, level: &str) {
        write(&self.log_level, level.to_owned());
    }

    /// The limits by class; see [`OUTPUT_CLASSES`].
    pub fn output_limits(&self) -> [OutputLimit; 3] {
        read(&self.output_limits)
    }

    /// Changes the limits by class.
    pub fn set_output_limits(&self, limits: [OutputLimit; 3]) {
        write(&self.output_limits, limits);
    }

    /// The longest bulk string, in bytes.
    pub fn bulk_bytes_max(&self) -> usize {
        self.bulk_bytes_max.load(Ordering::Relaxed)
    }

    /// The largest HyperLogLog in the sparse form, in bytes.
    pub fn sparse_sketch_bytes_max(&self) -> usize {
        self.sparse_sketch_bytes_max.load(Ordering::Relaxed)
    }

    /// Where to listen.
    ///
    /// # Errors
    /// An address that is no IP address, nor a name that means one.
    pub fn listen(&self) -> Result<Listen, String> {
        let mut listen = Listen {
            unix_socket: self.startup.unix_socket.clone(),
            unix_socket_mode: self.startup.unix_socket_mode,
            ..Listen::default()
        };
        if self.startup.port == 0 {
            return Ok(listen);
        }
        for name in &self.startup.bind {
            // A leading `-` marks an address that may be missing on this machine.
            let (name, is_optional) = match name.strip_prefix('-') {
                Some(name) => (name, true),
                None => (name.as_str(), false),
            };
            let name = match name {
                "*" => "0.0.0.0",
                "::*" => "::",
                "localhost" => "127.0.0.1",
                name => name,
            };
            let address = name
                .parse()
                .map_err(|_| format!("bind: '{name}' is no IP address"))?;
            let address = SocketAddr::new(address, self.startup.port);
            if is_optional {
                listen.optional_addresses.push(address);
            } else {
                listen.addresses.push(address);
            }
        }
        Ok(listen)
    }
}

fn read<T: Clone>(lock: &RwLock<T>) -> T {
    lock.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn write<T>(lock: &RwLock<T>, value: T) {
    *lock.write().unwrap_or_else(PoisonError::into_inner) = value;
}
