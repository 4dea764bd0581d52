//! SLOWLOG and LATENCY: what took long, and nothing else.

use crate::support::check::compare;
use crate::support::client::{Client, Reply};
use crate::support::server::Server;

/// Works for many milliseconds, in several slices.
const LONG: &str = "local n = 0 for i = 1, 5000000 do n = n + i % 7 end return #KEYS";

fn arguments(entry: &Reply) -> String {
    let arguments = entry.clone().elements()[3].clone().elements();
    let texts = arguments.into_iter().map(|argument| match argument {
        Reply::Bulk(bytes) => String::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    });
    texts.collect::<Vec<_>>().join(" ")
}

fn elapsed_us(entry: &Reply) -> u64 {
    entry.clone().elements()[2].render().parse().unwrap()
}

#[test]
fn the_slow_log_has_what_took_long() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("CLIENT SETNAME me");
    client.run("CONFIG SET slowlog-log-slower-than 5000");
    assert_eq!(client.run("BLPOP nothing 0.2").render(), "nil");
    assert_eq!(client.call(&["EVAL", LONG, "1", "k"]).render(), "1");
    let entries = client.run("SLOWLOG GET").elements();
    // Newest first.
    assert_eq!(arguments(&entries[0]), format!("EVAL {LONG} 1 k"));
    assert!(elapsed_us(&entries[0]) >= 5000, "{entries:?}");
    let fields = entries[0].clone().elements();
    let info = client.run("CLIENT INFO").render();
    assert!(
        info.contains(&format!("addr={} ", fields[4].render())),
        "{info}"
    );
    assert_eq!(fields[5].render(), "me");
    for entry in &entries[1..] {
        assert!(
            elapsed_us(entry) < 200_000,
            "waiting is not working: {entry:?}"
        );
    }
    assert_eq!(
        client.run("CONFIG SET slowlog-log-slower-than -1").render(),
        "OK"
    );
    assert_eq!(client.run("SLOWLOG RESET").render(), "OK");
    assert_eq!(client.run("SLOWLOG GET").render(), "[]");
}

#[test]
fn the_slow_log_has_everything_if_it_is_told_so_and_is_bounded() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("CONFIG SET slowlog-max-len 5 slowlog-log-slower-than 0");
    for line in ["SET k v", "MULTI", "INCR n", "EXEC", "AUTH secret"] {
        client.run(line);
    }
    let entries = client.run("SLOWLOG GET -1").elements();
    let shown: Vec<String> = entries.iter().map(arguments).collect();
    let expected = ["AUTH (redacted)", "EXEC", "INCR n", "MULTI", "SET k v"];
    assert_eq!(shown, expected, "run, not queued");
    assert_eq!(client.run("SLOWLOG GET 2").elements().len(), 2);
    client.run("CONFIG SET slowlog-log-slower-than -1");
    client.run("SLOWLOG RESET");
    client.run("GET k");
    assert_eq!(client.run("SLOWLOG LEN").render(), "0");
    let error = "(ERR count should be greater than or equal to -1)";
    assert_eq!(client.run("SLOWLOG GET -2").render(), error);
}

/// Its reply is sent piece by piece, after the command has given its thread back.
#[test]
fn the_slow_log_has_the_key_of_a_large_string() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.call(&[&b"SET"[..], b"large", &vec![b'x'; 4 << 20]]);
    client.run("CONFIG SET slowlog-log-slower-than 0");
    assert_eq!(client.run("GET large").render().len(), 4 << 20);
    let entries = client.run("SLOWLOG GET 1").elements();
    assert_eq!(arguments(&entries[0]), "GET large");
}

#[test]
fn latency_has_the_worst_of_each_event() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    assert!(
        client
            .run("LATENCY DOCTOR")
            .render()
            .contains("latency-monitor-threshold")
    );
    client.run("CONFIG SET latency-monitor-threshold 2");
    assert_eq!(client.run("LATENCY HISTORY script").render(), "[]");
    let error = "(ERR No samples available for event 'script')";
    assert_eq!(client.run("LATENCY GRAPH script").render(), error);
    client.call(&["EVAL", LONG, "1", "k"]);
    let latest = client.run("LATENCY LATEST").elements();
    let events = latest.into_iter().map(Reply::elements);
    let event = events
        .into_iter()
        .find(|event| event[0].render() == "script")
        .unwrap();
    let most_ms: u64 = event[3].render().parse().unwrap();
    assert!(most_ms >= 2, "{event:?}");
    assert_eq!(client.run("LATENCY HISTORY script").elements().len(), 1);
    let graph = client.run("LATENCY GRAPH script").render();
    assert!(
        graph.contains(&format!("(all time high {most_ms} ms)")),
        "{graph}"
    );
    assert!(
        client
            .run("LATENCY DOCTOR")
            .render()
            .contains("script: 1 seconds")
    );
    assert_eq!(client.run("LATENCY RESET nonsense").render(), "0");
    assert_eq!(client.run("LATENCY RESET script").render(), "1");
    assert_eq!(client.run("LATENCY HISTORY script").render(), "[]");
}

#[test]
fn latency_has_a_histogram_of_each_command() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for line in [
        "SET k v",
        "SET k w",
        "CONFIG GET timeout",
        "MULTI",
        "SET k x",
        "EXEC",
    ] {
        client.run(line);
    }
    let histogram = client
        .run("LATENCY HISTOGRAM set config nonsense")
        .elements();
    let calls = |at: usize| histogram[at].clone().elements()[1].render();
    assert_eq!(
        (&*histogram[0].render(), &*calls(1)),
        ("set", "3"),
        "run, not queued"
    );
    assert_eq!((&*histogram[2].render(), &*calls(3)), ("config|get", "1"));
    let buckets = histogram[1].clone().elements()[3].clone().elements();
    assert_eq!(
        buckets.last().unwrap().render(),
        "3",
        "each with those before it"
    );
    assert_eq!(client.run("LATENCY HISTOGRAM nonsense").render(), "[]");
}

#[test]
fn slowlog_get_refuses_as_redis_does() {
    compare(
        "SLOWLOG GET x; SLOWLOG GET -2; SLOWLOG GET 1 2; SLOWLOG GET 9999999999999999999999; SLOWLOG GET ''",
    );
}
