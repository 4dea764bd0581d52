//! What a command is: one static entry, from which lookup, arity errors, key extraction, COMMAND's
//! replies and the documentation come.

use super::args::Args;
use super::error::CommandError;
use super::view::View;
use crate::clients::Context;
use crate::resp::reply::Reply;

/// A command on data: reads and writes keys through the view, writes one reply. It may run again
/// after a conflict, so it must leave nothing but through `View` and `Reply`.
pub type DataHandler = fn(&mut View<'_>, &Args<'_>, &mut dyn Reply) -> Result<(), CommandError>;

/// A command on the connection or the server; it runs once.
pub type ClientHandler =
    fn(&mut Context<'_>, &Args<'_>, &mut dyn Reply) -> Result<(), CommandError>;

/// Commands that steer how others run; the session knows each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// MULTI.
    Multi,
    /// EXEC.
    Exec,
    /// DISCARD.
    Discard,
    /// WATCH.
    Watch,
    /// UNWATCH.
    Unwatch,
    /// RESET.
    Reset,
    /// SNAPSHOT BEGIN.
    SnapshotBegin,
    /// SNAPSHOT END.
    SnapshotEnd,
    /// EVAL and EVAL_RO (`read_only`), by body.
    Eval {
        /// Whether it may not write.
        read_only: bool,
    },
    /// EVALSHA and EVALSHA_RO, by SHA-1.
    EvalSha {
        /// Whether it may not write.
        read_only: bool,
    },
    /// SCRIPT EXPLAIN and SCRIPT EXPLAINSHA.
    Explain {
        /// Whether the script is named by its SHA-1.
        by_sha: bool,
    },
    /// FCALL and FCALL_RO, by the function's name.
    Fcall {
        /// Whether it may not write.
        read_only: bool,
    },
    /// FUNCTION LOAD.
    FunctionLoad,
    /// FUNCTION RESTORE.
    FunctionRestore,
}

impl Control {
    /// Whether it runs a script or a function; if so, whether that may not write.
    pub fn runs_script(self) -> Option<bool> {
        match self {
            Control::Eval { read_only }
            | Control::EvalSha { read_only }
            | Control::Fcall { read_only } => Some(read_only),
            _ => None,
        }
    }

    /// Whether it loads libraries.
    pub fn loads_functions(self) -> bool {
        matches!(self, Control::FunctionLoad | Control::FunctionRestore)
    }
}

/// How a command runs.
#[derive(Clone, Copy)]
pub enum Run {
    /// On data, through a view.
    Data(DataHandler),
    /// On the connection or the server.
    Client(ClientHandler),
    /// By the session itself.
    Control(Control),
    /// Only its subcommands run.
    Container,
}

/// Families, as COMMAND DOCS names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Keys of any type.
    Generic,
    /// Strings.
    String,
    /// Hashes.
    Hash,
    /// Lists.
    List,
    /// Sets.
    Set,
    /// Sorted sets.
    SortedSet,
    /// Streams.
    Stream,
    /// Strings as arrays of bits.
    Bitmap,
    /// Strings that estimate how many there are.
    HyperLogLog,
    /// Sorted sets of places.
    Geo,
    /// Publish and subscribe.
    PubSub,
    /// MULTI and what belongs to it.
    Transactions,
    /// Scripts.
    Scripting,
    /// The connection.
    Connection,
    /// The server.
    Server,
    /// The cluster.
    Cluster,
}

impl Group {
    /// The name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            Group::Generic => "generic",
            Group::String => "string",
            Group::Hash => "hash",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Stream => "stream",
            Group::Bitmap => "bitmap",
            Group::HyperLogLog => "hyperloglog",
            Group::Geo => "geo",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Scripting => "scripting",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Cluster => "cluster",
        }
    }

    /// The ACL category of the family; for the server's, that of its commands on whole databases.
    pub fn category(self) -> &'static str {
        match self {
            Group::Generic => "keyspace",
            Group::SortedSet => "sortedset",
            Group::Transactions => "transaction",
            Group::Server => "keyspace",
            other => other.name(),
        }
    }
}

