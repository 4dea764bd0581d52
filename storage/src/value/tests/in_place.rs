//! Many changes by one transaction: each is made where its leaf lies, if there is room.

use std::collections::BTreeSet;

use super::super::tree::check::{LIVE, discard_last};
use super::super::view::Form;
use super::super::*;
use super::model::{Model, Random, change, check, empty};

/// So many entries lie in a tree, whatever they are.
const ENTRIES: usize = 140;

/// Bytes of any length up to 300: most lie in their leaf, some in a block of their own.
fn bytes(random: &mut Random) -> Vec<u8> {
    let most = [3, 40, 128, 300][random.below(4)];
    vec![random.next() as u8; random.below(most + 1)]
}

/// A key whose length its number decides.
fn key(random: &mut Random) -> Vec<u8> {
    let number = random.below(3 * ENTRIES);
    let mut key = number.to_string().into_bytes();
    key.resize(key.len() + number % 7 * (number % 41), b'k');
    key
}

fn change_one(value: &mut Value, model: &mut Model, random: &mut Random, takes: bool) {
    let new = bytes(random);
    match (value, model) {
        (Value::List(value), Model::List(model)) if !model.is_empty() => {
            let at = random.below(model.len());
            match (takes, random.below(3)) {
                (true, _) => {
                    assert_eq!(value.remove_range(at, at + 1), 1);
                    model.remove(at);
                }
                (false, 0) => {
                    value.insert(at, &new);
                    model.insert(at, new);
                }
                (false, _) => {
                    assert!(value.set(at, &new));
                    model[at] = new;
                }
            }
        }
        (Value::Set(value), Model::Set(model)) => {
            let key = key(random);
            if takes {
                assert_eq!(value.remove(&key), model.remove(&key));
            } else {
                assert_eq!(value.insert(&key), model.insert(key));
            }
        }
        (Value::SortedSet(value), Model::SortedSet(model)) => {
            let (key, score) = (key(random), random.below(9) as f64);
            if takes {
                assert_eq!(value.remove(&key), model.remove(&key));
            } else {
                assert_eq!(value.insert(&key, score), model.insert(key, score));
            }
        }
        (Value::Hash(value), Model::Hash(model)) => {
            let key = key(random);
            if takes {
                assert_eq!(value.remove(&key), model.remove(&key).is_some());
            } else {
                let is_new = value.insert(&key, &new);
                assert_eq!(is_new, model.insert(key, (new, 0)).is_none());
            }
        }
        (value, model) => change(value, model, random, takes),
    }
}

fn state(value: &Value) -> Option<&TreeState> {
    match value.as_ref().view().form {
        Form::Tree(state) => Some(state),
        Form::Flat(_) => None,
    }
}

/// What is live is what the two reach, and `value` takes as much memory as it says, if nothing of it
/// was guessed.
fn check_blocks(base: Option<&TreeState>, value: &Value) {
    let mut reached = BTreeSet::new();
    base.into_iter().for_each(|base| base.reach(&mut reached));
    let Some(state) = state(value) else { return };
    state.reach(&mut reached);
    assert_eq!(LIVE.get(), reached.len() as isize);
    if !matches!(value.kind(), Type::String | Type::Stream) {
        assert_eq!(
            state.memory_bytes(),
            state.block_bytes() + size_of::<TreeState>()
        );
    }
}

fn change_often(
    base: Option<&TreeState>,
    (value, model): (&mut Value, &mut Model),
    random: &mut Random,
) {
    for round in 0..600 {
        // It grows, stays as it is with entries of other lengths, shrinks, and grows again.
        let takes = random.chance([5, 50, 90, 10][round / 150]);
        change_one(value, model, random, takes);
        check_blocks(base, value);
        if round % 30 == 0 {
            check(value.as_ref(), model);
        }
    }
    check(value.as_ref(), model);
}

fn run(kind: usize, seed: u64) {
    LIVE.set(0);
    let mut random = Random(seed);
    let (mut value, mut model) = empty(kind);
    change_often(None, (&mut value, &mut model), &mut random);
    let Stored::Tree(mut base) = value.store() else {
        return;
    };
    for _ in 0..3 {
        let before = model.clone();
        let mut value = Value::fork(ValueRef::from_tree(&base));
        let mut changed = model.clone();
        change_often(Some(&base), (&mut value, &mut changed), &mut random);
        check(ValueRef::from_tree(&base), &before);
        if random.chance(30) {
            continue;
        }
        let Stored::Tree(mut above) = value.store() else {
            break;
        };
        // SAFETY: neighbours in a chain that this thread alone has.
        let cut = unsafe { TreeState::cut(&raw mut *above, &raw mut *base, None) };
        let mut garbage = cut.garbage;
        garbage.free_some(usize::MAX);
        (base, model) = (above, changed);
        check(ValueRef::from_tree(&base), &model);
    }
    // SAFETY: the last of its chain.
    unsafe { discard_last(&raw mut *base) }.free_some(usize::MAX);
    assert_eq!(LIVE.get(), 0);
}

#[test]
fn what_one_transaction_changes_often_stays_as_it_must_be() {
    for kind in 0..6 {
        (0..2).for_each(|seed| run(kind, seed));
    }
}
