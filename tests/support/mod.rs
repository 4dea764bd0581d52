//! What tests of commands share: a server of their own, a client, the checks that run a line in
//! every way a client could.

pub(crate) mod attacks;
pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod gallery;
pub(crate) mod info;
pub(crate) mod line;
pub(crate) mod log;
#[allow(dead_code, reason = "other tests use the rest")]
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod redis;
pub(crate) mod server;
