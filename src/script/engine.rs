//! Runs of scripts on one thread.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, mem};

use crate::resp::reply::Reply;

use super::call::Host;
use super::convert::{Converter, bytes_at};
use super::error_handler;
use super::fiber::{Fiber, Slice, StackPool};
use super::functions::register::{self, RegisterError, Registered};
use super::preempt::{self, Suspension};
use super::state::{Outcome, State};

/// Idle interpreters kept.
const IDLE_STATES: usize = 4;

/// What is run of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The body.
    Script,
    /// Nothing: the body is only compiled.
    Check,
    /// The body, to learn which functions it registers.
    Library,
    /// A function that the body registers.
    Function {
        /// Its name.
        name: Box<[u8]>,
        /// The digest of the library.
        library: [u8; 40],
    },
}

/// A script as it was loaded.
#[derive(Clone, Debug)]
pub struct Script {
    /// SHA-1 of the body, in hexadecimal digits; of a library or a function, a digest that no script
    /// has.
    pub sha: [u8; 40],
    /// The text, with its header if it has one.
    pub body: Arc<[u8]>,
    /// What of it is run.
    pub kind: Kind,
}

impl Script {
    /// What it is called in errors and in the log: its SHA-1, or the function's name.
    pub fn name(&self) -> &[u8] {
        match &self.kind {
            Kind::Function { name, .. } => name,
            Kind::Script | Kind::Check | Kind::Library => &self.sha,
        }
    }

    /// The digest of what is compiled.
    pub(super) fn chunk_sha(&self) -> &[u8; 40] {
        match &self.kind {
            Kind::Function { library, .. } => library,
            Kind::Script | Kind::Check | Kind::Library => &self.sha,
        }
    }

    /// What Lua compiles.
    pub(super) fn source(&self) -> &[u8] {
        without_header(&self.body)
    }

    /// The address of the digest and that of the source.
    pub(super) fn parts(&self) -> (*const [u8; 40], *const [u8]) {
        (self.chunk_sha(), self.source())
    }
}

/// `body` without a first line that begins with `#!`; the line's end stays, so that lines keep
/// their numbers.
fn without_header(body: &[u8]) -> &[u8] {
    if !body.starts_with(b"#!") {
        return body;
    }
    let end = body
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(body.len());
    &body[end..]
}

/// The error of a text that the compiler refuses.
pub(super) fn no_script(message: &[u8]) -> Vec<u8> {
    [b"Error compiling script (new function): ", message].concat()
}

/// What one run may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Lua memory, beyond what the interpreter itself takes.
    pub memory_bytes: usize,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its slice ended; it goes on when resumed.
    Preempted,
    /// The host asked for a call to be made again; that happens when the run is resumed.
    Waiting,
    /// It returned or failed.
    Done,
    /// It used more memory than it may. It cannot go on.
    OutOfMemory,
    /// Something that it called panicked. It cannot go on.
    Panicked,
}

/// How often all threads were asked to drop their idle interpreters.
static DROPS_ASKED: AtomicU64 = AtomicU64::new(0);

/// Lets all engines drop their idle interpreters when they next need one.
pub(super) fn ask_to_drop_idle() {
    // Relaxed: what a thread misses now it sees at its next script.
    DROPS_ASKED.fetch_add(1, Ordering::Relaxed);
}

struct Shared {
    #[expect(clippy::vec_box, reason = "Lua refers to a state by its address")]
    idle: RefCell<Vec<Box<State>>>,
    stacks: Rc<StackPool>,
    /// `DROPS_ASKED` when the idle ones were last dropped.
    drops_done: Cell<u64>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        preempt::release();
    }
}

impl Shared {
    /// An idle interpreter, best one that knows `script` already.
    fn take_state(&self, script: Option<&Script>) -> Result<Box<State>, String> {
        self.drop_idle_if_asked();
        let mut idle = self.idle.borrow_mut();
        let known =
            script.and_then(|script| idle.iter().rposition(|state| state.has_compiled(script)));
        let found = match known {
            Some(index) if index + 1 == idle.len() => idle.pop(),
            Some(index) => Some(idle.swap_remove(index)),
            None => idle.pop(),
        };
        found.map_or_else(State::new, Ok)
    }

