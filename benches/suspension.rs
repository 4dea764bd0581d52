//! What it costs that a script can be suspended anywhere: Lua's own functions in a script against the
//! same functions in a plain interpreter, and short scripts with slices against short ones without.
//! Both sides take turns, for what is compared differs by less than a machine from minute to minute.

#![allow(clippy::print_stdout, reason = "what it is for")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use darter::resp::encode::{Encoder, Protocol};
use darter::resp::reply::Reply;
use darter::script::cache::sha_of;
use darter::script::{CallContext, Called, Engine, Host, Kind, Limits, LogLevel, Script, Step};

#[global_allocator]
static ALLOCATOR: darter::memory::Allocator = darter::memory::Allocator;

/// The slice of a server, and one that does not end.
const SLICE_NS: u64 = 1_000_000;
const NO_SLICES_NS: u64 = 3_600_000_000_000;

/// Functions on ordinary input, some hundred times in each run.
const FUNCTIONS: &[(&str, &str)] = &[
    (
        "find",
        "local s = ('x'):rep(200) .. 'needle' for i = 1, 300 do s:find('needle', 1, true) end",
    ),
    (
        "match",
        "local s = 'user:1234:session' for i = 1, 300 do s:match('^user:(%d+):(%a+)$') end",
    ),
    (
        "gmatch",
        "local s = 'a=1,b=2,c=3,d=4' for i = 1, 100 do for k, v in s:gmatch('(%w)=(%w)') do end end",
    ),
    (
        "gsub",
        "local s = ('hello world '):rep(10) for i = 1, 100 do s:gsub('o', '0') end",
    ),
    ("rep", "for i = 1, 300 do ('abc'):rep(100) end"),
    (
        "format",
        "for i = 1, 300 do ('%s:%d:%.2f'):format('key', i, i / 3) end",
    ),
    (
        "sub",
        "local s = ('x'):rep(100) for i = 1, 300 do s:sub(10, 50) end",
    ),
    (
        "sort",
        "for i = 1, 10 do local t = {} for j = 1, 100 do t[j] = (j * 7919) % 101 end table.sort(t) end",
    ),
    (
        "concat",
        "local t = {} for i = 1, 100 do t[i] = 'item' .. i end for i = 1, 100 do table.concat(t, ',') end",
    ),
    (
        "insert",
        "local insert = table.insert for i = 1, 10 do local t = {} for j = 1, 100 do insert(t, j) end end",
    ),
    (
        "table.insert",
        "for i = 1, 10 do local t = {} for j = 1, 100 do table.insert(t, j) end end",
    ),
    (
        "unpack",
        "local t = {} for i = 1, 50 do t[i] = i end for i = 1, 300 do table.unpack(t) end",
    ),
    (
        "tonumber",
        "for i = 1, 300 do tonumber('12345') tostring(12345) end",
    ),
    ("loop", "local n = 0 for i = 1, 10000 do n = n + i % 7 end"),
];

struct NoCommands;

impl Host for NoCommands {
    fn call(&mut self, _: &CallContext, _: &[&[u8]], reply: &mut dyn Reply) -> Called {
        reply.integer(1);
        Called::Done
    }

    fn log(&mut self, _: LogLevel, _: &[u8]) {}

    fn abort(&mut self, _: &[u8]) {}

    fn random(&mut self) -> u64 {
        0
    }

    fn may_run(&mut self, _: &[&[u8]]) -> Option<bool> {
        None
    }
}

fn script(body: &str) -> Arc<Script> {
    Arc::new(Script {
        sha: sha_of(body.as_bytes()),
        body: body.as_bytes().into(),
        kind: Kind::Script,
    })
}

/// One run, from its start to its reply.
fn run(engine: &mut Engine, script: &Arc<Script>, output: &mut Vec<u8>) {
    let limits = Limits {
        memory_bytes: 256 << 20,
    };
    let none: [&[u8]; 0] = [];
    let mut run = engine.start(script, none, none, limits).expect("a stack");
    loop {
        match run.resume(&mut NoCommands) {
            Step::Done => break,
            Step::Preempted => {}
            other => panic!("{other:?}"),
        }
    }
    output.clear();
    run.write_result(&mut Encoder::new(output, Protocol::Resp2));
    assert_ne!(black_box(&*output).first(), Some(&b'-'), "an error");
}

/// How often both sides take turns, and for how long each time.
const TURNS: usize = 61;
const TURN: Duration = Duration::from_millis(10);

/// Nanoseconds for one call.
fn timed(mut call: impl FnMut()) -> f64 {
    let (begin, mut calls) = (Instant::now(), 0);
    while begin.elapsed() < TURN {
        call();
        calls += 1;
    }
    begin.elapsed().as_nanos() as f64 / f64::from(calls)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints how long both take, and the median of how many times the first the second takes.
fn compare(name: &str, mut first: impl FnMut() -> f64, mut second: impl FnMut() -> f64) {
    let turns: Vec<(f64, f64)> = (0..TURNS).map(|_| (first(), second())).collect();
    let one = median(turns.iter().map(|turn| turn.0).collect());
    let other = median(turns.iter().map(|turn| turn.1).collect());
    let ratio = median(turns.iter().map(|turn| turn.1 / turn.0).collect());
    println!("| {name} | {one:.0} ns | {other:.0} ns | {ratio:.2} |");
}

fn functions() {
    let mut engine = Engine::new().expect("a timer");
    let mut output = Vec::new();
    println!("| function | plain interpreter | script | times |\n|---|---|---|---|");
    for (name, body) in FUNCTIONS {
        let plain = mlua::Lua::new();
        let function = plain.load(*body).into_function().expect("valid");
        let script = script(body);
        compare(
            name,
            || timed(|| function.call::<()>(()).expect("no error")),
            || timed(|| run(&mut engine, &script, &mut output)),
        );
    }
}

/// Nanoseconds for one run, on a thread of its own: a timer that is armed stays so.
fn timed_on_a_thread(script: &Arc<Script>, slice_ns: u64) -> f64 {
    let on_thread = || {
        darter::script::set_slice_ns(slice_ns);
        let (mut engine, mut output) = (Engine::new().expect("a timer"), Vec::new());
        timed(|| run(&mut engine, script, &mut output));
        timed(|| run(&mut engine, script, &mut output))
    };
    std::thread::scope(|scope| scope.spawn(on_thread).join().expect("no panic"))
}

fn short() {
    println!("| script | without slices | with slices of 1 ms | times |\n|---|---|---|---|");
    for (name, body) in [
        ("return 1", "return 1"),
        ("one call", "return redis.call('INCR', 'n')"),
    ] {
        let script = script(body);
        compare(
            name,
            || timed_on_a_thread(&script, NO_SLICES_NS),
            || timed_on_a_thread(&script, SLICE_NS),
        );
    }
}

fn main() {
    functions();
    println!();
    short();
}
