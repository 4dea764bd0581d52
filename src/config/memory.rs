//! Limits on memory: `maxmemory` for all of it, `maxmemory-clients` for what clients' buffers take,
//! `snapshot-max-…` for what is kept for snapshots.

// Relaxed, as for all options: each is a value by itself, through which nothing else is seen.
use std::sync::atomic::Ordering::Relaxed;

use darter_storage::SnapshotLimits;

use super::Config;
use super::parameters::Change;
use super::values::bytes;
use crate::memory;

impl Config {
    /// Whether more memory is in use than `maxmemory` allows.
    #[inline]
    pub fn is_out_of_memory(&self) -> bool {
        let max = self.max_memory_bytes.load(Relaxed);
        max > 0 && memory::used_bytes() > max
    }

    /// Whether `maxmemory` allows so many bytes more.
    pub fn has_room_for(&self, more: usize) -> bool {
        let max = self.max_memory_bytes.load(Relaxed);
        max == 0 || memory::used_bytes().saturating_add(more) <= max
    }

    /// What the buffers of all clients may take together; 0 is no limit.
    #[inline]
    pub fn client_bytes_max(&self) -> usize {
        let limit = self.client_memory_limit.load(Relaxed);
        match usize::try_from(limit) {
            Ok(bytes) => bytes,
            Err(_) => {
                let hundredth = self.max_memory_bytes.load(Relaxed) / 100;
                hundredth.saturating_mul(limit.unsigned_abs() as usize)
            }
        }
    }

    /// The limits that snapshots are held to.
    pub fn snapshot_limits(&self) -> SnapshotLimits {
        let limit = |value: u64| if value == 0 { u64::MAX } else { value };
        SnapshotLimits {
            age_ms: limit(self.snapshot_age_s.load(Relaxed)).saturating_mul(1000),
            count: limit(self.snapshots_max.load(Relaxed) as u64) as usize,
            kept_bytes: limit(self.snapshot_bytes_max.load(Relaxed) as u64),
        }
    }
}

pub(super) fn max_memory_text(config: &Config) -> String {
    config.max_memory_bytes.load(Relaxed).to_string()
}

pub(super) fn set_max_memory(change: &mut Change<'_>, text: &str) -> Result<(), String> {
    let max = bytes(text)?;
    if max > 0 && memory::used_bytes() == 0 {
        return Err("this program does not count its memory".into());
    }
    change.shared().max_memory_bytes.store(max, Relaxed);
    Ok(())
}

pub(super) fn set_policy(_: &mut Change<'_>, text: &str) -> Result<(), String> {
    if text.eq_ignore_ascii_case("noeviction") {
        Ok(())
    } else {
        Err("argument must be 'noeviction': no key is evicted here".into())
    }
}

pub(super) fn client_limit_text(config: &Config) -> String {
    match config.client_memory_limit.load(Relaxed) {
        hundredths @ ..0 => format!("{}%", hundredths.unsigned_abs()),
        bytes => bytes.to_string(),
    }
}

pub(super) fn set_client_limit(change: &mut Change<'_>, text: &str) -> Result<(), String> {
    let limit = match text.strip_suffix('%') {
        Some(hundredths) => match hundredths.parse::<i64>() {
            Ok(hundredths @ 0..=100) => -hundredths,
            Ok(_) => return Err("percentage argument must be less or equal to 100".into()),
            Err(_) => return Err("argument must be a memory or percent value".into()),
        },
        None => i64::try_from(bytes(text)?).map_err(|_| "argument must be a memory value")?,
    };
    change.shared().client_memory_limit.store(limit, Relaxed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_clients_is_a_size_or_a_part_of_all() {
        let mut config = Config::default();
        assert_eq!(config.client_bytes_max(), 1 << 30);
        for (text, shown, bytes) in [
            ("64mb", "67108864", 64 << 20),
            ("0", "0", 0),
            ("5%", "5%", 50_000),
            ("100%", "100%", 1_000_000),
        ] {
            config.max_memory_bytes.store(1_000_000, Relaxed);
            set_client_limit(&mut Change::Whole(&mut config), text).unwrap();
            assert_eq!(client_limit_text(&config), shown);
            assert_eq!(config.client_bytes_max(), bytes, "{text}");
            // A part of nothing is no limit.
            config.max_memory_bytes.store(0, Relaxed);
            assert_eq!(
                config.client_bytes_max() > 0,
                bytes > 0 && shown == bytes.to_string()
            );
        }
        for wrong in ["101%", "-1%", "%", "x", "-5"] {
            assert!(
                set_client_limit(&mut Change::Whole(&mut config), wrong).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_limit_that_would_never_be_met_is_refused() {
        let mut config = Config::default();
        let mut change = Change::Whole(&mut config);
        assert!(set_policy(&mut change, "allkeys-lru").is_err());
        assert_eq!(set_policy(&mut change, "noeviction"), Ok(()));
        // The tests of this crate run without the allocator that counts.
        assert!(set_max_memory(&mut change, "1gb").is_err());
        assert_eq!(set_max_memory(&mut change, "0"), Ok(()));
    }
}
