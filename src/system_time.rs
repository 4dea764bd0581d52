//! What time the system says it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The system's time since 1970; none before.
pub(crate) fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}
