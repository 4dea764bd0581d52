//! What a command is, and all of them, one file per family.

pub mod args;
pub mod client;
pub mod cluster;
pub mod command;
pub mod config;
pub mod connection;
pub mod counter;
pub mod dump;
pub mod error;
pub mod expire;
pub mod function;
pub mod hash;
pub mod introspection;
pub mod key;
pub mod keyspace;
pub mod lcs;
pub mod list;
pub mod object;
#[cfg(test)]
mod panicking;
pub mod pubsub;
mod ranges;
mod sample;
pub mod scan;
pub mod script_stats;
pub mod scripting;
pub mod server;
pub mod set;
mod set_options;
pub mod snapshot;
pub mod sorted_set;
pub mod stream;
pub mod string;
pub mod table;
mod taking;
pub mod transaction;
pub mod view;
