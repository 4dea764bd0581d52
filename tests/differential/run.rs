//! One run: commands are made, sent to both servers, their replies judged, and the state compared.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::compare::{is_same, name_of, normalise, sort_unordered};
use crate::facts;
use crate::forms::FAMILIES;
use crate::grammar::{Command, Nature, Parsed, parse};
use crate::peers::{Link, Peers};
use crate::pools::Source;
use crate::rules;
use crate::state;
use crate::ways::{self, Way};
use crate::wire::{Connection, Node, Words, show_words};

/// The state is compared after so many commands.
const COMMANDS_BETWEEN_WALKS: usize = 2_000;
/// What was sent lately, to be shown with a difference.
const HISTORY: usize = 4_000;
const HISTORY_SHOWN: usize = 10;
/// No more differences are looked for.
const DIFFERENCES_MAX: usize = 40;
/// Where there is nothing to refer to, so often something is made.
const FOUNDING_PERCENT: usize = 70;

/// What another does to the watched key, or to what it is in; some of it changes nothing.
const INTRUSIONS: &[&str] = &[
    "SET KEY by-another",
    "SET KEY by-another",
    "DEL KEY",
    "GET KEY",
    "TOUCH KEY",
    "APPEND KEY x",
    "LPUSH KEY x",
    "EXPIRE KEY 100000",
    "EXPIRE KEY -1",
    "PERSIST KEY",
    "RENAME none:2 KEY",
    "RENAME KEY KEY",
    "COPY str:2 KEY REPLACE",
    "COPY KEY str:2 REPLACE",
    "SETNX KEY x",
    "MSETNX KEY x str:2 y",
    "SPOP KEY 0",
    "LTRIM KEY 0 -2",
    "SORT none:3 STORE KEY",
    "SINTERSTORE KEY none:2 none:3",
    "BITOP NOT KEY KEY",
    "MOVE KEY 2",
    "SWAPDB 0 1",
    "SWAPDB 1 2",
    "FLUSHDB",
];

/// What became of a family's commands.
#[derive(Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) sent: usize,
    pub(crate) succeeded: usize,
    pub(crate) differences: usize,
}

impl Count {
    /// How much of what was sent succeeded.
    pub(crate) fn percent(&self) -> usize {
        self.succeeded * 100 / self.sent.max(1)
    }
}

/// Whether a command was sent and judged, and how.
struct Sent {
    text: String,
    keys: Vec<Vec<u8>>,
}

pub(crate) struct Run {
    pub(crate) peers: Peers,
    source: Source,
    families: Vec<Vec<Parsed>>,
    pub(crate) counts: Vec<Count>,
    pub(crate) ways: BTreeMap<Way, usize>,
    pub(crate) explained: BTreeMap<&'static str, usize>,
    pub(crate) differences: Vec<String>,
    kinds_of_differences: BTreeSet<String>,
    history: VecDeque<Sent>,
    must_copy: bool,
}

fn draw<'a, T>(source: &mut Source, all: &'a [T], weight: fn(&T) -> usize) -> (usize, &'a T) {
    let mut at = source.below(all.iter().map(weight).sum());
    for (number, one) in all.iter().enumerate() {
        match at.checked_sub(weight(one)) {
            Some(rest) => at = rest,
            None => return (number, one),
        }
    }
    unreachable!("below the sum")
}

/// Whether a command is one for a consumer, who may be made by it.
fn has_consumer(command: &Command) -> bool {
    matches!(
        name_of(&command.words).as_str(),
        "XREADGROUP" | "XCLAIM" | "XAUTOCLAIM"
    )
}

/// The start of a reply, which tells one kind of difference from another.
fn beginning(node: &Node) -> String {
    node.to_string()
        .chars()
        .filter(|letter| !letter.is_ascii_digit())
        .take(30)
        .collect()
}

