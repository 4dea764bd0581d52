//! The bytes that a client has sent, and the requests in them, looked at some at a time so that
//! the keys of the next ones are on their way to the cache while the first one runs.

use std::collections::VecDeque;

use super::{Core, multi};
use crate::commands::table::{self, Entry};
use crate::fault::fault;
use crate::resp::parser::{Limits, Parser, ProtocolError, Request};

/// Requests that are looked at together.
const REQUESTS: usize = 32;
/// An input buffer that has grown larger than this is given back once it is empty.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// A request that has been looked at.
pub(super) struct Looked {
    pub(super) request: Request,
    /// What `table::find` says of its first argument; `None` if it has not been asked.
    pub(super) entry: Option<Entry>,
}

/// A request taken from a batch, with the bytes that it lies in.
pub(super) struct Taken {
    pub(super) request: Request,
    /// As in `Looked`.
    pub(super) entry: Option<Entry>,
    pub(super) bytes: Vec<u8>,
}

impl Taken {
    pub(super) fn arguments(&self) -> Vec<&[u8]> {
        self.request.arguments(&self.bytes).collect()
    }

    /// What its arguments take where they are copied.
    pub(super) fn argument_bytes(&self) -> usize {
        let arguments = self.request.arguments(&self.bytes);
        multi::kept_bytes(arguments)
    }
}

pub(super) struct Batch {
    /// Empty while a request is taken.
    input: Vec<u8>,
    /// What arrives while a request is taken.
    parser: Parser,
    requests: VecDeque<Looked>,
    /// What the requests took when they were looked at.
    request_bytes: usize,
    error: Option<ProtocolError>,
}

impl Batch {
    pub(super) fn new() -> Batch {
        Batch {
            input: Vec::new(),
            parser: Parser::new(),
            requests: VecDeque::new(),
            request_bytes: 0,
            error: None,
        }
    }

    pub(super) fn input(&mut self) -> &mut Vec<u8> {
        &mut self.input
    }

    pub(super) fn wanted_bytes(&self) -> usize {
        self.parser.wanted(self.input.len())
    }

    /// How many bytes have arrived that belong to no request that has been taken.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.input.len().saturating_sub(self.parser.consumed())
    }

    /// Bytes that it takes.
    pub(super) fn held_bytes(&self) -> usize {
        self.input.capacity() + self.request_bytes + self.parser.held_bytes()
    }

    /// Gives memory back that no request needs.
    pub(super) fn give_back(&mut self) {
        if self.requests.is_empty() && self.waiting_bytes() == 0 {
            self.input = Vec::new();
            self.parser.rebase();
        }
    }

    /// The next request of those that have been looked at.
    pub(super) fn next(&mut self) -> Result<Option<Taken>, ProtocolError> {
        match self.requests.pop_front() {
            Some(Looked { request, entry }) => Ok(Some(Taken {
                request,
                entry,
                bytes: std::mem::take(&mut self.input),
            })),
            None => self.error.take().map_or(Ok(None), Err),
        }
    }

    /// Looks at more requests if none is left of those that have been looked at.
    pub(super) fn fill(&mut self, core: &Core) {
        if self.requests.is_empty() && self.error.is_none() {
            self.look_ahead(core);
        }
    }

    /// The request that is to be taken after `skipped` others, if it has been looked at.
    pub(super) fn upcoming(&self, skipped: usize) -> Option<&Looked> {
        self.requests.get(skipped)
    }

    /// The bytes that requests lie in: those that have been looked at, and those taken by `pop`
    /// until others are looked at.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.input
    }

    /// Takes the next request that has been looked at, without its bytes.
    pub(super) fn pop(&mut self) -> Option<Looked> {
        self.requests.pop_front()
    }

    /// Gives back what `pop` has taken: it comes first again.
    pub(super) fn put_back(&mut self, looked: Looked) {
        self.requests.push_front(looked);
    }

    /// Gives the bytes back.
    pub(super) fn done(&mut self, taken: Taken) {
        debug_assert!(
            self.input.is_empty(),
            "nothing arrives while a request runs"
        );
        self.input = taken.bytes;
    }

    /// Parses some requests and asks the cache for their keys.
    fn look_ahead(&mut self, core: &Core) {
        if self.parser.consumed() > 0 {
            if self.parser.consumed() == self.input.len() {
                self.input.clear();
                if self.input.capacity() > KEPT_BYTES_MAX {
                    self.input = Vec::new();
                }
                self.parser.rebase();
            } else if self.parser.consumed() >= self.input.len() / 2 {
                // Not sooner: a long pipeline would be moved as often as it has batches.
                self.input.drain(..self.parser.consumed());
                self.parser.rebase();
            }
        }
        let limits = Limits {
            bulk_bytes_max: core.services.config.bulk_bytes_max(),
            is_authenticated: core.client.is_authenticated
                || fault!("limits before the password are ignored"),
        };
        self.request_bytes = 0;
        while self.requests.len() < REQUESTS {
            match self.parser.next(&self.input, limits) {
                Ok(Some(request)) => {
                    let is_first = self.requests.is_empty();
                    self.request_bytes += request.held_bytes();
                    self.requests.push_back(Looked {
                        request,
                        entry: None,
                    });
                    // Only the first request may change what the client is allowed to send.
                    if is_first && !limits.is_authenticated {
                        return;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
        }
        if self.requests.len() > 1 {
            self.prefetch(core);
        }
    }

    fn prefetch(&mut self, core: &Core) {
        let lookups: Vec<(&[u8], Option<&[u8]>)> = self
            .requests
            .iter_mut()
            .filter_map(|looked| {
                let mut arguments = looked.request.arguments(&self.input);
                let entry = table::find(arguments.next()?)?;
                looked.entry = Some(entry);
                let (key, element) = (entry.command.keys.hint()?, entry.command.element);
                let found = arguments.nth(key.checked_sub(1)?)?;
                let between = element.and_then(|element| element.checked_sub(key + 1));
                Some((found, between.and_then(|between| arguments.nth(between))))
            })
            .collect();
        core.services.store.prefetch(core.client.database, &lookups);
    }
}
