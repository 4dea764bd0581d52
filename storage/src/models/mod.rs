//! Small parts of the store, checked exhaustively: every order of their threads' accesses, and
//! every value that the memory model lets a load read (`sync/weak.rs`).
//!
//! `just loom` runs them. A file a part; a model is a test named by what must hold. What a model
//! passes between its threads beside the atomics is loom's cell, so that an access that no
//! ordering holds apart ends the model.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod clocks;
mod endings;
mod gates;
mod lines;
mod memory;
mod requests;
mod rings;
mod slots;
mod stacks;

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loom::cell::UnsafeCell;

/// Checks `model` in all its executions with up to so many preemptions: those that go on with
/// another thread although the running one could. `LOOM_MAX_PREEMPTIONS` says otherwise for all.
fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    if env::var_os("LOOM_MAX_PREEMPTIONS").is_none() {
        builder.preemption_bound = Some(preemptions);
    }
    builder.max_branches = 10_000;
    let executions = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&executions);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    eprintln!("{} executions", executions.load(Ordering::Relaxed));
}

/// Memory that the atomics hand from thread to thread.
#[derive(Default)]
struct Memory(UnsafeCell<u64>);

// SAFETY: the cell sees to it that no two threads are at it at once.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn read(&self) -> u64 {
        // SAFETY: loom ends the model if somebody may be writing.
        self.0.with(|value| unsafe { *value })
    }

    fn write(&self, new: u64) {
        // SAFETY: loom ends the model if somebody else may be reading or writing.
        self.0.with_mut(|value| unsafe { *value = new });
    }

    fn add(&self, by: u64) {
        self.write(self.read() + by);
    }

    /// As the address of something else, which nobody looks at.
    fn disguised<T>(&self) -> *const T {
        std::ptr::from_ref(self).cast()
    }

    /// What `disguised` has made.
    ///
    /// # Safety
    /// The memory is still there.
    unsafe fn unmasked<'m, T>(address: *const T) -> &'m Memory {
        // SAFETY: the caller's promise.
        unsafe { &*address.cast() }
    }
}
