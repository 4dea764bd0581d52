//! Lines of commands as tests write them: `SET k 'a b'; GET k`.
//!
//! Commands are separated by `;`, arguments by spaces. An argument in single quotes may hold
//! anything, with the escapes `\n`, `\r`, `\\`, `\'` and `\x00`.

pub(crate) type Line = Vec<Vec<Vec<u8>>>;

pub(crate) fn parse(line: &str) -> Line {
    let mut commands: Line = vec![Vec::new()];
    let mut bytes = line.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let command = commands.last_mut().unwrap();
        match byte {
            b' ' | b'\n' => {}
            b';' => commands.push(Vec::new()),
            b'\'' => command.push(quoted(&mut bytes)),
            first => {
                let mut word = vec![first];
                while let Some(byte) = bytes.next_if(|byte| !b" \n;".contains(byte)) {
                    word.push(byte);
                }
                command.push(word);
            }
        }
    }
    commands.retain(|command| !command.is_empty());
    commands
}

fn quoted(bytes: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let mut word = Vec::new();
    loop {
        match bytes.next().expect("a quote that ends") {
            b'\'' => return word,
            b'\\' => word.push(match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b'x') => {
                    let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other.expect("something behind a backslash"),
            }),
            byte => word.push(byte),
        }
    }
}
