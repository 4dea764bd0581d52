//! When fields of hashes expire, as in Redis 7.4, and the commands of Redis 8.0 that get, set or delete
//! fields and see to that at once.

use darter_storage::{HashMut, HashRef};

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::view::View;
use crate::notifications::class;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("HEXPIRE", -6, Group::Hash, |view, args, reply| {
        set_times(view, args, reply, Form::new("hexpire", 1000, false))
    })
    .keys(Keys::FIRST)
    .flag(flag::DENYOOM | flag::FAST)
    .doc(
        "7.4.0",
        "O(N·log(M)), with N fields of M",
        "Sets the time to live of fields in seconds.",
    ),
    Command::write("HPEXPIRE", -6, Group::Hash, |view, args, reply| {
        set_times(view, args, reply, Form::new("hpexpire", 1, false))
    })
    .keys(Keys::FIRST)
    .flag(flag::DENYOOM | flag::FAST)
    .doc(
        "7.4.0",
        "O(N·log(M)), with N fields of M",
        "Sets the time to live of fields in milliseconds.",
    ),
    Command::write("HEXPIREAT", -6, Group::Hash, |view, args, reply| {
        set_times(view, args, reply, Form::new("hexpireat", 1000, true))
    })
    .keys(Keys::FIRST)
    .flag(flag::DENYOOM | flag::FAST)
    .doc(
        "7.4.0",
        "O(N·log(M)), with N fields of M",
        "Sets when fields expire, in seconds since 1970.",
    ),
    Command::write("HPEXPIREAT", -6, Group::Hash, |view, args, reply| {
        set_times(view, args, reply, Form::new("hpexpireat", 1, true))
    })
    .keys(Keys::FIRST)
    .flag(flag::DENYOOM | flag::FAST)
    .doc(
        "7.4.0",
        "O(N·log(M)), with N fields of M",
        "Sets when fields expire, in milliseconds since 1970.",
    ),
    Command::write("HPERSIST", -5, Group::Hash, hpersist)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "7.4.0",
            "O(N·log(M)), with N fields of M",
            "Lets fields stay for ever.",
        ),
    Command::read("HTTL", -5, Group::Hash, |view, args, reply| {
        show_times(view, args, reply, &Form::new("httl", 1000, false))
    })
    .keys(Keys::FIRST)
    .flag(flag::FAST)
    .doc(
        "7.4.0",
        "O(N·log(M)), with N fields of M",
        "Returns the time to live of fields in seconds.",
    ),
    Command::read("HPTTL", -5, Group::Hash, |view, args, reply| {
        show_times(view, args, reply, &Form::new("hpttl", 1, false))
    })
    .keys(Keys::FIRST)
    .flag(flag::FAST)
    .doc(
        "7.4.0",
        "O(N·log(M)), with N fields of M",
        "Returns the time to live of fields in milliseconds.",
    ),
    Command::read("HEXPIRETIME", -5, Group::Hash, |view, args, reply| {
        show_times(view, args, reply, &Form::new("hexpiretime", 1000, true))
    })
    .keys(Keys::FIRST)
    .flag(flag::FAST)
    .doc(
        "7.4.0",
        "O(N·log(M)), with N fields of M",
        "Returns when fields expire, in seconds since 1970.",
    ),
    Command::read("HPEXPIRETIME", -5, Group::Hash, |view, args, reply| {
        show_times(view, args, reply, &Form::new("hpexpiretime", 1, true))
    })
    .keys(Keys::FIRST)
    .flag(flag::FAST)
    .doc(
        "7.4.0",
        "O(N·log(M)), with N fields of M",
        "Returns when fields expire, in milliseconds since 1970.",
    ),
    Command::write("HGETDEL", -5, Group::Hash, hgetdel)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "8.0.0",
            "O(N·log(M)), with N fields of M",
            "Returns the values of fields and removes the fields.",
        ),
    Command::write("HGETEX", -5, Group::Hash, hgetex)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "8.0.0",
            "O(N·log(M)), with N fields of M",
            "Returns the values of fields and changes when they expire.",
        ),
    Command::write("HSETEX", -6, Group::Hash, hsetex)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM | flag::FAST)
        .doc(
            "8.0.0",
            "O(N·log(M)), with N fields of M",
            "Sets fields and their time to live, if all or none is there.",
        ),
];

type Done = Result<(), CommandError>;

/// The last time that may be given, in milliseconds since 1970; Redis's.
const TIME_MS_MAX: i64 = (1 << 46) - 1;

