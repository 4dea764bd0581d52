//! An ordered list with the face of crossbeam's skiplist, each of its operations one step. It is
//! trusted to be linearizable; what Darter does around it is what the schedules look at.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::ops::Bound;

use super::epoch::{Collector, Guard};
use super::model::point;

struct Node<K> {
    key: K,
    is_listed: Cell<bool>,
    /// Those who hold it, the list among them. At 0 it is freed once nobody is pinned who might
    /// have reached it.
    holders: Cell<usize>,
}

/// See the module's text.
pub(crate) struct SkipList<K, V> {
    /// In key order.
    nodes: UnsafeCell<Vec<*const Node<K>>>,
    value: PhantomData<V>,
}

// SAFETY: the model's threads are continuations of one real thread, and no point where another
// one may go on lies inside an access to `nodes`.
unsafe impl<K, V> Send for SkipList<K, V> {}
// SAFETY: as above.
unsafe impl<K, V> Sync for SkipList<K, V> {}

impl<K: Ord, V> SkipList<K, V> {
    pub(crate) fn new(_: Collector) -> SkipList<K, V> {
        SkipList {
            nodes: UnsafeCell::new(Vec::new()),
            value: PhantomData,
        }
    }

    fn nodes(&self) -> &Vec<*const Node<K>> {
        // SAFETY: see `Sync`; a change never lies inside a use of this.
        unsafe { &*self.nodes.get() }
    }

    /// Where a key is, or would be.
    fn place(&self, key: &K) -> Result<usize, usize> {
        // SAFETY: listed nodes are not freed.
        self.nodes()
            .binary_search_by(|node| unsafe { &**node }.key.cmp(key))
    }

    fn entry(&self, place: Option<usize>) -> Option<Entry<'_, '_, K, V>> {
        let node = *self.nodes().get(place?)?;
        Some(Entry {
            list: self,
            // SAFETY: listed just now, so whoever is pinned keeps it.
            node: unsafe { &*node },
        })
    }

    pub(crate) fn get<'a: 'g, 'g>(&'a self, key: &K, _: &'g Guard) -> Option<Entry<'a, 'g, K, V>> {
        point();
        self.entry(self.place(key).ok())
    }

    pub(crate) fn lower_bound<'a: 'g, 'g>(
        &'a self,
        bound: Bound<&K>,
        _: &'g Guard,
    ) -> Option<Entry<'a, 'g, K, V>> {
        point();
        let Bound::Included(key) = bound else {
            unreachable!("no other bound is used")
        };
        self.entry(Some(self.place(key).unwrap_or_else(|place| place)))
    }

    pub(crate) fn upper_bound<'a: 'g, 'g>(
        &'a self,
        bound: Bound<&K>,
        _: &'g Guard,
    ) -> Option<Entry<'a, 'g, K, V>> {
        point();
        let Bound::Excluded(key) = bound else {
            unreachable!("no other bound is used")
        };
        self.entry(self.place(key).unwrap_or_else(|place| place).checked_sub(1))
    }

    pub(crate) fn get_or_insert(&self, key: K, _: V, _: &Guard) -> RefEntry<'_, K, V> {
        point();
        let node = match self.place(&key) {
            Ok(place) => self.nodes()[place],
            Err(place) => {
                let node = Box::into_raw(Box::new(Node {
                    key,
                    is_listed: Cell::new(true),
                    holders: Cell::new(1),
                }));
                // SAFETY: see `Sync`.
                unsafe { (*self.nodes.get()).insert(place, node) };
                node
            }
        };
        // SAFETY: listed, so alive.
        let holders = unsafe { &(*node).holders };
        holders.set(holders.get() + 1);
        RefEntry { list: self, node }
    }

    pub(crate) fn iter<'a: 'g, 'g>(
        &'a self,
        guard: &'g Guard,
    ) -> impl Iterator<Item = Entry<'a, 'g, K, V>> {
        let _ = guard;
        (0..self.nodes().len()).filter_map(|place| self.entry(Some(place)))
    }
}

impl<K, V> Drop for SkipList<K, V> {
    fn drop(&mut self) {
        for node in self.nodes.get_mut().drain(..) {
            // SAFETY: nobody else is left, and what is listed is not freed elsewhere.
            drop(unsafe { Box::from_raw(node.cast_mut()) });
        }
    }
}

/// A node that a guard keeps.
pub(crate) struct Entry<'a, 'g, K, V> {
    list: &'a SkipList<K, V>,
    node: &'g Node<K>,
}

impl<'a: 'g, 'g, K: Ord, V> Entry<'a, 'g, K, V> {
    pub(crate) fn key(&self) -> &'g K {
        &self.node.key
    }

    /// Holds the node beyond the guard, unless it is about to be freed.
    pub(crate) fn pin(&self) -> Option<RefEntry<'a, K, V>> {
        point();
        let holders = self.node.holders.get();
        if holders == 0 {
            return None;
        }
        self.node.holders.set(holders + 1);
        Some(RefEntry {
            list: self.list,
            node: self.node,
        })
    }

    pub(crate) fn next(&self) -> Option<Entry<'a, 'g, K, V>> {
        point();
        let next = match self.list.place(&self.node.key) {
            Ok(place) => place + 1,
            Err(place) => place,
        };
        self.list.entry(Some(next))
    }

    pub(crate) fn prev(&self) -> Option<Entry<'a, 'g, K, V>> {
        point();
        let place = self
            .list
            .place(&self.node.key)
            .unwrap_or_else(|place| place);
        self.list.entry(place.checked_sub(1))
    }
}

/// A node that is held.
pub(crate) struct RefEntry<'a, K, V> {
    list: &'a SkipList<K, V>,
    node: *const Node<K>,
}

impl<K: Ord, V> RefEntry<'_, K, V> {
    fn node(&self) -> &Node<K> {
        // SAFETY: held by this entry.
        unsafe { &*self.node }
    }

    pub(crate) fn key(&self) -> &K {
        &self.node().key
    }

    /// Takes the node out of the list; `true` for whoever did.
    pub(crate) fn remove(&self, guard: &Guard) -> bool {
        point();
        if !self.node().is_listed.replace(false) {
            return false;
        }
        if let Ok(place) = self.list.place(self.key()) {
            // SAFETY: see `Sync`.
            unsafe { (*self.list.nodes.get()).remove(place) };
        }
        let_go(self.node, guard);
        true
    }

    pub(crate) fn release(self, guard: &Guard) {
        point();
        let_go(self.node, guard);
    }
}

fn let_go<K>(node: *const Node<K>, guard: &Guard) {
    // SAFETY: the caller held it until now.
    let holders = unsafe { &(*node).holders };
    holders.set(holders.get() - 1);
    if holders.get() == 0 {
        // SAFETY: out of the list and held by nobody.
        unsafe { guard.defer_unchecked(move || drop(Box::from_raw(node.cast_mut()))) };
    }
}
