//! Programs on the store's own API, beside the clients of the server that serves it.

use darter_storage::{
    Deadline, Error, ListValue, Message, Snapshot, StreamId, StreamRef, StreamValue, StringValue,
    Transaction, TryError, Value, ValueMut, ValueRef, prefix_end,
};

use crate::connection::{Connection, Ran};
use crate::generator::{Command, Program};
use crate::support::client::Reply;

/// A snapshot that is held while its client does other things, and what will be read in it.
pub(crate) struct Held {
    program: Program,
    snapshot: Snapshot,
    /// When it was taken: it may be read much later.
    taken_ns: (u64, u64),
}

/// Snapshots that one client holds at once.
const HELD_MAX: usize = 3;

fn bulk(bytes: &[u8]) -> Reply {
    Reply::Bulk(bytes.to_vec())
}

fn string(tx: &Transaction, database: usize, key: &[u8]) -> Result<Reply, Error> {
    Ok(tx
        .bytes(database, key)?
        .map_or(Reply::Null, |bytes| bulk(&bytes)))
}

fn elements(tx: &Transaction, database: usize, key: &[u8]) -> Result<Vec<Reply>, Error> {
    match tx.get(database, key)? {
        Some(ValueRef::List(list)) => Ok(list.iter_from(0).map(bulk).collect()),
        _ => Ok(Vec::new()),
    }
}

/// The values of a stream's entries.
pub(crate) fn logged(stream: StreamRef<'_>) -> impl Iterator<Item = &[u8]> {
    let entries = stream.iter_from(StreamId::default());
    entries.filter_map(|(_, entry)| Some(entry.fields().next()?.1))
}

fn log(tx: &Transaction, database: usize, key: &[u8]) -> Result<Vec<Reply>, Error> {
    let entry = |value: &[u8]| {
        Reply::Array(vec![
            bulk(b"id"),
            Reply::Array(vec![bulk(b"v"), bulk(value)]),
        ])
    };
    match tx.get(database, key)? {
        Some(ValueRef::Stream(stream)) => Ok(logged(stream).map(entry).collect()),
        _ => Ok(Vec::new()),
    }
}

fn field(tx: &Transaction, database: usize, key: &[u8]) -> Result<Reply, Error> {
    Ok(match tx.get(database, key)? {
        Some(ValueRef::Hash(hash)) => hash.get(b"f").map_or(Reply::Null, bulk),
        _ => Reply::Null,
    })
}

/// All keys that begin with what stands before `*`, in the order of the walk.
fn keys(tx: &Transaction, database: usize, pattern: &str) -> Result<Reply, Error> {
    let prefix = pattern.trim_end_matches('*').as_bytes();
    let until = prefix_end(prefix);
    let found = tx.keys(database, prefix, until.as_deref(), usize::MAX)?;
    Ok(Reply::Array(found.iter().map(|key| bulk(key)).collect()))
}

