//! The count of memory in use. Alone in its process, for it is the process's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use darter::memory::{Allocator, peak_bytes, used_bytes};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// What threads may keep to themselves: this one, the harness's, and some to spare.
const KEPT_BYTES_MAX: usize = 4 * (32 << 10);

fn assert_near(used: usize, expected: usize) {
    let off = used.abs_diff(expected);
    assert!(off < KEPT_BYTES_MAX, "{used}, not {expected}: off by {off}");
}

/// Many small blocks and a large one, grown and shrunk on the way.
fn fill(bytes: usize) -> (Vec<Box<[u8]>>, Vec<u8>) {
    let small = (0..bytes / 200).map(|_| Box::from([1; 100])).collect();
    let mut large = Vec::new();
    for byte in 0..bytes {
        large.push(byte as u8);
    }
    large.truncate(bytes / 2);
    large.shrink_to_fit();
    (small, large)
}

/// What `fill` leaves, the boxes' own vector included.
fn size_of_filled((small, large): &(Vec<Box<[u8]>>, Vec<u8>)) -> usize {
    small.len() * 100 + small.capacity() * size_of::<Box<[u8]>>() + large.capacity()
}

#[test]
fn every_way_of_allocating_is_counted() {
    const BYTES: usize = 8 << 20;
    let before = used_bytes();
    assert!(before > 0, "the harness itself has allocated");

    let filled = fill(BYTES);
    let size = size_of_filled(&filled);
    assert!(size > BYTES * 9 / 10);
    assert_near(used_bytes(), before + size);
    assert!(peak_bytes() >= before + size - KEPT_BYTES_MAX);
    let zeroes = vec![0_u8; BYTES];
    assert_near(used_bytes(), before + size + zeroes.len());
    drop(zeroes);

    // Freed by another thread than the one that allocated.
    std::thread::spawn(move || drop(filled)).join().unwrap();
    assert_near(used_bytes(), before);

    // Threads that end with less than what they would have told by themselves, and hand it over.
    let threads = 400;
    let kept: Vec<Vec<u8>> = (0..threads)
        .map(|_| std::thread::spawn(|| vec![1; 20_000]).join().unwrap())
        .collect();
    assert_near(used_bytes(), before + threads * 20_000);
    drop(kept);
    for _ in 0..threads {
        let block = vec![1_u8; 20_000];
        std::thread::spawn(move || drop(block)).join().unwrap();
    }
    assert_near(used_bytes(), before);
    assert!(peak_bytes() >= before + size - KEPT_BYTES_MAX);
}
