//! What these tests share with others; each uses a part of it.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../support/client.rs"]
pub(crate) mod client;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../support/server.rs"]
pub(crate) mod server;
