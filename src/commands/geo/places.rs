//! Single places: adding them, and what is asked about them.

use darter_storage::SortedSetRef;

use super::area::distance_m;
use super::cell::{Cell, Point, Span};
use super::{Done, point_of, unit_m, write_length, write_point};
use crate::commands::args::Args;
use crate::commands::error::CommandError;
use crate::commands::sorted_set::{Rules, put};
use crate::commands::view::View;
use crate::resp::reply::Reply;

pub(super) fn geoadd(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let mut rules = Rules::default();
    let mut options = args.options(2);
    while rules.take(&mut options) {}
    let (places, rest) = args.from(options.position()).as_chunks::<3>();
    if places.is_empty() || !rest.is_empty() || rules.only_new && rules.only_known {
        return Err(CommandError::Syntax);
    }
    let elements = places.iter().map(|[longitude, latitude, member]| {
        let point = point_of(longitude, latitude)?;
        Ok::<_, CommandError>((*member, point.score()))
    });
    let elements: Vec<(&[u8], f64)> = elements.collect::<Result<_, _>>()?;
    put(view, &args[1], rules, &elements, reply)
}

/// The place of a member.
fn find(set: Option<SortedSetRef<'_>>, member: &[u8]) -> Option<Point> {
    set?.score(member).map(Point::of_score)
}

pub(super) fn geodist(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let unit_m = match args.len() {
        4 => 1.0,
        5 => unit_m(&args[4])?,
        _ => return Err(CommandError::Syntax),
    };
    let set = view.sorted_set(&args[1])?;
    match (find(set, &args[2]), find(set, &args[3])) {
        (Some(one), Some(other)) => write_length(distance_m(one, other) / unit_m, reply),
        _ => reply.null(),
    }
    Ok(())
}

/// The letters of a geohash; it spans the globe from pole to pole, unlike the cells of scores.
fn geohash_of(point: Point) -> [u8; 11] {
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    const LONGITUDES: Span = Span {
        min: -180.0,
        max: 180.0,
    };
    const LATITUDES: Span = Span {
        min: -90.0,
        max: 90.0,
    };
    let bits = Cell::within(point, 26, LONGITUDES, LATITUDES).bits;
    // 52 bits are ten letters; the eleventh would have to be cut.
    let mut letters = [b'0'; 11];
    for (letter, shift) in letters.iter_mut().zip((2..52).step_by(5).rev()) {
        *letter = ALPHABET[(bits >> shift) as usize % ALPHABET.len()];
    }
    letters
}

pub(super) fn geohash(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let set = view.sorted_set(&args[1])?;
    let members = args.from(2);
    reply.array(members.len());
    for member in members {
        match find(set, member) {
            Some(point) => reply.bulk(&geohash_of(point)),
            None => reply.null(),
        }
    }
    Ok(())
}

pub(super) fn geopos(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let set = view.sorted_set(&args[1])?;
    let members = args.from(2);
    reply.array(members.len());
    for member in members {
        match find(set, member) {
            Some(point) => write_point(point, reply),
            None => reply.null_array(),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geohash_is_the_one_that_others_know() {
        for (longitude, latitude, expected) in [
            (13.361_389, 38.115_556, "sqc8b49rny0"),
            (15.087_269, 37.502_669, "sqdtr74hyu0"),
        ] {
            let point = Point {
                longitude,
                latitude,
            };
            let kept = Point::of_score(point.score());
            assert_eq!(String::from_utf8_lossy(&geohash_of(kept)), expected);
        }
    }
}
