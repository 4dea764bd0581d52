//! I5, I6 in bytes: what held snapshots keep, what they cost, and what writers pay for them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use darter_storage::{
    Deadline, Error, HashValue, ListValue, Mode, SetValue, SortedSetValue, Store, StreamId,
    StreamValue, StringValue, Value, ValueMut,
};

/// Counts what each thread allocates and frees, so that tests beside each other do not mix.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    static FREED: Cell<usize> = const { Cell::new(0) };
}

fn add(counter: &'static std::thread::LocalKey<Cell<usize>>, bytes: usize) {
    // A thread that ends frees more than it can count.
    let _ = counter.try_with(|counter| counter.set(counter.get() + bytes));
}

// SAFETY: both calls are the system's own; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(&ALLOCATED, layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        add(&FREED, layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live_bytes() -> usize {
    ALLOCATED.get().wrapping_sub(FREED.get())
}

fn allocated_by(work: impl FnOnce()) -> usize {
    let before = ALLOCATED.get();
    work();
    ALLOCATED.get() - before
}

/// Counts of versions would not show it: they fall when a version is cut, not when it is freed.
#[test]
fn i5_memory_is_given_back_while_snapshots_are_held() {
    const VALUE_BYTES: usize = 10_000;
    const WRITES: usize = 3_000;
    let store = Store::new();
    store.set("k", "held");
    let snapshot = store.snapshot();
    let mut suspended = store.begin(Mode::Optimistic);
    suspended.unpin();
    let overwrite = |times: usize| {
        for _ in 0..times {
            store.set("k", vec![b'x'; VALUE_BYTES]);
        }
        while store.maintain(100) {}
    };
    overwrite(300);
    let before = live_bytes();
    overwrite(WRITES);
    let kept = live_bytes().saturating_sub(before);
    assert!(
        kept < WRITES * VALUE_BYTES / 10,
        "{kept} bytes of {WRITES} overwritten values are kept"
    );
    suspended.pin();
    let seen = suspended.bytes(0, b"k").expect("a string");
    assert_eq!(seen.as_deref(), Some(&b"held"[..]));
    assert_eq!(
        snapshot.get("k").expect("a string").as_deref(),
        Some(&b"held"[..])
    );
}

#[test]
fn i6_a_snapshot_costs_the_same_however_much_it_sees() {
    const SNAPSHOTS: usize = 50;
    let cost_with = |keys: usize| {
        let store = Store::new();
        (0..keys).for_each(|key| store.set(format!("k{key}"), "v"));
        let mut held = Vec::with_capacity(SNAPSHOTS);
        allocated_by(|| held.extend((0..SNAPSHOTS).map(|_| store.snapshot())))
    };
    let (few, many) = (cost_with(1), cost_with(20_000));
    assert!(many <= few + few / 10, "{few} bytes, then {many}");
}

/// How to make one element of a value, and how to change one that is there.
struct Kind {
    name: &'static str,
    make: fn() -> Value,
    put: fn(&mut ValueMut<'_>, u32, u8),
}

const STRING_STEP: usize = 100;

const KINDS: &[Kind] = &[
    Kind {
        name: "string",
        make: || Value::String(StringValue::new(b"")),
        put: |value, at, byte| {
            if let ValueMut::String(string) = value {
                let offset = at as usize * STRING_STEP;
                string
                    .write_at(offset, &[byte; STRING_STEP])
                    .expect("short");
            }
        },
    },
    Kind {
        name: "list",
        make: || Value::List(ListValue::new()),
        put: |value, at, byte| {
            if let ValueMut::List(list) = value
                && !list.set(at as usize, &[byte; 16])
            {
                list.push_back(&[byte; 16]);
            }
        },
    },
    Kind {
        name: "set",
        make: || Value::Set(SetValue::new()),
        put: |value, at, byte| {
            if let ValueMut::Set(set) = value {
                set.insert(format!("member:{at}:{byte}").as_bytes());
            }
        },
    },
    Kind {
        name: "sorted set",
        make: || Value::SortedSet(SortedSetValue::new()),
        put: |value, at, byte| {
            if let ValueMut::SortedSet(set) = value {
                set.insert(format!("member:{at}").as_bytes(), f64::from(byte));
            }
        },
    },
    Kind {
        name: "hash",
        make: || Value::Hash(HashValue::new()),
        put: |value, at, byte| {
            if let ValueMut::Hash(hash) = value {
                hash.insert(format!("field:{at}").as_bytes(), &[byte; 16]);
            }
        },
    },
    Kind {
        name: "stream",
        make: || Value::Stream(StreamValue::new()),
        put: |value, _, byte| {
            if let ValueMut::Stream(stream) = value {
                let mut id: StreamId = stream.as_ref().last_id();
                id.sequence += 1;
                stream.append(id, &[(b"field", &[byte; 16])]);
            }
        },
    },
];

/// A change copies a path, not the value, whatever its type and however many snapshots see it.
#[test]
fn i6_writers_of_large_values_do_not_copy_them_for_held_snapshots() {
    const ELEMENTS: u32 = 30_000;
    const CHANGES: u32 = 20;
    for Kind { name, make, put } in KINDS {
        let store = Store::new();
        let filled = store.update::<_, Error>("large", make, |mut value| {
            (0..ELEMENTS).for_each(|at| put(&mut value, at, 0));
            Ok(())
        });
        assert_eq!(filled, Ok(()));
        let whole_bytes = store
            .view("large", |value| {
                value.map_or(0, |value| value.memory_bytes())
            })
            .expect("database 0");
        assert!(whole_bytes > 500_000, "{name}: {whole_bytes}");
        let mut held = vec![store.snapshot()];
        let paid_bytes = allocated_by(|| {
            for change in 0..CHANGES {
                store
                    .update::<_, Error>("large", make, |mut value| {
                        put(&mut value, change * (ELEMENTS / CHANGES), 1);
                        Ok(())
                    })
                    .expect("writable");
                held.push(store.snapshot());
            }
        });
        let a_change = paid_bytes / CHANGES as usize;
        assert!(
            a_change < whole_bytes / 20,
            "{name}: a change of {whole_bytes} bytes took {a_change}"
        );
    }
}

/// Exclusive transactions compare no reads, and so kept no entry of what they had only read.
#[test]
fn a_large_value_moves_whole_in_every_mode() {
    const FIELDS: usize = 20_000;
    let store = Store::new();
    let mut hash = HashValue::new();
    (0..FIELDS).for_each(|field| _ = hash.insert(format!("field:{field}").as_bytes(), b"value"));
    let made = store.try_transaction(|tx| tx.set(0, b"a", Value::Hash(hash), Deadline::Never));
    made.expect("writable");
    let there = allocated_by(|| {
        let moved = store.exclusive(|tx| tx.rename((0, b"a"), (0, b"b")));
        assert_eq!(moved, Ok::<_, Error>(true));
    });
    let back = allocated_by(|| {
        let moved = store.transaction(|tx| tx.rename((0, b"b"), (0, b"a")));
        assert_eq!(moved, Ok::<_, Error>(true));
    });
    assert!(there.max(back) < FIELDS, "{there} and {back} bytes");
}

#[test]
fn a_text_that_is_too_long_for_an_integer_is_refused_without_a_copy() {
    let store = Store::new();
    store.set("k", vec![b'1'; 1 << 20]);
    let transaction = store.begin(Mode::Direct);
    let allocated = allocated_by(|| {
        assert_eq!(transaction.integer(0, b"k"), Err(Error::NotAnInteger));
    });
    assert!(allocated < 1 << 10, "{allocated} bytes");
}
