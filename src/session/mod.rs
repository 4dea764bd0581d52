//! One client's side of the protocol: bytes to commands to replies. No I/O happens here.
//!
//! The session runs each command to its end where it can. Where it cannot (the gate is closed, a
//! script's slice has ended, there is nothing to take yet), it keeps a `Pending` that goes on when
//! it is polled, and reads no further command until that is done.

mod batch;
mod blocked;
mod call_counts;
mod combining;
#[cfg(test)]
mod combining_tests;
mod compiling;
mod dispatch;
mod eval;
mod exec;
mod exec_counts;
mod exec_elements;
mod explain;
mod function_load;
mod gate_line;
pub(crate) mod give_way;
mod held_snapshot;
pub(crate) mod kept_gate;
mod large_reply;
mod meter;
mod monitored;
mod multi;
mod paused;
mod protected;
mod pushes;
mod resting;
mod retry;
mod rules;
mod script_host;
mod script_run;
mod slow;
mod suspended;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::{Duration, Instant};

use bumpalo::Bump;
use darter_storage::{Mode, Transaction};

use crate::clients::{ClientState, Context, ReplyMode, SharedClient};
use crate::commands::args::KeptArguments;
use crate::commands::command::flag;
use crate::commands::table::{self, Entry};
use crate::fault::fault;
use crate::resp::encode::Encoder;
use crate::resp::reply::Reply;
use crate::services::Services;
use crate::stats::{ThreadStats, count};

use batch::Batch;
use combining::Combined;
use meter::ReplyMeter;
pub(crate) use monitored::OUTPUT_CLASS as MONITORS_OUTPUT_CLASS;
use multi::{Multi, Watches};

/// Commands of one slice of a session; then others get their turn.
const COMMANDS_PER_TURN: usize = 1024;

/// A turn that has taken longer ends with the command that runs: others wait no longer for a
/// pipeline than for a script.
const TURN: Duration = Duration::from_millis(1);

/// Bytes of replies after which a slice ends: they are sent before there are more.
const OUTPUT_BYTES_PER_TURN: usize = 1024 * 1024;

/// How far `process` came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All that was read is done.
    Idle,
    /// A command waits; the waker is woken when it may go on.
    Suspended,
    /// There is more to do at once, but it is others' turn.
    Yielded,
    /// The connection ends when the output has been sent.
    Closing,
}

/// How far a pending command came.
enum Step {
    /// Its reply is in the output.
    Done,
    /// It waits; the waker is woken.
    Waits,
    /// Its slice has ended; it goes on after others have had their turn.
    Yields,
    /// It goes on as something else, at once.
    Becomes(Box<dyn Pending>),
}

/// A command that could not be finished at once.
trait Pending {
    /// Goes on.
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, waker: &Waker) -> Step;

    /// When to poll it at the latest.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// Whether it goes on with the gate, if its thread keeps it.
    fn is_exclusive(&self) -> bool {
        false
    }

    /// Whether it goes on although its client has gone.
    fn outlives_client(&self) -> bool {
        false
    }

    /// The arguments of the command, if it keeps them.
    fn arguments(&self) -> Option<&KeptArguments> {
        None
    }

    /// Whether its reply is in the output in part.
    fn is_within_reply(&self) -> bool {
        false
    }

    /// Takes back what others know of it, when its client has gone.
    fn abandon(&mut self, _core: &mut Core) {}
}

/// What a session has besides its bytes.
pub(crate) struct Core {
    pub(crate) services: Arc<Services>,
    pub(crate) stats: Arc<ThreadStats>,
    pub(crate) client: ClientState,
    multi: Option<Multi>,
    watches: Watches,
    /// A transaction that is used again for each command that runs by itself. In a box, as those
    /// below: it is handed to and fro for each command, and is large.
    direct: Option<Box<Transaction>>,
    /// As `direct`, for scripts.
    optimistic: Option<Box<Transaction>>,
    /// SNAPSHOT BEGIN: what the connection reads at. Without a pin while nothing is read.
    held: Option<Box<Transaction>>,
    /// The place in the table of the command that counts as running; `None` once it is refused.
    running: Option<usize>,
    /// When the command that runs began, or its slice.
    clock: Instant,
    /// For how long it has kept the thread in earlier slices.
    earlier_ns: u64,
    /// Whether something was committed that the stream of effects should show soon.
    has_committed: bool,
    /// Where the reply of the command that runs begins in the output. While it waits it has
    /// written nothing, so the driver may take all.
    reply_from: usize,
    /// Where the arguments of the command that runs are laid out.
    bump: Bump,
    /// Bytes of arguments kept beyond their requests: queued by MULTI, or of a command that waits.
    kept_bytes: usize,
}

