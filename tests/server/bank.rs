//! I1 over sockets: money moves by every road at once, and every auditor finds the same sum.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use darter_storage::Error;

use crate::support::client::{Client, Reply};
use crate::support::server::Server;

const ACCOUNTS: u64 = 16;
const BALANCE: i64 = 1000;
const TRANSFERS: u64 = 300;

fn account(number: u64) -> String {
    format!("account:{}", number % ACCOUNTS)
}

const TRANSFER: &str = "redis.call('DECRBY', KEYS[1], 1) redis.call('INCRBY', KEYS[2], 1) return 1";

/// One road that money takes from one account to another.
type Road = fn(&mut Client, &Server, &str, &str);

const ROADS: &[Road] = &[
    |client, _, from, to| {
        client.run("MULTI");
        client.run(&format!("DECRBY {from} 1"));
        client.run(&format!("INCRBY {to} 1"));
        assert!(client.run("EXEC").is_aggregate());
    },
    |client, _, from, to| loop {
        client.run(&format!("WATCH {from} {to}"));
        let balance = |reply: Reply| reply.render().trim_matches('\'').parse::<i64>().unwrap();
        let from_balance = balance(client.run(&format!("GET {from}")));
        let to_balance = balance(client.run(&format!("GET {to}")));
        client.run("MULTI");
        client.run(&format!("SET {from} {}", from_balance - 1));
        client.run(&format!("SET {to} {}", to_balance + 1));
        if client.run("EXEC") != Reply::Null {
            break;
        }
    },
    |client, _, from, to| {
        assert_eq!(
            client.call(&["EVAL", TRANSFER, "2", from, to]),
            Reply::Integer(1)
        );
    },
    |client, _, from, to| {
        let body = format!("#!lua flags=allow-undeclared-keys\n{TRANSFER}");
        assert_eq!(
            client.call(&["EVAL", &body, "2", from, to]),
            Reply::Integer(1)
        );
    },
    |client, _, from, to| {
        client.run("MULTI");
        client.call(&["EVAL", TRANSFER, "2", from, to]);
        assert_eq!(client.run("EXEC").render(), "[1]");
    },
    |_, server, from, to| {
        let result = server.services.store.transaction(|tx| {
            let balance = tx.integer(0, from.as_bytes())?.unwrap_or(0);
            tx.set_integer(0, from.as_bytes(), balance - 1)?;
            let balance = tx.integer(0, to.as_bytes())?.unwrap_or(0);
            tx.set_integer(0, to.as_bytes(), balance + 1)
        });
        result.unwrap_or_else(|error: Error| panic!("{error}"));
    },
    // Single commands that change nothing in sum.
    |client, _, from, _| {
        client.run(&format!("INCRBY {from} 0"));
    },
];

fn sum(reply: Reply) -> i64 {
    reply
        .elements()
        .iter()
        .map(|balance| balance.render().trim_matches('\'').parse::<i64>().unwrap())
        .sum()
}

#[test]
fn i1_every_sum_is_right_by_every_road() {
    let server = Server::start();
    let server = &server;
    let names: Vec<String> = (0..ACCOUNTS).map(account).collect();
    let mut client = Client::connect(server.address);
    for name in &names {
        client.run(&format!("SET {name} {BALANCE}"));
    }
    let (is_over, audits) = (AtomicBool::new(false), AtomicU64::new(0));
    let expected = ACCOUNTS as i64 * BALANCE;
    let all = names.join(" ");
    thread::scope(|scope| {
        let workers: Vec<_> = ROADS
            .iter()
            .enumerate()
            .map(|(number, road)| {
                scope.spawn(move || {
                    let mut client = Client::connect(server.address);
                    for turn in 0..TRANSFERS {
                        let from = number as u64 * 5 + turn * 7;
                        let to = from + 1 + turn % (ACCOUNTS - 1);
                        road(&mut client, server, &account(from), &account(to));
                    }
                })
            })
            .collect();
        let audit = "local sum = 0 for _, key in ipairs(KEYS) do \
                     sum = sum + redis.call('GET', key) end return sum";
        type Audit<'a> = Box<dyn Fn(&mut Client) -> i64 + Send + 'a>;
        let auditors: [Audit<'_>; 3] = [
            Box::new(|client| sum(client.run(&format!("MGET {all}")))),
            Box::new(|client| {
                let line = format!("2 {all}");
                let mut arguments = vec!["EVAL_RO", audit, "16"];
                arguments.extend(line.split(' ').skip(1));
                sum(client.call(&arguments))
            }),
            Box::new(|_| {
                let snapshot = server.services.store.snapshot();
                names
                    .iter()
                    .map(|name| snapshot.read(|tx| tx.integer(0, name.as_bytes())))
                    .map(|balance| balance.unwrap().unwrap())
                    .sum()
            }),
        ];
        let auditors: Vec<_> = auditors
            .into_iter()
            .map(|audit| {
                let (is_over, audits) = (&is_over, &audits);
                scope.spawn(move || {
                    let mut client = Client::connect(server.address);
                    while !is_over.load(Ordering::Relaxed) {
                        assert_eq!(audit(&mut client), expected);
                        audits.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok), "a road failed");
        assert!(
            auditors.into_iter().all(|auditor| auditor.join().is_ok()),
            "an audit failed"
        );
    });
    assert!(audits.load(Ordering::Relaxed) > 0);
    assert_eq!(sum(client.run(&format!("MGET {all}"))), expected);
}
