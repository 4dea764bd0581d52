//! What values should be, by collections of std.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::hash::{HashModel, change_hash, check_hash};
use super::stream::{StreamModel, change_stream, check_stream};

/// Numbers that a seed decides.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn element(&mut self, different: usize) -> Vec<u8> {
        let number = self.below(different);
        let length = match number % 16 {
            0 => 150 + number % 200,
            1 => 60,
            _ => 0,
        };
        let mut bytes = number.to_string().into_bytes();
        bytes.resize(bytes.len() + length, b'x');
        bytes
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Model {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
    SortedSet(BTreeMap<Vec<u8>, f64>),
    Hash(HashModel),
    Stream(StreamModel),
}

pub(super) fn empty(kind: usize) -> (Value, Model) {
    match kind {
        0 => (
            Value::String(StringValue::new(b"")),
            Model::String(Vec::new()),
        ),
        1 => (Value::List(ListValue::new()), Model::List(Vec::new())),
        2 => (Value::Set(SetValue::new()), Model::Set(BTreeSet::new())),
        3 => (
            Value::SortedSet(SortedSetValue::new()),
            Model::SortedSet(BTreeMap::new()),
        ),
        4 => (Value::Hash(HashValue::new()), Model::Hash(BTreeMap::new())),
        _ => (
            Value::Stream(StreamValue::new()),
            Model::Stream(StreamModel::default()),
        ),
    }
}

fn some_range(random: &mut Random, len: usize) -> (usize, usize) {
    let start = random.below(len + 1);
    let most = if random.chance(30) {
        len - start
    } else {
        (len - start).min(20)
    };
    (start, start + random.below(most + 1))
}

/// Makes one change to both; `shrink` says that most should take away.
pub(super) fn change(value: &mut Value, model: &mut Model, random: &mut Random, shrink: bool) {
    let different = [20, 300, 3000][random.below(3)];
    let takes = random.chance(if shrink { 80 } else { 30 });
    match (value, model) {
        (Value::String(value), Model::String(model)) => change_string(value, model, random, takes),
        (Value::List(value), Model::List(model)) => {
            let element = random.element(different);
            change_list(value, model, random, takes, &element);
        }
        (Value::Set(value), Model::Set(model)) => {
            let member = random.element(different);
            if takes {
                assert_eq!(value.remove(&member), model.remove(&member));
            } else {
                assert_eq!(value.insert(&member), model.insert(member));
            }
        }
        (Value::SortedSet(value), Model::SortedSet(model)) => {
            let member = random.element(different);
            change_sorted_set(value, model, random, takes, member);
        }
        (Value::Hash(value), Model::Hash(model)) => {
            change_hash(value, model, random, takes, different);
        }
        (Value::Stream(value), Model::Stream(model)) => {
            change_stream(value, model, random, takes);
        }
        _ => panic!("the type changed"),
    }
}

fn change_string(value: &mut StringValue, model: &mut Vec<u8>, random: &mut Random, takes: bool) {
    let length = [10, 1000, 40_000][random.below(3)];
    let bytes = vec![random.next() as u8; random.below(length)];
    let offset = random.below(model.len() + length / 4);
    match random.below(8) {
        0 => {
            value.set(&bytes);
            *model = bytes;
        }
        _ if takes => {
            value.truncate(offset);
            model.truncate(offset);
        }
        1..4 => {
            value.append(&bytes);
            model.extend_from_slice(&bytes);
        }
        _ if !bytes.is_empty() => {
            assert_eq!(value.write_at(offset, &bytes), Ok(()));
            let end = offset + bytes.len();
            model.resize(model.len().max(end), 0);
            model[offset..end].copy_from_slice(&bytes);
        }
        _ => {}
    }
}

fn change_list(
    value: &mut ListValue,
    model: &mut Vec<Vec<u8>>,
    random: &mut Random,
    takes: bool,
    element: &[u8],
) {
    let at = random.below(model.len() + 1);
    match (takes, random.below(5)) {
        (true, 0) => {
            let (start, end) = some_range(random, model.len());
            assert_eq!(value.remove_range(start, end), end - start);
            model.drain(start..end);
        }
        (true, 1 | 2) => {
            let wanted = if model.is_empty() {
                None
            } else {
                Some(model.remove(0))
            };
            assert_eq!(value.pop_front(), wanted);
        }
        (true, _) => assert_eq!(value.pop_back(), model.pop()),
        (false, 0) => {
            value.insert(at, element);
            model.insert(at, element.to_vec());
        }
        (false, 1) => {
            assert_eq!(value.set(at, element), at < model.len());
            if let Some(own) = model.get_mut(at) {
                *own = element.to_vec();
            }
        }
        (false, 2) => {
            value.push_front(element);
            model.insert(0, element.to_vec());
        }
        (false, _) => {
            value.push_back(element);
            model.push(element.to_vec());
        }
    }
}

