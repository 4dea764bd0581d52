//! CLUSTER: with `--cluster_mode=emulated` this server tells of itself as a cluster of one, for
//! clients that know nothing else.

use std::sync::LazyLock;

use darter_storage::Mode;

use super::absent::refused;
use super::args::Args;
use super::command::{Command, Group, flag, write_help};
use super::error::CommandError;
use crate::clients::Context;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;
use crate::script::hash_tag;
use crate::services::Services;

/// Slots of a cluster.
const SLOTS: u16 = 16_384;
/// The port of the bus, which is not there, is this much higher.
const BUS_PORT_OFFSET: u32 = 10_000;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::container("CLUSTER", Group::Cluster, SUBCOMMANDS).doc(
        "3.0.0",
        "Depends on the subcommand",
        "A container for commands on the cluster.",
    ),
    own(
        "ASKING",
        "3.0.0",
        "Accepted by a cluster: no slot is on its way.",
    ),
    own(
        "READONLY",
        "3.0.0",
        "Accepted by a cluster: there are no replicas.",
    ),
    own("READWRITE", "3.0.0", "Accepted by a cluster: see READONLY."),
];

/// What would change the cluster.
const fn fixed(name: &'static str, arity: i32, since: &'static str) -> Command {
    Command::client(name, arity, Group::Cluster, unchanging)
        .flag(flag::ABSENT | flag::ADMIN | flag::NOSCRIPT)
        .doc(since, "O(1)", "Refused: a cluster is this server alone.")
}

/// What clients of a cluster say of their connections.
const fn own(name: &'static str, since: &'static str, summary: &'static str) -> Command {
    Command::client(name, 1, Group::Cluster, agree)
        .flag(flag::FAST | flag::CONNECTION)
        .doc(since, "O(1)", summary)
}

const SUBCOMMANDS: &[Command] = &[
    Command::client("SLOTS", 2, Group::Cluster, slots).doc(
        "3.0.0",
        "O(1)",
        "Returns which node has which slots.",
    ),
    Command::client("SHARDS", 2, Group::Cluster, shards).doc(
        "7.0.0",
        "O(1)",
        "Returns the shards with their nodes.",
    ),
    Command::client("INFO", 2, Group::Cluster, info).doc(
        "3.0.0",
        "O(1)",
        "Returns the state of the cluster.",
    ),
    Command::client("MYID", 2, Group::Cluster, my_id).doc(
        "3.0.0",
        "O(1)",
        "Returns the name of this node.",
    ),
    Command::client("NODES", 2, Group::Cluster, nodes).doc(
        "3.0.0",
        "O(1)",
        "Returns the nodes, a line each.",
    ),
    Command::client("KEYSLOT", 3, Group::Cluster, key_slot).doc(
        "3.0.0",
        "O(N), with N the length of the key",
        "Returns the slot of a key.",
    ),
    Command::client("COUNTKEYSINSLOT", 3, Group::Cluster, count_keys).doc(
        "3.0.0",
        "O(N), with N keys",
        "Returns how many keys are in a slot.",
    ),
    Command::client("GETKEYSINSLOT", 4, Group::Cluster, get_keys).doc(
        "3.0.0",
        "O(N), with N keys",
        "Returns some keys of a slot.",
    ),
    Command::client("LINKS", 2, Group::Cluster, links).doc(
        "7.0.0",
        "O(1)",
        "Returns the links to other nodes: none.",
    ),
    Command::client("MYSHARDID", 2, Group::Cluster, my_id).doc(
        "7.2.0",
        "O(1)",
        "Returns the name of the shard, which is its only node's.",
    ),
    Command::client("REPLICAS", 3, Group::Cluster, replicas)
        .flag(flag::ADMIN)
        .doc("5.0.0", "O(1)", "Returns the replicas of this node: none."),
    Command::client("SLAVES", 3, Group::Cluster, replicas)
        .flag(flag::ADMIN)
        .doc("3.0.0", "O(1)", "See CLUSTER REPLICAS."),
    fixed("ADDSLOTS", -3, "3.0.0"),
    fixed("ADDSLOTSRANGE", -4, "7.0.0"),
    fixed("BUMPEPOCH", 2, "3.0.0"),
    fixed("COUNT-FAILURE-REPORTS", 3, "3.0.0"),
    fixed("DELSLOTS", -3, "3.0.0"),
    fixed("DELSLOTSRANGE", -4, "7.0.0"),
    fixed("FAILOVER", -2, "3.0.0"),
    fixed("FLUSHSLOTS", 2, "3.0.0"),
    fixed("FORGET", 3, "3.0.0"),
    fixed("MEET", -4, "3.0.0"),
    fixed("REPLICATE", 3, "3.0.0"),
    fixed("RESET", -2, "3.0.0"),
    fixed("SAVECONFIG", 2, "3.0.0"),
    fixed("SET-CONFIG-EPOCH", 3, "3.0.0"),
    fixed("SETSLOT", -4, "3.0.0"),
    Command::client("HELP", 2, Group::Cluster, help).doc(
        "5.0.0",
        "O(1)",
        "Describes the subcommands.",
    ),
];

type Done = Result<(), CommandError>;

/// The slot of a key: that of its tag, if it has one.
fn slot_of(key: &[u8]) -> u16 {
    static CHECKSUM: LazyLock<crc::Crc<u16>> =
        LazyLock::new(|| crc::Crc::<u16>::new(&crc::CRC_16_XMODEM));
    CHECKSUM.checksum(hash_tag(key).unwrap_or(key)) % SLOTS
}

