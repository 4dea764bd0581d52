//! CLIENT: whom it lists and ends, and what it says of caching.

use crate::support::check::{check, check_in_both, compare};
use crate::support::client::{Client, fields};
use crate::support::server::{Server, until};

#[test]
fn lists_and_filters_are_those_of_redis() {
    compare(
        "CLIENT LIST foo; CLIENT LIST ID; CLIENT LIST ID x; CLIENT LIST ID 1 x; CLIENT LIST TYPE
        CLIENT LIST ID 0; CLIENT LIST ID -1; CLIENT LIST ID 99999; CLIENT LIST ID 99998 99999
        CLIENT LIST TYPE foo; CLIENT LIST TYPE slave; CLIENT LIST TYPE replica; CLIENT LIST TYPE master
        CLIENT LIST TYPE PUBSUB; CLIENT LIST TYPE normal x; CLIENT LIST ID 99999 TYPE normal
        CLIENT KILL; CLIENT KILL foo; CLIENT KILL ID; CLIENT KILL ID x; CLIENT KILL ID 0; CLIENT KILL ID -1
        CLIENT KILL ID 99999; CLIENT KILL id 99999 skipme no; CLIENT KILL ID 99999 SKIPME
        CLIENT KILL TYPE foo; CLIENT KILL TYPE master; CLIENT KILL TYPE replica; CLIENT KILL TYPE slave
        CLIENT KILL USER foo; CLIENT KILL USER default; CLIENT KILL TYPE normal; CLIENT KILL TYPE pubsub
        CLIENT KILL ADDR 1.1.1.1:1; CLIENT KILL LADDR 1.1.1.1:1; CLIENT KILL ADDR x ADDR y
        CLIENT KILL SKIPME foo; CLIENT KILL SKIPME YES ID; CLIENT KILL SKIPME YES; CLIENT KILL FOO x
        CLIENT KILL TYPE pubsub ID x; CLIENT KILL ADDR x USER nobody",
    );
}

#[test]
fn other_subcommands_are_those_of_redis() {
    compare(
        "CLIENT PAUSE; CLIENT PAUSE x; CLIENT PAUSE -1; CLIENT PAUSE 0 foo; CLIENT PAUSE 0 WRITE
        CLIENT PAUSE 0 WRITE x; CLIENT PAUSE x foo; CLIENT PAUSE 0 ALL; CLIENT UNPAUSE; CLIENT UNPAUSE x
        CLIENT UNBLOCK; CLIENT UNBLOCK x; CLIENT UNBLOCK 1 foo; CLIENT UNBLOCK x foo; CLIENT UNBLOCK 99999
        CLIENT UNBLOCK 99999 TIMEOUT; CLIENT UNBLOCK 99999 error; CLIENT UNBLOCK 99999 ERROR x
        CLIENT REPLY foo; CLIENT REPLY; CLIENT NO-EVICT foo; CLIENT NO-EVICT; CLIENT NO-EVICT ON
        CLIENT SETNAME; CLIENT SETNAME 'a b'; CLIENT SETNAME x; CLIENT GETNAME; CLIENT GETNAME x
        CLIENT FOO; CLIENT; CLIENT ID x; CLIENT INFO x",
    );
}

#[test]
fn what_there_is_of_caching_is_as_in_redis() {
    compare(
        "CLIENT GETREDIR; CLIENT GETREDIR x; CLIENT TRACKINGINFO; CLIENT TRACKINGINFO x
        CLIENT TRACKING; CLIENT TRACKING OFF; CLIENT TRACKING off BCAST OPTIN NOLOOP; CLIENT TRACKING foo
        CLIENT TRACKING OFF OPTIN OPTOUT; CLIENT TRACKING OFF PREFIX a PREFIX b; CLIENT TRACKING OFF PREFIX
        CLIENT TRACKING OFF REDIRECT x; CLIENT TRACKING OFF REDIRECT 99999; CLIENT TRACKING OFF REDIRECT
        CLIENT TRACKING ON foo; CLIENT TRACKING ON REDIRECT 99999; CLIENT TRACKING foo NOLOOP
        CLIENT CACHING; CLIENT CACHING yes; CLIENT CACHING NO; CLIENT CACHING foo; CLIENT CACHING YES NO",
    );
}

