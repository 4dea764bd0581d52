//! What killed scripts leave behind. Alone in its process, for it measures the process.

use std::sync::Arc;

use darter::script::{Engine, Kind, Limits, Script, Step, set_slice_ns};

#[path = "support/null_host.rs"]
mod null_host;

use null_host::NullHost;

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
    set_slice_ns(50_000);
    let mut engine = Engine::new().unwrap();
    let limits = Limits {
        memory_bytes: 64 << 20,
    };
    let body = "local t = {} while true do t[#t % 1000 + 1] = string.rep('x', 1000) .. #t redis.call('SET', 'a', t[1]) end";
    let script = Arc::new(Script {
        sha: [b'0'; 40],
        body: body.as_bytes().into(),
        kind: Kind::Script,
    });
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
