//! A host whose every call answers null.

use darter::resp::reply::Reply;
use darter::script::{CallContext, Called, Host, LogLevel};

pub(crate) struct NullHost;

impl Host for NullHost {
    fn call(&mut self, _: &CallContext, _: &[&[u8]], reply: &mut dyn Reply) -> Called {
        reply.null();
        Called::Done
    }
    fn log(&mut self, _: LogLevel, _: &[u8]) {}
    fn abort(&mut self, _: &[u8]) {}

    fn random(&mut self) -> u64 {
        0
    }

    fn may_run(&mut self, _: &[&[u8]]) -> Option<bool> {
        None
    }
}
