//! What a command is, and all of them, one file per family.

pub mod args;
pub mod client;
pub mod command;
pub mod config;
pub mod connection;
pub mod error;
pub mod introspection;
pub mod pubsub;
pub mod scripting;
pub mod server;
pub mod string;
pub mod table;
pub mod transaction;
pub mod view;
