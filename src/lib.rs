//! A Redis-compatible in-memory store in which a Lua script is an optimistic transaction.
//!
//! The way of a request: `server` (sockets) → `session` (one client's protocol) → `resp::parser` →
//! `commands::table` → a handler over a `commands::view::View` (or a script, through `script`) →
//! `darter_storage` → `resp::encode` → the socket.

pub mod blocking;
pub mod client_memory;
pub mod clients;
mod collection;
pub mod commands;
pub mod config;
mod fault;
pub mod glob;
mod habit;
pub mod info;
pub mod interest;
pub mod latency;
pub mod memory;
mod memory_figures;
pub mod monitor;
pub mod notifications;
pub mod pubsub;
pub mod rdb;
pub mod resp;
pub mod scan_cursors;
pub mod script;
pub mod script_stats;
pub mod server;
pub mod services;
pub mod session;
pub mod slow_log;
pub mod stats;
mod system_time;
mod wakers;
pub mod watchdog;
