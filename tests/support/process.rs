//! A server as a process of its own: what it takes up can be measured, and it may be killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// No server takes longer to be ready.
const READY: Duration = Duration::from_secs(30);

/// Killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts on a port of the system's choice, with more options and environment.
    pub(crate) fn start(options: &[&str], environment: &[(&str, &str)]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_darter"))
            .args(["--bind", "127.0.0.1", "--port", "0"])
            .args(options)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let output = child.stdout.take().unwrap();
        let (sender, ready) = channel();
        let written = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(address) = ready_on(&line) {
                    // Nobody waits for it any more if the start took too long.
                    let _ = sender.send(address);
                }
                let mut log = written.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let address = wait_for(&ready, &mut child);
        Process {
            child,
            address,
            log,
        }
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn proc(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.child.id())
    }

    /// Resident bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        kilobytes.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }
}

fn wait_for(ready: &Receiver<SocketAddr>, child: &mut Child) -> SocketAddr {
    ready.recv_timeout(READY).unwrap_or_else(|_| {
        let _ = child.kill();
        panic!("the server does not start")
    })
}

/// The address in the line that says that the server is ready.
fn ready_on(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(" is ready on ")?;
    rest.split([',', ' ']).next()?.parse().ok()
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
