//! Scripts, transactions, connections, and what must hold over sockets.

mod attacks;
mod bank;
mod client_memory;
mod command_line;
mod connections;
mod functions;
mod hostile_clients;
mod hostile_scripts;
mod info;
mod memory_limit;
mod protocol;
mod pubsub;
mod scripts;
mod snapshots;
mod transactions;
mod watchdog;
