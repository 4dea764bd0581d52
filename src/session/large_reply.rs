//! A large string as the reply to a command of its own. It is read from a snapshot piece by piece, as
//! fast as the client takes it: no copy of it waits for the client, and nobody waits for the copy. Who
//! takes too long gets a copy after all, so that nobody's snapshot is held for as long as he likes.

use std::task::Waker;
use std::time::{Duration, Instant};

use darter_storage::{Error, Snapshot, StringRef, Transaction, ValueRef};

use super::{Core, Pending, Step};
use crate::commands::args::{Args, KeptArguments};
use crate::fault::fault;
use crate::resp::encode::{Encoder, Meter};

/// How much of it is copied at once, and may wait to be sent.
const PIECE_BYTES: usize = 64 * 1024;
/// For how long a snapshot is held for a client. Then, or when memory is short, the rest is copied, if
/// the client may hold so much.
const HELD_MAX: Duration = Duration::from_secs(5);

/// Why a reply cannot be sent to its end.
#[derive(Debug, thiserror::Error)]
enum CutShort {
    #[error(transparent)]
    Store(#[from] Error),
    #[error("its value is gone")]
    Gone,
    #[error("there is no room for the rest of it")]
    NoMemory,
}

struct LargeReply {
    snapshot: Snapshot,
    database: usize,
    arguments: KeptArguments,
    length: usize,
    position: usize,
    began: Instant,
}

fn string<'t>(
    transaction: &'t Transaction,
    database: usize,
    key: &[u8],
) -> Result<Option<StringRef<'t>>, Error> {
    match transaction.get(database, key)? {
        Some(ValueRef::String(value)) => Ok(Some(value)),
        _ => Ok(None),
    }
}

/// The key of such a command.
const KEY: usize = 1;

/// Begins to reply with what a command's key holds now. `None`, and nothing is written, if that is no large
/// string, or so many snapshots are held that clients who do not read could use them up.
pub(super) fn begin(
    core: &Core,
    args: &Args<'_>,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    let services = &core.services;
    let held_max = services.config.snapshot_limits().count / 2;
    if services.store.snapshots_held().0 >= held_max {
        return None;
    }
    let database = core.client.database;
    let snapshot = services.store.snapshot();
    let read = snapshot.read(|transaction| {
        let value = string(transaction, database, &args[KEY])?;
        Ok::<_, Error>(value.map(StringRef::len))
    });
    let length = read.ok().flatten()?;
    let mut reply = Encoder::new(output, core.client.protocol);
    if !reply.is_large(length) {
        return None;
    }
    reply.bulk_header(length);
    Some(Box::new(LargeReply {
        snapshot,
        database,
        arguments: KeptArguments::new(args),
        length,
        position: 0,
        began: Instant::now(),
    }))
}

impl LargeReply {
    /// Writes the next piece.
    fn write(&mut self, core: &Core, output: &mut Vec<u8>, bytes: usize) -> Result<(), CutShort> {
        if fault!("a large reply of several moments") {
            self.snapshot = core.services.store.snapshot();
        }
        let end = (self.position + bytes).min(self.length);
        output.reserve_exact(end - self.position + 2);
        self.snapshot.read(|transaction| {
            let value = string(transaction, self.database, self.arguments.at(KEY))?;
            let parts = value.ok_or(CutShort::Gone)?.range_parts(self.position, end);
            parts.for_each(|part| output.extend_from_slice(part));
            Ok::<_, CutShort>(())
        })?;
        self.position = end;
        Ok(())
    }

    /// Makes room for all that is left.
    fn reserve_rest(&self, core: &Core, output: &mut Vec<u8>) -> Result<(), CutShort> {
        let end = output.len() + (self.length - self.position) + 2;
        if end > output.capacity() {
            if !core.meter().admits(output.capacity(), end) {
                return Err(CutShort::NoMemory);
            }
            output.reserve_exact(end - output.len());
        }
        Ok(())
    }

    fn is_late(&self, core: &Core) -> bool {
        self.began.elapsed() >= HELD_MAX || core.services.config.is_out_of_memory()
    }

    fn go_on(&mut self, core: &Core, output: &mut Vec<u8>) -> Result<Step, CutShort> {
        let is_late = self.is_late(core);
        if is_late {
            self.reserve_rest(core, output)?;
        }
        // Whoever sends the output comes back when it has been sent.
        if self.position < self.length && (is_late || output.len() < PIECE_BYTES) {
            self.write(core, output, PIECE_BYTES)?;
        }
        if self.position == self.length {
            output.extend_from_slice(b"\r\n");
            return Ok(Step::Done);
        }
        Ok(if is_late { Step::Yields } else { Step::Waits })
    }
}

impl Pending for LargeReply {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, _waker: &Waker) -> Step {
        self.go_on(core, output).unwrap_or_else(|error| {
            // The length has been said: what is missing can be told by no reply.
            tracing::warn!(
                "client {}: its connection is closed within a reply of {} bytes: {error}",
                core.client.shared.id,
                self.length,
            );
            core.client.is_closing = true;
            Step::Done
        })
    }

    /// When it copies what is left, for a snapshot must not be held for as long as a client likes.
    fn deadline(&self) -> Option<Instant> {
        let deadline = self.began + HELD_MAX;
        (Instant::now() < deadline).then_some(deadline)
    }

    /// As other replies: a client that sends no more may still read.
    fn outlives_client(&self) -> bool {
        true
    }

    fn arguments(&self) -> Option<&KeptArguments> {
        Some(&self.arguments)
    }

    fn is_within_reply(&self) -> bool {
        true
    }
}
