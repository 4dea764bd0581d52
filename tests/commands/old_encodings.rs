//! A writer of encodings that neither Redis 7.0 nor this server writes: those before 7.0 and those of
//! 7.2. What it makes is a payload without its footer.

type Bytes = Vec<u8>;

/// A text with its length before it.
pub(crate) fn text(text: &[u8]) -> Bytes {
    let length = text.len();
    let mut written = match length {
        0..64 => vec![length as u8],
        64..16_384 => (0x4000 | length as u16).to_be_bytes().to_vec(),
        _ => [&[0x80][..], &(length as u32).to_be_bytes()].concat(),
    };
    written.extend_from_slice(text);
    written
}

fn integer(text: &[u8]) -> Option<i64> {
    let integer: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (integer.to_string().as_bytes() == text).then_some(integer)
}

fn ziplist_element(text: &[u8]) -> Bytes {
    let length = text.len();
    let Some(integer) = integer(text) else {
        let mut element = match length {
            0..64 => vec![length as u8],
            64..16_384 => (0x4000 | length as u16).to_be_bytes().to_vec(),
            _ => [&[0x80][..], &(length as u32).to_be_bytes()].concat(),
        };
        element.extend_from_slice(text);
        return element;
    };
    let wide = integer.to_le_bytes();
    let (head, bytes) = match integer {
        0..=12 => (0xf1 + integer as u8, 0),
        -0x80..0x80 => (0xfe, 1),
        -0x8000..0x8000 => (0xc0, 2),
        -0x80_0000..0x80_0000 => (0xf0, 3),
        -0x8000_0000..0x8000_0000 => (0xd0, 4),
        _ => (0xe0, 8),
    };
    [&[head][..], &wide[..bytes]].concat()
}

pub(crate) fn ziplist(texts: &[Bytes]) -> Bytes {
    let (mut entries, mut last, mut at) = (Bytes::new(), 0, 0);
    for text in texts {
        at = entries.len();
        match u8::try_from(last).ok().filter(|last| *last < 254) {
            Some(last) => entries.push(last),
            None => {
                entries.push(254);
                entries.extend_from_slice(&(last as u32).to_le_bytes());
            }
        }
        entries.extend_from_slice(&ziplist_element(text));
        last = entries.len() - at;
    }
    let all = (entries.len() + 11) as u32;
    let tail = (at + 10) as u32;
    let count = u16::try_from(texts.len()).unwrap_or(u16::MAX);
    let head = [
        &all.to_le_bytes()[..],
        &tail.to_le_bytes(),
        &count.to_le_bytes(),
    ]
    .concat();
    [head, entries, vec![255]].concat()
}

/// Fields of less than 254 bytes, and values of any length.
pub(crate) fn zipmap(pairs: &[(Bytes, Bytes)]) -> Bytes {
    let mut map = vec![pairs.len().min(254) as u8];
    for (field, value) in pairs {
        map.push(field.len() as u8);
        map.extend_from_slice(field);
        match u8::try_from(value.len())
            .ok()
            .filter(|length| *length < 254)
        {
            Some(length) => map.push(length),
            None => {
                map.push(254);
                map.extend_from_slice(&(value.len() as u32).to_le_bytes());
            }
        }
        // Two bytes that an update has left unused.
        map.push(2);
        map.extend_from_slice(value);
        map.extend_from_slice(b"??");
    }
    map.push(255);
    map
}

/// What stands in a list pack.
#[derive(Clone, Copy)]
pub(crate) enum Element<'a> {
    /// Less than 64 bytes.
    Text(&'a [u8]),
    /// Less than 128.
    Number(u8),
}

pub(crate) fn listpack(elements: &[Element<'_>]) -> Bytes {
    let mut entries = Bytes::new();
    for element in elements {
        let start = entries.len();
        match element {
            Element::Text(text) => {
                entries.push(0x80 | text.len() as u8);
                entries.extend_from_slice(text);
            }
            Element::Number(number) => entries.push(*number),
        }
        entries.push((entries.len() - start) as u8);
    }
    let all = (entries.len() + 7) as u32;
    let count = elements.len() as u16;
    let head = [&all.to_le_bytes()[..], &count.to_le_bytes()].concat();
    [head, entries, vec![255]].concat()
}

/// A value's kind, numbers, and then texts.
pub(crate) fn value(kind: u8, numbers: &[u8], texts: &[&[u8]]) -> Bytes {
    let mut held = vec![kind];
    held.extend_from_slice(numbers);
    texts.iter().for_each(|part| held.extend(text(part)));
    held
}
