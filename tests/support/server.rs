//! A server in the test's own process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use darter::config::Config;
use darter::server::Listen;
use darter::services::Services;

/// Stopped when dropped.
pub(crate) struct Server {
    server: Option<darter::server::Server>,
    pub(crate) address: SocketAddr,
    pub(crate) services: Arc<Services>,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::start_with(Config::new(16, 2))
    }

    pub(crate) fn start_with(config: Config) -> Server {
        let listen = Listen {
            addresses: vec!["127.0.0.1:0".parse().unwrap()],
            ..Listen::default()
        };
        let services = Services::new(config);
        let server = darter::server::Server::start(services, &listen).unwrap();
        let address = server.addresses()[0];
        let services = Arc::clone(server.services());
        Server {
            server: Some(server),
            address,
            services,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
        }
    }
}

/// Waits until something holds that other threads bring about.
pub(crate) fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain");
        std::thread::yield_now();
    }
}
