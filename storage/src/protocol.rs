//! The commit protocol: what everybody does who meets a version, decided or not.
//!
//! C is the commit clock, S a snapshot's number, n a commit's.
//!
//! - A single write installs its version with one CAS on the head, then loads C and CASes that
//!   number into the stamp. Number s means "after instant s, before s + 1".
//! - A multi-key commit installs its versions in key order, says READY, is numbered, and is decided
//!   by one CAS on its descriptor. Whoever meets it past INSTALLING finishes it; writers complete
//!   an INSTALLING one too, readers pass it.
//! - A version is visible at S if its number is below S.
//!
//! Why it holds (closed past): once C has reached n, a version not yet seen installed cannot get a
//! number below n. Its writer installs (or says READY) before the winning access to C; the looker
//! advanced C before it looked; in the single order of SeqCst operations one sees the other. So:
//! heads, C, and the READY transition are SeqCst on all sides; stamps and decisions are AcqRel,
//! because what they guard was written before them.
//!
//! Invariants: (a) under an installed version every stamp is final; (b) numbers never grow down a
//! chain; (c) at most one undecided or aborted version per record, on top; (d) a head returns to
//! an older pointer only after everybody who might still install over that pointer is gone.

use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, SeqCst};

use crossbeam_epoch::Guard;

use crate::descriptor::{Descriptor, Read, State, Write};
use crate::keyspace::Lookup;
use crate::record::{DEAD, Record};
use crate::store::Inner;
use crate::version::{ABORTED, Number, Stamp, UNSTAMPED, Version, committed_word, read_stamp};

/// What a writer finds on a record.
pub(crate) enum Settled {
    /// The record is being removed: look the key up again.
    Dead,
    /// `base` is the newest committed version (null: none); `head` is it, or an aborted one on it.
    Head {
        head: *mut Version,
        base: *mut Version,
    },
    /// The caller's own version is on top already.
    Own,
}

impl Inner {
    /// Gives an installed single write its number, unless it has one.
    pub(crate) fn stamp(&self, version: &Version) {
        let number = self.clock.now();
        let _ = version
            .stamp
            .compare_exchange(UNSTAMPED, committed_word(number), AcqRel, Acquire);
    }

    /// Finds what a writer may install upon. `own` is the version the caller means to install.
    pub(crate) fn settle(&self, record: &Record, own: *mut Version, guard: &Guard) -> Settled {
        loop {
            let head = record.head.load(SeqCst);
            if head == DEAD {
                return Settled::Dead;
            }
            if head.is_null() {
                return Settled::Head { head, base: head };
            }
            if head == own {
                return Settled::Own;
            }
            // SAFETY: a version reached from a head under the pin is not freed before the pin ends.
            let version = unsafe { &*head };
            let word = version.stamp.load(Acquire);
            match read_stamp(word) {
                Stamp::Unstamped => self.stamp(version),
                Stamp::Committed(_) => return Settled::Head { head, base: head },
                Stamp::Aborted => {
                    return Settled::Head {
                        head,
                        base: version.older.load(Acquire),
                    };
                }
                Stamp::Owned(descriptor) => {
                    // SAFETY: a descriptor is retired only after every one of its versions has its
                    // final stamp, so this one is kept by the pin.
                    let fate = self.help(unsafe { &*descriptor }, guard);
                    let last = fate.map_or(ABORTED, committed_word);
                    let _ = version.stamp.compare_exchange(word, last, AcqRel, Acquire);
                }
            }
        }
    }

    /// The newest version that is part of history, for a reader that wants the present. Finishes
    /// what it must finish to know; waits for nobody.
    ///
    /// Linearises at the load of the head, or just after the decision of what it finished.
    #[inline]
    pub(crate) fn newest<'g>(&self, record: &'g Record, guard: &'g Guard) -> Option<&'g Version> {
        loop {
            let head = record.head.load(SeqCst);
            if head.is_null() || head == DEAD {
                return None;
            }
            // SAFETY: reached from a head under the pin.
            let version: &'g Version = unsafe { &*head };
            // Before the status: what lies under a version is cut once its fate is known.
            let older = version.older.load(Acquire);
            match read_stamp(version.stamp.load(Acquire)) {
                Stamp::Committed(_) => return Some(version),
                Stamp::Unstamped => {
                    self.stamp(version);
                    return Some(version);
                }
                // SAFETY: under an installed version every stamp is final (a), and the pin keeps it.
                Stamp::Aborted => return unsafe { older.as_ref() },
                Stamp::Owned(descriptor) => {
                    // SAFETY: as in `settle`.
                    let descriptor = unsafe { &*descriptor };
                    match State::of(descriptor.status.load(SeqCst)) {
                        // SAFETY: as for an aborted one.
                        State::Installing | State::Failed => return unsafe { older.as_ref() },
                        State::Committed(_) => return Some(version),
                        State::Ready | State::Numbered(_) => {
                            self.help(descriptor, guard);
                        }
                    }
                }
            }
        }
    }

