//! The store within a program, with a million keys, against what else one might put there: papaya's
//! hash table, which is unordered and has no transactions, and std's tree behind a lock.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use darter_storage::{Mode, Store, Transaction};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEYS: u64 = 1_000_000;
const BATCH: usize = 16;
const THREADS: u64 = 2;
/// One operation in so many writes, where there are writes.
const WRITE_EVERY: u64 = 10;

type Key = [u8; 16];
type Bytes = Box<[u8]>;
type Papaya = papaya::HashMap<Bytes, Bytes, ahash::RandomState>;
type Tree = RwLock<BTreeMap<Bytes, Bytes>>;

fn key(number: u64) -> Key {
    let mut key = *b"key:000000000000";
    let mut rest = number % KEYS;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Numbers in no order, each thread's own.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn key(&mut self) -> Key {
        key(self.next())
    }

    fn keys(&mut self) -> [Key; BATCH] {
        std::array::from_fn(|_| self.key())
    }
}

/// What is done with a value: one look at it.
fn look(value: Option<&[u8]>) {
    black_box(value.and_then(<[u8]>::last));
}

fn store() -> Store {
    let store = Store::new();
    for number in 0..KEYS {
        store.set(key(number), [b'v'; 64]);
    }
    store
}

fn papaya() -> Papaya {
    let map = Papaya::with_hasher(ahash::RandomState::with_seed(1));
    for number in 0..KEYS {
        map.pin().insert(key(number).into(), [b'v'; 64].into());
    }
    map
}

fn tree() -> Tree {
    let pairs = (0..KEYS).map(|number| (key(number).into(), [b'v'; 64].into()));
    RwLock::new(pairs.collect())
}

/// A transaction that reads what there is now and compares nothing, used again.
fn reader(store: &Store) -> Transaction {
    store.begin(Mode::Direct)
}

fn read(tx: &mut Transaction, keys: &[Key]) {
    tx.restart();
    tx.skip_comparison();
    for key in keys {
        let value = tx.bytes(0, key).unwrap_or_else(|error| panic!("{error}"));
        look(value.as_deref());
    }
    tx.rest();
}

fn read_papaya(map: &Papaya, keys: &[Key]) {
    let map = map.pin();
    for key in keys {
        look(map.get(&key[..]).map(|value| &value[..]));
    }
}

fn read_tree(tree: &Tree, keys: &[Key]) {
    let tree = tree.read().unwrap_or_else(PoisonError::into_inner);
    for key in keys {
        look(tree.get(&key[..]).map(|value| &value[..]));
    }
}

fn one_thread(criterion: &mut Criterion) {
    let (store, map, tree) = (store(), papaya(), tree());
    let mut tx = reader(&store);
    let mut group = criterion.benchmark_group("one thread, 1 M keys");
    let mut draw = Draw(1);
    group.bench_function("point read, store", |bencher| {
        bencher.iter(|| read(&mut tx, &[draw.key()]));
    });
    group.bench_function("point read, papaya", |bencher| {
        bencher.iter(|| read_papaya(&map, &[draw.key()]));
    });
    group.bench_function("point read, tree behind a lock", |bencher| {
        bencher.iter(|| read_tree(&tree, &[draw.key()]));
    });
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("batch of 16, store", |bencher| {
        bencher.iter(|| {
            let keys = draw.keys();
            let lookups: [(&[u8], Option<&[u8]>); BATCH] =
                std::array::from_fn(|at| (&keys[at][..], None));
            store.prefetch(0, &lookups);
            read(&mut tx, &keys);
        });
    });
    group.bench_function("batch of 16, papaya", |bencher| {
        bencher.iter(|| read_papaya(&map, &draw.keys()));
    });
    group.bench_function("batch of 16, tree behind a lock", |bencher| {
        bencher.iter(|| read_tree(&tree, &draw.keys()));
    });
    group.finish();
}

/// The time that both threads take for `rounds` operations each.
fn timed<S>(
    rounds: u64,
    state: impl Fn() -> S + Sync,
    operation: impl Fn(&mut S, &mut Draw, u64) + Sync,
) -> Duration {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (state, operation) = (&state, &operation);
            scope.spawn(move || {
                let (mut state, mut draw) = (state(), Draw(thread + 1));
                for round in 0..rounds {
                    operation(&mut state, &mut draw, round);
                }
            });
        }
    });
    begin.elapsed()
}

fn two_threads(criterion: &mut Criterion) {
    let (store, map, tree) = (store(), papaya(), tree());
    let mut group = criterion.benchmark_group("two threads, 1 M keys");
    group.measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(THREADS));
    for (what, writes) in [("reads", false), ("reads, a tenth writes", true)] {
        let is_write = |round: u64| writes && round.is_multiple_of(WRITE_EVERY);
        group.bench_function(format!("{what}, store"), |bencher| {
            let operation = |tx: &mut Transaction, draw: &mut Draw, round| {
                if is_write(round) {
                    store.set(draw.key(), [b'w'; 64]);
                } else {
                    read(tx, &[draw.key()]);
                }
            };
            bencher.iter_custom(|rounds| timed(rounds, || reader(&store), operation));
        });
        group.bench_function(format!("{what}, papaya"), |bencher| {
            let operation = |(): &mut (), draw: &mut Draw, round| {
                if is_write(round) {
                    map.pin().insert(draw.key().into(), [b'w'; 64].into());
                } else {
                    read_papaya(&map, &[draw.key()]);
                }
            };
            bencher.iter_custom(|rounds| timed(rounds, || (), operation));
        });
        group.bench_function(format!("{what}, tree behind a lock"), |bencher| {
            let operation = |(): &mut (), draw: &mut Draw, round| {
                if is_write(round) {
                    let mut tree = tree.write().unwrap_or_else(PoisonError::into_inner);
                    tree.insert(draw.key().into(), [b'w'; 64].into());
                } else {
                    read_tree(&tree, &[draw.key()]);
                }
            };
            bencher.iter_custom(|rounds| timed(rounds, || (), operation));
        });
    }
    group.finish();
}

criterion_group!(benches, one_thread, two_threads);
criterion_main!(benches);
