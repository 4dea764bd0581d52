//! I1: every anomaly of Hermitage (Kleppmann, 2014), with its interleaving: none of them happens.

use darter_storage::{CommitError, Deadline, Error, Mode, Store, StringValue, Transaction, Value};

fn opened() -> Store {
    let store = Store::new();
    store.set("1", "10");
    store.set("2", "20");
    store
}

fn begin(store: &Store) -> Transaction {
    store.begin(Mode::Optimistic)
}

fn read(tx: &Transaction, key: &str) -> Option<i64> {
    tx.integer(0, key.as_bytes()).expect("an integer")
}

fn write(tx: &mut Transaction, key: &str, value: i64) {
    let value = Value::String(StringValue::new(value.to_string().as_bytes()));
    tx.set(0, key.as_bytes(), value, Deadline::Never)
        .expect("writable");
}

fn now(store: &Store, key: &str) -> Option<i64> {
    read(&store.begin(Mode::Direct), key)
}

fn conflicts(tx: &mut Transaction) -> bool {
    matches!(tx.commit(), Err(CommitError::Conflict(_)))
}

/// G0, dirty write: two blind writers leave the state of one or the other, not a mixture.
#[test]
fn i1_g0_write_cycle() {
    let store = opened();
    let (mut one, mut two) = (begin(&store), begin(&store));
    write(&mut one, "1", 11);
    write(&mut two, "1", 12);
    write(&mut one, "2", 21);
    assert!(one.commit().is_ok());
    write(&mut two, "2", 22);
    let _ = two.commit();
    let state = (now(&store, "1"), now(&store, "2"));
    assert!(
        [(Some(11), Some(21)), (Some(12), Some(22))].contains(&state),
        "{state:?}"
    );
}

/// G1a, aborted read: what was given up is seen by nobody.
#[test]
fn i1_g1a_aborted_read() {
    let store = opened();
    let mut one = begin(&store);
    write(&mut one, "1", 101);
    assert_eq!(now(&store, "1"), Some(10));
    drop(one);
    assert_eq!(now(&store, "1"), Some(10));
}

/// G1b, intermediate read: only the last of several writes of one key is seen.
#[test]
fn i1_g1b_intermediate_read() {
    let store = opened();
    let mut one = begin(&store);
    write(&mut one, "1", 101);
    assert_eq!(now(&store, "1"), Some(10));
    write(&mut one, "1", 11);
    assert!(one.commit().is_ok());
    assert_eq!(now(&store, "1"), Some(11));
}

/// G1c, circular information flow: neither sees the other's write, and one of them fails.
#[test]
fn i1_g1c_circular_information_flow() {
    let store = opened();
    let (mut one, mut two) = (begin(&store), begin(&store));
    write(&mut one, "1", 11);
    write(&mut two, "2", 22);
    assert_eq!(read(&one, "2"), Some(20));
    assert_eq!(read(&two, "1"), Some(10));
    assert!(one.commit().is_ok());
    assert!(conflicts(&mut two));
}

/// OTV, observed transaction vanishes: a reader sees all of a commit, and goes on seeing it.
#[test]
fn i1_otv_observed_transaction_vanishes() {
    let store = opened();
    let (mut one, mut two) = (begin(&store), begin(&store));
    write(&mut one, "1", 11);
    write(&mut one, "2", 19);
    write(&mut two, "1", 12);
    assert!(one.commit().is_ok());
    let three = begin(&store);
    assert_eq!(read(&three, "1"), Some(11));
    write(&mut two, "2", 18);
    let _ = two.commit();
    assert_eq!((read(&three, "2"), read(&three, "1")), (Some(19), Some(11)));
}

/// PMP, predicate-many-preceders: a range that was empty must still be empty at the commit.
#[test]
fn i1_pmp_predicate_many_preceders() {
    let store = opened();
    let mut one = begin(&store);
    assert_eq!(
        one.keys(0, b"3", Some(b"4"), 10).expect("database 0").len(),
        0
    );
    let mut two = begin(&store);
    write(&mut two, "3", 30);
    assert!(two.commit().is_ok());
    assert_eq!(
        one.keys(0, b"3", Some(b"4"), 10).expect("database 0").len(),
        0
    );
    write(&mut one, "1", 11);
    assert!(conflicts(&mut one));
}

