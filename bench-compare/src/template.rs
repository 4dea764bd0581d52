//! Requests with holes for numbers, written over and over with little work.

use std::ops::Range;

use fastrand::Rng;

/// Digits of a number in a request.
const DIGITS: usize = 12;

/// One operation: one request, or several that belong together.
///
/// Written as words: `{1000}` is a number drawn below a thousand, in twelve digits, `{100-1000}` one from a
/// hundred on, in no more digits than it has, `{=}` the number before once more, `{seq}` the number of the
/// operation, `{v64}` a value of 64 bytes, ` ; ` stands between requests, and a leading `!` sends a line as
/// it is.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    holes: Vec<Hole>,
    requests: u64,
}

#[derive(Clone, Debug)]
struct Hole {
    at: usize,
    digits: usize,
    number: Number,
}

/// What a hole is filled with.
#[derive(Clone, Debug)]
enum Number {
    OfTheOperation,
    Drawn(Range<u64>),
    Again,
}

impl Hole {
    /// `before` is the hole before it.
    fn new(text: &str, at: usize, before: Option<&Hole>) -> Hole {
        let drawn = |range: Option<Range<u64>>| range.map_or(Number::OfTheOperation, Number::Drawn);
        let (digits, number) = match text.split_once('-') {
            _ if text == "=" => (before.map_or(DIGITS, |hole| hole.digits), Number::Again),
            // Numbers of one length, so that they always fit.
            Some((first, end)) => {
                let range = first.parse().ok().zip(end.parse().ok());
                (first.len(), drawn(range.map(|(first, end)| first..end)))
            }
            None => (
                DIGITS,
                drawn(text.parse().ok().map(|end: u64| 0..end.max(1))),
            ),
        };
        Hole { at, digits, number }
    }
}

impl Template {
    pub(crate) fn new(text: &str) -> Template {
        let mut template = Template {
            bytes: Vec::new(),
            holes: Vec::new(),
            requests: 0,
        };
        for line in text.split(" ; ") {
            template.requests += 1;
            if let Some(line) = line.strip_prefix('!') {
                template.bytes.extend_from_slice(line.as_bytes());
                template.bytes.extend_from_slice(b"\r\n");
                continue;
            }
            let words: Vec<_> = line.split(' ').collect();
            template.header(b'*', words.len());
            for word in words {
                template.word(word);
            }
        }
        template
    }

    fn header(&mut self, kind: u8, number: usize) {
        self.bytes.push(kind);
        self.bytes
            .extend_from_slice(format!("{number}\r\n").as_bytes());
    }

    fn word(&mut self, word: &str) {
        let mut bytes = Vec::new();
        let mut holes = Vec::new();
        let mut rest = word;
        while let Some((before, after)) = rest.split_once('{') {
            bytes.extend_from_slice(before.as_bytes());
            let (hole, after) = after.split_once('}').unwrap_or((after, ""));
            if let Some(length) = hole.strip_prefix('v') {
                bytes.resize(bytes.len() + length.parse().unwrap_or(0), b'v');
            } else {
                let before = holes.last().or(self.holes.last());
                let hole = Hole::new(hole, bytes.len(), before);
                bytes.resize(bytes.len() + hole.digits, b'0');
                holes.push(hole);
            }
            rest = after;
        }
        bytes.extend_from_slice(rest.as_bytes());
        self.header(b'$', bytes.len());
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&bytes);
        self.bytes.extend_from_slice(b"\r\n");
        self.holes.extend(holes.into_iter().map(|hole| Hole {
            at: base + hole.at,
            ..hole
        }));
    }

    /// Replies to one operation.
    pub(crate) fn replies(&self) -> u64 {
        self.requests
    }

    /// Writes one operation.
    pub(crate) fn write(&self, output: &mut Vec<u8>, random: &mut Rng, sequence: u64) {
        let base = output.len();
        output.extend_from_slice(&self.bytes);
        let mut before = sequence;
        for hole in &self.holes {
            let mut number = match &hole.number {
                Number::OfTheOperation => sequence,
                Number::Drawn(range) => random.u64(range.clone()),
                Number::Again => before,
            };
            before = number;
            let begin = base + hole.at;
            let digits = &mut output[begin..begin + hole.digits];
            for digit in digits.iter_mut().rev() {
                if number == 0 {
                    break;
                }
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, sequence: u64) -> String {
        let mut output = Vec::new();
        Template::new(text).write(&mut output, &mut Rng::with_seed(1), sequence);
        String::from_utf8(output).expect("text")
    }

    #[test]
    fn holes_are_filled() {
        let expected = "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$3\r\nvvv\r\n";
        assert_eq!(written("SET key:{seq} {v3}", 42), expected);
    }

    #[test]
    fn numbers_are_drawn_below_their_limit() {
        let template = Template::new("GET {10}");
        let mut seen = [false; 10];
        let mut random = Rng::with_seed(1);
        for _ in 0..200 {
            let mut output = Vec::new();
            template.write(&mut output, &mut random, 0);
            let text = String::from_utf8(output).expect("text");
            let number: usize = text
                .lines()
                .last()
                .expect("a line")
                .parse()
                .expect("a number");
            seen[number] = true;
        }
        assert_eq!(seen, [true; 10]);
    }

    #[test]
    fn numbers_of_one_length_have_no_zeros_before_them() {
        let mut random = Rng::with_seed(1);
        let template = Template::new("{100-1000}");
        for _ in 0..200 {
            let mut output = Vec::new();
            template.write(&mut output, &mut random, 0);
            let text = String::from_utf8(output).expect("text");
            let number = text.lines().last().expect("a line");
            assert!(
                (100..1000).contains(&number.parse().expect("a number")),
                "{number}"
            );
            assert!(!number.starts_with('0'));
        }
    }

    #[test]
    fn a_number_is_written_once_more() {
        let mut random = Rng::with_seed(1);
        let template = Template::new("GETRANGE big {10-100}00 {=}15 ; GET {=}");
        for _ in 0..20 {
            let mut output = Vec::new();
            template.write(&mut output, &mut random, 0);
            let text = String::from_utf8(output).expect("text");
            let words: Vec<_> = text.lines().collect();
            let drawn = words[6].strip_suffix("00").expect("two zeros");
            assert_eq!(words[8], format!("{drawn}15"));
            assert_eq!(words[13], drawn);
        }
    }

    #[test]
    fn requests_that_belong_together_count_as_one_operation() {
        assert_eq!(Template::new("MULTI ; GET a ; EXEC").replies(), 3);
        assert_eq!(
            written("MULTI ; EXEC", 0),
            "*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n"
        );
    }

    #[test]
    fn a_line_is_sent_as_it_is() {
        assert_eq!(written("!PING", 0), "PING\r\n");
    }
}
