//! Publish and subscribe.

use darter_storage::Message;

use super::args::Args;
use super::command::{Command, Group, flag, unknown_option, write_help};
use super::error::CommandError;
use super::view::View;
use crate::clients::{Context, subscription_bytes};
use crate::pubsub::Kind;
use crate::resp::reply::Reply;

const SUBSCRIBING: u32 = flag::PUBSUB | flag::NOSCRIPT | flag::SUBSCRIBED | flag::LOADING;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::read("PUBLISH", 3, Group::PubSub, publish)
        .unflag(flag::READONLY)
        .flag(flag::PUBSUB | flag::FAST | flag::LOADING | flag::STALE)
        .doc(
            "2.0.0",
            "O(N+M), with N subscribers and M patterns",
            "Posts a message to a channel.",
        ),
    Command::read("SPUBLISH", 3, Group::PubSub, spublish)
        .unflag(flag::READONLY)
        .flag(flag::PUBSUB | flag::FAST | flag::LOADING | flag::STALE)
        .doc(
            "7.0.0",
            "O(N), with N subscribers",
            "Posts a message to a shard channel.",
        ),
    Command::client("SUBSCRIBE", -2, Group::PubSub, subscribe)
        .flag(SUBSCRIBING)
        .doc(
            "2.0.0",
            "O(N), with N channels",
            "Listens for messages published to channels.",
        ),
    Command::client("UNSUBSCRIBE", -1, Group::PubSub, unsubscribe)
        .flag(SUBSCRIBING)
        .doc(
            "2.0.0",
            "O(N), with N channels",
            "Stops listening to channels.",
        ),
    Command::client("PSUBSCRIBE", -2, Group::PubSub, psubscribe)
        .flag(SUBSCRIBING)
        .doc(
            "2.0.0",
            "O(N), with N patterns",
            "Listens for messages published to channels that match patterns.",
        ),
    Command::client("PUNSUBSCRIBE", -1, Group::PubSub, punsubscribe)
        .flag(SUBSCRIBING)
        .doc(
            "2.0.0",
            "O(N), with N patterns",
            "Stops listening to channels that match patterns.",
        ),
    Command::client("SSUBSCRIBE", -2, Group::PubSub, ssubscribe)
        .flag(SUBSCRIBING)
        .doc(
            "7.0.0",
            "O(N), with N channels",
            "Listens for messages published to shard channels.",
        ),
    Command::client("SUNSUBSCRIBE", -1, Group::PubSub, sunsubscribe)
        .flag(SUBSCRIBING)
        .doc(
            "7.0.0",
            "O(N), with N channels",
            "Stops listening to shard channels.",
        ),
    Command::container("PUBSUB", Group::PubSub, SUBCOMMANDS).doc(
        "2.8.0",
        "Depends on the subcommand",
        "A container for commands on subscriptions.",
    ),
];

const SUBCOMMANDS: &[Command] = &[
    Command::client("CHANNELS", -2, Group::PubSub, channels)
        .flag(flag::PUBSUB)
        .doc(
            "2.8.0",
            "O(N), with N channels",
            "Returns the channels with subscribers.",
        ),
    Command::client("NUMSUB", -2, Group::PubSub, numsub)
        .flag(flag::PUBSUB)
        .doc(
            "2.8.0",
            "O(N), with N channels",
            "Returns how many are subscribed to channels.",
        ),
    Command::client("NUMPAT", 2, Group::PubSub, numpat)
        .flag(flag::PUBSUB)
        .doc("2.8.0", "O(1)", "Returns how many patterns there are."),
    Command::client("SHARDCHANNELS", -2, Group::PubSub, shard_channels)
        .flag(flag::PUBSUB)
        .doc(
            "7.0.0",
            "O(N), with N channels",
            "Returns the shard channels with subscribers.",
        ),
    Command::client("SHARDNUMSUB", -2, Group::PubSub, shard_numsub)
        .flag(flag::PUBSUB)
        .doc(
            "7.0.0",
            "O(N), with N channels",
            "Returns how many are subscribed to shard channels.",
        ),
    Command::client("HELP", 2, Group::PubSub, help).doc(
        "6.2.0",
        "O(1)",
        "Describes the subcommands.",
    ),
];

fn publish_to(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    sharded: bool,
) -> Result<(), CommandError> {
    let (channel, payload) = (args.at(1), args.at(2));
    let receivers = view.services.pubsub.receivers(channel, sharded);
    if receivers > 0 {
        view.publish(Message {
            channel: channel.into(),
            payload: payload.into(),
            sharded,
        });
    }
    reply.integer(receivers as i64);
    Ok(())
}

