//! What killed scripts leave behind, and what scripts take meanwhile. Alone in their process, and one
//! after the other, for they measure the process.

use std::sync::{Arc, Mutex, PoisonError};

use darter::script::{Engine, Kind, Limits, Script, Step, set_slice_ns};

#[path = "support/null_host.rs"]
mod null_host;

use null_host::NullHost;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The most that was resident at once so far.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|peak| peak.trim().strip_suffix(" kB"))
        .and_then(|peak| peak.parse::<usize>().ok());
    peak.expect("a number") * 1024
}

fn script_of(body: &str) -> Arc<Script> {
    Arc::new(Script {
        sha: [b'0'; 40],
        body: body.as_bytes().into(),
        kind: Kind::Script,
    })
}

fn resident_bytes() -> usize {
    let statistics = std::fs::read_to_string("/proc/self/statm").expect("statistics");
    let pages = statistics
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number") * 4096
}

#[test]
fn kills_leave_no_memory_behind() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    set_slice_ns(50_000);
    let mut engine = Engine::new().unwrap();
    let limits = Limits {
        memory_bytes: 64 << 20,
    };
    let body = "local t = {} while true do t[#t % 1000 + 1] = string.rep('x', 1000) .. #t redis.call('SET', 'a', t[1]) end";
    let script = script_of(body);
    let mut kill = |times| {
        for _ in 0..times {
            let mut run = engine.start(&script, [], [], limits).unwrap();
            assert_eq!(run.resume(&mut NullHost), Step::Preempted);
        }
    };
    kill(200);
    let before = resident_bytes();
    kill(2_000);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "2,000 kills left {grown} bytes");
}

#[test]
fn one_text_many_times_is_not_written_beyond_the_limit() {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut engine = Engine::new().unwrap();
    let limits = Limits {
        memory_bytes: 16 << 20,
    };
    let before = peak_bytes();
    for write in [
        "cmsgpack.pack(many)",
        "cmsgpack.pack(unpack(many))",
        "cjson.encode(many)",
        "cjson.encode(('\\1'):rep(15000000))",
        "cjson.encode({[('\\1'):rep(15000000)] = 1})",
        "redis.log(redis.LOG_DEBUG, unpack(many))",
    ] {
        let body = format!(
            "local text, many = ('x'):rep(2 ^ 20), {{}} \
             for at = 1, 250 do many[at] = text end return {write}"
        );
        let mut run = engine.start(&script_of(&body), [], [], limits).unwrap();
        let end = loop {
            match run.resume(&mut NullHost) {
                Step::Preempted => {}
                end => break end,
            }
        };
        assert_eq!(end, Step::OutOfMemory, "{write}");
    }
    let grown = peak_bytes() - before;
    assert!(grown < 100 << 20, "{grown} bytes at once");
}
