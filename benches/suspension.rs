//! What it costs that a script can be suspended anywhere: Lua's own functions in a script against the
//! same functions in a plain interpreter, and short scripts with slices against short ones without.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use darter::resp::encode::{Encoder, Protocol};
use darter::resp::reply::Reply;
use darter::script::cache::sha_of;
use darter::script::{CallContext, Called, Engine, Host, Kind, Limits, LogLevel, Script, Step};

#[global_allocator]
static ALLOCATOR: darter::memory::Allocator = darter::memory::Allocator;

/// The slice of a server, and one that does not end.
const SLICES_NS: &[(&str, u64)] = &[("slices", 1_000_000), ("no-slices", 3_600_000_000_000)];

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

fn functions(criterion: &mut Criterion) {
    let mut engine = Engine::new().expect("a timer");
    let mut output = Vec::new();
    for (name, body) in FUNCTIONS {
        let mut group = criterion.benchmark_group(format!("function/{name}"));
        group.measurement_time(Duration::from_secs(1));
        group
            .warm_up_time(Duration::from_millis(300))
            .sample_size(30);
        let plain = mlua::Lua::new();
        let function = plain.load(*body).into_function().expect("valid");
        group.bench_function(BenchmarkId::from_parameter("plain"), |bencher| {
            bencher.iter(|| function.call::<()>(()).expect("no error"));
        });
        let script = script(body);
        group.bench_function(BenchmarkId::from_parameter("script"), |bencher| {
            bencher.iter(|| run(&mut engine, &script, &mut output));
        });
        group.finish();
    }
}

fn short(criterion: &mut Criterion) {
    let mut engine = Engine::new().expect("a timer");
    let mut output = Vec::new();
    let mut group = criterion.benchmark_group("short");
    group
        .measurement_time(Duration::from_secs(3))
        .sample_size(50);
    for (what, body) in [
        ("empty", "return 1"),
        ("call", "return redis.call('INCR', 'n')"),
    ] {
        let script = script(body);
        for (slices, slice_ns) in SLICES_NS {
            darter::script::set_slice_ns(*slice_ns);
            group.bench_function(BenchmarkId::new(what, slices), |bencher| {
                bencher.iter(|| run(&mut engine, &script, &mut output));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, functions, short);
criterion_main!(benches);