fn publish(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    publish_to(view, args, reply, false)
}

fn spublish(
    view: &mut View<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    publish_to(view, args, reply, true)
}

/// How a kind of subscription confirms, and ends.
fn words(kind: Kind) -> (&'static [u8], &'static [u8]) {
    match kind {
        Kind::Channel => (b"subscribe", b"unsubscribe"),
        Kind::Pattern => (b"psubscribe", b"punsubscribe"),
        Kind::Shard => (b"ssubscribe", b"sunsubscribe"),
    }
}

/// What the confirmation of one kind counts: channels and patterns together, shard channels apart.
fn counted(context: &Context<'_>, kind: Kind) -> i64 {
    let client = &context.client;
    let count = match kind {
        Kind::Shard => client.shard_channels.len(),
        _ => client.channels.len() + client.patterns.len(),
    };
    count as i64
}

fn names<'c>(
    context: &'c mut Context<'_>,
    kind: Kind,
) -> &'c mut std::collections::BTreeSet<Box<[u8]>> {
    match kind {
        Kind::Channel => &mut context.client.channels,
        Kind::Pattern => &mut context.client.patterns,
        Kind::Shard => &mut context.client.shard_channels,
    }
}

fn add(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    kind: Kind,
) -> Result<(), CommandError> {
    for name in args.from(1) {
        let was_subscribed = context.client.subscriptions() > 0;
        if names(context, kind).insert(Box::from(*name)) {
            context.client.subscribed_bytes += subscription_bytes(name);
            if !was_subscribed {
                context.services.interest.add();
            }
            context
                .services
                .pubsub
                .subscribe(kind, name, &context.client.shared);
        }
        reply.push(3);
        reply.bulk(words(kind).0);
        reply.bulk(name);
        reply.integer(counted(context, kind));
    }
    context.client.show_subscriptions();
    Ok(())
}

fn remove(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    kind: Kind,
) -> Result<(), CommandError> {
    let mut wanted: Vec<Box<[u8]>> = args.from(1).iter().map(|name| Box::from(*name)).collect();
    if wanted.is_empty() {
        wanted = names(context, kind).iter().cloned().collect();
        if wanted.is_empty() {
            reply.push(3);
            reply.bulk(words(kind).1);
            reply.null();
            reply.integer(counted(context, kind));
        }
    }
    for name in wanted {
        if names(context, kind).remove(&name) {
            context.client.subscribed_bytes -= subscription_bytes(&name);
            context
                .services
                .pubsub
                .unsubscribe(kind, &name, &context.client.shared);
            if context.client.subscriptions() == 0 {
                context.services.interest.remove();
                context.client.forget_pushes();
            }
        }
        reply.push(3);
        reply.bulk(words(kind).1);
        reply.bulk(&name);
        reply.integer(counted(context, kind));
    }
    context.client.show_subscriptions();
    Ok(())
}

/// The handlers of one kind of subscription.
macro_rules! handlers {
    ($($name:ident: $action:ident, $kind:ident;)*) => {
        $(fn $name(
            context: &mut Context<'_>,
            args: &Args<'_>,
            reply: &mut dyn Reply,
        ) -> Result<(), CommandError> {
            $action(context, args, reply, Kind::$kind)
        })*
    };
}

handlers! {
    subscribe: add, Channel;
    psubscribe: add, Pattern;
    ssubscribe: add, Shard;
    unsubscribe: remove, Channel;
    punsubscribe: remove, Pattern;
    sunsubscribe: remove, Shard;
    channels: list, Channel;
    shard_channels: list, Shard;
    numsub: count, Channel;
    shard_numsub: count, Shard;
}

fn list(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    kind: Kind,
) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(unknown_option(args));
    }
    let channels = context.services.pubsub.channels(kind, args.get(2));
    reply.array(channels.len());
    channels.iter().for_each(|channel| reply.bulk(channel));
    Ok(())
}

fn count(
    context: &mut Context<'_>,
    args: &Args<'_>,
    reply: &mut dyn Reply,
    kind: Kind,
) -> Result<(), CommandError> {
    let channels = args.from(2);
    reply.array(channels.len() * 2);
    for channel in channels {
        reply.bulk(channel);
        reply.integer(context.services.pubsub.subscribers(kind, channel) as i64);
    }
    Ok(())
}

fn numpat(
    context: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut dyn Reply,
) -> Result<(), CommandError> {
    reply.integer(context.services.pubsub.patterns() as i64);
    Ok(())
}

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Result<(), CommandError> {
    write_help("PUBSUB", SUBCOMMANDS, reply);
    Ok(())
}
