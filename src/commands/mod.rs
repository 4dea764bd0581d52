//! What a command is, and all of them, one file per family.

pub mod args;
pub mod client;
pub mod command;
pub mod config;
pub mod connection;
pub mod error;
pub mod list;
pub mod pubsub;
mod ranges;
mod sample;
pub mod scripting;
pub mod sorted_set;
pub mod stream;
pub mod string;
pub mod table;
mod taking;
pub mod transaction;
pub mod view;
