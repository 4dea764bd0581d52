//! Large values: cuts in pieces, and moves while both keys are being cut.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use super::super::tree::check::{LIVE, discard_last};
use super::super::*;
use super::model::{Model, Random, check};

fn field(number: usize) -> Vec<u8> {
    format!("field {number}").into_bytes()
}

fn large_hash(len: usize) -> Box<TreeState> {
    let mut hash = HashValue::new();
    (0..len).for_each(|number| assert!(hash.insert(&field(number), b"first")));
    tree(Value::Hash(hash))
}

fn tree(value: Value) -> Box<TreeState> {
    match value.store() {
        Stored::Tree(state) => state,
        Stored::Flat { .. } => panic!("small"),
    }
}

fn updated(base: &TreeState, numbers: impl Iterator<Item = usize>, new: &[u8]) -> Box<TreeState> {
    let mut value = Value::fork(ValueRef::from_tree(base));
    let Value::Hash(hash) = &mut value else {
        panic!("not a hash")
    };
    numbers.for_each(|number| assert!(!hash.insert(&field(number), new)));
    tree(value)
}

fn count_with(state: &TreeState, wanted: &[u8]) -> usize {
    let ValueRef::Hash(hash) = ValueRef::from_tree(state) else {
        panic!("not a hash")
    };
    hash.iter().filter(|(_, value)| *value == wanted).count()
}

fn live() -> usize {
    usize::try_from(LIVE.get()).unwrap()
}

fn reached(states: &[&TreeState]) -> usize {
    let mut all = BTreeSet::new();
    states.iter().for_each(|state| state.reach(&mut all));
    all.len()
}

/// Cuts `version` from between the two; how many cuts it took.
fn cut(above: &mut TreeState, version: &mut TreeState, older: Option<&TreeState>) -> usize {
    for count in 1.. {
        // SAFETY: neighbours in a chain that this thread alone has.
        let mut cut = unsafe { TreeState::cut(above, version, older.map(std::ptr::from_ref)) };
        while cut.garbage.free_some(100) > 0 {}
        if !cut.more {
            return count;
        }
    }
    0
}

fn discard(state: &mut TreeState) {
    // SAFETY: the last of its chain.
    unsafe { discard_last(state) }.free_some(usize::MAX);
}

#[test]
fn a_large_cut_is_made_in_pieces() {
    let mut first = large_hash(60_000);
    let blocks = live();
    let mut second = updated(&first, (0..60_000).step_by(500), b"second");
    let mut deleted = TreeState::replacing(&second);
    assert!(!deleted.has_roots());
    assert!(cut(&mut deleted, &mut second, Some(&first)) > 1);
    assert_eq!(live(), blocks);
    assert_eq!(count_with(&first, b"first"), 60_000);
    cut(&mut deleted, &mut first, None);
    discard(&mut deleted);
    assert_eq!(live(), 0);
}

/// Whether it grows at its end must be found out before the leaf that was split is freed.
#[test]
fn what_grows_at_its_end_fills_its_nodes() {
    let mut set = SortedSetValue::new();
    for number in 0..30_000 {
        set.insert(&field(number), number as f64);
    }
    let mut set = tree(Value::SortedSet(set));
    let counts = set.children_of_inner_nodes();
    assert!(counts.len() > 5, "{} nodes", counts.len());
    // Split in the middle they would have half of 64.
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
    discard(&mut set);
    assert_eq!(live(), 0);
}

#[test]
fn trees_of_several_levels_stay_in_order() {
    let mut random = Random(3);
    let (mut hash, mut hash_model) = (Value::Hash(HashValue::new()), BTreeMap::new());
    let (mut set, mut set_model) = (Value::SortedSet(SortedSetValue::new()), BTreeMap::new());
    for round in 0..40_000 {
        let (Value::Hash(hash), Value::SortedSet(set)) = (&mut hash, &mut set) else {
            return;
        };
        let name = field(random.below(30_000));
        if round > 20_000 && random.chance(60) {
            assert_eq!(hash.remove(&name), hash_model.remove(&name).is_some());
            assert_eq!(set.remove(&name), set_model.remove(&name));
        } else {
            let score = random.below(20) as f64;
            hash.insert(&name, b"value");
            hash_model.insert(name.clone(), (b"value".to_vec(), 0));
            set.insert(&name, score);
            set_model.insert(name, score);
        }
    }
    check(hash.as_ref(), &Model::Hash(hash_model));
    check(set.as_ref(), &Model::SortedSet(set_model));
    let (mut hash, mut set) = (tree(hash), tree(set));
    assert_eq!(live(), reached(&[&hash, &set]));
    discard(&mut hash);
    discard(&mut set);
    assert_eq!(live(), 0);
}

