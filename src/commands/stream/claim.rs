//! XCLAIM and XAUTOCLAIM: entries that one consumer has, given to another.

use darter_storage::{StreamGroupMut, StreamId};

use super::group::{no_group, notify_consumer};
use super::id::{self, parse_exact, parse_start};
use super::pending::idle_ms;
use super::read::write_entry;
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

type Done = Result<(), CommandError>;

/// How many entries XAUTOCLAIM gives if nothing is said.
const COUNT_DEFAULT: usize = 100;
/// Beyond it Redis refuses a count.
const COUNT_MAX: i64 = i64::MAX / 16;
/// How many entries it looks at for each that it may give.
const LOOKED_AT_FACTOR: usize = 10;

/// The least time since the last delivery; below zero it is none.
fn min_idle_ms(args: &Args<'_>, error: &'static str) -> Result<i64, CommandError> {
    let min_idle_ms = parse_integer(&args[4]).ok_or(CommandError::text(error))?;
    Ok(min_idle_ms.max(0))
}

fn check_group(view: &View<'_>, args: &Args<'_>) -> Done {
    let stream = view.stream(&args[1])?;
    match stream.and_then(|stream| stream.group(&args[2])) {
        Some(_) => Ok(()),
        None => Err(no_group(&args[1], &args[2], "")),
    }
}

