//! A sketch as a string: `HYLL`, its form, three bytes unused, the last estimate, then the registers.

use darter_storage::StringRef;

use super::{CORRUPTED, REGISTERS, Registers, dense, sparse};
use crate::commands::error::CommandError;

const MAGIC: &[u8; 4] = b"HYLL";
const FORM_AT: usize = 4;
const ESTIMATE_AT: usize = 8;
const HEADER_BYTES: usize = 16;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// The highest bit of an estimate: it is not valid any more.
const IS_STALE: u8 = 0x80;
/// Longer ones are corrupted: a register takes two bytes at most.
const SPARSE_BYTES_MAX: usize = HEADER_BYTES + 2 * REGISTERS;

/// The estimate that a sketch was stored with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cached {
    Valid(i64),
    Stale,
}

/// A sketch to be changed. Its header is whole; its registers may be corrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sketch {
    bytes: Vec<u8>,
}

/// The header of a string that claims to be a sketch.
fn header(value: StringRef<'_>) -> Result<[u8; HEADER_BYTES], CommandError> {
    const NO_SKETCH: CommandError =
        CommandError::text("WRONGTYPE Key is not a valid HyperLogLog string value.");
    let header = value.range(0, HEADER_BYTES);
    let header = header.first_chunk::<HEADER_BYTES>().ok_or(NO_SKETCH)?;
    let has_length = match header[FORM_AT] {
        DENSE => value.len() == HEADER_BYTES + dense::BYTES,
        form => form == SPARSE,
    };
    if header.starts_with(MAGIC) && has_length {
        Ok(*header)
    } else {
        Err(NO_SKETCH)
    }
}

/// The estimate in a string that must be a sketch.
///
/// # Errors
/// If it is none.
pub(super) fn cached(value: StringRef<'_>) -> Result<Cached, CommandError> {
    let header = header(value)?;
    let bytes = header[ESTIMATE_AT..].iter().rev();
    let estimate = bytes.fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    Ok(match i64::try_from(estimate) {
        Ok(estimate) => Cached::Valid(estimate),
        Err(_) => Cached::Stale,
    })
}

