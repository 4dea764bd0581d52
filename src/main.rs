//! The server: options to parts, parts to a running server.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Arg, ArgAction, ArgMatches, Command};
use darter::config::parameters::{self, Change, PARAMETERS, SWITCH};
use darter::config::setting::{self, Outcome};
use darter::config::{Config, file};
use darter::server::Server;
use darter::services::Services;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

#[global_allocator]
static ALLOCATOR: darter::memory::Allocator = darter::memory::Allocator;

fn main() -> ExitCode {
    let started = Instant::now();
    match run(started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            // Standard error is all there is to say it on; if it is closed, nobody listens.
            let _ = writeln!(io::stderr(), "darter: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(started: Instant) -> Result<(), String> {
    darter::memory::leave_to_housekeeping();
    let mut config = Config::default();
    let without_meaning = configure(&mut config)?;
    start_log(&config)?;
    log_panics();
    if !without_meaning.is_empty() {
        tracing::warn!("without a meaning here: {}", without_meaning.join(", "));
    }
    darter::config::descriptors::make_room(&config);
    let listen = config.listen()?;
    // Before anybody can connect: a signal at the start, too, ends the server cleanly.
    let cannot_wait = |error| format!("cannot wait for signals: {error}");
    let signals = Signals::listen().map_err(cannot_wait)?;
    let server = Server::start(Services::new(config), &listen)
        .map_err(|error| format!("cannot listen: {error}"))?;
    signals.stop(server.services()).map_err(cannot_wait)?;
    let mut places: Vec<String> = server
        .addresses()
        .iter()
        .map(|address| address.to_string())
        .collect();
    places.extend(
        listen
            .unix_socket
            .iter()
            .map(|path| path.display().to_string()),
    );
    tracing::info!(
        "Darter {} is ready on {} after {} ms",
        env!("CARGO_PKG_VERSION"),
        places.join(", "),
        started.elapsed().as_millis()
    );
    server.wait();
    tracing::info!("Darter has stopped");
    Ok(())
}

/// The command line as clap sees it, from the table of options.
fn command_line() -> Command {
    let defaults = Config::default();
    let options = PARAMETERS.iter().map(|parameter| {
        let default = parameters::value_of(&defaults, parameter);
        let default = if default.is_empty() {
            "none".into()
        } else {
            format!("`{default}`")
        };
        let option = option(parameter.name)
            .value_name(parameter.value)
            .help(format!("{} [default: {default}]", parameter.help));
        let option = if parameter.is_repeatable() {
            option.action(ArgAction::Append)
        } else {
            option
        };
        if parameter.has_many_words {
            option.num_args(1..)
        } else if parameter.value == SWITCH {
            option.num_args(0..=1).default_missing_value("yes")
        } else {
            option
        }
    });
    // As in a configuration file: `--save ""` asks for nothing that is not kept.
    let not_obeyed = setting::not_obeyed().map(|name| {
        // A switch of Dragonfly's may stand alone.
        let least = usize::from(name != "lua_auto_async" && name != "lua_resp2_legacy_float");
        let option = option(name).num_args(least..).hide(true);
        option.default_missing_value("true")
    });
    Command::new("darter")
        .version(env!("CARGO_PKG_VERSION"))
        .about(
            "A Redis-compatible in-memory store in which a Lua script is an optimistic transaction",
        )
        .override_usage("darter [FILE] [OPTIONS]")
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .help("configuration file, as redis.conf"),
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .help("configuration file, as redis.conf"),
        )
        .args(options)
        .args(not_obeyed)
        .after_help(AFTER_HELP)
}

const AFTER_HELP: &str = "\
BYTES may have a unit: 1k is 1000, 1kb is 1024; so m, mb, g and gb.
In an option's name `-` and `_` are the same. The command line wins over FILE.";

fn option(name: &'static str) -> Arg {
    Arg::new(name).long(name).allow_negative_numbers(true)
}

/// What clap found wrong, in one line.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    format!("{line}; see darter --help")
}

