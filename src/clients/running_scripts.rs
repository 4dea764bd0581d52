//! The scripts and functions that clients run: how they are found, and how they are ended.

use std::sync::Arc;

use super::{Clients, SharedClient, lock};
use crate::commands::args::KeptArguments;
use crate::fault::fault;
use crate::script::Script;
use crate::script::cache::Sha;

/// The scripts that a client runs.
#[derive(Default)]
pub(super) struct RunningScripts {
    last_number: u64,
    running: Vec<RunningScript>,
}

/// A script that is running.
#[derive(Clone)]
struct RunningScript {
    number: u64,
    sha: Sha,
    function: Option<Call>,
    started_ms: u64,
    is_killed: bool,
    /// It has come to its end, and waits for its transaction's.
    is_over: bool,
}

/// The call of a function.
#[derive(Clone)]
struct Call {
    script: Arc<Script>,
    arguments: Arc<KeptArguments>,
}

/// A function that is running, as others see it.
pub struct RunningFunction {
    call: Call,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
}

impl RunningFunction {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        self.call.script.name()
    }

    /// The command that called it.
    pub fn arguments(&self) -> &KeptArguments {
        &self.call.arguments
    }
}

/// What there is to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// It is.
    Yes,
    /// There is nothing of its kind, but of the other: scripts and functions have commands of their
    /// own.
    OtherKind,
    /// There is nothing.
    Nothing,
}

impl SharedClient {
    /// It runs a script from here on, until `end_script` of the number that this returns. A script
    /// that starts over begins anew before it ends, so that it is always found; a kill of the one
    /// is a kill of the other.
    pub fn begin_script(&self, sha: Sha, now_ms: u64) -> u64 {
        self.begin(sha, None, now_ms)
    }

    /// As `begin_script`, for a function.
    pub fn begin_function(
        &self,
        script: &Arc<Script>,
        arguments: &Arc<KeptArguments>,
        now_ms: u64,
    ) -> u64 {
        let call = Call {
            script: Arc::clone(script),
            arguments: Arc::clone(arguments),
        };
        self.begin(script.sha, Some(call), now_ms)
    }

    fn begin(&self, sha: Sha, function: Option<Call>, now_ms: u64) -> u64 {
        let mut scripts = lock(&self.scripts);
        scripts.last_number += 1;
        let mut running = scripts.running.iter().filter(|script| !script.is_over);
        let before = running.find(|script| script.sha == sha);
        let script = RunningScript {
            number: scripts.last_number,
            sha,
            function,
            started_ms: before.map_or(now_ms, |before| before.started_ms),
            is_killed: before.is_some_and(|before| before.is_killed)
                && !fault!("a script that starts over forgets its kill"),
            is_over: false,
        };
        scripts.running.push(script);
        scripts.last_number
    }

    /// A script has come to its end, and nobody need end it; or it may have to run again after all.
    pub(crate) fn note_script_over(&self, number: u64, is_over: bool) {
        let mut scripts = lock(&self.scripts);
        let own = scripts.running.iter_mut();
        own.filter(|script| script.number == number)
            .for_each(|script| script.is_over = is_over);
    }

    /// A script has ended.
    pub fn end_script(&self, number: u64) {
        lock(&self.scripts)
            .running
            .retain(|script| script.number != number);
    }

    /// Whether it runs a script.
    pub fn is_in_script(&self) -> bool {
        !lock(&self.scripts).running.is_empty()
    }

    /// The SHA-1 of the script, or the name of the function, that it runs.
    pub fn running_script(&self) -> Option<Vec<u8>> {
        let scripts = lock(&self.scripts);
        scripts.running.last().map(|script| match &script.function {
            Some(call) => call.script.name().to_vec(),
            None => script.sha.to_vec(),
        })
    }

    /// Whether SCRIPT KILL has ended a script of its.
    pub fn is_script_killed(&self, number: u64) -> bool {
        let scripts = lock(&self.scripts);
        let mut own = scripts
            .running
            .iter()
            .filter(|script| script.number == number);
        own.any(|script| script.is_killed)
    }

    /// Ends its script, if it still runs this one.
    fn kill_script(&self, sha: &Sha) -> bool {
        let mut scripts = lock(&self.scripts);
        let mut is_running = false;
        let running = scripts.running.iter_mut();
        for script in running.filter(|own| own.sha == *sha && !own.is_over) {
            script.is_killed = true;
            is_running = true;
        }
        drop(scripts);
        if is_running {
            self.wake();
        }
        is_running
    }
}

impl Clients {
    /// The scripts and functions that run, those first that began first.
    fn running(&self) -> Vec<(RunningScript, Arc<SharedClient>)> {
        let running = |client: Arc<SharedClient>| {
            let scripts = lock(&client.scripts);
            let script = scripts.running.iter().rfind(|script| !script.is_over);
            let script = script.cloned();
            drop(scripts);
            script.map(|script| (script, client))
        };
        let mut all: Vec<_> = self.all().into_iter().filter_map(running).collect();
        all.sort_by_key(|(script, _)| script.started_ms);
        all
    }

    /// Whether a script or a function is running.
    pub fn has_scripts(&self) -> bool {
        !self.running().is_empty()
    }

    /// The function that has run longest.
    pub fn running_function(&self) -> Option<RunningFunction> {
        self.running().into_iter().find_map(|(script, _)| {
            Some(RunningFunction {
                call: script.function?,
                started_ms: script.started_ms,
            })
        })
    }

    /// Ends the script that has run longest, or every run of one script.
    pub fn kill_scripts(&self, sha: Option<&Sha>) -> Killed {
        let Some(sha) = sha else {
            return self.kill_longest(|script| script.function.is_none());
        };
        let running = self.running();
        let killed = running
            .iter()
            .filter(|(script, client)| script.function.is_none() && client.kill_script(sha));
        match killed.count() {
            0 => Killed::Nothing,
            _ => Killed::Yes,
        }
    }

    /// Ends the function that has run longest.
    pub fn kill_function(&self) -> Killed {
        self.kill_longest(|script| script.function.is_some())
    }

    fn kill_longest(&self, is_meant: impl Fn(&RunningScript) -> bool) -> Killed {
        let running = self.running();
        let mut meant = running.iter().filter(|(script, _)| is_meant(script));
        match meant.next() {
            Some((script, client)) if client.kill_script(&script.sha) => Killed::Yes,
            // It has just ended.
            Some(_) => Killed::Nothing,
            None if running.is_empty() => Killed::Nothing,
            None => Killed::OtherKind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_starts_over_stays_killed_and_keeps_its_start() {
        let clients = Clients::new();
        let client = clients.add(String::new(), String::new(), 0);
        let (own, other) = ([b'a'; 40], [b'b'; 40]);
        let first = client.begin_script(own, 1_000);
        assert_eq!(clients.kill_scripts(Some(&own)), Killed::Yes);
        let second = client.begin_script(own, 2_000);
        client.end_script(first);
        assert!(client.is_script_killed(second));
        assert_eq!(clients.running()[0].0.started_ms, 1_000);
        client.end_script(second);
        assert!(!clients.has_scripts());
        let next = client.begin_script(other, 3_000);
        assert!(!client.is_script_killed(next), "it was not its kill");
        assert_eq!(clients.kill_scripts(Some(&own)), Killed::Nothing);
    }
}
