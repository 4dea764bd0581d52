//! A real Redis to compare with, where one is installed.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::Client;

const PROGRAM: &str = "/usr/bin/redis-server";

/// Ended when dropped.
pub(crate) struct Redis {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Redis {
    /// `None`, said aloud, if it is not installed.
    pub(crate) fn start() -> Option<Redis> {
        Redis::start_with(&[])
    }

    /// As `start`, with more options.
    pub(crate) fn start_with(options: &[&str]) -> Option<Redis> {
        if !Path::new(PROGRAM).exists() {
            eprintln!("NOT COMPARED: there is no {PROGRAM}");
            return None;
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut command = Command::new(PROGRAM);
        // SAFETY: prctl is a plain system call, which is all that runs between fork and exec. The
        // thread that starts the server also drops it, so it never ends first, unless by a crash.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let child = command
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut redis = Redis { child, address };
        redis.wait_until_ready();
        Some(redis)
    }

    fn wait_until_ready(&mut self) {
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(self.address).is_err() {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "redis-server has ended"
            );
            assert!(Instant::now() < until, "redis-server does not listen");
            std::thread::yield_now();
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
