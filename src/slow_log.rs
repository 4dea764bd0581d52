//! The last commands that took long, for SLOWLOG.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Arguments of a command that are kept, as in Redis: the last of them says how many there are more.
const ARGUMENTS_MAX: usize = 32;
/// Bytes of an argument that are kept.
const ARGUMENT_BYTES_MAX: usize = 128;

/// A command that took long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowCommand {
    /// Its number, never used twice.
    pub id: u64,
    /// When it ended, in seconds since 1970.
    pub unix_s: u64,
    /// For how long a thread worked on it, in microseconds; waiting does not count.
    pub elapsed_us: u64,
    /// Its arguments, shortened.
    pub arguments: Vec<Vec<u8>>,
    /// Where its client came from.
    pub address: String,
    /// What its client called itself.
    pub name: String,
}

#[derive(Default)]
struct SlowCommands {
    next_id: u64,
    /// The newest first.
    commands: VecDeque<SlowCommand>,
}

/// The last of them.
#[derive(Default)]
pub struct SlowLog(Mutex<SlowCommands>);

/// Where the arguments begin that nobody is to read: passwords.
pub(crate) fn hidden_from(arguments: &[&[u8]]) -> usize {
    let is = |at: usize, word: &str| {
        let argument = arguments.get(at);
        argument.is_some_and(|argument| argument.eq_ignore_ascii_case(word.as_bytes()))
    };
    let password = |at: &usize| is(*at, "requirepass") || is(*at, "AUTH");
    if is(0, "AUTH") {
        1
    } else if is(0, "HELLO") || is(0, "CONFIG") && is(1, "SET") {
        let found = (1..arguments.len()).find(password);
        found.map_or(usize::MAX, |at| at + 1)
    } else {
        usize::MAX
    }
}

fn shortened(argument: &[u8]) -> Vec<u8> {
    let Some(more) = argument
        .len()
        .checked_sub(ARGUMENT_BYTES_MAX)
        .filter(|more| *more > 0)
    else {
        return argument.to_vec();
    };
    let mut kept = argument[..ARGUMENT_BYTES_MAX].to_vec();
    kept.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
    kept
}

/// Arguments as they are kept.
fn kept(arguments: &[&[u8]]) -> Vec<Vec<u8>> {
    let hidden_from = hidden_from(arguments);
    let is_long = arguments.len() > ARGUMENTS_MAX;
    let count = if is_long {
        ARGUMENTS_MAX - 1
    } else {
        arguments.len()
    };
    let shown = arguments.iter().take(count).enumerate();
    let mut kept: Vec<Vec<u8>> = shown
        .map(|(at, argument)| {
            if at >= hidden_from {
                b"(redacted)".to_vec()
            } else {
                shortened(argument)
            }
        })
        .collect();
    if is_long {
        let more = arguments.len() - count;
        kept.push(format!("... ({more} more arguments)").into_bytes());
    }
    kept
}

impl SlowLog {
    fn kept(&self) -> MutexGuard<'_, SlowCommands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a command and forgets the oldest beyond `max`. Its number is chosen here.
    pub fn add(&self, arguments: &[&[u8]], command: SlowCommand, max: usize) {
        let arguments = kept(arguments);
        let mut kept = self.kept();
        let id = kept.next_id;
        kept.next_id += 1;
        kept.commands.push_front(SlowCommand {
            id,
            arguments,
            ..command
        });
        kept.commands.truncate(max);
    }

    /// The newest `count`.
    pub fn newest(&self, count: usize) -> Vec<SlowCommand> {
        self.kept().commands.iter().take(count).cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.kept().commands.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all.
    pub fn reset(&self) {
        self.kept().commands.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(arguments: &[&[u8]]) -> Vec<String> {
        let kept = kept(arguments).into_iter();
        kept.map(|argument| String::from_utf8(argument).unwrap())
            .collect()
    }

    #[test]
    fn what_is_long_is_shortened() {
        let many = vec![&b"x"[..]; 40];
        let shown = texts(&many);
        assert_eq!((shown.len(), &*shown[31]), (32, "... (9 more arguments)"));
        assert_eq!(texts(&many[..32]).len(), 32);
        let long = [b'y'; 130];
        let shown = &texts(&[b"SET", b"k", &long])[2];
        assert_eq!(*shown, format!("{}... (2 more bytes)", "y".repeat(128)));
        assert_eq!(texts(&[&long[..128]])[0].len(), 128);
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(
            texts(&[b"auth", b"me", b"secret"])[1..],
            ["(redacted)", "(redacted)"]
        );
        let hello = texts(&[b"HELLO", b"3", b"AUTH", b"me", b"secret"]);
        assert_eq!(hello[1..], ["3", "AUTH", "(redacted)", "(redacted)"]);
        let set = texts(&[
            b"CONFIG",
            b"SET",
            b"timeout",
            b"5",
            b"requirepass",
            b"secret",
        ]);
        assert_eq!(set[3..], ["5", "requirepass", "(redacted)"]);
        assert_eq!(texts(&[b"SET", b"auth", b"plain"])[2], "plain");
    }

    #[test]
    fn the_oldest_are_forgotten_and_numbers_go_on() {
        let log = SlowLog::default();
        let command = SlowCommand {
            id: 0,
            unix_s: 1,
            elapsed_us: 2,
            arguments: Vec::new(),
            address: String::new(),
            name: String::new(),
        };
        for _ in 0..5 {
            log.add(&[b"PING"], command.clone(), 3);
        }
        let ids = |log: &SlowLog| log.newest(9).iter().map(|one| one.id).collect::<Vec<_>>();
        assert_eq!(ids(&log), [4, 3, 2]);
        log.reset();
        log.add(&[b"PING"], command, 3);
        assert_eq!(ids(&log), [5]);
    }
}
