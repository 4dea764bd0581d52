//! Commands that wait for nothing but a time: WAIT without replicas, DEBUG SLEEP. Only their client
//! waits; the thread goes on with others.

use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::{Core, Pending, Step, blocked, dispatch};
use crate::clients::Unblock;

struct Resting {
    /// What it replies then.
    reply: Vec<u8>,
    /// `None` is never.
    deadline: Option<Instant>,
}

/// Lets a command wait for so long (0: for ever) before its reply.
pub(super) fn rest(core: &mut Core, reply: Vec<u8>, timeout_ms: u64) -> Box<dyn Pending> {
    let deadline = (timeout_ms > 0)
        .then(|| Instant::now().checked_add(Duration::from_millis(timeout_ms)))
        .flatten();
    core.client.shared.take_unblock();
    core.client.shared.is_blocked.store(true, Ordering::SeqCst);
    Box::new(Resting { reply, deadline })
}

impl Pending for Resting {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, waker: &Waker) -> Step {
        let shared = &core.client.shared;
        // Before it looks, so that nothing is missed.
        shared.set_waker(waker);
        let is_over = self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline);
        match shared.take_unblock() {
            Some(Unblock::Error) => dispatch::fail(core, &blocked::UNBLOCKED, output),
            Some(Unblock::Timeout) => output.append(&mut self.reply),
            None if is_over => output.append(&mut self.reply),
            None => return Step::Waits,
        }
        self.abandon(core);
        Step::Done
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn abandon(&mut self, core: &mut Core) {
        core.client.shared.is_blocked.store(false, Ordering::SeqCst);
    }
}