impl Run {
    pub(crate) fn new(peers: Peers, seed: u64) -> Run {
        let parsed =
            |family: &crate::forms::Family| family.forms.iter().copied().map(parse).collect();
        Run {
            peers,
            source: Source::new(seed),
            families: FAMILIES.iter().map(parsed).collect(),
            counts: vec![Count::default(); FAMILIES.len()],
            ways: BTreeMap::new(),
            explained: BTreeMap::new(),
            differences: Vec::new(),
            kinds_of_differences: BTreeSet::new(),
            history: VecDeque::new(),
            must_copy: false,
        }
    }

    pub(crate) fn sent(&self) -> usize {
        self.counts.iter().map(|count| count.sent).sum()
    }

    fn generate(&mut self, link: Link) -> Command {
        let (family, drawn) = draw(&mut self.source, FAMILIES, |family| family.weight);
        let (redis, refers_to) = (self.peers.redis(link), drawn.refers_to);
        self.source.facts = facts::ask(redis, &mut self.source, refers_to);
        let must_found = !self.source.facts.has(refers_to) && self.source.percent(FOUNDING_PERCENT);
        let weight: fn(&Parsed) -> usize = if must_found {
            |parsed| parsed.form.weight * usize::from(parsed.form.is_founding)
        } else {
            |parsed| parsed.form.weight
        };
        let (_, form) = draw(&mut self.source, &self.families[family], weight);
        form.generate(&mut self.source, family)
    }

    /// Sends about so many commands, or fewer if too many differ.
    pub(crate) fn go(&mut self, commands: usize) {
        let mut next_walk = COMMANDS_BETWEEN_WALKS;
        while self.sent() < commands && self.differences.len() < DIFFERENCES_MAX {
            if self.source.percent(3) {
                self.peers.force_conflict();
            }
            if self.source.percent(10) {
                self.step_in_multi();
            } else {
                self.step();
            }
            if self.sent() >= next_walk {
                next_walk = self.sent() + COMMANDS_BETWEEN_WALKS;
                self.walk();
            }
            self.copy_if_needed();
        }
        self.walk();
    }

    /// After a difference both go on from the same state.
    fn copy_if_needed(&mut self) {
        if std::mem::take(&mut self.must_copy) {
            self.peers.renew_listeners();
            for line in ["FUNCTION FLUSH", "SCRIPT FLUSH"] {
                self.peers.run(Link::Observer, line);
            }
            if let Err(error) = self.peers.copy_all() {
                self.differences
                    .push(format!("what Redis dumped was not restored: {error}"));
            }
        }
    }

    fn link(&mut self) -> Link {
        if self.source.percent(50) {
            Link::Resp2
        } else {
            Link::Resp3
        }
    }

    fn step(&mut self) {
        let link = self.link();
        let command = self.generate(link);
        match command.nature {
            Nature::Subscriber => self.subscribe(&command),
            Nature::Scan => self.scan(link, &command),
            Nature::Restore => {
                let restore = self.with_payload(link, command);
                self.step_alone(link, Way::Plain, restore);
            }
            _ => {
                let way = ways::choose(&mut self.source, &command, link == Link::Resp3);
                self.step_alone(link, way, command);
            }
        }
    }

    fn step_alone(&mut self, link: Link, way: Way, command: Command) {
        if way != Way::GetKeys {
            self.make_consumers(link, &command);
        }
        let request = ways::request(way, &command);
        let (redis, darter) = self.peers.exchange(link, &[request]).swap_remove(0);
        let published = self.published(way, &command, &redis, &darter);
        self.judge(link, way, &command, redis, darter);
        self.read_messages(published);
        self.copy_after_chance(link, &command);
    }

    /// Puts a payload, made by the one or the other, in the place of the key that is to be dumped.
    fn with_payload(&mut self, link: Link, mut command: Command) -> Command {
        let dump: Words = vec![b"DUMP".into(), command.words[3].clone()];
        let (redis, darter) = self.peers.exchange(link, &[dump]).swap_remove(0);
        let mut payload = if self.source.percent(50) {
            redis
        } else {
            darter
        }
        .text;
        if self.source.percent(3)
            && let Some(byte) = payload.first_mut()
        {
            *byte ^= 0x55;
        }
        command.words[3] = payload;
        command.keys.truncate(1);
        command
    }

