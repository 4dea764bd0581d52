//! Costs, to be looked at:
//! `cargo test --release -p darter-storage numbers -- --ignored --nocapture`.
//! Each operation is a version of its own: fork, change, store, cut of the version below.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use super::super::tree::check::discard_last;
use super::super::*;
use super::model::Random;

/// A key with one version.
struct Key {
    stored: Stored,
}

impl Key {
    fn new(value: Value) -> Key {
        Key {
            stored: value.store(),
        }
    }

    fn value(&self) -> ValueRef<'_> {
        match &self.stored {
            Stored::Flat {
                kind,
                encoding,
                bytes,
            } => ValueRef::from_flat(*kind, *encoding, bytes),
            Stored::Tree(state) => ValueRef::from_tree(state),
        }
    }

    fn update(&mut self, change: impl FnOnce(&mut Value)) {
        let mut value = Value::fork(self.value());
        change(&mut value);
        let mut new = value.store();
        match (&mut new, &mut self.stored) {
            (Stored::Tree(above), Stored::Tree(state)) => {
                // SAFETY: neighbours in a chain that this thread alone has.
                let mut cut = unsafe { TreeState::cut(&raw mut **above, &raw mut **state, None) };
                cut.garbage.free_some(usize::MAX);
            }
            (Stored::Flat { .. }, Stored::Tree(state)) => {
                // SAFETY: the only version of its chain, and replaced below.
                unsafe { discard_last(&raw mut **state) }.free_some(usize::MAX);
            }
            (_, Stored::Flat { .. }) => {}
        }
        self.stored = new;
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        if let Stored::Tree(state) = &mut self.stored {
            // SAFETY: the only version of its chain.
            unsafe { discard_last(&raw mut **state) }.free_some(usize::MAX);
        }
    }
}

fn report(name: &str, count: usize, mut run: impl FnMut(&mut Random)) {
    let mut random = Random(7);
    let start = Instant::now();
    (0..count).for_each(|_| run(&mut random));
    let nanoseconds = start.elapsed().as_nanos() as usize / count;
    writeln!(std::io::stderr(), "{name:34} {nanoseconds:6} ns").unwrap();
}

fn name(number: usize) -> [u8; 16] {
    let mut bytes = *b"element-........";
    bytes[8..].copy_from_slice(&(number as u64).to_be_bytes());
    bytes
}

fn hash(len: usize) {
    let mut value = HashValue::new();
    report(&format!("hash of {len}: build, each"), len, |_| {
        let number = value.as_ref().len();
        value.insert(&name(number), &name(number));
    });
    let mut key = Key::new(Value::Hash(value));
    let bytes = key.value().memory_bytes();
    writeln!(std::io::stderr(), "bytes an element {}", bytes / len).unwrap();
    report(&format!("hash of {len}: get"), 500_000, |random| {
        let ValueRef::Hash(hash) = key.value() else {
            return;
        };
        black_box(hash.get(&name(random.below(len))));
    });
    report(&format!("hash of {len}: update"), 300_000, |random| {
        let (field, new) = (name(random.below(len)), name(random.below(1000)));
        key.update(|value| {
            let Value::Hash(hash) = value else { return };
            hash.insert(&field, &new);
        });
    });
}

fn list(len: usize) {
    let mut value = ListValue::new();
    report(&format!("list of {len}: build, each"), len, |_| {
        value.push_back(&name(5))
    });
    let mut key = Key::new(Value::List(value));
    let bytes = key.value().memory_bytes();
    writeln!(std::io::stderr(), "bytes an element {}", bytes / len).unwrap();
    let mut pushes = true;
    report(
        &format!("list of {len}: push or pop (half each)"),
        300_000,
        |random| {
            let ValueRef::List(list) = key.value() else {
                return;
            };
            if list.len() <= len.saturating_sub(len / 5) || list.len() > len + len / 5 {
                pushes = list.len() < len;
            }
            let pushes = if len < 100 { list.len() <= len } else { pushes };
            black_box(random.next());
            key.update(|value| {
                let Value::List(list) = value else { return };
                if pushes {
                    list.push_back(&name(7));
                } else {
                    black_box(list.pop_front());
                }
            });
        },
    );
    report(&format!("list of {len}: index"), 300_000, |random| {
        let ValueRef::List(list) = key.value() else {
            return;
        };
        black_box(list.get(random.below(len)));
    });
}

fn sorted_set(len: usize) {
    let mut value = SortedSetValue::new();
    report(
        &format!("sorted set of {len}: build, each"),
        len,
        |random| {
            value.insert(&name(value.as_ref().len()), random.below(1 << 30) as f64);
        },
    );
    let mut key = Key::new(Value::SortedSet(value));
    let bytes = key.value().memory_bytes();
    writeln!(std::io::stderr(), "bytes an element {}", bytes / len).unwrap();
    let mut next = len;
    report(
        &format!("sorted set of {len}: new member"),
        300_000,
        |random| {
            next += 1;
            key.update(|value| {
                let Value::SortedSet(set) = value else { return };
                set.insert(&name(next), random.below(1 << 30) as f64);
                if len < 100 {
                    set.remove(&name(next - len));
                }
            });
        },
    );
    report(
        &format!("sorted set of {len}: new score"),
        300_000,
        |random| {
            key.update(|value| {
                let Value::SortedSet(set) = value else { return };
                set.insert(
                    &name(next - random.below(len)),
                    random.below(1 << 30) as f64,
                );
            });
        },
    );
    report(&format!("sorted set of {len}: score"), 300_000, |random| {
        let ValueRef::SortedSet(set) = key.value() else {
            return;
        };
        black_box(set.score(&name(random.below(len))));
    });
    report(&format!("sorted set of {len}: rank"), 300_000, |random| {
        let ValueRef::SortedSet(set) = key.value() else {
            return;
        };
        black_box(set.rank(&name(random.below(len))));
    });
}

#[test]
#[ignore = "measures, and promises nothing"]
fn numbers() {
    [10, 1_000, 1_000_000].into_iter().for_each(hash);
    [10, 1_000_000].into_iter().for_each(list);
    [10, 1_000_000].into_iter().for_each(sorted_set);
}
