//! How large a reply may become before the client, or the server, has no room for it.

use crate::client_memory;
use crate::clients::SharedClient;
use crate::commands::view::HUGE_READ_BYTES;
use crate::resp::encode::Meter;
use crate::services::Services;

/// Charges a client for its reply while it is written.
pub(super) struct ReplyMeter<'c> {
    pub(super) services: &'c Services,
    pub(super) client: &'c SharedClient,
}

impl Meter for ReplyMeter<'_> {
    fn admits(&self, before: usize, after: usize) -> bool {
        let clients = &self.services.clients;
        clients.charge_more(self.client, after);
        if client_memory::is_over(self.services) {
            client_memory::enforce(self.services);
        }
        // It may have been somebody else who saw that it had to go.
        if self.client.is_killed() {
            return false;
        }
        after < HUGE_READ_BYTES || self.services.config.has_room_for(after - before)
    }
}
