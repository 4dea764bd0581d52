//! FUNCTION LOAD and FUNCTION RESTORE: libraries run by slices, as scripts do, and take effect
//! together.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::script_host::write_log;
use super::{Core, Pending, Step, TURN, dispatch};
use crate::commands::args::Args;
use crate::commands::command::{Control, unknown_option};
use crate::commands::error::CommandError;
use crate::commands::view::has_room;
use crate::fault::fault;
use crate::resp::encode::Encoder;
use crate::resp::reply::Reply;
use crate::script::functions::load::{LoadError, Loading};
use crate::script::functions::{Library, Policy, RegistryError, payload};
use crate::script::{CallContext, Called, Host, Limits, LogLevel};

/// Libraries that are being loaded.
pub(super) struct Load {
    waiting: VecDeque<Arc<[u8]>>,
    running: Option<Loading>,
    loaded: Vec<Library>,
    /// The first one's name, once they have taken effect.
    name: Option<Box<[u8]>>,
    policy: Policy,
    is_restore: bool,
    /// How long their bodies have run.
    used: Duration,
}

/// Runs the command. Its bodies have their first slice when it is polled.
pub(super) fn run(
    core: &mut Core,
    control: Control,
    args: &Args<'_>,
    output: &mut Vec<u8>,
) -> Option<Box<dyn Pending>> {
    match Load::begin(core, control, args) {
        Ok(load) => Some(Box::new(load)),
        Err(error) => {
            dispatch::fail(core, &error, output);
            None
        }
    }
}

fn already_exists(name: &[u8]) -> CommandError {
    CommandError::naming("Library '", name, "' already exists")
}

fn failed(error: &LoadError) -> CommandError {
    CommandError::err(error.text())
}

impl Load {
    pub(super) fn begin(
        core: &Core,
        control: Control,
        args: &Args<'_>,
    ) -> Result<Load, CommandError> {
        if control == Control::FunctionRestore {
            return Load::begin_restore(core, args);
        }
        let last = args.len() - 1;
        let mut policy = Policy::Append;
        for at in 2..last {
            if !args.is(at, "REPLACE") {
                return Err(CommandError::naming(
                    "Unknown option given: ",
                    &args[at],
                    "",
                ));
            }
            policy = Policy::Replace;
        }
        if !has_room(&core.services, args[last].len()) {
            return Err(CommandError::OutOfMemory);
        }
        let loading = begin_library(core, Arc::from(&args[last]))?;
        let functions = &core.services.functions;
        let is_there = functions.libraries().get(loading.name()).is_some();
        if is_there && policy == Policy::Append {
            return Err(already_exists(loading.name()));
        }
        if fault!("a failed load replaces the old library") {
            functions.delete(loading.name());
        }
        Ok(Load {
            waiting: VecDeque::new(),
            running: Some(loading),
            loaded: Vec::new(),
            name: None,
            policy,
            is_restore: false,
            used: Duration::ZERO,
        })
    }

    fn begin_restore(core: &Core, args: &Args<'_>) -> Result<Load, CommandError> {
        if args.len() > 4 {
            return Err(unknown_option(args));
        }
        let policies = [
            ("APPEND", Policy::Append),
            ("REPLACE", Policy::Replace),
            ("FLUSH", Policy::Flush),
        ];
        let named = policies.into_iter().find(|(name, _)| args.is(3, name));
        let policy = match (args.get(3), named) {
            (None, _) => Policy::Append,
            (Some(_), Some((_, policy))) => policy,
            (Some(_), None) => {
                return Err(CommandError::text(
                    "ERR Wrong restore policy given, value should be either FLUSH, APPEND or \
                     REPLACE.",
                ));
            }
        };
        let texts = payload::restore(&args[2], |bytes| has_room(&core.services, bytes));
        let texts = texts.map_err(|error| match error {
            payload::PayloadError::OutOfMemory => CommandError::OutOfMemory,
            error => CommandError::err(error.to_string()),
        })?;
        Ok(Load {
            waiting: texts.into(),
            running: None,
            loaded: Vec::new(),
            name: None,
            policy,
            is_restore: true,
            used: Duration::ZERO,
        })
    }

    /// Runs bodies for a turn. `None` if there are more to run.
    pub(super) fn advance(&mut self, core: &Core) -> Option<Result<(), CommandError>> {
        let began = Instant::now();
        loop {
            let mut loading = match self.running.take() {
                Some(loading) => loading,
                None => match self.waiting.pop_front() {
                    None => return Some(self.take_effect(core)),
                    Some(text) => match begin_library(core, text) {
                        Ok(loading) => loading,
                        Err(error) => return Some(Err(error)),
                    },
                },
            };
            match loading.advance(&mut LoadHost, &mut self.used) {
                None => self.running = Some(loading),
                Some(Ok(library)) => self.loaded.push(library),
                Some(Err(error)) => return Some(Err(failed(&error))),
            }
            let has_more = self.running.is_some() || !self.waiting.is_empty();
            if has_more && began.elapsed() >= TURN {
                return None;
            }
        }
    }

    fn take_effect(&mut self, core: &Core) -> Result<(), CommandError> {
        let loaded = std::mem::take(&mut self.loaded);
        self.name = loaded.first().map(|library| library.name.clone());
        let added = core.services.functions.add(loaded, self.policy);
        added.map_err(|error| match error {
            RegistryError::LibraryExists(name) if !self.is_restore => {
                already_exists(name.as_bytes())
            }
            error => CommandError::err(error.to_string()),
        })
    }

    /// Replies that everything has taken effect.
    pub(super) fn write_reply(&self, reply: &mut dyn Reply) {
        match &self.name {
            Some(name) if !self.is_restore => reply.bulk(name),
            _ => reply.status("OK"),
        }
    }
}

fn begin_library(core: &Core, text: Arc<[u8]>) -> Result<Loading, CommandError> {
    let memory_bytes = core
        .services
        .config
        .lua_memory_bytes
        .load(Ordering::Relaxed);
    Loading::begin(text, Limits { memory_bytes }).map_err(|error| failed(&error))
}

impl Pending for Load {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, _waker: &Waker) -> Step {
        match self.advance(core) {
            None => return Step::Yields,
            Some(Ok(())) => self.write_reply(&mut Encoder::new(output, core.client.protocol)),
            Some(Err(error)) => dispatch::fail(core, &error, output),
        }
        Step::Done
    }

    fn outlives_client(&self) -> bool {
        true
    }
}

/// What a library reaches while it is loaded: the log.
struct LoadHost;

impl Host for LoadHost {
    fn call(&mut self, _: &CallContext, _: &[&[u8]], reply: &mut dyn Reply) -> Called {
        reply.error(b"ERR This Redis command is not allowed from script");
        Called::Done
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        write_log(level, message);
    }

    /// Not among what a library finds while it is loaded.
    fn abort(&mut self, _: &[u8]) {}

    fn random(&mut self) -> u64 {
        RandomState::new().build_hasher().finish()
    }

    fn may_run(&mut self, _: &[&[u8]]) -> Option<bool> {
        None
    }
}
