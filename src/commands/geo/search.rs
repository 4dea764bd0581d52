//! GEOSEARCH, GEOSEARCHSTORE, GEORADIUS and GEORADIUSBYMEMBER.

use darter_storage::{Deadline, SortedSetRef, SortedSetValue, Value};

use super::area::Area;
use super::cell::Point;
use super::query::{Details, Form, Order, Query, Store};
use super::{Done, write_length, write_point};
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::view::View;
use crate::notifications::class;
use crate::resp::reply::Reply;

/// Places that are found before memory is looked at again.
const PLACES_BETWEEN_CHECKS: usize = 4096;

/// A place that was found.
struct Found<'a> {
    member: &'a [u8],
    score: f64,
    point: Point,
    distance_m: f64,
}

/// The places of an area, cell by cell, at most `most`.
fn find<'a>(
    view: &View<'_>,
    set: SortedSetRef<'a>,
    area: &Area,
    most: usize,
) -> Result<Vec<Found<'a>>, CommandError> {
    let mut all = Vec::new();
    for cell in area.cells() {
        let (first, end) = cell.scores();
        let rank = set.rank_of_score(first, false);
        for (member, score) in set.iter_from(rank).take_while(|(_, score)| *score < end) {
            if all.len() >= most {
                return Ok(all);
            }
            let point = Point::of_score(score);
            if let Some(distance_m) = area.distance_m(point) {
                all.push(Found {
                    member,
                    score,
                    point,
                    distance_m,
                });
                if all.len().is_multiple_of(PLACES_BETWEEN_CHECKS) {
                    view.check_room_to_read(all.len() * size_of::<Found<'_>>())?;
                }
            }
        }
    }
    Ok(all)
}

fn sort(found: &mut [Found<'_>], order: Order) {
    match order {
        Order::Found => {}
        Order::Nearest => found.sort_by(|one, other| one.distance_m.total_cmp(&other.distance_m)),
        Order::Farthest => {
            found.sort_by(|one, other| other.distance_m.total_cmp(&one.distance_m));
        }
    }
}

fn write(found: &[Found<'_>], details: Details, unit_m: f64, reply: &mut dyn Reply) {
    reply.array(found.len());
    for place in found {
        let count = details.count();
        if count > 0 {
            reply.array(1 + count);
        }
        reply.bulk(place.member);
        if details.distance {
            write_length(place.distance_m / unit_m, reply);
        }
        if details.score {
            reply.integer(place.score as i64);
        }
        if details.point {
            write_point(place.point, reply);
        }
    }
}

fn store(
    found: &[Found<'_>],
    store: Store<'_>,
    unit_m: f64,
    view: &View<'_>,
) -> Result<SortedSetValue, CommandError> {
    let mut stored = SortedSetValue::new();
    for place in found {
        let score = if store.as_distances {
            place.distance_m / unit_m
        } else {
            place.score
        };
        stored.insert(place.member, score);
        view.check_growth(stored.as_ref().len())?;
    }
    Ok(stored)
}

pub(super) fn search(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    form: Form,
) -> Done {
    if form.may_store() {
        view.notify_misses(&[args.at(form.key_at())])?;
    }
    let set = view.sorted_set(args.at(form.key_at()))?;
    let query = Query::read(form, args, set)?;
    let mut found = Vec::new();
    let mut unit_m = 1.0;
    if let (Some(set), Some(area)) = (set, &query.area) {
        let most = query.count.filter(|_| query.takes_any);
        found = find(view, set, area, most.unwrap_or(usize::MAX))?;
        unit_m = area.unit_m;
    }
    sort(&mut found, query.order);
    found.truncate(query.count.unwrap_or(usize::MAX));
    let Some(destination) = query.store else {
        write(&found, query.details, unit_m, reply);
        return Ok(());
    };
    let stored = store(&found, destination, unit_m, view)?;
    let count = stored.as_ref().len();
    if count == 0 {
        view.delete(destination.key)?;
    } else {
        view.set(destination.key, Value::SortedSet(stored), Deadline::Never)?;
        view.notify(class::SORTED_SET, form.stored_event(), destination.key);
    }
    reply.integer(count as i64);
    Ok(())
}
