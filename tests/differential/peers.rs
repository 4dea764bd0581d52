//! The two servers, each with the same connections.

use std::net::SocketAddr;

use crate::support::redis::Redis;
use crate::support::server::Server;
use crate::wire::{Connection, Node, Words, show};

/// Which connection of both servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Resp2,
    Resp3,
    /// For looking at the state, in RESP2.
    Observer,
    /// Listens to channels, in RESP3.
    Listener,
}

struct Peer {
    address: SocketAddr,
    connections: Vec<Connection>,
}

impl Peer {
    fn open(address: SocketAddr) -> Peer {
        let mut connections: Vec<_> = (0..4).map(|_| Connection::open(address)).collect();
        for link in [Link::Resp3, Link::Listener] {
            assert!(connections[link as usize].run("HELLO 3").is_aggregate());
        }
        Peer {
            address,
            connections,
        }
    }
}

/// A reply of each.
pub(crate) type Both = (Node, Node);

pub(crate) struct Peers {
    redis: Peer,
    darter: Peer,
    server: Server,
    _process: Redis,
}

impl Peers {
    /// `None`, said aloud, if there is no Redis.
    pub(crate) fn start() -> Option<Peers> {
        let process = Redis::start()?;
        let server = Server::start();
        Some(Peers {
            redis: Peer::open(process.address),
            darter: Peer::open(server.address),
            server,
            _process: process,
        })
    }

    pub(crate) fn redis(&mut self, link: Link) -> &mut Connection {
        &mut self.redis.connections[link as usize]
    }

    pub(crate) fn darter(&mut self, link: Link) -> &mut Connection {
        &mut self.darter.connections[link as usize]
    }

    /// Sends the same to both, and reads all replies.
    pub(crate) fn exchange(&mut self, link: Link, requests: &[Words]) -> Vec<Both> {
        self.redis(link).send(requests);
        self.darter(link).send(requests);
        let both = requests
            .iter()
            .map(|_| (self.redis(link).read(), self.darter(link).read()));
        both.collect()
    }

    /// As `exchange`, of one line without quotes.
    pub(crate) fn run(&mut self, link: Link, line: &str) -> Both {
        let words = line
            .split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect();
        self.exchange(link, &[words]).swap_remove(0)
    }

    /// Lets Darter's next commit lose once, so that its command runs again.
    pub(crate) fn force_conflict(&self) {
        self.server.services.force_conflict();
    }

    /// Connects the listeners anew, without any subscription.
    pub(crate) fn renew_listeners(&mut self) {
        for peer in [&mut self.redis, &mut self.darter] {
            let mut connection = Connection::open(peer.address);
            assert!(connection.run("HELLO 3").is_aggregate());
            peer.connections[Link::Listener as usize] = connection;
        }
    }

    /// Puts what Redis holds at a key, in the database of this connection, into Darter.
    pub(crate) fn copy_key(&mut self, link: Link, key: &[u8]) -> Result<(), String> {
        let dump: [&[u8]; 2] = [b"DUMP", key];
        let payload = self.redis(link).call(&dump);
        let ask: [&[u8]; 2] = [b"PEXPIRETIME", key];
        let until = self.redis(link).call(&ask);
        let until = until.number().unwrap_or(-1).max(0).to_string();
        if payload.is_null() {
            let delete: [&[u8]; 2] = [b"DEL", key];
            self.darter(link).call(&delete);
            return Ok(());
        }
        let restore: [&[u8]; 6] = [
            b"RESTORE",
            key,
            until.as_bytes(),
            &payload.text,
            b"REPLACE",
            b"ABSTTL",
        ];
        match self.darter(link).call(&restore) {
            reply if reply.is_error() => {
                let payload = payload.text.escape_ascii();
                Err(format!("{reply} for {}: {payload}", show(key)))
            }
            _ => Ok(()),
        }
    }

    /// Makes Darter hold what Redis holds, in all databases.
    pub(crate) fn copy_all(&mut self) -> Result<(), String> {
        self.darter(Link::Observer).run("FLUSHALL");
        for database in 0..crate::state::DATABASES {
            self.run(Link::Observer, &format!("SELECT {database}"));
            let keys = self.redis(Link::Observer).run("KEYS *").children;
            for key in keys {
                self.copy_key(Link::Observer, &key.text)?;
            }
        }
        Ok(())
    }
}
