//! From registers to a number: the improved estimator of Ertl, "New cardinality estimation algorithms
//! for HyperLogLog sketches" (2017), as Redis has it since version 4. It needs how often each value
//! occurs, and nothing else.

use super::{REGISTERS, RUN_BITS, Registers};

/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;
const COUNT: f64 = REGISTERS as f64;

/// What registers that are still empty add.
fn sigma(share: f64) -> f64 {
    if share == 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut factor, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let before = sum;
        sum += power * factor;
        factor += factor;
        if sum == before {
            return sum;
        }
    }
}

/// What registers that are full add.
fn tau(share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return 0.0;
    }
    let (mut root, mut factor, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        let before = sum;
        factor *= 0.5;
        sum -= (1.0 - root).powi(2) * factor;
        if sum == before {
            return sum / 3.0;
        }
    }
}

/// About how many different elements there were.
pub(super) fn estimate(registers: &Registers) -> i64 {
    // Six bits could say more than a run can be long: such values count for nothing.
    let mut counts = [0_u32; 64];
    for value in registers {
        counts[usize::from(value % 64)] += 1;
    }
    let longest = RUN_BITS as usize;
    let full = f64::from(counts[longest + 1]);
    let mut sum = COUNT * tau((COUNT - full) / COUNT);
    for count in counts[1..=longest].iter().rev() {
        sum = (sum + f64::from(*count)) * 0.5;
    }
    sum += COUNT * sigma(f64::from(counts[0]) / COUNT);
    (ALPHA * COUNT * COUNT / sum).round() as i64
}

#[cfg(test)]
mod tests {
    use super::super::murmur::register_of;
    use super::*;

    #[test]
    fn nothing_is_none_and_few_are_exact() {
        let mut registers = [0; REGISTERS];
        assert_eq!(estimate(&registers), 0);
        for n in 1..=10_u32 {
            let (index, run) = register_of(&n.to_le_bytes());
            registers[index] = registers[index].max(run);
            assert_eq!(estimate(&registers), i64::from(n));
        }
    }

    #[test]
    fn many_are_right_to_a_hundredth_or_so() {
        let mut registers = [0; REGISTERS];
        for n in 1..=200_000_u32 {
            let (index, run) = register_of(&n.to_le_bytes());
            registers[index] = registers[index].max(run);
            if n % 20_000 == 0 {
                let wrong = (estimate(&registers) - i64::from(n)).abs();
                assert!(wrong < i64::from(n) / 33, "{wrong} beside {n}");
            }
        }
    }

    #[test]
    fn registers_that_no_element_makes_have_an_estimate_too() {
        for value in [51, 52, 63] {
            assert!(estimate(&[value; REGISTERS]) > 0);
        }
    }
}
