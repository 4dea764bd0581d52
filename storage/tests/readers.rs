//! I3: readers write nothing shared and wait for nobody.

use std::sync::mpsc::channel;
use std::task::Waker;
use std::thread;
use std::time::Duration;

use darter_storage::{Error, Escalation, Mode, Options, Store, TimeSource};

/// Longer than any read takes, for a reader that waits to be found out.
const PATIENCE: Duration = Duration::from_secs(60);

/// Reads by every road there is; how many keys it saw.
fn read_everything(store: &Store) -> Result<usize, Error> {
    let mut seen = usize::from(store.get("a")?.is_some());
    seen += usize::from(store.view("b", |value| value.is_some())?);
    let snapshot = store.snapshot();
    seen += usize::from(snapshot.get("a")?.is_some());
    snapshot.prefix("", |_, _| {
        seen += 1;
        true
    })?;
    seen += store.transaction(|tx| {
        let both = [tx.get(0, b"a")?.is_some(), tx.get(0, b"b")?.is_some()];
        Ok::<_, Error>(both.into_iter().filter(|is_there| *is_there).count())
    })?;
    let mut tx = store.begin(Mode::Snapshot);
    seen += tx.scan(0, 0, 100)?.1.len();
    seen += tx.keys(0, b"", None, 100)?.len();
    seen += tx.count_keys(0)? as usize;
    seen += usize::from(tx.random_key(0)?.is_some());
    assert!(tx.commit().is_ok());
    Ok(seen)
}

fn opened() -> Store {
    let store = Store::with_options(Options {
        time: TimeSource::Manual,
        ..Options::default()
    });
    store.set("a", "1");
    store.set("b", "1");
    store
}

#[test]
fn i3_no_reader_waits_for_the_gate_or_for_a_writer() {
    let store = opened();
    let expected = read_everything(&store);
    // A writer that stands still in its middle, and one that has stopped all others.
    let mut writer = store.begin(Mode::Optimistic);
    writer.set_integer(0, b"a", 2).expect("writable");
    let mut escalation = Escalation::exclusive(&store);
    assert!(escalation.poll(Waker::noop()));
    let mut owner = escalation.begin(Mode::Optimistic);
    owner.flush(0).expect("exclusive");
    let (sender, receiver) = channel();
    let reader = store.clone();
    thread::spawn(move || sender.send(read_everything(&reader)));
    let seen = receiver
        .recv_timeout(PATIENCE)
        .expect("a reader that waits for nobody");
    assert_eq!(seen, expected);
    assert!(owner.commit().is_ok());
}

#[test]
fn i3_reading_a_key_advances_no_clock_and_marks_nothing() {
    let store = opened();
    let snapshot = store.snapshot();
    let counts = store.counts();
    store.set_time(60_000);
    for key in ["a", "b", "missing"] {
        for _ in 0..100 {
            store.get(key).expect("a string");
            store.view(key, |_| ()).expect("database 0");
            snapshot.get(key).expect("a string");
            snapshot
                .read(|tx| tx.keys(0, b"", None, 10).map(drop))
                .expect("database 0");
            let mut tx = store.begin(Mode::Direct);
            tx.get(0, key.as_bytes()).expect("database 0");
            assert!(tx.commit().is_ok());
        }
    }
    assert_eq!(store.counts(), counts);
    assert_eq!(store.touched_s(0, b"a"), Some(0));
    assert_eq!(store.touched_s(0, b"missing"), None);
    // The only number drawn since is this snapshot's own.
    assert_eq!(store.snapshot().number(), snapshot.number() + 1);
}
