//! One window of a run: all clients begin and end together, on keys that nobody uses before or
//! after, so that a run of any length takes bounded memory to check.

use std::collections::BTreeSet;
use std::thread;
use std::time::Instant;

use darter_storage::{Snapshot, ValueRef, prefix_end};

use crate::connection::Connection;
use crate::effects::Witnesses;
use crate::embedded::logged;
use crate::generator::{Generator, Program, Window};
use crate::history::{
    ABSENT, BORN, Event, Family, GONE, History, Object, Outcome, Transaction, Value,
};
use crate::scripts;
use crate::support::client::{Client, Reply, encode};
use crate::support::server::Server;

/// The id of the final read, which no program has.
const FINAL_ID: u32 = u32::MAX;

fn set_up(server: &Server, window: Window) {
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("FLUSHALL"), Reply::Status("OK".into()));
    // Of commands on sets: nobody but the programs that tell others uses any.
    let notifies = client.run("CONFIG SET notify-keyspace-events Es");
    assert_eq!(notifies, Reply::Status("OK".into()));
    scripts::load(&mut client);
    let born = BORN.to_string();
    let mortals: Vec<Object> = window.mortals().collect();
    for some in mortals.chunks(1000) {
        let key = |object: &Object| Program::key_of(window.number, *object);
        let bytes: Vec<u8> = some
            .iter()
            .flat_map(|object| match object.family {
                Family::Field if object.slot % 2 == 1 => {
                    encode(&["HMSET", &key(object), "f", &born, "more", "x"])
                }
                Family::Field => encode(&["HMSET", &key(object), "f", &born]),
                _ => encode(&["SET", &key(object), &born]),
            })
            .collect();
        client.send_bytes(&bytes);
        for _ in some {
            assert_eq!(client.read(), Reply::Status("OK".into()));
        }
    }
}

/// Runs a window; what all its clients and witnesses saw.
pub(crate) fn run(server: &Server, window: Window) -> History {
    set_up(server, window);
    let clock = Instant::now();
    thread::scope(|scope| {
        let witnesses = Witnesses::start(scope, server.address, window.number);
        let clients: Vec<_> = (0..window.clients)
            .map(|number| {
                scope.spawn(move || {
                    let mut connection = Connection::new(server, number, clock);
                    for program in Generator::new(window, number) {
                        connection.run(&program);
                    }
                    connection.into_recorded()
                })
            })
            .collect();
        let mut history = History::default();
        for client in clients {
            let recorded = client.join().unwrap_or_else(|_| panic!("a client failed"));
            history.transactions.extend(recorded);
        }
        history.final_read = Some(history.transactions.len());
        let last = final_read(server, window, clock, &history);
        history.transactions.push(last);
        history.witnesses = witnesses.end();
        history
    })
}

fn objects_of(history: &History) -> BTreeSet<Object> {
    let events = history.transactions.iter().flat_map(|t| &t.events);
    events
        .filter_map(|event| match event {
            Event::Append { object, .. }
            | Event::Add { object, .. }
            | Event::Write { object, .. }
            | Event::MayExpire { object } => Some(*object),
            _ => None,
        })
        .collect()
}

fn number(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).unwrap().parse().unwrap()
}

/// Reads all that was written, in one snapshot: a program whose end nobody knows is in it with all
/// that it wrote, or with nothing.
fn final_read(server: &Server, window: Window, clock: Instant, history: &History) -> Transaction {
    let invoked_ns = u64::try_from(clock.elapsed().as_nanos()).unwrap();
    let snapshot = server.services.store.snapshot();
    let completed_ns = u64::try_from(clock.elapsed().as_nanos()).unwrap();
    let objects = objects_of(history);
    let read = |object: &Object| read_object(&snapshot, window.number, *object);
    Transaction {
        id: FINAL_ID,
        client: window.clients,
        mode: "final read",
        invoked_ns,
        completed_ns,
        outcome: Outcome::Committed,
        events: objects.iter().map(read).collect(),
    }
}

fn read_object(snapshot: &Snapshot, window: u32, object: Object) -> Event {
    let key = Program::key_of(window, object);
    let string = |key: &str| snapshot.get(key).unwrap().map(|bytes| number(&bytes));
    match object.family {
        Family::List => {
            let view = |value: Option<ValueRef<'_>>| match value {
                Some(ValueRef::List(list)) => list.iter_from(0).map(number).collect(),
                _ => Box::default(),
            };
            let values = snapshot.view(&key, view).unwrap();
            Event::Read { object, values }
        }
        Family::Log => {
            let view = |value: Option<ValueRef<'_>>| match value {
                Some(ValueRef::Stream(stream)) => logged(stream).map(number).collect(),
                _ => Box::default(),
            };
            let values = snapshot.view(&key, view).unwrap();
            Event::Read { object, values }
        }
        Family::Field => {
            let view = |value: Option<ValueRef<'_>>| match value {
                Some(ValueRef::Hash(hash)) => hash.get(b"f").map(number),
                _ => None,
            };
            Event::State {
                object,
                state: snapshot.view(&key, view).unwrap().unwrap_or(GONE),
                companion: None,
            }
        }
        Family::Keys | Family::Count => {
            let database = usize::from(object.family == Family::Count);
            let until = prefix_end(key.as_bytes());
            let found =
                snapshot.read(|tx| tx.keys(database, key.as_bytes(), until.as_deref(), usize::MAX));
            let member = |name: &[u8]| number(&name[key.len()..]);
            let values = found.unwrap().iter().map(|name| member(name)).collect();
            Event::Read { object, values }
        }
        Family::Cell => Event::State {
            object,
            state: string(&key).unwrap_or(ABSENT),
            companion: None,
        },
        Family::Mortal => Event::State {
            object,
            state: string(&key).unwrap_or(GONE),
            companion: None,
        },
        Family::Pair => {
            let companion = string(&format!("{key}g")).unwrap_or(ABSENT);
            Event::State {
                object,
                state: string(&key).unwrap_or(companion),
                companion: Some(companion),
            }
        }
    }
}
