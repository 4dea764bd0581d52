//! What GEOSEARCH and its older forms are asked for.

use darter_storage::SortedSetRef;

use super::area::{Area, Shape};
use super::cell::Point;
use super::{point_of, unit_m};
use crate::commands::args::{Args, Options};
use crate::commands::error::CommandError;
use crate::resp::number::parse_double_in_range;

/// Which of the commands it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// GEORADIUS and GEORADIUS_RO.
    Radius { may_store: bool },
    /// GEORADIUSBYMEMBER and GEORADIUSBYMEMBER_RO.
    RadiusByMember { may_store: bool },
    /// GEOSEARCH.
    Search,
    /// GEOSEARCHSTORE.
    SearchStore,
}

impl Form {
    /// Where the searched key is.
    pub(super) fn key_at(self) -> usize {
        if self == Form::SearchStore { 2 } else { 1 }
    }

    /// Where the options begin.
    fn options_at(self) -> usize {
        match self {
            Form::Radius { .. } => 6,
            Form::RadiusByMember { .. } => 5,
            Form::Search => 2,
            Form::SearchStore => 3,
        }
    }

    /// Whether it may store what it finds.
    pub(super) fn may_store(self) -> bool {
        self == Form::SearchStore || self.has_store_options()
    }

    /// The event of a key that it has stored in.
    pub(super) fn stored_event(self) -> &'static str {
        if self == Form::SearchStore {
            "geosearchstore"
        } else {
            "georadiusstore"
        }
    }

    fn has_area_options(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }

    fn has_store_options(self) -> bool {
        matches!(
            self,
            Form::Radius { may_store: true } | Form::RadiusByMember { may_store: true }
        )
    }
}

/// Where GEORADIUS and GEORADIUSBYMEMBER name a key to store in: the last one counts.
pub(super) fn stored_key(args: &Args<'_>) -> Option<usize> {
    let mut options = args.options(5);
    let mut key_at = None;
    while !options.is_empty() {
        if options.left() > 1 && (options.take("STORE") || options.take("STOREDIST")) {
            key_at = Some(options.position());
        }
        // What it does not know is an error of the command's own.
        options.next().ok()?;
    }
    key_at
}

/// In which order places are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As they are found.
    Found,
    Nearest,
    Farthest,
}

/// What is written of each place beside its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Details {
    pub(super) distance: bool,
    pub(super) score: bool,
    pub(super) point: bool,
}

impl Details {
    /// How many of them are wanted.
    pub(super) fn count(self) -> usize {
        [self.distance, self.score, self.point]
            .iter()
            .filter(|is_wanted| **is_wanted)
            .count()
    }
}

/// Where places are stored instead of being returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Store<'a> {
    pub(super) key: &'a [u8],
    /// Under their distances from the centre, not as places.
    pub(super) as_distances: bool,
}

/// See the module's text.
pub(super) struct Query<'a> {
    /// `None`: the member that it is around is not there, since its set is not.
    pub(super) area: Option<Area>,
    pub(super) order: Order,
    pub(super) details: Details,
    pub(super) count: Option<usize>,
    /// The first so many that are found will do.
    pub(super) takes_any: bool,
    pub(super) store: Option<Store<'a>>,
}

/// The parts of an area, as far as they have been read. A member's place is none if there is no set.
#[derive(Default)]
struct Parts {
    centre: Option<Point>,
    shape: Option<(Shape, f64)>,
    from_member: bool,
    from_point: bool,
}

/// A length, whatever its sign.
fn length_of(text: &[u8], no_number: &'static str) -> Result<f64, CommandError> {
    parse_double_in_range(text).ok_or(CommandError::text(no_number))
}

/// Reads `radius unit`.
fn circle(radius: &[u8], unit: &[u8]) -> Result<(Shape, f64), CommandError> {
    let radius = length_of(radius, "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(CommandError::text("ERR radius cannot be negative"));
    }
    Ok((Shape::Circle { radius }, unit_m(unit)?))
}

/// Reads `width height unit`.
fn rectangle(options: &mut Options<'_>) -> Result<(Shape, f64), CommandError> {
    let width = length_of(options.next()?, "ERR need numeric width")?;
    let height = length_of(options.next()?, "ERR need numeric height")?;
    if width < 0.0 || height < 0.0 {
        return Err(CommandError::text("ERR height or width cannot be negative"));
    }
    Ok((Shape::Box { width, height }, unit_m(options.next()?)?))
}

/// The place of a member of a set that is there.
fn member_point(set: SortedSetRef<'_>, member: &[u8]) -> Result<Point, CommandError> {
    let score = set.score(member).ok_or(CommandError::text(
        "ERR could not decode requested zset member",
    ))?;
    Ok(Point::of_score(score))
}

