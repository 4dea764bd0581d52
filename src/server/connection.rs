//! One connection: moves bytes between a socket and its session.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::rounds::{self, RoundPlace};
use crate::client_memory;
use crate::clients::SharedClient;
use crate::config::OutputLimit;
use crate::fault::fault;
use crate::services::Services;
use crate::session::{Progress, Session, kept_gate};
use crate::stats::{ThreadStats, count};
use crate::system_time::now_ms;
use crate::wakers::wake_after_sockets;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Bytes sent at once, at least and at most: as many as the system takes in `SEND`.
const SEND_BYTES: std::ops::RangeInclusive<usize> = 4 * 1024..=256 * 1024;
/// How long one send may take. Where the system has to find memory for what nobody reads, it needs
/// twenty times as long as elsewhere, and other clients wait for it.
const SEND: Duration = Duration::from_micros(50);
/// A client whose command waits may send this much ahead.
const AHEAD_BYTES_MAX: usize = 1024 * 1024;
/// A client whose unfinished requests have grown over this is disconnected.
const INPUT_BYTES_MAX: usize = 1 << 30;
/// An output buffer that has grown larger than this is given back once it is empty.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// A connection as a task of its thread.
pub(super) struct Connection<S> {
    stream: S,
    session: Session,
    services: Arc<Services>,
    stats: Arc<ThreadStats>,
    /// How much of the session's output has been sent.
    sent: usize,
    /// How much of it is sent at once.
    send_bytes: usize,
    /// When the output first was over the soft limit.
    over_soft_limit_since: Option<Instant>,
    has_input: bool,
    /// Where it stands in line for its next turn.
    place: Option<RoundPlace>,
    has_ended: bool,
    is_closing: bool,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    /// The task's, as others were told.
    waker: Option<Waker>,
}

/// What became of one step.
enum Step {
    /// Something was done: look again.
    Again,
    /// Nothing can be done now.
    Waits,
    /// The connection is over.
    Over,
}

impl<S: AsyncRead + AsyncWrite + AsFd + Unpin> Connection<S> {
    pub(super) fn new(
        stream: S,
        services: &Arc<Services>,
        stats: &Arc<ThreadStats>,
        shared: Arc<SharedClient>,
    ) -> Connection<S> {
        Connection {
            stream,
            session: Session::new(services, stats, shared),
            services: Arc::clone(services),
            stats: Arc::clone(stats),
            sent: 0,
            send_bytes: *SEND_BYTES.end(),
            over_soft_limit_since: None,
            has_input: false,
            place: None,
            has_ended: false,
            is_closing: false,
            timer: None,
            waker: None,
        }
    }

