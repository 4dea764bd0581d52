//! A long text that is compiled by slices, to learn whether it is a script.

use std::sync::Arc;

use crate::resp::reply::Reply;

use super::cache::Sha;
use super::engine::{Kind, Limits, Run, Script, Step, no_script};
use super::{CallContext, Called, Host, LogLevel, with_engine};

/// A text that is being compiled.
#[derive(Debug)]
pub struct Compiling {
    run: Run,
}

impl Compiling {
    /// Prepares it, with its SHA-1.
    ///
    /// # Errors
    /// The system refuses what a run needs.
    pub fn begin((sha, body): (Sha, &[u8]), limits: Limits) -> Result<Compiling, String> {
        let script = Arc::new(Script {
            sha,
            body: body.into(),
            kind: Kind::Check,
        });
        let run = with_engine(|engine| engine.start(&script, [], [], limits));
        Ok(Compiling { run: run?? })
    }

    /// Compiles for a slice. `None` if it has to go on; else the error of a text that is no script.
    pub fn advance(&mut self) -> Option<Result<(), Vec<u8>>> {
        match self.run.resume(&mut Nobody) {
            Step::Preempted | Step::Waiting => None,
            Step::Done => Some(self.run.compile_error().map_or(Ok(()), Err)),
            Step::OutOfMemory => Some(Err(no_script(b"not enough memory"))),
            // Told and counted where the session's panics end, like any other.
            Step::Panicked => std::panic::resume_unwind(Box::new("in a compiler")),
        }
    }
}

/// What a text reaches while it is compiled.
struct Nobody;

impl Host for Nobody {
    fn call(&mut self, _: &CallContext, _: &[&[u8]], reply: &mut dyn Reply) -> Called {
        reply.null();
        Called::Done
    }

    fn log(&mut self, _: LogLevel, _: &[u8]) {}

    fn abort(&mut self, _: &[u8]) {}

    fn random(&mut self) -> u64 {
        0
    }

    fn may_run(&mut self, _: &[&[u8]]) -> Option<bool> {
        None
    }
}
