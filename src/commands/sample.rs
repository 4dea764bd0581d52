//! Elements drawn at random, for HRANDFIELD, SRANDMEMBER, SPOP and ZRANDMEMBER.

use std::collections::BTreeSet;

use super::error::CommandError;
use super::view::View;

/// A reply with repetitions has at most as many elements, whatever the client asks for.
const REPEATED_MAX: u64 = 1 << 24;

/// How many elements are wanted: a count of different ones, or (negative) with repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// At most so many, each at most once.
    Distinct(usize),
    /// Exactly so many, each drawn from all.
    Repeated(usize),
}

impl Wanted {
    /// What a count argument asks for.
    ///
    /// # Errors
    /// [`CommandError::OutOfRange`] for a number of repetitions that no reply should have.
    pub(super) fn new(count: i64) -> Result<Wanted, CommandError> {
        let magnitude = count.unsigned_abs();
        if count < 0 && magnitude > REPEATED_MAX {
            return Err(CommandError::OutOfRange);
        }
        let magnitude = usize::try_from(magnitude).unwrap_or(usize::MAX);
        Ok(if count < 0 {
            Wanted::Repeated(magnitude)
        } else {
            Wanted::Distinct(magnitude)
        })
    }
}

/// A number below `bound`, which is not 0; the bias is below 2^-32 for any size that fits memory.
pub(super) fn below(view: &View<'_>, bound: usize) -> usize {
    ((u128::from(view.random()) * bound as u128) >> 64) as usize
}

/// The ranks, among `len` elements, of those that are drawn. Distinct ones come in order.
/// O(count · log count).
pub(super) fn draw(view: &View<'_>, len: usize, wanted: Wanted) -> Vec<usize> {
    match wanted {
        Wanted::Repeated(_) if len == 0 => Vec::new(),
        Wanted::Repeated(count) => (0..count).map(|_| below(view, len)).collect(),
        Wanted::Distinct(count) if count >= len => (0..len).collect(),
        // Drawing those to leave out is as good, and there are fewer of them.
        Wanted::Distinct(count) if count > len / 2 => {
            let left_out = floyd(view, len, len - count);
            (0..len).filter(|rank| !left_out.contains(rank)).collect()
        }
        Wanted::Distinct(count) => floyd(view, len, count).into_iter().collect(),
    }
}

/// `count` different ranks below `len` (Bentley and Floyd, 1987).
fn floyd(view: &View<'_>, len: usize, count: usize) -> BTreeSet<usize> {
    let mut chosen = BTreeSet::new();
    for last in len - count..len {
        if !chosen.insert(below(view, last + 1)) {
            chosen.insert(last);
        }
    }
    chosen
}
