//! Threads that come and go.

use std::cell::RefCell;

use darter_storage::{Snapshot, Store};

thread_local! {
    static HELD: RefCell<Option<Snapshot>> = const { RefCell::new(None) };
}

/// Lets a thread end that holds a snapshot in a thread-local of its own, made known to the thread
/// before it has used the store, or after.
fn end_with_a_snapshot(store: &Store, before_first_use: bool) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if before_first_use {
                HELD.set(None);
            }
            let snapshot = store.snapshot();
            HELD.set(Some(snapshot));
            assert_eq!(store.snapshots_held().0, 1);
        });
        assert!(thread.join().is_ok());
    });
}

#[test]
fn a_snapshot_may_end_with_its_thread() {
    let store = Store::new();
    store.set("k", "0");
    for before_first_use in [true, false] {
        end_with_a_snapshot(&store, before_first_use);
        store.set("k", "1");
        assert_eq!(store.snapshots_held().0, 0);
    }
    while store.maintain(10_000) {}
    let counts = store.counts();
    assert_eq!(counts.versions_made - counts.versions_freed, 1);
}
