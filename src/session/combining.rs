//! Write combining: writes of one pipeline that follow each other and go to one key are one
//! transaction, committed once.
//!
//! By themselves each would copy what the one before has just made. Nobody can tell: who sees all
//! or none of them has seen one of the orders that were possible anyhow. (WATCH does not see a key that
//! comes and goes within them, as within EXEC.) Nothing is sent, and
//! nothing counted, before they have committed. If they cannot (one of them fails, others are in the
//! way, the gate is closed), they are taken back, and each runs by itself.

use darter_storage::{CommitError, Transaction};

use super::batch::{Batch, Looked};
use super::give_way::give_way;
use super::retry::Surroundings;
use super::{Core, Session, dispatch, kept_gate};
use crate::commands::args::Args;
use crate::commands::command::{DataHandler, Run, flag};
use crate::commands::table::Entry;
use crate::fault::fault;
use crate::resp::encode::Encoder;
use crate::resp::reply::Reply;

/// Writes that lose to somebody else so often go on by themselves: only then can they queue.
const LOSSES_MAX: usize = 8;

/// A request whose reply is written, and that has not committed.
struct Member {
    looked: Looked,
    entry: Entry,
    handler: DataHandler,
    elapsed_ns: u64,
}

/// Writes that will be committed together.
#[derive(Default)]
pub(super) struct Combined {
    /// `None` while there are none.
    transaction: Option<Box<Transaction>>,
    members: Vec<Member>,
    /// Where the first one's reply begins in the output.
    reply_from: usize,
    /// How often somebody else was in their way.
    losses: usize,
    /// So many of the next requests run by themselves: together they could not.
    alone: usize,
}

impl Combined {
    fn is_open(&self) -> bool {
        self.transaction.is_some()
    }

    /// Whether those that have run are known not to commit.
    fn has_lost(&self) -> bool {
        let transaction = self.transaction.as_ref();
        transaction.is_some_and(|transaction| transaction.has_lost())
    }

    /// Whether the next request goes to the key of those before it.
    fn shares_key(&self, batch: &Batch) -> bool {
        let bytes = batch.bytes();
        let first = self.members.first().map(|member| &member.looked);
        share_key(first, batch.upcoming(0), bytes)
    }

    /// Gives up what was done. The requests go back to the front of the batch, `and_next` to be run
    /// by themselves too.
    fn take_back(&mut self, batch: &mut Batch, output: &mut Vec<u8>, and_next: usize) {
        self.transaction = None;
        if !fault!("replies stay of what did not commit together") {
            output.truncate(self.reply_from);
        }
        self.alone = self.members.len() + and_next;
        for member in self.members.drain(..).rev() {
            if !fault!("what did not commit together is lost") {
                batch.put_back(member.looked);
            }
        }
    }
}

fn share_key(one: Option<&Looked>, other: Option<&Looked>, bytes: &[u8]) -> bool {
    fn key<'b>(looked: Option<&'b Looked>, bytes: &'b [u8]) -> Option<&'b [u8]> {
        looked?.request.arguments(bytes).nth(1)
    }
    key(one, bytes).is_some_and(|one| key(other, bytes) == Some(one))
}

fn next_two_share_key(batch: &Batch) -> bool {
    let next = batch.upcoming(1);
    next.is_some() && share_key(batch.upcoming(0), next, batch.bytes())
}

/// The command, if it is a write to one key that can be done at once.
fn plain_write(core: &Core, looked: &Looked) -> Option<(Entry, DataHandler)> {
    // Requests that have another one behind them have been asked for their commands.
    let entry = looked.entry?;
    let command = entry.command;
    let Run::Data(handler) = command.run else {
        return None;
    };
    let writes_one_key = command.has(flag::WRITE) && command.keys.is_first();
    let may_wait = command.has(flag::EXCLUSIVE) || command.has(flag::BLOCKING);
    let is_plain = writes_one_key
        && !may_wait
        && command.accepts(looked.request.len())
        && dispatch::runs_unnoticed(core, entry);
    is_plain.then_some((entry, handler))
}

/// How the next request ran.
enum Ran {
    /// It waits to be committed with the others.
    Member,
    /// It does not go with them.
    Apart,
    /// It failed, and may have left something in their transaction.
    Failed,
}

/// How all of them ran again.
enum Again {
    Ran,
    Lost,
    /// One of them failed.
    Failed,
}

impl Core {
    /// Runs a command in a transaction that it shares with others. `false` if it failed.
    fn run_member(
        &mut self,
        transaction: &mut Transaction,
        (entry, handler): (Entry, DataHandler),
        args: &Args<'_>,
        output: &mut Vec<u8>,
    ) -> bool {
        kept_gate::release();
        self.note_running(entry);
        let mut view =
            Surroundings::new(self, self.client.database).view(transaction, entry.command);
        let meter = self.meter();
        let mut reply = Encoder::metered(output, self.client.protocol, &meter);
        handler(&mut view, args, &mut reply).is_ok() && !reply.is_cut()
    }
}

