//! A host and a reply sink for tests of the script engine.

use std::collections::HashMap;
use std::sync::Arc;

use darter::resp::reply::{Mark, Reply};
use darter::script::{
    CallContext, Called, Engine, Host, Kind, Limits, LogLevel, Run, Script, Step,
};

/// Writes a reply as words, aggregates before their elements: `*2 :1 $text`.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) words: Vec<String>,
    pub(crate) protocol: u8,
}

impl Recorder {
    fn add(&mut self, kind: char, bytes: &[u8]) {
        self.words
            .push(format!("{kind}{}", String::from_utf8_lossy(bytes)));
    }
}

fn on_one_line(text: &[u8]) -> Vec<u8> {
    let is_end = |byte: u8| matches!(byte, b'\r' | b'\n');
    let bytes = text.iter();
    bytes
        .map(|byte| if is_end(*byte) { b' ' } else { *byte })
        .collect()
}

impl Reply for Recorder {
    fn integer(&mut self, value: i64) {
        self.add(':', value.to_string().as_bytes());
    }
    fn bulk(&mut self, bytes: &[u8]) {
        self.add('$', bytes);
    }
    fn bulk_start(&mut self, _length: usize) {
        self.add('$', b"");
    }
    fn bulk_part(&mut self, bytes: &[u8], _is_last: bool) {
        self.words
            .last_mut()
            .expect("bulk_start came first")
            .push_str(&String::from_utf8_lossy(bytes));
    }
    fn status_bytes(&mut self, text: &[u8]) {
        self.add('+', &on_one_line(text));
    }
    fn error(&mut self, text: &[u8]) {
        self.add('-', &on_one_line(text));
    }
    fn null(&mut self) {
        self.add('_', b"");
    }
    fn null_array(&mut self) {
        self.add('_', b"");
    }
    fn array(&mut self, length: usize) {
        self.add('*', length.to_string().as_bytes());
    }
    fn map(&mut self, pairs: usize) {
        self.add('%', pairs.to_string().as_bytes());
    }
    fn set(&mut self, length: usize) {
        self.add('~', length.to_string().as_bytes());
    }
    fn push(&mut self, length: usize) {
        self.add('>', length.to_string().as_bytes());
    }
    fn double(&mut self, value: f64) {
        self.add(',', value.to_string().as_bytes());
    }
    fn double_text(&mut self, _: f64, text: &str) {
        self.add(',', text.as_bytes());
    }
    fn boolean(&mut self, value: bool) {
        self.add('#', if value { b"t" } else { b"f" });
    }
    fn big_number(&mut self, digits: &str) {
        self.add('(', digits.as_bytes());
    }
    fn verbatim(&mut self, format: &str, bytes: &[u8]) {
        self.add('=', &[format.as_bytes(), b":", bytes].concat());
    }
    fn mark(&self) -> Mark {
        Mark(self.words.len())
    }
    fn rewind(&mut self, mark: Mark) {
        self.words.truncate(mark.0);
    }
    fn protocol(&self) -> u8 {
        self.protocol
    }
}

fn number(text: &[u8]) -> usize {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("a number")
}

/// Needs more than half a script's stack at least, and all of it in a build without optimisation.
#[inline(never)]
fn use_stack() -> i64 {
    let array = std::hint::black_box([1_u8; 700_000]);
    i64::from(array[array.len() / 2])
}

/// A few commands over a map, and some that only tests need.
#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) values: HashMap<Vec<u8>, Vec<u8>>,
    pub(crate) calls: usize,
    pub(crate) waits_left: usize,
    pub(crate) lines: Vec<u32>,
    pub(crate) logged: Vec<(LogLevel, String)>,
    pub(crate) drawn: u64,
}

