//! A large string as the reply to a command of its own. It is read from a snapshot piece by piece, as
//! fast as the client takes it: no copy of it waits for the client, and nobody waits for the copy.

use std::task::Waker;

use darter_storage::{Error, Snapshot, StringRef, Transaction, ValueRef};

use super::{Core, Pending, Step};
use crate::resp::encode::Encoder;

/// How much of it is copied at once, and may wait to be sent.
const PIECE_BYTES: usize = 64 * 1024;

struct LargeReply {
    snapshot: Snapshot,
    database: usize,
    key: Vec<u8>,
    length: usize,
    position: usize,
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

/// Begins to reply with what a key holds now. `None`, and nothing is written, if that is no large
/// string, or so many snapshots are held that clients who do not read could use them up.
pub(super) fn begin(core: &Core, key: &[u8], output: &mut Vec<u8>) -> Option<Box<dyn Pending>> {
    let services = &core.services;
    let held_max = services.config.snapshot_limits().count / 2;
    if services.store.snapshots_held().0 >= held_max {
        return None;
    }
    let database = core.client.database;
    let snapshot = services.store.snapshot();
    let read = snapshot.read(|transaction| {
        let value = string(transaction, database, key)?;
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
        key: key.to_vec(),
        length,
        position: 0,
    }))
}

impl Pending for LargeReply {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, _waker: &Waker) -> Step {
        // Whoever sends the output comes back when it has been sent.
        while output.len() < PIECE_BYTES && self.position < self.length {
            let end = (self.position + PIECE_BYTES).min(self.length);
            output.reserve_exact(end - self.position + 2);
            let read = self.snapshot.read(|transaction| {
                if let Some(value) = string(transaction, self.database, &self.key)? {
                    let parts = value.range_parts(self.position, end);
                    parts.for_each(|part| output.extend_from_slice(part));
                }
                Ok::<_, Error>(())
            });
            if let Err(error) = read {
                // The length has been said: what is missing can be told by no reply.
                tracing::warn!(
                    "client {}: its connection is closed within a reply of {} bytes: {error}",
                    core.client.shared.id,
                    self.length,
                );
                core.client.is_closing = true;
                return Step::Done;
            }
            self.position = end;
        }
        if self.position < self.length {
            return Step::Waits;
        }
        output.extend_from_slice(b"\r\n");
        Step::Done
    }

    fn is_within_reply(&self) -> bool {
        true
    }
}
