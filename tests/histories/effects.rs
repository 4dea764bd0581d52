//! Those who are told of transactions: subscribers, and clients that block until there is
//! something to take. Each writes down whom it was told of, in order.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{Scope, ScopedJoinHandle};

use crate::history::Witness;
use crate::operations::QUEUES;
use crate::support::client::{Client, Reply};

const END: &str = "end";

/// What a witness is told last, and what the commands say that tell it.
pub(crate) fn payload(window: u32, what: impl std::fmt::Display) -> String {
    format!("{window}:{what}")
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("not a text: {other:?}"),
    }
}

/// Collects until the end comes. What is said of an earlier window came too late to count.
struct Listener {
    window: u32,
    ids: Vec<u32>,
}

impl Listener {
    fn new(window: u32) -> Listener {
        Listener {
            window,
            ids: Vec::new(),
        }
    }

    /// `false` when it was the end.
    fn hear(&mut self, payload: &str) -> bool {
        let (window, what) = payload.split_once(':').unwrap();
        if window != self.window.to_string() {
            return true;
        }
        if what == END {
            return false;
        }
        self.ids.push(what.parse().unwrap());
        true
    }
}

/// What a notification's key begins with.
const TOLD: &str = "told:";

fn subscribe(mut client: Client, window: u32) -> Vec<u32> {
    let mut listener = Listener::new(window);
    loop {
        let message = text(client.read().elements().last().unwrap());
        if !listener.hear(message.strip_prefix(TOLD).unwrap_or(&message)) {
            return listener.ids;
        }
    }
}

fn pop(mut client: Client, window: u32, queue: &str) -> Vec<u32> {
    let mut listener = Listener::new(window);
    loop {
        let popped = client.call(&["BLPOP", queue, "0"]).elements();
        if !listener.hear(&text(&popped[1])) {
            return listener.ids;
        }
    }
}

fn follow_stream(mut client: Client, window: u32) -> Vec<u32> {
    let mut listener = Listener::new(window);
    let mut last = "0".to_owned();
    loop {
        let read = client.call(&["XREAD", "BLOCK", "0", "STREAMS", "stream", &last]);
        let stream = read.elements().remove(0).elements().remove(1);
        for entry in stream.elements() {
            let entry = entry.elements();
            last = text(&entry[0]);
            if !listener.hear(&text(&entry[1].clone().elements()[1])) {
                return listener.ids;
            }
        }
    }
}

/// Those who listen in one window.
pub(crate) struct Witnesses<'scope> {
    address: SocketAddr,
    window: u32,
    threads: Vec<(usize, String, ScopedJoinHandle<'scope, Vec<u32>>)>,
}

impl<'scope> Witnesses<'scope> {
    /// Returns when every subscriber is subscribed.
    pub(crate) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        address: SocketAddr,
        window: u32,
    ) -> Witnesses<'scope> {
        let mut threads = Vec::new();
        let (ready, is_ready) = mpsc::channel();
        let subscriptions = [
            (0, "SUBSCRIBE", "news"),
            (0, "PSUBSCRIBE", "n*s"),
            (2 + QUEUES, "SUBSCRIBE", "__keyevent@0__:sadd"),
        ];
        for (number, subscription, channel) in subscriptions {
            let ready = ready.clone();
            let thread = scope.spawn(move || {
                let mut client = Client::connect(address);
                assert!(client.call(&[subscription, channel]).is_aggregate());
                ready.send(()).unwrap();
                subscribe(client, window)
            });
            threads.push((number, format!("{subscription} {channel}"), thread));
        }
        for queue in 0..QUEUES {
            let name = format!("queue:{queue}");
            let told = format!("BLPOP {name}");
            let thread = scope.spawn(move || pop(Client::connect(address), window, &name));
            threads.push((1 + queue, told, thread));
        }
        let thread = scope.spawn(move || follow_stream(Client::connect(address), window));
        threads.push((1 + QUEUES, "XREAD stream".into(), thread));
        for _ in subscriptions {
            is_ready.recv().unwrap();
        }
        Witnesses {
            address,
            window,
            threads,
        }
    }

    /// What each was told up to now.
    pub(crate) fn end(self) -> Vec<Witness> {
        let mut client = Client::connect(self.address);
        let end = payload(self.window, END);
        client.call(&["PUBLISH", "news", &end]);
        for queue in 0..QUEUES {
            client.call(&["RPUSH", &format!("queue:{queue}"), &end]);
        }
        client.call(&["XADD", "stream", "*", "t", &end]);
        client.call(&["SADD", &format!("{TOLD}{end}"), "x"]);
        let threads = self.threads.into_iter();
        threads
            .map(|(channel, name, thread)| Witness {
                channel,
                ids: thread
                    .join()
                    .unwrap_or_else(|_| panic!("{name} has not been told of the end")),
                name,
            })
            .collect()
    }
}