const NO_FIELDS: CommandError =
    CommandError::text("ERR Mandatory argument FIELDS is missing or not at the right position");
const WRONG_COUNT: CommandError =
    CommandError::text("ERR The `numfields` parameter must match the number of arguments");
const NOT_POSITIVE: &str = "ERR Number of fields must be a positive integer";
const TOO_MANY_TIMES: CommandError =
    CommandError::text("ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified");

/// What is said of a field that is not there.
const NO_FIELD: i64 = -2;
/// What is said of a field without a deadline.
const NO_DEADLINE: i64 = -1;

/// How a time is written.
struct Form {
    command: &'static str,
    unit_ms: i64,
    is_absolute: bool,
}

impl Form {
    const fn new(command: &'static str, unit_ms: i64, is_absolute: bool) -> Form {
        Form {
            command,
            unit_ms,
            is_absolute,
        }
    }

    /// The one of an option, if the argument at `index` is one.
    fn of_option(args: &Args<'_>, index: usize, command: &'static str) -> Option<Form> {
        let forms = [
            ("EX", 1000, false),
            ("PX", 1, false),
            ("EXAT", 1000, true),
            ("PXAT", 1, true),
        ];
        let named = forms.into_iter().find(|(name, ..)| args.is(index, name));
        named.map(|(_, unit_ms, is_absolute)| Form::new(command, unit_ms, is_absolute))
    }

    /// The time in milliseconds since 1970.
    fn read(&self, time: Option<&[u8]>, now_ms: u64) -> Result<u64, CommandError> {
        let time = time
            .and_then(parse_integer)
            .ok_or(CommandError::NotAnInteger)?;
        if time < 0 {
            return Err(CommandError::text("ERR invalid expire time, must be >= 0"));
        }
        let base_ms = if self.is_absolute { 0 } else { now_ms as i64 };
        time.checked_mul(self.unit_ms)
            .and_then(|time_ms| time_ms.checked_add(base_ms))
            .filter(|time_ms| *time_ms <= TIME_MS_MAX)
            .map(|time_ms| time_ms as u64)
            .ok_or(CommandError::InvalidExpire(self.command))
    }

    /// A deadline as it is shown, rounded up.
    fn show(&self, deadline_ms: u64, now_ms: u64) -> i64 {
        let base_ms = if self.is_absolute { 0 } else { now_ms };
        let unit_ms = self.unit_ms as u64;
        deadline_ms.saturating_sub(base_ms).div_ceil(unit_ms) as i64
    }
}

/// Reads `FIELDS numfields field [field ...]` from `at` on. `wrong` is what is said of a number that
/// is none.
fn fields<'a>(
    args: &Args<'a>,
    at: usize,
    wrong: &'static str,
) -> Result<&'a [&'a [u8]], CommandError> {
    if !args.is(at, "FIELDS") {
        return Err(NO_FIELDS);
    }
    let count = args.get(at + 1).and_then(parse_integer);
    let count = count.filter(|count| *count > 0);
    let count = count.ok_or(CommandError::text(wrong))?;
    let fields = args.from(at + 2);
    if usize::try_from(count) != Ok(fields.len()) {
        return Err(WRONG_COUNT);
    }
    Ok(fields)
}

/// Under which condition a time is set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    OnlyWithout,
    OnlyWith,
    OnlyLater,
    OnlyEarlier,
}

impl Condition {
    /// Also answers where the fields begin.
    fn read(args: &Args<'_>) -> (Condition, usize) {
        let named = [
            ("NX", Condition::OnlyWithout),
            ("XX", Condition::OnlyWith),
            ("GT", Condition::OnlyLater),
            ("LT", Condition::OnlyEarlier),
        ];
        match named.into_iter().find(|(name, _)| args.is(3, name)) {
            Some((_, condition)) => (condition, 4),
            None => (Condition::Always, 3),
        }
    }

    /// Whether a field that expires at `before_ms` (0: never) may expire at `at_ms` instead.
    fn allows(self, before_ms: u64, at_ms: u64) -> bool {
        match self {
            Condition::Always => true,
            Condition::OnlyWithout => before_ms == 0,
            Condition::OnlyWith => before_ms != 0,
            Condition::OnlyLater => before_ms != 0 && at_ms > before_ms,
            Condition::OnlyEarlier => before_ms == 0 || at_ms < before_ms,
        }
    }
}

/// What has become of fields, to be told of.
#[derive(Default)]
struct Changes {
    /// Deadlines that were set.
    timed: usize,
    /// Fields that went because their times had passed.
    deleted: usize,
}