fn scan(tx: &Transaction, database: usize, pattern: &str) -> Result<Reply, Error> {
    let prefix = pattern.trim_end_matches('*').as_bytes();
    let (mut found, mut cursor) = (Vec::new(), 0);
    loop {
        let (next, page) = tx.scan(database, cursor, 1000)?;
        found.extend(page.into_iter().filter(|key| key.starts_with(prefix)));
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(Reply::Array(found.iter().map(|key| bulk(key)).collect()))
}

/// A command that only reads; `None` if it does not.
fn read(tx: &Transaction, database: usize, command: &Command) -> Result<Option<Reply>, Error> {
    let key = command.get(1).map_or(&b""[..], String::as_bytes);
    Ok(Some(match command[0].as_str() {
        "GET" => string(tx, database, key)?,
        "MGET" => {
            let each = command[1..].iter();
            let values = each.map(|key| string(tx, database, key.as_bytes()));
            Reply::Array(values.collect::<Result<_, _>>()?)
        }
        "LRANGE" => Reply::Array(elements(tx, database, key)?),
        "LLEN" => Reply::Integer(elements(tx, database, key)?.len() as i64),
        "LINDEX" => elements(tx, database, key)?.pop().unwrap_or(Reply::Null),
        "XRANGE" => Reply::Array(log(tx, database, key)?),
        "XREVRANGE" => Reply::Array(log(tx, database, key)?.pop().into_iter().collect()),
        "XLEN" => Reply::Integer(log(tx, database, key)?.len() as i64),
        "HGET" => field(tx, database, key)?,
        "HEXISTS" => Reply::Integer(i64::from(field(tx, database, key)? != Reply::Null)),
        "EXISTS" => Reply::Integer(i64::from(tx.get(database, key)?.is_some())),
        "KEYS" => keys(tx, database, &command[1])?,
        "#SCAN" => scan(tx, database, &command[1])?,
        "DBSIZE" => Reply::Integer(tx.count_keys(database)? as i64),
        _ => return Ok(None),
    }))
}

/// SET with its options; the reply is that of GET, if it is among them.
fn set(tx: &mut Transaction, database: usize, command: &Command) -> Result<Reply, Error> {
    let key = command[1].as_bytes();
    let has = |option: &str| command[3..].iter().any(|word| word == option);
    let before = string(tx, database, key)?;
    let is_there = before != Reply::Null;
    if !(has("NX") && is_there || has("XX") && !is_there) {
        let deadline = command.iter().position(|word| word == "PX").map(|at| {
            let duration_ms: u64 = command[at + 1].parse().unwrap();
            Deadline::At(tx.now_ms() + duration_ms)
        });
        let value = Value::String(StringValue::new(command[2].as_bytes()));
        tx.set(database, key, value, deadline.unwrap_or(Deadline::Never))?;
    }
    Ok(if has("GET") {
        before
    } else {
        Reply::Status("OK".into())
    })
}

fn push(tx: &mut Transaction, database: usize, command: &Command) -> Result<Reply, Error> {
    let make = || Value::List(ListValue::new());
    match tx.upsert(database, command[1].as_bytes(), make)? {
        ValueMut::List(mut list) => {
            list.push_back(command[2].as_bytes());
            Ok(Reply::Integer(list.as_ref().len() as i64))
        }
        other => panic!("{} holds {:?}", command[1], other.kind()),
    }
}

fn log_value(tx: &mut Transaction, database: usize, command: &Command) -> Result<Reply, Error> {
    let now_ms = tx.now_ms();
    let make = || Value::Stream(StreamValue::new());
    match tx.upsert(database, command[1].as_bytes(), make)? {
        ValueMut::Stream(mut stream) => {
            let last = stream.as_ref().last_id();
            let id = match last.milliseconds < now_ms {
                true => StreamId {
                    milliseconds: now_ms,
                    sequence: 0,
                },
                false => StreamId {
                    milliseconds: last.milliseconds,
                    sequence: last.sequence + 1,
                },
            };
            assert!(stream.append(id, &[(b"v", command[4].as_bytes())]));
            Ok(bulk(b"id"))
        }
        other => panic!("{} holds {:?}", command[1], other.kind()),
    }
}

/// The commands that change the field; the replies are theirs.
fn change_field(tx: &mut Transaction, database: usize, command: &Command) -> Result<Reply, Error> {
    let key = command[1].as_bytes();
    let before = field(tx, database, key)?;
    let is_there = before != Reply::Null;
    let deadline_ms = command.iter().position(|word| word == "PX");
    let deadline_ms = deadline_ms.map(|at| tx.now_ms() + command[at + 1].parse::<u64>().unwrap());
    if is_there && let Some(ValueMut::Hash(mut hash)) = tx.update(database, key)? {
        match command[0].as_str() {
            "HSETEX" => {
                hash.insert(b"f", command[command.len() - 1].as_bytes());
            }
            "HGETEX" => {}
            _ => {
                hash.remove(b"f");
            }
        }
        if let Some(deadline_ms) = deadline_ms {
            hash.set_deadline(b"f", deadline_ms);
        }
    }
    Ok(match command[0].as_str() {
        "HSETEX" | "HDEL" => Reply::Integer(i64::from(is_there)),
        _ => Reply::Array(vec![before]),
    })
}

fn expire(tx: &mut Transaction, database: usize, command: &Command) -> Result<bool, Error> {
    let key = command[1].as_bytes();
    let duration_ms: i64 = command[2].parse().unwrap();
    match u64::try_from(duration_ms) {
        Ok(duration_ms) => {
            let at_ms = tx.now_ms() + duration_ms;
            tx.set_deadline(database, key, at_ms)
        }
        Err(_) => tx.delete(database, key),
    }
}

fn write(tx: &mut Transaction, database: usize, command: &Command) -> Result<Reply, Error> {
    let key = command[1].as_bytes();
    let flag = |is: bool| Reply::Integer(i64::from(is));
    Ok(match command[0].as_str() {
        "RPUSH" => push(tx, database, command)?,
        "XADD" => log_value(tx, database, command)?,
        "HSETEX" | "HGETEX" | "HGETDEL" | "HDEL" => change_field(tx, database, command)?,
        "SET" => set(tx, database, command)?,
        "SETNX" => {
            let is_there = tx.get(database, key)?.is_some();
            if !is_there {
                let value = Value::String(StringValue::new(command[2].as_bytes()));
                tx.set(database, key, value, Deadline::Never)?;
            }
            flag(!is_there)
        }
        "DEL" => flag(tx.delete(database, key)?),
        "GETDEL" => {
            let before = string(tx, database, key)?;
            tx.delete(database, key)?;
            before
        }
        "PEXPIRE" => flag(expire(tx, database, command)?),
        "PUBLISH" => {
            tx.publish(Message {
                channel: key.into(),
                payload: command[2].as_bytes().into(),
                sharded: false,
            });
            Reply::Integer(0)
        }
        other => panic!("{other} has no place here"),
    })
}

/// Runs a program's commands in one transaction.
fn run(tx: &mut Transaction, program: &Program) -> Result<Vec<Reply>, Error> {
    let mut database = 0;
    let mut replies = Vec::new();
    for command in program.commands() {
        replies.push(if command[0] == "SELECT" {
            database = command[1].parse().unwrap();
            Reply::Status("OK".into())
        } else if let Some(reply) = read(tx, database, &command)? {
            reply
        } else {
            write(tx, database, &command)?
        });
    }
    Ok(replies)
}

impl Connection<'_> {
    pub(crate) fn embedded(&mut self, program: &Program) -> Ran {
        let store = &self.server.services.store;
        let replies = store.transaction(|tx| run(tx, program));
        store.merge_effects();
        Ran::Replies(replies.unwrap())
    }

    pub(crate) fn embedded_exclusive(&mut self, program: &Program) -> Ran {
        let store = &self.server.services.store;
        let replies = store.exclusive(|tx| run(tx, program));
        store.merge_effects();
        Ran::Replies(replies.unwrap())
    }

    /// As often as it takes, each time once.
    pub(crate) fn embedded_once(&mut self, program: &Program) -> Ran {
        let store = &self.server.services.store;
        let replies = Self::again(|| match store.try_transaction(|tx| run(tx, program)) {
            Ok(replies) => Some(replies),
            Err(TryError::Conflict(_)) => None,
            Err(TryError::Body(error)) => panic!("{error}"),
        });
        store.merge_effects();
        replies.map_or(Ran::Aborted, Ran::Replies)
    }

    /// The closure's error ends the transaction without a trace.
    pub(crate) fn embedded_failing(&mut self, program: &Program) -> Ran {
        let store = &self.server.services.store;
        let failed = store.transaction(|tx| {
            run(tx, program)?;
            Err::<(), Error>(Error::NoSuchDatabase(usize::MAX))
        });
        assert_eq!(failed, Err(Error::NoSuchDatabase(usize::MAX)));
        Ran::Aborted
    }

    /// Takes a snapshot, to be read when its client has done other things.
    pub(crate) fn hold_snapshot(&mut self, program: &Program) -> Ran {
        let snapshot = self.server.services.store.snapshot();
        let taken_ns = (self.invoked_ns(), self.now_ns());
        self.held.push(Held {
            program: program.clone(),
            snapshot,
            taken_ns,
        });
        if self.held.len() > HELD_MAX {
            self.read_held();
        }
        Ran::Recorded
    }

    /// Reads in the oldest snapshot that is held. `false` if there is none.
    pub(crate) fn read_held(&mut self) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let held = self.held.remove(0);
        let mut database = 0;
        let mut replies = Vec::new();
        for command in held.program.commands() {
            replies.push(if command[0] == "SELECT" {
                database = command[1].parse().unwrap();
                Reply::Status("OK".into())
            } else {
                // Each by itself: nothing but its number holds the snapshot together.
                let reply = held.snapshot.read(|tx| read(tx, database, &command));
                reply.unwrap().unwrap()
            });
        }
        self.record(&held.program, held.taken_ns, &Ran::Replies(replies));
        true
    }
}
