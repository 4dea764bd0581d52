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
use crate::commands::args::{Args, KeptArguments};
use crate::commands::command::{Group, flag};
use crate::commands::error::{CommandError, Wait};
use crate::resp::encode::Encoder;
use crate::resp::reply::Reply;

/// What CLIENT UNBLOCK makes of a command that waits.
pub(super) const UNBLOCKED: CommandError =
    CommandError::text("UNBLOCKED client unblocked via CLIENT UNBLOCK");

struct Blocked {
    retry: Retry,
    keys: Vec<Vec<u8>>,
    /// The group that it reads for. It runs again whatever its keys hold, to fail without a group.
    group: Option<Vec<u8>>,
    /// A place in the lines of its keys, once the stream of effects goes.
    waiter: Option<Arc<Waiter>>,
    /// The keys at which it is its turn, by their positions, in order. At first all, whether or not
    /// somebody says so.
    due: Vec<usize>,
    deadline: Option<Instant>,
    has_ended: bool,
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
        due: (0..wait.keys.len()).collect(),
        keys: wait.keys,
        group: wait.group,
        waiter: None,
        deadline,
        has_ended: false,
    })
}

impl Blocked {
    fn end(&mut self, core: &mut Core) -> Step {
        if !std::mem::replace(&mut self.has_ended, true) {
            // It may have been woken for several keys, has taken from one at most, and may have
            // committed nothing that would wake the next.
            if let Some(waiter) = self.waiter.take() {
                core.services.waiters.pass_on(&waiter, &self.due);
                core.services.waiters.remove(&waiter);
            }
            core.client.shared.is_blocked.store(false, Ordering::SeqCst);
            core.services.interest.remove();
        }
        Step::Done
    }

    /// Leaves of the keys at which it is its turn those that hold what it waits for. A value of
    /// another type is no error, and those behind may wait for it; where there is nothing, they
    /// have nothing to take either.
    fn look(&mut self, core: &Core) {
        let kept = &self.retry.kept;
        let wanted = match kept.command.group {
            Group::List => Type::List,
            Group::SortedSet => Type::SortedSet,
            Group::Stream if self.group.is_none() => Type::Stream,
            _ => return,
        };
        let transaction = core.services.store.begin(Mode::Direct);
        let mut others = Vec::new();
        self.due.retain(|at| {
            match transaction.get(kept.database, &self.keys[*at]) {
                Ok(Some(value)) if value.kind() == wanted => return true,
                Ok(Some(_)) => others.push(*at),
                Ok(None) | Err(_) => {}
            }
            false
        });
        if let Some(waiter) = &self.waiter {
            core.services.waiters.pass_on(waiter, &others);
        }
    }

    /// Whether nobody else gets what it takes.
    fn takes(&self) -> bool {
        let group = self.retry.kept.command.group;
        matches!(group, Group::List | Group::SortedSet)
    }

    /// Its arguments, naming no list or sorted set at which it is not its turn: from there others
    /// take before it. In their places stands one at which it is.
    fn arguments_of_turn(&self) -> Option<KeptArguments> {
        if !self.takes() || self.due.len() == self.keys.len() {
            return None;
        }
        let command = self.retry.kept.command;
        let mut all = self.retry.kept.arguments.to_vec();
        let positions = command.keys.positions(&Args::new(&all))?;
        let first = self.keys[*self.due.first()?].as_slice();
        for (at, position) in positions.into_iter().enumerate() {
            if self.due.binary_search(&at).is_err() {
                all[position] = first;
            }
        }
        Some(all.into_iter().collect())
    }

    /// Tries to take something where it is its turn.
    fn try_turn(&mut self, core: &mut Core, output: &mut Vec<u8>, waker: &Waker) -> RetryProgress {
        let Some(arguments) = self.arguments_of_turn() else {
            return self.retry.try_on(core, output, waker);
        };
        let all = std::mem::replace(&mut self.retry.kept.arguments, arguments);
        let progress = self.retry.try_on(core, output, waker);
        self.retry.kept.arguments = all;
        progress
    }

    /// Whether it is refused now although it was admitted: as in Redis, where it would run anew.
    fn is_out_of_memory(&self, core: &Core) -> bool {
        let command = self.retry.kept.command;
        command.has(flag::DENYOOM) && core.services.config.is_out_of_memory()
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
                dispatch::fail(core, &UNBLOCKED, output);
                return self.end(core);
            }
            None => {}
        }
        if self.is_in_line(core, waker) {
            if let Some(waiter) = &self.waiter {
                waiter.set_waker(waker);
                self.due.extend(core.services.waiters.take_turns(waiter));
                self.due.sort_unstable();
                self.due.dedup();
            }
            self.look(core);
            if !self.due.is_empty() && self.is_out_of_memory(core) {
                dispatch::fail(core, &CommandError::OutOfMemory, output);
                return self.end(core);
            }
            if !self.due.is_empty() {
                let before = output.len();
                match self.try_turn(core, output, waker) {
                    // Still due: the end passes the turn on.
                    RetryProgress::Done => return self.end(core),
                    RetryProgress::Waits => {}
                    RetryProgress::Blocked(_) => {
                        output.truncate(before);
                        let due = std::mem::take(&mut self.due);
                        // Those behind have nothing to take either, unless they read.
                        if let Some(waiter) = self.waiter.as_ref().filter(|_| !self.takes()) {
                            core.services.waiters.pass_over(waiter, &due);
                        }
                    }
                }
            }
            if self.due.is_empty() {
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
