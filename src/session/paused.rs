//! CLIENT PAUSE: commands that wait for its end.

use std::task::Waker;
use std::time::{Duration, Instant};

use super::multi::Item;
use super::{Core, Pending, Step, dispatch};
use crate::commands::args::Args;
use crate::commands::command::{Command, Control, Run};
use crate::commands::table::Entry;
use crate::fault::fault;
use crate::system_time::now_ms;

/// What may write waits, or everything.
pub(super) fn paused(core: &Core, entry: Entry, args: &Args<'_>) -> Option<Box<dyn Pending>> {
    let is_steering = entry
        .container
        .is_some_and(|container| container.name == "CLIENT");
    if is_steering || fault!("a pause is ignored") {
        return None;
    }
    let until_ms = paused_until(core, entry)?;
    Some(Box::new(Paused {
        item: Item::new(entry, args),
        until: instant_of(until_ms),
        until_ms,
        waker: None,
    }))
}

/// Whether a command may change something, messages included.
fn may_write(command: &Command) -> bool {
    match command.runs_script() {
        Some(read_only) => !read_only,
        None => command.changes_something(),
    }
}

pub(super) fn paused_until(core: &Core, entry: Entry) -> Option<u64> {
    let may_write = match entry.command.run {
        Run::Control(Control::Exec) => core.multi.as_ref().is_some_and(|multi| {
            let mut items = multi.items.iter();
            items.any(|item| may_write(item.entry.command))
        }),
        _ => may_write(entry.command),
    };
    core.services.clients.paused_until_ms(may_write)
}

fn instant_of(at_ms: u64) -> Instant {
    let wait_ms = at_ms.saturating_sub(now_ms());
    Instant::now() + Duration::from_millis(wait_ms)
}

/// A command that waits for the end of CLIENT PAUSE.
struct Paused {
    item: Item,
    until: Instant,
    /// The same by the system's clock, which somebody may set.
    until_ms: u64,
    /// The one that is woken if it ends early.
    waker: Option<Waker>,
}

impl Pending for Paused {
    fn poll(&mut self, core: &mut Core, output: &mut Vec<u8>, waker: &Waker) -> Step {
        core.services.clients.wake_after_pause(waker);
        self.waker = Some(waker.clone());
        if let Some(until_ms) = paused_until(core, self.item.entry) {
            // It has been made longer, or another one has begun.
            if until_ms != self.until_ms {
                self.until_ms = until_ms;
                self.until = instant_of(until_ms);
            }
            if Instant::now() < self.until {
                return Step::Waits;
            }
        }
        if let Some(waker) = self.waker.take() {
            core.services.clients.forget_paused(&waker);
        }
        let arguments = self.item.arguments.to_vec();
        match dispatch::run_entry(core, self.item.entry, &Args::new(&arguments), output) {
            None => Step::Done,
            Some(next) => Step::Becomes(next),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.until)
    }

    fn abandon(&mut self, core: &mut Core) {
        if let Some(waker) = &self.waker {
            core.services.clients.forget_paused(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::super::Progress;
    use super::super::tests::Site;
    use super::*;
    use crate::clients::Pause;

    #[test]
    fn what_waits_for_a_pause_waits_also_for_what_it_is_made_longer_by() {
        let site = Site::new();
        let pause = |timeout_ms| site.services.clients.pause(timeout_ms, Pause::Writes);
        let mut client = site.connect();
        // Whoever loses the processor for as long as that has not been paused.
        let waits = (0..100).any(|_| {
            pause(20);
            client.send(&["SET", "k", "v"]);
            client.0.process(Waker::noop()) == Progress::Suspended
        });
        assert!(waits);
        pause(60_000);
        let until = client.0.deadline().unwrap();
        while Instant::now() < until {
            std::hint::spin_loop();
        }
        assert_eq!(client.0.process(Waker::noop()), Progress::Suspended);
        site.services.clients.unpause();
        assert_eq!(client.0.process(Waker::noop()), Progress::Idle);
    }

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn who_is_paused_is_known_once_and_no_longer_than_it_is_there() {
        let site = Site::new();
        site.services.clients.pause(60_000, Pause::All);
        let nobody = Arc::new(Nobody);
        let waker = Waker::from(Arc::clone(&nobody));
        let count = Arc::strong_count(&nobody);
        let mut client = site.connect();
        client.send(&["GET", "k"]);
        assert_eq!(client.0.process(&waker), Progress::Suspended);
        let paused = Arc::strong_count(&nobody);
        assert!(paused > count);
        for _ in 0..10 {
            assert_eq!(client.0.process(&waker), Progress::Suspended);
        }
        assert_eq!(Arc::strong_count(&nobody), paused);
        drop(client);
        assert_eq!(Arc::strong_count(&nobody), count);
    }
}