    /// Sends what can be sent. `Waits` if the socket takes no more.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Step {
        if self.sent < self.session.output.len() {
            kept_gate::release();
        }
        while self.sent < self.session.output.len() {
            let (sent, was_slow) = self.poll_send_once(context);
            match sent {
                Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Step::Over,
                Poll::Ready(Ok(sent)) => {
                    count(&self.stats.output_bytes, sent as u64);
                    self.sent += sent;
                    if self.session.is_within_reply() || sent >= *SEND_BYTES.start() {
                        self.note_active();
                    }
                    if was_slow && self.sent < self.session.output.len() {
                        wake_after_sockets(context.waker());
                        return Step::Waits;
                    }
                }
                Poll::Pending => {
                    self.session.take_pushes();
                    self.charge();
                    let waiting = self.session.output.len() - self.sent;
                    self.session
                        .shared()
                        .output_bytes
                        .store(waiting, Ordering::Relaxed);
                    return if self.is_over_limit(waiting) {
                        Step::Over
                    } else {
                        Step::Waits
                    };
                }
            }
        }
        if self.sent > 0 {
            self.sent = 0;
            self.over_soft_limit_since = None;
            if self.session.output.capacity() > KEPT_BYTES_MAX {
                self.session.output = Vec::new();
            } else {
                self.session.output.clear();
            }
            self.session
                .shared()
                .output_bytes
                .store(0, Ordering::Relaxed);
            self.charge();
        }
        Step::Again
    }

    /// Sends once, and says whether that took longer than `SEND`.
    fn poll_send_once(&mut self, context: &mut Context<'_>) -> (Poll<io::Result<usize>>, bool) {
        let rest = &self.session.output[self.sent..];
        if rest.len() <= *SEND_BYTES.start() {
            return (Pin::new(&mut self.stream).poll_write(context, rest), false);
        }
        let piece = &rest[..rest.len().min(self.send_bytes)];
        let began = Instant::now();
        let sent = Pin::new(&mut self.stream).poll_write(context, piece);
        let elapsed = began.elapsed();
        let was_slow = elapsed > SEND;
        let next = if was_slow {
            piece.len() / 2
        } else if elapsed < SEND / 4 {
            self.send_bytes * 2
        } else {
            self.send_bytes
        };
        self.send_bytes = next.clamp(*SEND_BYTES.start(), *SEND_BYTES.end());
        (sent, was_slow)
    }

    /// Says what the client's buffers take, and sees to it that all together do not take too much.
    fn charge(&self) {
        let (clients, shared) = (&self.services.clients, self.session.shared());
        clients.charge(shared, self.session.held_bytes());
        if client_memory::is_over(&self.services) {
            client_memory::enforce(&self.services);
        }
    }

    /// Gives back what is kept for the client's next request, where others need it.
    fn give_back(&mut self) {
        if client_memory::is_tight(&self.services) {
            self.session.give_back();
            self.charge();
        }
    }

    fn is_over_limit(&mut self, waiting: usize) -> bool {
        let OutputLimit {
            hard_bytes,
            soft_bytes,
            ..
        } = self.output_limit();
        if soft_bytes == 0 || waiting <= soft_bytes {
            self.over_soft_limit_since = None;
        } else if self.over_soft_limit_since.is_none() {
            self.over_soft_limit_since = Some(Instant::now());
        }
        let is_over = hard_bytes > 0 && waiting > hard_bytes
            || self
                .soft_limit_deadline()
                .is_some_and(|deadline| deadline <= Instant::now());
        let is_over = is_over && !fault!("a reader's limit is ignored");
        if is_over {
            let shared = self.session.shared();
            tracing::warn!(
                "client {} from {} is disconnected: {waiting} bytes wait to be read by it, more \
                 than client-output-buffer-limit allows",
                shared.id,
                shared.address
            );
            self.services
                .stats
                .output_limit_disconnections
                .fetch_add(1, Ordering::Relaxed);
        }
        is_over
    }

    fn output_limit(&self) -> OutputLimit {
        let limits = self.services.config.output_limits();
        let class = match (self.session.is_subscribed(), self.session.is_monitor()) {
            (true, _) => 2,
            (false, true) => crate::session::MONITORS_OUTPUT_CLASS,
            (false, false) => 0,
        };
        limits[class]
    }

    /// When the client is disconnected if it has not read enough by then.
    fn soft_limit_deadline(&self) -> Option<Instant> {
        let allowed = Duration::from_secs(self.output_limit().soft_seconds);
        Some(self.over_soft_limit_since? + allowed)
    }

    /// Reads once. What arrives while the client does not read its replies, or a command of it
    /// waits, is kept: a client may send all of its requests before it reads the first reply.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Step {
        let is_blocked = self.sent < self.session.output.len();
        if self.has_ended {
            // Replies that are still to be sent find out by themselves whether anybody is there.
            return if !is_blocked && self.session.disconnect() {
                Step::Over
            } else {
                Step::Waits
            };
        }
        let is_behind = self.session.is_suspended() && !self.session.is_within_reply();
        if is_behind && self.session.waiting_bytes() > AHEAD_BYTES_MAX {
            return Step::Waits;
        }
        // What is read may be a script to go on with the gate, or a large argument.
        kept_gate::release_if_late();
        let mut bytes = [std::mem::MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Pending => return Step::Waits,
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Poll::Ready(Err(_)) => self.has_ended = true,
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => self.has_ended = true,
            Poll::Ready(Ok(())) => {
                self.take(buffer.filled());
                if self.session.waiting_bytes() > INPUT_BYTES_MAX {
                    return Step::Over;
                }
            }
        }
        Step::Again
    }

    /// Lets others know whether a command is not done yet. Who has waited for its end is not idle.
    fn show_suspended(&self) {
        let shared = self.session.shared();
        let is_suspended = self.session.is_suspended();
        // Relaxed: this task alone changes it.
        if shared.is_suspended.load(Ordering::Relaxed) != is_suspended {
            self.note_active();
            shared.is_suspended.store(is_suspended, Ordering::SeqCst);
        }
    }

    /// The client is not idle.
    fn note_active(&self) {
        let shared = self.session.shared();
        // Relaxed: who sees `is_suspended` end sees what stands before it.
        shared.active_ms.store(now_ms(), Ordering::Relaxed);
    }

    fn take(&mut self, received: &[u8]) {
        count(&self.stats.input_bytes, received.len() as u64);
        let wanted = self.session.wanted_bytes();
        let input = self.session.input();
        input.reserve(wanted.max(received.len()));
        input.extend_from_slice(received);
        self.note_active();
        self.has_input = true;
        self.charge();
    }

    /// Whether the client has gone whose command waits for something to take. It takes nothing then,
    /// although there may be something now.
    fn has_left(&mut self, context: &mut Context<'_>) -> bool {
        if self.has_ended || !self.session.is_blocked() || fault!("who has gone takes") {
            return false;
        }
        // Whoever gave it something to take may be ahead of what the runtime knows of the socket.
        let socket = SockRef::from(&self.stream);
        let is_at_end = matches!(socket.peek(&mut [std::mem::MaybeUninit::uninit()]), Ok(0));
        let is_news = matches!(self.poll_receive(context), Step::Again);
        self.has_ended |= is_at_end;
        (is_news || is_at_end) && self.has_ended && self.session.disconnect()
    }

    /// Whether the session has something to do now. A command that waits is polled once per poll
    /// of the task, also while its client reads nothing: it may be what others wait for. No
    /// further request is begun then.
    fn may_process(&self, is_blocked: bool, has_run: bool) -> bool {
        if self.session.is_suspended() {
            return !has_run;
        }
        let has_news = !has_run && self.session.expects_news();
        !self.is_closing && !is_blocked && (self.has_input || has_news)
    }

    /// Lets the session work.
    fn process(&mut self, context: &mut Context<'_>) -> Step {
        self.has_input = false;
        let went_on = self.place.take().map(|_| Instant::now());
        let progress = self.session.process(context.waker());
        if let Some(since) = went_on {
            rounds::note_went_on(since.elapsed());
        }
        let waiting = self.session.waiting_bytes();
        // Relaxed: shown to people, nothing depends on it.
        let shared = self.session.shared();
        shared.input_bytes.store(waiting, Ordering::Relaxed);
        self.show_suspended();
        self.charge();
        match progress {
            Progress::Idle if self.has_ended => Step::Over,
            // A command behind the one that outlived the client may not outlive it, too.
            Progress::Suspended if self.has_ended && self.session.disconnect() => Step::Over,
            Progress::Idle | Progress::Suspended => Step::Waits,
            Progress::Yielded => {
                self.has_input = true;
                self.place = Some(rounds::stand_in_line(context.waker()));
                Step::Waits
            }
            Progress::Closing => {
                self.is_closing = true;
                Step::Again
            }
        }
    }

    /// Lets replies be sent once all that is ready has been served: a peer that is woken once finds
    /// more of them. A large one goes piece by piece: sockets are looked at between.
    fn send_soon(&self, context: &mut Context<'_>) {
        if self.session.is_suspended() {
            wake_after_sockets(context.waker());
        } else {
            context.waker().wake_by_ref();
        }
    }

    /// Sees to it that the task is woken when a command's time is over, or the client's.
    fn poll_timer(&mut self, context: &mut Context<'_>) {
        let deadlines = [self.session.deadline(), self.soft_limit_deadline()];
        let Some(deadline) = deadlines.into_iter().flatten().min() else {
            self.timer = None;
            return;
        };
        if self
            .timer
            .as_ref()
            .is_none_or(|(known, _)| *known != deadline)
        {
            self.timer = Some((
                deadline,
                Box::pin(tokio::time::sleep_until(deadline.into())),
            ));
        }
        if let Some((_, sleep)) = &mut self.timer
            && sleep.as_mut().poll(context).is_ready()
        {
            self.timer = None;
            context.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + AsFd + Unpin> Future for Connection<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let own = self.get_mut();
        // It stays the same as long as the task does; telling others takes a lock.
        if !own
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(context.waker()))
        {
            own.session.shared().set_waker(context.waker());
            own.waker = Some(context.waker().clone());
        }
        let mut has_run = false;
        loop {
            if own.session.shared().is_killed() {
                return Poll::Ready(());
            }
            let is_blocked = match own.poll_send(context) {
                Step::Over => return Poll::Ready(()),
                Step::Waits => true,
                Step::Again if own.is_closing => return Poll::Ready(()),
                Step::Again => false,
            };
            if client_memory::must_wait(&own.services) {
                // Those who have to go come first: nothing is begun before they have.
                client_memory::enforce(&own.services);
                wake_after_sockets(context.waker());
                return Poll::Pending;
            }
            if own.place.as_ref().is_some_and(|place| !place.is_called()) {
                own.poll_timer(context);
                return Poll::Pending;
            }
            if !has_run && own.has_left(context) {
                return Poll::Ready(());
            }
            if own.may_process(is_blocked, has_run) {
                has_run = true;
                if matches!(own.process(context), Step::Over) {
                    own.is_closing = true;
                }
                if own.has_input {
                    // It yielded.
                    let is_killed = own.session.shared().is_killed();
                    if is_killed || matches!(own.poll_send(context), Step::Over) {
                        return Poll::Ready(());
                    }
                    own.poll_timer(context);
                    return Poll::Pending;
                }
                if !own.is_closing && !is_blocked && !own.session.output.is_empty() {
                    own.send_soon(context);
                    return Poll::Pending;
                }
                continue;
            }
            if own.is_closing {
                own.poll_timer(context);
                return Poll::Pending;
            }
            match own.poll_receive(context) {
                Step::Again => {}
                Step::Over => return Poll::Ready(()),
                Step::Waits => {
                    own.give_back();
                    own.poll_timer(context);
                    return Poll::Pending;
                }
            }
        }
    }
}
