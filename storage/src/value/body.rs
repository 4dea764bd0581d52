//! What all types share to be changed: entries, flat or in a tree, with one owner.

use super::flat::FlatBuffer;
use super::order::{Order, hash, read_score};
use super::stream::StreamHead;
use super::tree::{BY_MEMBER, MAIN, OwnTree, Path, TreeState};
use super::view::{Form, Position, View};
use super::{Stored, Type};

/// A collection beyond either becomes a tree.
const FLAT_BYTES_MAX: usize = 2 * 1024;
const FLAT_ENTRIES_MAX: usize = 128;
/// A tree that would be smaller becomes flat again, when it is stored.
const TREE_BYTES_MIN: usize = 512;

/// A value that is being changed by its one owner.
pub(crate) struct Body {
    pub(crate) form: OwnForm,
    pub(crate) encoding: u8,
    /// Whether anything is different from what it was made from.
    pub(crate) changed: bool,
    kind: Type,
}

/// The form of a value that is being changed.
pub(crate) enum OwnForm {
    Flat(FlatBuffer),
    Tree(OwnTree),
}

impl Body {
    pub(crate) fn new(kind: Type) -> Body {
        Body {
            form: OwnForm::Flat(FlatBuffer::default()),
            encoding: 0,
            changed: true,
            kind,
        }
    }

    /// A private value that starts as `view` is and shares with it what it can.
    pub(crate) fn fork(view: View<'_>, kind: Type) -> Body {
        let form = match view.form {
            Form::Flat(flat) => OwnForm::Flat(FlatBuffer::from_vec(flat.bytes().to_vec())),
            Form::Tree(state) => OwnForm::Tree(OwnTree::new(state.fork())),
        };
        Body {
            form,
            encoding: view.encoding,
            changed: false,
            kind,
        }
    }

    /// As `fork`, but sharing nothing.
    pub(crate) fn copy(view: View<'_>, kind: Type) -> Body {
        let mut body = match view.form {
            Form::Flat(_) => Body::fork(view, kind),
            Form::Tree(source) => {
                let mut state = TreeState::new(kind);
                state.string_bytes = source.string_bytes;
                let mut body = Body {
                    encoding: view.encoding,
                    ..Body::new(kind)
                };
                body.form = OwnForm::Tree(OwnTree::new(state));
                body.append_all(view);
                body.copy_records(source);
                body
            }
        };
        body.changed = true;
        body
    }

    /// Puts all entries of `view`, in their order, into an empty tree.
    fn append_all(&mut self, view: View<'_>) {
        for item in view.iter_from(0) {
            let score = item.score().to_le_bytes();
            let value = if self.kind == Type::SortedSet {
                &score[..]
            } else {
                item.value
            };
            let place = match self.kind.order() {
                Order::Hash => self.find(item.key),
                Order::Position => self.gap(usize::MAX),
                order => self.bound(order.word(item.key, value), item.key),
            };
            self.insert(&place, item.key, value);
        }
    }