impl Core {
    /// A command has ended: counts it and obeys CLIENT REPLY. Returns for how many nanoseconds it
    /// has kept the thread.
    fn finish(&mut self, output: &mut Vec<u8>) -> u64 {
        let elapsed_ns = self.lap() + std::mem::take(&mut self.earlier_ns);
        self.count_run(elapsed_ns);
        match self.client.reply_mode {
            ReplyMode::On => {}
            ReplyMode::Off => self.take_reply_back(output),
            ReplyMode::SkipNext => {
                self.client.reply_mode = ReplyMode::SkipThis;
            }
            ReplyMode::SkipThis => {
                if !fault!("a skipped reply is sent") {
                    self.take_reply_back(output);
                }
                self.client.reply_mode = ReplyMode::On;
            }
        }
        elapsed_ns
    }

    /// For how many nanoseconds the command that runs has kept the thread in this slice. The next
    /// one begins.
    fn lap(&mut self) -> u64 {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.clock);
        self.clock = now;
        elapsed.as_nanos() as u64
    }

    fn count_run(&self, elapsed_ns: u64) {
        if let Some(running) = self.running {
            self.stats.commands[running].record(elapsed_ns);
        }
    }

    /// A transaction that reads the newest, the one that is kept if there is one.
    fn begin_direct(&mut self) -> Box<Transaction> {
        let kept = self.direct.take();
        self.begin_again(kept, Mode::Direct)
    }

    fn begin_again(&self, kept: Option<Box<Transaction>>, mode: Mode) -> Box<Transaction> {
        match kept {
            Some(mut transaction) => {
                transaction.restart();
                transaction
            }
            None => Box::new(self.services.store.begin(mode)),
        }
    }

    /// A command runs, or is about to.
    fn note_running(&mut self, entry: Entry) {
        self.running = Some(entry.index);
        // Relaxed: shown to people, nothing depends on it.
        let shown = &self.client.shared.command;
        shown.store(entry.index, Ordering::Relaxed);
    }

    /// A slice of the command that runs is over, and the command is not.
    fn leave_slice(&mut self) {
        self.earlier_ns += self.clock.elapsed().as_nanos() as u64;
    }

    /// Drops a reply that is not wanted. A subscription's confirmation is a message, not a reply.
    fn take_reply_back(&self, output: &mut Vec<u8>) {
        if !self.confirms_subscription() {
            output.truncate(self.reply_from);
        }
    }

    fn confirms_subscription(&self) -> bool {
        const SUBSCRIBING: u32 = flag::PUBSUB | flag::SUBSCRIBED;
        let entry = self.running.and_then(|running| table::all().get(running));
        entry.is_some_and(|entry| entry.command.has(SUBSCRIBING))
    }

    /// A command on data has ended.
    fn ended(&mut self, failed: bool, may_have_written: bool) {
        if failed && let Some(running) = self.running {
            count(&self.stats.commands[running].failed, 1);
        }
        self.has_committed |= may_have_written;
    }

    /// What its replies may take.
    fn meter(&self) -> ReplyMeter<'_> {
        ReplyMeter {
            services: &self.services,
            client: &self.client.shared,
        }
    }

    fn context(&mut self) -> Context<'_> {
        Context {
            services: &self.services,
            client: &mut self.client,
        }
    }
}

/// See the module's text.
pub struct Session {
    core: Core,
    batch: Batch,
    combined: Combined,
    /// Replies that are still to be sent; the driver takes them.
    pub output: Vec<u8>,
    pending: Option<Box<dyn Pending>>,
}

impl Session {
    /// A session for a client that has just connected.
    pub fn new(
        services: &Arc<Services>,
        stats: &Arc<ThreadStats>,
        shared: Arc<SharedClient>,
    ) -> Session {
        let client = ClientState {
            shared,
            database: 0,
            protocol: Default::default(),
            is_authenticated: services.config.password().is_none(),
            reply_mode: Default::default(),
            is_closing: false,
            is_monitor: false,
            channels: Default::default(),
            patterns: Default::default(),
            shard_channels: Default::default(),
            subscribed_bytes: 0,
        };
        Session {
            core: Core {
                services: Arc::clone(services),
                stats: Arc::clone(stats),
                client,
                multi: None,
                watches: Watches::default(),
                direct: None,
                optimistic: None,
                held: None,
                running: None,
                clock: Instant::now(),
                earlier_ns: 0,
                has_committed: false,
                reply_from: 0,
                bump: Bump::new(),
                kept_bytes: 0,
            },
            batch: Batch::new(),
            combined: Combined::default(),
            output: Vec::new(),
            pending: None,
        }
    }

