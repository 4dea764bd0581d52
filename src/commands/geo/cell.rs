//! Places as numbers: the bits of longitude and latitude in turn, longitude first, so that places with
//! a common beginning lie in one cell of a grid. A place in a sorted set is a cell of 26 bits each way.

/// Longitudes that a place may have.
pub(super) const LONGITUDES: Span = Span {
    min: -180.0,
    max: 180.0,
};
/// Latitudes that a place may have; those of a web map.
pub(super) const LATITUDES: Span = Span {
    min: -85.051_128_78,
    max: 85.051_128_78,
};
/// Bits each way of a cell that is a place.
pub(super) const STEPS_MAX: u32 = 26;
/// The bits of a latitude, and those of a longitude.
const LATITUDE_BITS: u64 = 0x5555_5555_5555_5555;
const LONGITUDE_BITS: u64 = !LATITUDE_BITS;

/// From one number to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Span {
    pub(super) fn contains(self, value: f64) -> bool {
        (self.min..=self.max).contains(&value)
    }

    /// In which of `2^steps` equal parts a value is.
    fn part(self, value: f64, steps: u32) -> u32 {
        let share = (value - self.min) / (self.max - self.min);
        (share * scale(steps)) as u32
    }

    /// One of `2^steps` equal parts, or one beyond them.
    fn of_part(self, part: u32, steps: u32) -> Span {
        let bound = |part: u32| self.min + (f64::from(part) / scale(steps)) * (self.max - self.min);
        Span {
            min: bound(part),
            max: bound(part.wrapping_add(1)),
        }
    }

    fn middle(self) -> f64 {
        (self.min + self.max) / 2.0
    }
}

fn scale(steps: u32) -> f64 {
    (1_u64 << steps) as f64
}

/// A place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) longitude: f64,
    pub(super) latitude: f64,
}

impl Point {
    /// The middle of the cell that a score means. Any score means one: those that no place has are
    /// moved to the nearest that has.
    pub(super) fn of_score(score: f64) -> Point {
        let (longitudes, latitudes) = Cell::of_score(score).spans();
        Point {
            longitude: longitudes.middle().clamp(LONGITUDES.min, LONGITUDES.max),
            latitude: latitudes.middle().clamp(LATITUDES.min, LATITUDES.max),
        }
    }

    /// The score under which it is kept.
    pub(super) fn score(self) -> f64 {
        Cell::at(self, STEPS_MAX).bits as f64
    }
}

/// A cell of the grid with `2^steps` cells each way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) bits: u64,
    pub(super) steps: u32,
}

/// Puts zeroes between bits.
fn spread(part: u32) -> u64 {
    let mut bits = u64::from(part);
    for (shift, mask) in [
        (16, 0x0000_FFFF_0000_FFFF),
        (8, 0x00FF_00FF_00FF_00FF),
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, LATITUDE_BITS),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Takes every other bit, from the lowest on.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & LATITUDE_BITS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0F0F_0F0F_0F0F_0F0F),
        (4, 0x00FF_00FF_00FF_00FF),
        (8, 0x0000_FFFF_0000_FFFF),
        (16, 0x0000_0000_FFFF_FFFF),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}

impl Cell {
    /// The cell that a place is in.
    pub(super) fn at(point: Point, steps: u32) -> Cell {
        Cell::within(point, steps, LONGITUDES, LATITUDES)
    }

    /// As `at`, in a grid over other longitudes and latitudes, which must have the place.
    pub(super) fn within(point: Point, steps: u32, longitudes: Span, latitudes: Span) -> Cell {
        let longitude = longitudes.part(point.longitude, steps);
        let latitude = latitudes.part(point.latitude, steps);
        Cell {
            bits: spread(latitude) | spread(longitude) << 1,
            steps,
        }
    }

    /// The cell that a score means: its whole part, as a conversion in C on x86-64 has it.
    fn of_score(score: f64) -> Cell {
        const SIGNED_END: f64 = 9_223_372_036_854_775_808.0;
        const UNSIGNED_END: f64 = 2.0 * SIGNED_END;
        let bits = if score < SIGNED_END {
            score as i64 as u64
        } else if score < UNSIGNED_END {
            score as u64
        } else {
            0
        };
        Cell {
            bits,
            steps: STEPS_MAX,
        }
    }