impl Host for TestHost {
    fn call(
        &mut self,
        context: &CallContext,
        arguments: &[&[u8]],
        reply: &mut dyn Reply,
    ) -> Called {
        self.calls += 1;
        match arguments {
            [b"GET", key] => match self.values.get(*key) {
                Some(value) => reply.bulk(value),
                None => reply.null(),
            },
            [b"SET", key, value] => {
                self.values.insert(key.to_vec(), value.to_vec());
                reply.status("OK");
            }
            [b"LINE"] => {
                self.lines.push(context.line());
                reply.null();
            }
            [b"WAIT"] => {
                // What a host has written before it finds that it must wait is forgotten.
                reply.array(3);
                reply.integer(1);
                if self.waits_left > 0 {
                    self.waits_left -= 1;
                    return Called::Wait;
                }
                reply.integer(2);
                reply.integer(3);
            }
            [b"FAIL", text] => reply.error(text),
            [b"BIG", bytes] => {
                let bytes = number(bytes);
                reply.bulk(&vec![b'x'; bytes]);
            }
            [b"MANY", count] => {
                let count = number(count);
                reply.array(count);
                (0..count).for_each(|_| reply.bulk(b"0123456789"));
            }
            [b"STACK"] => reply.integer(use_stack()),
            [b"PANIC"] => panic!("as asked"),
            [b"REWIND"] => {
                reply.array(2);
                reply.integer(1);
                let mark = reply.mark();
                reply.array(1);
                reply.bulk(b"gone");
                reply.rewind(mark);
                reply.bulk(b"kept");
            }
            [b"TYPES"] => {
                reply.array(9);
                reply.double(1.5);
                reply.boolean(true);
                reply.null();
                reply.big_number("12345678901234567890");
                reply.verbatim("txt", b"text");
                reply.map(1);
                reply.bulk(b"key");
                reply.integer(7);
                reply.set(1);
                reply.bulk(b"member");
                reply.error(b"ERR inner");
                reply.status("inner");
            }
            _ => {
                reply.array(arguments.len());
                arguments.iter().for_each(|argument| reply.bulk(argument));
            }
        }
        Called::Done
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        self.logged
            .push((level, String::from_utf8_lossy(message).into_owned()));
    }

    fn abort(&mut self, _: &[u8]) {}

    /// As if the script had said math.randomseed(0), the next time math.randomseed(1), …
    fn random(&mut self) -> u64 {
        let seed = self.drawn;
        self.drawn += 1;
        (seed << 16) | 0x330e
    }

    fn may_run(&mut self, arguments: &[&[u8]]) -> Option<bool> {
        match arguments[0] {
            b"GET" => Some(true),
            b"SET" => Some(false),
            _ => None,
        }
    }
}

pub(crate) const LIMITS: Limits = Limits {
    memory_bytes: 64 << 20,
};

/// The SHA-1 that a script of `body` has, as far as the engine cares: a name of 40 bytes.
pub(crate) fn script(body: &str) -> Arc<Script> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let mut sha = [b'0'; 40];
    sha[..16].copy_from_slice(format!("{:016x}", hasher.finish()).as_bytes());
    Arc::new(Script {
        sha,
        body: body.as_bytes().into(),
        kind: Kind::Script,
    })
}

pub(crate) fn start(engine: &mut Engine, body: &str) -> Run {
    engine
        .start(&script(body), [&b"k1"[..], b"k2"], [&b"a1"[..]], LIMITS)
        .expect("a run")
}

/// Runs to the end and answers the result in words.
pub(crate) fn finish(run: &mut Run, host: &mut TestHost) -> String {
    loop {
        match run.resume(host) {
            Step::Done => break,
            Step::OutOfMemory => return "out of memory".into(),
            Step::Panicked => return "panicked".into(),
            Step::Preempted | Step::Waiting => {}
        }
    }
    let mut recorder = Recorder {
        protocol: 2,
        ..Recorder::default()
    };
    run.write_result(&mut recorder);
    recorder.words.join(" ")
}

/// Runs `body` on an engine and a host of its own.
pub(crate) fn evaluate(body: &str) -> String {
    let mut engine = Engine::new().expect("an engine");
    let mut run = start(&mut engine, body);
    finish(&mut run, &mut TestHost::default())
}
