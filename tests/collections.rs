//! Commands of ordered collections, family by family, and waiting for their elements.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

#[path = "commands/blocking.rs"]
mod blocking;
#[path = "commands/list.rs"]
mod list;
#[path = "commands/random_collections.rs"]
mod random_collections;
#[path = "commands/sorted_set.rs"]
mod sorted_set;
#[path = "commands/stream.rs"]
mod stream;
