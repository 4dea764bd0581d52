//! Programs from a seed: the same seed, window and client give the same ones.

use fastrand::Rng;

use crate::effects::payload;
use crate::history::{Event, FIRST_VALUE, Family, GONE, Object, Value};
use crate::modes::{MODES, Mode};
use crate::operations::{CHANNELS, Intent, OPERATIONS, Operation};
use crate::support::client::Reply;

/// Steps of one program at most, and values that each may write: one per step.
pub(crate) const STEPS_MAX: usize = 6;
/// Ids and values that belong to one program.
const STRIDE: u32 = 8;
/// Appends to one hot list, about, before the next takes its place.
const LIST_LENGTH: usize = 100;
const HOT_SLOTS: u16 = 3;
const COLD_SLOTS: u16 = 60;

/// One operation of a program.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) operation: &'static Operation,
    pub(crate) object: Object,
    pub(crate) value: Value,
}

/// One transaction to be made.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) id: u32,
    pub(crate) mode: &'static Mode,
    pub(crate) steps: Vec<Step>,
    /// By which channels others are told.
    pub(crate) tells: Vec<usize>,
    /// Turns of an empty loop before each step of a script.
    pub(crate) spin: u32,
    /// Whether a script is named by its SHA-1, where its mode lets it choose.
    pub(crate) by_sha: bool,
    /// Where a program that is split in two is.
    pub(crate) split: usize,
    window: u32,
}

/// A command as a client sends it.
pub(crate) type Command = Vec<String>;

impl Program {
    /// The name of an object's key.
    pub(crate) fn key_of(window: u32, object: Object) -> String {
        format!("w{window}:{object}")
    }

    fn expand(&self, template: &str, step: Option<&Step>) -> Command {
        let id = payload(self.window, self.id);
        let (key, value) = match step {
            Some(step) => (
                Program::key_of(self.window, step.object),
                step.value.to_string(),
            ),
            None => (String::new(), String::new()),
        };
        let companion = format!("{key}g");
        let words = template.split(' ').map(|word| {
            if !word.contains('{') {
                return word.to_owned();
            }
            word.replace("{k}", &key)
                .replace("{g}", &companion)
                .replace("{v}", &value)
                .replace("{t}", &id)
        });
        words.collect()
    }

    /// The step's commands that only read.
    pub(crate) fn reads_of(&self, step: &Step) -> Vec<Command> {
        let templates = step.operation.reads.iter();
        templates
            .map(|text| self.expand(text, Some(step)))
            .collect()
    }

    /// The step's commands that write.
    pub(crate) fn writes_of(&self, step: &Step) -> Vec<Command> {
        let templates = step.operation.writes.iter();
        templates
            .map(|text| self.expand(text, Some(step)))
            .collect()
    }

    fn tell_commands(&self) -> Vec<Command> {
        let channels = self.tells.iter();
        channels
            .map(|channel| self.expand(CHANNELS[*channel].0, None))
            .collect()
    }

    fn commands_of(&self, steps: &[Step]) -> Vec<Command> {
        let each = steps.iter();
        each.flat_map(|step| [self.reads_of(step), self.writes_of(step)].concat())
            .collect()
    }

    /// All commands in order.
    pub(crate) fn commands(&self) -> Vec<Command> {
        [self.commands_of(&self.steps), self.tell_commands()].concat()
    }

    /// The commands in front of the place where the program is split, and those behind it.
    pub(crate) fn halves(&self) -> (Vec<Command>, Vec<Command>) {
        let (front, back) = self.steps.split_at(self.split);
        let back = [self.commands_of(back), self.tell_commands()].concat();
        (self.commands_of(front), back)
    }

