//! Chains of versions: what a held one shows never changes, and no block is lost or freed twice.

use std::collections::BTreeSet;
use std::ptr;

use proptest::prelude::*;

use super::super::tree::check::{LIVE, discard_last};
use super::super::*;
use super::model::{Model, Random, change, check, empty};

/// One version of a key.
struct Version {
    /// What it shows; `None` for a tombstone.
    model: Option<Model>,
    flat: Option<(Type, u8, Vec<u8>)>,
    tree: *mut TreeState,
}

impl Version {
    fn value(&self) -> Option<ValueRef<'_>> {
        self.model.as_ref()?;
        if let Some((kind, encoding, bytes)) = &self.flat {
            return Some(ValueRef::from_flat(*kind, *encoding, bytes));
        }
        // SAFETY: owned by the chain.
        Some(ValueRef::from_tree(unsafe { &*self.tree }))
    }

    fn state(&self) -> Option<&TreeState> {
        // SAFETY: owned by the chain.
        unsafe { self.tree.as_ref() }
    }
}

/// The versions of one key, oldest first.
#[derive(Default)]
struct Chain {
    versions: Vec<Version>,
}

/// A version that was never committed, and when it is given up.
struct Aborted {
    tree: *mut TreeState,
}

impl Chain {
    fn newest(&self) -> Option<&Version> {
        self.versions.last()
    }

    fn over(&self) -> *mut TreeState {
        let base = self.newest().and_then(Version::state);
        base.map_or(ptr::null_mut(), |base| {
            Box::into_raw(TreeState::replacing(base))
        })
    }

    fn version(&self, stored: Stored, model: Model, forked: bool) -> Version {
        match stored {
            Stored::Flat {
                kind,
                encoding,
                bytes,
            } => Version {
                model: Some(model),
                flat: Some((kind, encoding, bytes)),
                tree: self.over(),
            },
            Stored::Tree(mut state) => {
                if !forked && let Some(base) = self.newest().and_then(Version::state) {
                    state.replace_base(base);
                }
                Version {
                    model: Some(model),
                    flat: None,
                    tree: Box::into_raw(state),
                }
            }
        }
    }

    fn tombstone(&self) -> Version {
        Version {
            model: None,
            flat: None,
            tree: self.over(),
        }
    }

    /// Takes the version at `index` (not the newest) out.
    fn cut(&mut self, index: usize) {
        let tree = self.versions[index].tree;
        if !tree.is_null() {
            let older = index.checked_sub(1).map(|older| self.versions[older].tree);
            let older = older
                .filter(|older| !older.is_null())
                .map(<*mut TreeState>::cast_const);
            loop {
                // SAFETY: neighbours in a chain that this thread alone has.
                let cut = unsafe { TreeState::cut(self.versions[index + 1].tree, tree, older) };
                free(cut.garbage);
                if !cut.more {
                    break;
                }
            }
        }
        self.drop_version(index);
    }

    fn drop_version(&mut self, index: usize) {
        let version = self.versions.remove(index);
        if !version.tree.is_null() {
            // SAFETY: the chain owned it.
            drop(unsafe { Box::from_raw(version.tree) });
        }
    }

    fn destroy(&mut self) {
        while self.versions.len() > 1 {
            self.cut(0);
        }
        if let Some(newest) = self.newest()
            && !newest.tree.is_null()
        {
            // SAFETY: the last of its chain.
            free(unsafe { discard_last(newest.tree) });
        }
        if !self.versions.is_empty() {
            self.drop_version(0);
        }
    }
}

fn free(mut garbage: Garbage) {
    let is_small = garbage.is_small(3);
    let mut freed = 0;
    while !garbage.is_empty() {
        freed += garbage.free_some(2);
    }
    assert!(freed <= 3 || !is_small);
    assert_eq!(garbage.free_some(2), 0);
}

fn abort(aborted: Aborted) {
    if !aborted.tree.is_null() {
        // SAFETY: never put into a chain.
        unsafe { TreeState::abort(Box::from_raw(aborted.tree)) };
    }
}

struct Store {
    chains: [Chain; 3],
    aborted: Vec<Aborted>,
    random: Random,
    chain_max: usize,
}

impl Store {
    fn new(seed: u64) -> Store {
        let mut random = Random(seed);
        let chain_max = [1, 3, 12][random.below(3)];
        Store {
            chains: Default::default(),
            aborted: Vec::new(),
            random,
            chain_max,
        }
    }

    fn change(&mut self, value: &mut Value, model: &mut Model) {
        let count = self.random.below([3, 60, 400][self.random.0 as usize % 3]);
        let shrink = self.random.chance(40);
        (0..count).for_each(|_| change(value, model, &mut self.random, shrink));
    }