    fn drop_idle_if_asked(&self) {
        // Relaxed: see `ask_to_drop_idle`.
        let asked = DROPS_ASKED.load(Ordering::Relaxed);
        if self.drops_done.replace(asked) != asked {
            self.idle.borrow_mut().clear();
        }
    }

    fn put_state(&self, mut state: Box<State>) {
        let mut idle = self.idle.borrow_mut();
        if state.end_run() && idle.len() < IDLE_STATES {
            idle.push(state);
        }
    }
}

/// The script engine of one thread.
///
/// Each run has an interpreter and a stack of its own while it is in flight; the caller bounds how
/// many that are. A run's slice ends after about a millisecond.
pub struct Engine {
    shared: Rc<Shared>,
}

impl Engine {
    /// An engine for the calling thread.
    ///
    /// # Errors
    /// The system refuses a timer.
    pub fn new() -> Result<Engine, String> {
        preempt::acquire()
            .map_err(|error| format!("cannot create a timer for scripts: {error}"))?;
        let shared = Shared {
            idle: RefCell::default(),
            stacks: Rc::default(),
            drops_done: Cell::new(DROPS_ASKED.load(Ordering::Relaxed)),
        };
        Ok(Engine {
            shared: Rc::new(shared),
        })
    }

    /// Compiles `body` and forgets it.
    ///
    /// # Errors
    /// It is not a valid script; the text is Redis's, without an error code.
    pub fn check(&self, body: &[u8]) -> Result<(), Vec<u8>> {
        let mut state = self.shared.take_state(None)?;
        let result = state.check(without_header(body));
        self.shared.put_state(state);
        result.map_err(|message| no_script(&message))
    }

    /// Drops the interpreters that no script runs in, if that was asked.
    pub(super) fn drop_idle(&self) {
        self.shared.drop_idle_if_asked();
    }

    /// Whether a float without a fraction reads as an integer does (`10/2` as `5`), as scripts
    /// written for Redis expect. False if Lua was built without this project's build settings.
    pub fn has_redis_numbers(&self) -> bool {
        self.shared.take_state(None).is_ok_and(|mut state| {
            let answer = state.has_redis_numbers();
            self.shared.put_state(state);
            answer
        })
    }

    /// Prepares a run; nothing of the script runs before `Run::resume`.
    ///
    /// # Errors
    /// The system refuses memory for the run's stack.
    pub fn start<'a>(
        &mut self,
        script: &Arc<Script>,
        keys: impl IntoIterator<Item = &'a [u8], IntoIter: ExactSizeIterator>,
        arguments: impl IntoIterator<Item = &'a [u8], IntoIter: ExactSizeIterator>,
        limits: Limits,
    ) -> Result<Run, String> {
        let mut state = self.shared.take_state(Some(script))?;
        state.begin_run(script, limits.memory_bytes);
        let (keys, arguments) = (keys.into_iter(), arguments.into_iter());
        match script.kind {
            Kind::Check => {}
            Kind::Script => state.set_arguments(keys, arguments),
            Kind::Library | Kind::Function { .. } => state.push_arguments(keys, arguments),
        }
        let data = (&raw mut *state).cast::<()>();
        // SAFETY: `State::run` keeps nothing droppable on its stack while Lua runs, and every
        // Rust function below it drops its values before the fiber is suspended (see
        // `trampoline`). The run keeps the state in its box for as long as the fiber.
        let fiber = unsafe { Fiber::new(&self.shared.stacks, State::run, data) };
        let fiber =
            fiber.map_err(|error| format!("cannot create a stack for a script: {error}"))?;
        Ok(Run {
            fiber: Some(fiber),
            state: Some(state),
            shared: Rc::clone(&self.shared),
            dead: None,
        })
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").finish_non_exhaustive()
    }
}

