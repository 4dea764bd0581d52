//! How the entries of a collection are ordered in a tree: by a 64-bit word, then by key.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

/// What the word of an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The keyed hash of the key. Flat: as inserted.
    Hash,
    /// The score (eight bytes, the value); the key is the member. Flat: sorted as well.
    Score,
    /// The first eight bytes of the key, which sorts as bytes. Flat: sorted as well.
    Key,
    /// None: entries are where they were put.
    Position,
    /// That of a stream's records, see `records`. Never flat.
    Record,
}

impl Order {
    /// The word of an entry.
    #[inline]
    pub(crate) fn word(self, key: &[u8], value: &[u8]) -> u64 {
        match self {
            Order::Hash => hash(key),
            Order::Score => score_word(read_score(value)),
            Order::Key => key
                .first_chunk()
                .map_or(0, |first| u64::from_be_bytes(*first)),
            Order::Position => 0,
            Order::Record => super::records::word(key),
        }
    }
}

/// The keyed hash of an element: the key is drawn once per process, so that nobody can choose
/// elements that collide.
#[inline]
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    static STATE: OnceLock<ahash::RandomState> = OnceLock::new();
    STATE
        .get_or_init(|| {
            let random = RandomState::new();
            let seed = |index: u64| random.hash_one(index);
            ahash::RandomState::with_seeds(seed(0), seed(1), seed(2), seed(3))
        })
        .hash_one(bytes)
}

/// A score as a word that sorts as the scores do; -0.0 and 0.0 are one.
#[inline]
pub(crate) fn score_word(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 0 {
        bits | 1 << 63
    } else {
        !bits
    }
}

/// The score that a word stands for.
#[inline]
pub(crate) fn score_of_word(word: u64) -> f64 {
    f64::from_bits(if word >> 63 == 1 {
        word & !(1 << 63)
    } else {
        !word
    })
}

/// A stored score.
#[inline]
pub(crate) fn read_score(bytes: &[u8]) -> f64 {
    bytes
        .first_chunk()
        .map_or(0.0, |bytes| f64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_sort_as_scores() {
        let scores = [
            f64::NEG_INFINITY,
            -1e300,
            -1.5,
            -1.0,
            0.0,
            1e-300,
            1.0,
            2.0,
            f64::INFINITY,
        ];
        assert!(scores.map(score_word).is_sorted());
        assert_eq!(score_word(-0.0), score_word(0.0));
        assert_eq!(scores.map(|score| score_of_word(score_word(score))), scores);
    }
}
