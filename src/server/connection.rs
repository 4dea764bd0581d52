//! One connection: moves bytes between a socket and its session.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::clients::SharedClient;
use crate::config::OutputLimit;
use crate::services::Services;
use crate::session::{Progress, Session};
use crate::stats::{ThreadStats, count};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// A client whose command waits may send this much ahead.
const AHEAD_BYTES_MAX: usize = 1024 * 1024;
/// A client whose unfinished requests have grown over this is disconnected.
const INPUT_BYTES_MAX: usize = 1 << 30;
/// An output buffer that has grown larger than this is given back once it is empty.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// A connection as a task of its thread.
pub(super) struct Connection<S> {
    stream: S,
    session: Session,
    services: Arc<Services>,
    stats: Arc<ThreadStats>,
    /// How much of the session's output has been sent.
    sent: usize,
    /// When the output first was over the soft limit.
    over_soft_limit_since: Option<Instant>,
    has_input: bool,
    has_ended: bool,
    is_closing: bool,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
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

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
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
            over_soft_limit_since: None,
            has_input: false,
            has_ended: false,
            is_closing: false,
            timer: None,
        }
    }

    /// Sends what can be sent. `Waits` if the socket takes no more.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Step {
        while self.sent < self.session.output.len() {
            let rest = &self.session.output[self.sent..];
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(Ok(0)) | Poll::Ready(Err(_)) => return Step::Over,
                Poll::Ready(Ok(sent)) => {
                    count(&self.stats.output_bytes, sent as u64);
                    self.sent += sent;
                }
                Poll::Pending => {
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
        }
        Step::Again
    }

    fn is_over_limit(&mut self, waiting: usize) -> bool {
        let limits = self.services.config.output_limits();
        let OutputLimit {
            hard_bytes,
            soft_bytes,
            soft_seconds,
        } = limits[if self.session.is_subscribed() { 2 } else { 0 }];
        let is_over_soft = soft_bytes > 0 && waiting > soft_bytes;
        if !is_over_soft {
            self.over_soft_limit_since = None;
        }
        let is_over = hard_bytes > 0 && waiting > hard_bytes
            || is_over_soft && {
                let since = *self.over_soft_limit_since.get_or_insert_with(Instant::now);
                since.elapsed().as_secs() >= soft_seconds
            };
        if is_over {
            self.services
                .stats
                .output_limit_disconnections
                .fetch_add(1, Ordering::Relaxed);
        }
        is_over
    }

    /// Reads once.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Step {
        let is_ahead = self.session.is_suspended() && self.session.input().len() > AHEAD_BYTES_MAX;
        if self.has_ended || is_ahead {
            return Step::Waits;
        }
        let mut bytes = [std::mem::MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut bytes);
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Pending => Step::Waits,
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                self.has_ended = true;
                if self.session.disconnect() {
                    Step::Over
                } else {
                    Step::Again
                }
            }
            Poll::Ready(Ok(())) => {
                let filled = buffer.filled();
                count(&self.stats.input_bytes, filled.len() as u64);
                let wanted = self.session.wanted_bytes();
                let input = self.session.input();
                input.reserve(wanted.max(filled.len()));
                input.extend_from_slice(filled);
                let is_over = input.len() > INPUT_BYTES_MAX;
                let now_ms = self.services.store.now_ms();
                self.session
                    .shared()
                    .active_ms
                    .store(now_ms, Ordering::Relaxed);
                self.has_input = true;
                if is_over { Step::Over } else { Step::Again }
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => Step::Again,
            Poll::Ready(Err(_)) => {
                self.has_ended = true;
                if self.session.disconnect() {
                    Step::Over
                } else {
                    Step::Again
                }
            }
        }
    }

    /// Lets the session work.
    fn process(&mut self, context: &mut Context<'_>) -> Step {
        self.has_input = false;
        let progress = self.session.process(context.waker());
        let waiting = self.session.waiting_bytes();
        // Relaxed: shown to people, nothing depends on it.
        let shared = self.session.shared();
        shared.input_bytes.store(waiting, Ordering::Relaxed);
        match progress {
            Progress::Idle if self.has_ended => Step::Over,
            // A command behind the one that outlived the client may not outlive it, too.
            Progress::Suspended if self.has_ended && self.session.disconnect() => Step::Over,
            Progress::Idle | Progress::Suspended => Step::Waits,
            Progress::Yielded => {
                self.has_input = true;
                // Wakes this task after the runtime has looked at its sockets and timers.
                let _ = std::pin::pin!(tokio::task::yield_now()).poll(context);
                Step::Waits
            }
            Progress::Closing => {
                self.is_closing = true;
                Step::Again
            }
        }
    }

    /// Sees to it that the task is woken when a command's time is over.
    fn poll_timer(&mut self, context: &mut Context<'_>) {
        let Some(deadline) = self.session.deadline() else {
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

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Connection<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let own = self.get_mut();
        own.session.shared().set_waker(context.waker());
        let mut has_run = false;
        loop {
            if own.session.shared().is_killed() {
                return Poll::Ready(());
            }
            match own.poll_send(context) {
                Step::Over => return Poll::Ready(()),
                Step::Waits => return Poll::Pending,
                Step::Again if own.is_closing => return Poll::Ready(()),
                Step::Again => {}
            }
            // Once per poll without new bytes: a command that waited may go on, or messages came.
            if own.has_input || !has_run && own.session.expects_news() {
                if has_run && own.session.is_suspended() {
                    return Poll::Pending;
                }
                has_run = true;
                let step = own.process(context);
                if matches!(step, Step::Over) {
                    own.is_closing = true;
                }
                let yields = own.has_input;
                match own.poll_send(context) {
                    Step::Over => return Poll::Ready(()),
                    Step::Waits => return Poll::Pending,
                    Step::Again if own.is_closing => return Poll::Ready(()),
                    Step::Again => {}
                }
                if yields {
                    own.poll_timer(context);
                    return Poll::Pending;
                }
            }
            match own.poll_receive(context) {
                Step::Again => {}
                Step::Over => return Poll::Ready(()),
                Step::Waits => {
                    own.poll_timer(context);
                    return Poll::Pending;
                }
            }
        }
    }
}
