//! MULTI and what belongs to it.

use super::command::{Command, Control, Group, Keys, flag};

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::control("MULTI", 1, Group::Transactions, Control::Multi)
        .flag(flag::FAST)
        .doc("1.2.0", "O(1)", "Starts a transaction."),
    Command::control("EXEC", 1, Group::Transactions, Control::Exec).doc(
        "1.2.0",
        "Depends on the commands in the transaction",
        "Executes all commands in a transaction.",
    ),
    Command::control("DISCARD", 1, Group::Transactions, Control::Discard)
        .flag(flag::FAST)
        .doc(
            "2.0.0",
            "O(N), with N queued commands",
            "Discards a transaction.",
        ),
    Command::control("WATCH", -2, Group::Transactions, Control::Watch)
        .flag(flag::FAST)
        .keys(Keys::ALL)
        .doc(
            "2.2.0",
            "O(1) per key",
            "Makes the next transaction depend on keys not changing.",
        ),
    Command::control("UNWATCH", 1, Group::Transactions, Control::Unwatch)
        .flag(flag::FAST)
        .doc("2.2.0", "O(1)", "Forgets all watched keys."),
];
