//! Who has how much memory: what INFO memory and MEMORY STATS tell.

use std::sync::atomic::Ordering;

use crate::memory::{self, proc_bytes};
use crate::services::Services;

/// The figures of a moment, in bytes where nothing else is said.
pub(crate) struct Figures {
    /// What is allocated.
    pub(crate) used: u64,
    /// The most that was.
    pub(crate) peak: u64,
    /// What the process has of the machine's; 0 where the system does not tell.
    pub(crate) resident: u64,
    /// What was allocated when the server was made.
    pub(crate) start: u64,
    /// The buffers of clients.
    pub(crate) clients: u64,
    /// How many scripts are kept.
    pub(crate) scripts: usize,
    /// The scripts.
    pub(crate) script_bytes: u64,
    /// The code of functions.
    pub(crate) code_bytes: u64,
    /// All of these that are no data.
    pub(crate) overhead: u64,
    /// The rest.
    pub(crate) dataset: u64,
}

fn percentage(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

impl Figures {
    /// Those of now.
    pub(crate) fn take(services: &Services) -> Figures {
        let used = memory::used_bytes() as u64;
        let (scripts, script_bytes) = services.scripts.size();
        let code_bytes = services.functions.libraries().code_bytes();
        // Relaxed: a figure of a moment.
        let clients: usize = services
            .clients
            .all()
            .iter()
            .map(|client| client.memory_bytes.load(Ordering::Relaxed))
            .sum();
        let overhead = services.start_bytes + (script_bytes + code_bytes + clients) as u64;
        Figures {
            used,
            peak: memory::peak_bytes() as u64,
            resident: proc_bytes("/proc/self/status", "VmRSS:"),
            start: services.start_bytes,
            clients: clients as u64,
            scripts,
            script_bytes: script_bytes as u64,
            code_bytes: code_bytes as u64,
            overhead,
            dataset: used.saturating_sub(overhead),
        }
    }

    /// What came after the start.
    pub(crate) fn after_start(&self) -> u64 {
        self.used.saturating_sub(self.start)
    }

    /// Hundredths of what came after the start that are data.
    pub(crate) fn dataset_percentage(&self) -> f64 {
        percentage(self.dataset, self.after_start())
    }

    /// Hundredths of the peak that are in use.
    pub(crate) fn peak_percentage(&self) -> f64 {
        percentage(self.used, self.peak)
    }

    /// How much more the process has than is in use.
    pub(crate) fn fragmentation(&self) -> f64 {
        self.resident as f64 / self.used.max(1) as f64
    }
}