/// Pushes and pops at both ends; `growth` of 100 are pushes.
fn change_ends(list: &mut ListValue, model: &mut Vec<Vec<u8>>, random: &mut Random, growth: usize) {
    let front = random.chance(50);
    if random.chance(growth) {
        let element = vec![b'e'; random.below(40)];
        if front {
            list.push_front(&element);
            model.insert(0, element);
        } else {
            list.push_back(&element);
            model.push(element);
        }
    } else if front {
        let wanted = if model.is_empty() {
            None
        } else {
            Some(model.remove(0))
        };
        assert_eq!(list.pop_front(), wanted);
    } else {
        assert_eq!(list.pop_back(), model.pop());
    }
}

#[test]
fn lists_grow_and_shrink_at_both_ends() {
    let mut random = Random(11);
    let mut model = vec![b"element".to_vec(); 6_000];
    let mut list = ListValue::new();
    model.iter().for_each(|element| list.push_back(element));
    let mut newest = tree(Value::List(list));
    let (held_model, mut held) = (model.clone(), None);
    for round in 0..400 {
        let mut value = Value::fork(ValueRef::from_tree(&newest));
        let Value::List(list) = &mut value else {
            panic!("not a list")
        };
        let growth = if round % 200 < 100 { 90 } else { 30 };
        for _ in 0..random.below(100) {
            change_ends(list, &mut model, &mut random, growth);
        }
        if random.chance(10) {
            let start = random.below(model.len());
            let end = start + random.below(model.len() - start).min(60);
            assert_eq!(list.remove_range(start, end), end - start);
            model.drain(start..end);
        }
        let at = random.below(model.len());
        list.insert(at, b"inserted");
        model.insert(at, b"inserted".to_vec());
        let mut above = tree(value);
        match &held {
            None => held = Some(newest),
            Some(held) => {
                cut(&mut above, &mut newest, Some(held));
            }
        }
        newest = above;
        let kept = held.as_deref().unwrap();
        assert_eq!(live(), reached(&[kept, &newest]));
        if round % 20 == 0 {
            check(ValueRef::from_tree(&newest), &Model::List(model.clone()));
            check(ValueRef::from_tree(kept), &Model::List(held_model.clone()));
        }
    }
    cut(&mut newest, &mut held.unwrap(), None);
    let mut value = Value::fork(ValueRef::from_tree(&newest));
    let Value::List(list) = &mut value else {
        panic!("not a list")
    };
    while let Some(element) = list.pop_front() {
        assert_eq!(element, model.remove(0));
    }
    assert!(model.is_empty() && value.is_empty());
    drop(value);
    discard(&mut newest);
    assert_eq!(live(), 0);
}

fn pending(state: &TreeState) -> usize {
    let ValueRef::Stream(stream) = ValueRef::from_tree(state) else {
        panic!("not a stream")
    };
    stream.group(b"g").unwrap().pending_count()
}

