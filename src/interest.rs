//! Whether anybody needs the stream of effects: blocked clients and subscribers do.
//!
//! Starting the stream waits for the commits in flight, which a data-plane thread must not do
//! while a script of its own is suspended; so a thread of its own starts and ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use darter_storage::{Change, ChangeKind, Effect, Listener};

use crate::notifications::{self, class};
use crate::services::Services;

/// How long the stream goes on after the last one who needed it.
const LINGER: Duration = Duration::from_secs(10);

/// See the module's text.
pub struct Interest {
    interested: AtomicUsize,
    is_active: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waker>,
    is_stopping: bool,
}

impl Default for Interest {
    fn default() -> Interest {
        Interest::new()
    }
}

impl Interest {
    /// Nobody is interested yet.
    pub fn new() -> Interest {
        Interest {
            interested: AtomicUsize::new(0),
            is_active: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more needs the stream.
    pub fn add(&self) {
        self.interested.fetch_add(1, Ordering::SeqCst);
        if !self.is_active.load(Ordering::SeqCst) {
            // Between the runner's look at the count and its sleep it holds the lock.
            drop(self.lock());
            self.changed.notify_one();
        }
    }

    /// One needs it no longer.
    pub fn remove(&self) {
        self.interested.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether somebody needs the stream.
    pub fn is_wanted(&self) -> bool {
        self.interested.load(Ordering::SeqCst) > 0
    }

    /// Whether the stream goes, and has gone since before this call. If not, it is started, and
    /// `waker` woken when it goes. Call `add` before.
    pub fn poll_active(&self, waker: &Waker) -> bool {
        if self.is_active.load(Ordering::SeqCst) {
            return true;
        }
        let mut state = self.lock();
        if self.is_active.load(Ordering::SeqCst) {
            return true;
        }
        state.waiting.push(waker.clone());
        self.changed.notify_one();
        false
    }

    /// Ends `run`.
    pub fn stop(&self) {
        self.lock().is_stopping = true;
        self.changed.notify_one();
    }

    /// Starts and ends the stream as it is needed, until `stop`; on a thread of its own.
    pub fn run(services: &Arc<Services>) {
        let interest = &services.interest;
        let mut listener: Option<Listener> = None;
        let mut state = interest.lock();
        while !state.is_stopping {
            if listener.is_none() && (interest.is_wanted() || !state.waiting.is_empty()) {
                drop(state);
                listener = Some(listen(services));
                interest.is_active.store(true, Ordering::SeqCst);
                state = interest.lock();
            }
            if listener.is_some() {
                for waker in state.waiting.drain(..) {
                    waker.wake();
                }
            }
            // It may have come while the stream was started, and tells nobody a second time.
            if state.is_stopping {
                return;
            }
            let (next, timeout) = interest
                .changed
                .wait_timeout(state, LINGER)
                .unwrap_or_else(PoisonError::into_inner);
            state = next;
            let is_needed = !state.waiting.is_empty() || interest.is_wanted();
            if timeout.timed_out() && !is_needed && listener.is_some() {
                interest.is_active.store(false, Ordering::SeqCst);
                // Who came in between saw it active, and stands in the count.
                if interest.is_wanted() {
                    interest.is_active.store(true, Ordering::SeqCst);
                } else {
                    drop(state);
                    listener = None;
                    state = interest.lock();
                }
            }
        }
    }
}

fn listen(services: &Arc<Services>) -> Listener {
    let told = Arc::clone(services);
    services.store.listen(Box::new(move |effect| {
        told.waiters.tell(effect);
        if effect.databases_changed {
            told.waiters.wake_all();
        }
        tell_expired(&told, effect);
        for message in &effect.messages {
            let [_, _, subscribers] = told.config.output_limits();
            told.pubsub.deliver(message, subscribers.hard_bytes);
        }
    }))
}

/// Notifies of keys and of fields that were removed because their deadlines had passed.
fn tell_expired(services: &Services, effect: &Effect) {
    let wanted = services.config.notified();
    if wanted & (class::EXPIRED | class::HASH | class::GENERIC) == 0 {
        return;
    }
    for change in &effect.changes {
        // One of a database that the same commit flushed is of no interest to anybody.
        let Some(database) = change.database else {
            continue;
        };
        for event in expiries(change) {
            let [_, _, subscribers] = services.config.output_limits();
            for message in notifications::messages(wanted, *event, (database, &change.key)) {
                services.pubsub.deliver(&message, subscribers.hard_bytes);
            }
        }
    }
}

/// What expired with a change. A hash whose last field did has not expired itself: it is deleted.
fn expiries(change: &Change) -> &'static [(u32, &'static str)] {
    match (change.kind, change.fields_expired) {
        (ChangeKind::Expired, true) => &[(class::HASH, "hexpired"), (class::GENERIC, "del")],
        (ChangeKind::Expired, false) => &[(class::EXPIRED, "expired")],
        (_, true) => &[(class::HASH, "hexpired")],
        (_, false) => &[],
    }
}