impl Parts {
    /// Those that GEORADIUS and its kin have before their options.
    fn read(
        form: Form,
        args: &Args<'_>,
        set: Option<SortedSetRef<'_>>,
    ) -> Result<Parts, CommandError> {
        let mut parts = Parts::default();
        match (form, set) {
            (Form::Radius { .. }, _) => {
                parts.centre = Some(point_of(&args[2], &args[3])?);
                parts.shape = Some(circle(&args[4], &args[5])?);
            }
            (Form::RadiusByMember { .. }, Some(set)) => {
                parts.centre = Some(member_point(set, &args[2])?);
                parts.shape = Some(circle(&args[3], &args[4])?);
            }
            _ => {}
        }
        Ok(parts)
    }

    /// Reads an option that says where to search; `false` if the next one does not.
    fn take(
        &mut self,
        options: &mut Options<'_>,
        set: Option<SortedSetRef<'_>>,
    ) -> Result<bool, CommandError> {
        let values = options.left().saturating_sub(1);
        let is_circle = matches!(self.shape, Some((Shape::Circle { .. }, _)));
        let is_box = matches!(self.shape, Some((Shape::Box { .. }, _)));
        if values >= 1 && !self.from_point && options.take("FROMMEMBER") {
            let member = options.next()?;
            self.from_member = true;
            self.centre = set.map(|set| member_point(set, member)).transpose()?;
        } else if values >= 2 && !self.from_member && options.take("FROMLONLAT") {
            self.centre = Some(point_of(options.next()?, options.next()?)?);
            self.from_point = true;
        } else if values >= 2 && !is_box && options.take("BYRADIUS") {
            self.shape = Some(circle(options.next()?, options.next()?)?);
        } else if values >= 3 && !is_circle && options.take("BYBOX") {
            self.shape = Some(rectangle(options)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn area(&self) -> Option<Area> {
        let (shape, unit_m) = self.shape?;
        Some(Area {
            centre: self.centre?,
            shape,
            unit_m,
        })
    }
}

fn read_count(options: &mut Options<'_>) -> Result<usize, CommandError> {
    let count = options.integer()?;
    if count <= 0 {
        return Err(CommandError::text("ERR COUNT must be > 0"));
    }
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

impl<'a> Query<'a> {
    /// Reads the arguments; `set` is what the searched key holds.
    ///
    /// # Errors
    /// If they make no sense, or name a member that the set does not have.
    pub(super) fn read(
        form: Form,
        args: &Args<'a>,
        set: Option<SortedSetRef<'_>>,
    ) -> Result<Query<'a>, CommandError> {
        let mut parts = Parts::read(form, args, set)?;
        let mut query = Query {
            area: None,
            order: Order::Found,
            details: Details::default(),
            count: None,
            takes_any: false,
            store: (form == Form::SearchStore).then(|| Store {
                key: args.at(1),
                as_distances: false,
            }),
        };
        let mut options = args.options(form.options_at());
        while !options.is_empty() {
            let is_area = form.has_area_options() && parts.take(&mut options, set)?;
            if !is_area && !query.take(form, &mut options)? {
                return Err(CommandError::Syntax);
            }
        }
        query.check(form, args, &parts)?;
        query.area = parts.area();
        // The nearest so many, unless any will do.
        if query.count.is_some() && query.order == Order::Found && !query.takes_any {
            query.order = Order::Nearest;
        }
        Ok(query)
    }

    /// Reads an option that says what to do with what is found; `false` if the next one does not.
    fn take(&mut self, form: Form, options: &mut Options<'a>) -> Result<bool, CommandError> {
        let has_value = options.left() > 1;
        if options.take("WITHDIST") {
            self.details.distance = true;
        } else if options.take("WITHHASH") {
            self.details.score = true;
        } else if options.take("WITHCOORD") {
            self.details.point = true;
        } else if options.take("ANY") {
            self.takes_any = true;
        } else if options.take("ASC") {
            self.order = Order::Nearest;
        } else if options.take("DESC") {
            self.order = Order::Farthest;
        } else if has_value && options.take("COUNT") {
            self.count = Some(read_count(options)?);
        } else if has_value && form.has_store_options() && options.take("STORE") {
            self.store = Some(Store {
                key: options.next()?,
                as_distances: false,
            });
        } else if has_value && form.has_store_options() && options.take("STOREDIST") {
            self.store = Some(Store {
                key: options.next()?,
                as_distances: true,
            });
        } else if let (Form::SearchStore, Some(store)) = (form, &mut self.store)
            && options.take("STOREDIST")
        {
            store.as_distances = true;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether what was read fits together.
    fn check(&self, form: Form, args: &Args<'_>, parts: &Parts) -> Result<(), CommandError> {
        if self.store.is_some() && self.details.count() > 0 {
            let what = match form {
                Form::SearchStore => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            return Err(CommandError::err(format!(
                "{what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        let name = String::from_utf8_lossy(&args[0]);
        if form.has_area_options() && !parts.from_member && !parts.from_point {
            return Err(CommandError::err(format!(
                "exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
            )));
        }
        if form.has_area_options() && parts.shape.is_none() {
            return Err(CommandError::err(format!(
                "exactly one of BYRADIUS and BYBOX can be specified for {name}"
            )));
        }
        if self.takes_any && self.count.is_none() {
            return Err(CommandError::text(
                "ERR the ANY argument requires COUNT argument",
            ));
        }
        Ok(())
    }
}
