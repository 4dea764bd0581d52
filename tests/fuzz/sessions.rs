//! Whole commands, scripts among them, through a session of either protocol: every one is answered by
//! a reply that parses, none panics, and the session goes on.

use std::cell::OnceCell;
use std::sync::Arc;
use std::task::Waker;

use darter::config::Config;
use darter::config::parameters::Change;
use darter::config::setting;
use darter::services::Services;
use darter::session::{Progress, Session};
use darter::stats::ThreadStats;

use crate::replies;

/// What would end this process, make others wait, or wait itself for more than it is worth.
const LEFT_OUT: &[&str] = &["SHUTDOWN", "CLIENT", "CONFIG", "DEBUG", "MONITOR"];
/// Little, so that what asks for too much is refused.
const MEMORY_BYTES: &str = "256mb";

thread_local! {
    static SERVICES: OnceCell<(Arc<Services>, Arc<ThreadStats>)> = const { OnceCell::new() };
}

/// The services of all sessions of this thread, and its counts.
fn services() -> (Arc<Services>, Arc<ThreadStats>) {
    SERVICES.with(|services| {
        let made = services.get_or_init(|| {
            let config = Config::new(2, 1);
            // maxmemory is refused where nothing is counted, and a thread tells of large amounts only.
            let counted = std::hint::black_box(vec![0_u8; 1 << 17]);
            for (name, value) in [
                ("lua-kill-limit", "20"),
                ("lua-memory-limit", "4mb"),
                ("proto-max-bulk-len", "1mb"),
                ("maxmemory", MEMORY_BYTES),
            ] {
                let set = setting::set(&mut Change::Shared(&config), name, value);
                assert!(set.is_ok(), "{name}: {set:?}");
            }
            drop(counted);
            let services = Arc::new(Services::new(config));
            let stats = services.stats.join();
            (services, stats)
        });
        made.clone()
    })
}

struct Driver {
    session: Session,
}

impl Driver {
    fn new() -> Driver {
        let (services, stats) = services();
        let client = services.clients.add("fuzz".into(), "fuzz".into(), 0);
        Driver {
            session: Session::new(&services, &stats, client),
        }
    }

    /// Sends a command; whether its replies have come and the session goes on.
    fn run(&mut self, arguments: &[&[u8]]) -> bool {
        let input = self.session.input();
        input.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
        for argument in arguments {
            input.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            input.extend_from_slice(argument);
            input.extend_from_slice(b"\r\n");
        }
        let mut progress = Progress::Yielded;
        while progress == Progress::Yielded {
            services().0.read_clock();
            progress = self.session.process(Waker::noop());
        }
        let output = std::mem::take(&mut self.session.output);
        let mut rest = &output[..];
        while !rest.is_empty() {
            let Some(after) = replies::skip(rest) else {
                panic!("no reply: {}", rest.escape_ascii());
            };
            rest = after;
        }
        let text = String::from_utf8_lossy(&output);
        assert!(!text.contains("internal error"), "a panic: {text}");
        match progress {
            Progress::Idle => true,
            // Nobody will give it what it waits for; it goes as a client goes.
            Progress::Suspended | Progress::Closing => false,
            Progress::Yielded => unreachable!("it has gone on"),
        }
    }
}

/// A line is a command, with spaces between its arguments; `\` and a digit is a byte that a line cannot
/// have.
pub(crate) fn target(data: &[u8]) {
    let mut driver = Driver::new();
    driver.run(&[b"FLUSHALL"]);
    for line in data.split(|byte| *byte == b'\n') {
        let words = line.split(|byte| *byte == b' ');
        let arguments: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        let Some(name) = arguments.first() else {
            continue;
        };
        let is_left_out = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        // Millions of elements drawn with repetitions are answered, but not soon.
        let draws = name.to_ascii_uppercase().ends_with(b"FIELD")
            || name.to_ascii_uppercase().ends_with(b"MEMBER");
        if draws && arguments.iter().any(|word| word.len() > 6) {
            continue;
        }
        if LEFT_OUT.iter().any(is_left_out) {
            continue;
        }
        if !driver.run(&arguments) {
            driver.session.disconnect();
            driver = Driver::new();
        }
    }
    driver.session.disconnect();
    services().0.store.maintain(1_000);
}
