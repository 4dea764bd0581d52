//! Accepting: each new socket goes to the thread with the fewest connections.

use std::fs::Permissions;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket as RawSocket, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::Listen;
use super::worker::{Arrival, Socket, Worker};
use crate::fault::fault;
use crate::services::Services;
use crate::system_time::now_ms;

const BACKLOG: i32 = 511;
/// What the system may keep of a connection's replies before it has sent them (what was sent, and not
/// confirmed, is not part of it). It would keep megabytes for each client that does not read, which
/// nobody counts.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;
/// Pause after the system has refused a socket (out of descriptors), so that it can recover.
const AFTER_ERROR: Duration = Duration::from_millis(50);

const PROTECTED: &[u8] = b"-DENIED Darter is running in protected mode because protected mode is \
enabled and no password is set for the default user. In this mode connections are only accepted \
from the loopback interface. To connect from other computers, set a password with --requirepass \
or CONFIG SET requirepass, or disable protected mode with --protected-mode no.\r\n";

/// Listens, and accepts on a thread of its own.
pub(super) fn start(
    services: &Arc<Services>,
    listen: &Listen,
    workers: Vec<Worker>,
) -> io::Result<(Vec<SocketAddr>, JoinHandle<()>)> {
    let mut listeners: Vec<_> = listen
        .addresses
        .iter()
        .map(|address| bind(*address).map_err(at(address)))
        .collect::<io::Result<_>>()?;
    for address in &listen.optional_addresses {
        match bind(*address) {
            Err(error) if is_missing(&error) => {}
            // Somebody else's port, for instance, whom clients would meet instead.
            bound => listeners.push(bound.map_err(at(address))?),
        }
    }
    let addresses = listeners
        .iter()
        .map(|listener| listener.local_addr())
        .collect::<io::Result<_>>()?;
    let unix = listen.unix_socket.as_deref();
    let unix = unix
        .map(|path| bind_unix(path, listen.unix_socket_mode).map_err(at(path.display())))
        .transpose()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let services = Arc::clone(services);
    let path = listen.unix_socket.clone();
    let thread = super::spawn("acceptor", move || {
        let workers = std::rc::Rc::new(workers);
        LocalSet::new().block_on(&runtime, async {
            for listener in listeners {
                let (services, workers) = (Arc::clone(&services), std::rc::Rc::clone(&workers));
                tokio::task::spawn_local(async move {
                    if let Ok(listener) = TcpListener::from_std(listener) {
                        accept_tcp(&listener, &services, &workers).await;
                    }
                });
            }
            if let Some(listener) = unix {
                let (services, workers) = (Arc::clone(&services), std::rc::Rc::clone(&workers));
                let path = path.clone().unwrap_or_default().display().to_string();
                tokio::task::spawn_local(async move {
                    if let Ok(listener) = UnixListener::from_std(listener) {
                        accept_unix(&listener, &path, &services, &workers).await;
                    }
                });
            }
            services.stopped().await;
        });
        if let Some(path) = path {
            // Gone already, or somebody else's: nothing to be done.
            let _ = std::fs::remove_file(path);
        }
        for client in services.clients.all() {
            client.kill();
        }
    })?;
    Ok((addresses, thread))
}

/// Whether this machine has no such address, or no addresses of this kind.
fn is_missing(error: &io::Error) -> bool {
    let missing = [
        libc::EADDRNOTAVAIL,
        libc::EAFNOSUPPORT,
        libc::EPFNOSUPPORT,
        libc::EPROTONOSUPPORT,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| missing.contains(&code))
}

/// `error`, with the place that it is about.
fn at(place: impl std::fmt::Display) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{place}: {error}"))
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<std::os::unix::net::UnixListener> {
    // A socket that an earlier server left behind; anything else stays where it is.
    if std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before it listens: nobody gets in whom the mode keeps out.
    if mode != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

async fn accept_tcp(listener: &TcpListener, services: &Arc<Services>, workers: &[Worker]) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(AFTER_ERROR).await;
            continue;
        };
        let Ok(mut stream) = stream.into_std() else {
            continue;
        };
        let refusal = if is_protected(services, peer.ip()) {
            Some(PROTECTED)
        } else {
            over_limit(services)
        };
        if let Some(text) = refusal {
            refuse(services, &mut stream, text);
            continue;
        }
        // A connection without these still works.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
        let keepalive_s = services.config.tcp_keepalive_s.load(Ordering::Relaxed);
        if keepalive_s > 0 {
            let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(keepalive_s));
            let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        }
        let local = stream
            .local_addr()
            .map(|local| local.to_string())
            .unwrap_or_default();
        hand_over(
            services,
            workers,
            Socket::Tcp(stream),
            peer.to_string(),
            local,
        );
    }
}

async fn accept_unix(
    listener: &UnixListener,
    path: &str,
    services: &Arc<Services>,
    workers: &[Worker],
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(AFTER_ERROR).await;
            continue;
        };
        let Ok(mut stream) = stream.into_std() else {
            continue;
        };
        if let Some(text) = over_limit(services) {
            refuse(services, &mut stream, text);
            continue;
        }
        let name = format!("{path}:0");
        hand_over(services, workers, Socket::Unix(stream), name.clone(), name);
    }
}

fn is_protected(services: &Services, peer: IpAddr) -> bool {
    services.config.protected_mode.load(Ordering::Relaxed)
        && services.config.password().is_none()
        && !peer.to_canonical().is_loopback()
}

fn over_limit(services: &Services) -> Option<&'static [u8]> {
    let is_over = services.clients.len() >= services.config.max_clients.load(Ordering::Relaxed);
    (is_over && !fault!("connections without end"))
        .then_some(b"-ERR max number of clients reached\r\n")
}

fn refuse(services: &Services, stream: &mut impl Write, text: &[u8]) {
    let rejected = &services.stats.rejected_connections;
    rejected.fetch_add(1, Ordering::Relaxed);
    // Best effort: one who does not read it is not waited for.
    let _ = stream.write(text);
}

fn hand_over(
    services: &Services,
    workers: &[Worker],
    socket: Socket,
    address: String,
    local_address: String,
) {
    services.stats.connections.fetch_add(1, Ordering::Relaxed);
    let client = services.clients.add(address, local_address, now_ms());
    if let Some(worker) = workers.iter().min_by_key(|worker| worker.load()) {
        worker.hand_over(Arrival { socket, client });
    }
}
