//! CONFIG: what it takes, refuses and shows.

use crate::support::check::compare_lines;

#[test]
fn numbers_are_refused_as_by_redis() {
    compare_settings(&[
        ("timeout", "x '' -1 007 +7 5 2147483648", "0"),
        ("tcp-keepalive", "x -1 9 99999999999999999999", "300"),
        ("maxclients", "x -1 0 007 4294967296", "10000"),
        ("latency-tracking", "x '' no YES", "yes"),
        (
            "latency-tracking-info-percentiles",
            "'50 x' '50 101' -1 '' 5 '0.0 50.0 100.0' '99.990 1'",
            "'50 99 99.9'",
        ),
        ("lua-time-limit", "x -1 0 7 9223372036854775808", "5000"),
        ("slowlog-max-len", "x -1 0 9223372036854775808", "128"),
        ("slowlog-log-slower-than", "x -2 -1 007", "10000"),
        ("latency-monitor-threshold", "x -1 1.5 5", "0"),
        ("proto-max-bulk-len", "x 0 1mb 1048575", "512mb"),
    ]);
}

#[test]
fn options_without_a_meaning_take_what_redis_takes() {
    compare_settings(&[
        ("rdbcompression", "x '' YES No 1", "yes"),
        (
            "hz",
            "x '' -1 0x10 007 +7 2147483648 99999999999999999999 1.5 0 501 500",
            "10",
        ),
        ("list-max-ziplist-size", "-2147483649 -5 5k", "-2"),
        ("list-max-listpack-size", "-2147483649 -5 5k", "-2"),
        (
            "stream-node-max-entries",
            "-1 9223372036854775807 9223372036854775808",
            "100",
        ),
        (
            "client-query-buffer-limit",
            "1 1mb 2MB 1tb -1 1.5mb 99999999999999999999",
            "1gb",
        ),
        ("hash-max-ziplist-value", "'' k 1k 1KB -1", "64"),
        ("repl-backlog-size", "0 1 16383 1mb", "2mb"),
        ("appendfsync", "yes Always ''", "everysec"),
        (
            "shutdown-on-sigint",
            "'force now' 'save nosave' '' 'x now' DEFAULT",
            "default",
        ),
        ("cluster-announce-hostname", "a.b-c a_b 'a b'", "''"),
        (
            "oom-score-adj-values",
            "'' '0 1' '0 1 2001' 'a b c' '1 2 3'",
            "'0 200 800'",
        ),
        (
            "latency-tracking-info-percentiles",
            "'' x 101 '0 100'",
            "'50 99 99.9'",
        ),
        ("slave-read-only", "x no", "yes"),
        ("min-slaves-to-write", "x 1", "0"),
        ("appendonly", "x 1", "no"),
        ("tls-port", "x 65536", "0"),
        ("dbfilename", "x", "x"),
        ("daemonize", "x yes no", "no"),
        ("io-threads", "2", "1"),
        ("unixsocketperm", "777", "0"),
    ]);
}

#[test]
fn names_are_shown_as_they_were_asked_for() {
    let lines = [
        "CONFIG GET HZ; CONFIG GET Hz hZ; CONFIG GET H[z]",
        "CONFIG GET Maxmemory-Policy; CONFIG GET nonsense",
        "CONFIG SET hz 10 timeout; CONFIG SET hz; CONFIG SET hz 10 HZ 10",
    ];
    compare_lines(&lines.map(str::to_owned), &["HELLO 2"]);
}

/// Compares what becomes of options that are set to these values, each with what it is set back to.
fn compare_settings(settings: &[(&str, &str, &str)]) {
    let mut lines = Vec::new();
    for (name, values, before) in settings {
        let values = crate::support::line::parse(values);
        for value in &values[0] {
            let value = String::from_utf8_lossy(value);
            lines.push(format!(
                "CONFIG SET {name} '{value}'; CONFIG GET {name}; CONFIG SET {name} {before}"
            ));
        }
    }
    compare_lines(&lines, &["HELLO 2"]);
}