/// What a command does, as bits.
pub mod flag {
    /// Changes data.
    pub const WRITE: u32 = 1;
    /// Reads data and changes none.
    pub const READONLY: u32 = 1 << 1;
    /// May grow memory.
    pub const DENYOOM: u32 = 1 << 2;
    /// For the operator.
    pub const ADMIN: u32 = 1 << 3;
    /// Publish and subscribe.
    pub const PUBSUB: u32 = 1 << 4;
    /// Not from scripts.
    pub const NOSCRIPT: u32 = 1 << 5;
    /// May block.
    pub const BLOCKING: u32 = 1 << 6;
    /// O(1) or O(log n).
    pub const FAST: u32 = 1 << 7;
    /// Allowed before authentication.
    pub const NO_AUTH: u32 = 1 << 8;
    /// Not inside MULTI.
    pub const NO_MULTI: u32 = 1 << 9;
    /// Allowed while a RESP2 client is subscribed.
    pub const SUBSCRIBED: u32 = 1 << 10;
    /// Allowed while the data set is loaded.
    pub const LOADING: u32 = 1 << 11;
    /// Allowed on a replica without its master.
    pub const STALE: u32 = 1 << 12;
    /// Runs with the gate closed to all other writers.
    pub const EXCLUSIVE: u32 = 1 << 13;
    /// Its keys cannot all be told from the arguments by position alone.
    pub const MOVABLE_KEYS: u32 = 1 << 14;
    /// Dangerous for a server in use.
    pub const DANGEROUS: u32 = 1 << 15;
    /// Reads one state of the keyspace as a whole.
    pub const WHOLE_KEYSPACE: u32 = 1 << 16;
    /// On lists, sets and sorted sets alike.
    pub const COLLECTIONS: u32 = 1 << 17;
    /// Always refused: COMMAND does not tell of it.
    pub const ABSENT: u32 = 1 << 18;
    /// Refused unless an option of the start allows it.
    pub const PROTECTED: u32 = 1 << 19;
    /// Of the ACL category of connections, whatever its group.
    pub const CONNECTION: u32 = 1 << 20;

    /// The flags that COMMAND shows, by name.
    pub const NAMES: &[(u32, &str)] = &[
        (WRITE, "write"),
        (READONLY, "readonly"),
        (DENYOOM, "denyoom"),
        (ADMIN, "admin"),
        (PUBSUB, "pubsub"),
        (NOSCRIPT, "noscript"),
        (BLOCKING, "blocking"),
        (LOADING, "loading"),
        (STALE, "stale"),
        (FAST, "fast"),
        (NO_AUTH, "no_auth"),
        (NO_MULTI, "no_multi"),
        (MOVABLE_KEYS, "movablekeys"),
    ];
}

