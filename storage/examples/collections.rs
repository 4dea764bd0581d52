//! Hashes, lists, sets, sorted sets and streams, changed in one transaction.

use darter_storage::{
    Error, HashValue, ListValue, SetValue, SortedSetValue, Store, StreamId, StreamValue, Type,
    Value, ValueMut, ValueRef,
};

/// The collection that a key must hold, or an error.
macro_rules! expect {
    ($value:expr, $kind:ident) => {
        match $value {
            ValueMut::$kind(value) => value,
            other => return Err(Error::wrong_type(Type::$kind, other.kind())),
        }
    };
}

fn main() -> Result<(), Error> {
    let store = Store::new();
    store.transaction(|tx| {
        let user = tx.upsert(0, b"user:1", || Value::Hash(HashValue::new()))?;
        expect!(user, Hash).insert(b"name", b"Ada");
        let queue = tx.upsert(0, b"queue", || Value::List(ListValue::new()))?;
        expect!(queue, List).push_back(b"job:1");
        let tags = tx.upsert(0, b"tags", || Value::Set(SetValue::new()))?;
        expect!(tags, Set).insert(b"new");
        let board = tx.upsert(0, b"board", || Value::SortedSet(SortedSetValue::new()))?;
        expect!(board, SortedSet).insert(b"ada", 36.0);
        let id = StreamId {
            milliseconds: tx.now_ms(),
            sequence: 0,
        };
        let events = tx.upsert(0, b"events", || Value::Stream(StreamValue::new()))?;
        expect!(events, Stream).append(id, &[(b"what", b"signed up")]);
        Ok(())
    })?;
    let rank = store.view("board", |value| match value {
        Some(ValueRef::SortedSet(board)) => board.rank(b"ada"),
        _ => None,
    })?;
    assert_eq!(rank, Some(0));
    Ok(())
}
