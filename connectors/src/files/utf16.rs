//! UTF-16 text as UTF-8: what Windows tools write when nobody asks them not to.
//!
//! Told by a byte order mark, or by NULs in every second byte of the first ones. A surrogate without its other half becomes
//! U+FFFD, and so does half a unit at the end.

use std::io::{self, Read};

/// How many first bytes [`order`] looks at.
pub(super) const SNIFF_BYTES: usize = 256;

/// Which of a unit's two bytes comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

/// The order of a text that begins with `head`, if it is UTF-16.
pub(super) fn order(head: &[u8]) -> Option<Order> {
    match head {
        [0xff, 0xfe, 0, 0, ..] => return None,
        [0xff, 0xfe, ..] => return Some(Order::Little),
        [0xfe, 0xff, ..] => return Some(Order::Big),
        _ => {}
    }
    let units = head.as_chunks::<2>().0;
    // Text begins with ASCII, whatever its language: a bracket, a tag, a digit.
    let ascii = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    let first = |n: usize, at: usize| units.len() >= n && units[..n].iter().all(|unit| ascii(unit[at]));
    let nuls = |at: usize| units.iter().filter(|unit| unit[at] == 0).count();
    let mostly = |at: usize| nuls(at) * 2 >= units.len() && nuls(1 - at) * 8 <= units.len();
    match () {
        () if first(2, 0) && mostly(1) => Some(Order::Little),
        () if first(2, 1) && mostly(0) => Some(Order::Big),
        () => None,
    }
}

/// Reads UTF-16 as UTF-8.
pub(super) struct Utf16<R> {
    inner: R,
    order: Order,
    /// A byte without its other half.
    odd: Option<u8>,
    /// A surrogate without its other half.
    high: Option<u16>,
    text: Vec<u8>,
    start: usize,
    over: bool,
}

impl<R: Read> Utf16<R> {
    pub(super) fn new(inner: R, order: Order) -> Self {
        Utf16 { inner, order, odd: None, high: None, text: Vec::new(), start: 0, over: false }
    }

    fn next(&mut self) -> io::Result<()> {
        self.text.clear();
        self.start = 0;
        let mut bytes = [0; 16 << 10];
        let read = self.inner.read(&mut bytes)?;
        let mut bytes = &bytes[..read];
        if read == 0 {
            self.over = true;
            let halves = usize::from(self.high.take().is_some()) + usize::from(self.odd.take().is_some());
            (0..halves).for_each(|_| self.put(char::REPLACEMENT_CHARACTER));
            return Ok(());
        }
        if let (Some(odd), [first, rest @ ..]) = (self.odd.take(), bytes) {
            self.unit([odd, *first]);
            bytes = rest;
        }
        let (units, rest) = bytes.as_chunks::<2>();
        units.iter().for_each(|unit| self.unit(*unit));
        self.odd = rest.first().copied();
        Ok(())
    }

    fn unit(&mut self, bytes: [u8; 2]) {
        let unit = match self.order {
            Order::Little => u16::from_le_bytes(bytes),
            Order::Big => u16::from_be_bytes(bytes),
        };
        if let Some(high) = self.high.take() {
            match char::decode_utf16([high, unit]).next() {
                Some(Ok(whole)) => return self.put(whole),
                _ => self.put(char::REPLACEMENT_CHARACTER),
            }
        }
        match unit {
            0xd800..=0xdbff => self.high = Some(unit),
            _ => self.put(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    fn put(&mut self, character: char) {
        self.text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.start == self.text.len() {
            if self.over {
                return Ok(0);
            }
            self.next()?;
        }
        let taken = into.len().min(self.text.len() - self.start);
        into[..taken].copy_from_slice(&self.text[self.start..][..taken]);
        self.start += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_with_and_without_a_mark() {
        let text = "{\"id\":\"a\",\"body\":\"ä 日本 😀 and some more letters\"}\n";
        for mark in ["", "\u{feff}"] {
            let units: Vec<u16> = (mark.to_owned() + text).encode_utf16().collect();
            let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
            for (bytes, expect) in [(little, Order::Little), (big, Order::Big)] {
                assert_eq!(order(&bytes[..bytes.len().min(SNIFF_BYTES)]), Some(expect));
                let mut read = String::new();
                Utf16::new(&bytes[..], expect).read_to_string(&mut read).unwrap();
                assert_eq!(read, format!("{mark}{text}"));
                let mut cut = String::new();
                Utf16::new(&bytes[..bytes.len() - 1], expect).read_to_string(&mut cut).unwrap();
                assert!(cut.ends_with("}\u{fffd}"), "{cut}");
            }
        }
        for other in ["{\"id\":\"a\"}\n", "", "\0\0\0\0{\"id\":\"a\"}", "a"] {
            assert_eq!(order(other.as_bytes()), None, "{other:?}");
        }
    }

    #[test]
    fn a_surrogate_alone_is_replaced() {
        let bytes: Vec<u8> = [0xd83d, 0x61, 0xdc00, 0xd83d].iter().flat_map(|unit: &u16| unit.to_le_bytes()).collect();
        let mut read = String::new();
        Utf16::new(&bytes[..], Order::Little).read_to_string(&mut read).unwrap();
        assert_eq!(read, "\u{fffd}a\u{fffd}\u{fffd}");
    }
}
