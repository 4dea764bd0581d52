//! The table of options.

use std::sync::atomic::Ordering::Relaxed;

use super::descriptors::make_room_for;
use super::values::{
    INT, LONG, bytes, debugging, debugging_text, file_mode, number, path, path_text,
    undeclared_keys, undeclared_keys_text, within, yes_no, yes_no_text,
};
use super::{Config, OUTPUT_CLASSES, OutputLimit, memory, scripting, slow};
use crate::notifications;
use crate::script::flags::Flags;

/// When an option may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Only when the server starts.
    Start,
    /// At any time.
    Any,
}

/// Changes an option; the text says what is wrong.
type Set = fn(&mut Change<'_>, &str) -> Result<(), String>;

/// What an option is set in: a whole configuration before the start, a shared one after it.
pub enum Change<'c> {
    /// Before the start.
    Whole(&'c mut Config),
    /// While the server runs.
    Shared(&'c Config),
}

impl Change<'_> {
    pub(super) fn shared(&self) -> &Config {
        match self {
            Change::Whole(config) => config,
            Change::Shared(config) => config,
        }
    }

    fn startup(&mut self) -> Result<&mut super::Startup, String> {
        match self {
            Change::Whole(config) => Ok(&mut config.startup),
            Change::Shared(_) => Err("can't set immutable config".into()),
        }
    }
}

/// One option.
pub struct Parameter {
    /// Its name, with `-` or `_` between words, as its manual writes it.
    pub name: &'static str,
    /// What its value is, and in which unit.
    pub value: &'static str,
    /// Whether its value may be several words.
    pub has_many_words: bool,
    /// What it does.
    pub help: &'static str,
    /// When it may be set.
    pub when: When,
    get: fn(&Config) -> String,
    pub(super) set: Set,
}

fn limits_text(config: &Config) -> String {
    let limits = config.output_limits();
    let classes = OUTPUT_CLASSES.iter().zip(limits).map(|(class, limit)| {
        let class = if *class == "replica" { "slave" } else { class };
        format!(
            "{class} {} {} {}",
            limit.hard_bytes, limit.soft_bytes, limit.soft_seconds
        )
    });
    classes.collect::<Vec<_>>().join(" ")
}

fn set_limits(change: &mut Change<'_>, text: &str) -> Result<(), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (groups, rest) = words.as_chunks::<4>();
    if groups.is_empty() || !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    let mut limits = change.shared().output_limits();
    for [class, hard, soft, seconds] in groups {
        let class = if *class == "slave" { "replica" } else { class };
        let at = OUTPUT_CLASSES.iter().position(|known| *known == class);
        let at = at.ok_or("Invalid client class specified in buffer limit configuration.")?;
        let wrong = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        limits[at] = OutputLimit {
            hard_bytes: bytes(hard).map_err(|_| wrong)?,
            soft_bytes: bytes(soft).map_err(|_| wrong)?,
            soft_seconds: seconds.parse().map_err(|_| wrong)?,
        };
    }
    change.shared().set_output_limits(limits);
    Ok(())
}

fn set_log_level(change: &mut Change<'_>, text: &str) -> Result<(), String> {
    const LEVELS: [&str; 5] = ["debug", "verbose", "notice", "warning", "nothing"];
    if !LEVELS.contains(&text) {
        return Err(
            "argument(s) must be one of the following: debug, verbose, notice, warning, \
                    nothing"
                .into(),
        );
    }
    change.shared().set_log_level(text);
    Ok(())
}

/// The value of an option that is on if it is given without one.
pub const SWITCH: &str = "yes|no|true|false";

impl Parameter {
    /// Whether it may be given several times, its values adding up.
    pub fn is_repeatable(&self) -> bool {
        self.name == "script-flags"
    }
}

/// An option whose value is a counter in `Config`.
macro_rules! atomic {
    ($name:literal, $value:literal, $($field:ident).+, $parse:expr, $help:literal) => {
        Parameter {
            name: $name,
            value: $value,
            has_many_words: false,
            help: $help,
            when: When::Any,
            get: |config| config.$($field).+.load(Relaxed).to_string(),
            set: |change, text| {
                change.shared().$($field).+.store($parse(text)?, Relaxed);
                Ok(())
            },
        }
    };
}

/// All options, in the order of `--help`.
pub const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "port",
        value: "PORT",
        has_many_words: false,
        help: "TCP port to listen on; 0 for none",
        when: When::Start,
        get: |config| config.startup.port.to_string(),
        set: |change, text| {
            change.startup()?.port = number(text, 0, u16::MAX.into())?;
            Ok(())
        },
    },
    Parameter {
        name: "bind",
        value: "ADDRESSES",
        has_many_words: true,
        help: "addresses to listen on, with spaces between them; one behind a `-` may be missing",
        when: When::Start,
        get: |config| config.startup.bind.join(" "),
        set: |change, text| {
            change.startup()?.bind = text.split_whitespace().map(Into::into).collect();
            Ok(())
        },
    },
    Parameter {
        name: "protected-mode",
        value: "yes|no",
        has_many_words: false,
        help: "refuse connections from other machines while no password is set",
        when: When::Any,
        get: |config| yes_no_text(config.protected_mode.load(Relaxed)),
        set: |change, text| {
            change.shared().protected_mode.store(yes_no(text)?, Relaxed);
            Ok(())
        },
    },
    Parameter {
        name: "enable-debug-command",
        value: "no|local|yes",
        has_many_words: false,
        help: "who may use DEBUG: nobody, clients from this machine, everybody",
        when: When::Start,
        get: |config| debugging_text(config.startup.debugging),
        set: |change, text| {
            change.startup()?.debugging = debugging(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "unixsocket",
        value: "PATH",
        has_many_words: false,
        help: "Unix socket to listen on as well",
        when: When::Start,
        get: |config| path_text(config.startup.unix_socket.as_ref()),
        set: |change, text| {
            change.startup()?.unix_socket = path(text);
            Ok(())
        },
    },
    Parameter {
        name: "unixsocketperm",
        value: "OCTAL",
        has_many_words: false,
        help: "mode of that socket's file, as chmod takes it; 0 leaves it to the system's umask",
        when: When::Start,
        get: |config| format!("{:o}", config.startup.unix_socket_mode),
        set: |change, text| {
            change.startup()?.unix_socket_mode = file_mode(text)?;
            Ok(())
        },
    },
    Parameter {
        name: "threads",
        value: "COUNT",
        has_many_words: false,
        help: "data-plane threads; the number of cores if it is not given",
        when: When::Start,
        get: |config| config.startup.threads.to_string(),
        set: |change, text| {
            change.startup()?.threads = number(text, 1, 1024)?;
            Ok(())
        },
    },
    Parameter {
        name: "databases",
        value: "COUNT",
        has_many_words: false,
        help: "databases, numbered from 0",
        when: When::Start,
        get: |config| config.startup.databases.to_string(),
        set: |change, text| {
            change.startup()?.databases = number(text, 1, 512)?;
            Ok(())
        },
    },
    Parameter {
        name: "maxclients",
        value: "COUNT",
        has_many_words: false,
        help: "connections at most",
        when: When::Any,
        get: |config| config.max_clients.load(Relaxed).to_string(),
        set: |change, text| {
            let wanted = number(text, 1, u32::MAX.into())?;
            // What is wanted at the start becomes what the system allows, with a line in the log.
            if let Change::Shared(_) = change {
                let allowed = make_room_for(wanted);
                if allowed < wanted {
                    return Err(format!(
                        "The operating system is not able to handle the specified number of \
                         clients, try with {allowed}"
                    ));
                }
            }
            change.shared().max_clients.store(wanted, Relaxed);
            Ok(())
        },
    },
    Parameter {
        name: "requirepass",
        value: "PASSWORD",
        has_many_words: false,
        help: "password that clients must give; empty for none",
        when: When::Any,
        get: |config| config.password().unwrap_or_default(),
        set: |change, text| {
            // Stands for bytes that are no text, which no client could give as the password then.
            if text.contains(char::REPLACEMENT_CHARACTER) {
                return Err("argument must be UTF-8".into());
            }
            change
                .shared()
                .set_password((!text.is_empty()).then(|| text.to_owned()));
            Ok(())
        },
    },
    atomic!(
        "timeout",
        "SECONDS",
        timeout_s,
        |text| number(text, 0, INT),
        "close a connection that has been idle for so long; 0 for never"
    ),
    atomic!(
        "tcp-keepalive",
        "SECONDS",
        tcp_keepalive_s,
        |text| number(text, 0, INT),
        "time between probes of an idle TCP connection; 0 for none"
    ),
    atomic!(
        "proto-max-bulk-len",
        "BYTES",
        bulk_bytes_max,
        // As in Redis. Of a few bytes, no command would be short enough to set it back.
        |text| within(bytes(text)?, 1 << 20, LONG as usize),
        "longest argument of a command, and longest string"
    ),
    atomic!(
        "hll-sparse-max-bytes",
        "BYTES",
        sparse_sketch_bytes_max,
        bytes,
        "largest HyperLogLog that is kept in the sparse form"
    ),
    Parameter {
        name: "maxmemory",
        value: "BYTES",
        has_many_words: false,
        help: "refuse what adds data while more memory is in use; 0 for no limit",
        when: When::Any,
        get: memory::max_memory_text,
        set: memory::set_max_memory,
    },
    Parameter {
        name: "maxmemory-policy",
        value: "noeviction",
        has_many_words: false,
        help: "what happens at maxmemory: no key is evicted here",
        when: When::Any,
        get: |_| "noeviction".into(),
        set: memory::set_policy,
    },
    Parameter {
        name: "maxmemory-clients",
        value: "BYTES|N%",
        has_many_words: false,
        help: "disconnect the largest clients while the buffers of all take more, or more than N% \
               of maxmemory; 0 for no limit",
        when: When::Any,
        get: memory::client_limit_text,
        set: memory::set_client_limit,
    },
    atomic!(
        "snapshot-max-age",
        "SECONDS",
        snapshot_age_s,
        |text| number(text, 0, LONG),
        "end a snapshot that is held for so long, by a script or WATCH; 0 for never"
    ),
    atomic!(
        "stream-node-max-entries",
        "COUNT",
        stream_node_entries,
        |text| number(text, 0, LONG),
        "entries of a stream that go together where XTRIM and XADD say ~; 0 for all"
    ),
    atomic!(
        "snapshot-max-count",
        "COUNT",
        snapshots_max,
        |text| number(text, 0, LONG),
        "end the oldest snapshots when more are held; 0 for no limit"
    ),
    atomic!(
        "snapshot-max-bytes",
        "BYTES",
        snapshot_bytes_max,
        bytes,
        "end the oldest snapshot when about so much is kept for snapshots alone, a quarter of the \
         machine's memory if not given; 0 for no limit"
    ),
    Parameter {
        name: "latency-tracking",
        value: "yes|no",
        has_many_words: false,
        help: "whether INFO latencystats tells how long the commands took",
        when: When::Any,
        get: |config| yes_no_text(config.slow.shows_latencies.load(Relaxed)),
        set: |change, text| {
            let shows = &change.shared().slow.shows_latencies;
            shows.store(yes_no(text)?, Relaxed);
            Ok(())
        },
    },
    Parameter {
        name: "latency-tracking-info-percentiles",
        value: "HUNDREDTHS",
        has_many_words: true,
        help: "for which hundredths of the calls it tells that, with spaces between them",
        when: When::Any,
        get: slow::percentiles_text,
        set: |change, text| slow::set_percentiles(change.shared(), text),
    },
    Parameter {
        name: "client-output-buffer-limit",
        value: "CLASS HARD SOFT SECONDS",
        has_many_words: true,
        help: "disconnect a client (normal, replica, pubsub) that lets more than HARD bytes wait, \
               or more than SOFT bytes for SECONDS",
        when: When::Any,
        get: limits_text,
        set: set_limits,
    },
    Parameter {
        name: "undeclared_keys",
        value: "exclusive|optimistic",
        has_many_words: false,
        help: "whether others may write while a script with undeclared keys runs",
        when: When::Any,
        get: |config| undeclared_keys_text(config.undeclared_keys()),
        set: |change, text| {
            let how = undeclared_keys(text)?;
            change.shared().set_undeclared_keys(how);
            Ok(())
        },
    },
    Parameter {
        name: "default_lua_flags",
        value: "FLAGS",
        has_many_words: false,
        help: "flags of scripts that say nothing else, with commas between them: \
               allow-undeclared-keys, optimistic-undeclared-keys, disable-atomicity, no-writes, \
               rollback-on-error, allow-oom",
        when: When::Any,
        get: |config| config.default_flags().names().collect::<Vec<_>>().join(","),
        set: |change, text| {
            let flags = Flags::parse(text.as_bytes()).map_err(|error| error.to_string())?;
            change.shared().set_default_flags(flags);
            Ok(())
        },
    },
    Parameter {
        name: "script-flags",
        value: "SHA:FLAG+FLAG",
        has_many_words: true,
        help: "flags of one script, as if set by SCRIPT FLAGS; may be given several times",
        when: When::Start,
        get: scripting::script_flags_text,
        set: |change, text| scripting::add_script_flags(change.startup()?, text),
    },
    Parameter {
        name: "lua_undeclared_keys_shas",
        value: "SHA,SHA",
        has_many_words: false,
        help: "scripts that may use undeclared keys, besides what their flags say",
        when: When::Start,
        get: scripting::undeclared_text,
        set: |change, text| scripting::set_undeclared(change.startup()?, text),
    },
    Parameter {
        name: "lua_allow_undeclared_auto_correct",
        value: SWITCH,
        has_many_words: false,
        help: "let a script that was refused an undeclared key use any from its next run on",
        when: When::Any,
        get: |config| yes_no_text(config.corrects_flags.load(Relaxed)),
        set: scripting::set_auto_correct,
    },
    Parameter {
        name: "lock_on_hashtags",
        value: SWITCH,
        has_many_words: false,
        help: "let a declared key with a tag, as x{tag}, declare all keys of that tag",
        when: When::Any,
        get: |config| yes_no_text(config.declares_by_tag.load(Relaxed)),
        set: scripting::set_hashtags,
    },
    Parameter {
        name: "lua_enable_redis_log",
        value: SWITCH,
        has_many_words: false,
        help: "write what scripts give to redis.log",
        when: When::Any,
        get: |config| yes_no_text(config.scripts_log.load(Relaxed)),
        set: scripting::set_log,
    },
    Parameter {
        name: "cluster_mode",
        value: "emulated",
        has_many_words: false,
        help: "answer clients that want a cluster as one of this server alone",
        when: When::Start,
        get: |config| {
            let is_on = config.startup.emulates_cluster;
            if is_on { "emulated" } else { "" }.into()
        },
        set: |change, text| scripting::set_cluster_mode(change.startup()?, text),
    },
    atomic!(
        "lua-time-limit",
        "MILLISECONDS",
        lua_time_limit_ms,
        |text| number(text, 0, LONG),
        "log a script that runs for so long; 0 for never"
    ),
    atomic!(
        "lua-kill-limit",
        "MILLISECONDS",
        lua_kill_limit_ms,
        |text| number(text, 0, LONG),
        "end a script that runs for so long, without a trace if it is atomic; 0 for never"
    ),
    atomic!(
        "lua-memory-limit",
        "BYTES",
        lua_memory_bytes,
        // No script runs with less.
        |text| within(bytes(text)?, 64 << 10, LONG as usize),
        "end a script that uses so much memory"
    ),
    atomic!(
        "lua-max-suspended",
        "NUMBER",
        lua_suspended_max,
        |text| number(text, 0, LONG),
        "refuse further scripts while so many are not done after a slice of a millisecond; 0 for no limit"
    ),
    atomic!(
        "slowlog-log-slower-than",
        "MICROSECONDS",
        slow.log_us,
        |text| number(text, -1, LONG),
        "keep a command that takes so long for SLOWLOG; 0 for all, -1 for none"
    ),
    atomic!(
        "slowlog-max-len",
        "NUMBER",
        slow.log_max,
        |text| number(text, 0, LONG),
        "commands that SLOWLOG keeps"
    ),
    atomic!(
        "latency-monitor-threshold",
        "MILLISECONDS",
        slow.latency_ms,
        |text| number(text, 0, LONG),
        "note a command that takes so long for LATENCY; 0 for none"
    ),
    Parameter {
        name: "notify-keyspace-events",
        value: "LETTERS",
        has_many_words: false,
        help: "publish what happens to keys, on __keyspace@N__:KEY (K) and __keyevent@N__:EVENT \
               (E): g for all types, $lshzt for one, x expired, n new, m missed, A all but n and m",
        when: When::Any,
        get: |config| notifications::text(config.notified()),
        set: |change, text| {
            change.shared().set_notified(notifications::parse(text)?);
            Ok(())
        },
    },
    Parameter {
        name: "loglevel",
        value: "LEVEL",
        has_many_words: false,
        help: "debug, verbose, notice, warning or nothing",
        when: When::Start,
        get: Config::log_level,
        set: set_log_level,
    },
    Parameter {
        name: "logfile",
        value: "PATH",
        has_many_words: false,
        help: "file for the log; standard output if it is not given",
        when: When::Start,
        get: |config| path_text(config.startup.log_file.as_ref()),
        set: |change, text| {
            change.startup()?.log_file = path(text);
            Ok(())
        },
    },
];

/// The value of an option, as CONFIG GET shows it.
pub fn value_of(config: &Config, parameter: &Parameter) -> String {
    (parameter.get)(config)
}