/// P4, lost update: of two that read the same and write it, one fails.
#[test]
fn i4_p4_lost_update() {
    let store = opened();
    let (mut one, mut two) = (begin(&store), begin(&store));
    assert_eq!((read(&one, "1"), read(&two, "1")), (Some(10), Some(10)));
    write(&mut one, "1", 11);
    write(&mut two, "1", 11);
    assert!(one.commit().is_ok());
    assert!(conflicts(&mut two));
}

/// G-single, read skew: a transaction sees one state from its first read to its last.
#[test]
fn i1_g_single_read_skew() {
    let store = opened();
    let one = begin(&store);
    assert_eq!(read(&one, "1"), Some(10));
    let mut two = begin(&store);
    write(&mut two, "1", 12);
    write(&mut two, "2", 18);
    assert!(two.commit().is_ok());
    assert_eq!(read(&one, "2"), Some(20));
}

/// G2-item, write skew: two that read both keys and write one each do not both commit.
#[test]
fn i1_g2_item_write_skew() {
    let store = opened();
    let (mut one, mut two) = (begin(&store), begin(&store));
    for tx in [&one, &two] {
        assert_eq!((read(tx, "1"), read(tx, "2")), (Some(10), Some(20)));
    }
    write(&mut one, "1", 11);
    write(&mut two, "2", 21);
    assert!(one.commit().is_ok());
    assert!(conflicts(&mut two));
}

/// G2, anti-dependency cycle: the same with ranges.
#[test]
fn i1_g2_anti_dependency_cycle() {
    let store = opened();
    let (mut one, mut two) = (begin(&store), begin(&store));
    for tx in [&one, &two] {
        assert!(
            tx.keys(0, b"3", Some(b"5"), 10)
                .expect("database 0")
                .is_empty()
        );
    }
    write(&mut one, "3", 30);
    write(&mut two, "4", 42);
    assert!(one.commit().is_ok());
    assert!(conflicts(&mut two));
}

/// Reading "absent" is a read, also where the key was made and deleted again.
#[test]
fn i1_an_absence_is_protected() {
    let store = opened();
    let mut one = begin(&store);
    assert_eq!(read(&one, "3"), None);
    store.set("3", "30");
    write(&mut one, "1", 11);
    assert!(conflicts(&mut one));
    let mut two = begin(&store);
    assert_eq!(read(&two, "4"), None);
    store.set("4", "40");
    assert!(store.remove("4"));
    write(&mut two, "1", 11);
    assert!(
        two.commit().is_ok(),
        "absent before and after: nothing that was read has changed"
    );
}

/// A direct transaction that only reads is compared as well: it never returns a torn state.
#[test]
fn i1_several_newest_versions_are_compared() {
    let store = opened();
    let mut one = store.begin(Mode::Direct);
    assert_eq!(read(&one, "1"), Some(10));
    store
        .transaction(|tx| {
            tx.set_integer(0, b"1", 12)?;
            tx.set_integer(0, b"2", 18)
        })
        .unwrap_or_else(|error: Error| panic!("{error}"));
    let _ = read(&one, "2");
    assert!(conflicts(&mut one));
}

/// A whole keyspace cannot be compared, so only the gate's owner may rely on it.
#[test]
fn i1_a_count_of_all_keys_needs_the_gate() {
    let store = opened();
    let count = store.transaction(|tx| {
        let count = tx.count_keys(0)?;
        tx.set_integer(0, b"count", count as i64)?;
        Ok::<_, Error>(count)
    });
    assert_eq!(count, Ok(2));
    assert_eq!(store.counts().exclusives, 1);
}

/// What read a whole keyspace as it stood from key to key, and writes nothing, may not end well
/// all the same: its reads need not have stood together.
#[test]
fn a_whole_keyspace_is_not_read_piece_by_piece() {
    let store = Store::new();
    let mut tx = store.begin(Mode::Direct);
    assert_eq!(tx.count_keys(0).expect("there"), 0);
    store.set("a", "1");
    assert_eq!(tx.count_keys(0).expect("there"), 1);
    assert!(tx.commit().is_err());
}
