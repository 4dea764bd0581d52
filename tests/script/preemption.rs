//! Scripts that do not end by themselves: pre-emption, waiting, kill, the memory limit.

use crate::support::{TestHost, finish, script, start};
use darter::script::{Engine, Limits, Step, set_slice_ns};

/// Scripts of every kind of endless loop; none needs more memory than a test gives.
pub(crate) const ENDLESS: &[&str] = &[
    "while true do end",
    "while true do redis.call('GET', 'a') end",
    "while true do pcall(function() while true do end end) end",
    "while true do pcall(error) end",
    "while true do pcall(redis.call, 'FAIL', 'x') end",
    "xpcall(function() error('x') end, function() while true do end end)",
    "local function f() while true do end end xpcall(f, f)",
    "table.sort({3,1,2,4,5}, function(a, b) while true do end end)",
    "string.gsub('aaa', 'a', function() while true do end end)",
    "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
    "local t = setmetatable({}, {__tostring = function() while true do end end}) return tostring(t)",
    "coroutine.wrap(function() coroutine.wrap(function() while true do end end)() end)()",
    "local x <close> = setmetatable({}, {__close = function() while true do end end})",
    "local s = ('a'):rep(30) .. 'b' string.find(s, ('a*'):rep(30) .. 'c')",
    "string.rep('', 1 << 62)",
    "table.move({}, 1, 1 << 53, 2)",
    "while true do loadstring('return ' .. ('('):rep(100) .. '1' .. (')'):rep(100))() end",
    "local function f() return 1 + f() end while true do pcall(f) end",
    "local function f() return pcall(f) end while true do f() end",
    "local s = 'x' while true do s = string.gsub('x', 'x', function() return string.gsub('x', 'x', '%0') end) end",
    "while true do local t = {} for i = 1, 1000 do t[i] = {i} end end",
    "while true do string.format('%99.99f', 1e300) end",
    "while true do pcall(string.rep, 'x', 1 << 40, 'y', 1, 2) if false then break end break end while true do end",
];

#[test]
fn every_endless_script_is_preempted_and_can_be_dropped() {
    let mut engine = Engine::new().unwrap();
    for body in ENDLESS {
        let mut host = TestHost::default();
        let mut run = start(&mut engine, body);
        for slice in 0..20 {
            match run.resume(&mut host) {
                Step::Preempted => {}
                // One of them asks for more memory than there is.
                Step::OutOfMemory if body.contains("1 << 40") => break,
                step => panic!("{body}: {step:?} in slice {slice}"),
            }
        }
        drop(run);
        assert_eq!(
            finish(&mut start(&mut engine, "return 7"), &mut host),
            ":7",
            "after {body}"
        );
    }
}

#[test]
fn memory_beyond_the_limit_ends_the_run() {
    let mut engine = Engine::new().unwrap();
    let limits = Limits {
        memory_bytes: 8 << 20,
    };
    for body in [
        "local t = {} while true do t[#t + 1] = {} end",
        "while true do pcall(function() local t = {} while true do t[#t + 1] = 'x' .. #t end end) end",
        "local s = 'x' while true do s = s .. s end",
        "while true do pcall(string.rep, 'x', 1e9) end",
        "return string.rep('x', 1e9)",
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "return redis.call('BIG', 20000000)",
        "local t = {} while true do t[#t + 1] = redis.call('BIG', 1000000) end",
        "return redis.call('MANY', 10000000)",
        "while true do pcall(redis.call, 'MANY', 1000000) end",
        "local s = string.rep('x', 1000000) string.gsub(s, '.', s)",
    ] {
        let mut run = engine.start(&script(body), [], [], limits).unwrap();
        assert_eq!(
            finish(&mut run, &mut TestHost::default()),
            "out of memory",
            "{body}"
        );
        assert_eq!(
            run.resume(&mut TestHost::default()),
            Step::OutOfMemory,
            "it stays dead"
        );
    }
}

#[test]
fn endless_recursion_ends_in_an_error_where_memory_lasts() {
    let mut engine = Engine::new().unwrap();
    let body = "local function f() return 1 + f() end return f()";
    let limits = Limits {
        memory_bytes: 256 << 20,
    };
    let mut run = engine.start(&script(body), [], [], limits).unwrap();
    let reply = finish(&mut run, &mut TestHost::default());
    assert!(
        reply.starts_with("-ERR user_script:1: stack overflow"),
        "{reply}"
    );
}

