//! Headers of scripts: what they give goes together, and means the same when it is written again.

use darter::script::flags::{Flags, Header};

/// A header's flags, if it has any to say.
fn flags_of(header: Header) -> Option<Flags> {
    match header {
        Header::None => None,
        Header::Replaces(flags) | Header::Adds(flags) => Some(flags),
    }
}

fn check_flags(flags: Flags) {
    assert_eq!(flags.checked(), Ok(flags), "a contradiction got through");
    let list = flags.names().collect::<Vec<_>>().join(",");
    assert_eq!(Flags::parse(list.as_bytes()), Ok(flags), "as a list");
    let shebang = Header::of(format!("#!lua flags={list}\n").as_bytes());
    assert_eq!(shebang.map(flags_of), Ok(Some(flags)), "as a #! header");
    let comment = Header::of(format!("--!df flags={list}\n").as_bytes());
    assert_eq!(comment, Ok(Header::Replaces(flags)), "as a comment");
}

/// The whole is a script, and a list of flags.
pub(crate) fn target(data: &[u8]) {
    let defaults = Flags::parse(data).unwrap_or(Flags::ROLLBACK_ON_ERROR);
    check_flags(defaults);
    if let Ok(header) = Header::of(data) {
        if let Some(flags) = flags_of(header) {
            check_flags(flags);
        }
        for defaults in [defaults, Flags::NONE, Flags::DISABLE_ATOMICITY] {
            let over = header.over(defaults);
            assert_eq!(over.checked(), Ok(over), "over its defaults");
            if let Header::Replaces(flags) = header {
                assert_eq!(over, flags, "what replaces stands alone");
            }
        }
    }
    // A header is what the first line says: what follows it changes nothing.
    if data.starts_with(b"#!")
        && let Some(end) = data.iter().position(|byte| *byte == b'\n')
    {
        assert_eq!(Header::of(&data[..=end]), Header::of(data));
    }
}
