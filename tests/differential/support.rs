//! What these tests share with others; each uses a part of it.

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../support/client.rs"]
pub(crate) mod client;
#[path = "../support/line.rs"]
pub(crate) mod line;
#[path = "../support/random.rs"]
pub(crate) mod random;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../support/redis.rs"]
pub(crate) mod redis;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../support/server.rs"]
pub(crate) mod server;
