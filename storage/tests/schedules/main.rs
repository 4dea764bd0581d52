//! The store under a scheduler that decides at every access to shared memory who goes next.
//!
//! Each test runs many schedules of small programs. What they saw must have a serial order that
//! agrees with real time (`history`), the stream of effects must be such an order, nothing that was
//! freed may be used (`memory`), and what nobody sees must be gone at the end.
//!
//! `just shuttle` runs them; `SCHEDULES` says how many schedules a test makes, `SEED` where they
//! begin. The seed is printed.

#![cfg(darter_shuttle)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixed;
mod history;
mod memory;
mod operation;
mod program;
mod random;
mod runner;
mod stopped;
mod two_stops;