    /// The keys that the program uses, each once.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        for step in &self.steps {
            let templates = step.operation.reads.iter().chain(step.operation.writes);
            for word in templates.flat_map(|text| text.split(' ')) {
                if word.starts_with("{k}") && !word.ends_with('*') || word == "{g}" {
                    keys.extend(self.expand(word, Some(step)));
                }
            }
        }
        let channels = self.tells.iter();
        let told = channels.filter_map(|channel| CHANNELS[*channel].1);
        keys.extend(told.flat_map(|key| self.expand(key, None)));
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// What the replies to all commands say.
    pub(crate) fn decode(&self, replies: &[Reply]) -> Vec<Event> {
        let (mut events, rest) = decode_steps(&self.steps, replies);
        assert_eq!(
            rest.len(),
            self.tells.len(),
            "replies that nobody asked for"
        );
        let channels = self.tells.iter().copied();
        events.extend(channels.map(|channel| Event::Effect { channel }));
        events
    }

    /// What the replies to the first half's commands say.
    pub(crate) fn decode_front(&self, replies: &[Reply]) -> Vec<Event> {
        let (events, rest) = decode_steps(&self.steps[..self.split], replies);
        assert!(rest.is_empty(), "replies that nobody asked for");
        events
    }

    /// What the program means to write, where no reply says what it did.
    pub(crate) fn intents(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for step in &self.steps {
            let (object, value) = (step.object, step.value);
            let to = match object.family {
                family if family.is_mortal() && step.operation.intent == Intent::Delete => GONE,
                _ => value,
            };
            events.extend(match step.operation.intent {
                Intent::Nothing => None,
                Intent::Append => Some(Event::Append {
                    object,
                    value,
                    length: None,
                }),
                Intent::Add => Some(Event::Add { object, value }),
                intent @ (Intent::Write | Intent::Delete) => Some(Event::Write {
                    object,
                    from: None,
                    to,
                    deletes: intent == Intent::Delete,
                }),
            });
        }
        let channels = self.tells.iter().copied();
        events.extend(channels.map(|channel| Event::Effect { channel }));
        events
    }

    /// The program's steps, each as a program of its own.
    pub(crate) fn single_steps(&self) -> impl Iterator<Item = Program> {
        (0..).zip(&self.steps).map(|(number, step)| Program {
            id: self.id + number,
            steps: vec![*step],
            tells: Vec::new(),
            ..self.clone()
        })
    }
}

/// What one client does in one window.
pub(crate) struct Generator {
    rng: Rng,
    window: Window,
    client: usize,
    made: usize,
}

/// Where a window takes its objects from.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) seed: u64,
    pub(crate) number: u32,
    pub(crate) clients: usize,
    /// Programs of each client.
    pub(crate) programs: usize,
}

impl Window {
    /// After how many programs of a client an object of a family makes room for the next.
    fn life(self, family: Family, is_hot: bool) -> usize {
        let all = match family {
            Family::List | Family::Log => LIST_LENGTH * 8,
            Family::Cell => LIST_LENGTH * 4,
            Family::Mortal | Family::Field => LIST_LENGTH,
            Family::Keys => LIST_LENGTH * 16,
            Family::Pair | Family::Count => return usize::MAX,
        };
        let all = if is_hot { all } else { all * 10 };
        (all / self.clients).max(1)
    }

    fn generation(self, family: Family, is_hot: bool, made: usize) -> u16 {
        u16::try_from(made / self.life(family, is_hot)).unwrap_or(u16::MAX)
    }

    /// All mortal objects: they must be there before they can end.
    pub(crate) fn mortals(self) -> impl Iterator<Item = Object> {
        let slots = [Family::Mortal, Family::Field]
            .into_iter()
            .flat_map(|family| (0..HOT_SLOTS + COLD_SLOTS).map(move |slot| (family, slot)));
        slots.flat_map(move |(family, slot)| {
            let last = self.generation(family, slot < HOT_SLOTS, self.programs);
            (0..=last).map(move |generation| Object {
                family,
                slot,
                generation,
            })
        })
    }
}

/// What the first of the replies say of some steps, and the other replies.
fn decode_steps<'r>(steps: &[Step], replies: &'r [Reply]) -> (Vec<Event>, &'r [Reply]) {
    let (mut events, mut rest) = (Vec::new(), replies);
    for step in steps {
        let (own, others) = rest.split_at(step.operation.commands());
        events.extend((step.operation.decode)(step.object, step.value, own));
        rest = others;
    }
    (events, rest)
}

fn pick<'t, T>(rng: &mut Rng, rows: &'t [T], weight: impl Fn(&T) -> u32) -> &'t T {
    let all: u32 = rows.iter().map(&weight).sum();
    let mut at = rng.u32(..all);
    rows.iter()
        .find(|row| {
            let own = weight(row);
            let is_it = at < own;
            at = at.wrapping_sub(own);
            is_it
        })
        .unwrap()
}

