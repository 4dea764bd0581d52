//! What XREAD and XREADGROUP are asked for.

use crate::commands::args::{Args, Options};
use crate::commands::error::CommandError;
use crate::resp::number::parse_integer;

/// Who reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// XREAD.
    Alone,
    /// XREADGROUP.
    ForGroup,
}

/// The options and streams of a call.
pub(super) struct Query<'a> {
    /// Entries of each stream.
    pub(super) count: usize,
    pub(super) timeout_ms: Option<u64>,
    /// The names of a group and a consumer.
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    /// Whether what is read counts as acknowledged.
    pub(super) is_acknowledged: bool,
    pub(super) keys: &'a [&'a [u8]],
    pub(super) ids: &'a [&'a [u8]],
    /// Where the IDs are among the arguments.
    pub(super) ids_at: usize,
}

fn timeout_ms(argument: &[u8]) -> Result<u64, CommandError> {
    let timeout = parse_integer(argument).ok_or(CommandError::text(
        "ERR timeout is not an integer or out of range",
    ))?;
    u64::try_from(timeout).map_err(|_| CommandError::text("ERR timeout is negative"))
}

impl<'a> Query<'a> {
    pub(super) fn read(
        args: &Args<'a>,
        reads: Reads,
        may_block: bool,
    ) -> Result<Query<'a>, CommandError> {
        let mut query = Query {
            count: usize::MAX,
            timeout_ms: None,
            group: None,
            is_acknowledged: false,
            keys: &[],
            ids: &[],
            ids_at: 0,
        };
        let mut options = args.options(1);
        while !options.is_empty() {
            if options.left() > 1 && options.take("STREAMS") {
                query.read_streams(args, options.position(), reads)?;
                if reads == Reads::ForGroup && query.group.is_none() {
                    return Err(CommandError::text(
                        "ERR Missing GROUP option for XREADGROUP",
                    ));
                }
                return Ok(query);
            }
            query.read_option(&mut options, reads)?;
            if query.timeout_ms.is_some() && !may_block {
                let why = " command is not allowed with BLOCK option from scripts";
                return Err(CommandError::naming("", args.at(0), why));
            }
        }
        Err(CommandError::Syntax)
    }

    fn read_option(&mut self, options: &mut Options<'a>, reads: Reads) -> Result<(), CommandError> {
        let has_value = options.left() > 1;
        if has_value && options.take("BLOCK") {
            self.timeout_ms = Some(timeout_ms(options.next()?)?);
        } else if has_value && options.take("COUNT") {
            // None at all, and less, are no limit.
            let wanted = usize::try_from(options.integer()?).unwrap_or(0);
            self.count = if wanted == 0 { usize::MAX } else { wanted };
        } else if options.left() > 2 && options.take("GROUP") {
            if reads == Reads::Alone {
                return Err(CommandError::text(
                    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD \
                     instead.",
                ));
            }
            self.group = Some((options.next()?, options.next()?));
        } else if options.take("NOACK") {
            if reads == Reads::Alone {
                return Err(CommandError::text(
                    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD \
                     instead.",
                ));
            }
            self.is_acknowledged = true;
        } else {
            return Err(CommandError::Syntax);
        }
        Ok(())
    }

    /// The keys and as many IDs, from `at` on.
    fn read_streams(
        &mut self,
        args: &Args<'a>,
        at: usize,
        reads: Reads,
    ) -> Result<(), CommandError> {
        let rest = args.from(at);
        if !rest.len().is_multiple_of(2) {
            return Err(CommandError::text(match reads {
                Reads::Alone => {
                    "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' \
                     must be specified."
                }
                Reads::ForGroup => {
                    "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or \
                     '>' must be specified."
                }
            }));
        }
        (self.keys, self.ids) = rest.split_at(rest.len() / 2);
        self.ids_at = at + self.keys.len();
        Ok(())
    }

    /// Where the keys are among the arguments.
    pub(super) fn key_positions(&self) -> Vec<usize> {
        (self.ids_at - self.keys.len()..self.ids_at).collect()
    }

    /// The keys, to wait for.
    pub(super) fn kept_keys(&self) -> Vec<Vec<u8>> {
        self.keys.iter().map(|key| key.to_vec()).collect()
    }
}
