//! What all types share: entries, flat or in a tree, to be read (`View`) or changed (`Body`).

use super::flat::{Entry, FlatBuffer, FlatIter, FlatRef};
use super::order::Order;
use super::stream::StreamHead;
use super::{Stored, Type};

/// A value as it is stored, to be read.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) form: Form<'a>,
    /// Sticky bits; what they mean is the type's business.
    pub(crate) encoding: u8,
}

/// The form of a value.
#[derive(Clone, Copy)]
pub(crate) enum Form<'a> {
    Flat(FlatRef<'a>),
}

/// An entry as it is stored. `word` is its word in a tree, 0 while flat; a sorted set's tree has
/// the score there, and no value.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) word: u64,
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

impl<'a> Item<'a> {
    fn flat((key, value): Entry<'a>) -> Item<'a> {
        Item {
            word: 0,
            key,
            value,
        }
    }
}

/// Where an entry is, or would be put.
pub(crate) struct Place {
    /// The number of entries before it.
    pub(crate) rank: usize,
    pub(crate) found: bool,
}

/// Entries one after the other.
pub(crate) enum EntryIter<'a> {
    Flat(FlatIter<'a>),
    FlatBack(std::iter::Rev<std::vec::IntoIter<Entry<'a>>>),
}

impl<'a> Iterator for EntryIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match self {
            EntryIter::Flat(iter) => iter.next().map(Item::flat),
            EntryIter::FlatBack(iter) => iter.next().map(Item::flat),
        }
    }
}

impl<'a> View<'a> {
    pub(crate) fn flat(encoding: u8, bytes: &'a [u8]) -> View<'a> {
        View {
            form: Form::Flat(FlatRef::new(bytes)),
            encoding,
        }
    }

    pub(crate) fn len(self) -> usize {
        match self.form {
            Form::Flat(flat) => flat.len(),
        }
    }

    pub(crate) fn memory_bytes(self) -> usize {
        match self.form {
            Form::Flat(flat) => flat.bytes().len(),
        }
    }

    /// The entry with `rank` entries before it.
    pub(crate) fn get(self, rank: usize) -> Option<Item<'a>> {
        match self.form {
            Form::Flat(flat) => flat.get(rank).map(Item::flat),
        }
    }

    pub(crate) fn iter_from(self, rank: usize) -> EntryIter<'a> {
        match self.form {
            Form::Flat(flat) => {
                let mut iter = flat.iter();
                if rank > 0 {
                    iter.nth(rank - 1);
                }
                EntryIter::Flat(iter)
            }
        }
    }

    /// The entry with `rank` entries before it, and those before it, backwards.
    pub(crate) fn iter_back_from(self, rank: usize) -> EntryIter<'a> {
        match self.form {
            Form::Flat(flat) => EntryIter::FlatBack(flat.back_from(rank.saturating_add(1))),
        }
    }

    /// The value under a key, in a value ordered by hash.
    #[inline]
    pub(crate) fn find(self, key: &[u8]) -> Option<&'a [u8]> {
        match self.form {
            Form::Flat(flat) => flat.find(key).map(|(_, value)| value),
        }
    }

    /// Where the first entry not below (word, key) is, in a value ordered by score or key.
    pub(crate) fn bound(self, order: Order, word: u64, key: &[u8]) -> Place {
        match self.form {
            Form::Flat(flat) => {
                let mut place = Place {
                    rank: 0,
                    found: false,
                };
                for (own_key, value) in flat.iter() {
                    let own_word = order.word(own_key, value);
                    if (own_word, own_key) >= (word, key) {
                        place.found = own_word == word && own_key == key;
                        break;
                    }
                    place.rank += 1;
                }
                place
            }
        }
    }

    /// See `HashRef::scan`.
    pub(crate) fn scan(
        self,
        _cursor: u64,
        _count: usize,
        mut visit: impl FnMut(&'a [u8], &'a [u8]),
    ) -> u64 {
        match self.form {
            Form::Flat(flat) => {
                flat.iter().for_each(|(key, value)| visit(key, value));
                0
            }
        }
    }
}

/// A value that is being changed by its one owner.
pub(crate) struct Body {
    pub(crate) form: OwnForm,
    pub(crate) encoding: u8,
    /// Whether anything is different from what it was made from.
    pub(crate) changed: bool,
    order: Order,
}

