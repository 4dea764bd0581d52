//! Messages to subscribers and lines to monitors, as they are written, and the end of subscriptions.

use std::sync::Arc;

use crate::clients::{ClientState, Push};
use crate::pubsub::Kind;
use crate::resp::encode::Encoder;
use crate::resp::reply::Reply;
use crate::services::Services;

/// Writes what others have sent to the client.
pub(super) fn write(client: &ClientState, output: &mut Vec<u8>) {
    for push in client.shared.take_pushes() {
        let mut reply = Encoder::new(output, client.protocol);
        match &*push {
            Push::Message {
                pattern,
                channel,
                payload,
                is_sharded,
            } => {
                reply.push(if pattern.is_some() { 4 } else { 3 });
                match pattern {
                    Some(pattern) => {
                        reply.bulk(b"pmessage");
                        reply.bulk(pattern);
                    }
                    None if *is_sharded => reply.bulk(b"smessage"),
                    None => reply.bulk(b"message"),
                }
                reply.bulk(channel);
                reply.bulk(payload);
            }
            Push::Monitored(line) => reply.status(&String::from_utf8_lossy(line)),
        }
    }
}

/// Lets a client, which is not subscribed to anything, be told of commands no longer.
pub(crate) fn end_monitoring(services: &Services, client: &mut ClientState) {
    if std::mem::take(&mut client.is_monitor) {
        services.monitors.remove(&client.shared);
        // Not for whenever it asks again.
        drop(client.shared.take_pushes());
    }
}

/// Ends all subscriptions of a client, without a word.
pub(crate) fn unsubscribe_all(services: &Arc<Services>, client: &mut ClientState) {
    let count = client.subscriptions();
    let take = std::mem::take;
    for (kind, names) in [
        (Kind::Channel, take(&mut client.channels)),
        (Kind::Pattern, take(&mut client.patterns)),
        (Kind::Shard, take(&mut client.shard_channels)),
    ] {
        for name in names {
            services.pubsub.unsubscribe(kind, &name, &client.shared);
        }
    }
    client.subscribed_bytes = 0;
    client.show_subscriptions();
    if count > 0 {
        services.interest.remove();
        client.forget_pushes();
    }
}
