//! Scripts, transactions, connections, and what must hold over sockets.

mod abort;
mod attacks;
mod bank;
mod client_memory;
mod command_line;
mod connections;
mod explain;
mod functions;
mod gallery;
mod held_snapshot;
mod hostile_clients;
mod hostile_scripts;
mod info;
mod kills;
mod memory_limit;
mod protocol;
mod pubsub;
mod script_options;
mod script_stats;
mod script_texts;
mod scripts;
mod slow;
mod snapshots;
mod transactions;
mod undeclared_keys;
mod watchdog;
