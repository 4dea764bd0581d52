//! The load generator: connections that send their next pipeline once the last one is answered.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use fastrand::Rng;
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::error::Error;
use crate::replies::Replies;
use crate::template::Template;

/// A server that says nothing for so long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 64 << 10;

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    Operations(u64),
    Elapsed(Duration),
}

#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) operation: Template,
    pub(crate) connections: usize,
    /// Operations that a connection sends at once.
    pub(crate) pipeline: u64,
    pub(crate) threads: usize,
    pub(crate) until: Until,
}

/// What a load has come to.
pub(crate) struct Outcome {
    pub(crate) operations: u64,
    pub(crate) elapsed: Duration,
    /// From the sending of a pipeline to each of its replies, in microseconds.
    pub(crate) latencies_us: Histogram<u64>,
}

pub(crate) fn histogram() -> Result<Histogram<u64>, Error> {
    Histogram::new(3).map_err(|error| Error::Format(error.to_string()))
}

struct Connection {
    stream: TcpStream,
    output: Vec<u8>,
    sent: usize,
    replies: Replies,
    /// Replies that are still to come.
    missing: u64,
    sent_at: Instant,
}

fn lost(source: std::io::Error) -> Error {
    Error::io("a connection under load")(source)
}

impl Connection {
    fn new(address: SocketAddr) -> Result<Connection, Error> {
        let stream = std::net::TcpStream::connect(address).map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        stream.set_nonblocking(true).map_err(lost)?;
        Ok(Connection {
            stream: TcpStream::from_std(stream),
            output: Vec::new(),
            sent: 0,
            replies: Replies::new(),
            missing: 0,
            sent_at: Instant::now(),
        })
    }

    /// Writes what can be written.
    fn flush(&mut self) -> Result<(), Error> {
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(lost(error)),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads what has come and returns how many replies were among it.
    fn read(&mut self, buffer: &mut [u8]) -> Result<u64, Error> {
        let mut complete = 0;
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Err(lost(ErrorKind::UnexpectedEof.into())),
                Ok(length) => {
                    complete += self.replies.feed(&buffer[..length]);
                    // A short read has emptied the socket; more of it is announced anew.
                    if length < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(lost(error)),
            }
        }
        match self.replies.take_error() {
            Some(reply) => Err(Error::Reply {
                request: "an operation".into(),
                reply,
            }),
            None => Ok(complete),
        }
    }
}

/// One thread's part.
struct Worker<'l> {
    load: &'l Load,
    poll: Poll,
    connections: Vec<Connection>,
    random: Rng,
    /// The number of the next operation, and of the one behind the last.
    next: u64,
    end: u64,
    deadline: Option<Instant>,
    waiting: usize,
    operations: u64,
    latencies_us: Histogram<u64>,
}

impl Worker<'_> {
    /// Sends the next pipeline, if there is to be one.
    fn send(&mut self, at: usize) -> Result<(), Error> {
        let is_late = self
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline);
        let count = (self.end - self.next).min(self.load.pipeline);
        if is_late || count == 0 {
            return Ok(());
        }
        let connection = &mut self.connections[at];
        for number in self.next..self.next + count {
            let operation = &self.load.operation;
            operation.write(&mut connection.output, &mut self.random, number);
        }
        self.next += count;
        self.operations += count;
        self.waiting += 1;
        connection.missing = count * self.load.operation.replies();
        connection.sent_at = Instant::now();
        connection.flush()
    }

    fn run(&mut self) -> Result<(), Error> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_BYTES];
        for at in 0..self.connections.len() {
            self.send(at)?;
        }
        while self.waiting > 0 {
            self.poll
                .poll(&mut events, Some(SILENCE_MAX))
                .map_err(lost)?;
            if events.is_empty() {
                return Err(lost(ErrorKind::TimedOut.into()));
            }
            for event in &events {
                let at = event.token().0;
                let connection = &mut self.connections[at];
                connection.flush()?;
                let complete = connection.read(&mut buffer)?;
                if complete == 0 {
                    continue;
                }
                let elapsed_us = connection.sent_at.elapsed().as_micros() as u64;
                connection.missing = connection.missing.saturating_sub(complete);
                let is_answered = connection.missing == 0;
                // It grows as it must; only beyond what it could ever hold it refuses.
                let _ = self.latencies_us.record_n(elapsed_us, complete);
                if is_answered {
                    self.waiting -= 1;
                    self.send(at)?;
                }
            }
        }
        Ok(())
    }
}

fn worker<'l>(load: &'l Load, address: SocketAddr, thread: usize) -> Result<Worker<'l>, Error> {
    // The parts of all threads, one after the other, make up the whole.
    let part = |whole: u64, thread: usize| whole * thread as u64 / load.threads as u64;
    let (next, end) = match load.until {
        Until::Operations(count) => (part(count, thread), part(count, thread + 1)),
        Until::Elapsed(_) => (0, u64::MAX),
    };
    let all = load.connections as u64;
    let own = part(all, thread + 1) - part(all, thread);
    let poll = Poll::new().map_err(lost)?;
    let mut connections = Vec::new();
    for at in 0..own as usize {
        let mut connection = Connection::new(address)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry()
            .register(&mut connection.stream, Token(at), interest)
            .map_err(lost)?;
        connections.push(connection);
    }
    Ok(Worker {
        load,
        poll,
        connections,
        random: Rng::with_seed(thread as u64 + 1),
        next,
        end,
        deadline: None,
        waiting: 0,
        operations: 0,
        latencies_us: histogram()?,
    })
}

/// Runs a load against a server; the calling thread is one of those that drive it.
pub(crate) fn run(address: SocketAddr, load: &Load) -> Result<Outcome, Error> {
    let workers: Result<Vec<_>, _> = (0..load.threads)
        .map(|thread| worker(load, address, thread))
        .collect();
    let barrier = Barrier::new(load.threads);
    let drive = |mut worker: Worker<'_>| {
        barrier.wait();
        let begin = Instant::now();
        if let Until::Elapsed(duration) = load.until {
            worker.deadline = Some(begin + duration);
        }
        worker.run()?;
        Ok(Outcome {
            operations: worker.operations,
            elapsed: begin.elapsed(),
            latencies_us: worker.latencies_us,
        })
    };
    let parts: Result<Vec<Outcome>, Error> = std::thread::scope(|scope| {
        let drive = &drive;
        let mut workers = workers?.into_iter();
        let own = workers.next();
        let others: Vec<_> = workers
            .map(|worker| scope.spawn(move || drive(worker)))
            .collect();
        let mut parts: Vec<_> = own.into_iter().map(drive).collect();
        for thread in others {
            let panicked = || Err(Error::Format("a thread that panicked".into()));
            parts.push(thread.join().unwrap_or_else(|_| panicked()));
        }
        parts.into_iter().collect()
    });
    let mut outcome = Outcome {
        operations: 0,
        elapsed: Duration::ZERO,
        latencies_us: histogram()?,
    };
    for part in parts? {
        outcome.operations += part.operations;
        outcome.elapsed = outcome.elapsed.max(part.elapsed);
        // Both grow as they must.
        let _ = outcome.latencies_us.add(&part.latencies_us);
    }
    Ok(outcome)
}