fn check(services: &Services) -> Done {
    if services.config.startup.emulates_cluster {
        Ok(())
    } else {
        Err(CommandError::text(
            "ERR This instance has cluster support disabled",
        ))
    }
}

/// The address that the client has reached this node at.
fn endpoint(context: &Context<'_>) -> (String, u16) {
    let address = &context.client.shared.local_address;
    let found = address.rsplit_once(':').and_then(|(host, port)| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some((host.to_owned(), port.parse().ok()?))
    });
    found.unwrap_or_else(|| ("127.0.0.1".into(), context.services.config.startup.port))
}

fn slots(context: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check(context.services)?;
    let (host, port) = endpoint(context);
    reply.array(1);
    reply.array(3);
    reply.integer(0);
    reply.integer(i64::from(SLOTS) - 1);
    reply.array(4);
    reply.bulk(host.as_bytes());
    reply.integer(i64::from(port));
    reply.bulk(context.services.run_id.as_bytes());
    reply.array(0);
    Ok(())
}

fn shards(context: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check(context.services)?;
    let (host, port) = endpoint(context);
    reply.array(1);
    reply.map(2);
    reply.bulk(b"slots");
    reply.array(2);
    reply.integer(0);
    reply.integer(i64::from(SLOTS) - 1);
    reply.bulk(b"nodes");
    reply.array(1);
    reply.map(7);
    reply.bulk(b"id");
    reply.bulk(context.services.run_id.as_bytes());
    reply.bulk(b"port");
    reply.integer(i64::from(port));
    for (name, value) in [
        ("ip", host.as_str()),
        ("endpoint", host.as_str()),
        ("role", "master"),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"replication-offset");
    reply.integer(0);
    reply.bulk(b"health");
    reply.bulk(b"online");
    Ok(())
}

fn info(context: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check(context.services)?;
    let text = format!(
        "cluster_enabled:1\r\ncluster_state:ok\r\ncluster_slots_assigned:{SLOTS}\r\n\
         cluster_slots_ok:{SLOTS}\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:0\r\n\
         cluster_known_nodes:1\r\ncluster_size:1\r\ncluster_current_epoch:1\r\n\
         cluster_my_epoch:1\r\ncluster_stats_messages_sent:0\r\n\
         cluster_stats_messages_received:0\r\ntotal_cluster_links_buffer_limit_exceeded:0\r\n"
    );
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn my_id(context: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check(context.services)?;
    reply.bulk(context.services.run_id.as_bytes());
    Ok(())
}

fn nodes(context: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check(context.services)?;
    let (host, port) = endpoint(context);
    let bus = u32::from(port) + BUS_PORT_OFFSET;
    let text = format!(
        "{} {host}:{port}@{bus} myself,master - 0 0 1 connected 0-{}\n",
        context.services.run_id,
        SLOTS - 1
    );
    reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn key_slot(context: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check(context.services)?;
    reply.integer(i64::from(slot_of(&args[2])));
    Ok(())
}

/// The slot that a client names.
fn parse_slot(argument: &[u8]) -> Result<u16, CommandError> {
    let slot = parse_integer(argument).ok_or(CommandError::NotAnInteger)?;
    let slot = u16::try_from(slot).ok().filter(|slot| *slot < SLOTS);
    slot.ok_or(CommandError::text("ERR Invalid slot"))
}

/// The keys of a slot, in order.
fn keys_of(context: &Context<'_>, slot: u16) -> Result<Vec<Box<[u8]>>, CommandError> {
    let snapshot = context.services.store.begin(Mode::Snapshot);
    let mut keys = snapshot.keys(context.client.database, b"", None, usize::MAX)?;
    keys.retain(|key| slot_of(key) == slot);
    Ok(keys)
}

fn count_keys(context: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check(context.services)?;
    let slot = parse_slot(&args[2])?;
    reply.integer(keys_of(context, slot)?.len() as i64);
    Ok(())
}

fn get_keys(context: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check(context.services)?;
    let slot = parse_slot(&args[2])?;
    let most = args.integer(3)?;
    let most = usize::try_from(most)
        .map_err(|_| CommandError::text("ERR Invalid slot or number of keys"))?;
    let mut keys = keys_of(context, slot)?;
    keys.truncate(most);
    reply.array(keys.len());
    keys.iter().for_each(|key| reply.bulk(key));
    Ok(())
}

fn links(context: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check(context.services)?;
    reply.array(0);
    Ok(())
}

fn replicas(context: &mut Context<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check(context.services)?;
    if args[2] != *context.services.run_id.as_bytes() {
        return Err(CommandError::naming("Unknown node ", &args[2], ""));
    }
    reply.array(0);
    Ok(())
}

fn unchanging(context: &mut Context<'_>, args: &Args<'_>, _: &mut dyn Reply) -> Done {
    check(context.services)?;
    let why = "the cluster is this server alone, with all slots";
    Err(refused(args, 2, why))
}

fn agree(context: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    check(context.services)?;
    reply.status("OK");
    Ok(())
}

fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    write_help("CLUSTER", SUBCOMMANDS, reply);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        for (key, slot) in [
            ("123456789", 12_739),
            ("foo", 12_182),
            ("x{foo}y", 12_182),
            ("{}foo", slot_of(b"{}foo")),
            ("", 0),
        ] {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
        assert_ne!(slot_of(b"{}foo"), slot_of(b"foo"), "an empty tag is none");
    }
}
