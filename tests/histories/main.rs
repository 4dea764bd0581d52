//! Strict serializability and effects, checked from outside: many clients, every way to a commit
//! mixed in one run, and a checker that looks for an order that explains what they saw.
//! docs/testing.md says how to run and replay it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_histories;
mod checker;
mod history;
