//! BITFIELD: integers of any width at any bit of a string.

use darter_storage::StringRef;

use super::args::{Args, Options};
use super::bitmap::check_offset;
use super::command::{Command, Group, Keys, flag};
use super::error::CommandError;
use super::view::View;
use crate::notifications::class;
use crate::resp::number::parse_integer;
use crate::resp::reply::Reply;

/// The commands of this family.
pub const COMMANDS: &[Command] = &[
    Command::write("BITFIELD", -2, Group::Bitmap, bitfield)
        .keys(Keys::FIRST)
        .flag(flag::DENYOOM)
        .doc(
            "3.2.0",
            "O(M·log(N)), with M integers",
            "Reads, sets and increments integers within a string.",
        ),
    Command::read("BITFIELD_RO", -2, Group::Bitmap, bitfield_ro)
        .keys(Keys::FIRST)
        .flag(flag::FAST)
        .doc(
            "6.0.0",
            "O(M·log(N)), with M integers",
            "Reads integers within a string.",
        ),
];

type Done = Result<(), CommandError>;

/// The bytes that an integer of 64 bits may lie in.
const SPAN_BYTES: usize = 9;

/// How an integer is written in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Form {
    is_signed: bool,
    bits: u32,
}

impl Form {
    fn read(argument: &[u8]) -> Result<Form, CommandError> {
        let (is_signed, digits) = match argument {
            [b'i', digits @ ..] => (true, digits),
            [b'u', digits @ ..] => (false, digits),
            _ => (false, &[][..]),
        };
        // No reply could hold an unsigned integer of 64 bits.
        let bits_max = if is_signed { 64 } else { 63 };
        let bits = parse_integer(digits).and_then(|bits| u32::try_from(bits).ok());
        let bits = bits.filter(|bits| (1..=bits_max).contains(bits));
        Ok(Form {
            is_signed,
            bits: bits.ok_or(CommandError::text(
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not \
                 supported but i64 is.",
            ))?,
        })
    }

    fn min(self) -> i128 {
        if self.is_signed {
            -(1_i128 << (self.bits - 1))
        } else {
            0
        }
    }

    fn max(self) -> i128 {
        if self.is_signed {
            (1_i128 << (self.bits - 1)) - 1
        } else {
            (1_i128 << self.bits) - 1
        }
    }

    /// The value that the lowest bits of a number mean.
    fn value_of(self, number: u128) -> i64 {
        let unused = 64 - self.bits;
        let number = (number as u64) << unused;
        if self.is_signed {
            (number as i64) >> unused
        } else {
            (number >> unused) as i64
        }
    }

    /// A result that may be too large or too small; `None` if it must not be.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = (self.min(), self.max());
        if (min..=max).contains(&number) {
            return Some(number as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.value_of(number as u128)),
            Overflow::Saturate => Some(number.clamp(min, max) as i64),
            Overflow::Fail => None,
        }
    }
}

/// What becomes of a result that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

impl Overflow {
    fn read(argument: &[u8]) -> Result<Overflow, CommandError> {
        const ALL: [(&str, Overflow); 3] = [
            ("WRAP", Overflow::Wrap),
            ("SAT", Overflow::Saturate),
            ("FAIL", Overflow::Fail),
        ];
        let named = ALL
            .iter()
            .find(|(name, _)| argument.eq_ignore_ascii_case(name.as_bytes()));
        named
            .map(|(_, overflow)| *overflow)
            .ok_or(CommandError::text("ERR Invalid OVERFLOW type specified"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64),
    Increment(i64),
}

/// One of a command's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Operation {
    action: Action,
    overflow: Overflow,
    field: Field,
}

/// Where an integer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    form: Form,
    first_bit: u64,
}

impl Field {
    fn read(view: &View<'_>, options: &mut Options<'_>) -> Result<Field, CommandError> {
        let form = Form::read(options.next()?)?;
        let offset = match options.next()? {
            // Counted in integers of this form.
            [b'#', number @ ..] => {
                parse_integer(number).and_then(|number| number.checked_mul(form.bits.into()))
            }
            number => parse_integer(number),
        };
        Ok(Field {
            form,
            first_bit: check_offset(view, offset)?,
        })
    }

