//! A large value moves between keys whole; whatever else its transaction does with the two keys,
//! each value is right and every node is freed once.

use darter_storage::{
    Deadline, Error, HashValue, Store, StringValue, Transaction, Value, ValueMut, ValueRef,
};

const FIELDS: usize = 5000;

fn large() -> Value {
    let mut hash = HashValue::new();
    for field in 0..FIELDS {
        hash.insert(format!("field:{field}").as_bytes(), b"value");
    }
    Value::Hash(hash)
}

fn fields(tx: &Transaction, key: &[u8]) -> usize {
    match tx.get(0, key).expect("database 0") {
        Some(ValueRef::Hash(hash)) => {
            let count = hash.iter().count();
            assert_eq!(count, hash.len());
            count
        }
        _ => 0,
    }
}

fn text(tx: &mut Transaction, key: &[u8]) -> Result<(), Error> {
    tx.set(
        0,
        key,
        Value::String(StringValue::new(b"text")),
        Deadline::Never,
    )
}

#[test]
fn a_moved_value_survives_what_follows_in_the_same_transaction() {
    type Step = fn(&mut Transaction) -> Result<(), Error>;
    let steps: [Step; 5] = [
        |tx| tx.rename((0, b"a"), (0, b"b")).map(drop),
        |tx| {
            tx.rename((0, b"a"), (0, b"b"))?;
            text(tx, b"a")
        },
        |tx| {
            text(tx, b"c")?;
            tx.rename((0, b"a"), (0, b"b"))?;
            tx.rename((0, b"c"), (0, b"a")).map(drop)
        },
        |tx| {
            tx.rename((0, b"a"), (0, b"b"))?;
            tx.rename((0, b"b"), (0, b"c"))?;
            tx.rename((0, b"c"), (0, b"b")).map(drop)
        },
        |tx| {
            tx.rename((0, b"a"), (0, b"b"))?;
            tx.upsert(0, b"a", large)?;
            tx.delete(0, b"a").map(drop)
        },
    ];
    for step in steps {
        let store = Store::new();
        store
            .update::<_, Error>("a", large, |_| Ok(()))
            .expect("writable");
        let before = store.snapshot();
        store.transaction(step).expect("writable");
        store
            .update::<_, Error>("b", large, |value| {
                if let ValueMut::Hash(mut hash) = value {
                    hash.remove(b"field:7");
                }
                Ok(())
            })
            .expect("writable");
        assert_eq!(before.read(|tx| fields(tx, b"a")), FIELDS);
        assert_eq!(store.snapshot().read(|tx| fields(tx, b"b")), FIELDS - 1);
        drop(before);
        while store.maintain(1000) {}
        assert_eq!(store.snapshot().read(|tx| fields(tx, b"b")), FIELDS - 1);
    }
}

#[test]
fn a_value_that_moves_to_its_own_key_stays() {
    let store = Store::new();
    for _ in 0..3 {
        let done = store.transaction(|tx| {
            tx.upsert(0, b"a", large)?;
            Ok::<_, Error>(())
        });
        assert_eq!(done, Ok(()));
        assert_eq!(
            store.transaction(|tx| tx.rename((0, b"a"), (0, b"a"))),
            Ok(true)
        );
        let count = store.transaction(|tx| Ok::<_, Error>(fields(tx, b"a")));
        assert_eq!(count, Ok(FIELDS));
    }
    assert_eq!(
        store.transaction(|tx| tx.rename((0, b"b"), (0, b"b"))),
        Ok(false)
    );
}
