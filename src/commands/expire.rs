//! When keys expire.

use super::args::Args;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::view::View;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("EXPIRE", -3, Group::Generic, expire)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "1.0.0",
            "O(1)",
            "Sets the time to live of a key in seconds.",
        ),
    Command::write("PEXPIRE", -3, Group::Generic, pexpire)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "2.6.0",
            "O(1)",
            "Sets the time to live of a key in milliseconds.",
        ),
    Command::write("EXPIREAT", -3, Group::Generic, expireat)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "1.2.0",
            "O(1)",
            "Sets when a key expires, in seconds since 1970.",
        ),
    Command::write("PEXPIREAT", -3, Group::Generic, pexpireat)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "2.6.0",
            "O(1)",
            "Sets when a key expires, in milliseconds since 1970.",
        ),
    Command::read("TTL", 2, Group::Generic, ttl)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "1.0.0",
            "O(1)",
            "Returns the time to live of a key in seconds.",
        ),
    Command::read("PTTL", 2, Group::Generic, pttl)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "2.6.0",
            "O(1)",
            "Returns the time to live of a key in milliseconds.",
        ),
    Command::read("EXPIRETIME", 2, Group::Generic, expiretime)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "7.0.0",
            "O(1)",
            "Returns when a key expires, in seconds since 1970.",
        ),
    Command::read("PEXPIRETIME", 2, Group::Generic, pexpiretime)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "7.0.0",
            "O(1)",
            "Returns when a key expires, in milliseconds since 1970.",
        ),
    Command::write("PERSIST", 2, Group::Generic, persist)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc("2.2.0", "O(1)", "Lets a key stay for ever."),
];

type Done = Result<(), CommandError>;

/// How a time is written.
struct Form {
    name: &'static str,
    unit_ms: i64,
    is_absolute: bool,
}

/// Under which condition a time is set.
#[derive(Default)]
struct Conditions {
    only_without: bool,
    only_with: bool,
    only_later: bool,
    only_earlier: bool,
}

impl Conditions {
    fn parse(args: &Args<'_>) -> Result<Conditions, CommandError> {
        let mut conditions = Conditions::default();
        let mut options = args.options(3);
        while !options.is_empty() {
            if options.take("NX") {
                conditions.only_without = true;
            } else if options.take("XX") {
                conditions.only_with = true;
            } else if options.take("GT") {
                conditions.only_later = true;
            } else if options.take("LT") {
                conditions.only_earlier = true;
            } else {
                return Err(CommandError::naming(
                    "Unsupported option ",
                    options.next()?,
                    "",
                ));
            }
        }
        let needs_one = conditions.only_with || conditions.only_later || conditions.only_earlier;
        if conditions.only_without && needs_one {
            return Err(CommandError::text(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if conditions.only_later && conditions.only_earlier {
            return Err(CommandError::text(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(conditions)
    }

    /// Whether a key that expires at `before_ms` (0: never) may expire at `at_ms` instead.
    fn allow(&self, before_ms: u64, at_ms: i64) -> bool {
        let never = before_ms == 0;
        let before_ms = i64::try_from(before_ms).unwrap_or(i64::MAX);
        !(self.only_without && !never
            || self.only_with && never
            || self.only_later && (never || at_ms <= before_ms)
            || self.only_earlier && !never && at_ms >= before_ms)
    }
}

fn set_time(form: &Form, view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let conditions = Conditions::parse(args)?;
    let base_ms = if form.is_absolute {
        0
    } else {
        view.now_ms() as i64
    };
    let at_ms = args
        .integer(2)?
        .checked_mul(form.unit_ms)
        .and_then(|value_ms| value_ms.checked_add(base_ms))
        .ok_or(CommandError::InvalidExpire(form.name))?;
    let key = &args[1];
    let before_ms = view
        .get_with_deadline(key)?
        .map(|(_, deadline_ms)| deadline_ms);
    let is_set = before_ms.is_some_and(|before_ms| conditions.allow(before_ms, at_ms));
    if is_set {
        // A time before 1970 is as good as any other that has passed; 0 would mean never.
        view.set_deadline(key, u64::try_from(at_ms).unwrap_or(0).max(1))?;
    }
    reply.integer(i64::from(is_set));
    Ok(())
}

fn expire(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    set_time(
        &Form {
            name: "expire",
            unit_ms: 1000,
            is_absolute: false,
        },
        view,
        args,
        reply,
    )
}

fn pexpire(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    set_time(
        &Form {
            name: "pexpire",
            unit_ms: 1,
            is_absolute: false,
        },
        view,
        args,
        reply,
    )
}

fn expireat(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    set_time(
        &Form {
            name: "expireat",
            unit_ms: 1000,
            is_absolute: true,
        },
        view,
        args,
        reply,
    )
}

fn pexpireat(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    set_time(
        &Form {
            name: "pexpireat",
            unit_ms: 1,
            is_absolute: true,
        },
        view,
        args,
        reply,
    )
}

/// Replies with a time that depends on when the key expires; -1 for never, -2 for no key.
fn show_time(
    view: &View<'_>,
    key: &[u8],
    reply: &mut dyn Reply,
    show: impl FnOnce(u64) -> u64,
) -> Done {
    reply.integer(match view.get_with_deadline(key)? {
        None => -2,
        Some((_, 0)) => -1,
        Some((_, deadline_ms)) => show(deadline_ms) as i64,
    });
    Ok(())
}

/// To the nearest second.
fn seconds(time_ms: u64) -> u64 {
    time_ms.saturating_add(500) / 1000
}

fn ttl(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let now_ms = view.now_ms();
    show_time(view, &args[1], reply, |at_ms| {
        seconds(at_ms.saturating_sub(now_ms))
    })
}

fn pttl(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let now_ms = view.now_ms();
    show_time(view, &args[1], reply, |at_ms| at_ms.saturating_sub(now_ms))
}

fn expiretime(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    show_time(view, &args[1], reply, seconds)
}

fn pexpiretime(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    show_time(view, &args[1], reply, |at_ms| at_ms)
}

fn persist(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[1];
    let expires = view
        .get_with_deadline(key)?
        .is_some_and(|(_, deadline_ms)| deadline_ms != 0);
    if expires {
        view.set_deadline(key, 0)?;
    }
    reply.integer(i64::from(expires));
    Ok(())
}