impl Session {
    /// Deals with the next request if it goes with those before it, or with the one after it.
    /// `false` if it is to run by itself; then it has been looked at, and all before it is committed.
    pub(super) fn combine_next(&mut self) -> bool {
        if self.combined.alone > 0 {
            self.combined.alone -= 1;
            return false;
        }
        let is_open = self.combined.is_open();
        if is_open && !self.combined.shares_key(&self.batch) && !self.commit_combined() {
            return true;
        }
        if !self.combined.is_open() {
            self.batch.fill(&self.core);
            if !next_two_share_key(&self.batch) {
                return false;
            }
        }
        match self.run_next() {
            Ran::Member => {
                if self.combined.has_lost() {
                    self.catch_up();
                }
                true
            }
            Ran::Apart => !self.commit_combined(),
            Ran::Failed => {
                self.combined
                    .take_back(&mut self.batch, &mut self.output, 1);
                true
            }
        }
    }

    fn run_next(&mut self) -> Ran {
        let Session {
            core,
            batch,
            output,
            combined,
            ..
        } = self;
        let plain = batch.upcoming(0).and_then(|next| {
            let (entry, handler) = plain_write(core, next)?;
            Some((next, entry, handler))
        });
        let Some((next, entry, handler)) = plain else {
            return Ran::Apart;
        };
        if combined.transaction.is_none() {
            combined.reply_from = output.len();
            combined.losses = 0;
        }
        let transaction = combined
            .transaction
            .get_or_insert_with(|| core.begin_direct());
        let arguments = next.request.arguments(batch.bytes());
        let succeeded = dispatch::with_arguments(core, arguments, |core, args| {
            core.run_member(transaction, (entry, handler), args, output)
        });
        if !succeeded {
            return Ran::Failed;
        }
        let Some(looked) = batch.pop() else {
            return Ran::Failed;
        };
        combined.members.push(Member {
            looked,
            entry,
            handler,
            elapsed_ns: core.lap(),
        });
        Ran::Member
    }

    /// Commits what waits to be committed together. `false` if that cannot be: then each of them is
    /// one of the next requests again.
    pub(super) fn commit_combined(&mut self) -> bool {
        // Taken while it commits: one that panics there may have committed, and is not run again.
        while let Some(mut transaction) = self.combined.transaction.take() {
            match self.core.services.commit(&mut transaction) {
                Ok(_) => {
                    self.core.direct = Some(transaction);
                    self.count_combined();
                    return true;
                }
                Err(CommitError::Conflict(_)) => {
                    self.combined.transaction = Some(transaction);
                    if !self.catch_up() {
                        return false;
                    }
                }
                Err(CommitError::GateClosed) => {
                    self.take_back();
                    return false;
                }
            }
        }
        true
    }

    fn take_back(&mut self) {
        self.combined
            .take_back(&mut self.batch, &mut self.output, 0);
    }

    /// Somebody else was in the way: runs all of them again on what is there now, at once if it happens
    /// again. `false` if they are taken back instead.
    fn catch_up(&mut self) -> bool {
        loop {
            self.combined.losses += 1;
            give_way();
            let may_go_on = self.combined.losses < LOSSES_MAX;
            match may_go_on.then(|| self.run_again()) {
                Some(Again::Ran) => return true,
                Some(Again::Lost) => {}
                Some(Again::Failed) | None => {
                    self.take_back();
                    return false;
                }
            }
        }
    }

    fn run_again(&mut self) -> Again {
        let Session {
            core,
            batch,
            output,
            combined,
            ..
        } = self;
        let Some(transaction) = &mut combined.transaction else {
            return Again::Failed;
        };
        transaction.retry();
        output.truncate(combined.reply_from);
        for member in &combined.members {
            let arguments = member.looked.request.arguments(batch.bytes());
            let found = (member.entry, member.handler);
            let succeeded = dispatch::with_arguments(core, arguments, |core, args| {
                core.run_member(transaction, found, args, output)
            });
            if !succeeded {
                return Again::Failed;
            }
            if transaction.has_lost() {
                return Again::Lost;
            }
        }
        Again::Ran
    }

    /// They have committed: now they count.
    fn count_combined(&mut self) {
        self.core.ended(false, true);
        let mut members = std::mem::take(&mut self.combined.members);
        // Else the command behind them would have taken so long.
        let commit_ns = self.core.lap();
        if let Some(last) = members.last_mut() {
            last.elapsed_ns += commit_ns;
        }
        for member in members.drain(..) {
            self.core.running = Some(member.entry.index);
            self.core.count_run(member.elapsed_ns);
            self.note_if_slow(member.elapsed_ns, || {
                member
                    .looked
                    .request
                    .arguments(self.batch.bytes())
                    .collect()
            });
        }
        self.combined.members = members;
    }

    /// One of them panicked. `true` if there were any: each runs by itself then, so that only the
    /// one that panics is lost.
    pub(super) fn take_back_after_panic(&mut self) -> bool {
        let is_open = self.combined.is_open();
        if is_open {
            self.combined
                .take_back(&mut self.batch, &mut self.output, 1);
        } else if !self.combined.members.is_empty() {
            // Their commit panicked: whether they are done cannot be said, so it is not.
            self.output.truncate(self.combined.reply_from);
            self.combined.members.clear();
        }
        is_open
    }
}
