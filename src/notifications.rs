//! Keyspace notifications: which are wanted, and what they say.
//!
//! A notification is a message that a transaction publishes, so it is told when and if that becomes
//! part of history, in the order of the commits. That a key has expired is told from the stream of
//! effects, where it was removed, whoever met it.

use darter_storage::Message;

/// What notifications are about, as bits. What is wanted are such bits together.
pub mod class {
    /// Messages on the channel of the key.
    pub const KEYSPACE: u32 = 1 << 0;
    /// Messages on the channel of the event.
    pub const KEYEVENT: u32 = 1 << 1;
    /// Whatever the key holds.
    pub const GENERIC: u32 = 1 << 2;
    /// Strings.
    pub const STRING: u32 = 1 << 3;
    /// Lists.
    pub const LIST: u32 = 1 << 4;
    /// Sets.
    pub const SET: u32 = 1 << 5;
    /// Hashes.
    pub const HASH: u32 = 1 << 6;
    /// Sorted sets.
    pub const SORTED_SET: u32 = 1 << 7;
    /// Keys that have expired.
    pub const EXPIRED: u32 = 1 << 8;
    /// Keys that had to go: there are none here.
    pub const EVICTED: u32 = 1 << 9;
    /// Streams.
    pub const STREAM: u32 = 1 << 10;
    /// Modules: there are none here.
    pub const MODULE: u32 = 1 << 11;
    /// Reads of keys that are not there.
    pub const KEY_MISS: u32 = 1 << 12;
    /// Keys that come to be.
    pub const NEW: u32 = 1 << 13;
    /// What `A` stands for.
    pub const ALL: u32 =
        GENERIC | STRING | LIST | SET | HASH | SORTED_SET | EXPIRED | EVICTED | STREAM | MODULE;
}

/// Letters and bits, in the order in which Redis writes them. Those up to `NAMED_BY_ALL` are left out
/// beside `A`: as in Redis `n` is one of them, though `A` does not turn it on.
const LETTERS: [(char, u32); 14] = [
    ('g', class::GENERIC),
    ('$', class::STRING),
    ('l', class::LIST),
    ('s', class::SET),
    ('h', class::HASH),
    ('z', class::SORTED_SET),
    ('x', class::EXPIRED),
    ('e', class::EVICTED),
    ('t', class::STREAM),
    ('d', class::MODULE),
    ('n', class::NEW),
    ('K', class::KEYSPACE),
    ('E', class::KEYEVENT),
    ('m', class::KEY_MISS),
];
const NAMED_BY_ALL: usize = 11;

/// The classes that letters name.
///
/// # Errors
/// The text that says which letters there are.
pub fn parse(text: &str) -> Result<u32, String> {
    let mut classes = 0;
    for letter in text.chars() {
        let known = LETTERS.iter().find(|(known, _)| *known == letter);
        classes |= match known {
            Some((_, class)) => *class,
            None if letter == 'A' => class::ALL,
            None => {
                return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
            }
        };
    }
    Ok(classes)
}

/// The letters of classes, in their one order.
pub fn text(classes: u32) -> String {
    let (mut text, mut from) = (String::new(), 0);
    if classes & class::ALL == class::ALL {
        text.push('A');
        from = NAMED_BY_ALL;
    }
    let letters = LETTERS[from..]
        .iter()
        .filter(|(_, class)| classes & class != 0);
    text.extend(letters.map(|(letter, _)| letter));
    text
}

/// The messages of an event, if its class is among the `wanted` ones: on the key's channel, then on
/// the event's.
pub fn messages(
    wanted: u32,
    (class, event): (u32, &str),
    (database, key): (usize, &[u8]),
) -> impl Iterator<Item = Message> {
    let is_wanted = |channel_class: u32| wanted & class != 0 && wanted & channel_class != 0;
    let of_key = is_wanted(class::KEYSPACE).then(|| {
        let mut channel = format!("__keyspace@{database}__:").into_bytes();
        channel.extend_from_slice(key);
        Message {
            channel: channel.into(),
            payload: event.as_bytes().into(),
            sharded: false,
        }
    });
    let of_event = is_wanted(class::KEYEVENT).then(|| Message {
        channel: format!("__keyevent@{database}__:{event}")
            .into_bytes()
            .into(),
        payload: key.into(),
        sharded: false,
    });
    of_key.into_iter().chain(of_event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_written_in_one_order() {
        for (given, written) in [
            ("", ""),
            ("EKA", "AKE"),
            ("AnKE", "AKE"),
            ("KEAnm", "AKEm"),
            ("txezhsl$g", "g$lshzxet"),
            ("g$lshzxetd", "A"),
            ("nx", "xn"),
            ("KKxx", "xK"),
        ] {
            assert_eq!(text(parse(given).unwrap()), written, "{given}");
        }
        for wrong in ["q", "K E", "AKEa"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_event_is_told_on_the_channels_that_are_wanted() {
        for (wanted, channels) in [
            ("KEg", &["__keyspace@3__:k", "__keyevent@3__:del"][..]),
            ("Kg", &["__keyspace@3__:k"]),
            ("Eg", &["__keyevent@3__:del"]),
            ("KE$", &[]),
            ("A", &[]),
        ] {
            let told = messages(parse(wanted).unwrap(), (class::GENERIC, "del"), (3, b"k"));
            let told: Vec<_> = told
                .map(|message| String::from_utf8(message.channel.into_vec()).unwrap())
                .collect();
            assert_eq!(told, channels, "{wanted}");
        }
    }
}
