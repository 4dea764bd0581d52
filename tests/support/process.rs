//! A server as a process of its own: what it takes up can be measured, and it may be killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
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
    /// Starts on a free port, with more options and environment.
    pub(crate) fn start(options: &[&str], environment: &[(&str, &str)]) -> Process {
        // Somebody else may take a port that was free a moment ago.
        let mut tries = (0..5).map(|_| Process::try_start(options, environment));
        tries.find_map(|server| server).expect("a server")
    }

    fn try_start(options: &[&str], environment: &[(&str, &str)]) -> Option<Process> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut child = Command::new(env!("CARGO_BIN_EXE_darter"))
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
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
                let is_ready = line.contains(" is ready on ");
                let mut log = written.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
                drop(log);
                if is_ready {
                    // Nobody waits for it any more if the start took too long.
                    let _ = sender.send(());
                }
            }
        });
        let server = Process {
            child,
            address,
            log,
        };
        // The sender goes with a server that could not start.
        ready.recv_timeout(READY).ok().map(|()| server)
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

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
