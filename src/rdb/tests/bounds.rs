//! What a payload may take up.

use super::super::write::write_bytes;
use super::*;

#[test]
fn what_is_compressed_is_bounded_together() {
    // Runs of 264 bytes, as often as it takes.
    let mut compressed = vec![0, b'x'];
    let runs = 2_000;
    (0..runs).for_each(|_| compressed.extend_from_slice(&[0xe0, 0xff, 0]));
    let length = 1 + 264 * runs;
    let mut held = vec![kind::LIST, 2];
    for _ in 0..2 {
        held.push(0xc3);
        write_length(&mut held, compressed.len() as u64);
        write_length(&mut held, length as u64);
        held.extend_from_slice(&compressed);
    }
    assert_eq!(read(&held), Err(Error::TooLarge));
    held[1] = 1;
    held.truncate(held.len() / 2 + 1);
    assert_eq!(read(&held), Ok(Content::List(vec![vec![b'x'; length]])));
}

#[test]
fn repeated_names_are_bounded() {
    let name = vec![b'n'; 10_000];
    let stream_of = |entries: i64| {
        let mut node = Builder::new();
        [entries, 0, 1]
            .iter()
            .for_each(|element| node.integer(*element));
        node.text(&name);
        node.integer(0);
        for sequence in 0..entries {
            [2, 0, sequence, 1, 4]
                .iter()
                .for_each(|element| node.integer(*element));
        }
        let mut held = vec![kind::STREAM_LISTPACKS, 1];
        write_bytes(&mut held, &[1; 16]);
        write_bytes(&mut held, &node.finish().expect("not too long"));
        write_length(&mut held, entries as u64);
        let part = u64::from_be_bytes([1; 8]);
        write_length(&mut held, part);
        write_length(&mut held, part + entries as u64);
        held.push(0);
        held
    };
    assert!(read(&stream_of(100)).is_ok());
    assert_eq!(read(&stream_of(200)), Err(Error::TooLarge));
}

#[test]
fn room_is_asked_for_before_it_is_taken() {
    let refused = |held: &[u8], room: usize| {
        let mut payload = held.to_vec();
        sign(&mut payload);
        let has_room = |bytes| bytes < room;
        let limits = Limits {
            has_room: &has_room,
            ..limits()
        };
        load(&payload, limits).err()
    };
    let mut string = vec![kind::STRING];
    write_bytes(&mut string, &vec![b'x'; 2 << 20]);
    assert_eq!(refused(&string, 1 << 20), Some(Error::OutOfMemory));
    assert_eq!(refused(&string, 5 << 20), None);
    let mut list = vec![kind::LIST];
    write_length(&mut list, 100_000);
    (0..100_000).for_each(|number: u32| write_text(&mut list, number.to_string().as_bytes()));
    assert_eq!(refused(&list, 1 << 20), Some(Error::OutOfMemory));
    assert_eq!(refused(&list, 2 << 20), None);
}
