//! The server: options to parts, parts to a running server.

use std::net::SocketAddr;
use std::process::ExitCode;

use darter::config::Config;
use darter::server::{Listen, Server};
use darter::services::Services;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut port = 6379;
    let mut flags = darter::script::flags::Flags::NONE;
    let mut args = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (args.next(), args.next()) {
        match name.as_str() {
            "--port" => port = value.parse().unwrap_or(port),
            "--default_lua_flags" => {
                flags = darter::script::flags::Flags::parse(value.as_bytes()).unwrap_or(flags);
            }
            _ => {}
        }
    }
    let config = Config::default();
    config.set_default_flags(flags);
    let listen = Listen {
        addresses: vec![SocketAddr::from(([127, 0, 0, 1], port))],
        unix_socket: None,
    };
    match Server::start(Services::new(config), &listen) {
        Ok(server) => {
            tracing::info!("Darter listens on {:?}", server.addresses());
            server.wait();
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}