    /// Redis 7.0 makes a consumer when it gets its first entry, 7.2 whenever it asks.
    fn make_consumers(&mut self, link: Link, command: &Command) {
        let words = &command.words;
        if !has_consumer(command) || command.is_mutant {
            return;
        }
        // XREADGROUP GROUP group consumer; XCLAIM key group consumer.
        let (group, consumer) = (&words[2], &words[3]);
        for key in &command.keys {
            let make: Words = vec![
                b"XGROUP".into(),
                b"CREATECONSUMER".into(),
                words[*key].clone(),
                group.clone(),
                consumer.clone(),
            ];
            let (redis, darter) = self
                .peers
                .exchange(link, std::slice::from_ref(&make))
                .swap_remove(0);
            self.judge_exactly("before", &make, &redis, &darter);
        }
    }

    /// After what came by chance Darter gets what Redis has now.
    fn copy_after_chance(&mut self, link: Link, command: &Command) {
        if name_of(&command.words) != "SPOP" {
            return;
        }
        for at in &command.keys {
            if let Err(error) = self.peers.copy_key(link, &command.words[*at]) {
                self.differ(command, "RESTORE of what Redis dumped", "+OK", &error);
            }
        }
    }

    /// How many messages the listeners of both must have got.
    fn published(&self, way: Way, command: &Command, redis: &Node, darter: &Node) -> (i64, i64) {
        let is_message = matches!(name_of(&command.words).as_str(), "PUBLISH" | "SPUBLISH");
        if !is_message || way == Way::GetKeys {
            return (0, 0);
        }
        (redis.number().unwrap_or(0), darter.number().unwrap_or(0))
    }

