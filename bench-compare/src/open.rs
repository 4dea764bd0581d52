//! Arrivals on a fixed schedule, whatever the server does. Latency counts from when an operation was
//! due: a server that stalls makes all that came due meanwhile late, as it would for its users.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream as Stream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::error::Error;
use crate::load::histogram;
use crate::replies::Replies;
use crate::template::Template;

/// For how long replies are waited for when nothing more comes due.
const DRAIN: Duration = Duration::from_secs(3);
/// While a server takes nothing.
const RETRY: Duration = Duration::from_micros(100);

#[derive(Clone, Debug)]
pub(crate) struct OpenLoad {
    pub(crate) operation: Template,
    pub(crate) connections: usize,
    /// Operations that come due in a second.
    pub(crate) rate: f64,
    pub(crate) duration: Duration,
}

pub(crate) struct OpenOutcome {
    /// Replies in a second, from the first due to the last reply.
    pub(crate) achieved_rate: f64,
    /// Those without a reply count as if it had come at the end.
    pub(crate) latencies_us: Histogram<u64>,
}

/// Operation number `n` is due at `begin` + n / rate, on connection n modulo their count.
struct Schedule {
    begin: Instant,
    rate: f64,
    connections: u64,
    total: u64,
}

impl Schedule {
    fn due(&self, number: u64) -> Instant {
        self.begin + Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// When the operation was due that is the `nth` on its connection.
    fn due_on(&self, connection: usize, nth: u64) -> Instant {
        self.due(nth * self.connections + connection as u64)
    }

    /// How many operations are due by now.
    fn due_by(&self, now: Instant) -> u64 {
        let elapsed = now.duration_since(self.begin).as_secs_f64();
        ((elapsed * self.rate) as u64 + 1).min(self.total)
    }
}

fn lost(source: std::io::Error) -> Error {
    Error::io("a connection under load")(source)
}

/// Writes all of it. The socket does not block, so that it may be waited for with `RETRY`.
fn write_all(mut stream: &Stream, mut bytes: &[u8], is_over: &AtomicBool) -> Result<(), Error> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // Relaxed here and below: a flag that orders nothing else.
                if is_over.load(Ordering::Relaxed) {
                    return Ok(());
                }
                thread::sleep(RETRY);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(lost(error)),
        }
    }
    Ok(())
}

fn send(
    load: &OpenLoad,
    schedule: &Schedule,
    streams: &[Stream],
    is_over: &AtomicBool,
) -> Result<(), Error> {
    let mut random = Rng::with_seed(1);
    let mut outputs = vec![Vec::new(); streams.len()];
    let mut next = 0;
    while next < schedule.total && !is_over.load(Ordering::Relaxed) {
        let due = schedule.due_by(Instant::now());
        for number in next..due {
            let output = &mut outputs[(number % schedule.connections) as usize];
            load.operation.write(output, &mut random, number);
        }
        if due > next {
            for (output, stream) in outputs.iter_mut().zip(streams) {
                write_all(stream, output, is_over)?;
                output.clear();
            }
            next = due;
        }
        thread::sleep(schedule.due(next).saturating_duration_since(Instant::now()));
    }
    Ok(())
}

struct Receiver {
    stream: TcpStream,
    replies: Replies,
    /// Requests that have been answered.
    answered: u64,
}

/// Reads until all is answered or the time is over.
fn receive(
    load: &OpenLoad,
    schedule: &Schedule,
    receivers: &mut [Receiver],
    poll: &mut Poll,
) -> Result<(Histogram<u64>, u64), Error> {
    let mut latencies_us = histogram()?;
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 << 10];
    let mut received = 0;
    let end = schedule.due(schedule.total) + DRAIN;
    while received < schedule.total && Instant::now() < end {
        let wait = Duration::from_millis(100);
        poll.poll(&mut events, Some(wait)).map_err(lost)?;
        for event in &events {
            let at = event.token().0;
            let receiver = &mut receivers[at];
            loop {
                let length = match receiver.stream.read(&mut buffer) {
                    Ok(0) => return Err(lost(ErrorKind::UnexpectedEof.into())),
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(lost(error)),
                };
                let before = receiver.answered / load.operation.replies();
                receiver.answered += receiver.replies.feed(&buffer[..length]);
                let after = receiver.answered / load.operation.replies();
                let now = Instant::now();
                for nth in before..after {
                    let late = now.saturating_duration_since(schedule.due_on(at, nth));
                    // It grows as it must.
                    let _ = latencies_us.record(late.as_micros() as u64);
                }
                received += after - before;
            }
            if let Some(reply) = receiver.replies.take_error() {
                let request = "an operation".into();
                return Err(Error::Reply { request, reply });
            }
        }
    }
    Ok((latencies_us, received))
}

/// Runs a load; one thread sends, the calling one reads.
pub(crate) fn run(address: SocketAddr, load: &OpenLoad) -> Result<OpenOutcome, Error> {
    let mut poll = Poll::new().map_err(lost)?;
    let (mut streams, mut receivers) = (Vec::new(), Vec::new());
    for at in 0..load.connections {
        let stream = Stream::connect(address).map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        stream.set_nonblocking(true).map_err(lost)?;
        streams.push(stream.try_clone().map_err(lost)?);
        let mut stream = TcpStream::from_std(stream);
        poll.registry()
            .register(&mut stream, Token(at), Interest::READABLE)
            .map_err(lost)?;
        receivers.push(Receiver {
            stream,
            replies: Replies::new(),
            answered: 0,
        });
    }
    let schedule = Schedule {
        begin: Instant::now(),
        rate: load.rate,
        connections: load.connections as u64,
        total: (load.rate * load.duration.as_secs_f64()).max(1.0) as u64,
    };
    let is_over = AtomicBool::new(false);
    let received = thread::scope(|scope| {
        let sender = scope.spawn(|| send(load, &schedule, &streams, &is_over));
        let received = receive(load, &schedule, &mut receivers, &mut poll);
        is_over.store(true, Ordering::Relaxed);
        let sent = sender.join();
        sent.unwrap_or_else(|_| Err(Error::Format("a thread that panicked".into())))?;
        received
    });
    let (mut latencies_us, count) = received?;
    let end = Instant::now();
    let operations_of = |receiver: &Receiver| receiver.answered / load.operation.replies();
    for (at, receiver) in receivers.iter().enumerate() {
        let mut nth = operations_of(receiver);
        while nth * schedule.connections + (at as u64) < schedule.total {
            let late = end.saturating_duration_since(schedule.due_on(at, nth));
            let _ = latencies_us.record(late.as_micros() as u64);
            nth += 1;
        }
    }
    Ok(OpenOutcome {
        achieved_rate: count as f64 / end.duration_since(schedule.begin).as_secs_f64(),
        latencies_us,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_and_when_agree() {
        let schedule = Schedule {
            begin: Instant::now(),
            rate: 1000.0,
            connections: 7,
            total: 100,
        };
        let soon = Duration::from_micros(1);
        for number in 0..100 {
            assert_eq!(schedule.due_by(schedule.due(number) + soon), number + 1);
            let (connection, nth) = (number % 7, number / 7);
            assert_eq!(
                schedule.due_on(connection as usize, nth),
                schedule.due(number)
            );
        }
        assert_eq!(schedule.due_by(schedule.due(500)), 100);
    }
}