    /// The version of a key that is visible at `number`, which somebody keeps protected.
    pub(crate) fn visible<'g>(
        &self,
        record: &'g Record,
        number: Number,
        guard: &'g Guard,
    ) -> Option<&'g Version> {
        let mut at = record.head.load(SeqCst).cast_const();
        if at == DEAD {
            return None;
        }
        loop {
            // SAFETY: reached from a head under the pin; what lies at or above the protected
            // number's version is not cut.
            let version: &'g Version = unsafe { at.as_ref() }?;
            let older = version.older.load(Acquire).cast_const();
            match read_stamp(version.stamp.load(Acquire)) {
                Stamp::Committed(own) if own < number => return Some(version),
                Stamp::Committed(_) | Stamp::Aborted => at = older,
                Stamp::Unstamped => self.stamp(version),
                Stamp::Owned(descriptor) => {
                    // SAFETY: as in `settle`.
                    let descriptor = unsafe { &*descriptor };
                    match State::of(descriptor.status.load(SeqCst)) {
                        // Not READY after `number` was drawn: it can only get a later one.
                        State::Installing | State::Failed => at = older,
                        State::Committed(own) if own < number => return Some(version),
                        State::Committed(_) => at = older,
                        State::Ready => self.advance(descriptor),
                        State::Numbered(own) if own < number => {
                            self.help(descriptor, guard);
                        }
                        State::Numbered(_) => at = older,
                    }
                }
            }
        }
    }

    /// Carries a commit to its end. `Some(number)` if it became part of history.
    ///
    /// Ends: installing helps along increasing keys only, validating depends on smaller numbers
    /// only and installs nothing, so helpers never wait in a ring.
    pub(crate) fn help(&self, descriptor: &Descriptor, guard: &Guard) -> Option<Number> {
        loop {
            match State::of(descriptor.status.load(SeqCst)) {
                State::Installing => self.install(descriptor, guard),
                State::Ready => self.advance(descriptor),
                State::Numbered(number) => {
                    let fate = if self.validate(descriptor, number, guard) {
                        State::Committed(number)
                    } else {
                        State::Failed
                    };
                    self.decide(descriptor, State::Numbered(number), fate);
                }
                State::Committed(number) => return Some(number),
                State::Failed => return None,
            }
        }
    }

    fn decide(&self, descriptor: &Descriptor, from: State, to: State) {
        let _ = descriptor
            .status
            .compare_exchange(from.word(), to.word(), SeqCst, SeqCst);
    }

    /// Puts the versions on their heads, in key order, then says READY.
    fn install(&self, descriptor: &Descriptor, guard: &Guard) {
        for write in &descriptor.writes {
            while self.install_one(descriptor, write, guard) {}
        }
        self.decide(descriptor, State::Installing, State::Ready);
    }

    /// One try; `true` if there must be another.
    fn install_one(&self, descriptor: &Descriptor, write: &Write, guard: &Guard) -> bool {
        if State::of(descriptor.status.load(SeqCst)) != State::Installing {
            return false;
        }
        // SAFETY: a record named by a live descriptor is kept: its owner is pinned, and so is
        // every helper since before the descriptor was decided.
        let record = unsafe { &*write.record };
        match self.settle(record, write.new, guard) {
            Settled::Own => false,
            Settled::Head { head, base } if base == write.expect => record
                .head
                .compare_exchange(head, write.new, SeqCst, SeqCst)
                .is_err(),
            Settled::Head { .. } | Settled::Dead => {
                self.decide(descriptor, State::Installing, State::Failed);
                false
            }
        }
    }

    /// Draws the number of a READY commit, or decides it if it needs none of its own.
    fn advance(&self, descriptor: &Descriptor) {
        if descriptor.draws_number() {
            let number = self.clock.draw();
            self.decide(descriptor, State::Ready, State::Numbered(number));
        } else if self.in_time(descriptor) {
            let number = self.clock.now();
            self.decide(descriptor, State::Ready, State::Committed(number));
        } else {
            self.decide(descriptor, State::Ready, State::Failed);
        }
    }

    /// Whether the live versions that the commit relied on have not expired. Looked at after
    /// READY: whoever saw one of its keys expired before has been waited for by nobody, but
    /// whoever looks at one of them from now on finishes this commit first.
    fn in_time(&self, descriptor: &Descriptor) -> bool {
        self.wall_clock.now_ms() < descriptor.relied_until_ms
    }

    /// Whether everything that the commit only read is, as of `number`, what it saw.
    fn validate(&self, descriptor: &Descriptor, number: Number, guard: &Guard) -> bool {
        self.in_time(descriptor)
            && descriptor
                .reads
                .iter()
                .all(|read| self.read_holds(read, descriptor.now_ms, number, guard))
            && descriptor
                .ranges
                .iter()
                .all(|range| self.range_holds(range, descriptor.now_ms, number, guard))
    }

    /// Absent, deleted and expired are the same to a reader.
    pub(crate) fn read_holds(
        &self,
        read: &Read,
        now_ms: u64,
        number: Number,
        guard: &Guard,
    ) -> bool {
        let lookup = Lookup {
            hash: read.hash,
            key: &read.key,
        };
        // SAFETY: a space that a live descriptor names is forgotten only after its owner is gone.
        let space = unsafe { &*read.space };
        let seen = self
            .keyspace
            .find(space, lookup, guard)
            .and_then(|record| self.visible(record, number, guard))
            .filter(|version| version.is_alive(now_ms))
            .map_or(ptr::null(), ptr::from_ref);
        ptr::eq(seen, read.seen)
    }
}
