//! Which register an element belongs to, and what it says there: MurmurHash64A by Austin Appleby, with
//! Redis's seed, on which the bytes of a sketch depend.

use super::{INDEX_BITS, REGISTERS, RUN_BITS};

const SEED: u64 = 0xADC8_3B19;
const FACTOR: u64 = 0xC6A4_A793_5BD1_E995;
const SHIFT: u32 = 47;

fn hash(bytes: &[u8]) -> u64 {
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mut word = u64::from_le_bytes(*word).wrapping_mul(FACTOR);
        word ^= word >> SHIFT;
        hash = (hash ^ word.wrapping_mul(FACTOR)).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
    }
    hash ^= hash >> SHIFT;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ hash >> SHIFT
}

/// An element's register, and how long its run of zeroes is, the one behind it included.
pub(super) fn register_of(element: &[u8]) -> (usize, u8) {
    let hash = hash(element);
    let index = hash as usize % REGISTERS;
    // Above the bits that count is a one, so that a run ends.
    let rest = hash >> INDEX_BITS | 1 << RUN_BITS;
    (index, rest.trailing_zeros() as u8 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_is_one_of_all_and_a_run_fits_in_it() {
        for n in 0..10_000_u32 {
            let (index, run) = register_of(&n.to_le_bytes());
            assert!(index < REGISTERS);
            assert!((1..=RUN_BITS as u8 + 1).contains(&run));
        }
    }

    #[test]
    fn all_bytes_count_the_last_ones_too() {
        let mut hashes: Vec<u64> = (0..=16).map(|length| hash(&[7; 16][..length])).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 17);
        assert_ne!(hash(b"abcdefg1"), hash(b"abcdefg2"));
        assert_ne!(hash(b"abcdefgh1"), hash(b"abcdefgh2"));
    }
}
