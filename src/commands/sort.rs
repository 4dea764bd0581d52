//! SORT and SORT_RO: the elements of a list, a set or a sorted set in another order, or what other
//! keys say of them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use darter_storage::{Deadline, ListValue, Value, ValueRef};

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::view::View;
use crate::notifications::class;
use crate::resp::number::{parse_double_in_range, without_spaces_before};
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("SORT", -2, Group::Generic, |view, args, reply| {
        sort(view, args, reply, true)
    })
    .keys(Keys::FirstAnd(stored_key))
    .flag(flag::DENYOOM | flag::MOVABLE_KEYS | flag::COLLECTIONS | flag::DANGEROUS)
    .doc(
        "1.0.0",
        "O(N+M·log(M)), with N elements in and M out",
        "Returns or stores the elements of a list, set or sorted set in order.",
    ),
    Command::read("SORT_RO", -2, Group::Generic, |view, args, reply| {
        sort(view, args, reply, false)
    })
    .keys(Keys::FirstAnd(|_| None))
    .flag(flag::MOVABLE_KEYS | flag::COLLECTIONS | flag::DANGEROUS)
    .doc(
        "7.0.0",
        "O(N+M·log(M)), with N elements in and M out",
        "Returns the elements of a list, set or sorted set in order.",
    ),
];

type Done = Result<(), CommandError>;

/// Where SORT names a key to store in: the last one counts.
fn stored_key(args: &Args<'_>) -> Option<usize> {
    let (mut at, mut key_at) = (2, None);
    while at < args.len() {
        let values = if args.is(at, "LIMIT") {
            2
        } else if args.is(at, "BY") || args.is(at, "GET") {
            1
        } else if args.is(at, "STORE") && at + 1 < args.len() {
            key_at = Some(at + 1);
            1
        } else {
            0
        };
        at += 1 + values;
    }
    key_at
}

/// What BY and GET look up for an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern<'a> {
    /// `#`: the element itself.
    Element,
    /// One without `*`: nothing.
    Nothing,
    /// The key that the element makes in the place of `*`, or a field of the hash there.
    Key {
        before: &'a [u8],
        behind: &'a [u8],
        field: Option<&'a [u8]>,
    },
}

impl<'a> Pattern<'a> {
    fn read(text: &'a [u8]) -> Pattern<'a> {
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = memchr::memchr(b'*', text) else {
            return Pattern::Nothing;
        };
        let (before, rest) = (&text[..star], &text[star + 1..]);
        // An arrow with nothing behind it is a part of the key.
        let arrow = memchr::memmem::find(rest, b"->").filter(|at| at + 2 < rest.len());
        let (behind, field) = match arrow {
            Some(at) => (&rest[..at], Some(&rest[at + 2..])),
            None => (rest, None),
        };
        Pattern::Key {
            before,
            behind,
            field,
        }
    }

    fn look_up<'v>(
        self,
        view: &'v View<'_>,
        element: &'v [u8],
    ) -> Result<Option<Cow<'v, [u8]>>, CommandError> {
        let (before, behind, field) = match self {
            Pattern::Element => return Ok(Some(Cow::Borrowed(element))),
            Pattern::Nothing => return Ok(None),
            Pattern::Key {
                before,
                behind,
                field,
            } => (before, behind, field),
        };
        let key = [before, element, behind].concat();
        Ok(match (view.get_unnamed(&key)?, field) {
            (Some(ValueRef::String(value)), None) => {
                view.check_room_to_read(value.len())?;
                Some(value.to_cow())
            }
            (Some(ValueRef::Hash(hash)), Some(field)) => hash.get(field).map(Cow::Borrowed),
            _ => None,
        })
    }
}

/// What is asked of SORT.
#[derive(Default)]
struct Query<'a> {
    /// What elements are compared by, if not by themselves.
    by: Option<Pattern<'a>>,
    /// They are not compared at all.
    is_unsorted: bool,
    is_descending: bool,
    is_alphabetical: bool,
    skipped: usize,
    limit: Option<usize>,
    get: Vec<Pattern<'a>>,
    destination: Option<&'a [u8]>,
}

