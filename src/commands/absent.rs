//! Commands of Redis that are absent here on purpose. Each says why instead of being unknown; COMMAND
//! does not tell of them.

use super::args::Args;
use super::command::{Command, Group, flag, write_help};
use super::error::CommandError;
use crate::clients::Context;
use crate::resp::reply::Reply;

type Done = Result<(), CommandError>;

/// A command that is refused by `why`.
const fn absent(
    name: &'static str,
    arity: i32,
    group: Group,
    why: super::command::ClientHandler,
    since: &'static str,
    summary: &'static str,
) -> Command {
    Command::client(name, arity, group, why)
        .flag(flag::ABSENT | flag::ADMIN | flag::NOSCRIPT)
        .doc(since, "O(1)", summary)
}

const NO_DISK: &str = "Refused: nothing is kept on disk.";
const NO_REPLICAS: &str = "Refused: there is no replication.";
const NO_MOVING: &str = "Refused: keys are not moved between servers.";
const NO_USERS: &str = "Refused: there is one user, `default`, with one password.";
const NO_MODULES: &str = "Refused: there are no modules.";
const NO_TESTS: &str = "Refused: it tests how Redis keeps its sketches.";

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    absent("SAVE", 1, Group::Server, no_disk, "1.0.0", NO_DISK).flag(flag::NO_MULTI),
    absent("BGSAVE", -1, Group::Server, no_disk, "1.0.0", NO_DISK),
    absent("BGREWRITEAOF", 1, Group::Server, no_disk, "1.0.0", NO_DISK),
    absent("LASTSAVE", 1, Group::Server, no_disk, "1.0.0", NO_DISK),
    absent("SYNC", 1, Group::Server, no_replicas, "1.0.0", NO_REPLICAS).flag(flag::NO_MULTI),
    absent(
        "PSYNC",
        -3,
        Group::Server,
        no_replicas,
        "2.8.0",
        NO_REPLICAS,
    )
    .flag(flag::NO_MULTI),
    absent(
        "REPLCONF",
        -1,
        Group::Server,
        no_replicas,
        "3.0.0",
        NO_REPLICAS,
    ),
    absent(
        "FAILOVER",
        -1,
        Group::Server,
        no_replicas,
        "6.2.0",
        NO_REPLICAS,
    ),
    absent("MIGRATE", -6, Group::Generic, no_moving, "2.6.0", NO_MOVING),
    absent(
        "RESTORE-ASKING",
        -4,
        Group::Server,
        no_moving,
        "3.0.0",
        NO_MOVING,
    ),
    absent(
        "PFDEBUG",
        3,
        Group::HyperLogLog,
        no_tests,
        "2.8.9",
        NO_TESTS,
    ),
    absent(
        "PFSELFTEST",
        1,
        Group::HyperLogLog,
        no_tests,
        "2.8.9",
        NO_TESTS,
    ),
    Command::container("ACL", Group::Server, ACL).doc(
        "6.0.0",
        "Depends on the subcommand",
        "A container for commands on users, of whom there is one.",
    ),
    Command::container("MODULE", Group::Server, MODULE).doc(
        "4.0.0",
        "Depends on the subcommand",
        "A container for commands on modules, of which there are none.",
    ),
];

const ACL: &[Command] = &[
    Command::client("WHOAMI", 2, Group::Server, acl_whoami)
        .flag(flag::NOSCRIPT)
        .doc("6.0.0", "O(1)", "Returns `default`."),
    Command::client("USERS", 2, Group::Server, acl_users)
        .flag(flag::ADMIN | flag::NOSCRIPT)
        .doc("6.0.0", "O(1)", "Returns the only user, `default`."),
    Command::client("HELP", 2, Group::Server, acl_help).doc(
        "6.0.0",
        "O(1)",
        "Describes the subcommands.",
    ),
    absent("CAT", -2, Group::Server, no_users, "6.0.0", NO_USERS),
    absent("DELUSER", -3, Group::Server, no_users, "6.0.0", NO_USERS),
    absent("DRYRUN", -4, Group::Server, no_users, "7.0.0", NO_USERS),
    absent("GENPASS", -2, Group::Server, no_users, "6.0.0", NO_USERS),
    absent("GETUSER", 3, Group::Server, no_users, "6.0.0", NO_USERS),
    absent("LIST", 2, Group::Server, no_users, "6.0.0", NO_USERS),
    absent("LOAD", 2, Group::Server, no_users, "6.0.0", NO_USERS),
    absent("LOG", -2, Group::Server, no_users, "6.0.0", NO_USERS),
    absent("SAVE", 2, Group::Server, no_users, "6.0.0", NO_USERS),
    absent("SETUSER", -3, Group::Server, no_users, "6.0.0", NO_USERS),
];

const MODULE: &[Command] = &[
    Command::client("LIST", 2, Group::Server, module_list)
        .flag(flag::ADMIN | flag::NOSCRIPT)
        .doc("4.0.0", "O(1)", "Returns the modules: none."),
    Command::client("HELP", 2, Group::Server, module_help).doc(
        "5.0.0",
        "O(1)",
        "Describes the subcommands.",
    ),
    absent("LOAD", -3, Group::Server, no_modules, "4.0.0", NO_MODULES),
    absent("LOADEX", -3, Group::Server, no_modules, "7.0.0", NO_MODULES),
    absent("UNLOAD", 3, Group::Server, no_modules, "4.0.0", NO_MODULES),
];

/// The error of a command whose name is the first so many of its words.
pub(super) fn refused(args: &Args<'_>, words: usize, why: &str) -> CommandError {
    let name = args.all().iter().take(words);
    let name: Vec<_> = name
        .map(|word| String::from_utf8_lossy(word).to_ascii_uppercase())
        .collect();
    CommandError::err(format!("{} is not supported: {why}", name.join(" ")))
}

fn no_disk(_: &mut Context<'_>, args: &Args<'_>, _: &mut dyn Reply) -> Done {
    let why = "nothing is kept on disk, the data is gone when the server stops";
    Err(refused(args, 1, why))
}

/// Why there are no replicas.
pub(super) const NO_REPLICATION: &str = "there is no replication";

fn no_replicas(_: &mut Context<'_>, args: &Args<'_>, _: &mut dyn Reply) -> Done {
    Err(refused(args, 1, NO_REPLICATION))
}

fn no_moving(_: &mut Context<'_>, args: &Args<'_>, _: &mut dyn Reply) -> Done {
    let why = "keys are not moved between servers; DUMP and RESTORE copy one";
    Err(refused(args, 1, why))
}

fn no_tests(_: &mut Context<'_>, args: &Args<'_>, _: &mut dyn Reply) -> Done {
    Err(refused(args, 1, "it tests how Redis keeps its sketches"))
}

fn no_users(_: &mut Context<'_>, args: &Args<'_>, _: &mut dyn Reply) -> Done {
    let why = "there is one user, default, whose password is requirepass";
    Err(refused(args, 2, why))
}

fn no_modules(_: &mut Context<'_>, args: &Args<'_>, _: &mut dyn Reply) -> Done {
    Err(refused(args, 2, "there are no modules"))
}

fn acl_whoami(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply.bulk(b"default");
    Ok(())
}

fn acl_users(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply.array(1);
    reply.bulk(b"default");
    Ok(())
}

fn acl_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    write_help("ACL", ACL, reply);
    Ok(())
}

fn module_list(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    reply.array(0);
    Ok(())
}

fn module_help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut dyn Reply) -> Done {
    write_help("MODULE", MODULE, reply);
    Ok(())
}