#[test]
fn caching_is_refused_and_says_so() {
    const REFUSED: &str =
        "(ERR CLIENT TRACKING ON is not supported yet: no connection is told of keys that change)";
    check(
        "CLIENT TRACKING ON; CLIENT TRACKING ON BCAST PREFIX a; CLIENT GETREDIR",
        &format!("{REFUSED}; {REFUSED}; -1"),
    );
    let told = "[flags [off] redirect -1 prefixes []]";
    check_in_both("CLIENT TRACKINGINFO", told, told);
}

/// Redis has it since 7.4.
#[test]
fn an_age_is_a_number_of_seconds() {
    check(
        "CLIENT KILL MAXAGE x; CLIENT KILL MAXAGE 0; CLIENT KILL MAXAGE -1; CLIENT KILL MAXAGE; \
         CLIENT KILL MAXAGE 100000; CLIENT KILL SKIPME NO MAXAGE 100000",
        "(ERR maxage is not an integer or out of range); (ERR maxage should be greater than 0); \
         (ERR maxage should be greater than 0); (ERR No such client); 0; 0",
    );
}

#[test]
fn a_filter_ends_whom_it_names() {
    let server = Server::start();
    let mut own = Client::connect(server.address);
    let count = |own: &mut Client| own.run("CLIENT LIST").render().matches(" addr=").count();
    let others = || -> Vec<Client> {
        let mut others: Vec<_> = (0..3).map(|_| Client::connect(server.address)).collect();
        others[2].run("SUBSCRIBE news");
        others[..2].iter_mut().for_each(|other| {
            other.run("PING");
        });
        others
    };
    let address = |client: &mut Client, name: &str| {
        let text = client.run("CLIENT INFO").render();
        let found = text.split(' ').find_map(|word| word.strip_prefix(name));
        found.unwrap().to_owned()
    };
    for (filter, ended) in [
        ("TYPE pubsub", 1),
        ("TYPE normal", 2),
        ("LADDR own", 3),
        ("USER default", 3),
        ("SKIPME yes", 3),
        ("TYPE normal USER default SKIPME yes", 2),
        ("TYPE pubsub ADDR other", 0),
        ("ADDR other", 1),
        ("MAXAGE 1000", 0),
    ] {
        let mut others = others();
        until(|| count(&mut own) == 4);
        let filter = filter
            .replace("own", &address(&mut own, "laddr="))
            .replace("other", &address(&mut others[0], "addr="));
        let reply = own.run(&format!("CLIENT KILL {filter}"));
        assert_eq!(reply.render(), ended.to_string(), "{filter}");
        until(|| count(&mut own) == 4 - ended);
        drop(others);
        until(|| count(&mut own) == 1);
    }
}

#[test]
fn a_pause_of_writes_lets_reads_pass() {
    let server = Server::start();
    let (mut own, mut other) = (
        Client::connect(server.address),
        Client::connect(server.address),
    );
    own.run("SET k v");
    assert_eq!(own.run("CLIENT PAUSE 600000 WRITE").render(), "OK");
    assert_eq!(other.run("GET k").render(), "v");
    other.send(&["SET", "k", "w"]);
    assert_eq!(own.run("GET k").render(), "v");
    assert!(!other.has_news());
    assert_eq!(own.run("CLIENT UNPAUSE").render(), "OK");
    assert_eq!(other.read().render(), "OK");
    assert_eq!(own.run("GET k").render(), "w");
    assert!(!fields(own.run("CLIENT TRACKINGINFO")).is_empty());
}
