//! The script engine from outside, without commands and storage.

mod engine;
mod libraries;
mod preemption;
mod sandbox;
mod support;
