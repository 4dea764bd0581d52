//! math.random as Redis has it: the 48-bit generator of drand48. Each run begins somewhere else,
//! unless the script seeds it.

const MULTIPLIER: u64 = 0x0005_deec_e66d;
const INCREMENT: u64 = 0xb;
const MASK: u64 = (1 << 48) - 1;
const LOW_SEED: u64 = 0x330e;

/// The generator of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// One that begins anywhere.
    pub(super) fn drawn(bits: u64) -> Random {
        Random(bits & MASK)
    }

    /// One that begins where math.randomseed says.
    pub(super) fn seeded(seed: i32) -> Random {
        Random((u64::from(seed.cast_unsigned()) << 16) | LOW_SEED)
    }

    /// A number in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        self.0 = (self.0.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT)) & MASK;
        let bits = i32::try_from(self.0 >> 17).unwrap_or(0);
        f64::from(bits % i32::MAX) / f64::from(i32::MAX)
    }
}
