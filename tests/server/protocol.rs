//! The protocol: garbage and limits, pipelines, inline commands, both versions.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::support::client::{Client, Reply, encode};
use crate::support::server::Server;

#[test]
fn garbage_gets_an_error_and_ends_only_its_own_connection() {
    let server = Server::start();
    let mut bystander = Client::connect(server.address);
    for (bytes, text) in [
        (
            &b"*x\r\n"[..],
            "(ERR Protocol error: invalid multibulk length)",
        ),
        (
            b"*3000000000\r\n",
            "(ERR Protocol error: invalid multibulk length)",
        ),
        (
            b"*1\r\n$-5\r\n",
            "(ERR Protocol error: invalid bulk length)",
        ),
        (
            b"*1\r\n$99999999999\r\n",
            "(ERR Protocol error: invalid bulk length)",
        ),
        (
            b"*1\r\nGET\r\n",
            "(ERR Protocol error: expected '$', got 'G')",
        ),
        (
            b"GET \"k\r\n",
            "(ERR Protocol error: unbalanced quotes in request)",
        ),
    ] {
        let mut client = Client::connect(server.address);
        client.send_bytes(bytes);
        assert_eq!(client.read().render(), text);
        assert_eq!(bystander.run("PING").render(), "PONG");
    }
    let mut client = Client::connect(server.address);
    client.send_bytes(&vec![b'a'; 100_000]);
    assert_eq!(
        client.read().render(),
        "(ERR Protocol error: too big inline request)"
    );
}

#[test]
fn a_pipeline_of_any_depth_is_answered_in_order() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let mut bytes = Vec::new();
    for _ in 0..20_000 {
        bytes.extend(encode(&["INCR", "n"]));
    }
    let mut writer = client.second_handle();
    let sender = std::thread::spawn(move || writer.send_bytes(&bytes));
    for number in 1..=20_000 {
        assert_eq!(client.read(), Reply::Integer(number));
    }
    sender.join().unwrap();
}

#[test]
fn a_request_may_come_in_any_pieces() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let bytes = encode(&["SET", "key", "value with \r\n in it"]);
    for piece in bytes.chunks(1) {
        client.send_bytes(piece);
    }
    assert_eq!(client.read().render(), "OK");
    client.send_bytes(b"get  key\r\n\r\nPING 'a b'\r\n");
    assert_eq!(
        client.read(),
        Reply::Bulk(b"value with \r\n in it".to_vec())
    );
    assert_eq!(client.read().render(), "'a b'");
}

#[test]
fn large_values_pass_whole() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    let value: Vec<u8> = (0..8_000_000_u32).map(|at| (at % 251) as u8).collect();
    assert_eq!(client.call(&[&b"SET"[..], b"large", &value]).render(), "OK");
    assert_eq!(client.run("GET large"), Reply::Bulk(value.clone()));
    assert_eq!(client.run("APPEND large x").render(), "8000001");
    assert_eq!(
        client
            .run("GETRANGE large 7999999 8000000")
            .elements()
            .len(),
        1
    );
}

#[test]
fn unknown_commands_and_wrong_arity_are_named() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for (line, text) in [
        (
            "NONSENSE a b",
            "(ERR unknown command 'NONSENSE', with args beginning with: 'a' 'b' )",
        ),
        ("GET", "(ERR wrong number of arguments for 'get' command)"),
        (
            "CONFIG GET",
            "(ERR wrong number of arguments for 'config|get' command)",
        ),
        (
            "CONFIG NONSENSE",
            "(ERR unknown subcommand 'NONSENSE'. Try CONFIG HELP.)",
        ),
    ] {
        assert_eq!(client.run(line).render(), text);
    }
}

