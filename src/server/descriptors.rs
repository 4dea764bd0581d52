//! Open descriptors: as many as connections may need, or fewer connections.

use std::sync::atomic::Ordering;

use rlimit::Resource;

use crate::config::Config;

/// What a server needs besides its connections: listeners, event queues, the log, files that are
/// read for INFO.
const OTHERS: u64 = 128;

/// Lets this process open enough descriptors for `maxclients`. Where the system does not allow
/// that many, `maxclients` becomes what it allows, and a line in the log says so.
pub fn make_room(config: &Config) {
    let wanted_clients = config.max_clients.load(Ordering::Relaxed) as u64;
    let wanted = wanted_clients.saturating_add(OTHERS);
    let Ok((soft, hard)) = Resource::NOFILE.get() else {
        tracing::warn!("the system does not tell how many descriptors may be open");
        return;
    };
    if soft >= wanted {
        return;
    }
    // Only who is privileged may go beyond the hard limit.
    let is_allowed = Resource::NOFILE.set(wanted, hard.max(wanted)).is_ok();
    let allowed = if is_allowed {
        wanted
    } else if Resource::NOFILE.set(hard, hard).is_ok() {
        hard
    } else {
        soft
    };
    let clients = clients_within(allowed, wanted_clients);
    if clients < wanted_clients {
        tracing::warn!(
            "only {allowed} descriptors may be open: maxclients is {clients} instead of \
             {wanted_clients}"
        );
        let clients = usize::try_from(clients).unwrap_or(usize::MAX);
        config.max_clients.store(clients, Ordering::Relaxed);
    }
}

/// How many clients there may be, with so many descriptors.
fn clients_within(descriptors: u64, wanted_clients: u64) -> u64 {
    wanted_clients.min(descriptors.saturating_sub(OTHERS).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_descriptors_are_fewer_clients_and_never_none() {
        assert_eq!(clients_within(10_128, 10_000), 10_000);
        assert_eq!(clients_within(1_024, 10_000), 896);
        assert_eq!(clients_within(64, 10_000), 1);
    }
}
