//! The line of a thread's exclusive scripts that wait for the gate, and who is called.
//!
//! One task of the thread, the attendant, waits at the gate for all of them, and calls as many as may run
//! in one round of the thread, before any reply of theirs is sent: so the gate is closed once for all of
//! those, few are woken in vain, and those whose clients send the next request soonest are not ahead of
//! the rest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use crate::fault::fault;
use crate::wakers::wake_after_sockets;

/// In one round a thread begins with exclusive scripts of other clients for so long, before its other
/// clients have their turn.
pub(super) const ROUND_MAX: Duration = Duration::from_millis(1);
/// How many are called at once, at most.
const CALLED_MAX: usize = 64;

/// The task, and whether the gate has woken it.
struct Attendant {
    task: Waker,
    gate_has_changed: AtomicBool,
}

impl Wake for Attendant {
    fn wake(self: Arc<Self>) {
        // Release: pairs with the Acquire of `Line::attend`.
        self.gate_has_changed.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

/// A script's place in the line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GatePlace(u64);

/// See the module's text.
pub(super) struct Line {
    attendant: Arc<Attendant>,
    /// Wakes the attendant too, and says that it was the gate.
    gate_waker: Waker,
    /// In the order of their places.
    waiting: VecDeque<(GatePlace, Waker)>,
    places: u64,
    /// The last one who was called, and how many have yet to come: they never do if their client is gone.
    called: GatePlace,
    awaited: usize,
    /// How many are called at once.
    batch: usize,
    /// How many scripts have begun in this round, and whether one that was called came too late for it.
    begun: usize,
    was_late: bool,
    /// The first in line has asked for the gate; all wait until that has changed.
    is_at_gate: bool,
    /// The thread has kept the gate for long enough: others get it first.
    must_wait: bool,
    /// When the first script of this round began.
    round_began: Option<Instant>,
}

impl Line {
    /// `task` is the attendant's.
    pub(super) fn new(task: Waker) -> Line {
        let attendant = Arc::new(Attendant {
            task,
            gate_has_changed: AtomicBool::new(false),
        });
        Line {
            gate_waker: Waker::from(Arc::clone(&attendant)),
            attendant,
            waiting: VecDeque::new(),
            places: 0,
            called: GatePlace(0),
            awaited: 0,
            batch: 1,
            begun: 0,
            was_late: false,
            is_at_gate: false,
            must_wait: false,
            round_began: None,
        }
    }

    /// The attendant's turn, after the thread has looked at its sockets.
    pub(super) fn attend(&mut self) {
        self.begin_round();
        // Acquire: pairs with the Release of `Attendant::wake`.
        let has_changed = self
            .attendant
            .gate_has_changed
            .swap(false, Ordering::Acquire);
        if !self.is_at_gate || has_changed {
            self.is_at_gate = false;
            self.call();
        }
    }

    /// What took time before counts no more; as many are called as could begin.
    pub(super) fn begin_round(&mut self) {
        if self.was_late {
            self.batch = self.begun.max(1);
        } else if self.begun >= self.batch {
            self.batch = CALLED_MAX.min(2 * self.batch);
        }
        self.must_wait = false;
        self.round_began = None;
        self.begun = 0;
        self.was_late = false;
    }

    fn call(&mut self) {
        self.awaited = self.batch.min(self.waiting.len());
        for (place, waker) in self.waiting.drain(..self.awaited) {
            self.called = place;
            waker.wake();
        }
        if self.awaited > 0 {
            // They come first, or never.
            self.wake_attendant();
        }
    }

    fn wake_attendant(&self) {
        wake_after_sockets(&self.attendant.task);
    }

    /// Whether a script with this place, or with none, may ask for the gate now. `goes_on` if its client
    /// has the gate from the script before.
    pub(super) fn may_ask(&mut self, place: Option<GatePlace>, goes_on: bool) -> bool {
        let is_called = place.is_some_and(|place| place <= self.called);
        if is_called {
            self.awaited = self.awaited.saturating_sub(1);
        }
        if goes_on {
            return true;
        }
        let has_nobody = self.waiting.is_empty() && self.awaited == 0;
        let is_first = is_called
            || has_nobody
            || fault!("a newcomer goes ahead of those who wait for the gate");
        if !is_first || self.must_wait || self.is_at_gate {
            return false;
        }
        let is_late = self.round_began.is_some_and(|at| at.elapsed() >= ROUND_MAX);
        self.was_late |= is_called && is_late;
        !is_late
    }

    /// A script begins behind the closed gate.
    pub(super) fn note_begins(&mut self) {
        self.begun += 1;
        if self.round_began.is_none() {
            self.round_began = Some(Instant::now());
            self.wake_attendant();
        }
    }

    /// A script that might ask has found the gate closed; it stands in line next.
    pub(super) fn wait_at_gate(&mut self) {
        self.is_at_gate = true;
    }

    /// Who is to be woken by the gate.
    pub(super) fn gate_waker(&self) -> &Waker {
        &self.gate_waker
    }

    pub(super) fn let_others_first(&mut self) {
        self.must_wait = true;
        self.wake_attendant();
    }

    fn index_of(&self, place: GatePlace) -> Result<usize, usize> {
        self.waiting
            .binary_search_by_key(&place, |(place, _)| *place)
    }

    pub(super) fn has(&self, place: Option<GatePlace>) -> bool {
        place.is_some_and(|place| self.index_of(place).is_ok())
    }

    /// Lets a script wait where it was, or else at the end.
    pub(super) fn stand(&mut self, place: Option<GatePlace>, waker: &Waker) -> GatePlace {
        let place = place.unwrap_or_else(|| {
            self.places += 1;
            GatePlace(self.places)
        });
        let (Ok(index) | Err(index)) = self.index_of(place);
        self.waiting.insert(index, (place, waker.clone()));
        if !self.is_at_gate {
            self.wake_attendant();
        }
        place
    }

    #[cfg(test)]
    pub(super) fn must_wait(&self) -> bool {
        self.must_wait
    }

    /// So many are called next time.
    #[cfg(test)]
    pub(super) fn set_batch(&mut self, batch: usize) {
        self.batch = batch;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a round; whether those who are called come too late for it from `late` on. How many were
    /// called.
    fn round(line: &mut Line, late: usize) -> usize {
        let before = line.called.0;
        line.attend();
        let called = (line.called.0 - before) as usize;
        for index in 0..called {
            let place = Some(GatePlace(before + 1 + index as u64));
            if index == late {
                line.round_began = Instant::now().checked_sub(ROUND_MAX);
            }
            let may_ask = line.may_ask(place, false);
            assert_eq!(may_ask, index < late);
            if may_ask {
                line.note_begins();
            } else {
                line.stand(place, Waker::noop());
            }
        }
        line.called = GatePlace(before + called.min(late) as u64);
        called
    }

    #[test]
    fn as_many_are_called_as_may_run_in_a_round() {
        let mut line = Line::new(Waker::noop().clone());
        (0..1_000).for_each(|_| {
            line.stand(None, Waker::noop());
        });
        let never = usize::MAX;
        assert_eq!([1; 4].map(|_| round(&mut line, never)), [1, 2, 4, 8]);
        assert_eq!(round(&mut line, 5), 16);
        assert_eq!(round(&mut line, never), 5);
        assert_eq!(round(&mut line, 1), 10);
        assert_eq!(round(&mut line, never), 1);
        let batches = [1; 8].map(|_| round(&mut line, never));
        assert_eq!(batches[5..], [CALLED_MAX; 3]);
    }
}
