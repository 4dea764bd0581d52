//! Who is connected: what a session knows of its own client, and what others may know and ask.

mod running_scripts;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::client_memory::{Charge, ClientMemory};
use crate::fault::fault;
use crate::resp::encode::Protocol;
use crate::services::Services;
use crate::system_time::now_ms;

use running_scripts::RunningScripts;
pub use running_scripts::{Killed, RunningFunction};

/// What a command on the connection or the server works with.
pub struct Context<'c> {
    /// What all threads share.
    pub services: &'c Arc<Services>,
    /// The client that called.
    pub client: &'c mut ClientState,
}

/// Whether replies are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    /// All of them.
    #[default]
    On,
    /// None.
    Off,
    /// Not the one after this.
    SkipNext,
    /// Not this one.
    SkipThis,
}

/// What a session knows of its own client.
pub struct ClientState {
    /// What others see.
    pub shared: Arc<SharedClient>,
    /// The selected database.
    pub database: usize,
    /// The form of its replies.
    pub protocol: Protocol,
    /// Whether it has given the password, or none is asked.
    pub is_authenticated: bool,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// The connection ends when what was written so far has been sent.
    pub is_closing: bool,
    /// Whether it is told of all commands (MONITOR).
    pub is_monitor: bool,
    /// Subscribed channels.
    pub channels: BTreeSet<Box<[u8]>>,
    /// Subscribed patterns.
    pub patterns: BTreeSet<Box<[u8]>>,
    /// Subscribed shard channels.
    pub shard_channels: BTreeSet<Box<[u8]>>,
    /// What the names of these take, here and in the lists of subscribers, about.
    pub subscribed_bytes: usize,
}

/// What a subscription takes, about.
pub fn subscription_bytes(name: &[u8]) -> usize {
    const BESIDES_NAMES: usize = 128;
    2 * name.len() + BESIDES_NAMES
}

impl ClientState {
    /// How many subscriptions it has.
    pub fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len() + self.shard_channels.len()
    }

    /// Its replies have this form from here on.
    pub fn speak(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        // Relaxed: shown to people, nothing depends on it.
        let is_resp3 = protocol == Protocol::Resp3;
        self.shared.is_resp3.store(is_resp3, Ordering::Relaxed);
    }

    /// Its last subscription has ended: what came meanwhile is not for whenever it subscribes again.
    pub(crate) fn forget_pushes(&self) {
        if !self.is_monitor {
            drop(self.shared.take_pushes());
        }
    }

    /// Lets others see how many of which kind.
    pub fn show_subscriptions(&self) {
        // Relaxed: see `SharedClient::subscriptions`.
        let show =
            |count: &AtomicUsize, subscribed: usize| count.store(subscribed, Ordering::Relaxed);
        show(&self.shared.channels, self.channels.len());
        show(&self.shared.patterns, self.patterns.len());
        show(&self.shared.shard_channels, self.shard_channels.len());
    }
}

/// What others send to a client beside replies.
#[derive(Debug)]
pub enum Push {
    /// A published message.
    Message {
        /// The pattern that it came through.
        pattern: Option<Box<[u8]>>,
        /// Its channel.
        channel: Box<[u8]>,
        /// What it says.
        payload: Box<[u8]>,
        /// Whether the channel is a shard channel.
        is_sharded: bool,
    },
    /// A command that somebody ran, for MONITOR.
    Monitored(Box<[u8]>),
}

impl Push {
    fn bytes(&self) -> usize {
        const ABOUT: usize = 64;
        match self {
            Push::Message {
                channel, payload, ..
            } => channel.len() + payload.len() + ABOUT,
            Push::Monitored(line) => line.len() + ABOUT,
        }
    }
}

/// What others have sent to a client that its session has not taken yet.
#[derive(Default)]
struct Mailbox {
    pushes: VecDeque<Arc<Push>>,
    bytes: usize,
    waker: Option<Waker>,
}

/// What CLIENT UNBLOCK asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unblock {
    /// As if the time were over.
    Timeout,
    /// With an error.
    Error,
}

