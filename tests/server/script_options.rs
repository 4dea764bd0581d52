//! Options of scripts: flags by SHA-1, undeclared keys, tags, the log.

use darter::config::Config;
use darter::config::parameters::Change;
use darter::config::setting::set;

use crate::support::client::Client;
use crate::support::log;
use crate::support::process::Process;
use crate::support::server::Server;

const UNDECLARED: &str = "return redis.call('INCR', 'free')";

fn sha_of(body: &str) -> String {
    String::from_utf8(darter::script::cache::sha_of(body.as_bytes()).to_vec()).unwrap()
}

fn start(options: &[(&str, &str)]) -> (Server, Client) {
    let mut config = Config::new(16, 2);
    for (name, value) in options {
        set(&mut Change::Whole(&mut config), name, value).unwrap();
    }
    let server = Server::start_with(config);
    let client = Client::connect(server.address);
    (server, client)
}

#[test]
fn flags_are_set_before_a_script_is_seen() {
    let sha = sha_of(UNDECLARED);
    let (_server, mut client) = start(&[("script-flags", &format!("{sha}:allow-undeclared-keys"))]);
    assert_eq!(client.call(&["EVAL", UNDECLARED, "0"]).render(), "1");
    let flags = client.call(&["SCRIPT", "FLAGS", &sha]).render();
    assert_eq!(flags, "[flags [allow-undeclared-keys] source script-flags]");
}

#[test]
fn the_command_line_takes_them_several_times_and_switches_alone() {
    let other = format!("#!lua flags=no-writes\n{UNDECLARED}");
    let flags = "allow-undeclared-keys+rollback-on-error";
    let [one, two] = [UNDECLARED, &other].map(|body| format!("{}:{flags}", sha_of(body)));
    let switches = [
        "--lock_on_hashtags",
        "--lua_auto_async",
        "--interpreter_per_thread=20",
    ];
    let mut options = vec!["--script-flags", &one, "--script_flags", &two];
    options.extend(switches);
    let server = Process::start(&options, &[]);
    let mut client = Client::connect(server.address);
    assert_eq!(client.call(&["EVAL", UNDECLARED, "0"]).render(), "1");
    assert_eq!(client.call(&["EVAL", &other, "0"]).render(), "2");
    let by_tag = "return redis.call('SET', 'a{t}', 'x')";
    assert_eq!(client.call(&["EVAL", by_tag, "1", "{t}"]).render(), "OK");
    let log = server.log();
    let said = log.matches("without a meaning here: lua_auto_async, interpreter_per_thread");
    assert_eq!(said.count(), 1, "{log}");
}

#[test]
fn scripts_of_the_list_may_use_undeclared_keys_besides_what_their_flags_say() {
    let body = format!("#!lua flags=rollback-on-error\n{UNDECLARED}");
    let list = format!("{},{}", sha_of("return 1"), sha_of(&body));
    let (_server, mut client) = start(&[("lua_undeclared_keys_shas", &list)]);
    assert_eq!(client.call(&["EVAL", &body, "0"]).render(), "1");
    let flags = client.call(&["SCRIPT", "FLAGS", &sha_of(&body)]).render();
    assert_eq!(
        flags,
        "[flags [allow-undeclared-keys rollback-on-error] source header]"
    );
    let refused = client.call(&["EVAL", UNDECLARED, "0"]).render();
    assert!(refused.contains("undeclared key"), "{refused}");
}

#[test]
fn a_refused_script_may_use_undeclared_keys_from_its_next_run_on() {
    let (_server, mut client) = start(&[("lua_allow_undeclared_auto_correct", "true")]);
    let body = format!("#!lua flags=rollback-on-error\n{UNDECLARED}");
    let refused = client.call(&["EVAL", &body, "0"]).render();
    assert!(refused.contains("undeclared key"), "{refused}");
    assert_eq!(client.call(&["EVAL", &body, "0"]).render(), "1");
    let flags = client.call(&["SCRIPT", "FLAGS", &sha_of(&body)]).render();
    assert!(flags.contains("rollback-on-error"), "{flags}");
}

#[test]
fn a_tag_declares_its_keys() {
    let body = "return redis.call('SET', ARGV[1], 'x')";
    let (_server, mut client) = start(&[("lock_on_hashtags", "yes")]);
    for (declared, used, is_allowed) in [
        ("{t}", "a{t}b", true),
        ("x{t}", "y{t}", true),
        ("x{t}", "y{u}", false),
        ("plain", "other", false),
        ("x{}", "y{}", false),
        ("x{t}", "t", false),
    ] {
        let reply = client.call(&["EVAL", body, "1", declared, used]).render();
        assert_eq!(reply == "OK", is_allowed, "{declared} {used}: {reply}");
    }
    let many: Vec<String> = (0..20).map(|number| format!("{{tag{number}}}")).collect();
    let mut words = vec!["EVAL", body, "20"];
    words.extend(many.iter().map(String::as_str));
    words.push("k{tag19}");
    assert_eq!(client.call(&words).render(), "OK");
    client.run("CONFIG SET lock_on_hashtags no");
    let reply = client.call(&["EVAL", body, "1", "{t}", "a{t}b"]).render();
    assert!(reply.contains("undeclared key"), "{reply}");
}

#[test]
fn the_log_of_scripts_can_be_switched_off() {
    log::keep();
    let (_server, mut client) = start(&[("lua_enable_redis_log", "false")]);
    let body = "redis.log(redis.LOG_WARNING, 'a line that is switched off')";
    client.call(&["EVAL", body, "0"]);
    assert_eq!(log::count("a line that is switched off"), 0);
    client.run("CONFIG SET lua_enable_redis_log yes");
    client.call(&["EVAL", body, "0"]);
    assert_eq!(log::count("a line that is switched off"), 1);
}

#[test]
fn a_cluster_of_one_is_told_of_if_it_is_wanted() {
    let (server, mut client) = start(&[("cluster_mode", "emulated")]);
    let slots = client.run("CLUSTER SLOTS").render();
    let (host, port) = (server.address.ip(), server.address.port());
    let id = client.run("CLUSTER MYID").render();
    assert_eq!(
        slots,
        format!("[[0 16383 ['{host}' {port} {id} []]]]").replace('\'', "")
    );
    let nodes = client.run("CLUSTER NODES").render();
    assert!(
        nodes.contains("myself,master") && nodes.contains("0-16383"),
        "{nodes}"
    );
    let shards = client.run("CLUSTER SHARDS").render();
    assert!(shards.contains("health online"), "{shards}");
    assert!(
        client
            .run("CLUSTER INFO")
            .render()
            .contains("cluster_state:ok")
    );
    assert_eq!(client.run("CLUSTER KEYSLOT foo").render(), "12182");
    client.run("MSET foo 1 a{foo} 2 bar 3");
    assert_eq!(client.run("CLUSTER COUNTKEYSINSLOT 12182").render(), "2");
    let wrong = client.run("CLUSTER COUNTKEYSINSLOT 16384").render();
    assert_eq!(wrong, "(ERR Invalid slot)");
    let info = crate::support::info::section(&mut client, "everything");
    assert_eq!(info["cluster_enabled"], "1");
    let (_server, mut client) = start(&[]);
    let disabled = client.run("CLUSTER SLOTS").render();
    assert_eq!(disabled, "(ERR This instance has cluster support disabled)");
}
