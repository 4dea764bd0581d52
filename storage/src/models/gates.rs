//! The gate: its owner is alone, and whoever waits for it is woken.
//!
//! Under loom both sides have a full fence. The asymmetric form, where the writer's is a
//! compiler's and the owner's a `membarrier`, orders the same accesses; that the kernel does so is
//! taken for granted.

use loom::sync::Arc;
use loom::thread;

use super::{Memory, check};
use crate::gate::{Flag, Gate};
use crate::waiting::park_until;

struct Gated {
    gate: Gate,
    flags: [Flag; 2],
    /// Written inside the gate by one writer, and by the owner of the closed gate.
    memory: [Memory; 2],
}

impl Gated {
    fn new() -> Gated {
        Gated {
            gate: Gate::new(),
            flags: Default::default(),
            memory: Default::default(),
        }
    }

    fn write(&self, writer: usize) {
        if let Some(_inside) = self.gate.enter(&self.flags[writer]) {
            self.memory[writer].add(1);
        }
    }

    /// Closes the gate, if nobody has it, and writes everything if nobody is inside.
    fn own(&self) {
        let Some(ticket) = self.gate.try_close() else {
            return;
        };
        assert!(self.gate.is_closed());
        if !self.flags.iter().any(Flag::is_raised) {
            self.memory.iter().for_each(|memory| memory.add(10));
        }
        self.gate.open(ticket);
    }
}

#[test]
fn whoever_closes_the_gate_is_alone_once_no_flag_is_raised() {
    check(3, || {
        let gated = Arc::new(Gated::new());
        let threads = [0, 1].map(|writer| {
            let gated = Arc::clone(&gated);
            thread::spawn(move || gated.write(writer))
        });
        gated.own();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn whoever_enters_after_the_owner_sees_what_the_owner_wrote() {
    check(4, || {
        let gated = Arc::new(Gated::new());
        let own = Arc::clone(&gated);
        let writer = thread::spawn(move || {
            own.write(0);
            own.write(0);
        });
        gated.own();
        gated.own();
        writer.join().unwrap();
        assert!(!gated.gate.is_closed());
    });
}

#[test]
fn the_gate_has_one_owner() {
    check(4, || {
        let gated = Arc::new(Gated::new());
        let own = Arc::clone(&gated);
        let other = thread::spawn(move || own.own());
        gated.own();
        other.join().unwrap();
        assert!(!gated.gate.is_closed());
    });
}

#[test]
fn whoever_waits_for_the_gate_is_woken_when_it_opens() {
    check(3, || {
        let gated = Arc::new(Gated::new());
        let ticket = gated.gate.try_close();
        let threads = [0, 1].map(|_| {
            let gated = Arc::clone(&gated);
            thread::spawn(move || {
                // Kept to the end of the model: std's counts are none of loom's.
                let mut wakers = Vec::new();
                park_until(|waker| {
                    wakers.push(waker.clone());
                    gated.gate.poll_open(waker)
                });
                wakers
            })
        });
        gated.gate.open(ticket.unwrap());
        for thread in threads {
            drop(thread.join().unwrap());
        }
    });
}
