//! Values of payloads, in all encodings of RDB's versions 9 to 12.

use std::borrow::Cow;

use darter_storage::{HashValue, ListValue, SetValue, SortedSetValue, StringValue, Value};

use super::listpack::{Element, Listpack};
use super::read::{Limits, Reader};
use super::ziplist::Ziplist;
use super::zipmap::Zipmap;
use super::{Error, field_deadlines, intset, kind, stream, verify};
use crate::resp::number::parse_double;

/// The value that a payload holds. O(n log n), with n bytes unpacked.
///
/// # Errors
/// [`Error`].
pub fn load(payload: &[u8], limits: Limits<'_>) -> Result<Value, Error> {
    let mut reader = Reader::new(verify(payload)?, limits);
    let kind = reader.byte()?;
    let value = value(kind, &mut reader)?;
    if value.is_empty() || !reader.is_empty() {
        return Err(Error::Content);
    }
    Ok(value)
}

fn value(kind: u8, reader: &mut Reader<'_>) -> Result<Value, Error> {
    Ok(match kind {
        kind::STRING => Value::String(string(reader)?),
        kind::LIST => Value::List(list(reader)?),
        kind::LIST_ZIPLIST => Value::List(list_of_one_node(reader)?),
        kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => Value::List(list_of_nodes(kind, reader)?),
        kind::SET => Value::Set(set(reader)?),
        kind::SET_INTSET => Value::Set(set_of_integers(reader)?),
        kind::SET_LISTPACK => Value::Set(small_set(reader)?),
        kind::SORTED_SET | kind::SORTED_SET_2 => Value::SortedSet(sorted_set(kind, reader)?),
        kind::SORTED_SET_ZIPLIST => Value::SortedSet(small_sorted_set(Form::Ziplist, reader)?),
        kind::SORTED_SET_LISTPACK => Value::SortedSet(small_sorted_set(Form::Listpack, reader)?),
        kind::HASH => Value::Hash(hash(reader)?),
        kind::HASH_ZIPMAP => Value::Hash(hash_of_zipmap(reader)?),
        kind::HASH_ZIPLIST => Value::Hash(small_hash(Form::Ziplist, reader)?),
        kind::HASH_LISTPACK => Value::Hash(small_hash(Form::Listpack, reader)?),
        kind::HASH_METADATA => Value::Hash(field_deadlines::hash(reader)?),
        kind::HASH_LISTPACK_EX => Value::Hash(field_deadlines::small_hash(reader)?),
        kind::STREAM_LISTPACKS | kind::STREAM_LISTPACKS_2 | kind::STREAM_LISTPACKS_3 => {
            Value::Stream(stream::load(kind, reader)?)
        }
        _ => return Err(Error::Content),
    })
}

/// How a small collection, or the node of a list, is written.
#[derive(Clone, Copy)]
enum Form {
    Ziplist,
    Listpack,
}

type Elements<'a> = Box<dyn Iterator<Item = Result<Element<'a>, Error>> + 'a>;

fn elements(form: Form, bytes: &[u8]) -> Result<Elements<'_>, Error> {
    Ok(match form {
        Form::Ziplist => Box::new(Ziplist::new(bytes)?),
        Form::Listpack => Box::new(Listpack::new(bytes)?),
    })
}

/// Gives the elements away two by two.
fn for_each_pair<'a>(
    mut elements: Elements<'a>,
    mut take: impl FnMut(Element<'a>, Element<'a>) -> Result<(), Error>,
) -> Result<(), Error> {
    while let Some(first) = elements.next() {
        let first = first?;
        let second = elements.next().ok_or(Error::Content)??;
        take(first, second)?;
    }
    Ok(())
}

fn string(reader: &mut Reader<'_>) -> Result<StringValue, Error> {
    match reader.text()? {
        Cow::Borrowed(text) => {
            // A long one lies in memory twice while it is made.
            reader.keep(text.len().saturating_mul(2))?;
            Ok(StringValue::new(text))
        }
        Cow::Owned(text) => Ok(StringValue::from_vec(text)),
    }
}

fn push(list: &mut ListValue, element: &[u8], reader: &mut Reader<'_>) -> Result<(), Error> {
    reader.keep(element.len())?;
    list.push_back(element);
    Ok(())
}

fn list(reader: &mut Reader<'_>) -> Result<ListValue, Error> {
    let mut list = ListValue::new();
    for _ in 0..reader.length()? {
        let element = reader.text()?;
        push(&mut list, &element, reader)?;
    }
    Ok(list)
}

fn push_node(
    list: &mut ListValue,
    (form, node): (Form, &[u8]),
    reader: &mut Reader<'_>,
) -> Result<(), Error> {
    for element in elements(form, node)? {
        push(list, &element?.text(), reader)?;
    }
    Ok(())
}

