//! Commands that wait for something to take.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::{Duration, Instant};

use darter_storage::{Escalation, Mode, Type};

use super::retry::{KeptCommand, Retry, RetryProgress};
use super::{Core, Pending, Step, dispatch};
use crate::blocking::{Waiter, Wanted};
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
    /// Whether it reads for a group. It runs again whatever its keys hold, to fail without one.
    is_for_group: bool,
    /// A place in the lines of its keys, from the beginning: others come behind it.
    waiter: Arc<Waiter>,
    /// The keys at which it is its turn, by their positions, in order.
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
    let is_for_group = wait.group.is_some();
    core.has_committed |= is_for_group;
    core.services.interest.add();
    core.client.shared.take_unblock();
    let wanted = match (wait.group, wanted_type(&kept)) {
        (Some(group), _) => Wanted::Group(group.into()),
        (None, Some(kind @ (Type::List | Type::SortedSet))) => Wanted::Elements(kind),
        (None, _) => Wanted::Shared,
    };
    let keys = wait
        .keys
        .iter()
        .map(|key| (kept.database, key.as_slice().into()));
    let waiter = core.services.waiters.add(keys.collect(), wanted);
    // Only now: who sees it wait comes behind it.
    core.client.shared.is_blocked.store(true, Ordering::SeqCst);
    let escalation = Escalation::new(&core.services.store);
    Box::new(Blocked {
        retry: Retry {
            kept,
            escalation,
            waits_for_gate: false,
        },
        due: Vec::new(),
        keys: wait.keys,
        is_for_group,
        waiter,
        deadline,
        has_ended: false,
    })
}

/// What its keys must hold that there is something to take.
fn wanted_type(kept: &KeptCommand) -> Option<Type> {
    match kept.command.group {
        Group::List => Some(Type::List),
        Group::SortedSet => Some(Type::SortedSet),
        Group::Stream => Some(Type::Stream),
        _ => None,
    }
}

impl Blocked {
    fn end(&mut self, core: &mut Core) -> Step {
        if !std::mem::replace(&mut self.has_ended, true) {
            // It may have been woken for several keys, has taken from one at most, and may have
            // committed nothing that would wake the next.
            core.services.waiters.remove(&self.waiter, &self.due);
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
        let Some(wanted) = wanted_type(kept).filter(|_| !self.is_for_group) else {
            return;
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
        core.services.waiters.pass_on(&self.waiter, &others);
    }

    /// Whether nobody else gets what it takes.
    fn takes(&self) -> bool {
        let group = self.retry.kept.command.group;
        matches!(group, Group::List | Group::SortedSet)
    }

    /// Its arguments, naming no key at which it is not its turn: from there others take before it.
    /// In the places of lists and sorted sets stands one at which it is; streams are left out.
    fn arguments_of_turn(&self) -> Option<KeptArguments> {
        if !self.takes() && !self.is_for_group || self.due.len() == self.keys.len() {
            return None;
        }
        let command = self.retry.kept.command;
        let mut all = self.retry.kept.arguments.to_vec();
        let positions = command.keys.positions(&Args::new(&all))?;
        if self.is_for_group {
            // All keys, then as many IDs, stand at the end.
            let keys = self.due.iter().map(|at| positions[*at]);
            let ids = keys.clone().map(|position| position + self.keys.len());
            let streams: Vec<_> = keys.chain(ids).map(|position| all[position]).collect();
            all.truncate(*positions.first()?);
            return Some(all.into_iter().chain(streams).collect());
        }
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
        self.waiter.set_waker(waker);
        // Until the stream of effects goes nobody is told of what comes.
        if core.services.interest.poll_active(waker) {
            self.due
                .extend(core.services.waiters.take_turns(&self.waiter));
            self.due.sort_unstable();
            self.due.dedup();
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
                        if !self.takes() {
                            core.services.waiters.pass_on(&self.waiter, &due);
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
