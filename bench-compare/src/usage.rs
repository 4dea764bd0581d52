//! Processor time and memory, as the system counts them.

use std::fs;
use std::time::Instant;

use crate::error::Error;

/// Units of a second in which `/proc` gives times to programs, on all machines that matter.
const TICKS_PER_SECOND: f64 = 100.0;
/// One tick of the system's clock, which may fall to anybody, is 0.05 processors of so much.
const ELAPSED_MIN_SECONDS: f64 = 0.2;

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::io(path))
}

/// User and system time of a process, in seconds.
fn process_seconds(process: u32) -> Result<f64, Error> {
    let path = format!("/proc/{process}/stat");
    let text = read(&path)?;
    ticks_of_process(&text)
        .map(|ticks| ticks as f64 / TICKS_PER_SECOND)
        .ok_or(Error::Format(path))
}

/// The name of the program, in brackets, may hold anything; numbers are counted from behind it.
fn ticks_of_process(stat: &str) -> Option<u64> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let at = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(at(11)? + at(12)?)
}

/// What all processors have been busy with, in seconds.
fn machine_seconds() -> Result<f64, Error> {
    let text = read("/proc/stat")?;
    busy_ticks(&text)
        .map(|ticks| ticks as f64 / TICKS_PER_SECOND)
        .ok_or(Error::Format("/proc/stat".into()))
}

fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    // user, nice, system, idle, waiting for disks, interrupts, soft interrupts, stolen.
    Some(ticks.iter().take(3).sum::<u64>() + ticks.get(5..8)?.iter().sum::<u64>())
}

/// The resident size of a process, in bytes.
pub(crate) fn resident_bytes(process: u32) -> Result<u64, Error> {
    let path = format!("/proc/{process}/status");
    let text = read(&path)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .map(|kibibytes| kibibytes * 1024)
        .ok_or(Error::Format(path))
}

/// Counts from its creation on.
pub(crate) struct Meter {
    server: u32,
    begin: Instant,
    server_seconds: f64,
    own_seconds: f64,
    machine_seconds: f64,
}

/// What was used between two moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Seconds of processor time of the server.
    pub(crate) server_seconds: f64,
    /// Processors that were busy with neither the server nor this program, on average.
    pub(crate) other_cores: f64,
}

impl Meter {
    pub(crate) fn new(server: u32) -> Result<Meter, Error> {
        Ok(Meter {
            server,
            begin: Instant::now(),
            server_seconds: process_seconds(server)?,
            own_seconds: process_seconds(std::process::id())?,
            machine_seconds: machine_seconds()?,
        })
    }

    pub(crate) fn read(&self) -> Result<Usage, Error> {
        let server_seconds = process_seconds(self.server)? - self.server_seconds;
        let own = process_seconds(std::process::id())? - self.own_seconds;
        let machine = machine_seconds()? - self.machine_seconds;
        let elapsed = self.begin.elapsed().as_secs_f64().max(ELAPSED_MIN_SECONDS);
        Ok(Usage {
            server_seconds,
            other_cores: (machine - own - server_seconds).max(0.0) / elapsed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_and_blanks_do_not_move_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100";
        assert_eq!(ticks_of_process(stat), Some(300));
        assert_eq!(ticks_of_process("7 (short) S 1"), None);
    }

    #[test]
    fn idle_and_waiting_processors_are_not_busy() {
        let stat = "cpu  1 2 4 1000 1000 8 16 32 0 0\ncpu0 …\n";
        assert_eq!(busy_ticks(stat), Some(63));
    }

    #[test]
    fn work_of_this_process_is_not_of_others() {
        let meter = Meter::new(std::process::id()).expect("/proc");
        let begin = Instant::now();
        while begin.elapsed().as_millis() < 300 {
            std::hint::black_box(0);
        }
        let usage = meter.read().expect("/proc");
        assert!(usage.server_seconds > 0.0, "{usage:?}");
        assert!(resident_bytes(std::process::id()).expect("/proc") > 100_000);
    }
}