#[test]
fn errors_show_what_was_sent_byte_for_byte() {
    let server = Server::start();
    let mut writer = TcpStream::connect(server.address).expect("connects");
    let mut reader = BufReader::new(writer.try_clone().expect("a second handle"));
    for (line, reply) in [
        (
            r##""\xff\r\n\xfe" "a\xff""##,
            &b"ERR unknown command '\xff  \xfe', with args beginning with: 'a\xff' "[..],
        ),
        (
            r##"CLIENT "\xff""##,
            b"ERR unknown subcommand '\xff'. Try CLIENT HELP.",
        ),
        (
            r##"CONFIG SET "\xff" 1"##,
            b"ERR Unknown option or number of arguments for CONFIG SET - '\xff'",
        ),
        (
            r##"XCLAIM "\xff" "\xfe" c 0 1-1"##,
            b"NOGROUP No such key '\xff' or consumer group '\xfe'",
        ),
        (
            r##"CONFIG SET requirepass "\xff""##,
            b"ERR CONFIG SET failed (possibly related to argument 'requirepass') - argument must \
              be UTF-8",
        ),
        (r##"EXPIRE k 1 "\xff""##, b"ERR Unsupported option \xff"),
        (
            r##"EVAL "#!lua flags=\xff\n" 0"##,
            b"ERR Unexpected flag in script shebang: \xff",
        ),
        (
            r##"EVAL "#!\xff\n" 0"##,
            b"ERR Unexpected engine in script shebang: #!\xff",
        ),
        (
            r##"EVAL "return 'a' '\xff'" 0"##,
            b"ERR Error compiling script (new function): user_script:1: <eof> expected near ''\xff''",
        ),
        (r##"EVAL "redis.abort('MY \xff')" 0"##, b"MY \xff"),
        (
            r##"EVAL "return redis.call('get', 'k\xff')" 0"##,
            b"ERR script tried accessing undeclared key, key: k\xff, command: GET script: \
              1e9937fa62af38dc3e0f63a5578a53a3f572762f, on @user_script:1.",
        ),
        (
            r##"FUNCTION LOAD "#!\xff name=a\n""##,
            b"ERR Engine '\xff' not found",
        ),
    ] {
        writer.write_all(line.as_bytes()).expect("sends");
        writer.write_all(b"\r\n").expect("sends");
        let mut read = Vec::new();
        reader.read_until(b'\n', &mut read).expect("a reply");
        let expected = [b"-", reply, b"\r\n"].concat();
        assert_eq!(
            read.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }
}

#[test]
fn hello_chooses_the_version() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    client.run("HSET h f v");
    assert!(matches!(client.run("HGETALL h"), Reply::Array(_)));
    assert!(matches!(client.run("HELLO 3"), Reply::Map(_)));
    assert!(matches!(client.run("HGETALL h"), Reply::Map(_)));
    assert_eq!(client.run("GET missing"), Reply::Null);
    assert_eq!(
        client.run("HELLO 4").render(),
        "(NOPROTO unsupported protocol version)"
    );
    assert!(matches!(client.run("HELLO 2"), Reply::Array(_)));
    assert_eq!(client.run("RESET").render(), "RESET");
}

#[test]
fn a_browser_that_speaks_http_is_cut_off() {
    let server = Server::start();
    for line in ["POST / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut client = Client::connect(server.address);
        client.send_bytes(format!("{line}SET http 1\r\n").as_bytes());
        if line.starts_with("GET") {
            assert!(client.read().render().contains("wrong number of arguments"));
        }
        assert!(client.is_at_end(), "{line}");
    }
    let mut client = Client::connect(server.address);
    assert_eq!(client.run("EXISTS http").render(), "0");
}

#[test]
fn hello_names_the_option_that_is_wrong() {
    let server = Server::start();
    let mut client = Client::connect(server.address);
    for (line, option) in [("HELLO 3 AUTH a", "AUTH"), ("HELLO 3 NONSENSE", "NONSENSE")] {
        let text = client.run(line).render();
        assert_eq!(
            text,
            format!("(ERR Syntax error in HELLO option '{option}')")
        );
    }
}
