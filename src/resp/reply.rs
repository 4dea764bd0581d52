//! Where a command writes its reply.
//!
//! A command describes its reply once, in RESP3's terms. Who listens decides what becomes of it:
//! a RESP3 client gets it as it is, a RESP2 client a flattened form, a script Lua values.

/// A position in a sink, to which an unfinished reply can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub usize);

/// A sink for exactly one reply (or, for subscriptions, several).
///
/// After `array(n)`, `set(n)` or `push(n)` the next `n` replies are its elements, after `map(n)`
/// the next `2 * n`, key before value.
pub trait Reply {
    /// A signed integer.
    fn integer(&mut self, value: i64);
    /// A binary-safe string.
    fn bulk(&mut self, bytes: &[u8]);
    /// A binary-safe string of `length` bytes that comes in pieces which follow as `bulk_part`.
    fn bulk_start(&mut self, length: usize);
    /// The next piece of a string of at least one byte begun by `bulk_start`.
    fn bulk_part(&mut self, bytes: &[u8], is_last: bool);
    /// Whether the listener fetches a string of `length` bytes by itself, from the key that is the
    /// command's first argument. If so nothing is to be written. To be asked by a command whose whole
    /// reply is that key's string.
    fn defers(&mut self, _length: usize) -> bool {
        false
    }
    /// A status such as `OK`: one line of text.
    fn status(&mut self, text: &str) {
        self.status_bytes(text.as_bytes());
    }
    /// A status of any bytes, as scripts make them (CR and LF become spaces).
    fn status_bytes(&mut self, text: &[u8]);
    /// An error: its code, a space, and the message, on one line (CR and LF become spaces).
    fn error(&mut self, text: &[u8]);
    /// Absence where a string could stand (RESP2: a null bulk string).
    fn null(&mut self);
    /// Absence where an array could stand (RESP2: a null array).
    fn null_array(&mut self);
    /// An array of `length` replies.
    fn array(&mut self, length: usize);
    /// A map of `pairs` keys and values (RESP2: an array of `2 * pairs`).
    fn map(&mut self, pairs: usize);
    /// A set of `length` replies (RESP2: an array).
    fn set(&mut self, length: usize);
    /// Out-of-band data of `length` replies (RESP2: an array).
    fn push(&mut self, length: usize);
    /// Begins `pairs` keys and values that tell of the reply behind them. `false` if the listener does
    /// not take any: then they are not to be written.
    fn attribute(&mut self, _pairs: usize) -> bool {
        false
    }
    /// A double (RESP2: a bulk string as Redis prints it).
    fn double(&mut self, value: f64);
    /// A double in a text of its own (RESP2: a bulk string): more digits than `double` writes.
    fn double_text(&mut self, value: f64, text: &str);
    /// A truth value (RESP2: 1 or 0).
    fn boolean(&mut self, value: bool);
    /// An integer beyond 64 bits, in decimal digits (RESP2: a bulk string).
    fn big_number(&mut self, digits: &str);
    /// A text with a three-letter format such as `txt` (RESP2: a bulk string).
    fn verbatim(&mut self, format: &str, bytes: &[u8]);
    /// Where the sink stands now.
    fn mark(&self) -> Mark;
    /// Takes back everything written since `mark`.
    fn rewind(&mut self, mark: Mark);
    /// Whether the listener has no room for all that was written since the last `rewind`. What
    /// there is of the reply is of no use then.
    fn is_cut(&self) -> bool {
        false
    }
    /// The protocol version that the listener speaks: 2 or 3. Few replies differ by more than
    /// their framing; those ask.
    fn protocol(&self) -> u8;
    /// Lets the listener be spoken to in another version from here on (HELLO). Sinks whose
    /// listener cannot ask for that ignore it.
    fn set_protocol(&mut self, _version: u8) {}
}
