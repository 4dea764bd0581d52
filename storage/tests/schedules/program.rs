//! A program: what some threads do to one store, and what must hold of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use darter_storage::{
    ChangeKind, CommitError, Error, Escalation, Listener, Message, Mode, Options, SnapshotLimits,
    Store, TimeSource, Transaction,
};
use shuttle::sync::mpsc::{Sender, channel};
use shuttle::thread::JoinHandle;

use crate::history::{Done, explain, story};
use crate::operation::{Key, Model, Seen, Step, View, Way, number};

/// What one thread does, one after the other.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// An operation.
    Run(Way, Vec<Step>),
    /// Takes a snapshot, reads each key twice with others in between, ends it. It may be ended
    /// by others before.
    Snapshot(Vec<Step>),
    /// Ends all snapshots that are held.
    EndSnapshots,
    /// The time moves on.
    Time(u64),
    /// A piece of housekeeping.
    Maintain,
    /// Begins to listen to the effects and stops again.
    Listen,
}

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    /// Done before the threads begin.
    pub(crate) before: Vec<Step>,
    pub(crate) threads: Vec<Vec<Action>>,
    /// Somebody listens to the effects all the time.
    pub(crate) listens: bool,
}

/// What all threads of one execution share. Not part of what is scheduled.
#[derive(Default)]
struct Record {
    clock: AtomicUsize,
    done: Mutex<Vec<Done>>,
    stream: Mutex<Vec<i64>>,
    effects: AtomicUsize,
}

/// An identity of an operation: by it the stream's effects name whose they are.
fn id_of(thread: usize, index: usize) -> i64 {
    (thread * 10 + index) as i64
}

/// The first of the keys that name operations.
const MARKER: Key = 100;

impl Program {
    /// Runs the program once, under whatever schedule the scheduler chooses, and checks it.
    pub(crate) fn run(&self) {
        let stage = Stage::new(&self.before, self.listens);
        let threads: Vec<_> = (0..)
            .zip(&self.threads)
            .map(|(number, actions)| stage.spawn(number, actions))
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        stage.check();
    }
}

/// A store, and what is seen of it.
pub(crate) struct Stage {
    store: Store,
    record: Arc<Record>,
    model: Model,
    listener: Option<Listener>,
    /// Commits before the threads begin.
    commits: u64,
}

impl Stage {
    pub(crate) fn new(before: &[Step], listens: bool) -> Stage {
        let store = Store::with_options(Options {
            databases: 1,
            time: TimeSource::Manual,
        });
        store.set_time(1);
        let mut model = Model::at(1);
        let mut nothing = Vec::new();
        operate(&store, Way::Direct, before, None);
        for step in before {
            step.run(&mut model, &mut nothing);
        }
        let record = Arc::new(Record::default());
        let listener = listens.then(|| listen(&store, &record));
        let commits = happened(&store);
        Stage {
            store,
            record,
            model,
            listener,
            commits,
        }
    }

    pub(crate) fn spawn(&self, number: usize, actions: &[Action]) -> JoinHandle<()> {
        let (store, record) = (self.store.clone(), Arc::clone(&self.record));
        let (actions, listens) = (actions.to_vec(), self.listener.is_some());
        shuttle::thread::spawn(move || {
            for (index, action) in actions.iter().enumerate() {
                act(&store, &record, number, index, action, listens);
            }
        })
    }

    /// Whether a transaction has lined up in a queue.
    pub(crate) fn has_queued(&self) -> bool {
        self.store.counts().escalations_queue > 0
    }

    /// Checks what has been seen, when all threads have ended.
    pub(crate) fn check(self) {
        let Stage {
            store,
            record,
            model,
            listener,
            commits,
        } = self;
        store.merge_effects();
        check_history(
            &store,
            &record,
            &model,
            listener.is_some().then_some(commits),
        );
        drop(listener);
        check_memory(&store, &record);
    }
}