    fn put(&mut self, key: usize, version: Version) {
        if self.random.chance(15) {
            self.aborted.push(Aborted { tree: version.tree });
            return;
        }
        self.chains[key].versions.push(version);
    }

    fn write(&mut self, key: usize) {
        let base = self.chains[key]
            .newest()
            .and_then(|newest| Some((Value::fork(newest.value()?), newest.model.clone()?)));
        let (is_forked, (mut value, mut model)) = match base {
            Some(base) if self.random.chance(90) => (true, base),
            _ => (false, empty(self.random.below(6))),
        };
        let before = model.clone();
        self.change(&mut value, &mut model);
        check(value.as_ref(), &model);
        if self.random.chance(5) {
            return;
        }
        assert!(value.changed() || before == model);
        let version = if value.is_empty() {
            self.chains[key].tombstone()
        } else {
            self.chains[key].version(value.store(), model, is_forked)
        };
        self.put(key, version);
    }

    fn rename(&mut self, from: usize, to: usize) {
        let Some((source, model)) = self.chains[from]
            .newest()
            .and_then(|newest| Some((newest, newest.model.clone()?)))
        else {
            return;
        };
        let (stored, left) = match source.state().filter(|state| state.has_roots()) {
            Some(state) => {
                let (moved, left) = state.transfer();
                (Stored::Tree(moved), Some(left))
            }
            None => (source.value().map(Value::copy).unwrap().store(), None),
        };
        let mut tombstone = self.chains[from].tombstone();
        if let Some(left) = left {
            // SAFETY: just made, and put nowhere.
            unsafe { TreeState::abort(Box::from_raw(tombstone.tree)) };
            tombstone.tree = Box::into_raw(left);
        }
        let version = self.chains[to].version(stored, model, false);
        if self.random.chance(15) {
            self.aborted.push(Aborted { tree: version.tree });
            self.aborted.push(Aborted {
                tree: tombstone.tree,
            });
            return;
        }
        self.chains[from].versions.push(tombstone);
        if self.random.chance(10) {
            // Moved, and overwritten at once: only the deletion is committed.
            abort(Aborted { tree: version.tree });
            return;
        }
        self.chains[to].versions.push(version);
    }

    fn step(&mut self) {
        let key = self.random.below(3);
        match self.random.below(100) {
            0..55 => self.write(key),
            55..60 => {
                let version = self.chains[key].tombstone();
                self.put(key, version);
            }
            60..68 => {
                let other = (key + 1 + self.random.below(2)) % 3;
                self.rename(key, other);
            }
            68..75 => {
                if let Some(aborted) = self.aborted.pop() {
                    abort(aborted);
                }
            }
            _ => {
                let cuttable = self.chains[key].versions.len().saturating_sub(1);
                if cuttable > 0 {
                    self.chains[key].cut(self.random.below(cuttable));
                }
            }
        }
        while self.chains[key].versions.len() > self.chain_max {
            let index = self.random.below(self.chain_max);
            self.chains[key].cut(index);
        }
    }

    /// Everything that is live is reached by a version that is there (or by one that was given up
    /// and is still to be freed).
    fn check_ledger(&self) {
        let mut reached = BTreeSet::new();
        for version in self.chains.iter().flat_map(|chain| &chain.versions) {
            if let Some(state) = version.state() {
                state.reach(&mut reached);
            }
        }
        let live = usize::try_from(LIVE.get()).unwrap();
        if self.aborted.is_empty() {
            assert_eq!(live, reached.len());
        } else {
            assert!(live >= reached.len());
        }
    }

    fn check_all(&self) {
        for version in self.chains.iter().flat_map(|chain| &chain.versions) {
            if let (Some(value), Some(model)) = (version.value(), &version.model) {
                check(value, model);
            }
        }
        self.check_ledger();
    }
}

fn run(seed: u64) {
    // A case that failed leaves its blocks behind.
    LIVE.set(0);
    let mut store = Store::new(seed);
    for step in 0..60 {
        store.step();
        store.check_ledger();
        if step % 16 == 0 {
            store.check_all();
        }
    }
    store.check_all();
    for aborted in std::mem::take(&mut store.aborted) {
        abort(aborted);
    }
    store.check_ledger();
    let first = store.random.below(3);
    for key in 0..3 {
        store.chains[(first + key) % 3].destroy();
    }
    assert_eq!(LIVE.get(), 0);
}

proptest! {
    // Half of proptest's own number, which PROPTEST_CASES sets.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 2, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn versions_stay_and_blocks_are_freed_once(seed in any::<u64>()) {
        run(seed);
    }
}
