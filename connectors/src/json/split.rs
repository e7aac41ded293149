//! Cutting a stream of JSON into its values, wherever they begin and end: pretty-printed values, values with nothing
//! between them, an array or an object of any size around them.
//!
//! ```text
//! bytes ─ feed ─▶ Splitter ─▶ values, each on one line
//! ```
//!
//! - Outside objects every `[` is entered: what counts are the values in it. An object is a value, unless it is longer
//!   than [`VALUE_BYTES_MAX`]: then it is taken for one around values (`{"posts": […]}`, `{"id1": {…}, "id2": {…}}`) and
//!   entered too; each value in it comes as an object of its own with its key. A longer one that has an `id` itself is
//!   a record and too long.
//! - Newlines outside strings become blanks, those in strings `\n`, so that a value is a line.
//! - Commas, NULs, byte order marks and record separators (RFC 7464) may stand between values, or nothing.
//! - **Damage stays local.** A brace where none can be (after a value, or behind a newline inside a string) begins the next
//!   value, and a bracket that closes another kind ends one; what came before is a value that does not parse, and says so to
//!   whoever parses it.
//!
//! Memory: the value that is being cut, at most [`VALUE_BYTES_MAX`], and twice that while one is entered.

/// The longest value: 64 MiB.
pub(crate) const VALUE_BYTES_MAX: usize = 64 << 20;

/// How deep values may be surrounded by containers.
const INSIDE_MAX: usize = 64;

/// The longest name of a field of an object around values.
const NAME_BYTES_MAX: usize = 4096;

/// What a cut value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Whole, as far as brackets tell.
    Whole,
    /// Longer than the limit; its beginning.
    TooLong,
}

/// Cuts bytes into values.
#[derive(Clone, Debug)]
pub(crate) struct Splitter {
    value_bytes_max: usize,
    /// `[` and `{` around the next value.
    inside: Vec<u8>,
    state: State,
    /// The value that is being cut.
    value: Vec<u8>,
    /// In an object around values: the name of the next one, with its quotes.
    name: Vec<u8>,
    /// Bytes of the stream since the value, or its name, began.
    taken: usize,
    /// Brackets that are open in the value, outermost first.
    open: Vec<u8>,
    /// The last byte in the value that is no white space.
    last: u8,
    /// A newline was the last byte in a string.
    newline: bool,
    /// The value is too long and was handed on as such: what is left of it is dropped.
    skip: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between values.
    Between,
    /// In the name of a field of an object around values; after a backslash.
    Name { escaped: bool },
    /// After a name, before the value.
    Named,
    /// In a value, outside strings.
    Value,
    /// In a value's string; after a backslash.
    Text { escaped: bool },
    /// In a scalar that is no string, such as a number.
    Word,
}

impl Splitter {
    /// A splitter of what stands inside the containers `inside`, outermost first.
    pub(crate) fn new(inside: &str) -> Self {
        Splitter {
            value_bytes_max: VALUE_BYTES_MAX,
            inside: inside.as_bytes().to_vec(),
            state: State::Between,
            value: Vec::new(),
            name: Vec::new(),
            taken: 0,
            open: Vec::new(),
            last: 0,
            newline: false,
            skip: false,
        }
    }

    #[cfg(test)]
    fn with_limit(value_bytes_max: usize) -> Self {
        Splitter { value_bytes_max, ..Splitter::new("") }
    }

    /// The containers around the next value.
    pub(crate) fn inside(&self) -> &str {
        str::from_utf8(&self.inside).unwrap_or_default()
    }

    /// Whether a value has begun and not ended.
    pub(crate) fn has_begun(&self) -> bool {
        self.state != State::Between
    }

    /// How many of the bytes that were fed belong to a value that has begun.
    pub(crate) fn begun_bytes(&self) -> usize {
        self.taken
    }

    /// What has come of a value that has begun.
    pub(crate) fn begun(&self) -> &[u8] {
        if self.value.is_empty() { &self.name } else { &self.value }
    }