    fn first_byte(self) -> usize {
        (self.first_bit / 8) as usize
    }

    /// How long a string must be to have it whole.
    fn end_bytes(self) -> usize {
        (self.first_bit + u64::from(self.form.bits)).div_ceil(8) as usize
    }

    /// By how many bits it is above the lowest of its span.
    fn shift(self) -> u32 {
        SPAN_BYTES as u32 * 8 - (self.first_bit % 8) as u32 - self.form.bits
    }

    /// The bytes that it lies in, the first one highest; behind the string's end are zeroes.
    fn span(self, value: Option<StringRef<'_>>) -> u128 {
        let start = self.first_byte();
        let bytes = value.map(|value| value.range(start, start + SPAN_BYTES));
        let bytes = bytes.as_deref().unwrap_or_default();
        (0..SPAN_BYTES).fold(0_u128, |span, at| {
            span << 8 | u128::from(bytes.get(at).copied().unwrap_or(0))
        })
    }

    fn value_in(self, span: u128) -> i64 {
        self.form.value_of(span >> self.shift())
    }

    /// A span with this value in the place of its own.
    fn put_in(self, span: u128, value: i64) -> u128 {
        let mask = ((1_u128 << self.form.bits) - 1) << self.shift();
        span & !mask | ((value as u128) << self.shift()) & mask
    }
}

/// Reads all operations, so that an error in one leaves nothing of the others.
fn read_operations(view: &View<'_>, args: &Args<'_>) -> Result<Vec<Operation>, CommandError> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut options = args.options(2);
    while !options.is_empty() {
        let arguments = options.left() - 1;
        if arguments >= 1 && options.take("OVERFLOW") {
            overflow = Overflow::read(options.next()?)?;
            continue;
        }
        let (field, action) = if arguments >= 2 && options.take("GET") {
            (Field::read(view, &mut options)?, Action::Get)
        } else if arguments >= 3 && options.take("SET") {
            let field = Field::read(view, &mut options)?;
            (field, Action::Set(options.integer()?))
        } else if arguments >= 3 && options.take("INCRBY") {
            let field = Field::read(view, &mut options)?;
            (field, Action::Increment(options.integer()?))
        } else {
            return Err(CommandError::Syntax);
        };
        operations.push(Operation {
            action,
            overflow,
            field,
        });
    }
    Ok(operations)
}

/// Makes the string as long as what is written needs, whether or not it is written in the end. Whether
/// it has grown.
fn grow(view: &mut View<'_>, key: &[u8], operations: &[Operation]) -> Result<bool, CommandError> {
    let written = operations.iter().filter(|one| one.action != Action::Get);
    let needed = written.map(|one| one.field.end_bytes()).max().unwrap_or(0);
    let length = view.string(key)?.map_or(0, |value| value.len());
    if needed > length {
        view.check_room(needed - length)?;
        view.string_or_new(key)?.write_at(needed - 1, &[0])?;
    }
    Ok(needed > length)
}

/// What became of an integer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It was read, or must not be written.
    Left,
    /// It was written, and is what it was.
    Same,
    Changed,
}

fn run(
    view: &mut View<'_>,
    key: &[u8],
    one: &Operation,
    reply: &mut dyn Reply,
) -> Result<Outcome, CommandError> {
    let field = one.field;
    let span = field.span(view.string(key)?);
    let old = field.value_in(span);
    let number = match one.action {
        Action::Get => {
            reply.integer(old);
            return Ok(Outcome::Left);
        }
        // A negative number is a large one where there are none below 0.
        Action::Set(value) if !field.form.is_signed => i128::from(value as u64),
        Action::Set(value) => i128::from(value),
        Action::Increment(by) => i128::from(old) + i128::from(by),
    };
    let Some(new) = field.form.fit(number, one.overflow) else {
        reply.null();
        return Ok(Outcome::Left);
    };
    if new != old {
        let bytes = field.put_in(span, new).to_be_bytes();
        let count = field.end_bytes() - field.first_byte();
        let first = bytes.len() - SPAN_BYTES;
        view.string_or_new(key)?
            .write_at(field.first_byte(), &bytes[first..first + count])?;
    }
    reply.integer(match one.action {
        Action::Increment(_) => new,
        _ => old,
    });
    Ok(if new == old {
        Outcome::Same
    } else {
        Outcome::Changed
    })
}

