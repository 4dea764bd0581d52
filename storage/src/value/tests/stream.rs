//! What streams and their groups should be, by collections of std.

use std::collections::BTreeMap;

use super::super::*;
use super::model::Random;

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StreamModel {
    entries: BTreeMap<StreamId, Fields>,
    groups: BTreeMap<Vec<u8>, GroupModel>,
}

#[derive(Clone, Debug, PartialEq)]
struct GroupModel {
    position: (StreamId, Option<u64>),
    /// When each was seen, and when it was active.
    consumers: BTreeMap<Vec<u8>, (u64, Option<u64>)>,
    /// Whose it is, when it was delivered, how often.
    pending: BTreeMap<StreamId, (Vec<u8>, u64, u64)>,
}

/// Makes one change to both.
pub(super) fn change_stream(
    value: &mut StreamValue,
    model: &mut StreamModel,
    random: &mut Random,
    takes: bool,
) {
    if random.chance(40) {
        return change_groups(value, model, random, takes);
    }
    let entries = &mut model.entries;
    if takes && random.chance(20) {
        let count = random.below(20);
        assert_eq!(value.trim_front(count), count.min(entries.len()));
        (0..count).for_each(|_| drop(entries.pop_first()));
    } else if takes {
        let id = some_id(value, random);
        assert_eq!(value.remove(id), entries.remove(&id).is_some());
        let nearest = entries.range(id..).next().map(|(id, _)| *id);
        if let Some(id) = nearest {
            assert!(value.remove(id));
            entries.remove(&id);
        }
    } else {
        let last = value.as_ref().last_id();
        let milliseconds = last.milliseconds + random.below(2) as u64;
        let id = StreamId {
            milliseconds,
            sequence: last.sequence + 1,
        };
        let fields: Fields = (0..random.below(4))
            .map(|_| (random.element(100), random.element(40)))
            .collect();
        let borrowed: Vec<_> = fields.iter().map(|(f, v)| (&f[..], &v[..])).collect();
        assert!(!value.append(last, &borrowed));
        assert!(value.append(id, &borrowed));
        assert_eq!(value.as_ref().last_id(), id);
        entries.insert(id, fields);
    }
}

/// An ID that may be there.
fn some_id(value: &StreamValue, random: &mut Random) -> StreamId {
    let mut id = value.as_ref().last_id();
    id.milliseconds = random.below(id.milliseconds as usize + 1) as u64;
    id
}

fn change_groups(
    value: &mut StreamValue,
    model: &mut StreamModel,
    random: &mut Random,
    takes: bool,
) {
    let name = random.element(17);
    let id = some_id(value, random);
    if takes && random.chance(5) {
        let was_there = model.groups.remove(&name).is_some();
        assert_eq!(value.destroy_group(&name), was_there);
        return;
    }
    if !model.groups.contains_key(&name) && (takes || random.chance(50)) {
        assert!(value.group_mut(&name).is_none());
        return;
    }
    let read = random.chance(50).then(|| random.next() >> 1);
    let is_new = value.create_group(&name, id, read);
    let group = model.groups.entry(name.clone()).or_insert_with(|| {
        assert!(is_new);
        GroupModel {
            position: (id, read),
            consumers: BTreeMap::new(),
            pending: BTreeMap::new(),
        }
    });
    let mut own = value.group_mut(&name).unwrap();
    if random.chance(10) {
        own.set_position(id, read);
        group.position = (id, read);
    }
    for _ in 0..random.below(20) {
        change_group(&mut own, group, random, takes);
    }
}

fn change_group(
    value: &mut StreamGroupMut<'_>,
    model: &mut GroupModel,
    random: &mut Random,
    takes: bool,
) {
    let consumer = random.element(20);
    // More of them than any stream has entries: a trimmed entry stays pending.
    let id = StreamId {
        milliseconds: random.below(40) as u64,
        sequence: [random.below(40) as u64, random.next()][random.below(2)],
    };
    let time = random.next() >> random.below(64);
    match random.below(20) {
        0 if takes => {
            let had = model.consumers.remove(&consumer).map(|_| {
                let before = model.pending.len();
                model.pending.retain(|_, pending| pending.0 != consumer);
                before - model.pending.len()
            });
            assert_eq!(value.delete_consumer(&consumer), had);
        }
        1 => {
            let is_new = !model.consumers.contains_key(&consumer);
            assert_eq!(value.create_consumer(&consumer, time), is_new);
            model.consumers.entry(consumer).or_insert((time, None));
        }
        2 => {
            let active = random.chance(50).then_some(time);
            value.see_consumer(&consumer, time, active);
            let known = model.consumers.entry(consumer).or_default();
            *known = (time, active.or(known.1));
        }
        3..12 if takes => {
            let nearest = model.pending.range(id..).next().map(|(id, _)| *id);
            let id = nearest.unwrap_or(id);
            let was_pending = model.pending.remove(&id).is_some();
            assert_eq!(value.acknowledge(id), was_pending);
        }
        _ => {
            let is_there = model.consumers.contains_key(&consumer);
            let count = random.below(5) as u64;
            assert_eq!(value.assign(id, &consumer, time, count), is_there);
            if is_there {
                model.pending.insert(id, (consumer, time, count));
            }
        }
    }
}