    /// Takes bytes up to the end of the next value, and hands it to `value` on one line. Returns how many bytes were taken:
    /// all of them, unless a value ended.
    pub(crate) fn feed(&mut self, bytes: &[u8], value: &mut dyn FnMut(Cut, &[u8])) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            match self.step(*byte) {
                Step::Next => self.taken = if self.state == State::Between { 0 } else { self.taken + 1 },
                Step::Ended { again } => {
                    self.emit(Cut::Whole, value);
                    return if again { at } else { at + 1 };
                }
            }
            if self.value.len() > self.value_bytes_max {
                self.too_long(value);
                return at + 1;
            }
        }
        bytes.len()
    }

    /// Ends the stream: a scalar that nothing follows is whole.
    pub(crate) fn finish(&mut self, value: &mut dyn FnMut(Cut, &[u8])) {
        if self.state == State::Word {
            self.emit(Cut::Whole, value);
        }
    }

    fn emit(&mut self, cut: Cut, value: &mut dyn FnMut(Cut, &[u8])) {
        let scalar = !matches!(self.value.first(), Some(b'{' | b'['));
        // A scalar field of an object around values is none of its values.
        let unwanted = self.skip || (scalar && self.inside.last() == Some(&b'{'));
        if !unwanted && !self.value.is_empty() {
            value(cut, &self.value);
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.value.clear();
        self.name.clear();
        self.open.clear();
        self.taken = 0;
        (self.last, self.newline, self.skip, self.state) = (0, false, false, State::Between);
    }

    /// A value that is longer than the limit: enters it, or says so.
    fn too_long(&mut self, value: &mut dyn FnMut(Cut, &[u8])) {
        if self.skip {
            return self.value.clear();
        }
        let named = if self.name.is_empty() { 0 } else { self.name.len() + 2 };
        let is_object = self.value.get(named) == Some(&b'{');
        let (text, state) = (std::mem::take(&mut self.value), self.state);
        if !is_object || self.inside.len() >= INSIDE_MAX || has_id(&text[named..]) {
            value(Cut::TooLong, &text);
            (self.skip, self.state) = (true, state);
            return;
        }
        self.forget();
        self.inside.push(b'{');
        let mut rest = &text[named + 1..];
        while !rest.is_empty() {
            let taken = self.feed(rest, value);
            rest = &rest[taken..];
        }
    }

    fn step(&mut self, byte: u8) -> Step {
        match self.state {
            State::Between | State::Named => self.between(byte),
            State::Name { escaped } => {
                self.name.push(byte);
                self.state = match byte {
                    _ if self.name.len() > NAME_BYTES_MAX => {
                        self.name.clear();
                        State::Between
                    }
                    _ if escaped => State::Name { escaped: false },
                    b'\\' => State::Name { escaped: true },
                    b'"' => State::Named,
                    _ => self.state,
                };
                Step::Next
            }
            State::Value => self.in_value(byte),
            State::Text { escaped } => self.in_text(byte, escaped),
            State::Word => match byte {
                b',' | b']' | b'}' | b'\n' | b'\r' | b'{' | b'[' => Step::Ended { again: byte != b',' },
                _ => {
                    self.push(byte);
                    Step::Next
                }
            },
        }
    }

    fn between(&mut self, byte: u8) -> Step {
        let in_object = self.inside.last() == Some(&b'{');
        let named = self.state == State::Named;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0 | 0x1e | b',' | 0xef | 0xbb | 0xbf if !named || byte != b',' => {}
            b':' if named => {}
            b']' | b'}' if !named && self.inside.last().is_some_and(|open| *open == byte - 2) => {
                self.inside.pop();
            }
            b'"' if in_object && !named => {
                self.name.push(byte);
                self.state = State::Name { escaped: false };
            }
            b'[' if self.inside.len() < INSIDE_MAX => {
                self.forget();
                self.inside.push(byte);
            }
            b'{' | b'[' => {
                self.begin_value(byte);
                self.open.push(byte);
                self.state = State::Value;
            }
            b'"' => {
                self.push(byte);
                self.state = State::Text { escaped: false };
            }
            _ => {
                self.push(byte);
                self.state = State::Word;
            }
        }
        Step::Next
    }

    /// A value in an object around values gets an object of its own.
    fn begin_value(&mut self, byte: u8) {
        if !self.name.is_empty() {
            self.value.push(b'{');
            self.value.extend_from_slice(&self.name);
            self.value.push(b':');
        }
        self.push(byte);
    }

    fn in_value(&mut self, byte: u8) -> Step {
        match byte {
            b'{' if !matches!(self.last, b':' | b',' | b'[') => return Step::Ended { again: true },
            b'{' | b'[' => self.open.push(byte),
            b'}' | b']' => {
                if self.open.pop() != Some(byte - 2) {
                    return Step::Ended { again: true };
                }
                self.push(byte);
                if !self.open.is_empty() {
                    return Step::Next;
                }
                if !self.name.is_empty() {
                    self.value.push(b'}');
                }
                return Step::Ended { again: false };
            }
            b'"' => {
                self.push(byte);
                self.state = State::Text { escaped: false };
                return Step::Next;
            }
            b'\n' | b'\r' | b'\t' | b' ' | 0 => {
                if byte != 0 && !self.value.is_empty() && self.value.last() != Some(&b' ') {
                    self.value.push(b' ');
                }
                return Step::Next;
            }
            _ => {}
        }
        self.push(byte);
        Step::Next
    }

    fn in_text(&mut self, byte: u8, escaped: bool) -> Step {
        match byte {
            b'{' if self.newline => {
                let end = self.value.iter().rposition(|byte| *byte == b'\\').unwrap_or(self.value.len());
                self.value.truncate(end);
                return Step::Ended { again: true };
            }
            b'\n' => {
                self.value.extend_from_slice(if escaped { b"n" } else { b"\\n" });
                self.newline = true;
                self.state = State::Text { escaped: false };
                return Step::Next;
            }
            b'\r' | b'\t' | 0 => {
                self.value.extend_from_slice(match byte {
                    b'\r' => b"\\r",
                    b'\t' => b"\\t",
                    _ => b"",
                });
                return Step::Next;
            }
            _ => {}
        }
        self.newline = false;
        self.push(byte);
        let closes = byte == b'"' && !escaped;
        self.state = match (closes, self.open.is_empty()) {
            (true, true) => return Step::Ended { again: false },
            (true, false) => State::Value,
            (false, _) => State::Text { escaped: byte == b'\\' && !escaped },
        };
        Step::Next
    }

    fn push(&mut self, byte: u8) {
        self.value.push(byte);
        self.last = byte;
    }
}

