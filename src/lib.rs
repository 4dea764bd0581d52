//! A Redis-compatible in-memory store in which a Lua script is an optimistic transaction.

pub mod resp;
pub mod script;