/// The form of a value that is being changed.
pub(crate) enum OwnForm {
    Flat(FlatBuffer),
}

impl Body {
    pub(crate) fn new(order: Order) -> Body {
        Body {
            form: OwnForm::Flat(FlatBuffer::default()),
            encoding: 0,
            changed: true,
            order,
        }
    }

    /// A private value that starts as `view` is and shares with it what it can.
    pub(crate) fn fork(view: View<'_>, order: Order) -> Body {
        let form = match view.form {
            Form::Flat(flat) => OwnForm::Flat(FlatBuffer::from_vec(flat.bytes().to_vec())),
        };
        Body {
            form,
            encoding: view.encoding,
            changed: false,
            order,
        }
    }

    /// As `fork`, but sharing nothing.
    pub(crate) fn copy(view: View<'_>, order: Order) -> Body {
        let mut body = match view.form {
            Form::Flat(_) => Body::fork(view, order),
        };
        body.changed = true;
        body
    }

    pub(crate) fn view(&self) -> View<'_> {
        let form = match &self.form {
            OwnForm::Flat(flat) => Form::Flat(flat.as_ref()),
        };
        View {
            form,
            encoding: self.encoding,
        }
    }

    pub(crate) fn is_flat(&self) -> bool {
        matches!(self.form, OwnForm::Flat(_))
    }

    /// Where `key` is, or would be put, in a value ordered by hash.
    pub(crate) fn find(&self, key: &[u8]) -> Place {
        match &self.form {
            OwnForm::Flat(flat) => match flat.as_ref().find(key) {
                Some((rank, _)) => Place { rank, found: true },
                None => Place {
                    rank: flat.as_ref().len(),
                    found: false,
                },
            },
        }
    }

    /// See `View::bound`.
    pub(crate) fn bound(&self, word: u64, key: &[u8]) -> Place {
        self.view().bound(self.order, word, key)
    }

    /// The place with `rank` entries before it.
    pub(crate) fn at(&self, rank: usize) -> Place {
        match &self.form {
            OwnForm::Flat(flat) => {
                let len = flat.as_ref().len();
                Place {
                    rank: rank.min(len),
                    found: rank < len,
                }
            }
        }
    }

    pub(crate) fn insert(&mut self, place: &Place, key: &[u8], value: &[u8]) {
        self.changed = true;
        match &mut self.form {
            OwnForm::Flat(flat) => flat.splice(place.rank, 0, Some((key, value))),
        }
    }

    /// Replaces the entry at a place where one was found. Its order must stay what it is.
    pub(crate) fn replace(&mut self, place: &Place, key: &[u8], value: &[u8]) {
        self.changed = true;
        match &mut self.form {
            OwnForm::Flat(flat) => flat.splice(place.rank, 1, Some((key, value))),
        }
    }

    /// Removes the entry at a place where one was found.
    pub(crate) fn remove(&mut self, place: &Place) {
        self.changed = true;
        match &mut self.form {
            OwnForm::Flat(flat) => flat.splice(place.rank, 1, None),
        }
    }

    /// As `remove`, for an entry whose key is inserted again at once with another value.
    pub(crate) fn remove_for_move(&mut self, place: &Place) {
        self.remove(place);
    }

    /// Removes the entries with ranks from `start` to below `end`; how many there were.
    pub(crate) fn remove_ranks(&mut self, start: usize, end: usize) -> usize {
        let end = end.min(self.view().len());
        if start >= end {
            return 0;
        }
        self.changed = true;
        match &mut self.form {
            OwnForm::Flat(flat) => flat.splice(start, end - start, None),
        }
        end - start
    }
}

impl Body {
    /// See `Value::store`.
    pub(crate) fn store(self, kind: Type, head: StreamHead) -> Stored {
        let encoding = self.encoding;
        let bytes = match self.form {
            OwnForm::Flat(flat) => flat.into_vec(),
        };
        let bytes = if kind == Type::Stream {
            [&head.to_bytes()[..], &bytes].concat()
        } else {
            bytes
        };
        Stored::Flat {
            kind,
            encoding,
            bytes,
        }
    }
}