/// `commits_before` if somebody listens.
fn check_history(store: &Store, record: &Record, model: &Model, commits_before: Option<u64>) {
    // The end state is one more operation, after all others.
    let steps = vec![Step::Keys(0), Step::Get(1), Step::Get(2), Step::Get(3)];
    let seen = operate(store, Way::Snapshot, &steps, None).unwrap();
    let mut done = record.done.lock().unwrap();
    let began = record.clock.load(Ordering::Relaxed);
    done.push(Done {
        thread: usize::MAX,
        way: Way::Snapshot,
        steps,
        seen,
        began,
        ended: began + 1,
        time_ms: None,
        id: None,
    });
    let stream = record.stream.lock().unwrap().clone();
    let story = || story(&done, &stream);
    if let Some(before) = commits_before {
        let mut published: Vec<i64> = done.iter().filter_map(|done| done.id).collect();
        let mut told = stream.clone();
        published.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, published, "messages\n{}", story());
        let effects = record.effects.load(Ordering::Relaxed) as u64;
        assert_eq!(effects, happened(store) - before, "effects\n{}", story());
    }
    assert!(
        explain(&done, &stream, model).is_ok(),
        "no serial order explains, from {model:?} on,\n{}",
        story()
    );
}

/// What the stream must have told, once each.
fn happened(store: &Store) -> u64 {
    let counts = store.counts();
    counts.commits + counts.expired
}

fn listen(store: &Store, record: &Arc<Record>) -> Listener {
    let record = Arc::clone(record);
    let (mut sequence, mut number) = (0, 0);
    store.listen(Box::new(move |effect| {
        assert_eq!(effect.sequence, sequence + 1, "a gap in the stream");
        assert!(effect.number >= number, "told late: {effect:?}");
        (sequence, number) = (effect.sequence, effect.number);
        record.effects.fetch_add(1, Ordering::Relaxed);
        for change in &effect.changes {
            if change.key[0] >= MARKER && matches!(change.kind, ChangeKind::Written(_)) {
                let id = i64::from(change.key[0] - MARKER);
                record.stream.lock().unwrap().push(id);
            }
        }
        for message in &effect.messages {
            let id = std::str::from_utf8(&message.payload).unwrap();
            record.stream.lock().unwrap().push(id.parse().unwrap());
        }
    }))
}

/// At the end, one version of each key is left, and nothing of those that are gone.
fn check_memory(store: &Store, record: &Record) {
    store.set_time(1_000_000);
    for _ in 0..4 {
        while store.maintain(1_000) {}
    }
    let counts = store.counts();
    let keys = View::keys(&store.begin(Mode::Snapshot), 0).len() as u64;
    assert_eq!(
        counts.versions_made - counts.versions_freed,
        keys,
        "versions of {counts:?} after\n{}",
        story(&record.done.lock().unwrap(), &[])
    );
    assert_eq!(store.key_counts(0).0, keys, "keys");
}

