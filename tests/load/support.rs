//! What these tests share with others; each uses a part of it.

#[path = "../support/attacks.rs"]
pub(crate) mod attacks;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../support/client.rs"]
pub(crate) mod client;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../support/gallery.rs"]
pub(crate) mod gallery;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../support/process.rs"]
pub(crate) mod process;