impl Generator {
    pub(crate) fn new(window: Window, client: usize) -> Generator {
        let seed = window
            .seed
            .wrapping_mul(1_000_003)
            .wrapping_add(u64::from(window.number) * 4_099)
            .wrapping_add(client as u64);
        Generator {
            rng: Rng::with_seed(seed),
            window,
            client,
            made: 0,
        }
    }

    /// An object; those of programs that are focused are the same few.
    fn object(&mut self, family: Family, is_focused: bool) -> Object {
        let is_hot = is_focused || self.rng.u32(..10) < 7;
        let slots = match family {
            _ if is_focused => 1,
            Family::Keys => 2,
            Family::Count => 1,
            _ if is_hot => HOT_SLOTS,
            _ => COLD_SLOTS,
        };
        let is_alone = matches!(family, Family::Keys | Family::Count);
        let base = if is_hot || is_alone { 0 } else { HOT_SLOTS };
        Object {
            family,
            slot: base + self.rng.u16(..slots),
            generation: self
                .window
                .generation(family, is_hot || is_alone, self.made),
        }
    }

    fn steps(&mut self, mode: &Mode, base: u32) -> Vec<Step> {
        let count = mode.steps(&mut self.rng);
        let is_focused = self.rng.bool();
        let mut steps: Vec<Step> = Vec::with_capacity(count);
        while steps.len() < count {
            let operation = pick(&mut self.rng, OPERATIONS, |row| {
                if mode.allows(row) { row.weight } else { 0 }
            });
            let object = self.object(operation.family, is_focused);
            let repeats = !mode.is_separate() && steps.iter().any(|step| step.object == object);
            if repeats && !object.family.is_sequence() && object.family != Family::Keys {
                continue;
            }
            steps.push(Step {
                operation,
                object,
                value: FIRST_VALUE + base + steps.len() as u32,
            });
        }
        if mode.reads_first() {
            steps.sort_by_key(|step| !step.operation.only_reads());
        }
        steps
    }
}

impl Iterator for Generator {
    type Item = Program;

    fn next(&mut self) -> Option<Program> {
        if self.made == self.window.programs {
            return None;
        }
        let number = self.made * self.window.clients + self.client;
        let base = number as u32 * STRIDE;
        let mode = pick(&mut self.rng, MODES, Mode::chosen_weight);
        let steps = self.steps(mode, base);
        let mut tells = Vec::new();
        if mode.only_tells() || mode.channels > 0 && self.rng.bool() {
            tells.push(self.rng.usize(..mode.channels));
            if !mode.only_tells() && tells[0] != 0 && self.rng.bool() {
                tells.push(0);
            }
        }
        let spin = if self.rng.u32(..10) == 0 {
            self.rng.u32(..30_000)
        } else {
            0
        };
        self.made += 1;
        Some(Program {
            id: base,
            mode,
            split: self.rng.usize(..=steps.len()),
            steps,
            tells,
            spin,
            by_sha: self.rng.bool(),
            window: self.window.number,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const WINDOW: Window = Window {
        seed: 1,
        number: 0,
        clients: 2,
        programs: 20_000,
    };

    fn commands(window: Window, client: usize) -> Vec<Vec<Command>> {
        let programs = Generator::new(window, client);
        programs.map(|program| program.commands()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_programs() {
        let window = Window {
            programs: 500,
            ..WINDOW
        };
        let programs = commands(window, 0);
        assert_eq!(programs, commands(window, 0));
        assert_ne!(programs, commands(window, 1));
        assert_ne!(programs, commands(Window { seed: 2, ..window }, 0));
        assert_ne!(
            programs,
            commands(
                Window {
                    number: 1,
                    ..window
                },
                0
            )
        );
    }

    #[test]
    fn every_row_is_used_and_no_value_is_written_twice() {
        let (mut modes, mut operations) = (BTreeSet::new(), BTreeSet::new());
        let (mut values, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for program in (0..WINDOW.clients).flat_map(|client| Generator::new(WINDOW, client)) {
            modes.insert(program.mode.name);
            assert!(ids.insert(program.id));
            for step in &program.steps {
                operations.insert(step.operation.name);
                assert!(values.insert(step.value));
            }
        }
        let all: BTreeSet<_> = MODES.iter().map(|mode| mode.name).collect();
        assert_eq!(modes, all);
        let all: BTreeSet<_> = OPERATIONS.iter().map(|row| row.name).collect();
        assert_eq!(operations, all);
    }
}
