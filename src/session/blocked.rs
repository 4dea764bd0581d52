//! Commands that wait for something to take.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::{Duration, Instant};

use darter_storage::{Escalation, Mode, Type};

use super::retry::{KeptCommand, Retry, RetryProgress};
use super::{Core, Pending, Step, dispatch};
use crate::blocking::Waiter;
use crate::clients::Unblock;
use crate::commands::args::KeptArguments;
use crate::commands::command::{Group, flag};
use crate::commands::error::{CommandError, Wait};
use crate::resp::encode::Encoder;
use crate::resp::reply::Reply;

struct Blocked {
    retry: Retry,
    keys: Vec<Vec<u8>>,
    /// The group that it reads for. It runs again whatever its keys hold, to fail without a group.
    group: Option<Vec<u8>>,
    /// A place in the lines of its keys, once the stream of effects goes.
    waiter: Option<Arc<Waiter>>,
    /// To be tried, whether or not somebody says so.
    is_due: bool,
    deadline: Option<Instant>,
    has_ended: bool,
}

/// What the keys of a blocked command hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    /// Values of other types only, which others may wait for.
    Other,
    /// A value of the type that it waits for.
    Wanted,
}

/// Lets a command wait.
pub(super) fn block(core: &mut Core, mut kept: KeptCommand, wait: Wait) -> Box<dyn Pending> {
    if let Some(arguments) = wait.arguments {
        kept.arguments = arguments.iter().map(Vec::as_slice).collect();
    }
    let deadline = (wait.timeout_ms > 0)
        .then(|| Instant::now().checked_add(Duration::from_millis(wait.timeout_ms)))
        .flatten();
    kept.is_waiting = true;
    core.has_committed |= wait.group.is_some();
    core.services.interest.add();
    core.client.shared.take_unblock();
    core.client.shared.is_blocked.store(true, Ordering::SeqCst);
    let escalation = Escalation::new(&core.services.store);
    Box::new(Blocked {
        retry: Retry {
            kept,
            escalation,
            waits_for_gate: false,
        },
        keys: wait.keys,
        group: wait.group,
        waiter: None,
        is_due: true,
        deadline,
        has_ended: false,
    })
}

impl Blocked {
    fn end(&mut self, core: &mut Core) -> Step {
        if !std::mem::replace(&mut self.has_ended, true) {
            // It may have been woken for several keys, has taken from one at most, and may have
            // committed nothing that would wake the next.
            if self.is_due {
                self.pass_on(core);
            }
            if let Some(waiter) = self.waiter.take() {
                core.services.waiters.remove(&waiter);
            }
            core.client.shared.is_blocked.store(false, Ordering::SeqCst);
            core.services.interest.remove();
        }
        Step::Done
    }

    /// What its keys hold. A value of another type is not what it waits for, and no error either.
    fn look(&self, core: &Core) -> Found {
        if self.group.is_some() {
            return Found::Wanted;
        }
        let kept = &self.retry.kept;
        let wanted = match kept.command.group {
            Group::List => Type::List,
            Group::SortedSet => Type::SortedSet,
            Group::Stream => Type::Stream,
            _ => return Found::Wanted,
        };
        let transaction = core.services.store.begin(Mode::Direct);
        let mut found = Found::Nothing;
        for key in &self.keys {
            match transaction.get(kept.database, key) {
                Ok(Some(value)) if value.kind() == wanted => return Found::Wanted,
                Ok(Some(_)) => found = Found::Other,
                Ok(None) | Err(_) => {}
            }
        }
        found
    }

    /// Whether it is refused now although it was admitted: as in Redis, where it would run anew.
    fn is_out_of_memory(&self, core: &Core) -> bool {
        let command = self.retry.kept.command;
        command.has(flag::DENYOOM) && core.services.config.is_out_of_memory()
    }

    /// Lets the next in its lines try.
    fn pass_on(&self, core: &Core) {
        if let Some(waiter) = &self.waiter {
            core.services.waiters.pass_on(waiter);
        }
    }

    /// Whether it stands in its lines.
    fn is_in_line(&mut self, core: &Core, waker: &Waker) -> bool {
        if self.waiter.is_some() {
            return true;
        }
        if !core.services.interest.poll_active(waker) {
            return false;
        }
        let database = self.retry.kept.database;
        let keys = self
            .keys
            .iter()
            .map(|key| (database, key.as_slice().into()))
            .collect();
        let group = self.group.as_deref();
        self.waiter = Some(core.services.waiters.add(keys, group, waker));
        true
    }
}

impl Pending for Blocked {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, waker: &Waker) -> Step {
        core.client.shared.set_waker(waker);
        match core.client.shared.take_unblock() {
            Some(Unblock::Timeout) => {
                Encoder::new(output, core.client.protocol).null_array();
                return self.end(core);
            }
            Some(Unblock::Error) => {
                Encoder::new(output, core.client.protocol)
                    .error(b"UNBLOCKED client unblocked via CLIENT UNBLOCK");
                return self.end(core);
            }
            None => {}
        }
        if self.is_in_line(core, waker) {
            if let Some(waiter) = &self.waiter {
                waiter.set_waker(waker);
                self.is_due |= waiter.take_turn();
            }
            let found = if self.is_due {
                self.look(core)
            } else {
                Found::Nothing
            };
            // Where there is nothing, those behind have nothing to take either.
            self.is_due = found == Found::Wanted;
            if found == Found::Other {
                self.pass_on(core);
            }
            if self.is_due && self.is_out_of_memory(core) {
                dispatch::fail(core, &CommandError::OutOfMemory, output);
                return self.end(core);
            }
            if self.is_due {
                let before = output.len();
                match self.retry.try_on(core, output, waker) {
                    // Still due: the end passes the turn on.
                    RetryProgress::Done => return self.end(core),
                    RetryProgress::Waits => {}
                    RetryProgress::Blocked(_) => {
                        output.truncate(before);
                        self.is_due = false;
                        if let Some(waiter) = &self.waiter {
                            core.services.waiters.pass_over(waiter);
                        }
                    }
                }
            }
            if !self.is_due {
                self.retry.leave_queue(core);
            }
        }
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            Encoder::new(output, core.client.protocol).null_array();
            return self.end(core);
        }
        Step::Waits
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn arguments(&self) -> Option<&KeptArguments> {
        Some(&self.retry.kept.arguments)
    }

    fn abandon(&mut self, core: &mut Core) {
        self.end(core);
    }
}
