//! The store in twelve lines.

use darter_storage::{Error, Store};

fn main() -> Result<(), Error> {
    let store = Store::new();
    store.set("visits", "41");
    store.transaction(|tx| {
        let visits = tx.integer(0, b"visits")?.unwrap_or(0);
        tx.set_integer(0, b"visits", visits + 1)
    })?;
    assert_eq!(store.get("visits")?.as_deref(), Some(&b"42"[..]));
    Ok(())
}
