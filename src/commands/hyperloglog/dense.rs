//! The dense form: six bits a register, the first register in the lowest bits of the first byte.

use super::{REGISTERS, Registers};

/// Bits of a register.
const BITS: usize = 6;
const MASK: u16 = (1 << BITS) - 1;
/// What all registers take.
pub(super) const BYTES: usize = REGISTERS * BITS / 8;

/// Where a register begins: its first byte, and the bit there.
fn place(index: usize) -> (usize, usize) {
    (index * BITS / 8, index * BITS % 8)
}

/// The two bytes that a register lies in; the second is 0 behind the last.
fn pair(body: &[u8], at: usize) -> u16 {
    let byte = |at: usize| body.get(at).copied().unwrap_or(0);
    u16::from_le_bytes([byte(at), byte(at + 1)])
}

/// A register's value; 0 if it is not there.
pub(super) fn get(body: &[u8], index: usize) -> u8 {
    let (at, bit) = place(index);
    (pair(body, at) >> bit & MASK) as u8
}

/// Raises a register to a value of at most six bits. Whether it was lower.
pub(super) fn raise(body: &mut [u8], index: usize, value: u8) -> bool {
    if get(body, index) >= value {
        return false;
    }
    let (at, bit) = place(index);
    let changed = pair(body, at) & !(MASK << bit) | u16::from(value) << bit;
    for (byte, new) in body.iter_mut().skip(at).zip(changed.to_le_bytes()) {
        *byte = new;
    }
    true
}

/// Raises registers to those of a body.
pub(super) fn merge_into(body: &[u8], registers: &mut Registers) {
    for (index, register) in registers.iter_mut().enumerate() {
        *register = (*register).max(get(body, index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_register_keeps_its_own_value() {
        let mut body = [0; BYTES];
        let value = |index: usize| (index * 7 % 64) as u8;
        for index in (0..REGISTERS).rev() {
            assert_eq!(raise(&mut body, index, value(index)), value(index) > 0);
        }
        for index in 0..REGISTERS {
            assert_eq!(get(&body, index), value(index), "{index}");
            assert!(!raise(&mut body, index, value(index)));
        }
        let mut registers = [9; REGISTERS];
        merge_into(&body, &mut registers);
        let merged = (0..REGISTERS).all(|index| registers[index] == value(index).max(9));
        assert!(merged);
    }

    #[test]
    fn the_first_register_is_in_the_lowest_bits() {
        let mut body = [0; BYTES];
        raise(&mut body, 0, 0b10_0001);
        raise(&mut body, 1, 0b11_0110);
        assert_eq!(body[..2], [0b1010_0001, 0b0000_1101]);
    }
}
