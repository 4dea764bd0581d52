//! XACK and XPENDING: what was delivered and is not done yet.

use darter_storage::{StreamGroup, StreamId, StreamPending};

use super::group::no_group;
use super::id::{self, parse_end, parse_exact, parse_start};
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::resp::reply::Reply;

pub(super) fn xack(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let mut acknowledged = 0;
    view.notify_misses(&[&args[1]])?;
    if let Some(mut stream) = view.stream_mut(&args[1])?
        && let Some(mut group) = stream.group_mut(&args[2])
    {
        // All IDs are read before any is done.
        let ids: Vec<StreamId> = args
            .from(3)
            .iter()
            .map(|id| parse_exact(id, 0))
            .collect::<Result<_, _>>()?;
        for id in ids {
            acknowledged += i64::from(group.acknowledge(id));
        }
    }
    reply.integer(acknowledged);
    Ok(())
}

/// Which of what is pending XPENDING shows.
struct Shown<'a> {
    min_idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Shown<'a> {
    /// `None` if only a summary is asked for.
    fn read(args: &Args<'a>) -> Result<Option<Shown<'a>>, CommandError> {
        match args.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(CommandError::Syntax),
        }
        let (mut min_idle_ms, mut at) = (0, 3);
        if args.is(3, "IDLE") {
            min_idle_ms = args.integer(4)?;
            if args.len() < 8 {
                return Err(CommandError::Syntax);
            }
            at = 5;
        }
        let count = usize::try_from(args.integer(at + 2)?).unwrap_or(0);
        Ok(Some(Shown {
            min_idle_ms,
            start: parse_start(&args[at])?,
            end: parse_end(&args[at + 1])?,
            count,
            consumer: args.get(at + 3),
        }))
    }

    fn find<'v>(
        &self,
        view: &View<'_>,
        all: impl Iterator<Item = StreamPending<'v>>,
    ) -> Result<Vec<StreamPending<'v>>, CommandError> {
        let now_ms = view.now_ms();
        let mut found = Vec::new();
        for pending in all.take_while(|pending| pending.id <= self.end) {
            if found.len() >= self.count {
                break;
            }
            if self.min_idle_ms == 0 || idle_ms(now_ms, pending) >= self.min_idle_ms {
                found.push(pending);
                view.check_growth(found.len())?;
            }
        }
        Ok(found)
    }
}

/// How long ago it was delivered; negative if the clock was set back.
pub(super) fn idle_ms(now_ms: u64, pending: StreamPending<'_>) -> i64 {
    now_ms.wrapping_sub(pending.delivered_ms) as i64
}

fn write_summary(group: StreamGroup<'_>, reply: &mut dyn Reply) {
    reply.array(4);
    reply.integer(group.pending_count() as i64);
    let Some((first, last)) = group.pending_bounds() else {
        reply.null();
        reply.null();
        return reply.null_array();
    };
    id::write(first, reply);
    id::write(last, reply);
    let consumers: Vec<(&[u8], usize)> = group
        .consumers()
        .map(|consumer| (consumer.name(), consumer.pending_count()))
        .filter(|(_, count)| *count > 0)
        .collect();
    reply.array(consumers.len());
    for (name, count) in consumers {
        reply.array(2);
        reply.bulk(name);
        reply.bulk(count.to_string().as_bytes());
    }
}

pub(super) fn xpending(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    let shown = Shown::read(args)?;
    let stream = view.stream(&args[1])?;
    let group = stream
        .and_then(|stream| stream.group(&args[2]))
        .ok_or_else(|| no_group(&args[1], &args[2], ""))?;
    let Some(shown) = shown else {
        write_summary(group, reply);
        return Ok(());
    };
    let found = match shown.consumer {
        None => shown.find(view, group.pending_from(shown.start))?,
        Some(name) => match group.consumer(name) {
            Some(consumer) => shown.find(view, consumer.pending_from(shown.start))?,
            None => Vec::new(),
        },
    };
    let now_ms = view.now_ms();
    reply.array(found.len());
    for pending in found {
        reply.array(4);
        id::write(pending.id, reply);
        reply.bulk(pending.consumer);
        reply.integer(idle_ms(now_ms, pending).max(0));
        reply.integer(i64::try_from(pending.deliveries).unwrap_or(i64::MAX));
    }
    Ok(())
}
