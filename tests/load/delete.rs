//! Values of ten million elements that are deleted.

use std::time::{Duration, Instant};

use crate::measure::{Probe, comes_true, info, mebibytes, row};
use crate::support::client::{Client, encode};
use crate::support::process::Process;

const ELEMENTS: usize = 10_000_000;
const PER_COMMAND: usize = 500;
/// Commands whose replies are not waited for one by one.
const COMMANDS_AT_ONCE: usize = 20;
/// What a deletion may add to others' longest wait.
const STALL_MAX: Duration = Duration::from_millis(1);
/// For so long the system may leave a thread without a processor, whatever others do.
const NOISE: Duration = Duration::from_millis(5);
const BEFORE: Duration = Duration::from_secs(3);
/// Until what was deleted has been freed.
const FREED: Duration = Duration::from_secs(60);
const FREED_SHARE: u64 = 20;

/// A type, and the words that make its element of a number.
type Kind = (&'static str, &'static str, fn(usize) -> Vec<String>);

const KINDS: &[Kind] = &[
    ("list", "RPUSH", |number| {
        vec![format!("element:{number:08}")]
    }),
    ("set", "SADD", |number| vec![format!("element:{number:08}")]),
    ("hash", "HSET", |number| {
        vec![format!("field:{number:08}"), "value".into()]
    }),
    ("sorted set", "ZADD", |number| {
        vec![number.to_string(), format!("element:{number:08}")]
    }),
];

fn fill(client: &mut Client, (_, command, element): &Kind) {
    let numbers: Vec<usize> = (0..ELEMENTS).collect();
    for some in numbers.chunks(PER_COMMAND * COMMANDS_AT_ONCE) {
        let mut bytes = Vec::new();
        for numbers in some.chunks(PER_COMMAND) {
            let begin = [command.to_string(), "large".into()];
            let words = begin
                .into_iter()
                .chain(numbers.iter().flat_map(|n| element(*n)));
            bytes.extend(encode(&words.collect::<Vec<_>>()));
        }
        client.send_bytes(&bytes);
        for _ in some.chunks(PER_COMMAND) {
            assert!(!client.read().render().starts_with("ERR"), "{command}");
        }
    }
}

#[test]
#[ignore = "load: `just load delete`"]
fn delete() {
    let text = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1e3);
    row(&[
        "type",
        "takes",
        "DEL",
        "freed in",
        "p99 before",
        "max",
        "p99 then",
        "max",
    ]);
    for kind in KINDS {
        let server = Process::start(&[], &[]);
        let mut client = Client::connect(server.address);
        let used = |client: &mut Client| info(client, "memory", "used_memory");
        let empty_bytes = used(&mut client);
        fill(&mut client, kind);
        let bytes = used(&mut client) - empty_bytes;
        let probe = Probe::start(server.address);
        std::thread::sleep(BEFORE);
        let mut before = probe.stop();
        let probe = Probe::start(server.address);
        let begin = Instant::now();
        assert_eq!(client.run("DEL large").render(), "1");
        let deleted = begin.elapsed();
        let is_freed = comes_true(FREED, || {
            used(&mut client).saturating_sub(empty_bytes) < bytes / FREED_SHARE
        });
        let freed = begin.elapsed();
        let mut during = probe.stop();
        row(&[
            kind.0,
            &mebibytes(bytes),
            &text(deleted),
            &text(freed),
            &text(before.percentile(99)),
            &text(before.max()),
            &text(during.percentile(99)),
            &text(during.max()),
        ]);
        assert!(is_freed, "{} bytes are left", used(&mut client));
        let allowed = before.max().max(NOISE) + STALL_MAX;
        assert!(during.max() <= allowed, "{}", kind.0);
    }
}
