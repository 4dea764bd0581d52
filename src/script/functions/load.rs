//! The load of a library: its body runs once, to learn which functions it has.

use std::sync::Arc;
use std::time::Duration;

use super::register::RegisterError;
use super::{Library, MetadataError, name_of};
use crate::script::cache::digest_of;
use crate::script::engine::{Kind, Limits, Run, Script, Step};
use crate::script::{Host, with_engine};

/// How long libraries may run that are loaded together.
pub const LOAD_MAX: Duration = Duration::from_millis(500);

/// Why a library could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Its first line is wrong.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Its body has failed.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// It has run for too long.
    #[error("Error registering functions: ERR FUNCTION LOAD timeout")]
    Timeout,
    /// It has taken more memory than a script may.
    #[error("Error registering functions: ERR not enough memory")]
    OutOfMemory,
    /// It has no functions.
    #[error("No functions registered")]
    NoFunctions,
    /// The system refuses what a run needs.
    #[error("{0}")]
    System(String),
}

impl LoadError {
    /// The text that clients get; what they sent stands in it byte for byte.
    pub fn text(&self) -> Vec<u8> {
        match self {
            LoadError::Metadata(error) => error.text(),
            LoadError::Register(error) => error.text(),
            other => other.to_string().into(),
        }
    }
}

/// How long the calling thread has run. What it waited for a processor does not count, so that a
/// busy machine refuses no library.
fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes one time to where it is pointed to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// A library that is being loaded.
#[derive(Debug)]
pub struct Loading {
    name: Box<[u8]>,
    script: Arc<Script>,
    run: Run,
}

impl Loading {
    /// Prepares the load.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn begin(code: Arc<[u8]>, limits: Limits) -> Result<Loading, LoadError> {
        let name = name_of(&code)?.into();
        let script = Arc::new(Script {
            sha: digest_of(&[b"library", &code]),
            body: code,
            kind: Kind::Library,
        });
        let run = with_engine(|engine| engine.start(&script, [], [], limits));
        let run = run.and_then(|run| run).map_err(LoadError::System)?;
        Ok(Loading { name, script, run })
    }

    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Runs the body for a slice, and adds what that took to `used`. `None` if it has to go on.
    pub fn advance(
        &mut self,
        host: &mut dyn Host,
        used: &mut Duration,
    ) -> Option<Result<Library, LoadError>> {
        let began = thread_time();
        let step = self.run.resume(host);
        *used += thread_time().saturating_sub(began);
        match step {
            Step::Done => Some(self.finish()),
            Step::OutOfMemory => Some(Err(LoadError::OutOfMemory)),
            // Told and counted where the session's panics end, like any other.
            Step::Panicked => std::panic::resume_unwind(Box::new("in a library")),
            Step::Preempted | Step::Waiting if *used >= LOAD_MAX => Some(Err(LoadError::Timeout)),
            Step::Preempted | Step::Waiting => None,
        }
    }

    fn finish(&mut self) -> Result<Library, LoadError> {
        let registered = self.run.take_registered()?;
        if registered.is_empty() {
            return Err(LoadError::NoFunctions);
        }
        Ok(Library::new(&self.name, &self.script, registered))
    }
}
