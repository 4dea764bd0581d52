//! A strict reader of replies: whatever does not parse to its last byte is none.

/// Reads one reply, or `None` if there is none whole and well formed at the start; what follows it.
pub(crate) fn skip(bytes: &[u8]) -> Option<&[u8]> {
    let (kind, rest) = bytes.split_first()?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    let (line, mut rest) = (&rest[..end], &rest[end + 2..]);
    if line.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return None;
    }
    let count = || std::str::from_utf8(line).ok()?.parse::<i64>().ok();
    match kind {
        // A big number of a script is what the script says.
        b'+' | b'-' | b'(' => Some(rest),
        b':' => count().map(|_| rest),
        b'_' => line.is_empty().then_some(rest),
        b'#' => matches!(line, b"t" | b"f").then_some(rest),
        b',' => {
            let text = std::str::from_utf8(line).ok()?;
            text.parse::<f64>().ok().map(|_| rest)
        }
        b'$' | b'=' | b'!' => match count()? {
            -1 => Some(rest),
            length => {
                let length = usize::try_from(length).ok()?;
                let after = rest.get(length..)?;
                after.strip_prefix(b"\r\n")
            }
        },
        b'*' | b'~' | b'>' | b'%' => {
            let length = count()?;
            if length == -1 && *kind == b'*' {
                return Some(rest);
            }
            let elements = usize::try_from(length).ok()? * if *kind == b'%' { 2 } else { 1 };
            for _ in 0..elements {
                rest = skip(rest)?;
            }
            Some(rest)
        }
        _ => None,
    }
}

#[test]
fn what_is_no_reply_is_none() {
    for whole in [
        &b"+OK\r\n"[..],
        b"$-1\r\n",
        b"$2\r\n\r\n\r\n",
        b"*2\r\n:1\r\n*0\r\n",
        b"%1\r\n_\r\n,1.5\r\n",
        b"*-1\r\n",
    ] {
        assert_eq!(skip(whole), Some(&b""[..]), "{}", whole.escape_ascii());
        for end in 0..whole.len() {
            assert_eq!(skip(&whole[..end]), None, "{}", whole[..end].escape_ascii());
        }
    }
    for wrong in [
        &b"+a\nb\r\n"[..],
        b":1x\r\n",
        b"$1\r\nab\r\n",
        b"?\r\n",
        b"#x\r\n",
    ] {
        assert_eq!(skip(wrong), None, "{}", wrong.escape_ascii());
    }
}
