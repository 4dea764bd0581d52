//! Programs as scripts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use darter::script::cache::sha_of;

use crate::connection::{Connection, Ran, was_ended};
use crate::generator::{Command, Program};
use crate::modes::HEADERS;
use crate::support::client::{Client, Reply};

/// Runs the commands that its arguments are: each as a count and as many words. The reply has the
/// reply of each.
const BODY: &str = "
local own = {}
local replies, at = {}, 1
own['#SCAN'] = function(pattern)
  local found, seen, cursor = {}, {}, '0'
  repeat
    local page = redis.call('SCAN', cursor, 'MATCH', pattern, 'COUNT', 1000)
    cursor = page[1]
    for _, key in ipairs(page[2]) do
      if not seen[key] then seen[key] = true found[#found + 1] = key end
    end
  until cursor == '0'
  return found
end
own['#SPIN'] = function(turns) local n = 0 for i = 1, tonumber(turns) do n = n + i end end
own['#FAIL'] = function() error('on purpose') end
own['#ABORT'] = function() redis.abort('on purpose') end
own['#HANG'] = function() while true do end end
own['#GROW'] = function() local text = 'x' while true do text = text .. text end end
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  at = at + 1
  local name = ARGV[at]
  local run = own[name]
  local reply
  if run then reply = run(ARGV[at + 1]) else reply = redis.call(unpack(ARGV, at, at + count - 1)) end
  at = at + count
  if reply ~= nil then replies[#replies + 1] = reply end
end
return replies
";

fn body(header: &str) -> String {
    format!("{header}{BODY}")
}

/// The same as functions of a library.
fn library() -> String {
    let mut library = format!("#!lua name=histories\nlocal function run(KEYS, ARGV) {BODY} end\n");
    for (name, flags) in [
        ("run", ""),
        ("run_undeclared", "'allow-undeclared-keys'"),
        ("run_optimistic", "'optimistic-undeclared-keys'"),
        ("read", "'no-writes'"),
    ] {
        library += &format!(
            "redis.register_function{{function_name='{name}', callback=run, flags={{{flags}}}}}\n"
        );
    }
    library
}

/// Makes all scripts known by their SHA-1, and the functions by their names.
pub(crate) fn load(client: &mut Client) {
    let loaded = client.call(&["FUNCTION", "LOAD", "REPLACE", &library()]);
    assert_eq!(loaded, Reply::Bulk(b"histories".to_vec()));
    for header in HEADERS {
        let reply = client.call(&["SCRIPT", "LOAD", &body(header)]);
        assert!(matches!(reply, Reply::Bulk(_)), "{reply:?}");
    }
}

fn digest(body: &str) -> String {
    String::from_utf8(sha_of(body.as_bytes()).to_vec()).unwrap()
}

fn as_arguments(program: &Program, commands: &[Command]) -> Vec<String> {
    let mut arguments = Vec::new();
    for command in commands {
        if program.spin > 0 {
            arguments.extend(["2".to_owned(), "#SPIN".to_owned(), program.spin.to_string()]);
        }
        arguments.push(command.len().to_string());
        arguments.extend(command.iter().cloned());
    }
    arguments
}

/// EVAL, EVALSHA or one of their twins that only read.
fn call(
    name: &str,
    header: &str,
    keys: Vec<String>,
    program: &Program,
    commands: &[Command],
) -> Command {
    let mut all = if program.by_sha {
        let name = name.replace("EVAL", "EVALSHA");
        vec![name, digest(&body(header))]
    } else {
        vec![name.to_owned(), body(header)]
    };
    all.push(keys.len().to_string());
    all.extend(keys);
    all.extend(as_arguments(program, commands));
    all
}

/// The whole program as one call, its keys declared.
pub(crate) fn call_of(header: &str, program: &Program) -> Command {
    call("EVAL", header, program.keys(), program, &program.commands())
}

fn ran(reply: Reply) -> Ran {
    match reply {
        Reply::Array(replies) => Ran::Replies(replies),
        Reply::Error(text) if was_ended(&text) => Ran::Aborted,
        other => panic!("a script: {other:?}"),
    }
}

impl Connection<'_> {
    pub(crate) fn script(&mut self, header: &str, program: &Program) -> Ran {
        ran(self.client.call(&call_of(header, program)))
    }

    /// The program as a call of a function of the library.
    pub(crate) fn function(&mut self, command: &str, name: &str, program: &Program) -> Ran {
        let keys = match name {
            "run_undeclared" | "run_optimistic" => Vec::new(),
            _ => program.keys(),
        };
        let mut all = vec![command.to_owned(), name.to_owned(), keys.len().to_string()];
        all.extend(keys);
        all.extend(as_arguments(program, &program.commands()));
        ran(self.client.call(&all))
    }

    pub(crate) fn undeclared_script(&mut self, header: &str, program: &Program) -> Ran {
        let call = call("EVAL", header, Vec::new(), program, &program.commands());
        ran(self.client.call(&call))
    }

    pub(crate) fn read_only_script(&mut self, header: &str, program: &Program) -> Ran {
        let keys = if header.is_empty() {
            program.keys()
        } else {
            Vec::new()
        };
        let call = call("EVAL_RO", header, keys, program, &program.commands());
        ran(self.client.call(&call))
    }

    /// Some commands, then the others in a script of the same transaction.
    pub(crate) fn multi_with_script(&mut self, header: &str, program: &Program) -> Ran {
        let (mut commands, back) = program.halves();
        commands.push(call("EVAL", header, program.keys(), program, &back));
        match Self::executed(self.multi_of(commands)) {
            Ran::Replies(mut replies) => match replies.pop() {
                Some(Reply::Array(last)) => {
                    replies.extend(last);
                    Ran::Replies(replies)
                }
                Some(Reply::Error(text)) if was_ended(&text) => Ran::Front(replies),
                other => panic!("a script in MULTI: {other:?}"),
            },
            other => other,
        }
    }

    /// Some commands, the others in a script that does not last, and these once more, without it.
    pub(crate) fn multi_with_undone_script(
        &mut self,
        header: &str,
        end: &str,
        program: &Program,
    ) -> Ran {
        let (mut commands, back) = program.halves();
        let undone = commands.len();
        let whole = [back.clone(), vec![vec![end.to_owned()]]].concat();
        commands.push(call("EVAL", header, program.keys(), program, &whole));
        commands.extend(back);
        let mut ran = Self::executed(self.multi_of(commands));
        if let Ran::Replies(replies) = &mut ran {
            match replies.remove(undone) {
                Reply::Error(text) if text.contains("on purpose") || was_ended(&text) => {}
                other => panic!("a script in MULTI that does not last: {other:?}"),
            }
        }
        ran
    }

    /// As a call that ends with a function of the script.
    fn call_ending_with(header: &str, program: &Program, end: &str) -> Command {
        let commands = [program.commands(), vec![vec![end.to_owned()]]].concat();
        call("EVAL", header, program.keys(), program, &commands)
    }

    /// The script raises when it has done everything.
    pub(crate) fn failing_script(&mut self, header: &str, program: &Program, so: Ran) -> Ran {
        let call = Self::call_ending_with(header, program, "#FAIL");
        match self.client.call(&call) {
            Reply::Error(text) if text.contains("on purpose") => so,
            Reply::Error(text) if was_ended(&text) => Ran::Aborted,
            other => panic!("a script that fails: {other:?}"),
        }
    }

    /// The script gives itself up when it has done everything.
    pub(crate) fn aborting_script(&mut self, header: &str, program: &Program) -> Ran {
        let call = Self::call_ending_with(header, program, "#ABORT");
        match self.client.call(&call) {
            Reply::Error(text) if text.starts_with("ABORTED on purpose") => Ran::Aborted,
            Reply::Error(text) if was_ended(&text) => Ran::Aborted,
            other => panic!("a script that aborts: {other:?}"),
        }
    }

    fn ended(reply: &Reply) -> Ran {
        match reply {
            Reply::Error(text) if was_ended(text) => Ran::Aborted,
            other => panic!("a script without an end: {other:?}"),
        }
    }

    /// The script hangs when it has done everything, until it is killed by its SHA-1.
    pub(crate) fn killed_script(&mut self, header: &str, program: &Program) -> Ran {
        let mut call = Self::call_ending_with(header, program, "#HANG");
        // A text of its own, so that no other run is killed.
        let own = format!("{}-- {}\n", body(header), program.id);
        let sha = digest(&own);
        call[0] = "EVAL".into();
        call[1] = own;
        let address = self.address();
        let is_over = AtomicBool::new(false);
        let reply = thread::scope(|scope| {
            scope.spawn(|| {
                let mut killer = Client::connect(address);
                while !is_over.load(Ordering::SeqCst) {
                    killer.call(&["SCRIPT", "KILL", &sha]);
                }
            });
            let reply = self.client.call(&call);
            is_over.store(true, Ordering::SeqCst);
            reply
        });
        Self::ended(&reply)
    }

    /// The script goes on until a limit ends it.
    pub(crate) fn limited_script(&mut self, end: &str, program: &Program) -> Ran {
        let call = Self::call_ending_with("", program, end);
        Self::ended(&self.client.call(&call))
    }
}
