//! Redis's options that mean nothing here, with the values that CONFIG GET shows and those that they take.

use super::checks::Check::{
    self, Clamped, File, HostName, Integer, Memory, Name, OneOf, Scores, Shutdown, Text, YesNo,
};
use super::values::INT;

/// When an option may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settable {
    /// At any time.
    Any,
    /// Only when the server starts.
    Start,
    /// As `Start`, since Redis protects it from clients.
    Protected,
}

/// An option without a meaning.
pub(super) struct WithoutMeaning {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    pub(super) check: Check,
    pub(super) settable: Settable,
}

const fn any(name: &'static str, default: &'static str, check: Check) -> WithoutMeaning {
    WithoutMeaning {
        name,
        default,
        check,
        settable: Settable::Any,
    }
}

const fn fixed(name: &'static str, default: &'static str, check: Check) -> WithoutMeaning {
    WithoutMeaning {
        settable: Settable::Start,
        ..any(name, default, check)
    }
}

const fn protected(name: &'static str, default: &'static str, check: Check) -> WithoutMeaning {
    WithoutMeaning {
        settable: Settable::Protected,
        ..any(name, default, check)
    }
}

/// The most bytes that an option of a signed size takes.
const LONG: u64 = i64::MAX as u64;

/// Older names of some of them, with the newer ones.
pub(super) const OLDER_NAMES: &[(&str, &str)] = &[
    ("cluster-slave-no-failover", "cluster-replica-no-failover"),
    (
        "cluster-slave-validity-factor",
        "cluster-replica-validity-factor",
    ),
    ("hash-max-ziplist-entries", "hash-max-listpack-entries"),
    ("hash-max-ziplist-value", "hash-max-listpack-value"),
    ("list-max-ziplist-size", "list-max-listpack-size"),
    ("min-slaves-max-lag", "min-replicas-max-lag"),
    ("min-slaves-to-write", "min-replicas-to-write"),
    ("repl-ping-slave-period", "repl-ping-replica-period"),
    ("slave-announce-ip", "replica-announce-ip"),
    ("slave-announce-port", "replica-announce-port"),
    ("slave-ignore-maxmemory", "replica-ignore-maxmemory"),
    ("slave-lazy-flush", "replica-lazy-flush"),
    ("slave-priority", "replica-priority"),
    ("slave-read-only", "replica-read-only"),
    ("slave-serve-stale-data", "replica-serve-stale-data"),
    ("zset-max-ziplist-entries", "zset-max-listpack-entries"),
    ("zset-max-ziplist-value", "zset-max-listpack-value"),
];