    pub(crate) fn view(&self) -> View<'_> {
        let form = match &self.form {
            OwnForm::Flat(flat) => Form::Flat(flat.as_ref()),
            OwnForm::Tree(state) => Form::Tree(state),
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
    pub(crate) fn find(&self, key: &[u8]) -> Position {
        match &self.form {
            OwnForm::Flat(flat) => match flat.as_ref().find(key) {
                Some((rank, _)) => Position::flat(rank, true),
                None => Position::flat(flat.as_ref().len(), false),
            },
            OwnForm::Tree(state) => Position::in_tree(state.tree(MAIN).seek(hash(key), key)),
        }
    }

    /// See `View::bound`.
    pub(crate) fn bound(&self, word: u64, key: &[u8]) -> Position {
        match &self.form {
            OwnForm::Flat(_) => self.view().bound(self.kind.order(), word, key),
            OwnForm::Tree(state) => Position::in_tree(state.tree(MAIN).seek(word, key)),
        }
    }

    /// The place of the entry with `rank` entries before it, or behind the last one.
    pub(crate) fn at(&self, rank: usize) -> Position {
        self.place(rank, TreeState::seek_rank)
    }

    /// The place of a new entry with `rank` entries before it, behind the last one at most.
    pub(crate) fn gap(&self, rank: usize) -> Position {
        self.place(rank, TreeState::seek_gap)
    }

    fn place(&self, rank: usize, seek: impl Fn(&TreeState, usize) -> (usize, Path)) -> Position {
        let len = self.view().len();
        let (root, path) = match &self.form {
            OwnForm::Flat(_) => (MAIN, Path::empty()),
            OwnForm::Tree(state) => seek(state, rank),
        };
        Position {
            rank: rank.min(len),
            found: rank < len,
            root,
            path,
        }
    }

    /// To be called before the first or last element of a list is looked up to be removed.
    pub(crate) fn prepare_end(&mut self, rank: usize) {
        if let OwnForm::Tree(state) = &mut self.form {
            state.prepare_end(rank);
        }
    }

    pub(crate) fn insert(&mut self, place: &Position, key: &[u8], value: &[u8]) {
        self.put(place, key, value, false);
    }

    /// Replaces the entry at a place where one was found. Its order must stay what it is.
    pub(crate) fn replace(&mut self, place: &Position, key: &[u8], value: &[u8]) {
        self.put(place, key, value, true);
    }

    fn put(&mut self, place: &Position, key: &[u8], value: &[u8], replaces: bool) {
        self.changed = true;
        match &mut self.form {
            OwnForm::Flat(flat) => {
                flat.splice(place.rank, usize::from(replaces), Some((key, value)));
                let flat = flat.as_ref();
                if flat.bytes().len() > FLAT_BYTES_MAX || flat.len() > FLAT_ENTRIES_MAX {
                    self.grow();
                }
            }
            OwnForm::Tree(state) => {
                let word = self.kind.order().word(key, value);
                if self.kind != Type::SortedSet {
                    state.put(place.root, &place.path, word, (key, value), replaces);
                    return state.settle_end(place.root);
                }
                let is_negative_zero = read_score(value).to_bits() == (-0.0_f64).to_bits();
                let sign: &[u8] = if is_negative_zero { b"-" } else { b"" };
                state.put(MAIN, &place.path, word, (key, sign), replaces);
                let word = hash(key);
                let (path, found) = state.tree(BY_MEMBER).seek(word, key);
                state.put(BY_MEMBER, &path, word, (key, value), found);
            }
        }
    }

    /// Makes a tree of a flat value.
    pub(super) fn grow(&mut self) {
        let OwnForm::Flat(flat) = &mut self.form else {
            return;
        };
        let flat = std::mem::take(flat);
        self.form = OwnForm::Tree(OwnTree::new(TreeState::new(self.kind)));
        self.append_all(View {
            form: Form::Flat(flat.as_ref()),
            encoding: 0,
        });
    }

    /// Removes the entry at a place where one was found.
    pub(crate) fn remove(&mut self, place: &Position) {
        self.changed = true;
        let is_sorted_set = self.kind == Type::SortedSet;
        match &mut self.form {
            OwnForm::Flat(flat) => flat.splice(place.rank, 1, None),
            OwnForm::Tree(state) => {
                if is_sorted_set {
                    let main = state.tree(MAIN);
                    if let Some(item) = main.iter_at(place.path.clone()).next() {
                        let (path, found) = state.tree(BY_MEMBER).seek(hash(item.key), item.key);
                        if found {
                            state.take(BY_MEMBER, &path);
                        }
                    }
                }
                state.take(place.root, &place.path);
            }
        }
    }

    /// As `remove`, for an entry whose key is inserted again at once with another value.
    pub(crate) fn remove_for_move(&mut self, place: &Position) {
        match &mut self.form {
            OwnForm::Flat(_) => self.remove(place),
            OwnForm::Tree(state) => state.take(MAIN, &place.path),
        }
    }

    /// Removes the entries with ranks from `start` to below `end`; how many there were.
    pub(crate) fn remove_ranks(&mut self, start: usize, end: usize) -> usize {
        let len = self.view().len();
        let end = end.min(len);
        if start >= end {
            return 0;
        }
        self.changed = true;
        if self.kind == Type::SortedSet {
            self.remove_from_index(start, end);
        }
        match &mut self.form {
            OwnForm::Flat(flat) => flat.splice(start, end - start, None),
            OwnForm::Tree(state) => state.take_ranks(start, end),
        }
        end - start
    }

    /// Takes the members with these ranks out of a sorted set's tree by member.
    fn remove_from_index(&mut self, start: usize, end: usize) {
        let view = self.view();
        let is_all = end - start == view.len();
        let members: Vec<Box<[u8]>> = match self.form {
            OwnForm::Tree(_) if !is_all => view
                .iter_from(start)
                .take(end - start)
                .map(|item| item.key.into())
                .collect(),
            _ => Vec::new(),
        };
        let OwnForm::Tree(state) = &mut self.form else {
            return;
        };
        if is_all {
            state.take_ranks_in(BY_MEMBER, start, end);
        }
        for member in members {
            let (path, found) = state.tree(BY_MEMBER).seek(hash(&member), &member);
            if found {
                state.take(BY_MEMBER, &path);
            }
        }
    }

    /// See `Value::store`.
    pub(crate) fn store(mut self, kind: Type, head: StreamHead) -> Stored {
        if kind != Type::String {
            self.shrink();
        }
        let encoding = self.encoding;
        match self.form {
            OwnForm::Flat(flat) => {
                let bytes = flat.into_vec();
                let is_stream = kind == Type::Stream;
                let bytes = if is_stream {
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
            OwnForm::Tree(own) => {
                let mut state = own.into_state();
                state.encoding = encoding;
                state.head = head;
                Stored::Tree(state)
            }
        }
    }

    /// Makes a tree flat that has become small.
    fn shrink(&mut self) {
        let OwnForm::Tree(state) = &self.form else {
            return;
        };
        if state.len() > FLAT_ENTRIES_MAX / 2 || state.records() > 0 {
            return;
        }
        let mut flat = FlatBuffer::default();
        for (rank, item) in self.view().iter_from(0).enumerate() {
            let score = item.score().to_le_bytes();
            let value = if self.kind == Type::SortedSet {
                &score[..]
            } else {
                item.value
            };
            flat.splice(rank, 0, Some((item.key, value)));
            if flat.as_ref().bytes().len() > TREE_BYTES_MIN {
                return;
            }
        }
        self.form = OwnForm::Flat(flat);
    }
}
