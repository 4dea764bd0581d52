//! Sockets and threads: accepting, handing connections to the data-plane threads, housekeeping,
//! the end.

mod acceptor;
mod connection;
mod rounds;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use darter_storage::Store;

use crate::client_memory;
use crate::collection::{self, Fall};
use crate::interest::Interest;
use crate::memory;
use crate::services::Services;
use crate::system_time::now_ms;
use crate::watchdog::Watchdog;

use worker::Worker;

/// Where a server listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// TCP addresses; port 0 lets the system choose.
    pub addresses: Vec<SocketAddr>,
    /// TCP addresses that this machine may lack.
    pub optional_addresses: Vec<SocketAddr>,
    /// A Unix socket.
    pub unix_socket: Option<PathBuf>,
    /// Who may connect to it, as the bits of a file's mode; 0 leaves that to the system.
    pub unix_socket_mode: u32,
}

/// A running server. `stop` ends it; dropping it does not.
pub struct Server {
    services: Arc<Services>,
    addresses: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
}

/// How often expired keys are looked for, idle clients closed, and the like.
const HOUSEKEEPING: Duration = Duration::from_millis(100);
/// Keys that one round of housekeeping looks at.
const KEYS_PER_ROUND: usize = 2000;
/// Rounds made at once when there is much to do.
const ROUNDS_MAX: usize = 25;
/// What lies between two of them.
const BETWEEN_ROUNDS: Duration = Duration::from_micros(50);
/// How many intervals of housekeeping lie between two times that memory is given back.
const ROUNDS_PER_GIVING_BACK: u32 = 10;

impl Server {
    /// Starts a server with these parts.
    ///
    /// # Errors
    /// An address cannot be listened on, or the system refuses threads.
    pub fn start(services: Services, listen: &Listen) -> io::Result<Server> {
        let services = Arc::new(services);
        services.read_clock();
        let count = services.config.startup.threads.max(1);
        let mut threads = Vec::new();
        let mut workers = Vec::new();
        for number in 0..count {
            let (worker, thread) = Worker::start(number, &services)?;
            workers.push(worker);
            threads.push(thread);
        }
        let (addresses, acceptor) = acceptor::start(&services, listen, workers)?;
        threads.push(acceptor);
        let told = Arc::clone(&services);
        threads.push(spawn("effects", move || Interest::run(&told))?);
        let kept = Arc::clone(&services);
        threads.push(spawn("housekeeping", move || keep_house(&kept))?);
        let watched = Arc::clone(&services);
        threads.push(spawn("watchdog", move || Watchdog::run(&watched))?);
        Ok(Server {
            services,
            addresses,
            threads,
        })
    }

    /// The TCP addresses that it listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Its parts.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Waits until it ends, by SHUTDOWN, a signal or `stop`.
    pub fn wait(self) {
        for thread in self.threads {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }

    /// Ends it: connections are closed, threads end.
    pub fn stop(self) {
        self.services.stop();
        self.wait();
    }
}

/// Enough for a script's result of the deepest nesting; only what is touched takes up memory.
const STACK_BYTES: usize = 16 << 20;

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(format!("darter-{name}"))
        .stack_size(STACK_BYTES)
        .spawn(work)
}

/// Removes expired keys, frees what may be freed, closes idle connections.
fn keep_house(services: &Services) {
    let mut round = 0;
    let mut fall = Fall::default();
    while !services.wait_for_stop(HOUSEKEEPING) {
        services.read_clock();
        let limits = services.config.snapshot_limits();
        services.store.limit_snapshots(limits);
        // Relaxed: a switch that each round looks at anew.
        let expires = services.switches.expires_actively.load(Ordering::Relaxed);
        let maintain = if expires {
            Store::maintain
        } else {
            Store::maintain_unexpired
        };
        for _ in 0..ROUNDS_MAX {
            if !maintain(&services.store, KEYS_PER_ROUND) {
                break;
            }
            fall.note(memory::used_bytes());
            // A data-plane thread that wants this core does not wait for all the rounds. One that yields
            // is often left running.
            thread::sleep(BETWEEN_ROUNDS);
        }
        // What has expired is shown, and let go of, although nobody writes.
        services.store.merge_effects();
        close_idle(services);
        client_memory::look(services);
        services.stats.take_rate();
        round = (round + 1) % ROUNDS_PER_GIVING_BACK;
        if round == 0 {
            memory::give_back();
        }
        fall.note(memory::used_bytes());
        collection::collect_if_wanted();
        // The peak is the most that was looked at.
        memory::peak_bytes();
    }
}

fn close_idle(services: &Services) {
    let timeout_s = services.config.timeout_s.load(Ordering::Relaxed);
    if timeout_s == 0 {
        return;
    }
    let now_ms = now_ms();
    for client in services.clients.all() {
        // Before the look at when it was active: what it waits for ends behind that.
        let is_waiting = client.is_suspended.load(Ordering::SeqCst)
            || client.is_blocked.load(Ordering::SeqCst)
            || client.subscriptions() > 0
            || client.is_monitor.load(Ordering::Relaxed)
            || client.is_in_script();
        let idle_ms = now_ms.saturating_sub(client.active_ms.load(Ordering::Relaxed));
        if !is_waiting && idle_ms > timeout_s * 1000 {
            client.kill();
        }
    }
}
