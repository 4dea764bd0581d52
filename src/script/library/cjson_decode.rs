//! cjson.decode

use std::ffi::{c_char, c_int};
use std::ptr;

use mlua::ffi;

use crate::script::error::Failure;
use crate::script::trampoline::Frame;

use super::{Level, PIECE_BYTES, Scratch};

/// Values between two looks at the clock and the memory.
const CHECKPOINT_VALUES: u32 = 256;
/// Stack slots that one level of nesting needs.
const LEVEL_SLOTS: c_int = 4;
/// Digits of the longest integer that may fit 64 bits.
const INTEGER_DIGITS_MAX: usize = 19;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// Its text is in the scratch space.
    String,
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Invalid(&'static str),
}

impl Token {
    /// As the library that Redis uses calls it.
    fn name(self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::String => "T_STRING",
            Token::Integer(_) | Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Invalid(reason) => reason,
        }
    }
}

struct Decoder<'a> {
    frame: &'a mut Frame,
    scratch: &'a mut Scratch,
    text: &'a [u8],
    position: usize,
    /// Where the last token began, or where it went wrong.
    token_start: usize,
    depth_max: usize,
    accepts_invalid_numbers: bool,
    values: u32,
}

pub(super) fn decode(frame: &mut Frame) -> Result<c_int, Failure> {
    if frame.top() != 1 {
        return Err(frame.argument_error(1, "expected 1 argument"));
    }
    let text = frame.string_argument(1)?;
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err(Failure::text(
            "JSON parser does not support UTF-16 or UTF-32",
        ));
    }
    let depth_max = usize::try_from(frame.state().settings.decode_max_depth).unwrap_or(0);
    let accepts_invalid_numbers = frame.state().settings.decode_invalid_numbers;
    let scratch = frame.scratch();
    scratch.clear();
    let mut decoder = Decoder {
        frame,
        scratch,
        text,
        position: 0,
        token_start: 0,
        depth_max,
        accepts_invalid_numbers,
        values: 0,
    };
    decoder.run()?;
    Ok(1)
}