/// One script in flight. Dropping it stops the script where it is, for good.
pub struct Run {
    /// Declared, and so dropped, before the state whose code it runs.
    fiber: Option<Fiber>,
    state: Option<Box<State>>,
    shared: Rc<Shared>,
    /// Why it can no longer go on.
    dead: Option<Step>,
}

impl Run {
    /// Lets the script run for a slice. Nothing happens after `Done`, `OutOfMemory` or `Panicked`.
    pub fn resume(&mut self, host: &mut dyn Host) -> Step {
        if let Some(step) = self.dead {
            return step;
        }
        let (Some(fiber), Some(state)) = (self.fiber.as_mut(), self.state.as_mut()) else {
            return Step::Done;
        };
        // SAFETY: changes only the lifetime: the pointer is used while `host` is borrowed and
        // forgotten before this function returns.
        let host = unsafe {
            mem::transmute::<NonNull<dyn Host + '_>, NonNull<dyn Host>>(NonNull::from(host))
        };
        state.host = Some(host);
        let slice = fiber.resume();
        state.host = None;
        match slice {
            Slice::Suspended(Suspension::PreemptedInSignal | Suspension::Preempted) => {
                state.set_long_run(true);
                Step::Preempted
            }
            Slice::Suspended(Suspension::Waiting) => Step::Waiting,
            Slice::Suspended(Suspension::OutOfMemory) => self.die(Step::OutOfMemory),
            Slice::Suspended(Suspension::Panicked) => self.die(Step::Panicked),
            Slice::Returned => {
                self.fiber = None;
                if state.failed_for_memory() {
                    self.die(Step::OutOfMemory)
                } else {
                    Step::Done
                }
            }
        }
    }

    fn die(&mut self, step: Step) -> Step {
        *self.dead.insert(step)
    }

    /// Bytes that Lua uses for the run, garbage that was not collected included.
    pub fn memory_bytes(&self) -> usize {
        let state = self.state.as_ref();
        state.map_or(0, |state| state.arena().run_bytes())
    }

    /// Whether the script raised an error. Meaningful after `Done`.
    pub fn failed(&self) -> bool {
        self.outcome() == Outcome::Failed
    }

    /// Writes the value that the script returned, or its error. Meaningful after `Done`, once.
    pub fn write_result(&mut self, reply: &mut dyn Reply) {
        let Some(state) = self.state.as_ref() else {
            return;
        };
        match state.outcome {
            Outcome::Unfinished => reply.error(b"ERR the script has not finished"),
            // SAFETY: the script has returned, its value is on top of the stack.
            Outcome::Returned => unsafe {
                let used_bytes = state.arena().used_bytes();
                Converter::convert(state.lua(), state.protocol, used_bytes, reply);
            },
            Outcome::Failed => {
                let name = state.script().map_or(&b""[..], Script::name);
                // SAFETY: the script has ended, its error is on top of the stack.
                reply.error(&unsafe { error_handler::compose(state.lua(), name) });
            }
        }
    }

    /// The error of a body that was only to be compiled, if it is no script. Meaningful after `Done`.
    pub(super) fn compile_error(&self) -> Option<Vec<u8>> {
        let state = self.state.as_ref().filter(|_| self.failed())?;
        // SAFETY: the compiler has ended, its message is on top of the stack.
        let message = unsafe { bytes_at(state.lua(), -1) };
        Some(no_script(message.unwrap_or_default()))
    }

    /// What a library has registered, or why it could not. Meaningful after `Done`, once.
    pub(super) fn take_registered(&mut self) -> Result<Vec<Registered>, RegisterError> {
        let Some(state) = self.state.as_mut() else {
            return Ok(Vec::new());
        };
        if state.outcome == Outcome::Returned {
            return Ok(state.registering.take());
        }
        // SAFETY: the library has ended, its error is on top of the stack.
        Err(unsafe { register::error_on_top(state.lua()) })
    }

    fn outcome(&self) -> Outcome {
        self.state
            .as_ref()
            .map_or(Outcome::Unfinished, |state| state.outcome)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let unfinished = self.fiber.take().is_some();
        if let Some(state) = self.state.take()
            && !unfinished
        {
            self.shared.put_state(state);
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Run")
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}
