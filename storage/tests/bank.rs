//! I1, I2, I4: money moves between accounts by every road at once, and every auditor who looks
//! through a snapshot, a transaction or the closed gate finds the same sum.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use darter_storage::{Error, Mode, Store};

const ACCOUNTS: usize = 32;
const BALANCE: i64 = 1000;

fn account(index: usize) -> Vec<u8> {
    format!("account:{index:04}").into_bytes()
}

fn opened() -> Store {
    let store = Store::new();
    for index in 0..ACCOUNTS {
        store.set(account(index), BALANCE.to_string());
    }
    store
}

/// Draws numbers below `bound` without state shared with other threads.
fn draw(state: &mut u64, bound: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % bound as u64) as usize
}

fn transfer(store: &Store, from: &[u8], to: &[u8], exclusive: bool) {
    let body = |tx: &mut darter_storage::Transaction| -> Result<(), Error> {
        let balance = tx.integer(0, from)?.unwrap_or(0);
        tx.set_integer(0, from, balance - 1)?;
        let balance = tx.integer(0, to)?.unwrap_or(0);
        tx.set_integer(0, to, balance + 1)
    };
    let result = if exclusive {
        store.exclusive(body)
    } else {
        store.transaction(body)
    };
    result.expect("integers all over");
}

/// One direct transaction: no snapshot, compared at its commit.
fn transfer_directly(store: &Store, from: &[u8], to: &[u8]) -> bool {
    let mut tx = store.begin(Mode::Direct);
    let balance = tx.integer(0, from).expect("an integer").unwrap_or(0);
    tx.set_integer(0, from, balance - 1).expect("writable");
    let balance = tx.integer(0, to).expect("an integer").unwrap_or(0);
    tx.set_integer(0, to, balance + 1).expect("writable");
    tx.commit().is_ok()
}

fn sum(read: impl Fn(&[u8]) -> i64) -> i64 {
    (0..ACCOUNTS).map(|index| read(&account(index))).sum()
}

#[test]
fn i1_every_sum_is_right_by_every_road() {
    let store = opened();
    let stop = AtomicBool::new(false);
    let audits = AtomicU64::new(0);
    let expected = ACCOUNTS as i64 * BALANCE;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..=3_u64)
            .map(|seed| {
                let store = store.clone();
                scope.spawn(move || {
                    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    for round in 0..4000 {
                        let from = draw(&mut state, ACCOUNTS);
                        let to = (from + 1 + draw(&mut state, ACCOUNTS - 1)) % ACCOUNTS;
                        let (from, to) = (account(from), account(to));
                        match round % 8 {
                            0 => transfer(&store, &from, &to, true),
                            1 | 2 => while !transfer_directly(&store, &from, &to) {},
                            _ => transfer(&store, &from, &to, false),
                        }
                    }
                })
            })
            .collect();
        let auditor = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let snapshot = store.snapshot();
                let read = |key: &[u8]| {
                    snapshot
                        .read(|tx| tx.integer(0, key))
                        .expect("an integer")
                        .unwrap_or(0)
                };
                assert_eq!(sum(read), expected, "a snapshot is torn");
                assert_eq!(sum(read), expected, "a snapshot changed");
                let seen: Result<i64, Error> = store.transaction(|tx| {
                    let mut sum = 0;
                    for index in 0..ACCOUNTS {
                        sum += tx.integer(0, &account(index))?.unwrap_or(0);
                    }
                    tx.set_integer(0, b"audit", sum)?;
                    Ok(sum)
                });
                assert_eq!(seen, Ok(expected), "a transaction saw a torn state");
                audits.fetch_add(1, Ordering::Relaxed);
            }
        });
        let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok), "a worker failed");
        auditor.join().expect("the auditor");
    });
    assert!(audits.load(Ordering::Relaxed) > 0);
    let read = |key: &[u8]| {
        let bytes = store.get(key).expect("a string").expect("an account");
        String::from_utf8(bytes)
            .expect("digits")
            .parse::<i64>()
            .expect("a number")
    };
    assert_eq!(sum(read), expected);
}

#[test]
fn i4_one_hot_counter_loses_no_update() {
    let store = Store::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let store = store.clone();
            scope.spawn(move || {
                for _ in 0..2500 {
                    store
                        .transaction(|tx| {
                            let n = tx.integer(0, b"n")?.unwrap_or(0);
                            tx.set_integer(0, b"n", n + 1)
                        })
                        .expect("a number");
                }
            });
        }
    });
    assert_eq!(
        store.get("n").expect("a string").as_deref(),
        Some(&b"10000"[..])
    );
}
