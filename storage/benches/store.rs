//! The store alone: points, transactions, snapshots, ranges, large collections with and without a
//! held snapshot, and two threads on one store against two on a store each.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use darter_storage::{Error, HashValue, Mode, SortedSetValue, Store, Value, ValueMut};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: u64 = 100_000;

fn key(number: u64) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let digits = format!("{:012}", number % KEYS);
    key[4..].copy_from_slice(digits.as_bytes());
    key
}

/// Numbers in no order, each thread's own.
struct Draw(u64);

impl Iterator for Draw {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some(self.0)
    }
}

fn filled() -> Store {
    let store = Store::new();
    for number in 0..KEYS {
        store.set(key(number), [b'v'; 64]);
    }
    store
}

fn transfer(store: &Store, one: u64, other: u64) {
    let (one, other) = (key(one), key(other));
    store
        .transaction(|tx| {
            let seen = tx.get(0, &one)?.is_some();
            tx.set_integer(0, &one, i64::from(seen))?;
            tx.set_integer(0, &other, 1)
        })
        .unwrap_or_else(|error: Error| panic!("{error}"));
}

fn points(criterion: &mut Criterion) {
    let store = filled();
    let mut group = criterion.benchmark_group("points");
    let mut draw = Draw(1);
    group.bench_function("get", |bencher| {
        bencher.iter(|| black_box(store.get(key(draw.next().unwrap_or(0)))));
    });
    group.bench_function("set", |bencher| {
        bencher.iter(|| store.set(key(draw.next().unwrap_or(0)), [b'w'; 64]));
    });
    group.bench_function("get in a transaction used again", |bencher| {
        let mut tx = store.begin(Mode::Direct);
        bencher.iter(|| {
            tx.restart();
            tx.skip_comparison();
            black_box(tx.get(0, &key(draw.next().unwrap_or(0))).is_ok())
        });
    });
    group.bench_function("transaction of two keys", |bencher| {
        bencher.iter(|| transfer(&store, draw.next().unwrap_or(0), draw.next().unwrap_or(0)));
    });
    group.bench_function("snapshot and one read", |bencher| {
        bencher.iter(|| black_box(store.snapshot().get(key(draw.next().unwrap_or(0)))));
    });
    group.bench_function("set while a snapshot is held", |bencher| {
        let _held = store.snapshot();
        bencher.iter(|| store.set(key(draw.next().unwrap_or(0)), [b'w'; 64]));
    });
    group.bench_function("range of 100 keys", |bencher| {
        let snapshot = store.snapshot();
        bencher.iter(|| {
            let from = key(draw.next().unwrap_or(0));
            black_box(
                snapshot
                    .read(|tx| tx.keys(0, &from, None, 100))
                    .map(|keys| keys.len()),
            )
        });
    });
    group.finish();
}

fn large_hash(elements: u64) -> Value {
    let mut hash = HashValue::new();
    for number in 0..elements {
        hash.insert(&key(number), &[b'v'; 16]);
    }
    Value::Hash(hash)
}

fn large_sorted_set(elements: u64) -> Value {
    let mut set = SortedSetValue::new();
    for number in 0..elements {
        set.insert(&key(number), number as f64);
    }
    Value::SortedSet(set)
}

fn collections(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("collections of 100,000");
    for holds in [false, true] {
        let name = if holds { ", a snapshot held" } else { "" };
        let store = Store::new();
        let mut draw = Draw(1);
        let update = |make: fn(u64) -> Value, key_of: &str, number: u64| {
            store
                .update::<_, Error>(
                    key_of,
                    || make(KEYS),
                    |value| {
                        match value {
                            ValueMut::Hash(mut hash) => {
                                hash.insert(&key(number), &[b'w'; 16]);
                            }
                            ValueMut::SortedSet(mut set) => {
                                set.insert(&key(number), number as f64);
                            }
                            _ => {}
                        }
                        Ok(())
                    },
                )
                .unwrap_or_else(|error| panic!("{error}"));
        };
        update(large_hash, "hash", 0);
        update(large_sorted_set, "set", 0);
        let _held = holds.then(|| store.snapshot());
        group.bench_function(format!("hash update{name}"), |bencher| {
            bencher.iter(|| update(large_hash, "hash", draw.next().unwrap_or(0)));
        });
        group.bench_function(format!("sorted set update{name}"), |bencher| {
            bencher.iter(|| update(large_sorted_set, "set", draw.next().unwrap_or(0)));
        });
    }
    group.bench_function("deletion", |bencher| {
        let store = Store::new();
        let fill = || {
            store
                .update::<_, Error>("hash", || large_hash(KEYS), |_| Ok(()))
                .unwrap_or_else(|error| panic!("{error}"));
        };
        bencher.iter_batched(fill, |()| store.remove("hash"), BatchSize::PerIteration);
    });
    group.finish();
}

/// The time that two threads take for `rounds` of `work` each, on these stores.
fn two_threads(
    stores: [&Store; 2],
    rounds: u64,
    work: impl Fn(&Store, u64, &mut Draw) + Sync,
) -> Duration {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for (thread, store) in stores.into_iter().enumerate() {
            let work = &work;
            scope.spawn(move || {
                let mut draw = Draw(thread as u64 + 1);
                for _ in 0..rounds {
                    // Even keys belong to one thread, odd ones to the other.
                    work(store, thread as u64, &mut draw);
                }
            });
        }
    });
    begin.elapsed()
}

/// What sharing one store costs two threads that touch no key in common.
fn sharing(criterion: &mut Criterion) {
    let stores = [filled(), filled()];
    let mut group = criterion.benchmark_group("two threads, disjoint keys");
    group.measurement_time(Duration::from_secs(3));
    type Work = fn(&Store, u64, &mut Draw);
    let works: [(&str, Work); 3] = [
        ("reads", |store, thread, draw| {
            drop(black_box(
                store.get(key(draw.next().unwrap_or(0) / 2 * 2 + thread)),
            ));
        }),
        ("single writes", |store, thread, draw| {
            store.set(key(draw.next().unwrap_or(0) / 2 * 2 + thread), [b'w'; 64]);
        }),
        ("transactions of two keys", |store, thread, draw| {
            let mut own = || draw.next().unwrap_or(0) / 2 * 2 + thread;
            let (one, other) = (own(), own());
            transfer(store, one, other);
        }),
    ];
    for (name, work) in works {
        group.bench_function(format!("{name}, one store"), |bencher| {
            bencher.iter_custom(|rounds| two_threads([&stores[0], &stores[0]], rounds, work));
        });
        group.bench_function(format!("{name}, a store each"), |bencher| {
            bencher.iter_custom(|rounds| two_threads([&stores[0], &stores[1]], rounds, work));
        });
    }
    group.finish();
}

criterion_group!(benches, points, collections, sharing);
criterion_main!(benches);