/// What others see of a client.
pub struct SharedClient {
    /// Its number, never used twice.
    pub id: u64,
    /// Where it comes from, as `ip:port` or a socket's path.
    pub address: String,
    /// Where it came to.
    pub local_address: String,
    /// When it came, in milliseconds since 1970.
    pub created_ms: u64,
    /// When it last sent something or was answered, in milliseconds since 1970.
    pub active_ms: AtomicU64,
    /// Whether a command of it is not done yet, for whatever reason. Ends only once it counts as
    /// active.
    pub is_suspended: AtomicBool,
    /// Its selected database.
    pub database: AtomicUsize,
    /// Names it has given itself.
    pub names: Mutex<Names>,
    /// Whether it waits for a key.
    pub is_blocked: AtomicBool,
    /// Queued commands of a MULTI; `usize::MAX` outside.
    pub multi: AtomicUsize,
    /// Channels that it is subscribed to.
    pub channels: AtomicUsize,
    /// See `channels`.
    pub patterns: AtomicUsize,
    /// See `channels`.
    pub shard_channels: AtomicUsize,
    /// Whether it is told of all commands.
    pub is_monitor: AtomicBool,
    /// Whether `maxmemory-clients` does not count it.
    pub is_spared: AtomicBool,
    /// Whether it speaks RESP3.
    pub is_resp3: AtomicBool,
    /// Bytes of requests not run yet.
    pub input_bytes: AtomicUsize,
    /// Bytes of replies not sent yet.
    pub output_bytes: AtomicUsize,
    /// Bytes that its buffers, and arguments kept beyond their requests, take.
    pub memory_bytes: AtomicUsize,
    /// Bytes of it that commands queued by MULTI take.
    pub multi_bytes: AtomicUsize,
    /// The last command's place in the table; `usize::MAX` before the first.
    pub command: AtomicUsize,
    pub(crate) charge: Charge,
    is_killed: AtomicBool,
    unblock: Mutex<Option<Unblock>>,
    mailbox: Mutex<Mailbox>,
    /// The scripts that it runs: one, or for a moment two when one starts over.
    scripts: Mutex<RunningScripts>,
}