/// Runs with the group of a call and what else it names: the consumer.
fn change_group<T>(
    view: &mut View<'_>,
    args: &Args<'_>,
    change: impl FnOnce(&mut StreamGroupMut<'_>, &[u8]) -> T,
) -> Result<T, CommandError> {
    let missing = || no_group(&args[1], &args[2], "");
    notify_consumer(view, &args[1], (&args[2], &args[3]))?;
    let mut stream = view.stream_mut(&args[1])?.ok_or_else(missing)?;
    let mut group = stream.group_mut(&args[2]).ok_or_else(missing)?;
    Ok(change(&mut group, &args[3]))
}

/// Writes entries that are there as an array, or their IDs alone.
fn write_claimed(
    view: &View<'_>,
    args: &Args<'_>,
    (ids, just_ids): (&[StreamId], bool),
    reply: &mut dyn Reply,
) -> Done {
    let stream = view.stream(&args[1])?.ok_or(CommandError::NoSuchKey)?;
    reply.array(ids.len());
    for id in ids {
        match stream.get(*id) {
            Some(entry) if !just_ids => write_entry((*id, entry), reply),
            _ => id::write(*id, reply),
        }
    }
    Ok(())
}

/// What XCLAIM is asked for.
struct Claim {
    min_idle_ms: i64,
    ids: Vec<StreamId>,
    delivered_ms: u64,
    deliveries: Option<u64>,
    is_forced: bool,
    just_ids: bool,
    last_id: StreamId,
}

impl Claim {
    fn read(args: &Args<'_>, now_ms: u64) -> Result<Claim, CommandError> {
        let min_idle_ms = min_idle_ms(args, "ERR Invalid min-idle-time argument for XCLAIM")?;
        // What is no ID begins the options.
        let ids: Vec<StreamId> = args
            .from(5)
            .iter()
            .map_while(|id| parse_exact(id, 0).ok())
            .collect();
        let mut claim = Claim {
            min_idle_ms,
            delivered_ms: now_ms,
            deliveries: None,
            is_forced: false,
            just_ids: false,
            last_id: StreamId::default(),
            ids,
        };
        claim.read_options(args, now_ms)?;
        Ok(claim)
    }

    fn read_options(&mut self, args: &Args<'_>, now_ms: u64) -> Done {
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let mut options = args.options(5 + self.ids.len());
        let number =
            |argument: &[u8], error| parse_integer(argument).ok_or(CommandError::text(error));
        while !options.is_empty() {
            let has_value = options.left() > 1;
            let time = if options.take("FORCE") {
                self.is_forced = true;
                continue;
            } else if options.take("JUSTID") {
                self.just_ids = true;
                continue;
            } else if has_value && options.take("LASTID") {
                self.last_id = parse_exact(options.next()?, 0)?;
                continue;
            } else if has_value && options.take("RETRYCOUNT") {
                let error = "ERR Invalid RETRYCOUNT option argument for XCLAIM";
                self.deliveries = u64::try_from(number(options.next()?, error)?).ok();
                continue;
            } else if has_value && options.take("IDLE") {
                let error = "ERR Invalid IDLE option argument for XCLAIM";
                now.saturating_sub(number(options.next()?, error)?)
            } else if has_value && options.take("TIME") {
                number(
                    options.next()?,
                    "ERR Invalid TIME option argument for XCLAIM",
                )?
            } else {
                let option = options.next()?;
                return Err(CommandError::naming(
                    "Unrecognized XCLAIM option '",
                    option,
                    "'",
                ));
            };
            // A time that cannot be is now: clients' clocks differ.
            self.delivered_ms = u64::try_from(time)
                .ok()
                .filter(|time| *time <= now_ms)
                .unwrap_or(now_ms);
        }
        Ok(())
    }

    /// Gives one entry to a consumer, if it may be. Whether it was.
    fn give(
        &self,
        group: &mut StreamGroupMut<'_>,
        (id, consumer): (StreamId, &[u8]),
        now_ms: u64,
    ) -> bool {
        if group.stream().get(id).is_none() {
            // Nobody can have what is gone.
            group.acknowledge(id);
            return false;
        }
        let deliveries = match group.as_ref().pending(id) {
            Some(pending) => {
                if self.min_idle_ms > 0 && idle_ms(now_ms, pending) < self.min_idle_ms {
                    return false;
                }
                pending.deliveries
            }
            None if self.is_forced => 1,
            None => return false,
        };
        let deliveries = self
            .deliveries
            .unwrap_or(deliveries.saturating_add(u64::from(!self.just_ids)));
        group.assign(id, consumer, self.delivered_ms, deliveries)
    }
}

pub(super) fn xclaim(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check_group(view, args)?;
    let now_ms = view.now_ms();
    let claim = Claim::read(args, now_ms)?;
    let claimed = change_group(view, args, |group, consumer| {
        let entries_read = group.as_ref().entries_read();
        if claim.last_id > group.as_ref().last_delivered_id() {
            group.set_position(claim.last_id, entries_read);
        }
        group.see_consumer(consumer, now_ms, None);
        let given = claim.ids.iter().copied();
        let claimed: Vec<StreamId> = given
            .filter(|id| claim.give(group, (*id, consumer), now_ms))
            .collect();
        if !claimed.is_empty() {
            group.see_consumer(consumer, now_ms, Some(now_ms));
        }
        claimed
    })?;
    write_claimed(view, args, (&claimed, claim.just_ids), reply)
}

/// What XAUTOCLAIM is asked for.
struct AutoClaim {
    min_idle_ms: i64,
    start: StreamId,
    count: usize,
    just_ids: bool,
}

impl AutoClaim {
    fn read(args: &Args<'_>) -> Result<AutoClaim, CommandError> {
        let mut claim = AutoClaim {
            min_idle_ms: min_idle_ms(args, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?,
            start: parse_start(&args[5])?,
            count: COUNT_DEFAULT,
            just_ids: false,
        };
        let mut options = args.options(6);
        while !options.is_empty() {
            if options.left() > 1 && options.take("COUNT") {
                claim.count = parse_integer(options.next()?)
                    .filter(|count| (1..=COUNT_MAX).contains(count))
                    .and_then(|count| usize::try_from(count).ok())
                    .ok_or(CommandError::text("ERR COUNT must be > 0"))?;
            } else if options.take("JUSTID") {
                claim.just_ids = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(claim)
    }
}

/// What XAUTOCLAIM finds.
#[derive(Default)]
struct Found {
    /// Entries to be given, and how often they were delivered.
    claimed: Vec<(StreamId, u64)>,
    /// Entries that are pending but no longer in the stream.
    gone: Vec<StreamId>,
    /// Where to go on; 0-0 at the end.
    next: StreamId,
}

fn find(view: &View<'_>, args: &Args<'_>, claim: &AutoClaim) -> Result<Found, CommandError> {
    let mut found = Found::default();
    let stream = view.stream(&args[1])?;
    let Some((stream, group)) = stream.and_then(|stream| Some((stream, stream.group(&args[2])?)))
    else {
        return Err(no_group(&args[1], &args[2], ""));
    };
    let now_ms = view.now_ms();
    let mut left = claim.count.saturating_mul(LOOKED_AT_FACTOR);
    for pending in group.pending_from(claim.start) {
        let taken = found.claimed.len() + found.gone.len();
        if left == 0 || taken == claim.count {
            found.next = pending.id;
            break;
        }
        left -= 1;
        if stream.get(pending.id).is_none() {
            found.gone.push(pending.id);
        } else if claim.min_idle_ms == 0 || idle_ms(now_ms, pending) >= claim.min_idle_ms {
            found.claimed.push((pending.id, pending.deliveries));
        }
        view.check_growth(taken)?;
    }
    Ok(found)
}

pub(super) fn xautoclaim(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let claim = AutoClaim::read(args)?;
    let now_ms = view.now_ms();
    let found = find(view, args, &claim)?;
    let more = u64::from(!claim.just_ids);
    change_group(view, args, |group, consumer| {
        let active_ms = (!found.claimed.is_empty()).then_some(now_ms);
        group.see_consumer(consumer, now_ms, active_ms);
        for id in &found.gone {
            group.acknowledge(*id);
        }
        for (id, deliveries) in &found.claimed {
            group.assign(*id, consumer, now_ms, deliveries.saturating_add(more));
        }
    })?;
    reply.array(3);
    id::write(found.next, reply);
    let claimed: Vec<StreamId> = found.claimed.iter().map(|(id, _)| *id).collect();
    write_claimed(view, args, (&claimed, claim.just_ids), reply)?;
    reply.array(found.gone.len());
    for id in found.gone {
        id::write(id, reply);
    }
    Ok(())
}
