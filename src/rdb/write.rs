//! Lengths and texts, as `read` reads them.

use crate::resp::number::parse_integer;

/// No integer of 32 bits is longer in decimal.
const INTEGER_BYTES_MAX: usize = 11;

/// Writes a length, or a number.
pub fn write_length(payload: &mut Vec<u8>, length: u64) {
    match length {
        0..0x40 => payload.push(length as u8),
        0x40..0x4000 => payload.extend_from_slice(&(0x4000 | length as u16).to_be_bytes()),
        _ => match u32::try_from(length) {
            Ok(length) => {
                payload.push(0x80);
                payload.extend_from_slice(&length.to_be_bytes());
            }
            Err(_) => {
                payload.push(0x81);
                payload.extend_from_slice(&length.to_be_bytes());
            }
        },
    }
}

/// Writes a text: as an integer if it is one of 32 bits, else as it is.
pub(super) fn write_text(payload: &mut Vec<u8>, text: &[u8]) {
    let integer = if text.len() <= INTEGER_BYTES_MAX {
        parse_integer(text).and_then(|integer| i32::try_from(integer).ok())
    } else {
        None
    };
    match integer {
        Some(integer) => write_integer(payload, integer),
        None => write_bytes(payload, text),
    }
}

/// Writes a text as it is.
pub(super) fn write_bytes(payload: &mut Vec<u8>, text: &[u8]) {
    write_length(payload, text.len() as u64);
    payload.extend_from_slice(text);
}

fn write_integer(payload: &mut Vec<u8>, integer: i32) {
    if let Ok(integer) = i8::try_from(integer) {
        payload.push(0xc0);
        payload.extend_from_slice(&integer.to_le_bytes());
    } else if let Ok(integer) = i16::try_from(integer) {
        payload.push(0xc1);
        payload.extend_from_slice(&integer.to_le_bytes());
    } else {
        payload.push(0xc2);
        payload.extend_from_slice(&integer.to_le_bytes());
    }
}
