//! Programs to measure: found on the PATH, started on a free port, ended when they are dropped.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::error::Error;

const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long one that was asked to end may take.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two looks at whether a server answers.
const LOOK: Duration = Duration::from_micros(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Darter,
    Redis,
    Valkey,
    KeyDb,
    Dragonfly,
}

const OTHERS: &[(Kind, &str)] = &[
    (Kind::Redis, "redis-server"),
    (Kind::Valkey, "valkey-server"),
    (Kind::KeyDb, "keydb-server"),
    (Kind::Dragonfly, "dragonfly"),
];

/// A server that can be started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

impl Program {
    pub(crate) fn darter(path: &Path) -> Result<Program, Error> {
        let path = fs::canonicalize(path).map_err(Error::io(path.display().to_string()))?;
        Ok(Program {
            kind: Kind::Darter,
            name: "darter",
            path,
        })
    }

    /// Those of the other servers that are on the PATH.
    pub(crate) fn others() -> Vec<Program> {
        let found = OTHERS.iter().filter_map(|(kind, name)| {
            Some(Program {
                kind: *kind,
                name,
                path: on_path(name)?,
            })
        });
        found.collect()
    }

    fn arguments(&self, port: u16, folder: &Path) -> Vec<String> {
        let mut arguments: Vec<String> = ["--port", &port.to_string(), "--bind", "127.0.0.1"]
            .map(str::to_owned)
            .to_vec();
        let folder = folder.display().to_string();
        let own: &[&str] = match self.kind {
            Kind::Darter => &[],
            Kind::Dragonfly => &["--dbfilename", "", "--dir", &folder],
            _ => &["--save", "", "--appendonly", "no", "--dir", &folder],
        };
        arguments.extend(own.iter().map(|&argument| argument.to_owned()));
        arguments
    }

    /// Starts it with these arguments besides, and waits until it answers.
    pub(crate) fn start(&self, more: &[String]) -> Result<Server, Error> {
        let port = free_port()?;
        let folder = std::env::temp_dir().join(format!("bench-compare-{port}"));
        fs::create_dir_all(&folder).map_err(Error::io(folder.display().to_string()))?;
        let log = folder.join("log");
        let output = File::create(&log).map_err(Error::io(log.display().to_string()))?;
        let errors = output.try_clone().map_err(Error::io("the log"))?;
        let begin = Instant::now();
        let child = Command::new(&self.path)
            .args(self.arguments(port, &folder))
            .args(more)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(Error::io(self.path.display().to_string()))?;
        let mut server = Server {
            child,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            folder,
            start: Duration::ZERO,
        };
        while begin.elapsed() < START_TIMEOUT && server.is_running() {
            let answer = Client::new(server.address).and_then(|mut client| client.call(&["PING"]));
            if answer.is_ok() {
                server.start = begin.elapsed();
                return Ok(server);
            }
            thread::sleep(LOOK);
        }
        let log = fs::read_to_string(&log).unwrap_or_default();
        Err(Error::Start {
            path: self.path.clone(),
            log: log.lines().rev().take(3).collect::<Vec<_>>().join(" | "),
        })
    }

    /// What the program calls itself.
    pub(crate) fn version(&self) -> Result<String, Error> {
        let server = self.start(&[])?;
        let mut client = Client::new(server.address)?;
        let own = match self.kind {
            Kind::Darter => "darter_version",
            Kind::Valkey => "valkey_version",
            Kind::Dragonfly => "dragonfly_version",
            Kind::Redis | Kind::KeyDb => "redis_version",
        };
        let version = match client.info("server", own)? {
            Some(version) => Some(version),
            None => client.info("server", "redis_version")?,
        };
        Ok(format!("{} {}", self.name, version.unwrap_or_default()))
    }
}

fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::io("a free port"))?;
    let address = listener.local_addr().map_err(Error::io("a free port"))?;
    Ok(address.port())
}

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: PathBuf,
    /// From its beginning to its first reply.
    pub(crate) start: Duration,
}

impl Server {
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing of its data is kept, but a build that records where it has been writes that at its end. If it
        // has ended by itself, all of these find nothing to do.
        if let Ok(mut client) = Client::new(self.address) {
            let _ = client.call(&["SHUTDOWN", "NOSAVE"]);
        }
        let asked = Instant::now();
        while asked.elapsed() < END_TIMEOUT && self.is_running() {
            thread::sleep(LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