/// Which arguments are keys. Positions count from the command name, which is 0.
#[derive(Clone, Copy)]
pub enum Keys {
    /// None.
    None,
    /// From `first` to `last` (negative: from the end), every `step`-th.
    Range {
        /// The first key's position.
        first: usize,
        /// The last key's position; -1 is the last argument.
        last: isize,
        /// From one key to the next.
        step: usize,
    },
    /// A count at `count`, its keys right behind it; `destination` is one more key before.
    Counted {
        /// A key before the count, if any.
        destination: Option<usize>,
        /// Where the number of keys stands.
        count: usize,
    },
    /// The first argument, and the one that an option names, if it is there. A command that only
    /// reads may read more keys than these.
    FirstAnd(fn(&Args<'_>) -> Option<usize>),
    /// By a function of the arguments; `None` if they make no sense.
    Custom(fn(&Args<'_>) -> Option<Vec<usize>>),
}

impl Keys {
    /// One key, the first argument.
    pub const FIRST: Keys = Keys::Range {
        first: 1,
        last: 1,
        step: 1,
    };
    /// All arguments.
    pub const ALL: Keys = Keys::Range {
        first: 1,
        last: -1,
        step: 1,
    };
    /// The first two arguments.
    pub const FIRST_TWO: Keys = Keys::Range {
        first: 1,
        last: 2,
        step: 1,
    };

    /// Whether the first argument is the only key.
    pub fn is_first(&self) -> bool {
        matches!(
            self,
            Keys::Range {
                first: 1,
                last: 1,
                ..
            }
        )
    }

    /// Where the keys are among `args`; `None` if the arguments make no sense. O(keys).
    pub fn positions(&self, args: &Args<'_>) -> Option<Vec<usize>> {
        match *self {
            Keys::None => Some(Vec::new()),
            Keys::Range { first, last, step } => {
                let last = if last < 0 {
                    args.len().checked_add_signed(last)?
                } else {
                    last as usize
                };
                (last < args.len()).then(|| (first..=last).step_by(step).collect())
            }
            Keys::Counted { destination, count } => {
                let keys = crate::resp::number::parse_integer(args.get(count)?)?;
                let keys = usize::try_from(keys).ok()?;
                let end = count.checked_add(1)?.checked_add(keys)?;
                (end <= args.len()).then(|| destination.into_iter().chain(count + 1..end).collect())
            }
            Keys::FirstAnd(other) => Some([1].into_iter().chain(other(args)).collect()),
            Keys::Custom(positions) => positions(args),
        }
    }

    /// The key that will most likely be touched first, for prefetching.
    pub fn hint(&self) -> Option<usize> {
        match *self {
            Keys::Range { first, .. } => Some(first),
            Keys::Counted { count, .. } => Some(count + 1),
            Keys::FirstAnd(_) => Some(1),
            _ => None,
        }
    }
}

/// One command, or one subcommand of a container.
pub struct Command {
    /// In capitals; a subcommand's own name without its container's.
    pub name: &'static str,
    /// How many arguments it takes, name included; negative: at least that many.
    pub arity: i32,
    /// See [`flag`].
    pub flags: u32,
    /// Its keys.
    pub keys: Keys,
    /// Where the element stands that is looked up in the first key's collection, if that is so.
    pub element: Option<usize>,
    /// Its family.
    pub group: Group,
    /// The version of Redis that first had it.
    pub since: &'static str,
    /// Its cost.
    pub complexity: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// How it runs.
    pub run: Run,
    /// For containers.
    pub subcommands: &'static [Command],
}

impl Command {
    const fn new(name: &'static str, arity: i32, group: Group, run: Run) -> Command {
        Command {
            name,
            arity,
            flags: 0,
            keys: Keys::None,
            element: None,
            group,
            since: "",
            complexity: "",
            summary: "",
            run,
            subcommands: &[],
        }
    }

    /// A command that reads data.
    pub const fn read(name: &'static str, arity: i32, group: Group, run: DataHandler) -> Command {
        Command::new(name, arity, group, Run::Data(run)).flag(flag::READONLY)
    }

    /// A command that writes data.
    pub const fn write(name: &'static str, arity: i32, group: Group, run: DataHandler) -> Command {
        Command::new(name, arity, group, Run::Data(run)).flag(flag::WRITE)
    }

    /// A command on the connection or the server.
    pub const fn client(
        name: &'static str,
        arity: i32,
        group: Group,
        run: ClientHandler,
    ) -> Command {
        Command::new(name, arity, group, Run::Client(run)).flag(flag::LOADING | flag::STALE)
    }

    /// A command that the session itself runs.
    pub const fn control(name: &'static str, arity: i32, group: Group, run: Control) -> Command {
        Command::new(name, arity, group, Run::Control(run)).flag(flag::NOSCRIPT)
    }

    /// A command that only has subcommands.
    pub const fn container(
        name: &'static str,
        group: Group,
        subcommands: &'static [Command],
    ) -> Command {
        let mut command = Command::new(name, -2, group, Run::Container);
        command.subcommands = subcommands;
        command
    }

    /// Adds flags.
    pub const fn flag(mut self, flags: u32) -> Command {
        self.flags |= flags;
        self
    }

    /// Takes flags away.
    pub const fn unflag(mut self, flags: u32) -> Command {
        self.flags &= !flags;
        self
    }

    /// Says which arguments are keys.
    pub const fn keys(mut self, keys: Keys) -> Command {
        self.keys = keys;
        self
    }

    /// Says where the element stands that is looked up in the first key's collection. A hint: one of
    /// several elements, or an option in its place, does no harm.
    pub const fn element(mut self, position: usize) -> Command {
        self.element = Some(position);
        self
    }

    /// Since which version, at what cost, to what end.
    pub const fn doc(
        mut self,
        since: &'static str,
        complexity: &'static str,
        summary: &'static str,
    ) -> Command {
        self.since = since;
        self.complexity = complexity;
        self.summary = summary;
        self
    }

    /// Whether all flags of `flags` are set.
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    /// Whether it runs a script or a function; if so, whether that may not write.
    pub fn runs_script(&self) -> Option<bool> {
        match self.run {
            Run::Control(control) => control.runs_script(),
            _ => None,
        }
    }

    /// Whether it loads libraries of functions.
    pub fn loads_functions(&self) -> bool {
        matches!(self.run, Run::Control(control) if control.loads_functions())
    }

    /// Whether it tells others something. Who subscribes, or asks who has, is no command on data.
    pub fn publishes(&self) -> bool {
        self.has(flag::PUBSUB) && matches!(self.run, Run::Data(_))
    }

    /// Whether `count` arguments (name included) are as many as it takes.
    pub fn accepts(&self, count: usize) -> bool {
        let count = count as i64;
        if self.arity < 0 {
            count >= -i64::from(self.arity)
        } else {
            count == i64::from(self.arity)
        }
    }

    /// Its ACL categories, with the `@`.
    pub fn categories(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut add = |condition: bool, name: &str| {
            let name = format!("@{name}");
            if condition && !names.contains(&name) {
                names.push(name);
            }
        };
        let has_own = match (self.group, self.run, self.keys) {
            (Group::Cluster, ..) | (_, Run::Container, _) => false,
            (Group::Server, Run::Data(_), Keys::None) => {
                self.flags & (flag::WRITE | flag::READONLY) != 0
            }
            (Group::Server, ..) => false,
            _ => true,
        };
        if self.has(flag::CONNECTION) {
            add(true, "connection");
        } else if self.has(flag::COLLECTIONS) {
            for name in ["list", "set", "sortedset"] {
                add(true, name);
            }
        } else {
            add(has_own, self.group.category());
        }
        add(self.has(flag::WRITE), "write");
        let reads = self.has(flag::READONLY) && self.group != Group::Scripting;
        add(reads, "read");
        add(self.has(flag::ADMIN), "admin");
        add(
            self.has(flag::ADMIN) || self.has(flag::DANGEROUS),
            "dangerous",
        );
        add(self.has(flag::BLOCKING), "blocking");
        add(self.has(flag::FAST), "fast");
        add(!self.has(flag::FAST), "slow");
        names
    }
}

/// The error of a subcommand whose options are none.
pub fn unknown_option(args: &Args<'_>) -> CommandError {
    let container = String::from_utf8_lossy(&args[0]).to_ascii_uppercase();
    CommandError::naming(
        "unknown subcommand or wrong number of arguments for '",
        &args[1],
        &format!("'. Try {container} HELP."),
    )
}

/// Writes what a container's HELP says: each subcommand and what it does.
pub fn write_help(name: &str, subcommands: &[Command], reply: &mut dyn Reply) {
    let there = |command: &&Command| !command.has(flag::ABSENT);
    let subcommands: Vec<_> = subcommands.iter().filter(there).collect();
    reply.array(1 + 2 * subcommands.len());
    reply.status(&format!(
        "{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    for subcommand in subcommands {
        reply.status(subcommand.name);
        reply.status(&format!("    {}", subcommand.summary));
    }
}
