//! Fields of hashes that expire: for whom, when, and what becomes of the hash.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::mpsc;

use darter_storage::{
    ChangeKind, CommitError, Conflict, Deadline, Error, HashValue, Mode, Options, Store,
    TimeSource, Transaction, Value, ValueMut, ValueRef,
};

fn store_at(now_ms: u64) -> Store {
    let store = Store::with_options(Options {
        time: TimeSource::Manual,
        ..Options::default()
    });
    store.set_time(now_ms);
    store
}

/// Puts a hash in a key, its fields with deadlines, of which 0 is none.
fn put(store: &Store, key: &[u8], fields: &[(&str, u64)], deadline: Deadline) {
    let make = || {
        let mut hash = HashValue::new();
        for (field, deadline_ms) in fields {
            hash.insert(field.as_bytes(), b"value");
            hash.set_deadline(field.as_bytes(), *deadline_ms);
        }
        Value::Hash(hash)
    };
    store
        .transaction(|tx| tx.set(0, key, make(), deadline))
        .unwrap();
}

/// The fields of a hash, in order.
fn fields_in(tx: &Transaction, key: &[u8]) -> Vec<String> {
    let Some(value) = tx.get(0, key).unwrap() else {
        return Vec::new();
    };
    let ValueRef::Hash(hash) = value else {
        panic!("a hash");
    };
    let names = hash
        .iter()
        .map(|(field, _)| field.escape_ascii().to_string());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names.len(), hash.len());
    names
}

fn fields(store: &Store, key: &[u8]) -> Vec<String> {
    fields_in(&store.begin(Mode::Direct), key)
}

#[test]
fn a_field_is_there_until_its_deadline_for_those_who_begin_before_it() {
    let store = store_at(1_000);
    put(
        &store,
        b"h",
        &[("a", 2_000), ("b", 3_000), ("c", 0)],
        Deadline::Never,
    );
    let snapshot = store.begin(Mode::Snapshot);
    let mut optimistic = store.begin(Mode::Optimistic);
    store.set_time(2_000);
    assert_eq!(fields(&store, b"h"), ["b", "c"]);
    store.set_time(3_000);
    assert_eq!(fields(&store, b"h"), ["c"]);
    while store.maintain(100) {}
    assert_eq!(fields_in(&snapshot, b"h"), ["a", "b", "c"]);
    assert_eq!(fields_in(&optimistic, b"h"), ["a", "b", "c"]);
    optimistic.set_integer(0, b"n", 1).unwrap();
    assert_eq!(
        optimistic.commit(),
        Err(CommitError::Conflict(Conflict)),
        "what it saw is no longer so"
    );
    assert_eq!(fields(&store, b"h"), ["c"]);
}

/// Nobody has removed it, and nothing was written: only the time has gone on.
#[test]
fn what_was_seen_alive_is_alive_at_the_commit() {
    let store = store_at(1_000);
    put(&store, b"h", &[("a", 2_000), ("b", 0)], Deadline::Never);
    for (until_ms, outcome) in [(1_999, true), (2_000, false)] {
        let mut tx = store.begin(Mode::Optimistic);
        assert_eq!(fields_in(&tx, b"h").len(), 2);
        tx.set_integer(0, b"n", 1).unwrap();
        store.set_time(until_ms);
        assert_eq!(tx.commit().is_ok(), outcome, "at {until_ms}");
    }
    // Own deadlines as well.
    let mut tx = store.begin(Mode::Optimistic);
    let Some(ValueMut::Hash(mut hash)) = tx.update(0, b"h").unwrap() else {
        panic!("a hash");
    };
    hash.set_deadline(b"b", 5_000);
    assert_eq!(fields_in(&tx, b"h"), ["b"]);
    store.set_time(5_000);
    assert_eq!(tx.commit(), Err(CommitError::Conflict(Conflict)));
}

#[test]
fn a_hash_goes_with_its_last_field() {
    let store = store_at(1_000);
    put(&store, b"h", &[("a", 2_000), ("b", 3_000)], Deadline::Never);
    let own_deadline = |store: &Store| {
        let tx = store.begin(Mode::Direct);
        tx.get_with_deadline(0, b"h").unwrap().map(|(_, at)| at)
    };
    assert_eq!(own_deadline(&store), Some(0), "the key itself has none");
    store.set_time(2_999);
    assert_eq!(fields(&store, b"h"), ["b"]);
    store.set_time(3_000);
    let tx = store.begin(Mode::Snapshot);
    assert!(tx.get(0, b"h").unwrap().is_none());
    assert_eq!(tx.count_keys(0).unwrap(), 0);
    drop(tx);
    while store.maintain(100) {}
    assert_eq!(store.key_counts(0), (0, 0));
}

