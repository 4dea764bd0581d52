//! What a run takes from the system once its script has run often. Alone in its process, for it counts
//! allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;
use std::sync::Arc;

use darter::script::{Engine, Kind, Limits, Script, Step, set_slice_ns};

#[path = "support/null_host.rs"]
mod null_host;

use null_host::NullHost;

/// Counts what each thread allocates.
struct Counting;

thread_local! {
    static ALLOCATED_BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: the system's allocator does all the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends may be beyond its counters.
        let _ = ALLOCATED_BYTES.try_with(|bytes| bytes.set(bytes.get() + layout.size()));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// As job queues have them: some hundred functions, few of which a run calls.
fn large_script(number: u8) -> Arc<Script> {
    let mut body = String::from("local f = {}\n");
    for function in 0..400 {
        writeln!(
            body,
            "f[{function}] = function(a, b) if a == '{function}' then return b[a] .. '{function}' end return #a + {function} end"
        )
        .expect("memory");
    }
    body.push_str(
        "local r = {} for i = 1, 200 do r[i] = f[i](KEYS[1] .. i, r) .. '' end return #r",
    );
    Arc::new(Script {
        sha: [b'a' + number; 40],
        body: body.as_bytes().into(),
        kind: Kind::Script,
    })
}

#[test]
fn an_interpreter_is_used_again_however_large_its_scripts_are() {
    set_slice_ns(1_000_000_000);
    let mut engine = Engine::new().unwrap();
    let limits = Limits {
        memory_bytes: 64 << 20,
    };
    let scripts: Vec<_> = (0..3).map(large_script).collect();
    let mut run_each = |times: usize| {
        for script in std::iter::repeat_n(&scripts, times).flatten() {
            let keys = [&b"queue"[..]];
            let mut run = engine.start(script, keys, [], limits).unwrap();
            assert_eq!(run.resume(&mut NullHost), Step::Done);
        }
    };
    run_each(200);
    let before = ALLOCATED_BYTES.get();
    run_each(200);
    let run_bytes = (ALLOCATED_BYTES.get() - before) / (200 * scripts.len());
    // Its two tables, as they grow; an interpreter made anew takes as much as several runs together.
    assert!(run_bytes < 32 << 10, "a run took {run_bytes} bytes");
}
