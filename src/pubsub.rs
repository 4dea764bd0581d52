//! Who is subscribed to what, and the delivery of messages.
//!
//! Messages come from the stream of effects alone: one that was published in a transaction is
//! delivered once, when the transaction is part of history, in the order of the commits.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use darter_storage::Message;

use crate::clients::{Push, SharedClient};
use crate::fault::fault;
use crate::glob::matches;

/// Kinds of subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SUBSCRIBE.
    Channel,
    /// PSUBSCRIBE.
    Pattern,
    /// SSUBSCRIBE.
    Shard,
}

type Subscribers = HashMap<Box<[u8]>, Vec<Arc<SharedClient>>>;

/// All subscriptions of a server.
#[derive(Default)]
pub struct PubSub {
    channels: RwLock<Subscribers>,
    patterns: RwLock<Subscribers>,
    shards: RwLock<Subscribers>,
}

impl PubSub {
    /// Nobody is subscribed yet.
    pub fn new() -> PubSub {
        PubSub::default()
    }

    fn table(&self, kind: Kind) -> &RwLock<Subscribers> {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::Shard => &self.shards,
        }
    }

    fn read(&self, kind: Kind) -> std::sync::RwLockReadGuard<'_, Subscribers> {
        self.table(kind)
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a subscription.
    pub fn subscribe(&self, kind: Kind, name: &[u8], client: &Arc<SharedClient>) {
        let mut table = self
            .table(kind)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        table
            .entry(name.into())
            .or_default()
            .push(Arc::clone(client));
    }

    /// Removes a subscription.
    pub fn unsubscribe(&self, kind: Kind, name: &[u8], client: &SharedClient) {
        let mut table = self
            .table(kind)
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(subscribers) = table.get_mut(name) {
            let stays = fault!("a subscription stays");
            subscribers.retain(|known| known.id != client.id || stays);
            if subscribers.is_empty() {
                table.remove(name);
            }
        }
    }

    /// How many would get a message on `channel` now. O(patterns).
    pub fn receivers(&self, channel: &[u8], is_sharded: bool) -> usize {
        let kind = if is_sharded {
            Kind::Shard
        } else {
            Kind::Channel
        };
        let direct = self.read(kind).get(channel).map_or(0, Vec::len);
        if is_sharded {
            return direct;
        }
        let patterns = self.read(Kind::Pattern);
        let through = patterns
            .iter()
            .filter(|(pattern, _)| matches(pattern, channel));
        direct
            + through
                .map(|(_, subscribers)| subscribers.len())
                .sum::<usize>()
    }

    /// Delivers a message to all who are subscribed. One for whom more than `bytes_max` bytes wait
    /// is cut off; 0 is no limit.
    pub fn deliver(&self, message: &Message, bytes_max: usize) {
        let push = |pattern: Option<&[u8]>| {
            Arc::new(Push::Message {
                pattern: pattern.map(Into::into),
                channel: message.channel.clone(),
                payload: message.payload.clone(),
                is_sharded: message.sharded,
            })
        };
        let kind = if message.sharded {
            Kind::Shard
        } else {
            Kind::Channel
        };
        if let Some(subscribers) = self.read(kind).get(&message.channel) {
            let push = push(None);
            subscribers
                .iter()
                .for_each(|client| client.push(&push, bytes_max));
        }
        if message.sharded {
            return;
        }
        for (pattern, subscribers) in self.read(Kind::Pattern).iter() {
            if matches(pattern, &message.channel) {
                let push = push(Some(pattern));
                subscribers
                    .iter()
                    .for_each(|client| client.push(&push, bytes_max));
            }
        }
    }

    /// Channels with subscribers that match `pattern` (`None`: all).
    pub fn channels(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Box<[u8]>> {
        let table = self.read(kind);
        let names = table
            .keys()
            .filter(|name| pattern.is_none_or(|p| matches(p, name)));
        names.cloned().collect()
    }

    /// How many are subscribed to exactly this.
    pub fn subscribers(&self, kind: Kind, name: &[u8]) -> usize {
        self.read(kind).get(name).map_or(0, Vec::len)
    }

    /// How many different patterns somebody is subscribed to.
    pub fn patterns(&self) -> usize {
        self.read(Kind::Pattern).len()
    }
}