fn bitfield(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let key = &args[1];
    let operations = read_operations(view, args)?;
    if operations.iter().all(|one| one.action == Action::Get) {
        view.notify_misses(&[key])?;
    }
    // Of another type, the key is refused even if there is nothing to do.
    view.string(key)?;
    let has_grown = grow(view, key, &operations)?;
    reply.array(operations.len());
    let mut has_changed = false;
    for one in &operations {
        has_changed |= match run(view, key, one, reply)? {
            Outcome::Left => false,
            Outcome::Same => has_grown,
            Outcome::Changed => true,
        };
    }
    if has_changed {
        view.notify(class::STRING, "setbit", key);
    }
    Ok(())
}

fn bitfield_ro(view: &mut View<'_>, args: &Args<'_>, reply: &mut dyn Reply) -> Done {
    let operations = read_operations(view, args)?;
    if operations.iter().any(|one| one.action != Action::Get) {
        return Err(CommandError::text(
            "ERR BITFIELD_RO only supports the GET subcommand",
        ));
    }
    let value = view.string(&args[1])?;
    reply.array(operations.len());
    for one in &operations {
        reply.integer(one.field.value_in(one.field.span(value)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_form_is_a_sign_and_a_width() {
        for wrong in [
            "", "i", "u", "i0", "i65", "u64", "u0", "x8", "I8", "i08", "i 8", "u-1",
        ] {
            assert!(Form::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert_eq!(
            (form("i64").min(), form("i64").max()),
            (i64::MIN.into(), i64::MAX.into())
        );
        assert_eq!((form("u63").min(), form("u63").max()), (0, i64::MAX.into()));
        assert_eq!((form("i1").min(), form("i1").max()), (-1, 0));
    }

    #[test]
    fn what_does_not_fit_is_wrapped_cut_or_refused() {
        for (text, number, wrapped, saturated) in [
            ("u8", 256, 0, 255),
            ("u8", -1, 255, 0),
            ("u2", 7, 3, 3),
            ("i8", 128, -128, 127),
            ("i8", -129, 127, -128),
            ("i64", i128::from(i64::MAX) + 1, i64::MIN, i64::MAX),
            ("i64", i128::from(i64::MIN) - 1, i64::MAX, i64::MIN),
            ("u63", i128::from(u64::MAX), i64::MAX, i64::MAX),
        ] {
            let form = form(text);
            assert_eq!(form.fit(number, Overflow::Wrap), Some(wrapped), "{text}");
            assert_eq!(
                form.fit(number, Overflow::Saturate),
                Some(saturated),
                "{text}"
            );
            assert_eq!(form.fit(number, Overflow::Fail), None, "{text}");
        }
        assert_eq!(form("u8").fit(255, Overflow::Fail), Some(255));
        assert_eq!(form("i8").fit(-128, Overflow::Fail), Some(-128));
    }

    #[test]
    fn a_field_is_put_where_it_is_read_and_changes_nothing_else() {
        for (text, first_bit, value) in [
            ("u8", 0, 200),
            ("u5", 7, 23),
            ("i64", 7, i64::MIN + 5),
            ("i3", 1_000_001, -4),
            ("u63", 6, i64::MAX),
            ("u1", 71, 1),
        ] {
            let field = Field {
                form: form(text),
                first_bit,
            };
            for span in [0, (1 << 72) - 1, 0x12_3456_789A_BCDE_F012] {
                let changed = field.put_in(span, value);
                assert_eq!(field.value_in(changed), value, "{text}");
                let back = field.put_in(changed, field.value_in(span));
                assert_eq!(back, span, "{text}");
            }
            assert!(field.end_bytes() - field.first_byte() <= SPAN_BYTES);
        }
    }
}
