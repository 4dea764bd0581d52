//! How XADD and XTRIM shorten a stream.

use darter_storage::{StreamId, StreamMut};

use std::sync::atomic::Ordering;

use super::id::parse_exact;
use crate::commands::args::Options;
use crate::commands::error::CommandError;
use crate::services::Services;

/// How many nodes go at most in one call where exactness is not asked for, and how many entries.
const NODES_MAX: usize = 100;
const LIMIT_MAX: usize = 1_000_000;

/// How many entries go together where exactness is not asked for, as Redis keeps them in nodes.
pub(super) fn node_entries(services: &Services) -> usize {
    // Relaxed: an option, read anew each time.
    match services.config.stream_node_entries.load(Ordering::Relaxed) {
        0 => usize::MAX,
        entries => entries,
    }
}

#[derive(Clone, Copy)]
enum Keep {
    /// The last so many.
    Last(usize),
    /// Those from an ID on.
    From(StreamId),
}

/// What is to be kept of a stream.
#[derive(Clone, Copy, Default)]
pub(super) struct Trim {
    keep: Option<Keep>,
    is_approximate: bool,
    limit: Option<usize>,
}

impl Trim {
    /// Takes one option with its value, if one of these is next.
    ///
    /// # Errors
    /// If the value is not what the option asks for.
    pub(super) fn take(&mut self, options: &mut Options<'_>) -> Result<bool, CommandError> {
        if options.left() < 2 {
            return Ok(false);
        }
        if options.take("LIMIT") {
            let limit = options.integer()?;
            self.limit = Some(
                usize::try_from(limit)
                    .map_err(|_| CommandError::text("ERR The LIMIT argument must be >= 0."))?,
            );
            return Ok(true);
        }
        let by_length = options.take("MAXLEN");
        if !by_length && !options.take("MINID") {
            return Ok(false);
        }
        if self.keep.is_some() {
            return Err(CommandError::text(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        if options.left() > 1 {
            self.is_approximate = options.take("~");
            if !self.is_approximate {
                options.take("=");
            }
        }
        self.keep = Some(if by_length {
            let length = options.integer()?;
            Keep::Last(
                usize::try_from(length)
                    .map_err(|_| CommandError::text("ERR The MAXLEN argument must be >= 0."))?,
            )
        } else {
            Keep::From(parse_exact(options.next()?, 0)?)
        });
        Ok(true)
    }

    /// Checks the options together, after the last. XTRIM has to say what to keep.
    ///
    /// # Errors
    /// If they do not fit together.
    pub(super) fn check(&self, is_xtrim: bool) -> Result<(), CommandError> {
        match self.limit {
            Some(1..) if self.keep.is_none() => Err(CommandError::text(
                "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
            )),
            _ if is_xtrim && self.keep.is_none() => Err(CommandError::text(
                "ERR syntax error, XTRIM must be called with a trimming strategy",
            )),
            Some(_) if !self.is_approximate => Err(CommandError::text(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            )),
            _ => Ok(()),
        }
    }

    /// Shortens a stream of which so many entries go together; how many have gone.
    pub(super) fn apply(&self, stream: &mut StreamMut<'_>, node_entries: usize) -> usize {
        let entries = stream.as_ref();
        let length = entries.len();
        let limit_default = node_entries.saturating_mul(NODES_MAX).min(LIMIT_MAX);
        let limit = match self.limit.unwrap_or(limit_default) {
            limit @ 1.. if self.is_approximate => limit,
            _ => usize::MAX,
        };
        let excess = match self.keep {
            None => 0,
            Some(Keep::Last(kept)) => length.saturating_sub(kept).min(limit),
            // No more are looked at than may go.
            Some(Keep::From(first)) => entries
                .iter_from(StreamId::default())
                .take_while(|(id, _)| *id < first)
                .take(limit)
                .count(),
        };
        let count = if self.is_approximate && excess < length {
            // Nodes go as a whole, the last one too if nothing stays. Of the first one as many have
            // gone as make it a whole one.
            let gone = usize::try_from(entries.entries_added())
                .unwrap_or(length)
                .saturating_sub(length);
            let end = gone.saturating_add(excess);
            (end - end % node_entries).saturating_sub(gone)
        } else {
            excess
        };
        if count == 0 {
            return 0;
        }
        stream.trim_front(count)
    }
}
