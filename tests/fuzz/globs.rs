//! Patterns against their definition: a table of which part of the pattern matches which part of
//! the text.

use darter::glob::{literal_prefix, matches};

/// The table is as large as their product.
const PATTERN_BYTES_MAX: usize = 256;
const TEXT_BYTES_MAX: usize = 512;

enum Token {
    /// Any bytes.
    Star,
    /// One byte of these.
    One(Box<[bool; 256]>),
}

fn only(byte: u8) -> Box<[bool; 256]> {
    let mut set = Box::new([false; 256]);
    set[usize::from(byte)] = true;
    set
}

/// What stands in a class behind its `[`, and what follows it.
fn class(mut rest: &[u8]) -> (Box<[bool; 256]>, &[u8]) {
    let mut set = Box::new([false; 256]);
    let is_negated = rest.first() == Some(&b'^');
    if is_negated {
        rest = &rest[1..];
    }
    loop {
        match rest {
            [] => break,
            [b']', behind @ ..] => {
                rest = behind;
                break;
            }
            [b'\\', literal, behind @ ..] => {
                set[usize::from(*literal)] = true;
                rest = behind;
            }
            [one, b'-', other, behind @ ..] => {
                for byte in *one.min(other)..=*one.max(other) {
                    set[usize::from(byte)] = true;
                }
                rest = behind;
            }
            [literal, behind @ ..] => {
                set[usize::from(*literal)] = true;
                rest = behind;
            }
        }
    }
    if is_negated {
        set.iter_mut().for_each(|member| *member = !*member);
    }
    (set, rest)
}

fn tokens(pattern: &[u8]) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = pattern;
    while let Some((&first, behind)) = rest.split_first() {
        let (token, next) = match (first, behind) {
            (b'*', _) => (Token::Star, behind),
            (b'?', _) => (Token::One(Box::new([true; 256])), behind),
            (b'[', _) => {
                let (set, behind) = class(behind);
                (Token::One(set), behind)
            }
            (b'\\', [literal, behind @ ..]) => (Token::One(only(*literal)), behind),
            (literal, _) => (Token::One(only(literal)), behind),
        };
        found.push(token);
        rest = next;
    }
    found
}

fn matches_by_table(tokens: &[Token], text: &[u8]) -> bool {
    // Whether the tokens so far match the first so many bytes.
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for token in tokens {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match token {
                Token::Star => row[at] || at > 0 && next[at - 1],
                Token::One(set) => at > 0 && row[at - 1] && set[usize::from(text[at - 1])],
            };
        }
        row = next;
    }
    row[text.len()]
}

/// A text that the tokens match, if there is one; `filler` is what stars stand for.
fn example(tokens: &[Token], filler: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for token in tokens {
        match token {
            Token::Star => text.extend_from_slice(filler),
            Token::One(set) => {
                let wanted = filler.first().copied().unwrap_or(b'a');
                // Not always the smallest: the filler's own byte makes stars try again.
                let byte = (0..=255_u8)
                    .map(|offset| wanted.wrapping_add(offset))
                    .find(|byte| set[usize::from(*byte)])?;
                text.push(byte);
            }
        }
    }
    Some(text)
}

fn check(pattern: &[u8], tokens: &[Token], text: &[u8]) {
    let expected = matches_by_table(tokens, text);
    assert_eq!(
        matches(pattern, text),
        expected,
        "pattern b\"{}\", text b\"{}\"",
        pattern.escape_ascii(),
        text.escape_ascii()
    );
    if expected {
        assert!(text.starts_with(&literal_prefix(pattern)));
    }
}

/// The pattern ends at the first line break; the text follows.
pub(crate) fn target(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (pattern, text) = data.split_at(end.unwrap_or(data.len()));
    let pattern = &pattern[..pattern.len().min(PATTERN_BYTES_MAX)];
    let text = text.get(1..).unwrap_or_default();
    let text = &text[..text.len().min(TEXT_BYTES_MAX)];
    let tokens = tokens(pattern);
    check(pattern, &tokens, text);
    for filler in [&text[..0], &text[..text.len().min(3)]] {
        if let Some(example) = example(&tokens, filler) {
            assert!(matches_by_table(&tokens, &example));
            check(pattern, &tokens, &example);
        }
    }
}