    /// Its longitudes and its latitudes.
    pub(super) fn spans(self) -> (Span, Span) {
        let (longitude, latitude) = (gather(self.bits >> 1), gather(self.bits));
        (
            LONGITUDES.of_part(longitude, self.steps),
            LATITUDES.of_part(latitude, self.steps),
        )
    }

    /// The scores that places in it have: from the first to below the second.
    pub(super) fn scores(self) -> (f64, f64) {
        let unused = 2 * (STEPS_MAX - self.steps);
        let bound = |bits: u64| (bits << unused) as f64;
        (bound(self.bits), bound(self.bits + 1))
    }

    /// The cell so many to the east and so many to the north, each -1, 0 or 1; around the edges of
    /// the grid.
    pub(super) fn neighbour(self, east: i8, north: i8) -> Cell {
        let used = u64::MAX >> (64 - 2 * self.steps);
        Cell {
            bits: step(self.bits, LONGITUDE_BITS, used, east)
                | step(self.bits, LATITUDE_BITS, used, north),
            ..self
        }
    }
}

/// The bits of one direction, moved by one cell.
fn step(bits: u64, own: u64, used: u64, by: i8) -> u64 {
    let others = !own & used;
    let moved = match by {
        0 => return bits & own,
        // The other direction's bits are full, so that a carry passes them.
        1.. => (bits & own).wrapping_add(others + 1),
        _ => (bits & own | others).wrapping_sub(others + 1),
    };
    moved & own & used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_spread_and_gathered() {
        assert_eq!(spread(0b1011), 0b100_0101);
        for part in [0, 1, 0x5555_5555, 0xDEAD_BEEF, u32::MAX] {
            assert_eq!(gather(spread(part)), part);
            assert_eq!(gather(spread(part) << 1), 0);
            assert_eq!(gather(spread(part) | LONGITUDE_BITS), part);
        }
    }

    #[test]
    fn a_place_is_near_the_one_that_its_score_means() {
        for (longitude, latitude) in [
            (13.361_389, 38.115_556),
            (-180.0, -85.051_128_78),
            (0.0, 0.0),
            (179.999_999, 85.0),
        ] {
            let point = Point {
                longitude,
                latitude,
            };
            let back = Point::of_score(point.score());
            assert!((back.longitude - longitude).abs() < 1e-5);
            assert!((back.latitude - latitude).abs() < 1e-5);
            assert_eq!(back.score(), point.score());
        }
        let palermo = Point {
            longitude: 13.361_389,
            latitude: 38.115_556,
        };
        assert_eq!(palermo.score(), 3_479_099_956_230_698.0);
    }

    #[test]
    fn any_score_means_a_place() {
        for score in [
            -1.0,
            -1e300,
            f64::NEG_INFINITY,
            1e16,
            1e19,
            1e30,
            f64::INFINITY,
            0.5,
        ] {
            let point = Point::of_score(score);
            assert!(LONGITUDES.contains(point.longitude), "{score}");
            assert!(LATITUDES.contains(point.latitude), "{score}");
        }
    }

    #[test]
    fn neighbours_are_around_and_come_back() {
        let point = Point {
            longitude: 10.0,
            latitude: 20.0,
        };
        for steps in [1, 2, 5, 26] {
            let cell = Cell::at(point, steps);
            assert_eq!(cell.neighbour(0, 0), cell);
            for (east, north) in [(1, 0), (0, 1), (1, 1), (1, -1)] {
                let other = cell.neighbour(east, north);
                assert_ne!(other, cell);
                assert_eq!(other.neighbour(-east, -north), cell);
            }
        }
        let cell = Cell::at(point, 5);
        let (longitudes, latitudes) = cell.spans();
        let (eastern, same) = cell.neighbour(1, 0).spans();
        assert_eq!(eastern.min, longitudes.max);
        assert_eq!(same, latitudes);
        let edge = Cell { bits: 0, steps: 3 };
        assert_eq!(edge.neighbour(-1, -1).bits, 0b11_1111);
    }

    #[test]
    fn a_cell_has_the_scores_of_its_places() {
        let point = Point {
            longitude: -70.0,
            latitude: -30.0,
        };
        for steps in 1..=STEPS_MAX {
            let (first, end) = Cell::at(point, steps).scores();
            assert!((first..end).contains(&point.score()), "{steps}");
        }
    }
}
