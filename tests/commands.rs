//! The server from outside: commands, family by family, and what holds for all of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

#[path = "commands/absent.rs"]
mod absent;
#[path = "commands/admission.rs"]
mod admission;
#[path = "commands/bitmap.rs"]
mod bitmap;
#[path = "commands/blocking.rs"]
mod blocking;
#[path = "commands/blocking_order.rs"]
mod blocking_order;
#[path = "commands/client.rs"]
mod client;
#[path = "commands/config.rs"]
mod config;
#[path = "commands/debug.rs"]
mod debug;
#[path = "commands/dump.rs"]
mod dump;
#[path = "commands/function.rs"]
mod function;
#[path = "commands/geo.rs"]
mod geo;
#[path = "commands/hash.rs"]
mod hash;
#[path = "commands/hash_deadlines.rs"]
mod hash_deadlines;
#[path = "commands/hyperloglog.rs"]
mod hyperloglog;
#[path = "commands/key.rs"]
mod key;
#[path = "commands/list.rs"]
mod list;
#[path = "commands/memory.rs"]
mod memory;
#[path = "commands/old_encodings.rs"]
mod old_encodings;
#[path = "commands/payloads.rs"]
mod payloads;
#[path = "commands/random.rs"]
mod random;
#[path = "commands/random_collections.rs"]
mod random_collections;
#[path = "server/mod.rs"]
mod server;
#[path = "commands/set.rs"]
mod set;
#[path = "commands/sort.rs"]
mod sort;
#[path = "commands/sorted_set.rs"]
mod sorted_set;
#[path = "commands/stream.rs"]
mod stream;
#[path = "commands/stream_groups.rs"]
mod stream_groups;
#[path = "commands/string.rs"]
mod string;
#[path = "commands/table.rs"]
mod table;
#[path = "commands/wait.rs"]
mod wait;
