//! A command's arguments, and how they are read.

use std::ops::Range;

use super::error::CommandError;
use crate::resp::number::{parse_double, parse_integer};

/// The arguments of one call, the command's name first (a subcommand's second).
#[derive(Clone, Copy)]
pub struct Args<'a> {
    all: &'a [&'a [u8]],
}

impl<'a> std::ops::Index<usize> for Args<'a> {
    type Output = [u8];

    fn index(&self, index: usize) -> &[u8] {
        self.all[index]
    }
}

impl<'a> Args<'a> {
    /// Over arguments that live as long as the call.
    pub fn new(all: &'a [&'a [u8]]) -> Args<'a> {
        Args { all }
    }

    /// How many there are, name included.
    #[allow(clippy::len_without_is_empty, reason = "the name is always there")]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The argument at `index`, with the life of the call. Arity has been checked, so positions
    /// below the arity are there.
    pub fn at(&self, index: usize) -> &'a [u8] {
        self.all[index]
    }

    /// The argument at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.all.get(index).copied()
    }

    /// The arguments from `index` on.
    pub fn from(&self, index: usize) -> &'a [&'a [u8]] {
        self.all.get(index..).unwrap_or_default()
    }

    /// All arguments.
    pub fn all(&self) -> &'a [&'a [u8]] {
        self.all
    }

    /// Whether the argument at `index` is this word, in any case.
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.get(index)
            .is_some_and(|argument| argument.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// A 64-bit integer.
    ///
    /// # Errors
    /// [`CommandError::NotAnInteger`].
    pub fn integer(&self, index: usize) -> Result<i64, CommandError> {
        self.get(index)
            .and_then(parse_integer)
            .ok_or(CommandError::NotAnInteger)
    }

    /// A double.
    ///
    /// # Errors
    /// [`CommandError::NotAFloat`].
    pub fn double(&self, index: usize) -> Result<f64, CommandError> {
        self.get(index)
            .and_then(parse_double)
            .ok_or(CommandError::NotAFloat)
    }

    /// A 64-bit integer from `min` to `max`.
    ///
    /// # Errors
    /// [`CommandError::NotAnInteger`], or one that names the bounds.
    pub fn integer_between(&self, index: usize, min: i64, max: i64) -> Result<i64, CommandError> {
        let value = self.integer(index)?;
        if !(min..=max).contains(&value) {
            return Err(CommandError::err(format!(
                "value is out of range, value must between {min} and {max}"
            )));
        }
        Ok(value)
    }

    /// The options from `index` on, one after the other.
    pub fn options(&self, index: usize) -> Options<'a> {
        Options {
            args: *self,
            at: index,
        }
    }
}

/// A call's arguments, kept beyond the bytes that they came in, in two pieces however many there are.
#[derive(Debug, Default)]
pub struct KeptArguments {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl<'a> FromIterator<&'a [u8]> for KeptArguments {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(arguments: I) -> KeptArguments {
        let mut kept = KeptArguments::default();
        arguments
            .into_iter()
            .for_each(|argument| kept.push(argument));
        kept
    }
}

impl KeptArguments {
    /// Copies a call's arguments.
    pub fn new(args: &Args<'_>) -> KeptArguments {
        let all = args.all();
        let mut kept = KeptArguments {
            bytes: Vec::with_capacity(all.iter().map(|argument| argument.len()).sum()),
            ends: Vec::with_capacity(all.len()),
        };
        all.iter().for_each(|argument| kept.push(argument));
        kept
    }

    fn push(&mut self, argument: &[u8]) {
        self.bytes.extend_from_slice(argument);
        self.ends.push(self.bytes.len());
    }

    /// How many there are, name included.
    #[allow(clippy::len_without_is_empty, reason = "the name is always there")]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The argument at `index`, which is below `len`.
    pub fn at(&self, index: usize) -> &[u8] {
        let begin = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[begin..self.ends[index]]
    }

    /// The arguments of these positions, all of which are below `len`.
    pub fn range(&self, range: Range<usize>) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        range.map(|index| self.at(index))
    }

    /// The arguments, as commands take them.
    pub fn to_vec(&self) -> Vec<&[u8]> {
        self.range(0..self.len()).collect()
    }
}

/// A walk over options in any order, such as `EX 10 NX`.
#[derive(Clone)]
pub struct Options<'a> {
    args: Args<'a>,
    at: usize,
}

impl<'a> Options<'a> {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.at >= self.args.len()
    }

    /// How many arguments are left.
    pub fn left(&self) -> usize {
        self.args.len().saturating_sub(self.at)
    }

    /// Where the walk stands among the arguments.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Takes the next argument if it is this word.
    pub fn take(&mut self, word: &str) -> bool {
        let is_word = self.args.is(self.at, word);
        self.at += usize::from(is_word);
        is_word
    }

    /// The next argument, whatever it is.
    ///
    /// # Errors
    /// [`CommandError::Syntax`] if nothing is left.
    #[expect(
        clippy::should_implement_trait,
        reason = "its end is an error, not None"
    )]
    pub fn next(&mut self) -> Result<&'a [u8], CommandError> {
        let argument = self.args.get(self.at).ok_or(CommandError::Syntax)?;
        self.at += 1;
        Ok(argument)
    }

    /// The next argument as an integer.
    ///
    /// # Errors
    /// [`CommandError::Syntax`], [`CommandError::NotAnInteger`].
    pub fn integer(&mut self) -> Result<i64, CommandError> {
        parse_integer(self.next()?).ok_or(CommandError::NotAnInteger)
    }

    /// The next argument as a double.
    ///
    /// # Errors
    /// [`CommandError::Syntax`], [`CommandError::NotAFloat`].
    pub fn double(&mut self) -> Result<f64, CommandError> {
        parse_double(self.next()?).ok_or(CommandError::NotAFloat)
    }
}
