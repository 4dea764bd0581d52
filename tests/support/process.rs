//! A server in a process of its own, for what is counted by process.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::{Client, Reply};

/// Ended when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    pub(crate) fn start(options: &[&str]) -> Process {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = Command::new(env!("CARGO_BIN_EXE_darter"))
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--threads", "2"])
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut process = Process { child, address };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            let ended = process.child.try_wait().unwrap();
            assert!(ended.is_none(), "it has ended: {ended:?}");
            assert!(Instant::now() < deadline, "it does not listen");
            std::thread::yield_now();
        }
        process
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The fields of a section of INFO.
pub(crate) fn section(client: &mut Client, name: &str) -> HashMap<String, String> {
    let Reply::Bulk(text) = client.call(&["INFO", name]) else {
        panic!("INFO is a string")
    };
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// A field of INFO that is a number.
pub(crate) fn number(client: &mut Client, name: &str) -> usize {
    let all = section(client, "everything");
    all[name]
        .parse()
        .unwrap_or_else(|_| panic!("{name}:{}", all[name]))
}
