//! XREADGROUP: entries for a consumer of a group, new ones or those that it has already.

use darter_storage::StreamId;

use super::group::{no_group, notify_consumer};
use super::id::{self, next, parse_exact};
use super::lag::Past;
use super::query::{Query, Reads};
use super::read::{begin_stream, begin_streams, write_entries, write_entry};
use crate::commands::args::Args;
use crate::commands::error::{CommandError, Wait};
use crate::commands::view::View;
use crate::resp::reply::Reply;

/// What is wanted of one stream.
#[derive(Clone, Copy)]
enum Wanted {
    /// What nobody of the group has been given.
    New,
    /// What this consumer has, behind an ID.
    Own(StreamId),
}

/// What a stream gave: which entries.
enum Given {
    New(Vec<StreamId>),
    /// They may be gone from the stream.
    Own(Vec<StreamId>),
}

/// Who reads, and how.
struct Reader<'a> {
    query: Query<'a>,
    group: &'a [u8],
    consumer: &'a [u8],
    now_ms: u64,
}

impl Reader<'_> {
    fn no_group(&self, key: &[u8]) -> CommandError {
        no_group(key, self.group, " in XREADGROUP with GROUP option")
    }

    /// What is wanted of each stream. All are looked at before anything is given.
    fn wanted(&self, view: &View<'_>) -> Result<Vec<Wanted>, CommandError> {
        let wanted = |(key, id): (&&[u8], &&[u8])| {
            let stream = view.stream(key)?;
            if stream.is_none_or(|stream| stream.group(self.group).is_none()) {
                return Err(self.no_group(key));
            }
            match *id {
                b">" => Ok(Wanted::New),
                b"$" => Err(CommandError::text(
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read \
                     the history of this consumer by specifying a proper ID, or use the > ID to \
                     get new messages. The $ ID would just return an empty result set.",
                )),
                id => Ok(match parse_exact(id, 0)? {
                    // As in Redis, where it stands for `>`.
                    id::MAX => Wanted::New,
                    id => Wanted::Own(id),
                }),
            }
        };
        self.query
            .keys
            .iter()
            .zip(self.query.ids)
            .map(wanted)
            .collect()
    }

    /// Gives new entries to the consumer; `None` if there are none.
    fn give_new(&self, view: &mut View<'_>, key: &[u8]) -> Result<Option<Given>, CommandError> {
        let mut ids = Vec::new();
        let mut position = None;
        if let Some(stream) = view.stream(key)?
            && let Some(group) = stream.group(self.group)
            && let Some(first) = next(group.last_delivered_id())
        {
            let past = Past::of(stream);
            let mut entries_read = group.entries_read();
            for (id, _) in stream.iter_from(first).take(self.query.count) {
                entries_read = past.read_on(entries_read, id);
                position = Some((id, entries_read));
                ids.push(id);
                view.check_growth(ids.len())?;
            }
        }
        notify_consumer(view, key, (self.group, self.consumer))?;
        let mut stream = view.stream_mut(key)?.ok_or(CommandError::NoSuchKey)?;
        let mut group = stream
            .group_mut(self.group)
            .ok_or_else(|| self.no_group(key))?;
        let becomes_pending = !ids.is_empty() && !self.query.is_acknowledged;
        let active_ms = becomes_pending.then_some(self.now_ms);
        group.see_consumer(self.consumer, self.now_ms, active_ms);
        if let Some((id, entries_read)) = position {
            group.set_position(id, entries_read);
        }
        if becomes_pending {
            for id in &ids {
                group.assign(*id, self.consumer, self.now_ms, 1);
            }
        }
        Ok((!ids.is_empty()).then_some(Given::New(ids)))
    }

    /// Gives the consumer again what it has. What is gone from the stream does not count as given.
    fn give_own(
        &self,
        view: &mut View<'_>,
        key: &[u8],
        behind: StreamId,
    ) -> Result<Given, CommandError> {
        let mut ids = Vec::new();
        let mut given = Vec::new();
        if let Some(stream) = view.stream(key)?
            && let Some(group) = stream.group(self.group)
            && let Some(consumer) = group.consumer(self.consumer)
            && let Some(first) = next(behind)
        {
            for pending in consumer.pending_from(first).take(self.query.count) {
                if stream.get(pending.id).is_some() {
                    given.push((pending.id, pending.deliveries.saturating_add(1)));
                }
                ids.push(pending.id);
                view.check_growth(ids.len())?;
            }
        }
        notify_consumer(view, key, (self.group, self.consumer))?;
        let mut stream = view.stream_mut(key)?.ok_or(CommandError::NoSuchKey)?;
        let mut group = stream
            .group_mut(self.group)
            .ok_or_else(|| self.no_group(key))?;
        group.see_consumer(self.consumer, self.now_ms, None);
        for (id, deliveries) in given {
            group.assign(id, self.consumer, self.now_ms, deliveries);
        }
        Ok(Given::Own(ids))
    }

    fn write(
        &self,
        view: &View<'_>,
        (key, given): (&[u8], Given),
        reply: &mut dyn Reply,
    ) -> Result<(), CommandError> {
        begin_stream(key, reply);
        let stream = view.stream(key)?.ok_or(CommandError::NoSuchKey)?;
        match given {
            Given::New(ids) => {
                let first = ids.first().copied().unwrap_or_default();
                write_entries(stream.iter_from(first).take(ids.len()), reply);
            }
            Given::Own(ids) => {
                reply.array(ids.len());
                for id in ids {
                    if let Some(entry) = stream.get(id) {
                        write_entry((id, entry), reply);
                    } else {
                        reply.array(2);
                        id::write(id, reply);
                        reply.null_array();
                    }
                }
            }
        }
        Ok(())
    }
}

pub(super) fn xreadgroup(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let query = Query::read(args, Reads::ForGroup, !view.is_in_script())?;
    let (group, consumer) = query.group.ok_or(CommandError::Syntax)?;
    let reader = Reader {
        query,
        group,
        consumer,
        now_ms: view.now_ms(),
    };
    let wanted = reader.wanted(view)?;
    let mut all_given = Vec::new();
    for (key, wanted) in reader.query.keys.iter().zip(wanted) {
        let given = match wanted {
            Wanted::New => reader.give_new(view, key)?,
            Wanted::Own(behind) => Some(reader.give_own(view, key, behind)?),
        };
        all_given.extend(given.map(|given| (*key, given)));
    }
    if all_given.is_empty() {
        reply.null_array();
        return match reader.query.timeout_ms {
            Some(timeout_ms) => Err(CommandError::WouldBlock(Box::new(Wait {
                keys: reader.query.kept_keys(),
                timeout_ms,
                arguments: None,
                group: Some(group.to_vec()),
            }))),
            None => Ok(()),
        };
    }
    begin_streams(all_given.len(), reply);
    for given in all_given {
        reader.write(view, given, reply)?;
    }
    Ok(())
}

/// The keys of XREADGROUP: the first half of what is behind STREAMS.
pub(super) fn keys(args: &Args<'_>) -> Option<Vec<usize>> {
    let query = Query::read(args, Reads::ForGroup, true).ok()?;
    Some(query.key_positions())
}