fn act(
    store: &Store,
    record: &Record,
    thread: usize,
    index: usize,
    action: &Action,
    listens: bool,
) {
    let tick = || record.clock.fetch_add(1, Ordering::Relaxed);
    let began = tick();
    let mut done = Done {
        thread,
        way: Way::Snapshot,
        steps: Vec::new(),
        seen: Vec::new(),
        began,
        ended: 0,
        time_ms: None,
        id: None,
    };
    match action {
        Action::Run(way, steps) => {
            let writes = steps.iter().any(|step| step.writes());
            let is_told = listens && writes && *way != Way::Killed;
            let id = id_of(thread, index);
            let mut steps = steps.clone();
            // A commit that publishes draws a number, so others are known by a key of their own; a
            // single write takes another way again, and is not known.
            let publishes = is_told && index % 2 == 0;
            let is_single = *way == Way::Direct && steps.len() == 1;
            let is_marked = is_told && !publishes && !is_single;
            if is_marked {
                steps.push(Step::Set(MARKER + id as u8, id));
            }
            done.id = (publishes || is_marked).then_some(id);
            let Some(seen) = operate(store, *way, &steps, publishes.then_some(id)) else {
                return;
            };
            done.seen = seen;
            done.way = *way;
            done.steps = steps;
        }
        Action::Snapshot(steps) => {
            let snapshot = store.snapshot();
            let read = || {
                snapshot.read(|transaction| {
                    let mut seen = Vec::new();
                    for step in steps {
                        let Step::Get(key) = step else { continue };
                        let found = transaction.get(0, &[*key])?.map(number);
                        seen.push(found.unwrap_or(-1));
                    }
                    Ok::<_, Error>(seen)
                })
            };
            let (Ok(first), Ok(second)) = (read(), read()) else {
                return;
            };
            assert_eq!(first, second, "a snapshot that changed");
            done.seen = first;
            done.steps.clone_from(steps);
        }
        Action::Time(time_ms) => {
            store.set_time(*time_ms);
            done.time_ms = Some(*time_ms);
        }
        Action::Maintain => {
            store.maintain(4);
            return;
        }
        Action::EndSnapshots => {
            store.limit_snapshots(SnapshotLimits {
                count: 0,
                ..SnapshotLimits::default()
            });
            store.maintain(4);
            store.limit_snapshots(SnapshotLimits::default());
            return;
        }
        Action::Listen => {
            drop(store.listen(Box::new(|_| {})));
            return;
        }
    }
    // As the server does: what is acknowledged is in the stream before what comes after it.
    store.merge_effects();
    done.ended = match done.time_ms {
        // The gate's owner holds the time up: it passes at some later moment.
        Some(time_ms) if store.now_ms() < time_ms => usize::MAX,
        _ => tick(),
    };
    record.done.lock().unwrap().push(done);
}

/// Runs an operation as the server would: again until it has happened. What it saw.
fn operate(store: &Store, way: Way, steps: &[Step], id: Option<i64>) -> Option<Seen> {
    if way == Way::Snapshot {
        return Some(run_steps(&mut store.begin(Mode::Snapshot), steps));
    }
    let mut escalation = if way.closes_gate() {
        Escalation::exclusive(store)
    } else {
        Escalation::new(store)
    };
    loop {
        wait(|waker| escalation.poll(waker));
        if way == Way::Kept {
            let gate = escalation.begin(way.mode()).keep_gate();
            escalation = Escalation::with_gate(gate.unwrap());
            assert!(escalation.poll(Waker::noop()), "nobody else commits");
        }
        let mut transaction = escalation.begin(way.mode());
        let seen = run_steps(&mut transaction, steps);
        if way == Way::Killed {
            return Some(seen);
        }
        if let Some(id) = id {
            transaction.publish(Message {
                channel: Box::default(),
                payload: id.to_string().into_bytes().into(),
                sharded: false,
            });
        }
        loop {
            match transaction.commit() {
                Ok(_) => return Some(seen),
                Err(CommitError::Conflict(_)) => {
                    escalation.failed(&transaction);
                    break;
                }
                Err(CommitError::GateClosed) if way == Way::Direct => {
                    drop(transaction);
                    wait(|waker| store.poll_open(waker));
                    break;
                }
                Err(CommitError::GateClosed) => {
                    transaction.unpin();
                    wait(|waker| store.poll_open(waker));
                    transaction.pin();
                }
            }
        }
    }
}

fn run_steps(transaction: &mut Transaction, steps: &[Step]) -> Seen {
    let mut seen = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let before = seen.len();
        step.run(transaction, &mut seen);
        if let Step::Undone(key) = step {
            View::set(transaction, *key, -1, 0);
            transaction.start_over();
            let again = run_steps(transaction, &steps[..index]);
            assert_eq!(again, seen[..before], "done again, {steps:?} differ");
        }
    }
    seen
}

/// Wakes a thread that waits. A channel, for it never wakes anybody who was not meant: a wake-up
/// that is lost is a thread that never goes on.
struct Bell(Mutex<Sender<()>>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let sender = self.0.lock().unwrap().clone();
        // Who does not wait any more does not hear it.
        let _ = sender.send(());
    }
}

fn wait(mut poll: impl FnMut(&Waker) -> bool) {
    let (sender, receiver) = channel();
    let waker = Waker::from(Arc::new(Bell(Mutex::new(sender))));
    while !poll(&waker) {
        receiver.recv().unwrap();
        shuttle::thread::yield_now();
    }
}
