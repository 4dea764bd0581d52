//! What hashes and the deadlines of their fields should be, by a collection of std.

use std::collections::BTreeMap;

use super::super::*;
use super::model::Random;

/// Fields with their values and deadlines, of which 0 is none.
pub(super) type HashModel = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

/// Deadlines are drawn below this.
const TIMES: usize = 50;

/// Makes one change to both.
pub(super) fn change_hash(
    value: &mut HashValue,
    model: &mut HashModel,
    random: &mut Random,
    takes: bool,
    different: usize,
) {
    let (field, new) = (random.element(different), random.element(different));
    match random.below(12) {
        0 if random.chance(10) => {
            let now_ms = random.below(TIMES / 8) as u64;
            let before = model.len();
            model.retain(|_, (_, deadline_ms)| *deadline_ms == 0 || *deadline_ms > now_ms);
            assert_eq!(value.remove_past(now_ms), before - model.len());
        }
        1..4 => {
            let deadline_ms = random.below(TIMES) as u64;
            let known = model.get_mut(&field);
            assert_eq!(value.set_deadline(&field, deadline_ms), known.is_some());
            if let Some((_, own)) = known {
                *own = deadline_ms;
            }
        }
        4 => {
            let deadline_ms = model.get(&field).map_or(0, |(_, deadline_ms)| *deadline_ms);
            let is_new = value.insert_within_deadline(&field, &new);
            assert_eq!(is_new, model.insert(field, (new, deadline_ms)).is_none());
        }
        _ if takes => {
            assert_eq!(value.remove(&field), model.remove(&field).is_some());
        }
        _ => {
            let is_new = value.insert(&field, &new);
            assert_eq!(is_new, model.insert(field, (new, 0)).is_none());
        }
    }
}

/// Checks everything that can be read, at times before, between and after the deadlines.
pub(super) fn check_hash(value: HashRef<'_>, model: &HashModel) {
    for now_ms in [0, TIMES as u64 / 3, TIMES as u64] {
        let mut alive = model.clone();
        alive.retain(|_, (_, deadline_ms)| *deadline_ms == 0 || *deadline_ms > now_ms);
        check_at(value.at(now_ms), &alive);
        check_times(value, model, now_ms);
    }
    let has_deadlines = model.values().any(|(_, deadline_ms)| *deadline_ms > 0);
    assert_eq!(value.has_deadlines(), has_deadlines);
}

fn check_at(value: HashRef<'_>, model: &HashModel) {
    assert_eq!(value.len(), model.len());
    let mut seen = BTreeMap::new();
    let all: Vec<_> = value.iter().collect();
    for (field, held) in &all {
        let deadline_ms = value.deadline_ms(field).unwrap();
        seen.insert(field.to_vec(), (held.to_vec(), deadline_ms));
    }
    assert_eq!(seen, *model);
    assert!(
        model
            .iter()
            .all(|(field, (own, _))| value.get(field) == Some(own))
    );
    assert!(value.by_ranks(0..=all.len()).eq(all.iter().copied()));
    assert_eq!(
        (value.get(b"absent"), value.deadline_ms(b"absent")),
        (None, None)
    );
    let mut seen = Vec::new();
    let mut cursor = 0;
    loop {
        cursor = value.scan(cursor, 10, |field, _| seen.push(field.to_vec()));
        assert!(cursor < 1 << 63);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.len(), model.len());
    assert!(seen.iter().all(|field| model.contains_key(field)));
}

/// Checks what the whole value says of its deadlines.
fn check_times(value: HashRef<'_>, model: &HashModel, now_ms: u64) {
    let deadlines = || model.values().map(|(_, deadline_ms)| *deadline_ms);
    let Some(state) = ValueRef::Hash(value).timed_fields() else {
        return assert!(deadlines().all(|deadline_ms| deadline_ms == 0));
    };
    let until_ms = match deadlines().any(|deadline_ms| deadline_ms == 0) {
        true => 0,
        false => deadlines().max().unwrap(),
    };
    assert_eq!(state.fields_until_ms(), until_ms);
    let next_ms = deadlines()
        .filter(|deadline_ms| *deadline_ms > now_ms)
        .min();
    assert_eq!(state.next_field_deadline_ms(now_ms), next_ms);
    let is_due = |deadline_ms: u64| deadline_ms > 0 && deadline_ms <= now_ms;
    assert_eq!(state.has_due_fields(now_ms), deadlines().any(is_due));
}

#[test]
fn a_field_that_is_past_is_absent_and_counts_not() {
    let mut hash = HashValue::new();
    for number in 0..20_u8 {
        hash.insert(&[number], b"x");
        hash.set_deadline(&[number], 100 + u64::from(number % 2));
    }
    for (now_ms, count) in [(0, 20), (99, 20), (100, 10), (101, 0)] {
        let hash = hash.as_ref().at(now_ms);
        assert_eq!((hash.len(), hash.iter().count()), (count, count));
        assert_eq!(hash.contains(&[0]), now_ms < 100);
        assert_eq!(hash.deadline_ms(&[1]), (now_ms < 101).then_some(101));
    }
    assert_eq!(hash.remove_past(100), 10);
    assert_eq!(hash.as_ref().len(), 10);
}

/// Without deadlines it is as if there had never been any: small ones lie flat again.
#[test]
fn a_hash_whose_deadlines_are_gone_is_an_ordinary_one() {
    let mut hash = HashValue::new();
    hash.insert(b"a", b"1");
    hash.insert(b"b", b"2");
    hash.set_deadline(b"a", 9);
    hash.set_deadline(b"b", 9);
    hash.insert(b"a", b"3");
    hash.set_deadline(b"b", 0);
    assert!(!hash.as_ref().has_deadlines());
    assert!(matches!(Value::Hash(hash).store(), Stored::Flat { .. }));
}

/// One that is past what a record can say expires as late as it can.
#[test]
fn deadlines_have_an_end() {
    let mut hash = HashValue::new();
    hash.insert(b"a", b"1");
    hash.set_deadline(b"a", u64::MAX);
    assert_eq!(hash.as_ref().at(u64::MAX).len(), 0);
    assert_eq!(hash.as_ref().at((1 << 56) - 3).len(), 1);
}