enum Step {
    Next,
    /// The value has ended, before this byte (`again`) or with it.
    Ended {
        again: bool,
    },
}

/// Whether the object that begins with `text` has a field `id` or `name` itself.
fn has_id(text: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped, mut start) = (0_usize, false, false, 0);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => {
                in_text = !in_text;
                if in_text {
                    start = at;
                } else if depth == 1 && matches!(&text[start..=at], b"\"id\"" | b"\"name\"") {
                    return true;
                }
            }
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn cut_by(mut splitter: Splitter, text: &[u8], pieces: usize) -> (Vec<String>, String) {
        let mut values = Vec::new();
        let mut keep = |cut: Cut, value: &[u8]| {
            let mark = if cut == Cut::TooLong { "…" } else { "" };
            values.push(format!("{}{mark}", String::from_utf8_lossy(&value[..value.len().min(60)])));
        };
        for mut piece in text.chunks(pieces.max(1)) {
            while !piece.is_empty() {
                let taken = splitter.feed(piece, &mut keep);
                piece = &piece[taken..];
            }
        }
        splitter.finish(&mut keep);
        let left = format!("{} {}", splitter.inside(), String::from_utf8_lossy(splitter.begun()));
        (values, left.trim().to_owned())
    }

    #[test]
    fn values_end_where_their_brackets_do() {
        let check = |text: &str, expect: &[&str], left: &str| {
            for pieces in [1, 2, 7, usize::MAX] {
                let got = cut_by(Splitter::new(""), text.as_bytes(), pieces);
                assert_eq!(
                    (got.0, got.1.as_str()),
                    (expect.iter().map(|v| (*v).to_owned()).collect(), left),
                    "{text:?}"
                );
            }
        };
        check("{\"a\":1}{\"a\":2}\n{\"a\":3}", &["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"], "");
        check("{\n  \"a\": {\n  \"b\": \"}{\"\n }\n}\n", &["{ \"a\": { \"b\": \"}{\" } }"], "");
        check("[{\"a\":1},\n {\"a\":[2]},\n]", &["{\"a\":1}", "{\"a\":[2]}"], "");
        check("[[{\"a\":1}],[{\"a\":2}, 3, \"x,]\", null]]", &["{\"a\":1}", "{\"a\":2}", "3", "\"x,]\"", "null"], "");
        check("\u{feff}\u{1e}{\"a\":1}\n\0\0\u{1e}{\"a\":2}\n", &["{\"a\":1}", "{\"a\":2}"], "");
        check("[\n{\"a\":1}", &["{\"a\":1}"], "[");
        check("[{\"a\":1},{\"b\":", &["{\"a\":1}"], "[ {\"b\":");
        check("{\"a\":\"x\ny\tz\"}", &["{\"a\":\"x\\ny\\tz\"}"], "");
        check("{\"a\":\"\\\"}\"}7", &["{\"a\":\"\\\"}\"}", "7"], "");
        check("{\"a\":1\n{\"b\":2}", &["{\"a\":1 ", "{\"b\":2}"], "");
        check("[{\"a\":[{\"b\":1]}, {\"c\":2}]", &["{\"a\":[{\"b\":1", "}", "{\"c\":2}", "]"], "");
        check("[{\"a\":\"x\n{\"b\":2},\n{\"c\":3}]", &["{\"a\":\"x", "{\"b\":2}", "{\"c\":3}"], "");
        check("", &[], "");
    }

    #[test]
    fn long_objects_are_entered_unless_they_are_records() {
        let check = |text: &str, expect: &[&str]| {
            for pieces in [1, 5, usize::MAX] {
                assert_eq!(
                    cut_by(Splitter::with_limit(24), text.as_bytes(), pieces),
                    (expect.iter().map(|v| (*v).to_owned()).collect(), String::new()),
                    "{text}"
                );
            }
        };
        check(
            "{\"after\": null, \"n\": 17, \"posts\": [{\"id\":\"a\"}, {\"id\":\"b\"}], \"x\": \"y\"}",
            &["{\"id\":\"a\"}", "{\"id\":\"b\"}"],
        );
        check(
            "{\"k1\": {\"t\": 1}, \"k2\": {\"t\": 2}, \"k3\": {\"t\": 3}}",
            &["{\"k1\":{\"t\": 1}}", "{\"k2\":{\"t\": 2}}", "{\"k3\":{\"t\": 3}}"],
        );
        let long = cut_by(
            Splitter::with_limit(24),
            b"[{\"id\":\"a\",\"body\":\"0123456789012345678901234567890123456789\"},{\"id\":\"b\"}]",
            usize::MAX,
        );
        assert_eq!(long.0.first().map(String::as_str), Some("{\"id\":\"a\",\"body\":\"0123456…"));
        assert_eq!(long.0.last().map(String::as_str), Some("{\"id\":\"b\"}"));
    }

    #[test]
    fn any_bytes_in_any_pieces_cut_alike() {
        for seed in 0..500 {
            let mut rng = StdRng::seed_from_u64(seed);
            let alphabet = b"{}[]\",:\\\n a1\0";
            let text: Vec<u8> =
                (0..rng.random_range(0..200)).map(|_| alphabet[rng.random_range(0..alphabet.len())]).collect();
            let whole = cut_by(Splitter::with_limit(20), &text, usize::MAX);
            for pieces in [1, 3, 17] {
                assert_eq!(cut_by(Splitter::with_limit(20), &text, pieces), whole, "seed {seed}");
            }
        }
    }
}
