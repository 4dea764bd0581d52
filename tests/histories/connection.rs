//! One client: it runs programs, each in its mode, and writes down what it saw and when.

use std::net::SocketAddr;
use std::time::Instant;

use crate::embedded::Held;
use crate::generator::{Command, Program};
use crate::history::{Outcome, Transaction};
use crate::support::client::{Client, Reply, encode};
use crate::support::server::Server;

/// How often a client that watches keys, or tries once, tries again.
const ATTEMPTS: usize = 8;

/// How a program ended.
#[derive(Clone, Debug)]
pub(crate) enum Ran {
    /// It happened; the replies to all its commands.
    Replies(Vec<Reply>),
    /// Its first half happened, and these are the replies; the other was ended.
    Front(Vec<Reply>),
    /// It happened; no reply says what it saw.
    Kept,
    Aborted,
    Unknown,
    /// It is written down already, or will be.
    Recorded,
}

/// See the module's text.
pub(crate) struct Connection<'s> {
    pub(crate) server: &'s Server,
    pub(crate) client: Client,
    number: usize,
    /// When all clients' clocks began.
    clock: Instant,
    /// When the attempt began that counts.
    invoked_ns: u64,
    pub(crate) held: Vec<Held>,
    recorded: Vec<Transaction>,
}

impl<'s> Connection<'s> {
    pub(crate) fn new(server: &'s Server, number: usize, clock: Instant) -> Connection<'s> {
        Connection {
            server,
            client: Client::connect(server.address),
            number,
            clock,
            invoked_ns: 0,
            held: Vec::new(),
            recorded: Vec::new(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap()
    }

    /// What was written down.
    pub(crate) fn into_recorded(mut self) -> Vec<Transaction> {
        while self.read_held() {}
        self.recorded
    }

    /// Begins an attempt: what was tried before has not happened.
    pub(crate) fn begin(&mut self) {
        self.invoked_ns = self.now_ns();
    }

    pub(crate) fn invoked_ns(&self) -> u64 {
        self.invoked_ns
    }

    /// Runs a program and writes it down.
    pub(crate) fn run(&mut self, program: &Program) {
        self.begin();
        let ran = (program.mode.run)(self, program);
        let completed_ns = self.now_ns();
        self.record(program, (self.invoked_ns, completed_ns), &ran);
    }

    pub(crate) fn record(
        &mut self,
        program: &Program,
        (invoked, completed): (u64, u64),
        ran: &Ran,
    ) {
        let (outcome, events) = match ran {
            Ran::Replies(replies) => (Outcome::Committed, program.decode(replies)),
            Ran::Front(replies) => (Outcome::Committed, program.decode_front(replies)),
            Ran::Kept => (Outcome::Committed, program.intents()),
            Ran::Aborted => (Outcome::Aborted, program.intents()),
            Ran::Unknown => (Outcome::Unknown, program.intents()),
            Ran::Recorded => return,
        };
        self.recorded.push(Transaction {
            id: program.id,
            client: self.number,
            mode: program.mode.name,
            invoked_ns: invoked,
            completed_ns: match outcome {
                Outcome::Unknown => u64::MAX,
                _ => completed,
            },
            outcome,
            events,
        });
    }

    fn call(&mut self, command: &Command) -> Reply {
        self.client.call(command)
    }

    /// Sends commands in one write.
    pub(crate) fn send(&mut self, commands: &[Command]) {
        let bytes: Vec<u8> = commands
            .iter()
            .flat_map(|command| encode(command))
            .collect();
        self.client.send_bytes(&bytes);
    }

    /// Ends the connection without waiting for anything, and begins another.
    fn cut(&mut self) {
        self.client = Client::connect(self.address());
    }

    pub(crate) fn single(&mut self, program: &Program) -> Ran {
        let commands = program.commands();
        Ran::Replies(commands.iter().map(|command| self.call(command)).collect())
    }

    /// Every step is a transaction of its own.
    pub(crate) fn pipeline(&mut self, program: &Program) -> Ran {
        self.send(&program.commands());
        for step in program.single_steps() {
            let replies = vec![self.client.read()];
            let completed = self.now_ns();
            self.record(&step, (self.invoked_ns, completed), &Ran::Replies(replies));
        }
        Ran::Recorded
    }

    /// The replies of EXEC.
    pub(crate) fn executed(reply: Reply) -> Ran {
        match reply {
            Reply::Null => Ran::Aborted,
            Reply::Error(text) if was_ended(&text) => Ran::Aborted,
            Reply::Array(replies) => Ran::Replies(replies),
            other => panic!("EXEC: {other:?}"),
        }
    }

    /// Queues commands, in one write, up to what `end` says.
    fn queue(&mut self, commands: Vec<Command>, end: &str) {
        let count = commands.len();
        let begin = vec![vec!["MULTI".to_owned()]];
        let end = vec![vec![end.to_owned()]];
        self.send(&[begin, commands, end].concat());
        assert_eq!(self.client.read(), Reply::Status("OK".into()));
        for _ in 0..count {
            assert_eq!(self.client.read(), Reply::Status("QUEUED".into()));
        }
    }

    pub(crate) fn multi_of(&mut self, commands: Vec<Command>) -> Reply {
        self.queue(commands, "EXEC");
        self.client.read()
    }

    pub(crate) fn multi(&mut self, program: &Program) -> Ran {
        Self::executed(self.multi_of(program.commands()))
    }

    pub(crate) fn multi_slowly(&mut self, program: &Program) -> Ran {
        self.client.run("MULTI");
        for command in program.commands() {
            assert_eq!(self.call(&command), Reply::Status("QUEUED".into()));
        }
        // Nothing of it has begun.
        self.begin();
        Self::executed(self.client.run("EXEC"))
    }

    /// Reads one command after the other on a snapshot of the connection's own.
    pub(crate) fn on_snapshot(&mut self, program: &Program) -> Ran {
        self.begin();
        assert_eq!(
            self.client.run("SNAPSHOT BEGIN"),
            Reply::Status("OK".into())
        );
        let taken_ns = (self.invoked_ns(), self.now_ns());
        let commands = program.commands();
        let replies = commands.iter().map(|command| self.call(command)).collect();
        assert_eq!(self.client.run("SNAPSHOT END"), Reply::Status("OK".into()));
        self.record(program, taken_ns, &Ran::Replies(replies));
        Ran::Recorded
    }

    pub(crate) fn discard(&mut self, program: &Program) -> Ran {
        self.queue(program.commands(), "DISCARD");
        assert_eq!(self.client.read(), Reply::Status("OK".into()));
        Ran::Aborted
    }

    /// Reads, and writes if what was read still holds.
    pub(crate) fn watch(&mut self, program: &Program) -> Ran {
        for _ in 0..ATTEMPTS {
            self.begin();
            let keys = program.keys();
            self.call(&[vec!["WATCH".to_owned()], keys].concat());
            let mut reads: Vec<Vec<Reply>> = Vec::new();
            for step in &program.steps {
                let commands = program.reads_of(step);
                reads.push(commands.iter().map(|command| self.call(command)).collect());
            }
            let mut writes: Vec<Command> = Vec::new();
            for step in &program.steps {
                writes.extend(program.writes_of(step));
            }
            let all = program.commands();
            let tells = all[all.len() - program.tells.len()..].to_vec();
            writes.extend(tells);
            let Ran::Replies(written) = Self::executed(self.multi_of(writes)) else {
                continue;
            };
            let mut written = written.into_iter();
            let mut replies = Vec::new();
            for (step, read) in program.steps.iter().zip(reads) {
                replies.extend(read);
                replies.extend(written.by_ref().take(step.operation.writes.len()));
            }
            replies.extend(written);
            return Ran::Replies(replies);
        }
        Ran::Aborted
    }

    pub(crate) fn again<T>(mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
        (0..ATTEMPTS).find_map(|_| attempt())
    }

    pub(crate) fn cut_before_exec(&mut self, program: &Program) -> Ran {
        self.send(&[vec![vec!["MULTI".to_owned()]], program.commands()].concat());
        self.cut();
        Ran::Aborted
    }

    pub(crate) fn cut_after_exec(&mut self, program: &Program) -> Ran {
        let begin = vec![vec!["MULTI".to_owned()]];
        let end = vec![vec!["EXEC".to_owned()]];
        self.send(&[begin, program.commands(), end].concat());
        self.cut();
        Ran::Unknown
    }

    pub(crate) fn cut_script(&mut self, program: &Program) -> Ran {
        let call = crate::scripts::call_of("", program);
        self.send(&[call]);
        self.cut();
        Ran::Unknown
    }
}

/// Whether an error says that a script was ended without a trace.
pub(crate) fn was_ended(text: &str) -> bool {
    text.contains("Nothing of it has happened")
}