#[test]
fn garbage_does_not_count_against_the_limit() {
    let mut engine = Engine::new().unwrap();
    let limits = Limits {
        memory_bytes: 4 << 20,
    };
    for body in [
        "for i = 1, 200 do local s = string.rep('x', 1000000 + i) end return 1",
        "for i = 1, 50 do redis.call('BIG', 1000000) end return 1",
        "for i = 1, 20 do redis.call('MANY', 20000) end return 1",
        "local keep = {} for i = 1, 100000 do keep[i] = i end \
         for i = 1, 400000 do local t = {i} end return 1",
    ] {
        let mut run = engine.start(&script(body), [], [], limits).unwrap();
        assert_eq!(finish(&mut run, &mut TestHost::default()), ":1", "{body}");
    }
}

#[test]
fn a_call_can_wait_anywhere_and_is_made_again() {
    let mut engine = Engine::new().unwrap();
    for body in [
        "return redis.call('WAIT')",
        "local r table.sort({2, 1}, function(a, b) r = redis.call('WAIT') return a < b end) return r",
        "local r string.gsub('a', 'a', function() r = redis.pcall('WAIT') end) return r",
        "return coroutine.wrap(function() return redis.call('WAIT') end)()",
        "local _, r = pcall(redis.call, 'WAIT') return r",
    ] {
        let mut host = TestHost {
            waits_left: 3,
            ..TestHost::default()
        };
        let mut run = start(&mut engine, body);
        for _ in 0..3 {
            assert_eq!(run.resume(&mut host), Step::Waiting, "{body}");
        }
        assert_eq!(finish(&mut run, &mut host), "*3 :1 :2 :3", "{body}");
        assert!(host.calls >= 4);
    }
}

#[test]
fn a_script_that_makes_calls_gives_way_without_a_signal() {
    set_slice_ns(3_600_000_000_000);
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost::default();
    let mut run = start(&mut engine, "while true do redis.call('GET', 'a') end");
    for _ in 0..5 {
        assert_eq!(run.resume(&mut host), Step::Preempted);
    }
}

#[test]
fn long_library_functions_are_preempted_and_go_on() {
    set_slice_ns(50_000);
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost::default();
    for body in [
        "local t = {} for i = 1, 200000 do t[i] = i end \
         redis.call('BEGIN') local n = #cjson.encode(t) redis.call('END') return n",
        "local s = '[' .. string.rep('[1],', 100000) .. '1]' \
         redis.call('BEGIN') local n = #cjson.decode(s) redis.call('END') return n",
        "local t = {} for i = 1, 200000 do t[i] = i end \
         redis.call('BEGIN') local n = #cmsgpack.pack(t) redis.call('END') return n",
        "local s = string.rep('\\1', 200000) s = '\\221\\0\\3\\13\\64' .. s \
         redis.call('BEGIN') local n = #cmsgpack.unpack(s) redis.call('END') return n",
    ] {
        let mut run = start(&mut engine, body);
        let mut slices_within = 0;
        let mut step = Step::Preempted;
        while step == Step::Preempted {
            slices_within += usize::from(host.calls == 1);
            step = run.resume(&mut host);
        }
        assert_eq!(step, Step::Done, "{body}");
        assert!(slices_within >= 3, "{body}: {slices_within}");
        assert!(!run.failed(), "{body}: {}", finish(&mut run, &mut host));
        host.calls = 0;
    }
}

#[test]
fn a_waiting_script_can_be_dropped() {
    let mut engine = Engine::new().unwrap();
    let mut host = TestHost {
        waits_left: usize::MAX,
        ..TestHost::default()
    };
    let body = "pcall(table.sort, {2, 1}, function() pcall(redis.call, 'WAIT') end)";
    for _ in 0..200 {
        let mut run = start(&mut engine, body);
        for _ in 0..2 {
            // On a busy machine its slice may end before it comes to wait.
            let mut steps = std::iter::repeat_with(|| run.resume(&mut host));
            let step = steps.find(|step| *step != Step::Preempted);
            assert_eq!(step, Some(Step::Waiting));
        }
    }
    assert_eq!(finish(&mut start(&mut engine, "return 7"), &mut host), ":7");
}

#[test]
fn a_run_can_end_on_an_engine_that_is_gone() {
    let mut engine = Engine::new().unwrap();
    let mut run = start(&mut engine, "for i = 1, 1e6 do end return redis.call('x')");
    let mut idle = start(&mut engine, "return 1");
    drop(engine);
    assert_eq!(finish(&mut run, &mut TestHost::default()), "*1 $x");
    drop(run);
    assert_eq!(finish(&mut idle, &mut TestHost::default()), ":1");
}

#[test]
fn a_run_that_never_began_can_be_dropped() {
    let mut engine = Engine::new().unwrap();
    drop(start(&mut engine, "return 1"));
    assert_eq!(
        finish(
            &mut start(&mut engine, "return 2"),
            &mut TestHost::default()
        ),
        ":2"
    );
}