    /// Patterns get what is published in any order.
    fn read_messages(&mut self, (redis, darter): (i64, i64)) {
        let read = |connection: &mut Connection, count: i64| {
            let mut messages: Vec<Node> = (0..count).map(|_| connection.read()).collect();
            messages.sort();
            messages
        };
        let theirs = read(self.peers.redis(Link::Listener), redis);
        let ours = read(self.peers.darter(Link::Listener), darter);
        if theirs != ours {
            let shown = |nodes: &[Node]| {
                nodes
                    .iter()
                    .map(Node::to_string)
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let (theirs, ours) = (shown(&theirs), shown(&ours));
            self.differences
                .push(format!("messages\n  redis  {theirs}\n  darter {ours}"));
            self.must_copy = true;
        }
    }

    /// Each channel is answered by itself.
    fn subscribe(&mut self, command: &Command) {
        let both = self
            .peers
            .exchange(Link::Listener, std::slice::from_ref(&command.words));
        let (mut theirs, mut ours) = both.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        for _ in 2..command.words.len() {
            theirs.push(self.peers.redis(Link::Listener).read());
            ours.push(self.peers.darter(Link::Listener).read());
        }
        let as_one = |children| Node {
            kind: b'*',
            text: Vec::new(),
            children,
        };
        self.judge(
            Link::Listener,
            Way::Plain,
            command,
            as_one(theirs),
            as_one(ours),
        );
    }

    /// Walks to the end on both; what each came by is compared without order and repetition.
    fn scan(&mut self, link: Link, command: &Command) {
        let at = command.words.iter().position(|word| word == b"0").unwrap();
        let size = match name_of(&command.words).as_str() {
            "HSCAN" | "ZSCAN" => 2,
            _ => 1,
        };
        let walk = |connection: &mut Connection| {
            let (mut words, mut found) = (command.words.clone(), BTreeSet::new());
            loop {
                let mut page = connection.call(&words);
                if page.is_error() {
                    return page;
                }
                let elements = page.children.pop().unwrap();
                found.extend(elements.children.chunks(size).map(<[Node]>::to_vec));
                words[at] = page.children.pop().unwrap().text;
                if words[at] == b"0" {
                    return Node {
                        children: found.into_iter().flatten().collect(),
                        ..elements
                    };
                }
            }
        };
        let redis = walk(self.peers.redis(link));
        let darter = walk(self.peers.darter(link));
        self.judge(link, Way::Plain, command, redis, darter);
    }

    /// One to four commands between MULTI and EXEC, or DISCARD; sometimes a key is watched, and
    /// sometimes written to by the other connection.
    fn step_in_multi(&mut self) {
        let link = self.link();
        let mut commands = Vec::new();
        for _ in 0..1 + self.source.below(4) {
            let command = self.generate(link);
            if matches!(
                command.nature,
                Nature::Subscriber | Nature::Scan | Nature::Restore | Nature::Alone
            ) {
                continue;
            }
            // Scripts are looked up when they are queued, so a later one would help an earlier one.
            let is_script = |command: &Command| name_of(&command.words).starts_with("EVAL");
            if is_script(&command) && commands.iter().any(is_script) {
                continue;
            }
            // Its consumer must be there, which is seen to before MULTI.
            if has_consumer(&command) && !commands.is_empty() {
                continue;
            }
            let is_last = command.nature == Nature::Random;
            commands.push(command);
            if is_last {
                break;
            }
        }
        if let Some(first) = commands.first() {
            self.make_consumers(link, first);
        }
        // A script that is queued in vain is kept here, and not in Redis.
        let has_script = |command: &Command| name_of(&command.words).starts_with("EVAL");
        if self.source.percent(15) && !commands.iter().any(has_script) {
            self.watch(link);
        }
        let end = if self.source.percent(5) {
            "DISCARD"
        } else {
            "EXEC"
        };
        let mut requests: Vec<Words> = vec![vec![b"MULTI".into()]];
        requests.extend(commands.iter().map(|command| command.words.clone()));
        requests.push(vec![end.into()]);
        let mut replies = self.peers.exchange(link, &requests);
        let (redis, darter) = replies.pop().unwrap();
        for ((redis, darter), request) in replies.into_iter().zip(&requests) {
            self.judge_exactly("in MULTI", request, &redis, &darter);
        }
        let queued = redis.children.len();
        if redis.kind != b'*'
            || darter.kind != b'*'
            || queued != commands.len()
            || darter.children.len() != queued
        {
            self.judge_exactly("in MULTI", &requests[requests.len() - 1], &redis, &darter);
            return;
        }
        let results = redis.children.into_iter().zip(darter.children);
        for ((redis, darter), command) in results.zip(&commands) {
            let published = self.published(Way::Multi, command, &redis, &darter);
            self.judge(link, Way::Multi, command, redis, darter);
            self.read_messages(published);
            self.copy_after_chance(link, command);
        }
    }

    fn watch(&mut self, link: Link) {
        let key = self.source.random.pick(&["str:1", "none:1", "list:1"]);
        let watch: Words = vec![b"WATCH".into(), key.into()];
        let (redis, darter) = self
            .peers
            .exchange(link, std::slice::from_ref(&watch))
            .swap_remove(0);
        self.judge_exactly("before MULTI", &watch, &redis, &darter);
        if self.source.percent(50) {
            let other = if link == Link::Resp2 {
                Link::Resp3
            } else {
                Link::Resp2
            };
            let line = self.source.random.pick(INTRUSIONS);
            let words = line.split(' ').map(|word| match word {
                "KEY" => key.into(),
                word => word.into(),
            });
            let write: Words = words.collect();
            let (redis, darter) = self
                .peers
                .exchange(other, std::slice::from_ref(&write))
                .swap_remove(0);
            self.judge_exactly("before MULTI", &write, &redis, &darter);
        }
    }

    fn judge_exactly(&mut self, how: &str, words: &Words, redis: &Node, darter: &Node) {
        self.remember(how, words, Vec::new());
        if redis != darter {
            let shown = format!("{how}: {}", show_words(words));
            self.report(&name_of(words), &shown, Vec::new(), redis, darter);
        }
    }

    fn judge(&mut self, link: Link, way: Way, command: &Command, redis: Node, darter: Node) {
        let count = &mut self.counts[command.family];
        count.sent += 1;
        count.succeeded += usize::from(!redis.is_error());
        *self.ways.entry(way).or_default() += 1;
        let keys: Vec<_> = command
            .keys
            .iter()
            .map(|at| command.words[*at].clone())
            .collect();
        let how = format!("{link:?} {way:?}");
        self.remember(&how, &command.words, keys.clone());
        let compared = |mut node: Node| {
            if way == Way::CallInResp3 {
                sort_unordered(&mut node);
            }
            if way == Way::GetKeys {
                node
            } else {
                normalise(command, node)
            }
        };
        let (redis, darter) = (compared(redis), compared(darter));
        if is_same(&command.words, &redis, &darter) {
            return;
        }
        if way != Way::GetKeys
            && let Some(rule) = rules::explain(way, &command.words, &redis, &darter)
        {
            *self.explained.entry(rule.name).or_default() += 1;
            // What one has refused was done by the other.
            if redis.is_error() != darter.is_error() {
                self.drop_keys(link, &keys);
            }
            return;
        }
        self.counts[command.family].differences += 1;
        let shown = format!("{how}: {}", show_words(&command.words));
        let kind = format!(
            "{} {}",
            name_of(&command.words),
            if way == Way::GetKeys { "keys" } else { "" }
        );
        self.report(&kind, &shown, keys, &redis, &darter);
    }

    fn drop_keys(&mut self, link: Link, keys: &[Vec<u8>]) {
        for key in keys {
            let delete: Words = vec![b"DEL".into(), key.clone()];
            self.peers.exchange(link, &[delete]);
        }
    }

    fn remember(&mut self, how: &str, words: &Words, keys: Vec<Vec<u8>>) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Sent {
            text: format!("{how}: {}", show_words(words)),
            keys,
        });
    }

    fn differ(&mut self, command: &Command, what: &str, redis: &str, darter: &str) {
        let words = show_words(&command.words);
        self.differences.push(format!(
            "{what} after {words}\n  redis  {redis}\n  darter {darter}"
        ));
        self.must_copy = true;
    }

    /// Each kind is told once.
    fn report(&mut self, name: &str, shown: &str, keys: Vec<Vec<u8>>, redis: &Node, darter: &Node) {
        self.must_copy = true;
        let kind = format!("{name} {} {}", beginning(redis), beginning(darter));
        if !self.kinds_of_differences.insert(kind) {
            return;
        }
        let mut text = format!("{shown}\n  redis  {redis}\n  darter {darter}");
        let others = self.history.iter().rev().skip(1);
        let is_related =
            |sent: &&Sent| keys.is_empty() || sent.keys.iter().any(|key| keys.contains(key));
        let related = others.filter(is_related);
        for sent in related.take(HISTORY_SHOWN) {
            text.push_str(&format!("\n    before: {}", sent.text));
        }
        self.differences.push(text);
    }

    fn walk(&mut self) {
        let found = state::differences(&mut self.peers);
        for text in found.into_iter().take(5) {
            let key_text = text.lines().next().unwrap_or_default().to_owned();
            let related = self.history.iter().rev().filter(|sent| {
                sent.keys
                    .iter()
                    .any(|key| key_text.contains(&show_words(std::slice::from_ref(key))))
            });
            let related: Vec<_> = related
                .take(HISTORY_SHOWN)
                .map(|sent| sent.text.clone())
                .collect();
            let before = related.join("\n    before: ");
            self.differences
                .push(format!("state: {text}\n    before: {before}"));
            self.must_copy = true;
        }
    }
}
