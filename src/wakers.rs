//! Waking tasks later than at once.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

/// Wakes a task of the calling thread after the runtime has looked at its other tasks, its sockets and
/// timers.
pub(crate) fn wake_after_sockets(waker: &Waker) {
    let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(waker));
}
