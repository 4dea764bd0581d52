//! What a command is, and all of them, one file per family.

pub mod args;
pub mod command;
pub mod connection;
pub mod error;
pub mod scripting;
pub mod string;
pub mod table;
pub mod transaction;
pub mod view;
