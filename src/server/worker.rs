//! A data-plane thread: a runtime of its own, and the connections that belong to it.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

use super::connection::Connection;
use super::rounds;
use crate::clients::SharedClient;
use crate::services::Services;
use crate::session::kept_gate;
use crate::stats::ThreadStats;
use crate::watchdog::Pulse;

/// A socket that was accepted.
pub(super) enum Socket {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// A new connection on its way to its thread.
pub(super) struct Arrival {
    pub(super) socket: Socket,
    pub(super) client: Arc<SharedClient>,
}

/// The acceptor's handle on a data-plane thread.
pub(super) struct Worker {
    sender: UnboundedSender<Arrival>,
    connections: Arc<AtomicUsize>,
}

impl Worker {
    pub(super) fn start(
        number: usize,
        services: &Arc<Services>,
    ) -> io::Result<(Worker, JoinHandle<()>)> {
        let (sender, receiver) = unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(kept_gate::release)
            .build()?;
        let services = Arc::clone(services);
        let own = Arc::clone(&connections);
        let thread = super::spawn(&format!("worker-{number}"), move || {
            let stats = services.stats.join();
            LocalSet::new().block_on(&runtime, serve(receiver, services, stats, own));
        })?;
        Ok((
            Worker {
                sender,
                connections,
            },
            thread,
        ))
    }

    /// How many connections it has.
    pub(super) fn load(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Hands it a connection.
    pub(super) fn hand_over(&self, arrival: Arrival) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        // The thread ends only with the server; then the connection may as well be dropped.
        let _ = self.sender.send(arrival);
    }
}

/// A connection among those of its thread, however it ends.
struct Counted {
    connections: Arc<AtomicUsize>,
    services: Arc<Services>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
        if std::thread::panicking() {
            // Beyond its session; the runtime ends the connection.
            self.services.stats.count_panic();
        }
    }
}

/// A connection whose turns the watchdog sees.
struct Watched<C> {
    connection: C,
    client_id: u64,
    stats: Arc<ThreadStats>,
}

impl<C: Future<Output = ()> + Unpin> Future for Watched<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let own = self.get_mut();
        rounds::note_turn();
        let _turn = Turn::begin(&own.stats.pulse, own.client_id);
        Pin::new(&mut own.connection).poll(context)
    }
}

/// A turn, however it ends.
struct Turn<'p>(&'p Pulse);

impl Turn<'_> {
    fn begin(pulse: &Pulse, client_id: u64) -> Turn<'_> {
        pulse.begin(client_id);
        Turn(pulse)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn serve(
    mut receiver: UnboundedReceiver<Arrival>,
    services: Arc<Services>,
    stats: Arc<ThreadStats>,
    connections: Arc<AtomicUsize>,
) {
    tokio::task::spawn_local(kept_gate::attend());
    tokio::task::spawn_local(rounds::attend());
    // The acceptor drops its end when the server stops.
    while let Some(arrival) = receiver.recv().await {
        let (services, stats) = (Arc::clone(&services), Arc::clone(&stats));
        let counted = Counted {
            connections: Arc::clone(&connections),
            services: Arc::clone(&services),
        };
        tokio::task::spawn_local(async move {
            let _counted = counted;
            let client_id = arrival.client.id;
            if run(arrival, &services, &stats).await.is_err() {
                services.clients.remove(client_id);
            }
        });
    }
    while connections.load(Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
}

async fn run(
    arrival: Arrival,
    services: &Arc<Services>,
    stats: &Arc<ThreadStats>,
) -> io::Result<()> {
    match arrival.socket {
        Socket::Tcp(stream) => {
            let stream = tokio::net::TcpStream::from_std(stream)?;
            watched(stream, services, stats, arrival.client).await;
        }
        Socket::Unix(stream) => {
            let stream = tokio::net::UnixStream::from_std(stream)?;
            watched(stream, services, stats, arrival.client).await;
        }
    }
    Ok(())
}

fn watched<S: AsyncRead + AsyncWrite + AsFd + Unpin>(
    stream: S,
    services: &Arc<Services>,
    stats: &Arc<ThreadStats>,
    client: Arc<SharedClient>,
) -> Watched<Connection<S>> {
    Watched {
        client_id: client.id,
        connection: Connection::new(stream, services, stats, client),
        stats: Arc::clone(stats),
    }
}
