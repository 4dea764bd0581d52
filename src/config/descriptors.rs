//! Open descriptors: as many as connections may need, or fewer connections.

use std::sync::atomic::Ordering;

use rlimit::Resource;

use super::Config;

/// What a server needs besides its connections: listeners, event queues, the log, files that are
/// read for INFO.
const OTHERS: u64 = 128;

/// Lets this process open enough descriptors for `maxclients`. Where the system does not allow
/// that many, `maxclients` becomes what it allows, and a line in the log says so.
pub fn make_room(config: &Config) {
    let wanted = config.max_clients.load(Ordering::Relaxed);
    let clients = make_room_for(wanted);
    if clients < wanted {
        tracing::warn!(
            "so few descriptors may be open that maxclients is {clients} instead of {wanted}"
        );
        config.max_clients.store(clients, Ordering::Relaxed);
    }
}

/// Lets this process open enough descriptors for so many clients; for how many it may, which is
/// as many or fewer.
pub(super) fn make_room_for(clients: usize) -> usize {
    let wanted = (clients as u64).saturating_add(OTHERS);
    let Ok((soft, hard)) = Resource::NOFILE.get() else {
        tracing::warn!("the system does not tell how many descriptors may be open");
        return clients;
    };
    if soft >= wanted {
        return clients;
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
    clients_within(allowed, clients)
}

/// How many clients there may be, with so many descriptors.
fn clients_within(descriptors: u64, wanted_clients: usize) -> usize {
    let room = descriptors.saturating_sub(OTHERS).max(1);
    wanted_clients.min(usize::try_from(room).unwrap_or(usize::MAX))
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
