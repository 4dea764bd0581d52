//! What the buffers of all clients take together, and who has to go when it is too much.
//!
//! Each connection says what it holds; what others see of that, and the sum, change only by steps,
//! so that a client with small requests writes nothing shared. A client that has been told to go
//! still holds its memory until its thread comes to it: until then nobody else begins anything,
//! unless that takes so long that the thread must be busy with something else.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clients::SharedClient;
use crate::services::Services;

/// Changes below this are kept from the sum, and so are clients that hold less.
const STEP_BYTES: usize = 16 * 1024;

/// Looks of the housekeeping, ten a second, after which those who have been told to go are not
/// waited for any more, if none has gone meanwhile.
const LOOKS_MAX: usize = 3;

/// What one client holds, as the sum has it.
#[derive(Default)]
pub(crate) struct Charge {
    /// Its part of the sum. Written under the lock by its own thread alone.
    bytes: AtomicUsize,
    /// Its part of what is about to be given back: 0, or what it held when it was told to go,
    /// which stays its part of the sum until it has gone.
    leaving_bytes: Mutex<usize>,
}

impl Charge {
    fn leaving_bytes(&self) -> MutexGuard<'_, usize> {
        // A number is whole at every moment.
        self.leaving_bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// On a cache line of its own: all threads read it at every turn, and few write it.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct ClientMemory {
    /// What all clients hold.
    bytes: AtomicUsize,
    /// What those hold of it who have been told to go.
    leaving_bytes: AtomicUsize,
    /// Looks of the housekeeping since one of them has gone, or all was well.
    looks: AtomicUsize,
}

impl ClientMemory {
    /// What all clients hold.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }

    /// A client holds so much from here on. Called by its own thread alone.
    #[inline]
    pub(crate) fn charge(&self, charge: &Charge, bytes: usize) {
        // Relaxed: nobody else writes it.
        if bytes.abs_diff(charge.bytes.load(Ordering::Relaxed)) >= STEP_BYTES {
            self.change(charge, bytes);
        }
    }

    #[cold]
    fn change(&self, charge: &Charge, bytes: usize) {
        let leaving = charge.leaving_bytes();
        if *leaving == 0 {
            let before = charge.bytes.swap(bytes, Ordering::SeqCst);
            // Wrapping, as a difference may be negative.
            self.bytes
                .fetch_add(bytes.wrapping_sub(before), Ordering::SeqCst);
        }
    }

    /// A client is gone. Called by its own thread.
    pub(crate) fn discharge(&self, charge: &Charge) {
        let mut leaving = charge.leaving_bytes();
        if *leaving > 0 {
            self.looks.store(0, Ordering::SeqCst);
        }
        // In this order, so that those who stay never seem to hold less than they do.
        self.leaving_bytes.fetch_sub(*leaving, Ordering::SeqCst);
        let bytes = charge.bytes.swap(0, Ordering::SeqCst);
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
        *leaving = 0;
    }

    /// Whom to tell to go, the largest first, until the others hold `bytes_max` at most; and what
    /// each holds.
    pub(crate) fn choose(
        &self,
        all: &BTreeMap<u64, Arc<SharedClient>>,
        bytes_max: usize,
    ) -> Vec<(Arc<SharedClient>, usize)> {
        let (mut largest, mut staying) = (Vec::new(), 0);
        for client in all.values().filter(|client| !client.is_killed()) {
            let bytes = client.charge.bytes.load(Ordering::SeqCst);
            if bytes > 0 {
                staying += bytes;
                largest.push((bytes, client));
            }
        }
        largest.sort_unstable_by_key(|(bytes, client)| (Reverse(*bytes), client.id));
        let mut chosen = Vec::new();
        for (seen, client) in largest {
            if staying <= bytes_max {
                break;
            }
            staying -= seen;
            let mut leaving = client.charge.leaving_bytes();
            // It may have changed since it was seen, but does not any more.
            let bytes = client.charge.bytes.load(Ordering::SeqCst);
            *leaving = bytes;
            // Here and now, so that it begins nothing until it is woken.
            client.mark_killed();
            self.leaving_bytes.fetch_add(bytes, Ordering::SeqCst);
            chosen.push((Arc::clone(client), bytes));
        }
        chosen
    }

    /// Whether those who stay hold more than `bytes_max`; 0 is no limit.
    pub(crate) fn must_choose(&self, bytes_max: usize) -> bool {
        // In this order: see `discharge`.
        let bytes = self.bytes();
        let leaving = self.leaving_bytes.load(Ordering::SeqCst);
        bytes_max > 0 && bytes.saturating_sub(leaving) > bytes_max
    }

    /// Whether nothing may be begun, for those who have to go hold memory that is needed.
    #[inline]
    pub(crate) fn must_wait(&self, bytes_max: usize) -> bool {
        self.is_over(bytes_max) && self.looks.load(Ordering::SeqCst) < LOOKS_MAX
    }

    /// Sees whether those who have to go do. Called by the housekeeping, ten times a second.
    pub(crate) fn look(&self, bytes_max: usize) {
        if self.is_over(bytes_max) {
            self.looks.fetch_add(1, Ordering::SeqCst);
        } else {
            self.looks.store(0, Ordering::SeqCst);
        }
    }

