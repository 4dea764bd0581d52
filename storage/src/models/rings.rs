//! A thread's announcements: each is taken once, in order, and none that was numbered below the
//! merger's number is overlooked.

use loom::sync::Arc;
use loom::thread;

use super::{Memory, check};
use crate::clock::Clock;
use crate::record::Record;
use crate::ring::{Announced, Ring};

/// More than one segment holds under loom.
const ENTRIES: usize = 3;

struct Stream {
    ring: Ring,
    clock: Clock,
    entries: [Memory; ENTRIES],
}

impl Stream {
    fn new() -> Stream {
        Stream {
            ring: Ring::new(),
            clock: Clock::new(),
            entries: Default::default(),
        }
    }

    fn announce(&self, at: usize) {
        self.entries[at].write(at as u64);
        let record = self.entries[at].disguised::<Record>();
        let entry = Announced::Single(record, std::ptr::null_mut());
        // SAFETY: one thread alone calls this.
        unsafe { self.ring.push(entry) };
    }

    /// Takes the oldest entry.
    fn take(&self) -> Option<u64> {
        // SAFETY: one thread at a time calls this.
        let entry = unsafe { self.ring.peek() }?;
        let Announced::Single(record, _) = entry else {
            panic!("no such entry was announced");
        };
        // SAFETY: the entries live as long as the model.
        let number = unsafe { Memory::unmasked(record) }.read();
        // SAFETY: as above, right after `peek`.
        unsafe { self.ring.pop() };
        Some(number)
    }
}

#[test]
fn announcements_are_taken_once_and_in_order_with_all_that_was_written_before() {
    check(5, || {
        let stream = Arc::new(Stream::new());
        let own = Arc::clone(&stream);
        let thread = thread::spawn(move || (0..ENTRIES).for_each(|at| own.announce(at)));
        let mut taken: Vec<u64> = (0..ENTRIES).filter_map(|_| stream.take()).collect();
        thread.join().unwrap();
        taken.extend(std::iter::from_fn(|| stream.take()));
        assert_eq!(taken, [0, 1, 2]);
        assert_eq!(stream.ring.len(), 0);
    });
}

#[test]
fn what_is_numbered_below_the_mergers_number_has_been_announced() {
    check(5, || {
        let stream = Arc::new(Stream::new());
        let own = Arc::clone(&stream);
        let thread = thread::spawn(move || {
            own.announce(1);
            own.clock.now()
        });
        let end = stream.clock.draw();
        let is_taken = stream.take().is_some();
        let number = thread.join().unwrap();
        assert!(is_taken || number >= end, "{number} below {end}");
    });
}
