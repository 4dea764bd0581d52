//! What time the system says it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The system's time in milliseconds since 1970. Unlike the store's it never stands still.
pub(crate) fn now_ms() -> u64 {
    since_1970().as_millis() as u64
}

/// The system's time since 1970; none before.
pub(crate) fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}
