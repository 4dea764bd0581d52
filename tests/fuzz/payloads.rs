//! Payloads of FUNCTION RESTORE: what is read of one is read again when it is written.

use darter::rdb::sign;
use darter::script::functions::payload::{PayloadError, dump, restore};

/// Three bytes of a compressed text stand for 264 at most.
const EXPANSION_MAX: usize = 88;

/// The whole is what a payload holds, with a checksum that is right.
pub(crate) fn target(data: &[u8]) {
    let mut payload = data.to_vec();
    sign(&mut payload);
    // Nothing is allocated that is only announced.
    let limit = EXPANSION_MAX * (data.len() + 1);
    let has_room = |bytes| {
        assert!(bytes <= 2 * limit, "{bytes} bytes of {}", data.len());
        true
    };
    if let Ok(texts) = restore(&payload, has_room) {
        let again = dump(texts.iter().map(|text| &**text));
        assert_eq!(restore(&again, |_| true), Ok(texts));
    }
    payload.pop();
    assert_eq!(restore(&payload, has_room), Err(PayloadError::Footer));
}
