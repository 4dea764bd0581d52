//! Distances on the globe, areas around a place, and the cells that may have something of an area.

use super::cell::{Cell, Point, STEPS_MAX};

/// The radius of a sphere that is as large as the earth.
const EARTH_METRES: f64 = 6_372_797.560_856;
/// Half of a map's width at the equator.
const MAP_METRES: f64 = 20_037_726.37;

fn radians(degrees: f64) -> f64 {
    degrees * (std::f64::consts::PI / 180.0)
}

/// `to_degrees` multiplies by the inverse: its last bit is another one.
fn degrees(radians: f64) -> f64 {
    radians / (std::f64::consts::PI / 180.0)
}

fn latitude_distance_m(one: f64, other: f64) -> f64 {
    EARTH_METRES * (radians(other) - radians(one)).abs()
}

/// The distance between two places along a great circle, in metres: the haversine formula.
pub(super) fn distance_m(one: Point, other: Point) -> f64 {
    let longitudes = radians(other.longitude) - radians(one.longitude);
    let across = (longitudes / 2.0).sin();
    if across == 0.0 {
        return latitude_distance_m(one.latitude, other.latitude);
    }
    let (from, to) = (radians(one.latitude), radians(other.latitude));
    let along = ((to - from) / 2.0).sin();
    let haversine = along * along + from.cos() * to.cos() * across * across;
    2.0 * EARTH_METRES * haversine.sqrt().asin()
}

/// What an area looks like. Lengths are in the unit of the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
}

/// An area around a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) centre: Point,
    pub(super) shape: Shape,
    /// The metres of a unit.
    pub(super) unit_m: f64,
}

/// The degrees between which an area lies.
struct Bounds {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

impl Area {
    /// How far a place of the area is from its centre, in metres; `None` if it is outside.
    pub(super) fn distance_m(&self, point: Point) -> Option<f64> {
        match self.shape {
            Shape::Circle { radius } => {
                let distance = distance_m(self.centre, point);
                // Not the other way round: nothing is outside of what is no number.
                let is_outside = distance > radius * self.unit_m;
                (!is_outside).then_some(distance)
            }
            Shape::Box { width, height } => {
                let (width_m, height_m) = (width * self.unit_m, height * self.unit_m);
                let along = latitude_distance_m(point.latitude, self.centre.latitude);
                if along > height_m / 2.0 {
                    return None;
                }
                let on_meridian = Point {
                    longitude: self.centre.longitude,
                    ..point
                };
                if distance_m(point, on_meridian) > width_m / 2.0 {
                    return None;
                }
                Some(distance_m(self.centre, point))
            }
        }
    }

