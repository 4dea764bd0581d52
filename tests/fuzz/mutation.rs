//! Inputs made from others.

use fastrand::Rng;

const INPUT_BYTES_MAX: usize = 4096;
const MUTATIONS_MAX: usize = 6;
/// Numbers at the edges of what a format can say.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "1048576",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e999",
];

/// An input of `corpus`, changed in a few places.
pub(crate) fn mutated(corpus: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut input = corpus[random.usize(..corpus.len())].clone();
    for _ in 0..random.usize(1..=MUTATIONS_MAX) {
        mutate(&mut input, corpus, random);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

/// A piece of `bytes`, from the first of the two on to before the second.
fn piece(bytes: &[u8], random: &mut Rng) -> (usize, usize) {
    let start = random.usize(..=bytes.len());
    let length = random.usize(..=(bytes.len() - start).min(32));
    (start, start + length)
}

fn insert(input: &mut Vec<u8>, bytes: &[u8], random: &mut Rng) {
    let at = random.usize(..=input.len());
    input.splice(at..at, bytes.iter().copied());
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Rng) {
    let other = &corpus[random.usize(..corpus.len())];
    match random.usize(..9) {
        0 if !input.is_empty() => {
            let at = random.usize(..input.len());
            input[at] ^= 1 << random.usize(..8);
        }
        1 if !input.is_empty() => {
            let at = random.usize(..input.len());
            input[at] = random.u8(..);
        }
        2 if !other.is_empty() => {
            // A byte that means something in this format.
            let byte = other[random.usize(..other.len())];
            insert(input, &[byte], random);
        }
        3 => {
            let (start, end) = piece(input, random);
            input.drain(start..end);
        }
        4 => {
            let (start, end) = piece(input, random);
            let copied = input[start..end].to_vec();
            insert(input, &copied, random);
        }
        5 => {
            let (start, end) = piece(other, random);
            insert(input, &other[start..end], random);
        }
        6 => {
            let number = NUMBERS[random.usize(..NUMBERS.len())];
            let (start, end) = piece(input, random);
            input.splice(start..end.min(start + 4), number.bytes());
        }
        7 => {
            let byte = random.u8(..);
            let run = vec![byte; random.usize(1..200)];
            insert(input, &run, random);
        }
        _ => input.truncate(random.usize(..=input.len())),
    }
}