/// Reads the command line and the configuration file. Returns what has no meaning here.
fn configure(config: &mut Config) -> Result<Vec<String>, String> {
    let mut arguments = Vec::new();
    for argument in std::env::args_os() {
        let text = argument
            .into_string()
            .map_err(|other| format!("no text: {}", other.display()))?;
        arguments.push(text);
    }
    let matches = match command_line().try_get_matches_from(spelled(arguments.into_iter())) {
        Ok(matches) => matches,
        // What was asked for: help, or the version.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return Err(one_line(&error)),
    };
    let path = matches
        .get_one::<String>("config")
        .or(matches.get_one::<String>("file"));
    let mut without_meaning = match path {
        Some(path) => file::read(config, Path::new(path)).map_err(|error| error.to_string())?,
        None => Vec::new(),
    };
    let obeyed = PARAMETERS.iter().map(|parameter| parameter.name);
    for name in obeyed.chain(setting::not_obeyed()) {
        if let Some(value) = value_of(&matches, name) {
            let outcome = setting::set(&mut Change::Whole(config), name, &value)
                .map_err(|what| format!("--{name}: {what}"))?;
            if outcome == Outcome::WithoutMeaning {
                without_meaning.push(name.to_owned());
            }
        }
    }
    Ok(without_meaning)
}

fn value_of(matches: &ArgMatches, name: &str) -> Option<String> {
    let values = matches.get_many::<String>(name)?;
    Some(values.map(String::as_str).collect::<Vec<_>>().join(" "))
}

/// The arguments with every option's name as the table spells it: `-` and `_` are the same. What
/// follows an option of many words is one text, for it may begin with `-` (`--bind * -::*`).
fn spelled(args: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut takes_words = false;
    for argument in args {
        if let Some(option) = argument.strip_prefix("--") {
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (option, None),
            };
            let parameter = setting::find(name);
            takes_words = value.is_none() && parameter.is_some_and(|found| found.has_many_words);
            let name = parameter.map_or_else(|| spelling(name), |found| found.name);
            all.push(match value {
                Some(value) => format!("--{name}={value}"),
                None => format!("--{name}"),
            });
        } else if let Some(words) = all.last_mut().filter(|_| takes_words) {
            words.push(if words.contains('=') { ' ' } else { '=' });
            words.push_str(&argument);
        } else {
            all.push(argument);
        }
    }
    all
}

/// The name, as clap knows it, of an option that is not obeyed.
fn spelling(name: &str) -> &str {
    let is_meant = |known: &&str| setting::canonical(known) == setting::canonical(name);
    setting::not_obeyed().find(is_meant).unwrap_or(name)
}

fn start_log(config: &Config) -> Result<(), String> {
    let level = match config.log_level().as_str() {
        "debug" | "verbose" => LevelFilter::DEBUG,
        "warning" => LevelFilter::WARN,
        "nothing" => LevelFilter::OFF,
        _ => LevelFilter::INFO,
    };
    let writer = match &config.startup.log_file {
        None => BoxMakeWriter::new(io::stdout),
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.map_err(|error| format!("logfile {}: {error}", path.display()))?;
            BoxMakeWriter::new(Arc::new(file))
        }
    };
    let has_colours = false;
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(writer)
        .with_ansi(has_colours)
        .with_target(false)
        // Told on standard error, which may be closed as well: that would be a panic.
        .log_internal_errors(false)
        .init();
    Ok(())
}

/// Puts panics in the log, with where they came from.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        tracing::error!(
            "thread {}: {panic}\n{}",
            thread.name().unwrap_or("without a name"),
            std::backtrace::Backtrace::force_capture()
        );
    }));
}

/// SIGTERM and SIGINT, which no longer end the process by themselves, and SIGHUP, which does not
/// end it at all: a terminal that is closed takes no data with it.
struct Signals {
    runtime: tokio::runtime::Runtime,
    kinds: [tokio::signal::unix::Signal; 2],
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let kinds = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ];
        // Whoever listens once has taken the signal's own effect away for good.
        drop(signal(SignalKind::hangup())?);
        drop(entered);
        Ok(Signals { runtime, kinds })
    }

    /// Ends the server at the first of them.
    fn stop(self, services: &Arc<Services>) -> std::io::Result<()> {
        let services = Arc::clone(services);
        let Signals { runtime, mut kinds } = self;
        let wait = move || {
            runtime.block_on(std::future::poll_fn(|context| {
                let mut kinds = kinds.iter_mut();
                if kinds.any(|kind| kind.poll_recv(context).is_ready()) {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            }));
            services.stop();
        };
        let name = "darter-signals".into();
        std::thread::Builder::new().name(name).spawn(wait).map(drop)
    }
}