    /// Where the driver puts bytes that arrived.
    pub fn input(&mut self) -> &mut Vec<u8> {
        self.batch.input()
    }

    /// How many more bytes the driver had better make room for at once.
    pub fn wanted_bytes(&self) -> usize {
        self.batch.wanted_bytes()
    }

    /// How many bytes have arrived that no request was made of yet.
    pub fn waiting_bytes(&self) -> usize {
        self.batch.waiting_bytes()
    }

    /// How many bytes its buffers, what it watches and is subscribed to, and arguments that it keeps
    /// take.
    pub fn held_bytes(&self) -> usize {
        let kept_bytes = self.core.kept_bytes + self.core.watches.bytes();
        let held_bytes = self.batch.held_bytes() + self.output.capacity() + kept_bytes;
        held_bytes + self.core.client.subscribed_bytes
    }

    /// Gives memory back that is kept for the next request. The driver has sent all of the output.
    pub fn give_back(&mut self) {
        self.batch.give_back();
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }

    /// The client, as others see it.
    pub fn shared(&self) -> &Arc<SharedClient> {
        &self.core.client.shared
    }

    /// Whether the client is subscribed to something.
    pub fn is_subscribed(&self) -> bool {
        self.core.client.subscriptions() > 0
    }

    /// When to call `process` at the latest, if a command waits for a time.
    pub fn deadline(&self) -> Option<Instant> {
        self.pending.as_ref().and_then(|pending| pending.deadline())
    }

    /// Whether the client is told of all commands.
    pub fn is_monitor(&self) -> bool {
        self.core.client.is_monitor
    }