impl Changes {
    /// Sets when a field expires that is there. A time that has passed removes it: `false`.
    fn set(&mut self, hash: &mut HashMut<'_>, field: &[u8], (at_ms, now_ms): (u64, u64)) -> bool {
        if at_ms <= now_ms {
            self.deleted += usize::from(hash.remove(field));
            return false;
        }
        self.timed += usize::from(hash.set_deadline(field, at_ms));
        true
    }

    fn notify(&self, view: &View<'_>, key: &[u8]) -> Done {
        if self.timed > 0 {
            view.notify(class::HASH, "hexpire", key);
        }
        if self.deleted > 0 {
            view.notify_taken(class::HASH, "hdel", key)?;
        }
        Ok(())
    }
}

/// HEXPIRE and its kin.
fn set_times(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply, form: Form) -> Done {
    let key = &args[1];
    view.hash(key)?;
    let now_ms = view.now_ms();
    let at_ms = form.read(args.get(2), now_ms)?;
    let (condition, fields_at) = Condition::read(args);
    let fields = fields(
        args,
        fields_at,
        "ERR Parameter `numFields` should be greater than 0",
    )?;
    reply.array(fields.len());
    let mut hash = view.hash_mut(key)?;
    let mut changes = Changes::default();
    for field in fields {
        let before_ms = hash
            .as_ref()
            .and_then(|hash| hash.as_ref().deadline_ms(field));
        reply.integer(match (&mut hash, before_ms) {
            (Some(hash), Some(before_ms)) if condition.allows(before_ms, at_ms) => {
                match changes.set(hash, field, (at_ms, now_ms)) {
                    true => 1,
                    false => 2,
                }
            }
            (Some(_), Some(_)) => 0,
            _ => NO_FIELD,
        });
    }
    changes.notify(view, key)
}

fn hpersist(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[1];
    view.hash(key)?;
    let fields = fields(args, 2, NOT_POSITIVE)?;
    reply.array(fields.len());
    let mut hash = view.hash_mut(key)?;
    let mut persisted = 0;
    for field in fields {
        let before_ms = hash
            .as_ref()
            .and_then(|hash| hash.as_ref().deadline_ms(field));
        reply.integer(match (&mut hash, before_ms) {
            (_, None) | (None, _) => NO_FIELD,
            (_, Some(0)) => NO_DEADLINE,
            (Some(hash), _) => {
                persisted += i64::from(hash.set_deadline(field, 0));
                1
            }
        });
    }
    if persisted > 0 {
        view.notify(class::HASH, "hpersist", key);
    }
    Ok(())
}

/// HTTL and its kin.
fn show_times(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply, form: &Form) -> Done {
    let hash = view.hash(&args[1])?;
    let fields = fields(args, 2, NOT_POSITIVE)?;
    let now_ms = view.now_ms();
    reply.array(fields.len());
    for field in fields {
        reply.integer(match hash.and_then(|hash| hash.deadline_ms(field)) {
            None => NO_FIELD,
            Some(0) => NO_DEADLINE,
            Some(deadline_ms) => form.show(deadline_ms, now_ms),
        });
    }
    Ok(())
}

fn reply_field(hash: Option<HashRef<'_>>, field: &[u8], reply: &mut dyn Reply) -> bool {
    let value = hash.and_then(|hash| hash.get(field));
    match value {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
    value.is_some()
}

fn hgetdel(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[1];
    view.hash(key)?;
    let fields = fields(args, 2, NOT_POSITIVE)?;
    reply.array(fields.len());
    let mut hash = view.hash_mut(key)?;
    let mut deleted = 0;
    for field in fields {
        reply_field(hash.as_ref().map(|hash| hash.as_ref()), field, reply);
        if let Some(hash) = &mut hash {
            deleted += i64::from(hash.remove(field));
        }
    }
    if deleted > 0 {
        view.notify_taken(class::HASH, "hdel", key)?;
    }
    Ok(())
}

fn hgetex(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[1];
    view.hash(key)?;
    let now_ms = view.now_ms();
    // 0 is never.
    let (at_ms, fields_at) = match Form::of_option(args, 2, "hgetex") {
        Some(form) => (Some(form.read(args.get(3), now_ms)?.max(1)), 4),
        None if args.is(2, "PERSIST") => (Some(0), 3),
        None => (None, 2),
    };
    let fields = fields(args, fields_at, NOT_POSITIVE)?;
    reply.array(fields.len());
    let Some(at_ms) = at_ms else {
        let hash = view.hash(key)?;
        fields.iter().for_each(|field| {
            reply_field(hash, field, reply);
        });
        return Ok(());
    };
    let mut hash = view.hash_mut(key)?;
    let (mut changes, mut persisted) = (Changes::default(), 0);
    for field in fields {
        let is_there = reply_field(hash.as_ref().map(|hash| hash.as_ref()), field, reply);
        match &mut hash {
            Some(hash) if is_there && at_ms > 0 => {
                changes.set(hash, field, (at_ms, now_ms));
            }
            Some(hash) if is_there => {
                let has_deadline = hash.as_ref().deadline_ms(field) != Some(0);
                persisted += i64::from(has_deadline && hash.set_deadline(field, 0));
            }
            _ => {}
        }
    }
    if persisted > 0 {
        view.notify(class::HASH, "hpersist", key);
    }
    changes.notify(view, key)
}

/// What HSETEX is asked for.
struct SetEx<'a> {
    /// All fields must be there, or none.
    must_be_there: Option<bool>,
    at_ms: Option<u64>,
    keeps_deadlines: bool,
    pairs: &'a [[&'a [u8]; 2]],
}