#[test]
fn a_key_keeps_the_deadline_that_it_was_given() {
    let shown = |store: &Store, key: &[u8]| {
        let tx = store.begin(Mode::Direct);
        let found = tx.get_with_deadline(0, key).unwrap();
        found.map(|(_, deadline_ms)| deadline_ms)
    };
    for (at_ms, last_ms) in [(5_000, 2_000), (2_000, 5_000)] {
        let store = store_at(1_000);
        put(&store, b"h", &[("a", last_ms)], Deadline::At(at_ms));
        assert_eq!(shown(&store, b"h"), Some(at_ms));
        store
            .transaction(|tx| tx.copy((0, b"h"), (0, b"copy")))
            .unwrap();
        store
            .transaction(|tx| tx.rename((0, b"h"), (0, b"moved")))
            .unwrap();
        assert_eq!(
            [shown(&store, b"copy"), shown(&store, b"moved")],
            [Some(at_ms); 2]
        );
        assert_eq!(fields(&store, b"moved"), ["a"]);
        store.set_time(2_000);
        assert_eq!(
            [shown(&store, b"copy"), shown(&store, b"moved")],
            [None, None]
        );
    }
    // A deadline taken from a field gives the key its own back.
    let store = store_at(1_000);
    put(&store, b"h", &[("a", 2_000)], Deadline::At(9_000));
    store
        .transaction(|tx| match tx.update(0, b"h")? {
            Some(ValueMut::Hash(mut hash)) => Ok::<_, Error>(hash.set_deadline(b"a", 0)),
            _ => Ok(false),
        })
        .unwrap();
    store.set_time(8_999);
    assert_eq!(shown(&store, b"h"), Some(9_000));
}

#[test]
fn what_is_past_is_removed_by_the_next_change_and_by_housekeeping() {
    let many: Vec<String> = (0..5_000).map(|n| format!("field {n}")).collect();
    let mut timed: Vec<(&str, u64)> = many.iter().map(|name| (&name[..], 2_000)).collect();
    timed.push(("stays", 0));
    let bytes = |store: &Store| {
        let bytes = store.view("h", |value| value.map_or(0, ValueRef::memory_bytes));
        bytes.unwrap()
    };
    for changes in [true, false] {
        let store = store_at(1_000);
        put(&store, b"h", &timed, Deadline::Never);
        let before = bytes(&store);
        store.set_time(2_000);
        assert_eq!(bytes(&store), before, "nobody has changed it");
        assert_eq!(fields(&store, b"h"), ["stays"]);
        if changes {
            store
                .transaction(|tx| match tx.update(0, b"h")? {
                    Some(ValueMut::Hash(mut hash)) => Ok::<_, Error>(hash.insert(b"n", b"1")),
                    _ => Ok(false),
                })
                .unwrap();
        } else {
            while store.maintain(100) {}
        }
        assert!(bytes(&store) < before / 100);
        assert_eq!(
            store.key_counts(0),
            (1, 0),
            "nothing of it expires any more"
        );
    }
}

#[test]
fn a_field_that_is_past_is_new_when_it_is_set_again() {
    let store = store_at(1_000);
    put(&store, b"h", &[("a", 2_000), ("b", 0)], Deadline::Never);
    store.set_time(2_000);
    let is_new = store.transaction(|tx| match tx.update(0, b"h")? {
        Some(ValueMut::Hash(mut hash)) => Ok::<_, Error>(hash.insert(b"a", b"again")),
        _ => Ok(false),
    });
    assert_eq!(is_new, Ok(true));
    assert_eq!(fields(&store, b"h"), ["a", "b"]);
    store.set_time(9_000);
    assert_eq!(fields(&store, b"h"), ["a", "b"]);
}

#[test]
fn a_field_that_expired_has_changed_its_hash_for_who_watches() {
    let store = store_at(1_000);
    put(&store, b"h", &[("a", 2_000), ("b", 0)], Deadline::Never);
    let snapshot = store.snapshot();
    for (now_ms, is_unchanged) in [(1_999, true), (2_000, false)] {
        store.set_time(now_ms);
        let tx = store.begin(Mode::Direct);
        assert_eq!(
            tx.is_unchanged_since(&snapshot, 0, b"h"),
            Ok(is_unchanged),
            "at {now_ms}"
        );
    }
}

#[test]
fn housekeeping_removes_fields_while_time_goes_on() {
    let store = store_at(1_000);
    put(
        &store,
        b"h",
        &[("a", 2_000), ("b", 2_001), ("c", 0)],
        Deadline::Never,
    );
    store.set_time(2_000);
    let writer = store.begin(Mode::Direct);
    assert_eq!(fields_in(&writer, b"h"), ["b", "c"]);
    drop(writer);
    assert!(store.maintain(10), "it removed something");
    store.set_time(2_001);
    while store.maintain(10) {}
    assert_eq!(fields(&store, b"h"), ["c"]);
}

#[test]
fn fields_that_went_with_what_was_given_up_are_told_of_by_nobody() {
    let store = store_at(1_000);
    put(&store, b"h", &[("a", 2_000), ("b", 0)], Deadline::Never);
    store.set_time(2_000);
    let (sender, effects) = mpsc::channel();
    let _listener = store.listen(Box::new(move |effect| sender.send(effect.clone()).unwrap()));
    let mut tx = store.begin(Mode::Optimistic);
    assert!(matches!(tx.update(0, b"h"), Ok(Some(ValueMut::Hash(_)))));
    tx.start_over();
    assert_eq!(tx.delete(0, b"h"), Ok(true));
    tx.commit().unwrap();
    store.merge_effects();
    let told: Vec<_> = effects
        .try_iter()
        .flat_map(|effect| effect.changes)
        .map(|change| (change.kind, change.fields_expired))
        .collect();
    assert_eq!(told, [(ChangeKind::Deleted, false)]);
}
