//! A whole server under load, from outside: `just load NAME [SECONDS]`. Each scenario prints a
//! table and fails beyond its bar. None is part of `cargo test`, for each wants the machine for
//! itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attacks;
mod churn;
mod connections;
mod deaf;
mod delete;
mod gallery;
mod hour;
mod measure;
mod support;