    fn bounds(&self) -> Bounds {
        let (half_width, half_height) = match self.shape {
            Shape::Circle { radius } => (radius, radius),
            Shape::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let Point {
            longitude,
            latitude,
        } = self.centre;
        let latitudes = degrees(self.unit_m * half_height / EARTH_METRES);
        // An arc is longest in degrees where the area is nearest to a pole.
        let farthest = if latitude < 0.0 {
            latitude - latitudes
        } else {
            latitude + latitudes
        };
        let width_m = self.unit_m * half_width;
        let longitudes = degrees(width_m / EARTH_METRES / radians(farthest).cos());
        Bounds {
            west: longitude - longitudes,
            east: longitude + longitudes,
            south: latitude - latitudes,
            north: latitude + latitudes,
        }
    }

    /// The distance of its farthest place from the centre, in metres.
    fn reach_m(&self) -> f64 {
        let reach = match self.shape {
            Shape::Circle { radius } => radius,
            Shape::Box { width, height } => {
                let (half_width, half_height) = (width / 2.0, height / 2.0);
                (half_width * half_width + half_height * half_height).sqrt()
            }
        };
        reach * self.unit_m
    }

    /// The cells that may have something of it, in the order in which Redis looks at them: replies
    /// that nobody asks to be sorted come in this order.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let bounds = self.bounds();
        let mut steps = estimated_steps(self.reach_m(), self.centre.latitude);
        let mut cell = Cell::at(self.centre, steps);
        if steps > 1 && !is_covered(cell, &bounds) {
            steps -= 1;
            cell = Cell::at(self.centre, steps);
        }
        let (longitudes, latitudes) = cell.spans();
        // Of four cells in all, none is useless.
        let prunes = steps >= 2;
        let is_useless = |(east, north): (i8, i8)| {
            prunes
                && (north < 0 && latitudes.min < bounds.south
                    || north > 0 && latitudes.max > bounds.north
                    || east < 0 && longitudes.min < bounds.west
                    || east > 0 && longitudes.max > bounds.east)
        };
        let mut cells = vec![cell];
        for (east, north) in AROUND {
            let neighbour = cell.neighbour(east, north);
            // Where few cells go around the globe, neighbours meet on the other side.
            let is_repeated = cells.len() > 1 && cells.last() == Some(&neighbour);
            if !is_useless((east, north)) && !is_repeated {
                cells.push(neighbour);
            }
        }
        cells
    }
}

/// North, south, east, west, and the corners between them.
const AROUND: [(i8, i8); 8] = [
    (0, 1),
    (0, -1),
    (1, 0),
    (-1, 0),
    (1, 1),
    (-1, 1),
    (1, -1),
    (-1, -1),
];

/// How fine a grid may be whose cells around a place still have all that is so far away, most often.
fn estimated_steps(reach_m: f64, latitude: f64) -> u32 {
    if reach_m == 0.0 {
        return STEPS_MAX;
    }
    let mut steps: i32 = -1;
    let mut width_m = reach_m;
    while width_m < MAP_METRES {
        width_m *= 2.0;
        steps += 1;
    }
    // Towards the poles cells are narrow.
    for narrow in [66.0, 80.0] {
        steps -= i32::from(latitude.abs() > narrow);
    }
    steps.clamp(1, STEPS_MAX as i32) as u32
}

/// Whether the cells around one have all of an area.
fn is_covered(cell: Cell, bounds: &Bounds) -> bool {
    let (_, north) = cell.neighbour(0, 1).spans();
    let (_, south) = cell.neighbour(0, -1).spans();
    let (east, _) = cell.neighbour(1, 0).spans();
    let (west, _) = cell.neighbour(-1, 0).spans();
    let is_short = north.max < bounds.north
        || south.min > bounds.south
        || east.max < bounds.east
        || west.min > bounds.west;
    !is_short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(longitude: f64, latitude: f64) -> Point {
        Point {
            longitude,
            latitude,
        }
    }

    #[test]
    fn distances_are_along_great_circles() {
        let quarter = std::f64::consts::FRAC_PI_2 * EARTH_METRES;
        for (one, other, expected) in [
            (at(0.0, 0.0), at(90.0, 0.0), quarter),
            (at(0.0, 0.0), at(180.0, 0.0), 2.0 * quarter),
            (at(7.0, -45.0), at(7.0, 45.0), quarter),
            (at(3.0, 4.0), at(3.0, 4.0), 0.0),
        ] {
            assert!((distance_m(one, other) - expected).abs() < 1e-3);
        }
    }

    /// What is in an area is in one of its cells, wherever on the globe.
    #[test]
    fn no_place_of_an_area_is_outside_of_its_cells() {
        for (longitude, latitude) in [(0.0, 0.0), (13.0, 38.0), (100.0, -60.0), (-70.0, 79.0)] {
            for unit_m in [0.01, 1.0, 100.0, 3000.0] {
                let centre = at(longitude, latitude);
                let area = Area {
                    centre,
                    shape: Shape::Circle { radius: 100.0 },
                    unit_m,
                };
                let cells = area.cells();
                for n in 0..64 {
                    let angle = f64::from(n) / 64.0 * std::f64::consts::TAU;
                    let reach = degrees(99.0 * unit_m / EARTH_METRES);
                    let place = at(
                        longitude + reach * angle.cos() / radians(latitude).cos() * 0.9,
                        latitude + reach * angle.sin() * 0.9,
                    );
                    if area.distance_m(place).is_none() {
                        continue;
                    }
                    let score = place.score();
                    let is_found = cells.iter().any(|cell| {
                        let (first, end) = cell.scores();
                        (first..end).contains(&score)
                    });
                    assert!(is_found, "{place:?} of {area:?}");
                }
            }
        }
    }

    #[test]
    fn no_area_has_a_cell_twice() {
        for radius in [1.0, 1e5, 5e6, 1e7, 2e7, 1e9, f64::INFINITY] {
            let area = Area {
                centre: at(50.0, 30.0),
                shape: Shape::Circle { radius },
                unit_m: 1.0,
            };
            let cells = area.cells();
            for (number, cell) in cells.iter().enumerate() {
                assert!(!cells[..number].contains(cell), "{radius}: {cells:?}");
            }
        }
    }
}