impl Decoder<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let mut token = self.next_token();
        loop {
            if let Some(first) = self.begin_value(token)? {
                token = first;
                continue;
            }
            match self.finish_values()? {
                Some(next) => token = next,
                None => break,
            }
        }
        match self.next_token() {
            Token::End => Ok(()),
            token => Err(self.unexpected("the end", token)),
        }
    }

    /// Pushes a scalar or an empty table; or opens a table and answers its first value's token.
    fn begin_value(&mut self, token: Token) -> Result<Option<Token>, Failure> {
        self.values = self.values.wrapping_add(1);
        if self.values.is_multiple_of(CHECKPOINT_VALUES) {
            let used_bytes = self.frame.state().arena().run_bytes() / 2;
            self.frame.admit(used_bytes)?;
            self.frame.checkpoint();
        }
        match token {
            Token::String => self.frame.push_bytes(&self.scratch.text),
            Token::Integer(value) => self.frame.push_integer(value),
            Token::Number(value) => self.frame.push_number(value),
            Token::Boolean(value) => self.frame.push_boolean(value),
            Token::Null => {
                // SAFETY: a slot is reserved with each level, and LUA_MINSTACK before the first.
                unsafe { ffi::lua_pushlightuserdata(self.frame.lua, ptr::null_mut()) };
            }
            Token::ObjectBegin | Token::ArrayBegin => return self.begin_table(token),
            token => return Err(self.unexpected("value", token)),
        }
        Ok(None)
    }

    fn begin_table(&mut self, begin: Token) -> Result<Option<Token>, Failure> {
        let depth = self.scratch.levels.len() + 1;
        if depth > self.depth_max || self.frame.reserve(LEVEL_SLOTS).is_err() {
            return Err(Failure::Message(format!(
                "Found too many nested data structures ({depth}) at character {}",
                self.position
            )));
        }
        // SAFETY: slots are reserved; memory is not refused to Rust.
        unsafe { ffi::lua_createtable(self.frame.lua, 0, 0) };
        let token = self.next_token();
        if begin == Token::ArrayBegin {
            if token == Token::ArrayEnd {
                return Ok(None);
            }
            self.scratch
                .levels
                .push(Level::Array { done: 0, length: 0 });
            return Ok(Some(token));
        }
        if token == Token::ObjectEnd {
            return Ok(None);
        }
        self.scratch.levels.push(Level::Map { done: 0, length: 0 });
        self.key(token).map(Some)
    }

    /// Pushes the key and answers the first token behind the colon.
    fn key(&mut self, token: Token) -> Result<Token, Failure> {
        if token != Token::String {
            return Err(self.unexpected("object key string", token));
        }
        self.frame.push_bytes(&self.scratch.text);
        match self.next_token() {
            Token::Colon => Ok(self.next_token()),
            token => Err(self.unexpected("colon", token)),
        }
    }

    /// Puts the finished value on top where it belongs, and so on outward; answers the token of
    /// the next value, or None when the outermost one is finished.
    fn finish_values(&mut self) -> Result<Option<Token>, Failure> {
        while let Some(level) = self.scratch.levels.last_mut() {
            let lua = self.frame.lua;
            if let Level::Array { done, .. } = level {
                *done += 1;
                // SAFETY: the level's table is below the value.
                unsafe { ffi::lua_rawseti(lua, -2, *done as ffi::lua_Integer) };
                match self.next_token() {
                    Token::ArrayEnd => {}
                    Token::Comma => return Ok(Some(self.next_token())),
                    token => return Err(self.unexpected("comma or array end", token)),
                }
            } else {
                // SAFETY: the level's table is below key and value, and the key is a string.
                unsafe { ffi::lua_rawset(lua, -3) };
                match self.next_token() {
                    Token::ObjectEnd => {}
                    Token::Comma => {
                        let token = self.next_token();
                        return self.key(token).map(Some);
                    }
                    token => return Err(self.unexpected("comma or object end", token)),
                }
            }
            self.scratch.levels.pop();
        }
        Ok(None)
    }

    fn unexpected(&self, expected: &str, found: Token) -> Failure {
        let (found, position) = (found.name(), self.token_start + 1);
        Failure::Message(format!(
            "Expected {expected} but found {found} at character {position}"
        ))
    }

    /// The byte at `position`; as in C, 0 stands for the end.
    fn byte(&self, position: usize) -> u8 {
        self.text.get(position).copied().unwrap_or(0)
    }

    fn next_token(&mut self) -> Token {
        while matches!(self.byte(self.position), b' ' | b'\t' | b'\n' | b'\r') {
            self.position += 1;
        }
        self.token_start = self.position;
        let single = match self.byte(self.position) {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            0 => return Token::End,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => {
                if !self.accepts_invalid_numbers && self.is_invalid_number() {
                    return Token::Invalid("invalid number");
                }
                return self.number();
            }
            b'+' | b'f' | b'i' | b'I' | b'n' | b'N' | b't' => return self.word(),
            _ => return Token::Invalid("invalid token"),
        };
        self.position += 1;
        single
    }

    fn word(&mut self) -> Token {
        let rest = &self.text[self.position..];
        for (word, token) in [
            (&b"true"[..], Token::Boolean(true)),
            (b"false", Token::Boolean(false)),
            (b"null", Token::Null),
        ] {
            if rest.starts_with(word) {
                self.position += word.len();
                return token;
            }
        }
        if self.accepts_invalid_numbers && self.is_invalid_number() {
            return self.number();
        }
        Token::Invalid("invalid token")
    }

    /// Whether what follows is a number for C, but not for JSON.
    fn is_invalid_number(&self) -> bool {
        let mut start = self.position;
        if self.byte(start) == b'+' {
            return true;
        }
        if self.byte(start) == b'-' {
            start += 1;
        }
        let second = self.byte(start + 1);
        match self.byte(start) {
            b'0' => second | 0x20 == b'x' || second.is_ascii_digit(),
            first if first <= b'9' => false,
            _ => {
                let word = self.text.get(start..start + 3).unwrap_or_default();
                word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
            }
        }
    }

    fn number(&mut self) -> Token {
        if let Some(integer) = self.integer() {
            return integer;
        }
        let start = self.text[self.position..].as_ptr().cast::<c_char>();
        let mut end = ptr::null_mut();
        // SAFETY: Lua ends its strings with NUL, so strtod stops within the text.
        let value = unsafe { libc::strtod(start, &mut end) };
        let length = (end as usize).wrapping_sub(start as usize);
        if length == 0 {
            return Token::Invalid("invalid number");
        }
        self.position += length;
        Token::Number(value)
    }

    /// A number of digits only stays an integer of Lua, exact beyond 2^53.
    fn integer(&mut self) -> Option<Token> {
        let sign = usize::from(self.byte(self.position) == b'-');
        let digits = &self.text[self.position + sign..];
        let count = digits
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let is_whole = !matches!(
            self.byte(self.position + sign + count),
            b'.' | b'e' | b'E' | b'x' | b'X'
        );
        if count == 0 || count > INTEGER_DIGITS_MAX || !is_whole {
            return None;
        }
        let text =
            std::str::from_utf8(&self.text[self.position..self.position + sign + count]).ok()?;
        // Minus zero exists as a float only.
        let value = text
            .parse()
            .ok()
            .filter(|&value: &i64| value != 0 || sign == 0)?;
        self.position += sign + count;
        Some(Token::Integer(value))
    }

    fn invalid_string(&mut self, reason: &'static str) -> Token {
        self.token_start = self.position;
        Token::Invalid(reason)
    }

    fn string(&mut self) -> Token {
        self.scratch.text.clear();
        self.position += 1;
        let mut looked_at = self.position;
        loop {
            if self.position - looked_at >= PIECE_BYTES {
                looked_at = self.position;
                self.frame.checkpoint();
            }
            let rest = &self.text[self.position..];
            let rest = &rest[..rest.len().min(PIECE_BYTES)];
            let plain = rest
                .iter()
                .take_while(|&&byte| !matches!(byte, b'"' | b'\\' | 0))
                .count();
            self.scratch.text.extend_from_slice(&rest[..plain]);
            self.position += plain;
            if plain == PIECE_BYTES {
                continue;
            }
            match self.byte(self.position) {
                b'"' => break,
                b'\\' => {}
                _ => return self.invalid_string("unexpected end of string"),
            }
            let escaped = match self.byte(self.position + 1) {
                byte @ (b'"' | b'\\' | b'/') => byte,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    if !self.unicode_escape() {
                        return self.invalid_string("invalid unicode escape code");
                    }
                    continue;
                }
                _ => return self.invalid_string("invalid escape code"),
            };
            self.scratch.text.push(escaped);
            self.position += 2;
        }
        self.position += 1;
        Token::String
    }

    /// The four digits of `\uXXXX` at `position`.
    fn code_unit(&self, position: usize) -> Option<u32> {
        let escape = self.text.get(position..position + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn unicode_escape(&mut self) -> bool {
        let decoded = self.code_unit(self.position).and_then(|unit| match unit {
            0xd800..=0xdbff => {
                let low = self.code_unit(self.position + 6)?;
                let low = (0xdc00..=0xdfff).contains(&low).then_some(low & 0x3ff)?;
                Some((0x10000 + ((unit & 0x3ff) << 10 | low), 12))
            }
            _ => Some((unit, 6)),
        });
        let Some((character, length)) = decoded
            .and_then(|(code, length)| char::from_u32(code).map(|character| (character, length)))
        else {
            return false;
        };
        let mut buffer = [0; 4];
        self.scratch
            .text
            .extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        self.position += length;
        true
    }
}
