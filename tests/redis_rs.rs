//! redis-rs against the server: connections, scripts, the rate limiter and the lock, 16 clients at
//! once.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a test's client fails the test"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use darter::config::Config;
use darter::server::{Listen, Server};
use darter::services::Services;
use redis::{AsyncCommands, Client, Commands, Script};

const CLIENTS: usize = 16;

const LIMITER: &str = "redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ARGV[1] - ARGV[2]) \
    if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[3]) then \
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[4]) return 1 end return 0";

const ACQUIRE: &str = "if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then \
    return redis.call('INCR', KEYS[2]) end return 0";

const RELEASE: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then \
    return redis.call('DEL', KEYS[1]) end return 0";

fn with_server(test: impl FnOnce(&Client)) {
    let listen = Listen {
        addresses: vec!["127.0.0.1:0".parse().unwrap()],
        ..Listen::default()
    };
    let server = Server::start(Services::new(Config::new(16, 2)), &listen).unwrap();
    let client = Client::open(format!("redis://{}/", server.addresses()[0])).unwrap();
    test(&client);
    server.stop();
}

#[test]
fn the_rate_limiter_never_grants_one_too_many() {
    with_server(|client| {
        let granted = AtomicUsize::new(0);
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let granted = &granted;
                scope.spawn(move || {
                    let mut connection = client.get_connection().unwrap();
                    let script = Script::new(LIMITER);
                    for turn in 0..25 {
                        let is_granted: bool = script
                            .key("limit")
                            .arg(1_000_000 + turn)
                            .arg(60_000)
                            .arg(50)
                            .arg(format!("{number}:{turn}"))
                            .invoke(&mut connection)
                            .unwrap();
                        granted.fetch_add(usize::from(is_granted), Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(granted.load(Ordering::SeqCst), 50);
    });
}

#[test]
fn the_lock_has_one_holder_and_rising_tokens() {
    with_server(|client| {
        let (is_held, last) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (is_held, last) = (&is_held, &last);
                scope.spawn(move || {
                    let mut connection = client.get_connection().unwrap();
                    let (acquire, release) = (Script::new(ACQUIRE), Script::new(RELEASE));
                    for _ in 0..5 {
                        let token = loop {
                            let token: usize = acquire
                                .key(&["lock", "fence"])
                                .arg(number)
                                .arg(30_000)
                                .invoke(&mut connection)
                                .unwrap();
                            if token > 0 {
                                break token;
                            }
                            thread::yield_now();
                        };
                        assert!(!is_held.swap(true, Ordering::SeqCst), "two hold the lock");
                        assert_eq!(last.swap(token, Ordering::SeqCst) + 1, token);
                        is_held.store(false, Ordering::SeqCst);
                        let released: usize = release
                            .key("lock")
                            .arg(number)
                            .invoke(&mut connection)
                            .unwrap();
                        assert_eq!(released, 1);
                    }
                });
            }
        });
        assert_eq!(last.load(Ordering::SeqCst), CLIENTS * 5);
    });
}

#[test]
fn pipelines_and_transactions_are_answered() {
    with_server(|client| {
        let mut connection = client.get_connection().unwrap();
        let (first, second): (i64, i64) = redis::pipe()
            .atomic()
            .incr("n", 1)
            .incr("n", 2)
            .query(&mut connection)
            .unwrap();
        assert_eq!((first, second), (1, 3));
        let next = redis::transaction(&mut connection, &["n"], |connection, pipe| {
            let n: i64 = connection.get("n")?;
            pipe.set("n", n + 1).ignore().get("n").query(connection)
        });
        assert_eq!(next, Ok((4_i64,)));
    });
}

#[test]
fn an_asynchronous_connection_manager_reconnects_and_multiplexes() {
    with_server(|client| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let manager = client.get_connection_manager().await.unwrap();
            let mut others = Vec::new();
            for _ in 0..CLIENTS {
                let mut own = manager.clone();
                others.push(tokio::spawn(async move {
                    for _ in 0..50 {
                        let _: i64 = own.incr("n", 1).await.unwrap();
                    }
                }));
            }
            for other in others {
                other.await.unwrap();
            }
            let mut own = manager.clone();
            assert_eq!(own.get::<_, i64>("n").await, Ok(CLIENTS as i64 * 50));
            let sum: i64 = Script::new("return ARGV[1] + ARGV[2]")
                .arg(1)
                .arg(2)
                .invoke_async(&mut own)
                .await
                .unwrap();
            assert_eq!(sum, 3);
        });
    });
}
