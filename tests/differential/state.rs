//! All that both servers hold, compared.

use crate::compare::{is_same, normalise};
use crate::grammar::{Command, Nature};
use crate::peers::{Both, Link, Peers};
use crate::rules;
use crate::ways::Way;
use crate::wire::{Words, show, show_words};

pub(crate) const DATABASES: usize = 16;

fn question(words: &[&[u8]]) -> Command {
    Command {
        words: words.iter().map(|word| word.to_vec()).collect(),
        keys: Vec::new(),
        nature: Nature::Plain,
        family: 0,
        is_mutant: false,
    }
}

fn contents(kind: &str, key: &[u8]) -> Vec<Command> {
    match kind {
        "string" => vec![question(&[b"GET", key])],
        "list" => vec![question(&[b"LRANGE", key, b"0", b"-1"])],
        "set" => vec![question(&[b"SMEMBERS", key])],
        "hash" => vec![question(&[b"HGETALL", key])],
        "zset" => vec![question(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"])],
        "stream" => vec![
            question(&[b"XRANGE", key, b"-", b"+"]),
            question(&[b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"]),
        ],
        _ => Vec::new(),
    }
}

/// Asks both, and tells what differs.
fn ask(
    peers: &mut Peers,
    database: usize,
    questions: &[Command],
    found: &mut Vec<String>,
) -> Vec<Both> {
    let requests: Vec<Words> = questions
        .iter()
        .map(|question| question.words.clone())
        .collect();
    let replies = peers.exchange(Link::Observer, &requests);
    for (question, (redis, darter)) in questions.iter().zip(&replies) {
        let redis = normalise(question, redis.clone());
        let darter = normalise(question, darter.clone());
        let words = &question.words;
        if !is_same(words, &redis, &darter)
            && rules::explain(Way::Plain, words, &redis, &darter).is_none()
        {
            let shown = show_words(words);
            found.push(format!(
                "database {database}: {shown}\n  redis  {redis}\n  darter {darter}"
            ));
        }
    }
    replies
}

/// What differs, a text each; only of the first database that has any.
pub(crate) fn differences(peers: &mut Peers) -> Vec<String> {
    let mut found = Vec::new();
    for database in 0..DATABASES {
        peers.run(Link::Observer, &format!("SELECT {database}"));
        let whole = [
            question(&[b"DBSIZE"]),
            question(&[b"KEYS", b"*"]),
            question(&[b"FUNCTION", b"LIST", b"WITHCODE"]),
        ];
        let replies = ask(peers, database, &whole, &mut found);
        let keys: Vec<Vec<u8>> = replies[1]
            .0
            .children
            .iter()
            .map(|key| key.text.clone())
            .collect();
        if !found.is_empty() {
            return found;
        }
        let headers = keys
            .iter()
            .flat_map(|key| [question(&[b"TYPE", key]), question(&[b"PEXPIRETIME", key])]);
        let replies = ask(peers, database, &headers.collect::<Vec<_>>(), &mut found);
        let mut questions = Vec::new();
        for (key, headers) in keys.iter().zip(replies.chunks(2)) {
            let kind = headers[0].0.as_text();
            let own = contents(&kind, key);
            assert!(!own.is_empty(), "{}: {kind}", show(key));
            questions.extend(own);
        }
        ask(peers, database, &questions, &mut found);
        if !found.is_empty() {
            return found;
        }
    }
    found
}
