//! The commands that no form sends, each with the reason; what is newer than Redis 7.0 with the
//! file that has lines for it instead.

/// Commands that Redis 7.0 has and no form sends by itself, each with the reason.
pub(crate) const EXCLUDED: &[(&[&str], &str)] = &[
    (
        &["multi", "exec", "discard", "watch", "unwatch"],
        "ways in which the others are sent",
    ),
    (&["command|getkeys"], "asked about the other commands"),
    (
        &["auth", "hello", "reset", "quit"],
        "they change the connection that all others go through",
    ),
    (
        &[
            "client|id",
            "client|info",
            "client|list",
            "client|kill",
            "client|pause",
            "client|reply",
            "client|unblock",
            "client|unpause",
            "client|no-evict",
        ],
        "they tell of this server's clients, or hold up the stream",
    ),
    (
        &[
            "command",
            "command|count",
            "command|docs",
            "command|info",
            "command|list",
        ],
        "the tables of commands differ; tests/commands/table.rs compares what both have",
    ),
    (
        &[
            "client|help",
            "cluster|help",
            "command|help",
            "config|help",
            "function|help",
            "latency|help",
            "memory|help",
            "object|help",
            "pubsub|help",
            "script|help",
            "slowlog|help",
            "xgroup|help",
            "xinfo|help",
        ],
        "texts for people",
    ),
    (
        &[
            "cluster|countkeysinslot",
            "cluster|info",
            "cluster|keyslot",
            "cluster|myid",
            "cluster|nodes",
            "cluster|shards",
            "cluster|slots",
        ],
        "Redis refuses them unless it is a cluster",
    ),
    (
        &[
            "config|get",
            "config|set",
            "config|resetstat",
            "config|rewrite",
            "info",
            "latency|doctor",
            "latency|graph",
            "latency|histogram",
            "latency|history",
            "latency|latest",
            "latency|reset",
            "lolwut",
            "memory|usage",
            "monitor",
            "shutdown",
            "slowlog|get",
            "slowlog|len",
            "slowlog|reset",
        ],
        "they tell of this server, or steer it",
    ),
    (
        &["command|getkeysandflags"],
        "Darter tells less of what becomes of a key",
    ),
    (&["time", "object|idletime"], "they tell the time"),
    (
        &["object|refcount"],
        "Redis shares small integers between keys",
    ),
    (
        &["function|dump", "function|restore"],
        "payloads may differ in how texts are compressed",
    ),
    (
        &["function|stats", "script|debug"],
        "they tell of scripts that run now, or steer the debugger",
    ),
];

/// Commands that Redis 7.0 does not have, each with the file below `tests/` whose lines say what
/// they reply.
pub(crate) const NEWER: &[(&[&str], &str)] = &[
    (
        &["delex", "delifeq", "digest", "msetex"],
        "commands/string.rs",
    ),
    (
        &[
            "hexpire",
            "hpexpire",
            "hexpireat",
            "hpexpireat",
            "hpersist",
            "httl",
            "hpttl",
            "hexpiretime",
            "hpexpiretime",
            "hgetdel",
            "hgetex",
            "hsetex",
        ],
        "commands/hash_deadlines.rs",
    ),
    (&["keyrange", "keycount"], "commands/key.rs"),
    (
        &["snapshot|begin", "snapshot|end", "snapshot|help"],
        "server/held_snapshot.rs",
    ),
    (
        &["client|setinfo", "client|no-touch"],
        "server/connections.rs",
    ),
    (&["script|flags", "script|list"], "server/scripts.rs"),
    (
        &["script|explain", "script|explainsha"],
        "server/explain.rs",
    ),
    (
        &["script|stats", "script|latency", "script|show", "script|gc"],
        "server/script_stats.rs",
    ),
];
