//! The script engine: Lua on fibers that can be suspended and abandoned at any instruction.
//!
//! One `Engine` per thread makes a `Run` for each script. A run proceeds by `Run::resume` until
//! its slice ends, until the `Host` makes it wait, or to its end. It knows nothing of commands or
//! of storage: whatever it reaches goes through the host.

mod arena;
mod call;
mod compat;
mod convert;
mod engine;
mod error;
mod error_handler;
mod fiber;
mod library;
mod lua_reply;
mod number;
mod preempt;
mod random;
mod sandbox;
mod state;
mod trampoline;

pub use call::{CallContext, Called, Host, LogLevel};
pub use engine::{Engine, Limits, Run, Script, Step};
#[doc(hidden)]
pub use preempt::set_slice_ns;
