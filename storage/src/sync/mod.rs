//! What the store's concurrent parts are made of: atomics, locks, threads, the epoch and the
//! ordered list.
//!
//! Under `--cfg darter_shuttle` all of it belongs to a scheduler that decides at every access who
//! goes next (`model`), so `tests/schedules` can look for the one interleaving in a million. Under
//! `--cfg darter_loom` the atomics and locks are loom's (`weak`), for `models`. In every other
//! build these are the standard library's and crossbeam's own, and nothing else.

#[cfg(not(any(darter_shuttle, darter_loom)))]
mod real {
    pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
    pub(crate) use std::{thread, thread_local};

    pub(crate) use ahash::RandomState;
    pub(crate) use crossbeam_epoch::{Collector, Guard, LocalHandle};
    pub(crate) use crossbeam_skiplist::SkipList;
    pub(crate) use crossbeam_skiplist::base::{Entry, RefEntry};

    /// Keys for the hashes of one store.
    pub(crate) fn random_state() -> RandomState {
        RandomState::new()
    }

    /// The same where the model wants other sizes: small ones, so that what is rare happens.
    pub(crate) const fn sized<T: Copy>(real: T, _model: T) -> T {
        real
    }
}

#[cfg(darter_shuttle)]
pub(crate) mod atomics;
#[cfg(darter_shuttle)]
pub(crate) mod epoch;
#[cfg(darter_shuttle)]
pub(crate) mod list;

#[cfg(darter_shuttle)]
mod model {
    pub(crate) use ahash::RandomState;
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    pub(crate) use shuttle::{thread, thread_local};

    pub(crate) use super::atomics as atomic;
    pub(crate) use super::epoch::{Collector, Guard, LocalHandle};
    pub(crate) use super::list::{Entry, RefEntry, SkipList};

    /// The same keys in every execution: a schedule can be repeated.
    pub(crate) fn random_state() -> RandomState {
        RandomState::with_seeds(1, 2, 3, 4)
    }

    /// As in a real build, with the second size.
    pub(crate) const fn sized<T: Copy>(_real: T, model: T) -> T {
        model
    }

    /// The scheduler may go on with another thread here.
    pub(super) fn point() {
        shuttle_engine::runtime::thread::switch_if_not_stopping();
    }
}

#[cfg(darter_loom)]
pub(crate) mod weak;

/// The epoch and the ordered list stay crossbeam's: what needs them is no model's.
#[cfg(darter_loom)]
mod exhaustive {
    pub(crate) use std::thread_local;

    pub(crate) use ahash::RandomState;
    pub(crate) use crossbeam_epoch::{Collector, Guard, LocalHandle};
    pub(crate) use crossbeam_skiplist::SkipList;
    pub(crate) use crossbeam_skiplist::base::{Entry, RefEntry};
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    pub(crate) use super::weak as atomic;

    /// Parking as the standard library has it. loom's own forgets an unpark that comes while the
    /// thread waits for a lock.
    pub(crate) mod thread {
        use loom::sync::{Arc, Condvar, Mutex};

        pub(crate) use loom::thread::yield_now;

        #[derive(Default)]
        struct Token {
            is_there: Mutex<bool>,
            came: Condvar,
        }

        loom::thread_local! {
            static TOKEN: Arc<Token> = Arc::new(Token::default());
        }

        pub(crate) struct Thread(Arc<Token>);

        pub(crate) fn current() -> Thread {
            Thread(TOKEN.with(Arc::clone))
        }

        pub(crate) fn park() {
            let Thread(token) = current();
            let mut is_there = token.is_there.lock().unwrap_or_else(|e| e.into_inner());
            while !std::mem::take(&mut *is_there) {
                is_there = token.came.wait(is_there).unwrap_or_else(|e| e.into_inner());
            }
        }

        impl Thread {
            pub(crate) fn unpark(&self) {
                *self.0.is_there.lock().unwrap_or_else(|e| e.into_inner()) = true;
                self.0.came.notify_one();
            }
        }
    }

    /// The same keys in every execution.
    pub(crate) fn random_state() -> RandomState {
        RandomState::with_seeds(1, 2, 3, 4)
    }

    /// As in a real build, with the second size.
    pub(crate) const fn sized<T: Copy>(_real: T, model: T) -> T {
        model
    }
}

#[cfg(darter_loom)]
pub(crate) use exhaustive::*;
#[cfg(darter_shuttle)]
pub(crate) use model::*;
#[cfg(not(any(darter_shuttle, darter_loom)))]
pub(crate) use real::*;
