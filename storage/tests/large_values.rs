//! I2, I5: what snapshots saw of large values stays as it was, and is freed when they end.

use darter_storage::{
    Error, HashValue, ListValue, SortedSetValue, Store, Value, ValueMut, ValueRef,
};

const ELEMENTS: usize = 50_000;

fn hash() -> Value {
    let mut hash = HashValue::new();
    for number in 0..ELEMENTS {
        hash.insert(format!("field:{number}").as_bytes(), b"0");
    }
    Value::Hash(hash)
}

fn change(store: &Store, number: usize, text: &[u8]) {
    store
        .update::<_, Error>("large", hash, |value| {
            if let ValueMut::Hash(mut hash) = value {
                hash.insert(format!("field:{number}").as_bytes(), text);
            }
            Ok(())
        })
        .expect("a hash");
}

fn field(value: Option<ValueRef<'_>>, number: usize) -> Vec<u8> {
    match value {
        Some(ValueRef::Hash(hash)) => {
            assert_eq!(hash.len(), ELEMENTS);
            hash.get(format!("field:{number}").as_bytes())
                .expect("a field")
                .to_vec()
        }
        _ => panic!("a hash"),
    }
}

#[test]
fn i2_snapshots_keep_what_they_saw_of_a_large_hash() {
    let store = Store::new();
    change(&store, 0, b"0");
    let mut held = Vec::new();
    for round in 1..=20_u8 {
        held.push((round - 1, store.snapshot()));
        change(&store, usize::from(round) * 37, &[round]);
        change(&store, 7, &[round]);
    }
    for (round, snapshot) in &held {
        let seen = snapshot
            .view("large", |value| field(value, 7))
            .expect("database 0");
        assert_eq!(
            seen,
            if *round == 0 {
                b"0".to_vec()
            } else {
                vec![*round]
            }
        );
    }
    // In any order of ending.
    while !held.is_empty() {
        held.swap_remove(held.len() / 2);
        while store.maintain(1000) {}
    }
    assert_eq!(store.view("large", |value| field(value, 7)), Ok(vec![20]));
    let counts = store.counts();
    assert_eq!(counts.versions_made - counts.versions_freed, 1);
}

#[test]
fn i2_large_lists_and_sorted_sets_keep_their_order_under_snapshots() {
    let store = Store::new();
    let empty_list = || Value::List(ListValue::new());
    let empty_set = || Value::SortedSet(SortedSetValue::new());
    for number in 0..5_000_u32 {
        store
            .transaction(|tx| {
                if let ValueMut::List(mut list) = tx.upsert(0, b"list", empty_list)? {
                    list.push_back(&number.to_be_bytes());
                }
                if let ValueMut::SortedSet(mut set) = tx.upsert(0, b"set", empty_set)? {
                    set.insert(&number.to_be_bytes(), f64::from(number % 100));
                }
                Ok::<_, Error>(())
            })
            .expect("writable");
    }
    let snapshot = store.snapshot();
    for _ in 0..2_500 {
        store
            .update::<_, Error>("list", empty_list, |value| {
                if let ValueMut::List(mut list) = value {
                    list.pop_front();
                }
                Ok(())
            })
            .expect("a list");
    }
    snapshot
        .view("list", |value| {
            let Some(ValueRef::List(list)) = value else {
                panic!("a list")
            };
            for (number, element) in (0_u32..).zip(list.iter_from(0)) {
                assert_eq!(element, number.to_be_bytes());
            }
            assert_eq!(list.len(), 5_000);
        })
        .expect("database 0");
    store
        .view("set", |value| {
            let Some(ValueRef::SortedSet(set)) = value else {
                panic!("a sorted set")
            };
            let scores: Vec<f64> = set.iter_from(0).map(|(_, score)| score).collect();
            assert!(scores.is_sorted());
            assert_eq!(scores.len(), 5_000);
        })
        .expect("database 0");
}

#[test]
fn i5_deleting_a_large_value_frees_it_in_slices() {
    let store = Store::new();
    for _ in 0..3 {
        change(&store, 0, b"0");
        assert!(store.remove("large"));
        while store.maintain(1000) {}
    }
    let counts = store.counts();
    assert_eq!(counts.versions_made, counts.versions_freed);
    assert_eq!(store.key_counts(0), (0, 0));
}
