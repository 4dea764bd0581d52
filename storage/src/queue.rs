//! The queues of escalation: transactions that keep losing line up for their keys.
//!
//! Keys share a fixed number of queues by their hash. A transaction joins the queues of all keys
//! that it declared, in queue order (so two never wait for each other), and runs while it heads
//! all of them. The queues are advisory: they order those who lost before, and stop nobody else.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::task::Waker;

use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard, sized};

const QUEUES: usize = sized(1024, 4);
/// What one failed commit adds to its keys' heat, and from where on they count as hot.
const HEAT_STEP: u8 = 16;
const HEAT_HOT: u8 = 64;

#[derive(Default)]
struct Queue {
    next_ticket: u64,
    /// The head runs; the others wait.
    line: VecDeque<(u64, Option<Waker>)>,
}

/// All queues of one store. Locks that only those who have lost a commit touch.
pub(crate) struct Queues {
    queues: Box<[Mutex<Queue>]>,
    /// How often commits on each queue's keys failed lately.
    heat: Box<[AtomicU8]>,
    /// Transactions that wait or run in some queue, so that others need not look.
    pub(crate) members: AtomicU64,
}

/// A place in the queues of some keys. Dropping it lets the next ones run.
pub(crate) struct QueuePlace {
    /// Sorted, each once, with the ticket drawn there.
    tickets: Vec<(usize, u64)>,
    wanted: Vec<usize>,
}

impl Queues {
    pub(crate) fn new() -> Queues {
        Queues {
            queues: (0..QUEUES).map(|_| Mutex::default()).collect(),
            heat: (0..QUEUES).map(|_| AtomicU8::new(0)).collect(),
            members: AtomicU64::new(0),
        }
    }

    fn lock(&self, index: usize) -> MutexGuard<'_, Queue> {
        // Nothing panics while a queue is locked.
        self.queues[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a failed commit on keys of these hashes; `true` if one of them is hot. Relaxed: a
    /// lost count only delays an escalation.
    pub(crate) fn heat_up(&self, hashes: impl Iterator<Item = u64>) -> bool {
        let mut is_hot = false;
        for hash in hashes {
            let heat = &self.heat[hash as usize % QUEUES];
            let warmer = heat.load(Ordering::Relaxed).saturating_add(HEAT_STEP);
            heat.store(warmer, Ordering::Relaxed);
            is_hot |= warmer >= HEAT_HOT;
        }
        is_hot
    }

    /// A place for keys of these hashes; it is joined queue by queue in `poll`.
    pub(crate) fn place(&self, hashes: impl Iterator<Item = u64>) -> QueuePlace {
        let mut wanted: Vec<usize> = hashes.map(|hash| hash as usize % QUEUES).collect();
        wanted.sort_unstable();
        wanted.dedup();
        self.members.fetch_add(1, Ordering::Relaxed);
        QueuePlace {
            tickets: Vec::new(),
            wanted,
        }
    }

    /// Moves the place on; `true` once it heads all its queues. Else `waker` is woken when it may
    /// be worth asking again.
    pub(crate) fn poll(&self, place: &mut QueuePlace, waker: &Waker) -> bool {
        loop {
            if let Some(&(index, ticket)) = place.tickets.last()
                && !self.heads(index, ticket, waker)
            {
                return false;
            }
            let Some(&index) = place.wanted.get(place.tickets.len()) else {
                return true;
            };
            let mut queue = self.lock(index);
            let ticket = queue.next_ticket;
            queue.next_ticket += 1;
            queue.line.push_back((ticket, None));
            place.tickets.push((index, ticket));
        }
    }

    /// Whether the ticket heads its queue; else `waker` is kept for when it may.
    fn heads(&self, index: usize, ticket: u64, waker: &Waker) -> bool {
        let is_head = |queue: &Queue| queue.line.front().is_some_and(|(head, _)| *head == ticket);
        if is_head(&self.lock(index)) {
            return true;
        }
        // Before the lock, as the last one goes behind it: both run code that is not the store's.
        let mut kept = Some(waker.clone());
        let mut queue = self.lock(index);
        if is_head(&queue) {
            drop(queue);
            return true;
        }
        let own = queue.line.iter_mut().find(|(known, _)| *known == ticket);
        if let Some((_, slot)) = own {
            std::mem::swap(slot, &mut kept);
        }
        drop(queue);
        false
    }

    /// Gives the place up.
    pub(crate) fn leave(&self, place: QueuePlace) {
        for &(index, ticket) in place.tickets.iter().rev() {
            let mut queue = self.lock(index);
            let own = queue.line.iter().position(|(known, _)| *known == ticket);
            // Its waker goes when the queue is no longer locked.
            let _own = own.and_then(|at| queue.line.remove(at));
            let next = queue.line.front_mut().and_then(|(_, waker)| waker.take());
            if queue.line.is_empty() {
                // Nobody waits: the keys cool down.
                let heat = &self.heat[index];
                heat.store(heat.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
            drop(queue);
            if let Some(waker) = next
                && !fault!("queue's wake-up lost")
            {
                waker.wake();
            }
        }
        self.members.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use crate::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::Arc;
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A waker that looks, when it goes, whether a queue is locked.
    struct Looks {
        queues: Arc<Queues>,
        index: usize,
        found_locked: Arc<AtomicUsize>,
    }

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Looks {
        fn drop(&mut self) {
            if self.queues.queues[self.index].try_lock().is_err() {
                self.found_locked.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    #[test]
    fn wakers_go_while_no_queue_is_locked() {
        let queues = Arc::new(Queues::new());
        let found_locked = Arc::new(AtomicUsize::new(0));
        let waker = || {
            Waker::from(Arc::new(Looks {
                queues: Arc::clone(&queues),
                index: 2,
                found_locked: Arc::clone(&found_locked),
            }))
        };
        let mut first = queues.place([2].into_iter());
        let mut second = queues.place([2].into_iter());
        assert!(queues.poll(&mut first, &waker()));
        assert!(!queues.poll(&mut second, &waker()));
        assert!(!queues.poll(&mut second, &waker()), "takes another's place");
        queues.leave(second);
        queues.leave(first);
        assert_eq!(found_locked.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn the_first_runs_and_the_next_is_woken_when_it_leaves() {
        let queues = Queues::new();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut first = queues.place([1, 2, 1025].into_iter());
        let mut second = queues.place([2].into_iter());
        let mut other = queues.place([3].into_iter());
        assert!(queues.poll(&mut first, &waker));
        assert!(!queues.poll(&mut second, &waker));
        assert!(queues.poll(&mut other, &waker));
        queues.leave(first);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(queues.poll(&mut second, &waker));
        queues.leave(second);
        queues.leave(other);
        assert_eq!(queues.members.load(Ordering::SeqCst), 0);
    }
}
