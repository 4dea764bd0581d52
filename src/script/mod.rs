//! The script engine: Lua on fibers that can be suspended and abandoned at any instruction.
//!
//! One `Engine` per thread makes a `Run` for each script. A run proceeds by `Run::resume` until
//! its slice ends, until the `Host` makes it wait, or to its end. It knows nothing of commands or
//! of storage: whatever it reaches goes through the host.

mod arena;
pub mod cache;
mod call;
mod compat;
mod compiling;
mod convert;
mod engine;
mod error;
mod error_handler;
mod fiber;
pub mod flags;
pub mod found;
pub mod functions;
mod gsub;
mod library;
mod lua_reply;
mod number;
mod preempt;
mod random;
mod sandbox;
mod state;
mod trampoline;

pub use call::{CallContext, Called, Host, LogLevel};
pub use compiling::Compiling;
pub use engine::{Engine, Kind, Limits, Run, Script, Step};
#[doc(hidden)]
pub use preempt::set_slice_ns;

/// The tag of a key, which stands in the first pair of braces: keys of one tag belong together.
pub fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let open = memchr::memchr(b'{', key)?;
    let rest = &key[open + 1..];
    let close = memchr::memchr(b'}', rest)?;
    (close > 0).then(|| &rest[..close])
}

thread_local! {
    static ENGINE: std::cell::RefCell<Option<Engine>> = const { std::cell::RefCell::new(None) };
}

/// Calls `work` with the calling thread's engine, made at its first use.
///
/// # Errors
/// The system refuses a timer.
pub fn with_engine<T>(work: impl FnOnce(&mut Engine) -> T) -> Result<T, String> {
    ENGINE.with_borrow_mut(|engine| {
        let engine = match engine {
            Some(engine) => engine,
            None => engine.insert(Engine::new()?),
        };
        Ok(work(engine))
    })
}

/// Drops the idle interpreters of the calling thread now, those of other threads when they next run
/// a script.
///
/// # Errors
/// The system refuses a timer.
pub fn drop_idle() -> Result<(), String> {
    engine::ask_to_drop_idle();
    with_engine(|engine| engine.drop_idle())
}

/// Compiles a script and forgets it.
///
/// # Errors
/// It is not a valid script; the text is Redis's, without an error code.
pub fn check(body: &[u8]) -> Result<(), Vec<u8>> {
    with_engine(|engine| engine.check(body))?
}
