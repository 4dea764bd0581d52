//! What scripts decode: JSON, MessagePack and packed structures from bytes of any kind.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use darter::script::{Engine, Kind, Limits, Script, Step};

use crate::support::{Recorder, TestHost};

/// Little, so that what asks for too much is found.
const LIMITS: Limits = Limits {
    memory_bytes: 16 << 20,
};
/// A slice is a millisecond, so these are a second at least.
const SLICES_MAX: usize = 1_000;

/// What cannot be decoded, or not encoded again, is an error in the script and nothing else. What
/// can be is the same when it is decoded a second time: the first time may round and drop.
static SCRIPT: LazyLock<Arc<Script>> = LazyLock::new(|| {
    Arc::new(Script {
        sha: [b'0'; 40],
        body: include_bytes!("libraries.lua").as_slice().into(),
        kind: Kind::Script,
    })
});

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::new(Engine::new().expect("an engine"));
}

/// The first line names what decodes: `j`, `m`, or `s` and a format; the others are what it gets.
pub(crate) fn target(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (how, bytes) = data.split_at(end.unwrap_or(data.len()));
    let bytes = bytes.get(1..).unwrap_or_default();
    let mut recorder = Recorder::default();
    let step = ENGINE.with_borrow_mut(|engine| {
        let run = engine.start(&SCRIPT, [], [how, bytes], LIMITS);
        let mut run = run.expect("a run");
        let mut host = TestHost::default();
        let mut slices = 0;
        let step = loop {
            match run.resume(&mut host) {
                Step::Preempted | Step::Waiting => slices += 1,
                step @ (Step::Done | Step::OutOfMemory) => break step,
                Step::Panicked => panic!("a library panicked"),
            }
            assert!(slices < SLICES_MAX, "no end of it");
        };
        if matches!(step, Step::Done) {
            run.write_result(&mut recorder);
        }
        step
    });
    match step {
        Step::Done => assert_eq!(recorder.words, ["$ok"]),
        _ => assert!(
            data.len() > 64,
            "{} bytes became more than {}",
            data.len(),
            LIMITS.memory_bytes
        ),
    }
}