/// Options of Redis 7.2 and of Dragonfly without a meaning here: known, kept for CONFIG GET, and named in one
/// warning where a configuration file sets them.
pub(super) const WITHOUT_MEANING: &[WithoutMeaning] = &[
    any("maxmemory-samples", "5", Integer(1, INT)),
    any("maxmemory-eviction-tenacity", "10", Integer(0, 100)),
    any("appendonly", "no", YesNo),
    fixed("appendfilename", "appendonly.aof", Name("filename")),
    fixed("appenddirname", "appendonlydir", Name("dirname")),
    any(
        "appendfsync",
        "everysec",
        OneOf(&["everysec", "always", "no"]),
    ),
    any("auto-aof-rewrite-percentage", "100", Integer(0, INT)),
    any("auto-aof-rewrite-min-size", "67108864", Memory(0, LONG)),
    any("aof-load-truncated", "yes", YesNo),
    any("aof-use-rdb-preamble", "yes", YesNo),
    any("aof-timestamp-enabled", "no", YesNo),
    any("aof-rewrite-incremental-fsync", "yes", YesNo),
    any("no-appendfsync-on-rewrite", "no", YesNo),
    any("save", "", Text),
    protected("dbfilename", "dump.rdb", File),
    protected("dir", "", Text),
    any("rdbcompression", "yes", YesNo),
    fixed("rdbchecksum", "yes", YesNo),
    any("rdb-del-sync-files", "no", YesNo),
    any("rdb-save-incremental-fsync", "yes", YesNo),
    any(
        "sanitize-dump-payload",
        "no",
        OneOf(&["no", "yes", "clients"]),
    ),
    any("stop-writes-on-bgsave-error", "yes", YesNo),
    fixed("daemonize", "no", YesNo),
    fixed("pidfile", "", Text),
    fixed(
        "supervised",
        "no",
        OneOf(&["upstart", "systemd", "auto", "no"]),
    ),
    fixed("tcp-backlog", "511", Integer(0, INT)),
    any("bind-source-addr", "", Text),
    fixed("socket-mark-id", "0", Integer(0, 4_294_967_295)),
    fixed("always-show-logo", "no", YesNo),
    fixed("set-proc-title", "yes", YesNo),
    any(
        "proc-title-template",
        "{title} {listen-addr} {server-mode}",
        Text,
    ),
    any("locale-collate", "", Text),
    any("crash-log-enabled", "yes", YesNo),
    any("crash-memcheck-enabled", "yes", YesNo),
    fixed("syslog-enabled", "no", YesNo),
    fixed("syslog-ident", "redis", Text),
    fixed(
        "syslog-facility",
        "local0",
        OneOf(&[
            "user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
        ]),
    ),
    fixed(
        "enable-protected-configs",
        "no",
        OneOf(&["no", "yes", "local"]),
    ),
    fixed(
        "enable-module-command",
        "no",
        OneOf(&["no", "yes", "local"]),
    ),
    any("replica-serve-stale-data", "yes", YesNo),
    any("replica-read-only", "yes", YesNo),
    any("replica-priority", "100", Integer(0, INT)),
    any("replica-announced", "yes", YesNo),
    any("replica-announce-ip", "", Text),
    any("replica-announce-port", "0", Integer(0, 65535)),
    any("replica-ignore-disk-write-errors", "no", YesNo),
    any("masterauth", "", Text),
    any("masteruser", "", Text),
    any("replica-lazy-flush", "no", YesNo),
    any("replica-ignore-maxmemory", "yes", YesNo),
    any("repl-diskless-sync", "yes", YesNo),
    any("repl-diskless-sync-delay", "5", Integer(0, INT)),
    any("repl-diskless-sync-max-replicas", "0", Integer(0, INT)),
    any(
        "repl-diskless-load",
        "disabled",
        OneOf(&["disabled", "on-empty-db", "swapdb"]),
    ),
    any("repl-disable-tcp-nodelay", "no", YesNo),
    any("repl-ping-replica-period", "10", Integer(1, INT)),
    any("repl-timeout", "60", Integer(1, INT)),
    any(
        "repl-backlog-size",
        "1048576",
        Clamped(&Memory(1, LONG), 16 << 10, i64::MAX),
    ),
    any("repl-backlog-ttl", "3600", Integer(0, i64::MAX)),
    any(
        "propagation-error-behavior",
        "ignore",
        OneOf(&["ignore", "panic", "panic-on-replicas"]),
    ),
    any("min-replicas-to-write", "0", Integer(0, INT)),
    any("min-replicas-max-lag", "10", Integer(0, INT)),
    any("acllog-max-len", "128", Integer(0, i64::MAX)),
    any(
        "acl-pubsub-default",
        "resetchannels",
        OneOf(&["allchannels", "resetchannels"]),
    ),
    any("lazyfree-lazy-eviction", "no", YesNo),
    any("lazyfree-lazy-expire", "no", YesNo),
    any("lazyfree-lazy-server-del", "no", YesNo),
    any("lazyfree-lazy-user-del", "no", YesNo),
    any("lazyfree-lazy-user-flush", "no", YesNo),
    fixed("io-threads", "1", Integer(1, 128)),
    fixed("io-threads-do-reads", "no", YesNo),
    any(
        "oom-score-adj",
        "no",
        OneOf(&["no", "yes", "relative", "absolute"]),
    ),
    any("oom-score-adj-values", "0 200 800", Scores),
    fixed("disable-thp", "yes", YesNo),
    any("tracking-table-max-keys", "1000000", Integer(0, i64::MAX)),
    any("hash-max-listpack-entries", "512", Integer(0, i64::MAX)),
    any("hash-max-listpack-value", "64", Memory(0, LONG)),
    any("list-max-listpack-size", "-2", Integer(-INT - 1, INT)),
    any("list-compress-depth", "0", Integer(0, INT)),
    any("set-max-intset-entries", "512", Integer(0, i64::MAX)),
    any("set-max-listpack-entries", "128", Integer(0, i64::MAX)),
    any("set-max-listpack-value", "64", Memory(0, LONG)),
    any("zset-max-listpack-entries", "128", Integer(0, i64::MAX)),
    any("zset-max-listpack-value", "64", Memory(0, LONG)),
    any("stream-node-max-bytes", "4096", Memory(0, LONG)),
    any("activerehashing", "yes", YesNo),
    any(
        "client-query-buffer-limit",
        "1073741824",
        Memory(1_048_576, LONG),
    ),
    any("hz", "10", Clamped(&Integer(0, INT), 1, 500)),
    any("dynamic-hz", "yes", YesNo),
    any("jemalloc-bg-thread", "yes", YesNo),
    any("activedefrag", "no", YesNo),
    any("active-defrag-ignore-bytes", "104857600", Memory(1, LONG)),
    any("active-defrag-threshold-lower", "10", Integer(0, 1000)),
    any("active-defrag-threshold-upper", "100", Integer(0, 1000)),
    any("active-defrag-cycle-min", "1", Integer(1, 99)),
    any("active-defrag-cycle-max", "25", Integer(1, 99)),
    any(
        "active-defrag-max-scan-fields",
        "1000",
        Integer(1, i64::MAX),
    ),
    any("active-expire-effort", "1", Integer(1, 10)),
    any("lfu-log-factor", "10", Integer(0, INT)),
    any("lfu-decay-time", "1", Integer(0, INT)),
    fixed("cluster-enabled", "no", YesNo),
    fixed("cluster-config-file", "nodes.conf", Text),
    any("cluster-node-timeout", "15000", Integer(0, i64::MAX)),
    any("cluster-require-full-coverage", "yes", YesNo),
    any("cluster-migration-barrier", "1", Integer(0, INT)),
    any("cluster-allow-replica-migration", "yes", YesNo),
    any("cluster-allow-reads-when-down", "no", YesNo),
    any("cluster-replica-validity-factor", "10", Integer(0, INT)),
    any("cluster-announce-ip", "", Text),
    any("cluster-announce-port", "0", Integer(0, 65535)),
    fixed("cluster-port", "0", Integer(0, 65535)),
    any("cluster-announce-tls-port", "0", Integer(0, 65535)),
    any("cluster-announce-bus-port", "0", Integer(0, 65535)),
    any("cluster-announce-hostname", "", HostName),
    any("cluster-announce-human-nodename", "", Text),
    any(
        "cluster-preferred-endpoint-type",
        "ip",
        OneOf(&["ip", "hostname", "unknown-endpoint"]),
    ),
    any("cluster-replica-no-failover", "no", YesNo),
    any("cluster-allow-pubsubshard-when-down", "yes", YesNo),
    any("cluster-link-sendbuf-limit", "0", Memory(0, u64::MAX)),
    any("tls-port", "0", Integer(0, 65535)),
    any("tls-cert-file", "", Text),
    any("tls-key-file", "", Text),
    any("tls-key-file-pass", "", Text),
    any("tls-client-cert-file", "", Text),
    any("tls-client-key-file", "", Text),
    any("tls-client-key-file-pass", "", Text),
    any("tls-dh-params-file", "", Text),
    any("tls-ca-cert-file", "", Text),
    any("tls-ca-cert-dir", "", Text),
    any("tls-protocols", "", Text),
    any("tls-ciphers", "", Text),
    any("tls-ciphersuites", "", Text),
    any("tls-prefer-server-ciphers", "no", YesNo),
    any("tls-session-caching", "yes", YesNo),
    any("tls-session-cache-size", "20480", Integer(0, INT)),
    any("tls-session-cache-timeout", "300", Integer(0, INT)),
    any("tls-auth-clients", "yes", OneOf(&["no", "yes", "optional"])),
    any("tls-replication", "no", YesNo),
    any("tls-cluster", "no", YesNo),
    any("shutdown-timeout", "10", Integer(0, INT)),
    any("shutdown-on-sigint", "default", Shutdown),
    any("shutdown-on-sigterm", "default", Shutdown),
    fixed("server_cpulist", "", Text),
    fixed("bio_cpulist", "", Text),
    fixed("aof_rewrite_cpulist", "", Text),
    fixed("bgsave_cpulist", "", Text),
    any("ignore-warnings", "", Text),
    // Dragonfly's.
    any("lua_auto_async", "false", Text),
    any("lua_float_as_int_shas", "", Text),
    any("lua_resp2_legacy_float", "false", Text),
    any("interpreter_per_thread", "10", Text),
    any("lua_mem_gc_threshold", "10000000", Text),
    any("multi_eval_squash_buffer", "8096", Text),
];
