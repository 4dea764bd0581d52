//! Payloads of RESTORE: what is read of one is a value that can be written and is read again, and
//! takes no more memory than its payload accounts for.

use darter::rdb::{Error, Limits, load, save, sign};

/// Little, so that what asks for too much is found.
const UNPACKED_BYTES_MAX: usize = 64 * 1024;
/// An element of one byte, in both of a sorted set's trees.
const BYTES_FOR_A_BYTE: usize = 200;
const SMALL_BYTES: usize = 4096;

/// The whole is what a payload holds, with a checksum that is right.
pub(crate) fn target(data: &[u8]) {
    let mut payload = data.to_vec();
    sign(&mut payload);
    let accounted_bytes = data.len() + UNPACKED_BYTES_MAX;
    let has_room = |bytes| {
        assert!(bytes <= 2 * BYTES_FOR_A_BYTE * accounted_bytes, "{bytes}");
        true
    };
    let limits = Limits {
        unpacked_bytes_max: UNPACKED_BYTES_MAX,
        has_room: &has_room,
    };
    if let Ok(value) = load(&payload, limits) {
        let bytes = value.as_ref().memory_bytes();
        let bytes_max = SMALL_BYTES + BYTES_FOR_A_BYTE * accounted_bytes;
        assert!(bytes <= bytes_max, "{bytes} bytes of {}", data.len());
        let written = save(value.as_ref()).expect("a payload");
        // Names that entries share are counted each time they are read.
        let unlimited = Limits {
            unpacked_bytes_max: usize::MAX,
            has_room: &|_| true,
        };
        let again = load(&written, unlimited).expect("a value");
        assert_eq!(save(again.as_ref()).as_deref(), Ok(&written[..]));
    }
    payload.pop();
    assert_eq!(load(&payload, limits).err(), Some(Error::Footer));
}
