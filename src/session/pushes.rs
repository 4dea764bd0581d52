//! Messages to subscribers, as they are written, and the end of subscriptions.

use std::sync::Arc;

use crate::clients::ClientState;
use crate::pubsub::Kind;
use crate::resp::encode::Encoder;
use crate::resp::reply::Reply;
use crate::services::Services;

/// Writes what others have sent to the client.
pub(super) fn write(client: &ClientState, output: &mut Vec<u8>) {
    for push in client.shared.take_pushes() {
        let mut reply = Encoder::new(output, client.protocol);
        reply.push(if push.pattern.is_some() { 4 } else { 3 });
        match &push.pattern {
            Some(pattern) => {
                reply.bulk(b"pmessage");
                reply.bulk(pattern);
            }
            None if push.is_sharded => reply.bulk(b"smessage"),
            None => reply.bulk(b"message"),
        }
        reply.bulk(&push.channel);
        reply.bulk(&push.payload);
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
    client.show_subscriptions();
    if count > 0 {
        services.interest.remove();
    }
}