fn list_of_one_node(reader: &mut Reader<'_>) -> Result<ListValue, Error> {
    let mut list = ListValue::new();
    let node = reader.text()?;
    push_node(&mut list, (Form::Ziplist, &node), reader)?;
    Ok(list)
}

fn list_of_nodes(kind: u8, reader: &mut Reader<'_>) -> Result<ListValue, Error> {
    /// Says that a node is one element.
    const PLAIN: u64 = 1;
    const PACKED: u64 = 2;
    let mut list = ListValue::new();
    for _ in 0..reader.length()? {
        let form = match kind {
            kind::LIST_QUICKLIST => Some(Form::Ziplist),
            _ => match reader.number()? {
                PLAIN => None,
                PACKED => Some(Form::Listpack),
                _ => return Err(Error::Content),
            },
        };
        let node = reader.text()?;
        match form {
            Some(form) => push_node(&mut list, (form, &node), reader)?,
            None => push(&mut list, &node, reader)?,
        }
    }
    Ok(list)
}

fn add(set: &mut SetValue, member: &[u8], reader: &mut Reader<'_>) -> Result<(), Error> {
    reader.keep(member.len())?;
    if set.insert(member) {
        Ok(())
    } else {
        Err(Error::Content)
    }
}

fn set(reader: &mut Reader<'_>) -> Result<SetValue, Error> {
    let mut set = SetValue::new();
    for _ in 0..reader.length()? {
        let member = reader.text()?;
        add(&mut set, &member, reader)?;
    }
    Ok(set)
}

fn set_of_integers(reader: &mut Reader<'_>) -> Result<SetValue, Error> {
    let mut set = SetValue::new();
    let bytes = reader.text()?;
    for integer in intset::integers(&bytes)? {
        add(&mut set, integer.to_string().as_bytes(), reader)?;
    }
    Ok(set)
}

fn small_set(reader: &mut Reader<'_>) -> Result<SetValue, Error> {
    let mut set = SetValue::new();
    let bytes = reader.text()?;
    for member in Listpack::new(&bytes)? {
        add(&mut set, &member?.text(), reader)?;
    }
    Ok(set)
}

fn give_score(
    set: &mut SortedSetValue,
    (member, score): (&[u8], f64),
    reader: &mut Reader<'_>,
) -> Result<(), Error> {
    reader.keep(member.len())?;
    if score.is_nan() || set.insert(member, score).is_some() {
        return Err(Error::Content);
    }
    Ok(())
}

/// A score in decimal, behind its length; or one that has no decimals, by numbers that no length has.
fn decimal(reader: &mut Reader<'_>) -> Result<f64, Error> {
    match reader.byte()? {
        253 => Err(Error::Content),
        254 => Ok(f64::INFINITY),
        255 => Ok(f64::NEG_INFINITY),
        length => parse_double(reader.bytes(length.into())?).ok_or(Error::Content),
    }
}

fn sorted_set(kind: u8, reader: &mut Reader<'_>) -> Result<SortedSetValue, Error> {
    let mut set = SortedSetValue::new();
    for _ in 0..reader.length()? {
        let member = reader.text()?;
        let score = if kind == kind::SORTED_SET {
            decimal(reader)?
        } else {
            f64::from_le_bytes(reader.array()?)
        };
        give_score(&mut set, (&member, score), reader)?;
    }
    Ok(set)
}

fn small_sorted_set(form: Form, reader: &mut Reader<'_>) -> Result<SortedSetValue, Error> {
    let mut set = SortedSetValue::new();
    let bytes = reader.text()?;
    for_each_pair(elements(form, &bytes)?, |member, score| {
        give_score(&mut set, (&member.text(), score.double()?), reader)
    })?;
    Ok(set)
}

fn put(
    hash: &mut HashValue,
    (field, value): (&[u8], &[u8]),
    reader: &mut Reader<'_>,
) -> Result<(), Error> {
    reader.keep(field.len().saturating_add(value.len()))?;
    if hash.insert(field, value) {
        Ok(())
    } else {
        Err(Error::Content)
    }
}

fn hash(reader: &mut Reader<'_>) -> Result<HashValue, Error> {
    let mut hash = HashValue::new();
    for _ in 0..reader.length()? {
        let (field, value) = (reader.text()?, reader.text()?);
        put(&mut hash, (&field, &value), reader)?;
    }
    Ok(hash)
}

fn hash_of_zipmap(reader: &mut Reader<'_>) -> Result<HashValue, Error> {
    let mut hash = HashValue::new();
    let bytes = reader.text()?;
    for pair in Zipmap::new(&bytes)? {
        put(&mut hash, pair?, reader)?;
    }
    Ok(hash)
}

fn small_hash(form: Form, reader: &mut Reader<'_>) -> Result<HashValue, Error> {
    let mut hash = HashValue::new();
    let bytes = reader.text()?;
    for_each_pair(elements(form, &bytes)?, |field, value| {
        put(&mut hash, (&field.text(), &value.text()), reader)
    })?;
    Ok(hash)
}
