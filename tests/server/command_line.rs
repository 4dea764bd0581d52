//! The command line of the program itself.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use darter::config::parameters::SWITCH;

fn darter(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_darter"));
    command.args(arguments).output().unwrap()
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    for (arguments, what) in [
        (&["--port=x"][..], "--port: argument couldn't be parsed"),
        (&["--lua_time_limit", "-1"], "--lua-time-limit: argument"),
        (&["--port"], "a value is required for '--port"),
        (&["--nonsense", "1"], "unexpected argument '--nonsense'"),
        (&["--appendonly", "yes"], "cannot be kept"),
        (&["--maxclients", "0"], "must be between 1 and"),
        (&["--port=0", "--unixsocket=/nowhere/s"], "/nowhere/s: No"),
        (&["--unixsocketperm=8"], "parsed as an octal number"),
        (&["--unixsocketperm=1777"], "between 0 and 777"),
        (&["--config", "/nowhere/a.conf"], "cannot read /nowhere"),
        (&["/nowhere/a.conf"], "cannot read /nowhere/a.conf"),
        (&["--default-lua-flags=x"], "Invalid flag: x"),
        (
            &["--script-flags", "x:no-writes"],
            "--script-flags: 'x' is not a SHA-1",
        ),
        (
            &[
                "--script-flags",
                "e0e1f9fabfc9d4800c877a703b823ac0578ff8db:x",
            ],
            "--script-flags: Invalid flag: x",
        ),
        (&["--lua_undeclared_keys_shas=x"], "is not a SHA-1"),
        (&["--lock-on-hashtags=maybe"], "must be 'yes' or 'no'"),
        (
            &["--cluster_mode=yes"],
            "--cluster_mode: there is no cluster",
        ),
    ] {
        let output = darter(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
        assert!(text.contains(what), "{arguments:?}: {text}");
    }
}

#[test]
fn an_address_that_somebody_else_has_is_named_and_not_passed_over() {
    let other = TcpListener::bind("[::1]:0");
    let Ok(other) = other else {
        return; // a machine without IPv6
    };
    let taken = other.local_addr().unwrap();
    let port = taken.port().to_string();
    for bind in [
        &["::1"][..],
        &["127.0.0.1 -::1"],
        &["127.0.0.1", "-::1"],
        &["-::1", "127.0.0.1"],
    ] {
        let output = darter(&[&["--port", &port, "--bind"], bind].concat());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{bind:?}: {text}");
        assert!(text.contains(&format!("{taken}: Address already in use")));
    }
}

#[test]
fn help_names_every_option_with_its_default() {
    let output = darter(&["--help"]);
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for parameter in darter::config::parameters::PARAMETERS {
        let value = match parameter.value {
            SWITCH => format!("[<{SWITCH}>]"),
            value => format!("<{value}>"),
        };
        let option = format!("--{} {value}", parameter.name);
        let at = text.find(&option).unwrap_or_else(|| panic!("{option}"));
        let rest = &text[at..];
        let lines: Vec<&str> = rest.lines().take(2).collect();
        assert!(lines[1].contains("[default: "), "{lines:?}");
    }
    assert!(
        !text.contains("--appendonly"),
        "options without a meaning are hidden"
    );
}

/// Connects once the server listens there.
fn connect(path: &Path) -> UnixStream {
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(_) => std::thread::yield_now(),
        }
    }
}

fn send_signal(server: &Child, signal: &str) {
    let id = server.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status();
    assert!(sent.unwrap().success());
}

#[test]
fn neither_a_hangup_nor_a_log_that_nobody_reads_ends_it() {
    let name = format!("darter-{}-hangup.socket", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut server = Command::new(env!("CARGO_BIN_EXE_darter"))
        .args(["--port", "0", "--unixsocket"])
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut client = connect(&path);
    drop((server.stdout.take(), server.stderr.take()));
    client
        .write_all(b"EVAL \"return redis.log(redis.LOG_WARNING, 'x')\" 0\r\n")
        .unwrap();
    let mut nil = [0; 5];
    client.read_exact(&mut nil).unwrap();
    assert_eq!(&nil, b"$-1\r\n");
    send_signal(&server, "-HUP");
    client.write_all(b"PING\r\n").unwrap();
    let mut pong = [0; 7];
    client.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"+PONG\r\n");
    send_signal(&server, "-TERM");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn the_socket_has_the_mode_that_is_asked_for() {
    let name = format!("darter-{}-mode.socket", std::process::id());
    let path = std::env::temp_dir().join(name);
    for mode in [0o700, 0o777] {
        let mut server = Command::new(env!("CARGO_BIN_EXE_darter"))
            .args(["--port=0", &format!("--unixsocketperm={mode:o}")])
            .arg("--unixsocket")
            .arg(&path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        drop(connect(&path));
        let found = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode);
        send_signal(&server, "-TERM");
        assert_eq!(server.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn signals_end_it_cleanly_whatever_its_clients_do() {
    for signal in ["-TERM", "-INT"] {
        let name = format!("darter-{}{signal}.socket", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut server = Command::new(env!("CARGO_BIN_EXE_darter"))
            .args(["--port", "0", "--unixsocket"])
            .arg(&path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut blocked = connect(&path);
        blocked.write_all(b"PING\r\nBLPOP k 0\r\n").unwrap();
        let mut busy = connect(&path);
        busy.write_all(b"PING\r\nEVAL \"while true do end\" 0\r\n")
            .unwrap();
        for client in [&mut blocked, &mut busy] {
            let mut pong = [0; 7];
            client.read_exact(&mut pong).unwrap();
            assert_eq!(&pong, b"+PONG\r\n");
        }
        send_signal(&server, signal);
        assert_eq!(server.wait().unwrap().code(), Some(0), "{signal}");
        assert!(!path.exists(), "its socket is removed");
    }
}
