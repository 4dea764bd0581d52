//! What all types share to be read: entries, flat or in a tree.

use super::flat::{Entry, FlatIter, FlatRef};
use super::order::{Order, hash, read_score, score_of_word};
use super::tree::{MAIN, PartsIter, Path, TreeState};

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
    Tree(&'a TreeState),
}

/// An entry as it is stored. `word` is its word in a tree, 0 while flat; a sorted set's tree has
/// the score there, and a value only for a score that a word cannot say.
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

    /// The score of a sorted set's entry.
    pub(crate) fn score(self) -> f64 {
        match self.value.len() {
            0 => score_of_word(self.word),
            8 => read_score(self.value),
            _ => -0.0,
        }
    }
}

/// Where an entry is, or would be put.
pub(crate) struct Position {
    /// The number of entries before it. `Body` tells it only while flat.
    pub(crate) rank: usize,
    pub(crate) found: bool,
    /// Which tree the path is in.
    pub(crate) root: usize,
    pub(crate) path: Path,
}

impl Position {
    pub(crate) fn in_tree((path, found): (Path, bool)) -> Position {
        Position {
            rank: 0,
            found,
            root: MAIN,
            path,
        }
    }

    pub(crate) fn flat(rank: usize, found: bool) -> Position {
        Position {
            rank,
            found,
            root: MAIN,
            path: Path::empty(),
        }
    }
}

/// Entries one after the other.
pub(crate) enum EntryIter<'a> {
    Flat(FlatIter<'a>),
    FlatBack(std::iter::Rev<std::vec::IntoIter<Entry<'a>>>),
    Tree(PartsIter<'a>),
}

impl<'a> Iterator for EntryIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match self {
            EntryIter::Flat(iter) => iter.next().map(Item::flat),
            EntryIter::FlatBack(iter) => iter.next().map(Item::flat),
            EntryIter::Tree(iter) => iter.next(),
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

    pub(crate) fn tree(state: &'a TreeState) -> View<'a> {
        View {
            form: Form::Tree(state),
            encoding: state.encoding,
        }
    }

    pub(crate) fn len(self) -> usize {
        match self.form {
            Form::Flat(flat) => flat.len(),
            Form::Tree(state) => state.len(),
        }
    }

    pub(crate) fn memory_bytes(self) -> usize {
        match self.form {
            Form::Flat(flat) => flat.bytes().len(),
            Form::Tree(state) => state.memory_bytes(),
        }
    }

    /// The entry with `rank` entries before it.
    pub(crate) fn get(self, rank: usize) -> Option<Item<'a>> {
        match self.form {
            Form::Flat(flat) => flat.get(rank).map(Item::flat),
            Form::Tree(_) if rank < self.len() => self.iter_from(rank).next(),
            Form::Tree(_) => None,
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
            Form::Tree(state) => EntryIter::Tree(state.iter_from(rank)),
        }
    }

    /// The entry with `rank` entries before it, and those before it, backwards.
    pub(crate) fn iter_back_from(self, rank: usize) -> EntryIter<'a> {
        match self.form {
            Form::Flat(flat) => EntryIter::FlatBack(flat.back_from(rank.saturating_add(1))),
            Form::Tree(state) => EntryIter::Tree(state.iter_back_from(rank)),
        }
    }

    /// The value under a key, in a value ordered by hash; the score, in a sorted set.
    #[inline]
    pub(crate) fn find(self, key: &[u8]) -> Option<&'a [u8]> {
        match self.form {
            Form::Flat(flat) => flat.find(key).map(|(_, value)| value),
            Form::Tree(state) => state.hash_tree().find(hash(key), key),
        }
    }

    /// Where the first entry not below (word, key) is, in a value ordered by score or key.
    pub(crate) fn bound(self, order: Order, word: u64, key: &[u8]) -> Position {
        match self.form {
            Form::Flat(flat) => {
                let mut place = Position::flat(0, false);
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
            Form::Tree(state) => {
                let place = Position::in_tree(state.tree(MAIN).seek(word, key));
                Position {
                    rank: place.path.rank(),
                    ..place
                }
            }
        }
    }

    /// See `HashRef::scan`. A cursor is the upper 63 bits of the next hash.
    pub(crate) fn scan(
        self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(&'a [u8], &'a [u8]),
    ) -> u64 {
        let state = match self.form {
            Form::Flat(flat) => {
                flat.iter().for_each(|(key, value)| visit(key, value));
                return 0;
            }
            Form::Tree(state) => state,
        };
        let tree = state.hash_tree();
        let mut last = None;
        for (visited, item) in tree.iter_at(tree.seek(cursor << 1, b"").0).enumerate() {
            let next = item.word >> 1;
            // A cursor cannot point into the middle of what shares it.
            if visited >= count.max(1) && last != Some(next) {
                return next;
            }
            last = Some(next);
            visit(item.key, item.value);
        }
        0
    }
}
