//! Runs a target over its corpus, over mutations of it, and sees that no input takes for ever.

use std::path::Path;
use std::str::FromStr;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs, panic, thread};

use crate::mutation;

/// An input that takes longer is a hang: the slowest takes milliseconds.
const HANG: Duration = Duration::from_secs(20);
const SECONDS: u64 = 2;

fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    let text = env::var(name).ok()?;
    Some(text.parse().ok().unwrap_or_else(|| {
        panic!("{name}={text}: not a number");
    }))
}

/// The files of a corpus in the order of their names, so that a seed means the same everywhere.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    let entries = fs::read_dir(&folder).expect("a corpus");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths
        .iter()
        .map(|path| fs::read(path).expect("readable"))
        .collect()
}

/// What the thread that runs the target has in hand.
type Current = Arc<Mutex<Vec<u8>>>;

/// The whole corpus, then mutations of it until `seconds` are over; how many inputs that were.
fn run_inputs(
    target: fn(&[u8]),
    corpus: &[Vec<u8>],
    seed: u64,
    seconds: u64,
    current: &Current,
    done: &Sender<()>,
) -> u64 {
    let mut count = 0;
    let mut run = |input: Vec<u8>| {
        current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&input);
        target(&input);
        count += 1;
        // Fails if the watcher has gone, which then has told why.
        let _ = done.send(());
    };
    corpus.iter().cloned().for_each(&mut run);
    let mut random = fastrand::Rng::with_seed(seed);
    let begin = Instant::now();
    let limit = Duration::from_secs(seconds);
    while begin.elapsed() < limit {
        run(mutation::mutated(corpus, &mut random));
    }
    count
}

/// Runs `target` over the corpus of this name and over mutations of it.
pub(crate) fn run(name: &str, target: fn(&[u8])) {
    // Unless told otherwise the same inputs as ever: whoever changes something else is not held up
    // by what this finds new.
    let seed = from_environment("SEED").unwrap_or(0);
    let seconds = from_environment("FUZZ_SECONDS").unwrap_or(SECONDS);
    let corpus = corpus(name);
    let current = Current::default();
    let (done, watched) = mpsc::channel();
    let worker = {
        let current = Arc::clone(&current);
        thread::spawn(move || run_inputs(target, &corpus, seed, seconds, &current, &done))
    };
    let tell = |what: &str| {
        let input = current.lock().unwrap_or_else(PoisonError::into_inner);
        format!(
            "{name}: {what}, SEED={seed}, input b\"{}\"",
            input.escape_ascii()
        )
    };
    loop {
        match watched.recv_timeout(HANG) {
            Ok(()) => {}
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!("{}", tell("hangs")),
        }
    }
    match worker.join() {
        Ok(count) => eprintln!("{name}: {count} inputs, SEED={seed}"),
        Err(_) => panic!("{}", tell("a promise is broken")),
    }
}
