//! What a command is, and all of them, one file per family.

pub mod args;
pub mod client;
pub mod command;
pub mod config;
pub mod connection;
pub mod counter;
pub mod error;
pub mod expire;
pub mod hash;
pub mod introspection;
pub mod key;
pub mod keyspace;
pub mod lcs;
pub mod object;
pub mod pubsub;
mod sample;
pub mod scan;
pub mod scripting;
pub mod server;
pub mod set;
mod set_options;
pub mod string;
pub mod table;
pub mod transaction;
pub mod view;