impl<'a> Query<'a> {
    fn read(args: &Args<'a>, may_store: bool) -> Result<Query<'a>, CommandError> {
        let mut query = Query::default();
        let mut options = args.options(2);
        while !options.is_empty() {
            let values = options.left() - 1;
            if options.take("ASC") {
                query.is_descending = false;
            } else if options.take("DESC") {
                query.is_descending = true;
            } else if options.take("ALPHA") {
                query.is_alphabetical = true;
            } else if values >= 2 && options.take("LIMIT") {
                // Nothing is skipped before the first; a negative count is none.
                query.skipped = usize::try_from(options.integer()?).unwrap_or(0);
                query.limit = usize::try_from(options.integer()?).ok();
            } else if values >= 1 && may_store && options.take("STORE") {
                query.destination = Some(options.next()?);
            } else if values >= 1 && options.take("BY") {
                let pattern = Pattern::read(options.next()?);
                query.is_unsorted |= !matches!(pattern, Pattern::Key { .. });
                query.by = Some(pattern);
            } else if values >= 1 && options.take("GET") {
                query.get.push(Pattern::read(options.next()?));
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(query)
    }

    /// The places of `length` elements that are wanted.
    fn range(&self, length: usize) -> Range<usize> {
        let start = self.skipped.min(length);
        let count = self.limit.unwrap_or(length).min(length - start);
        start..start + count
    }

    /// The wanted elements, in order.
    fn elements<'v>(&self, view: &'v View<'_>, key: &[u8]) -> Result<Vec<&'v [u8]>, CommandError> {
        let check_room = |length: usize| {
            let bytes = length.saturating_mul(size_of::<(f64, &[u8])>());
            view.check_room_to_read(bytes)
        };
        let mut all: Vec<&[u8]> = match view.get(key)? {
            None => Vec::new(),
            Some(ValueRef::List(list)) if self.is_unsorted => {
                let (start, count) = self.stretch(list.len());
                return Ok(if self.is_descending {
                    list.iter_back_from(start).take(count).collect()
                } else {
                    list.iter_from(start).take(count).collect()
                });
            }
            Some(ValueRef::SortedSet(set)) if self.is_unsorted => {
                let (start, count) = self.stretch(set.len());
                let member = |(member, _)| member;
                return Ok(if self.is_descending {
                    set.iter_back_from(start).take(count).map(member).collect()
                } else {
                    set.iter_from(start).take(count).map(member).collect()
                });
            }
            Some(ValueRef::List(list)) => {
                check_room(list.len())?;
                list.iter_from(0).collect()
            }
            Some(ValueRef::Set(set)) => {
                check_room(set.len())?;
                set.iter().collect()
            }
            Some(ValueRef::SortedSet(set)) => {
                check_room(set.len())?;
                set.iter_from(0).map(|(member, _)| member).collect()
            }
            Some(_) => return Err(CommandError::WrongType),
        };
        self.arrange(view, &mut all)?;
        let range = self.range(all.len());
        Ok(all.drain(range).collect())
    }

    /// Where the wanted elements begin if they stay as they are, and how many there are.
    fn stretch(&self, length: usize) -> (usize, usize) {
        let range = self.range(length);
        let start = if self.is_descending {
            // Behind the last nothing is wanted.
            (length - range.start).saturating_sub(1)
        } else {
            range.start
        };
        (start, range.len())
    }

    /// Puts elements in order.
    fn arrange<'v>(&self, view: &'v View<'_>, all: &mut Vec<&'v [u8]>) -> Done {
        let directed = |order: Ordering| {
            if self.is_descending {
                order.reverse()
            } else {
                order
            }
        };
        // A set that is not to be sorted has no order to keep: it gets the one of its bytes, as in
        // Redis's scripts.
        let by = self.by.filter(|_| !self.is_unsorted);
        match by {
            None if self.is_alphabetical || self.is_unsorted => {
                all.sort_by(|one, other| directed(one.cmp(other)));
            }
            Some(pattern) if self.is_alphabetical => {
                let mut weighed = Vec::with_capacity(all.len());
                for element in all.drain(..) {
                    weighed.push((pattern.look_up(view, element)?, element));
                }
                weighed.sort_by(|(one, _), (other, _)| directed(one.cmp(other)));
                all.extend(weighed.into_iter().map(|(_, element)| element));
            }
            _ => {
                let mut weighed = Vec::with_capacity(all.len());
                for element in all.drain(..) {
                    let weight = match by {
                        Some(pattern) => pattern.look_up(view, element)?,
                        None => Some(Cow::Borrowed(element)),
                    };
                    weighed.push((weight.as_deref().map_or(Ok(0.0), number_of)?, element));
                }
                // Equal ones are in the order of their bytes.
                weighed.sort_by(|(one, element), (other, other_element)| {
                    let by_weight = one.partial_cmp(other).unwrap_or(Ordering::Equal);
                    directed(by_weight.then_with(|| element.cmp(other_element)))
                });
                all.extend(weighed.into_iter().map(|(_, element)| element));
            }
        }
        Ok(())
    }
}

/// What an element weighs: as in Redis spaces before the number are skipped, and nothing is 0.
fn number_of(text: &[u8]) -> Result<f64, CommandError> {
    if text.is_empty() {
        return Ok(0.0);
    }
    parse_double_in_range(without_spaces_before(text)).ok_or(CommandError::text(
        "ERR One or more scores can't be converted into double",
    ))
}

fn write(view: &View<'_>, elements: &[&[u8]], get: &[Pattern<'_>], reply: &mut dyn Reply) -> Done {
    reply.array(elements.len() * get.len().max(1));
    for element in elements {
        if get.is_empty() {
            reply.bulk(element);
        }
        for pattern in get {
            match pattern.look_up(view, element)? {
                Some(value) => reply.bulk(&value),
                None => reply.null(),
            }
        }
    }
    Ok(())
}

/// As `write`, into a list, which has no nulls.
fn collect(
    view: &View<'_>,
    elements: &[&[u8]],
    get: &[Pattern<'_>],
) -> Result<ListValue, CommandError> {
    let mut list = ListValue::new();
    for element in elements {
        if get.is_empty() {
            list.push_back(element);
        }
        for pattern in get {
            list.push_back(&pattern.look_up(view, element)?.unwrap_or_default());
        }
        view.check_growth(list.as_ref().len())?;
    }
    Ok(list)
}

fn sort(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply, may_store: bool) -> Done {
    let query = Query::read(args, may_store)?;
    if may_store {
        view.tell_misses();
    }
    let elements = query.elements(view, &args[1])?;
    let Some(destination) = query.destination else {
        return write(view, &elements, &query.get, reply);
    };
    let list = collect(view, &elements, &query.get)?;
    let length = list.as_ref().len();
    if length == 0 {
        view.delete(destination)?;
    } else {
        view.set(destination, Value::List(list), Deadline::Never)?;
        view.notify(class::LIST, "sortstore", destination);
    }
    reply.integer(length as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_key_with_a_hole_and_perhaps_a_field() {
        fn key<'a>(before: &'a [u8], behind: &'a [u8], field: Option<&'a [u8]>) -> Pattern<'a> {
            Pattern::Key {
                before,
                behind,
                field,
            }
        }
        let cases: [(&[u8], Pattern<'_>); 11] = [
            (b"#", Pattern::Element),
            (b"", Pattern::Nothing),
            (b"w->f", Pattern::Nothing),
            (b"##", Pattern::Nothing),
            (b"w_*", key(b"w_", b"", None)),
            (b"*", key(b"", b"", None)),
            (b"a*b*c", key(b"a", b"b*c", None)),
            (b"w_*->f", key(b"w_", b"", Some(b"f"))),
            (b"w_*x->f->g", key(b"w_", b"x", Some(b"f->g"))),
            (b"w_*->", key(b"w_", b"->", None)),
            (b"a->*", key(b"a->", b"", None)),
        ];
        for (text, expected) in cases {
            assert_eq!(Pattern::read(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn the_stored_key_is_found_where_the_command_reads_it() {
        for (line, expected) in [
            ("SORT k", None),
            ("SORT k STORE d", Some(3)),
            ("SORT k BY store GET store LIMIT 0 store", None),
            ("SORT k LIMIT 0 5 STORE a store b", Some(8)),
            ("SORT k STORE", None),
        ] {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            assert_eq!(stored_key(&Args::new(&words)), expected, "{line}");
        }
    }
}