impl Sketch {
    /// One without elements.
    pub(super) fn new() -> Sketch {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..FORM_AT].copy_from_slice(MAGIC);
        bytes[FORM_AT] = SPARSE;
        bytes.extend_from_slice(&sparse::EMPTY);
        Sketch { bytes }
    }

    /// A copy of a string that must be a sketch.
    ///
    /// # Errors
    /// If it is none, or too long for one.
    pub(super) fn read(value: StringRef<'_>) -> Result<Sketch, CommandError> {
        header(value)?;
        if value.len() > SPARSE_BYTES_MAX {
            return Err(CORRUPTED);
        }
        Ok(Sketch {
            bytes: value.to_cow().into_owned(),
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn is_dense(&self) -> bool {
        self.bytes[FORM_AT] == DENSE
    }

    /// The last estimate does not hold any more.
    pub(super) fn forget_estimate(&mut self) {
        self.bytes[HEADER_BYTES - 1] |= IS_STALE;
    }

    /// Raises registers to this sketch's.
    ///
    /// # Errors
    /// If it is corrupted.
    pub(super) fn merge_into(&self, registers: &mut Registers) -> Result<(), CommandError> {
        let body = &self.bytes[HEADER_BYTES..];
        if self.is_dense() {
            dense::merge_into(body, registers);
            return Ok(());
        }
        sparse::merge_into(body, registers).ok_or(CORRUPTED)
    }

    /// Makes it dense; the estimate stays.
    ///
    /// # Errors
    /// If it is corrupted.
    pub(super) fn make_dense(&mut self) -> Result<(), CommandError> {
        if self.is_dense() {
            return Ok(());
        }
        let mut registers = [0; REGISTERS];
        self.merge_into(&mut registers)?;
        self.bytes.truncate(HEADER_BYTES);
        self.bytes.resize(HEADER_BYTES + dense::BYTES, 0);
        self.bytes[FORM_AT] = DENSE;
        let body = &mut self.bytes[HEADER_BYTES..];
        for (index, value) in registers.iter().enumerate() {
            dense::raise(body, index, *value);
        }
        Ok(())
    }

    /// Raises a register; the sketch becomes dense if it would be longer than `sparse_bytes_max`, or
    /// the value does not fit the sparse form. Whether the register was lower.
    ///
    /// # Errors
    /// If it is corrupted.
    pub(super) fn raise(
        &mut self,
        index: usize,
        value: u8,
        sparse_bytes_max: usize,
    ) -> Result<bool, CommandError> {
        if !self.is_dense() {
            let body_bytes_max = sparse_bytes_max.saturating_sub(HEADER_BYTES);
            let mut body = self.bytes.split_off(HEADER_BYTES);
            let raised = sparse::raise(&mut body, index, value, body_bytes_max);
            self.bytes.append(&mut body);
            match raised {
                Some(sparse::Raised::Changed) => return Ok(true),
                Some(sparse::Raised::Same) => return Ok(false),
                Some(sparse::Raised::DoesNotFit) => self.make_dense()?,
                None => return Err(CORRUPTED),
            }
        }
        Ok(dense::raise(&mut self.bytes[HEADER_BYTES..], index, value))
    }
}

#[cfg(test)]
mod tests {
    use darter_storage::StringValue;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Sketch, CommandError> {
        Sketch::read(StringValue::new(bytes).as_ref())
    }

    #[test]
    fn what_begins_otherwise_or_has_another_length_is_no_sketch() {
        let empty = Sketch::new();
        assert_eq!(read(empty.bytes()).as_ref(), Ok(&empty));
        let mut dense = empty.clone();
        dense.make_dense().unwrap();
        assert_eq!(read(dense.bytes()).as_ref(), Ok(&dense));
        for bytes in [
            &b""[..],
            b"HYLL",
            b"HYLX\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff",
            b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff",
            &dense.bytes()[1..],
            &dense.bytes()[..dense.bytes().len() - 1],
        ] {
            let error = read(bytes).unwrap_err().to_string();
            assert!(error.starts_with("WRONGTYPE"), "{error}");
        }
        let mut long = empty.bytes().to_vec();
        long.resize(SPARSE_BYTES_MAX + 1, 0);
        assert_eq!(read(&long), Err(CORRUPTED));
    }

    #[test]
    fn an_estimate_holds_until_it_is_forgotten() {
        let mut sketch = Sketch::new();
        sketch.bytes[ESTIMATE_AT] = 5;
        let value = StringValue::new(sketch.bytes());
        assert_eq!(cached(value.as_ref()), Ok(Cached::Valid(5)));
        sketch.make_dense().unwrap();
        let value = StringValue::new(sketch.bytes());
        assert_eq!(cached(value.as_ref()), Ok(Cached::Valid(5)));
        sketch.forget_estimate();
        let value = StringValue::new(sketch.bytes());
        assert_eq!(cached(value.as_ref()), Ok(Cached::Stale));
    }

    #[test]
    fn both_forms_hold_the_same_registers() {
        let (mut sparse, mut dense) = (Sketch::new(), Sketch::new());
        dense.make_dense().unwrap();
        for n in 0..2000_usize {
            let (index, value) = (n * 7919 % 500 * 31, (n % 32) as u8 + 1);
            let changes = sparse.raise(index, value, usize::MAX).unwrap();
            assert_eq!(dense.raise(index, value, 0), Ok(changes));
        }
        assert!(!sparse.is_dense());
        let (mut one, mut other) = ([0; REGISTERS], [0; REGISTERS]);
        sparse.merge_into(&mut one).unwrap();
        dense.merge_into(&mut other).unwrap();
        assert!(one == other);
    }
}