/// Checks everything that can be read of both.
pub(super) fn check_stream(value: StreamRef<'_>, model: &StreamModel) {
    check_groups(value, &model.groups);
    let model = &model.entries;
    assert_eq!(value.len(), model.len());
    let owned = |(id, entry): (StreamId, StreamEntry<'_>)| {
        let fields: Fields = entry
            .fields()
            .map(|(f, v)| (f.to_vec(), v.to_vec()))
            .collect();
        (id, fields)
    };
    let pairs = |(id, fields): (&StreamId, &Fields)| (*id, fields.clone());
    assert!(
        value
            .iter_from(StreamId::default())
            .map(owned)
            .eq(model.iter().map(pairs))
    );
    let middle = model
        .keys()
        .nth(model.len() / 2)
        .copied()
        .unwrap_or_default();
    for id in [
        middle,
        StreamId {
            sequence: middle.sequence + 1,
            ..middle
        },
    ] {
        assert!(
            value
                .iter_from(id)
                .map(owned)
                .eq(model.range(id..).map(pairs))
        );
        assert!(
            value
                .iter_back_from(id)
                .map(owned)
                .eq(model.range(..=id).rev().map(pairs))
        );
        assert_eq!(value.get(id).is_some(), model.contains_key(&id));
    }
    assert_eq!(
        value.first_id(),
        model.keys().next().copied().unwrap_or_default()
    );
}

fn check_groups(value: StreamRef<'_>, model: &BTreeMap<Vec<u8>, GroupModel>) {
    assert_eq!(value.group_count(), model.len());
    assert!(value.groups().map(StreamGroup::name).eq(model.keys()));
    assert!(value.group(b"absent").is_none());
    for (name, model) in model {
        let group = value.group(name).unwrap();
        assert_eq!(group.name(), name);
        let position = (group.last_delivered_id(), group.entries_read());
        assert_eq!(position, model.position);
        check_consumers(group, model);
        check_pending(group, model);
    }
}

fn check_consumers(group: StreamGroup<'_>, model: &GroupModel) {
    assert_eq!(group.consumer_count(), model.consumers.len());
    let names = group.consumers().map(StreamConsumer::name);
    assert!(names.eq(model.consumers.keys()));
    assert!(group.consumer(b"absent").is_none());
    for (name, times) in &model.consumers {
        let consumer = group.consumer(name).unwrap();
        assert_eq!((consumer.seen_ms(), consumer.active_ms()), *times);
        let held = model.pending.iter().filter(|(_, own)| own.0 == *name);
        let ids: Vec<StreamId> = held.map(|(id, _)| *id).collect();
        assert_eq!(consumer.pending_count(), ids.len());
        let from = ids.get(ids.len() / 2).copied().unwrap_or_default();
        let found = consumer.pending_from(from).map(|pending| {
            assert_eq!(pending.consumer, name);
            pending.id
        });
        assert!(found.eq(ids[ids.len() / 2..].iter().copied()));
    }
}

fn check_pending(group: StreamGroup<'_>, model: &GroupModel) {
    let owned = |pending: StreamPending<'_>| {
        let consumer = pending.consumer.to_vec();
        (
            pending.id,
            (consumer, pending.delivered_ms, pending.deliveries),
        )
    };
    let pairs = |(id, own): (&StreamId, &(Vec<u8>, u64, u64))| (*id, own.clone());
    let all = &model.pending;
    assert_eq!(group.pending_count(), all.len());
    let edges = all.first_key_value().zip(all.last_key_value());
    assert_eq!(
        group.pending_bounds(),
        edges.map(|(first, last)| (*first.0, *last.0))
    );
    let middle = all.keys().nth(all.len() / 2).copied().unwrap_or_default();
    for id in [StreamId::default(), middle] {
        let found = group.pending_from(id).map(owned);
        assert!(found.eq(all.range(id..).map(pairs)));
        assert_eq!(
            group.pending(id).map(owned),
            all.get_key_value(&id).map(pairs)
        );
    }
}
