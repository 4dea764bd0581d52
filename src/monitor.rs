//! MONITOR: who is told of all commands, and how a command is written for them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clients::{Push, SharedClient};
use crate::slow_log::hidden_from;
use crate::system_time::since_1970;

/// Who is told.
#[derive(Default)]
pub struct Monitors {
    /// How many there are, for those who run commands to ask.
    count: AtomicUsize,
    clients: Mutex<Vec<Arc<SharedClient>>>,
}

impl Monitors {
    fn clients(&self) -> MutexGuard<'_, Vec<Arc<SharedClient>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is any.
    #[inline]
    pub fn is_any(&self) -> bool {
        // Relaxed: who begins to listen while a command runs may miss it.
        self.count.load(Ordering::Relaxed) > 0
    }

    /// Tells a client of all commands from now on.
    pub fn add(&self, client: &Arc<SharedClient>) {
        let mut clients = self.clients();
        client.is_monitor.store(true, Ordering::Relaxed);
        clients.push(Arc::clone(client));
        self.count.store(clients.len(), Ordering::Relaxed);
    }

    /// Tells a client of no more.
    pub fn remove(&self, client: &SharedClient) {
        let mut clients = self.clients();
        client.is_monitor.store(false, Ordering::Relaxed);
        clients.retain(|known| known.id != client.id);
        self.count.store(clients.len(), Ordering::Relaxed);
    }

    /// Tells all of them. One for whom more than `bytes_max` bytes wait is cut off; 0 is no limit.
    pub fn feed(&self, line: Vec<u8>, bytes_max: usize) {
        let push = Arc::new(Push::Monitored(line.into()));
        for client in self.clients().iter() {
            client.push(&push, bytes_max);
        }
    }
}

/// A text as Redis quotes it.
fn quoted(text: &[u8], line: &mut Vec<u8>) {
    line.push(b'"');
    for &byte in text {
        match byte {
            b'\\' | b'"' => line.extend([b'\\', byte]),
            b'\n' => line.extend(b"\\n"),
            b'\r' => line.extend(b"\\r"),
            b'\t' => line.extend(b"\\t"),
            0x07 => line.extend(b"\\a"),
            0x08 => line.extend(b"\\b"),
            b' '..=b'~' => line.push(byte),
            other => line.extend(format!("\\x{other:02x}").into_bytes()),
        }
    }
    line.push(b'"');
}

/// A command as monitors see it: when, in which database, from whom (an address, or `lua`), and its
/// arguments, without passwords.
pub fn line(database: usize, source: &str, arguments: &[&[u8]]) -> Vec<u8> {
    let since = since_1970();
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let mut line = format!("{seconds}.{micros:06} [{database} {source}]").into_bytes();
    let hidden_from = hidden_from(arguments);
    for (at, argument) in arguments.iter().enumerate() {
        line.push(b' ');
        let is_hidden = at >= hidden_from;
        quoted(if is_hidden { b"(redacted)" } else { argument }, &mut line);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_as_by_redis() {
        let line = line(3, "lua", &[b"SET", b"a \"b\"\\", b"\r\n\t\x07\x08\0\xff"]);
        let line = String::from_utf8(line).unwrap();
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(
            time.split_once('.')
                .is_some_and(|(_, micros)| micros.len() == 6)
        );
        assert_eq!(rest, r#"[3 lua] "SET" "a \"b\"\\" "\r\n\t\a\b\x00\xff""#);
    }
}