impl<'a> SetEx<'a> {
    fn read(args: &Args<'a>, now_ms: u64) -> Result<SetEx<'a>, CommandError> {
        let mut asked = SetEx {
            must_be_there: None,
            at_ms: None,
            keeps_deadlines: false,
            pairs: &[],
        };
        let mut at = 2;
        while at < args.len() {
            if args.is(at, "FIELDS") {
                asked.pairs = SetEx::pairs(args, at)?;
                return Ok(asked);
            }
            if args.is(at, "FNX") || args.is(at, "FXX") {
                if asked.must_be_there.is_some() {
                    return Err(CommandError::text(
                        "ERR Only one of FXX or FNX arguments can be specified",
                    ));
                }
                asked.must_be_there = Some(args.is(at, "FXX"));
            } else if args.is(at, "KEEPTTL") {
                if asked.has_time() {
                    return Err(TOO_MANY_TIMES);
                }
                asked.keeps_deadlines = true;
            } else if let Some(form) = Form::of_option(args, at, "hsetex") {
                if asked.has_time() {
                    return Err(TOO_MANY_TIMES);
                }
                at += 1;
                if at == args.len() {
                    return Err(CommandError::text("ERR missing expire time"));
                }
                asked.at_ms = Some(form.read(args.get(at), now_ms)?);
            } else {
                return Err(CommandError::naming("unknown argument: ", args.at(at), ""));
            }
            at += 1;
        }
        Err(CommandError::text("ERR missing FIELDS argument"))
    }

    fn has_time(&self) -> bool {
        self.at_ms.is_some() || self.keeps_deadlines
    }

    fn pairs(args: &Args<'a>, at: usize) -> Result<&'a [[&'a [u8]; 2]], CommandError> {
        let wrong_arity = || CommandError::Arity("hsetex".into());
        if args.len() - at < 4 {
            return Err(wrong_arity());
        }
        let count = parse_integer(&args[at + 1]).filter(|count| *count > 0);
        let count = count.filter(|count| i32::try_from(*count).is_ok());
        let count = count.ok_or(CommandError::text("ERR invalid number of fields"))?;
        let (pairs, rest) = args.from(at + 2).as_chunks::<2>();
        if !rest.is_empty() || usize::try_from(count) != Ok(pairs.len()) {
            return Err(wrong_arity());
        }
        Ok(pairs)
    }

    /// Whether the fields are as they must be.
    fn holds(&self, hash: Option<HashRef<'_>>) -> bool {
        let Some(must_be_there) = self.must_be_there else {
            return true;
        };
        let is_there = |field: &[u8]| hash.is_some_and(|hash| hash.contains(field));
        self.pairs
            .iter()
            .all(|[field, _]| is_there(field) == must_be_there)
    }
}

fn hsetex(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[1];
    let now_ms = view.now_ms();
    let asked = SetEx::read(args, now_ms)?;
    if !asked.holds(view.hash(key)?) {
        reply.integer(0);
        return Ok(());
    }
    let mut hash = view.hash_or_new(key)?;
    let mut changes = Changes::default();
    for [field, value] in asked.pairs {
        if asked.keeps_deadlines {
            hash.insert_within_deadline(field, value);
        } else {
            hash.insert(field, value);
        }
        if let Some(at_ms) = asked.at_ms {
            changes.set(&mut hash, field, (at_ms, now_ms));
        }
    }
    view.notify(class::HASH, "hset", key);
    changes.notify(view, key)?;
    reply.integer(1);
    Ok(())
}
