//! EVAL and SCRIPT LOAD of a long text that is new: it is compiled by slices before the command runs.

use std::sync::atomic::Ordering;
use std::task::Waker;

use super::dispatch::{self, run_on_connection};
use super::multi::Item;
use super::suspended::{self, Suspended};
use super::{Core, Pending, Step, kept_gate};
use crate::commands::args::{Args, KeptArguments};
use crate::commands::command::{Control, Run};
use crate::commands::error::CommandError;
use crate::commands::table::Entry;
use crate::resp::number::parse_integer;
use crate::script::cache::{LoadError, Retention, sha_of};
use crate::script::flags::Header;
use crate::script::{Compiling, Limits};

/// A text of fewer bytes is compiled in less than a slice.
const LONG_BYTES: usize = 16 * 1024;

/// A command that waits until its text has been compiled.
struct Compile {
    item: Item,
    /// Where the text is among the arguments.
    text_at: usize,
    retention: Retention,
    compiling: Compiling,
    suspended: Option<Suspended>,
}

/// Where the long text is that a command brings, and how it is kept.
fn text_of(entry: Entry, args: &Args<'_>) -> Option<(usize, Retention)> {
    let is_long = |at| args.get(at).is_some_and(|text| text.len() >= LONG_BYTES);
    match entry.command.run {
        Run::Control(Control::Eval { .. }) if is_long(1) => {
            // What is wrong with the other arguments is told first.
            let keys = usize::try_from(parse_integer(args.get(2)?)?).ok()?;
            (keys <= args.len() - 3).then_some((1, Retention::WhileUsed))
        }
        Run::Client(_) if is_long(2) => {
            (entry.full_name() == "script|load").then_some((2, Retention::Always))
        }
        _ => None,
    }
}

/// What has to be done before the command runs, if it brings a long text that nobody knows.
pub(super) fn before(core: &Core, entry: Entry, args: &Args<'_>) -> Option<Box<dyn Pending>> {
    let (text_at, retention) = text_of(entry, args)?;
    let text = args.at(text_at);
    // Each that waits has an interpreter: beyond the limit one is compiled after the other.
    if suspended::are_too_many(core) || Header::of(text).is_err() {
        return None;
    }
    let sha = sha_of(text);
    if core.services.scripts.contains(&sha) {
        return None;
    }
    let config = &core.services.config;
    // Relaxed: an option, read anew each time.
    let memory_bytes = config.lua_memory_bytes.load(Ordering::Relaxed);
    let compiling = Compiling::begin((sha, text), Limits { memory_bytes }).ok()?;
    Some(Box::new(Compile {
        item: Item::new(entry, args),
        text_at,
        retention,
        compiling,
        suspended: None,
    }))
}

impl Pending for Compile {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, _waker: &Waker) -> Step {
        kept_gate::release();
        let Some(compiled) = self.compiling.advance() else {
            self.suspended
                .get_or_insert_with(|| Suspended::new(&core.services));
            return Step::Yields;
        };
        let text = self.item.arguments.at(self.text_at);
        let loaded = compiled.map_err(LoadError::Compile).and_then(|()| {
            let scripts = &core.services.scripts;
            scripts.load(text, self.retention, |_| Ok(()))
        });
        if let Err(error) = loaded {
            dispatch::fail(core, &CommandError::err(error.text()), output);
            return Step::Done;
        }
        let arguments = self.item.arguments.to_vec();
        let pending = run_on_connection(core, self.item.entry, &Args::new(&arguments), output);
        pending.map_or(Step::Done, Step::Becomes)
    }

    /// As the script that it is to become.
    fn outlives_client(&self) -> bool {
        true
    }

    fn arguments(&self) -> Option<&KeptArguments> {
        Some(&self.item.arguments)
    }
}