fn sorted(model: &BTreeMap<Vec<u8>, f64>) -> Vec<(Vec<u8>, f64)> {
    let mut all: Vec<_> = model
        .iter()
        .map(|(member, score)| (member.clone(), *score))
        .collect();
    all.sort_by(|one, other| {
        one.1
            .partial_cmp(&other.1)
            .unwrap()
            .then(one.0.cmp(&other.0))
    });
    all
}

fn change_sorted_set(
    value: &mut SortedSetValue,
    model: &mut BTreeMap<Vec<u8>, f64>,
    random: &mut Random,
    takes: bool,
    member: Vec<u8>,
) {
    if takes && random.chance(5) {
        let (start, end) = some_range(random, model.len());
        assert_eq!(value.remove_ranks(start, end), end - start);
        for (member, _) in &sorted(model)[start..end] {
            model.remove(member);
        }
    } else if takes {
        assert_eq!(value.remove(&member), model.remove(&member));
    } else {
        let score = match random.below(6) {
            0 => 0.0,
            1 => -0.0,
            2 => f64::NEG_INFINITY,
            3 => random.below(1000) as f64 / 7.0 - 50.0,
            _ => random.below(5) as f64,
        };
        assert_eq!(value.insert(&member, score), model.insert(member, score));
    }
}

/// Checks everything that can be read of a value.
pub(super) fn check(value: ValueRef<'_>, model: &Model) {
    match (value, model) {
        (ValueRef::String(value), Model::String(model)) => check_string(value, model),
        (ValueRef::List(value), Model::List(model)) => check_list(value, model),
        (ValueRef::Set(value), Model::Set(model)) => check_set(value, model),
        (ValueRef::SortedSet(value), Model::SortedSet(model)) => check_sorted_set(value, model),
        (ValueRef::Hash(value), Model::Hash(model)) => check_hash(value, model),
        (ValueRef::Stream(value), Model::Stream(model)) => check_stream(value, model),
        _ => panic!("the type changed"),
    }
}

fn check_string(value: StringRef<'_>, model: &[u8]) {
    assert_eq!(value.len(), model.len());
    assert!(*value.to_cow() == *model);
    assert!(value.parts().collect::<Vec<_>>().concat() == model);
    let (start, end) = (model.len() / 3, model.len() / 2 + 5);
    let wanted = &model[start.min(model.len())..end.min(model.len())];
    assert!(*value.range(start, end) == *wanted);
    assert!(value.as_slice().is_none_or(|whole| whole == model));
}

fn check_list(value: ListRef<'_>, model: &[Vec<u8>]) {
    assert_eq!(value.len(), model.len());
    assert!(value.iter_from(0).eq(model.iter()));
    assert!(value.iter_back_from(usize::MAX).eq(model.iter().rev()));
    let at = model.len() / 3;
    assert_eq!(value.get(at), model.get(at).map(Vec::as_slice));
    assert_eq!(value.get(model.len()), None);
    assert!(value.iter_from(at).eq(model[at..].iter()));
    assert!(value.iter_back_from(at).eq(model.iter().take(at + 1).rev()));
}

fn check_set(value: SetRef<'_>, model: &BTreeSet<Vec<u8>>) {
    assert_eq!(value.len(), model.len());
    let mut seen = BTreeSet::new();
    for (rank, member) in value.iter().enumerate() {
        assert!(seen.insert(member.to_vec()));
        assert_eq!(value.by_rank(rank), Some(member));
    }
    assert_eq!(seen, *model);
    assert!(model.iter().all(|member| value.contains(member)));
    assert!(!value.contains(b"absent"));
}

fn check_sorted_set(value: SortedSetRef<'_>, model: &BTreeMap<Vec<u8>, f64>) {
    let all = sorted(model);
    let equal = |one: (&[u8], f64), other: &(Vec<u8>, f64)| {
        one.0 == other.0 && one.1.to_bits() == other.1.to_bits()
    };
    assert_eq!(value.len(), all.len());
    assert!(
        value
            .iter_from(0)
            .zip(&all)
            .all(|(one, other)| equal(one, other))
    );
    assert_eq!(value.iter_from(0).count(), all.len());
    assert!(
        value
            .iter_back_from(usize::MAX)
            .zip(all.iter().rev())
            .all(|(o, a)| equal(o, a))
    );
    assert_eq!(value.iter_back_from(usize::MAX).count(), all.len());
    for (rank, (member, score)) in all.iter().enumerate() {
        assert_eq!(value.rank(member), Some(rank));
        assert_eq!(value.score(member).map(f64::to_bits), Some(score.to_bits()));
    }
    for score in [f64::NEG_INFINITY, -0.0, 1.0, 2.5, 1e9] {
        assert_eq!(
            value.rank_of_score(score, false),
            all.iter().filter(|e| e.1 < score).count()
        );
        assert_eq!(
            value.rank_of_score(score, true),
            all.iter().filter(|e| e.1 <= score).count()
        );
    }
    let mut seen = BTreeMap::new();
    let mut cursor = 0;
    loop {
        cursor = value.scan(cursor, 7, |member, score| {
            seen.insert(member.to_vec(), score);
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen, *model);
}
