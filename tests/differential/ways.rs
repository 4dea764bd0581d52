//! The ways in which commands are sent: by themselves, in MULTI, through scripts, and as a question
//! about their keys.

use crate::compare::has_word;
use crate::grammar::{Command, Nature};
use crate::pools::Source;
use crate::wire::Words;

/// How a script hands on what a call returned.
const CALL: &str = "return redis.call(unpack(ARGV))";
const PCALL: &str = "return redis.pcall(unpack(ARGV))";
const CALL_IN_RESP3: &str = "redis.setresp(3); return redis.call(unpack(ARGV))";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Plain,
    Multi,
    Call,
    Pcall,
    /// Only for clients in RESP3: to others, Lua's tables without an order are plain arrays.
    CallInResp3,
    GetKeys,
}

impl Way {
    pub(crate) fn is_script(self) -> bool {
        matches!(self, Way::Call | Way::Pcall | Way::CallInResp3)
    }
}

/// Whether a command means the same in a script.
fn may_be_in_script(command: &Command) -> bool {
    let is_allowed = match command.nature {
        Nature::Plain | Nature::Random => true,
        // Redis 7.0 refuses what may wait; 7.2 does not, and runs it without waiting.
        Nature::Blocking => {
            command.words[0].starts_with(b"X") && !has_word(&command.words, "BLOCK")
        }
        Nature::NotInScripts
        | Nature::Alone
        | Nature::Scan
        | Nature::Subscriber
        | Nature::Restore => false,
    };
    // The keys of a mutant are not known, so they cannot be declared.
    is_allowed && !command.is_mutant
}

/// Draws a way for a command that is sent by itself.
pub(crate) fn choose(source: &mut Source, command: &Command, is_resp3: bool) -> Way {
    let way = match source.below(100) {
        0..=66 => Way::Plain,
        67..=77 => Way::Call,
        78..=90 => Way::Pcall,
        91..=95 if is_resp3 => Way::CallInResp3,
        91..=95 => Way::Call,
        _ => Way::GetKeys,
    };
    match way {
        Way::Call | Way::Pcall | Way::CallInResp3 if !may_be_in_script(command) => Way::Plain,
        // Redis 7.0 wants more than the name; 7.2 does not.
        Way::GetKeys if command.is_mutant || command.words.len() == 1 => Way::Plain,
        way => way,
    }
}

fn in_script(body: &str, command: &Command) -> Words {
    let mut words: Words = vec![b"EVAL".into(), body.into()];
    words.push(command.keys.len().to_string().into_bytes());
    words.extend(command.keys.iter().map(|at| command.words[*at].clone()));
    words.extend(command.words.iter().cloned());
    words
}

/// The command as it is sent.
pub(crate) fn request(way: Way, command: &Command) -> Words {
    match way {
        Way::Plain | Way::Multi => command.words.clone(),
        Way::Call => in_script(CALL, command),
        Way::Pcall => in_script(PCALL, command),
        Way::CallInResp3 => in_script(CALL_IN_RESP3, command),
        Way::GetKeys => {
            let question: Words = vec![b"COMMAND".into(), b"GETKEYS".into()];
            question
                .into_iter()
                .chain(command.words.iter().cloned())
                .collect()
        }
    }
}