    /// Whether all hold more than `bytes_max`; 0 is no limit.
    #[inline]
    pub(crate) fn is_over(&self, bytes_max: usize) -> bool {
        bytes_max > 0 && self.bytes() > bytes_max
    }
}

/// Tells the largest clients to go while all hold more than `maxmemory-clients` allows.
pub fn enforce(services: &Services) {
    let bytes_max = services.config.client_bytes_max();
    for (client, bytes) in services.clients.choose_leaving(bytes_max) {
        // Relaxed: a count.
        let evicted = &services.stats.evicted_clients;
        evicted.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            "client {} from {} is disconnected: it holds {bytes} bytes, and all clients more than \
             maxmemory-clients, {bytes_max}",
            client.id,
            client.address
        );
        client.wake();
    }
}

/// Whether clients hold more than they may, those who are about to go included.
#[inline]
pub fn is_over(services: &Services) -> bool {
    let bytes_max = services.config.client_bytes_max();
    services.clients.memory.is_over(bytes_max)
}

/// Whether a connection may begin nothing now.
#[inline]
pub fn must_wait(services: &Services) -> bool {
    let bytes_max = services.config.client_bytes_max();
    services.clients.memory.must_wait(bytes_max)
}

/// Housekeeping: lets idle clients give back what they keep for their next request where others
/// need it, and sees whether those who have to go do.
pub fn look(services: &Services) {
    services
        .clients
        .memory
        .look(services.config.client_bytes_max());
    if is_tight(services) {
        let all = services.clients.all();
        // Relaxed: one that is overlooked is woken at the next turn.
        all.iter()
            .filter(|client| client.memory_bytes.load(Ordering::Relaxed) >= STEP_BYTES)
            .for_each(|client| client.wake());
    }
}

/// Whether memory that a client does not need now should be given back rather than kept for its
/// next request.
#[inline]
pub fn is_tight(services: &Services) -> bool {
    let bytes_max = services.config.client_bytes_max();
    services.clients.memory.is_over(bytes_max / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Clients;

    const LIMIT: usize = 10 * STEP_BYTES;

    fn client_of(clients: &Clients, bytes: usize) -> Arc<SharedClient> {
        let client = clients.add("there".into(), "here".into(), 0);
        clients.charge(&client, bytes);
        client
    }

    #[test]
    fn small_changes_are_kept_from_the_sum() {
        let clients = Clients::new();
        let client = client_of(&clients, STEP_BYTES - 1);
        assert_eq!(clients.charged_bytes(), 0);
        clients.charge(&client, 5 * STEP_BYTES);
        clients.charge(&client, 6 * STEP_BYTES - 1);
        assert_eq!(clients.charged_bytes(), 5 * STEP_BYTES);
        clients.charge(&client, 0);
        assert_eq!(clients.charged_bytes(), 0);
    }

    #[test]
    fn the_largest_are_chosen_once_and_count_until_they_have_gone() {
        let clients = Clients::new();
        let sizes = [3, 6, 5, 1].map(|steps| steps * STEP_BYTES);
        let [small, largest, large, _] = sizes.map(|bytes| client_of(&clients, bytes));
        let chosen = clients.choose_leaving(LIMIT);
        let ids: Vec<u64> = chosen.iter().map(|(client, _)| client.id).collect();
        assert_eq!(ids, [largest.id]);
        assert!(largest.is_killed() && !large.is_killed());
        assert!(clients.choose_leaving(LIMIT).is_empty(), "one is enough");
        // What it frees while it goes is not for others yet.
        clients.charge(&largest, 0);
        assert_eq!(clients.charged_bytes(), 15 * STEP_BYTES);
        clients.charge(&small, 5 * STEP_BYTES);
        let chosen = clients.choose_leaving(LIMIT);
        assert_eq!(chosen.len(), 1, "of the two that hold the same, one");
        clients.remove(largest.id);
        assert!(clients.memory.is_over(LIMIT));
        clients.remove(chosen[0].0.id);
        assert_eq!(clients.charged_bytes(), 6 * STEP_BYTES);
    }

    #[test]
    fn those_who_do_not_go_are_not_waited_for_for_ever() {
        let clients = Clients::new();
        let stuck = client_of(&clients, 2 * LIMIT);
        let going = client_of(&clients, LIMIT + STEP_BYTES);
        assert_eq!(clients.choose_leaving(LIMIT).len(), 2);
        for _ in 0..LOOKS_MAX - 1 {
            clients.memory.look(LIMIT);
        }
        assert!(clients.memory.must_wait(LIMIT));
        clients.remove(going.id);
        for _ in 0..LOOKS_MAX {
            assert!(clients.memory.must_wait(LIMIT));
            clients.memory.look(LIMIT);
        }
        assert!(!clients.memory.must_wait(LIMIT));
        clients.remove(stuck.id);
        clients.memory.look(LIMIT);
        client_of(&clients, 2 * LIMIT);
        assert!(clients.memory.must_wait(LIMIT));
    }
}