/// Names that a client gives itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// CLIENT SETNAME.
    pub name: String,
    /// CLIENT SETINFO LIB-NAME.
    pub library: String,
    /// CLIENT SETINFO LIB-VER.
    pub library_version: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept behind these locks is whole at every moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedClient {
    fn new(id: u64, address: String, local_address: String, now_ms: u64) -> SharedClient {
        SharedClient {
            id,
            address,
            local_address,
            created_ms: now_ms,
            active_ms: AtomicU64::new(now_ms),
            is_suspended: AtomicBool::new(false),
            database: AtomicUsize::new(0),
            names: Mutex::default(),
            is_blocked: AtomicBool::new(false),
            multi: AtomicUsize::new(usize::MAX),
            channels: AtomicUsize::new(0),
            patterns: AtomicUsize::new(0),
            shard_channels: AtomicUsize::new(0),
            is_monitor: AtomicBool::new(false),
            is_spared: AtomicBool::new(false),
            is_resp3: AtomicBool::new(false),
            input_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            memory_bytes: AtomicUsize::new(0),
            multi_bytes: AtomicUsize::new(0),
            charge: Charge::default(),
            command: AtomicUsize::new(usize::MAX),
            is_killed: AtomicBool::new(false),
            unblock: Mutex::new(None),
            mailbox: Mutex::default(),
            scripts: Mutex::default(),
        }
    }

    /// How many subscriptions it has. Relaxed, as their changes: others only look.
    pub fn subscriptions(&self) -> usize {
        let all = [&self.channels, &self.patterns, &self.shard_channels];
        all.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The names it has given itself.
    pub fn names(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }

    /// Whom to wake when something is sent to the client.
    pub fn set_waker(&self, waker: &Waker) {
        let mut mailbox = lock(&self.mailbox);
        if !mailbox
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            mailbox.waker = Some(waker.clone());
        }
    }

    /// Wakes its session.
    pub fn wake(&self) {
        let waker = lock(&self.mailbox).waker.clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Sends it a message. One who does not read is not sent more than `bytes_max`: it is killed.
    pub fn push(&self, push: &Arc<Push>, bytes_max: usize) {
        let mut mailbox = lock(&self.mailbox);
        mailbox.bytes += push.bytes();
        mailbox.pushes.push_back(Arc::clone(push));
        let waiting = mailbox.bytes + self.output_bytes.load(Ordering::Relaxed);
        let waker = mailbox.waker.clone();
        drop(mailbox);
        let is_over = bytes_max > 0 && waiting > bytes_max;
        if is_over && !fault!("a subscriber's limit is ignored") {
            self.mark_killed();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What of so many bytes counts for `maxmemory-clients`.
    fn counted(&self, bytes: usize) -> usize {
        // Relaxed: written by its own thread, which asks.
        if self.is_spared.load(Ordering::Relaxed) {
            0
        } else {
            bytes
        }
    }

    /// Takes the messages sent so far.
    pub fn take_pushes(&self) -> VecDeque<Arc<Push>> {
        let mut mailbox = lock(&self.mailbox);
        mailbox.bytes = 0;
        std::mem::take(&mut mailbox.pushes)
    }

    /// Ends its connection.
    pub fn kill(&self) {
        self.mark_killed();
        self.wake();
    }

    /// Ends its connection as soon as its session is woken.
    pub(crate) fn mark_killed(&self) {
        self.is_killed.store(true, Ordering::SeqCst);
    }

    /// Whether its connection is to end.
    pub fn is_killed(&self) -> bool {
        self.is_killed.load(Ordering::SeqCst)
    }

    /// Ends its waiting. `false` if it does not wait.
    pub fn unblock(&self, how: Unblock) -> bool {
        if !self.is_blocked.load(Ordering::SeqCst) {
            return false;
        }
        *lock(&self.unblock) = Some(how);
        self.wake();
        true
    }

    /// Takes what CLIENT UNBLOCK asked for.
    pub fn take_unblock(&self) -> Option<Unblock> {
        lock(&self.unblock).take()
    }
}

/// CLIENT PAUSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Only what may write waits.
    Writes,
    /// Everything waits.
    All,
}

/// All clients of a server.
pub struct Clients {
    next_id: AtomicU64,
    all: Mutex<BTreeMap<u64, Arc<SharedClient>>>,
    /// Until when, in milliseconds since 1970, and in the lowest bit whether everything; 0: nothing
    /// is paused. One word, so that no two who change it at once make a third of it.
    pause: AtomicU64,
    paused: Mutex<Vec<Waker>>,
    pub(crate) memory: ClientMemory,
}

impl Default for Clients {
    fn default() -> Clients {
        Clients::new()
    }
}

impl Clients {
    /// Nobody is connected yet.
    pub fn new() -> Clients {
        Clients {
            next_id: AtomicU64::new(1),
            all: Mutex::default(),
            pause: AtomicU64::new(0),
            paused: Mutex::default(),
            memory: ClientMemory::default(),
        }
    }

    /// A new client.
    pub fn add(&self, address: String, local_address: String, now_ms: u64) -> Arc<SharedClient> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let client = Arc::new(SharedClient::new(id, address, local_address, now_ms));
        lock(&self.all).insert(id, Arc::clone(&client));
        client
    }

    /// The client is gone.
    pub fn remove(&self, id: u64) {
        let mut all = lock(&self.all);
        if let Some(client) = all.remove(&id) {
            self.memory.discharge(&client.charge);
        }
    }

    /// A client's buffers take so many bytes from here on. Called by its own thread alone.
    #[inline]
    pub fn charge(&self, client: &SharedClient, bytes: usize) {
        // Relaxed: shown to people, nothing depends on it.
        client.memory_bytes.store(bytes, Ordering::Relaxed);
        self.memory.charge(&client.charge, client.counted(bytes));
    }

    /// While a client runs a command, a reply of it takes so many bytes. Called by its own thread
    /// alone, which charges it for everything once the command has ended.
    pub(crate) fn charge_more(&self, client: &SharedClient, reply_bytes: usize) {
        let before = client.memory_bytes.load(Ordering::Relaxed);
        self.memory
            .charge(&client.charge, client.counted(before + reply_bytes));
    }

    /// Bytes that the buffers of all clients take, but for the small ones.
    #[cfg(test)]
    pub fn charged_bytes(&self) -> usize {
        self.memory.bytes()
    }

    /// See `ClientMemory::choose`.
    pub(crate) fn choose_leaving(&self, bytes_max: usize) -> Vec<(Arc<SharedClient>, usize)> {
        if self.memory.must_choose(bytes_max) {
            self.memory.choose(&lock(&self.all), bytes_max)
        } else {
            Vec::new()
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        lock(&self.all).len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The client of this number.
    pub fn get(&self, id: u64) -> Option<Arc<SharedClient>> {
        lock(&self.all).get(&id).cloned()
    }

    /// All of them, by their numbers.
    pub fn all(&self) -> Vec<Arc<SharedClient>> {
        lock(&self.all).values().cloned().collect()
    }

    /// Lets commands wait for a time. A pause that still goes on is made longer and wider.
    pub fn pause(&self, timeout_ms: u64, what: Pause) {
        let now_ms = now_ms();
        let until_ms = now_ms.saturating_add(timeout_ms).min(u64::MAX >> 1);
        let wanted = until_ms << 1 | u64::from(what == Pause::All);
        let change = |before: u64| {
            // It may be over without anybody having come to see.
            let goes_on = before >> 1 > now_ms;
            Some(if goes_on {
                before.max(wanted) | (before | wanted) & 1
            } else {
                wanted
            })
        };
        let _ = self
            .pause
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, change);
    }

    /// Lets them go on.
    pub fn unpause(&self) {
        self.pause.store(0, Ordering::SeqCst);
        self.wake_paused();
    }

    fn wake_paused(&self) {
        let waiting = std::mem::take(&mut *lock(&self.paused));
        for waker in waiting {
            waker.wake();
        }
    }

    /// Until when a command must wait, in milliseconds since 1970; `None` if it may run.
    #[inline]
    pub fn paused_until_ms(&self, may_write: bool) -> Option<u64> {
        loop {
            let pause = self.pause.load(Ordering::SeqCst);
            if pause == 0 {
                return None;
            }
            if now_ms() < pause >> 1 {
                return (may_write || pause & 1 != 0).then_some(pause >> 1);
            }
            // But for one that has begun since.
            let ended = self
                .pause
                .compare_exchange(pause, 0, Ordering::SeqCst, Ordering::SeqCst);
            if ended.is_ok() {
                self.wake_paused();
            }
        }
    }

    /// Wakes `waker` when the pause is ended early.
    pub fn wake_after_pause(&self, waker: &Waker) {
        let mut paused = lock(&self.paused);
        if !paused.iter().any(|known| known.will_wake(waker)) {
            paused.push(waker.clone());
        }
    }

    /// How many commands wait for the end of a pause.
    pub fn paused(&self) -> usize {
        lock(&self.paused).len()
    }

    /// Whoever `waker` wakes has gone.
    pub fn forget_paused(&self, waker: &Waker) {
        lock(&self.paused).retain(|known| !known.will_wake(waker));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also while its session takes nothing, for its thread may be busy.
    #[test]
    fn one_who_is_sent_more_than_its_limit_is_cut_off() {
        let client = Clients::new().add(String::new(), String::new(), 0);
        let push = Arc::new(Push::Message {
            pattern: None,
            channel: Box::from(*b"news"),
            payload: vec![b'x'; 1_000].into(),
            is_sharded: false,
        });
        for _ in 0..9 {
            client.push(&push, 10_000);
        }
        assert!(!client.is_killed());
        client.take_pushes();
        for _ in 0..9 {
            client.push(&push, 10_000);
        }
        assert!(!client.is_killed(), "what was taken does not count");
        client.push(&push, 10_000);
        assert!(client.is_killed());
    }
}