#[test]
fn acknowledging_one_of_many_copies_a_few_nodes() {
    let id = |number: usize| StreamId {
        milliseconds: number as u64,
        sequence: 0,
    };
    let mut stream = StreamValue::new();
    assert!(stream.create_group(b"g", id(0), None));
    let mut group = stream.group_mut(b"g").unwrap();
    assert!(group.create_consumer(b"c", 1));
    assert!((0..20_000).all(|number| group.assign(id(number), b"c", 1, 1)));
    let mut first = tree(Value::Stream(stream));
    let blocks = live();
    let mut value = Value::fork(ValueRef::from_tree(&first));
    let Value::Stream(stream) = &mut value else {
        panic!("not a stream")
    };
    assert!(stream.group_mut(b"g").unwrap().acknowledge(id(9_999)));
    let mut second = tree(value);
    assert!(live() - blocks < 12, "{} of {blocks}", live() - blocks);
    assert_eq!((pending(&first), pending(&second)), (20_000, 19_999));
    assert_eq!(live(), reached(&[&first, &second]));
    let (mut moved, mut left) = second.transfer();
    cut(&mut second, &mut first, None);
    cut(&mut left, &mut second, None);
    assert_eq!(pending(&moved), 19_999);
    let ValueRef::Stream(stream) = ValueRef::from_tree(&moved) else {
        panic!("not a stream")
    };
    let mut copied = tree(Value::copy(ValueRef::Stream(stream)));
    assert_eq!(pending(&copied), 19_999);
    discard(&mut moved);
    discard(&mut copied);
    assert_eq!(live(), 0);
}

#[test]
fn a_value_moved_twice_is_still_owed_to_the_first_key() {
    let mut first = large_hash(2_000);
    let (mut second, mut first_left) = first.transfer();
    let (mut third, mut second_left) = second.transfer();
    cut(&mut second_left, &mut second, None);
    let mut changed = updated(&third, (0..2_000).step_by(3), b"changed");
    cut(&mut changed, &mut third, None);
    assert_eq!(count_with(&first, b"first"), 2_000);
    assert_eq!(live(), reached(&[&first, &changed]));
    cut(&mut first_left, &mut first, None);
    assert_eq!(live(), reached(&[&changed]));
    discard(&mut changed);
    assert_eq!(live(), 0);
}

#[test]
fn both_sides_of_a_move_are_cut_at_once() {
    for seed in 0..30 {
        let mut random = Random(seed);
        let mut lender = vec![large_hash(2_000)];
        for _ in 0..10 {
            let base = lender.last().unwrap();
            let numbers: Vec<usize> = (0..100).map(|_| random.below(2_000)).collect();
            lender.push(updated(base, numbers.into_iter(), b"lender"));
        }
        let (moved, left) = lender.last().unwrap().transfer();
        lender.push(left);
        let lender_side = thread::spawn(move || {
            let mut garbage = Vec::new();
            let mut random = Random(seed);
            while lender.len() > 1 {
                let index = random.below(lender.len() - 1);
                let [version, above] = lender.get_disjoint_mut([index, index + 1]).unwrap();
                let (version, above) = (&raw mut **version, &raw mut **above);
                let older = index.checked_sub(1).map(|older| &raw const *lender[older]);
                // SAFETY: neighbours in a chain that this thread alone has.
                garbage.push(unsafe { TreeState::cut(above, version, older) }.garbage);
                lender.remove(index);
            }
            // SAFETY: the last of its chain.
            garbage.push(unsafe { discard_last(&raw mut *lender[0]) });
            (garbage, LIVE.get())
        });
        let borrower_side = thread::spawn(move || {
            let mut garbage = Vec::new();
            let mut random = Random(seed + 1000);
            let mut newest = moved;
            for _ in 0..100 {
                let numbers: Vec<usize> = (0..20).map(|_| random.below(2_000)).collect();
                let mut above = updated(&newest, numbers.into_iter(), b"borrower");
                // SAFETY: as above.
                garbage.push(
                    unsafe { TreeState::cut(&raw mut *above, &raw mut *newest, None) }.garbage,
                );
                newest = above;
            }
            // SAFETY: the last of its chain.
            garbage.push(unsafe { discard_last(&raw mut *newest) });
            (garbage, LIVE.get())
        });
        let (lender_garbage, lender_live) = lender_side.join().unwrap();
        let (borrower_garbage, borrower_live) = borrower_side.join().unwrap();
        for mut garbage in lender_garbage.into_iter().chain(borrower_garbage) {
            garbage.free_some(usize::MAX);
        }
        assert_eq!(LIVE.get() + lender_live + borrower_live, 0);
        LIVE.set(0);
    }
}
