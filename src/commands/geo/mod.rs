//! Places: sorted sets whose scores are cells of a fine grid over the globe.

mod area;
mod cell;
mod places;
mod query;
mod search;

use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use crate::resp::extended::Extended;
use crate::resp::number::parse_double_in_range;
use crate::resp::reply::Reply;
use cell::{LATITUDES, LONGITUDES, Point};
use query::Form;

/// GEORADIUS and GEORADIUSBYMEMBER may name a key to store in.
const RADIUS_KEYS: Keys = Keys::FirstAnd(query::stored_key);

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("GEOADD", -5, Group::Geo, places::geoadd)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM)
        .doc(
            "3.2.0",
            "O(log(N)) per place",
            "Adds places to a sorted set.",
        ),
    Command::read("GEODIST", -4, Group::Geo, places::geodist)
        .keys(Keys::FIRST)
        .doc(
            "3.2.0",
            "O(log(N))",
            "Returns how far two places are apart.",
        ),
    Command::read("GEOHASH", -2, Group::Geo, places::geohash)
        .keys(Keys::FIRST)
        .doc(
            "3.2.0",
            "O(log(N)) per place",
            "Returns places as geohash strings of eleven letters.",
        ),
    Command::read("GEOPOS", -2, Group::Geo, places::geopos)
        .keys(Keys::FIRST)
        .doc(
            "3.2.0",
            "O(log(N)) per place",
            "Returns the longitudes and latitudes of places.",
        ),
    Command::write("GEORADIUS", -6, Group::Geo, |view, args, reply| {
        search::search(view, args, reply, Form::Radius { may_store: true })
    })
    .keys(RADIUS_KEYS)
    .flag(flag::DENYOOM | flag::MOVABLE_KEYS)
    .doc(
        "3.2.0",
        "O(N+log(M)), with N places in the cells around and M in all",
        "Finds or stores the places around a point.",
    ),
    Command::read("GEORADIUS_RO", -6, Group::Geo, |view, args, reply| {
        search::search(view, args, reply, Form::Radius { may_store: false })
    })
    .keys(Keys::FIRST)
    .doc(
        "3.2.10",
        "O(N+log(M)), with N places in the cells around and M in all",
        "Finds the places around a point.",
    ),
    Command::write("GEORADIUSBYMEMBER", -5, Group::Geo, |view, args, reply| {
        search::search(view, args, reply, Form::RadiusByMember { may_store: true })
    })
    .keys(RADIUS_KEYS)
    .flag(flag::DENYOOM | flag::MOVABLE_KEYS)
    .doc(
        "3.2.0",
        "O(N+log(M)), with N places in the cells around and M in all",
        "Finds or stores the places around a member.",
    ),
    Command::read(
        "GEORADIUSBYMEMBER_RO",
        -5,
        Group::Geo,
        |view, args, reply| {
            search::search(view, args, reply, Form::RadiusByMember { may_store: false })
        },
    )
    .keys(Keys::FIRST)
    .doc(
        "3.2.10",
        "O(N+log(M)), with N places in the cells around and M in all",
        "Finds the places around a member.",
    ),
    Command::read("GEOSEARCH", -7, Group::Geo, |view, args, reply| {
        search::search(view, args, reply, Form::Search)
    })
    .keys(Keys::FIRST)
    .doc(
        "6.2.0",
        "O(N+log(M)), with N places in the cells around and M in all",
        "Finds the places in a circle or a box.",
    ),
    Command::write("GEOSEARCHSTORE", -8, Group::Geo, |view, args, reply| {
        search::search(view, args, reply, Form::SearchStore)
    })
    .keys(Keys::FIRST_TWO)
    .flag(flag::DENYOOM)
    .doc(
        "6.2.0",
        "O(N+log(M)), with N places in the cells around and M in all",
        "Stores the places in a circle or a box.",
    ),
];

type Done = Result<(), CommandError>;

/// The metres of a unit.
///
/// # Errors
/// If there is no such unit.
fn unit_m(name: &[u8]) -> Result<f64, CommandError> {
    const UNITS: [(&str, f64); 4] = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    let named = UNITS
        .iter()
        .find(|(unit, _)| name.eq_ignore_ascii_case(unit.as_bytes()));
    named.map(|(_, metres)| *metres).ok_or(CommandError::text(
        "ERR unsupported unit provided. please use M, KM, FT, MI",
    ))
}

/// A longitude and a latitude.
///
/// # Errors
/// If they are no numbers, or beyond what a place may have.
fn point_of(longitude: &[u8], latitude: &[u8]) -> Result<Point, CommandError> {
    let number = |text: &[u8]| parse_double_in_range(text).ok_or(CommandError::NotAFloat);
    let (longitude, latitude) = (number(longitude)?, number(latitude)?);
    if !LONGITUDES.contains(longitude) || !LATITUDES.contains(latitude) {
        return Err(CommandError::err(format!(
            "invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        )));
    }
    Ok(Point {
        longitude,
        latitude,
    })
}

/// Writes a longitude and a latitude, to the seventeenth decimal.
fn write_point(point: Point, reply: &mut dyn Reply) {
    reply.array(2);
    for degrees in [point.longitude, point.latitude] {
        let text = Extended::from_double(degrees).map_or_else(String::new, Extended::to_text);
        reply.double_text(degrees, &text);
    }
}

/// Writes a length, to the tenth of a millimetre if the unit is a metre.
fn write_length(length: f64, reply: &mut dyn Reply) {
    reply.bulk(format!("{length:.4}").as_bytes());
}
