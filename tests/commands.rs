//! The server from outside: commands, family by family, and what holds for all of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

#[path = "server/mod.rs"]
mod server;

#[path = "commands/hash.rs"]
mod hash;
#[path = "commands/key.rs"]
mod key;
#[path = "commands/random.rs"]
mod random;
#[path = "commands/set.rs"]
mod set;
#[path = "commands/string.rs"]
mod string;
#[path = "commands/table.rs"]
mod table;