    /// Whether a command waits.
    pub fn is_suspended(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether a reply is in the output in part; the rest follows as the client reads.
    pub fn is_within_reply(&self) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| pending.is_within_reply())
    }

    /// Whether a command waits for something to take.
    pub fn is_blocked(&self) -> bool {
        self.core.client.shared.is_blocked.load(Ordering::SeqCst)
    }

    /// Whether there may be something to do without new bytes.
    pub fn expects_news(&self) -> bool {
        self.is_suspended() || self.is_subscribed() || self.is_monitor()
    }

    /// Does what can be done with the bytes that have arrived. `waker` is woken when a command
    /// that waits may go on.
    pub fn process(&mut self, waker: &Waker) -> Progress {
        self.core.services.read_clock();
        self.core.clock = Instant::now();
        // What was sent before a request comes before its reply.
        self.take_pushes();
        if self.pending.is_some() {
            // What stands before its reply may have been sent since.
            self.core.reply_from = self.output.len();
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let progress = self.process_batch(waker);
            // Nothing is sent before it; what is taken back is done in the next turn.
            self.commit_combined();
            progress
        }));
        let progress = outcome.unwrap_or_else(|_| self.end_after_panic());
        // It must not keep the epoch while the thread does other things.
        if let Some(transaction) = &mut self.core.direct {
            transaction.rest();
        }
        if std::mem::take(&mut self.core.has_committed) {
            self.core.services.store.merge_effects();
        }
        if self.pending.is_none() && self.core.multi.is_none() {
            self.core.kept_bytes = 0;
        }
        self.take_pushes();
        progress
    }

    fn process_batch(&mut self, waker: &Waker) -> Progress {
        let began = self.core.clock;
        for _ in 0..COMMANDS_PER_TURN {
            if let Some(pending) = &mut self.pending {
                if !pending.is_exclusive() {
                    kept_gate::release();
                }
                match pending.poll(&mut self.core, &mut self.output, waker) {
                    Step::Done => {
                        let done = self.pending.take();
                        let elapsed_ns = self.core.finish(&mut self.output);
                        self.note_if_slow(elapsed_ns, || {
                            let arguments = done.as_ref().and_then(|pending| pending.arguments());
                            arguments.map_or_else(Vec::new, KeptArguments::to_vec)
                        });
                    }
                    Step::Becomes(next) => {
                        self.pending = Some(next);
                        continue;
                    }
                    Step::Waits => {
                        self.core.leave_slice();
                        return Progress::Suspended;
                    }
                    Step::Yields => {
                        self.core.leave_slice();
                        return Progress::Yielded;
                    }
                }
            }
            self.core.reply_from = self.output.len();
            if self.core.client.is_closing {
                return Progress::Closing;
            }
            let is_over = self.core.clock.saturating_duration_since(began) >= TURN;
            if self.output.len() >= OUTPUT_BYTES_PER_TURN || is_over {
                return Progress::Yielded;
            }
            if self.combine_next() {
                continue;
            }
            match self.batch.next() {
                Ok(Some(taken)) => {
                    self.pending = dispatch::run(&mut self.core, &taken, &mut self.output);
                    if self.pending.is_some() {
                        self.core.kept_bytes += taken.argument_bytes();
                    } else {
                        let elapsed_ns = self.core.finish(&mut self.output);
                        self.note_if_slow(elapsed_ns, || taken.arguments());
                    }
                    self.batch.done(taken);
                }
                Ok(None) => return Progress::Idle,
                Err(error) => {
                    let text = format!("ERR Protocol error: {error}");
                    self.core.services.stats.count_error(text.as_bytes());
                    if self.core.client.reply_mode == ReplyMode::On {
                        Encoder::new(&mut self.output, self.core.client.protocol)
                            .error(text.as_bytes());
                    }
                    return Progress::Closing;
                }
            }
        }
        Progress::Yielded
    }

    fn note_if_slow<'a>(&self, elapsed_ns: u64, arguments: impl FnOnce() -> Vec<&'a [u8]>) {
        if self.core.is_slow(elapsed_ns)
            && let Some(running) = self.core.running
        {
            self.core.note_slow(running, elapsed_ns, &arguments());
        }
    }

    /// Only the command that panicked is lost, for its transaction has not committed. What it has
    /// left behind in the session is not to be trusted, so the connection ends.
    fn end_after_panic(&mut self) -> Progress {
        const TEXT: &[u8] = b"ERR internal error";
        if self.take_back_after_panic() {
            return Progress::Yielded;
        }
        let is_within_reply = self.is_within_reply();
        if let Some(mut pending) = self.pending.take()
            && !fault!("what panicked keeps its place")
        {
            pending.abandon(&mut self.core);
        }
        self.core.direct = None;
        self.core.optimistic = None;
        let services = &self.core.services;
        services.stats.count_panic();
        services.stats.count_error(TEXT);
        let entry = self.core.running.and_then(|at| table::all().get(at));
        tracing::error!(
            "client {} from {}: a panic in {}; its connection is closed",
            self.core.client.shared.id,
            self.core.client.shared.address,
            entry.map_or_else(|| "no command".into(), |entry| entry.full_name()),
        );
        if !is_within_reply {
            self.output.truncate(self.core.reply_from);
            Encoder::new(&mut self.output, self.core.client.protocol).error(TEXT);
        }
        self.core.ended(true, false);
        self.core.finish(&mut self.output);
        self.core.client.is_closing = true;
        Progress::Closing
    }

    /// Writes the messages that others have sent to this client, unless they would stand within a
    /// reply.
    pub fn take_pushes(&mut self) {
        let is_within = self.is_within_reply() && !fault!("messages stand within a large reply");
        // The last reply may have been cut short.
        if is_within || self.core.client.is_closing {
            return;
        }
        if self.is_subscribed() || self.is_monitor() {
            pushes::write(&self.core.client, &mut self.output);
        }
    }

    /// The client has gone. `true` once nothing of it is left to do; else `process` goes on with a
    /// script that outlives its client.
    pub fn disconnect(&mut self) -> bool {
        if let Some(pending) = &mut self.pending {
            if pending.outlives_client() {
                return false;
            }
            pending.abandon(&mut self.core);
        }
        self.pending = None;
        true
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(mut pending) = self.pending.take() {
            pending.abandon(&mut self.core);
        }
        pushes::unsubscribe_all(&self.core.services, &mut self.core.client);
        pushes::end_monitoring(&self.core.services, &mut self.core.client);
        let shared = &self.core.client.shared;
        shared.is_blocked.store(false, Ordering::SeqCst);
        self.core.services.clients.remove(shared.id);
    }
}
