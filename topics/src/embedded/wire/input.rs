//! Bytes of a request, read without trusting them.
//!
//! The protocol crate's decoders grow vectors by claimed counts, and some subtract lengths before they compare them. In
//! a process that aborts on a panic no peer may reach those: every request is read here instead, and each read says what
//! is missing. Nothing is allocated that the bytes at hand do not account for.
//!
//! Integers are big-endian. A text is an i16 length (0 or less: empty) and UTF-8; a blob is an i32 length and bytes; a
//! list is an i32 count (0 or less: empty) and its items; an optional value is a byte, 0 or 1, and the value.

use std::fmt;

use bytes::Bytes;

/// Why a request cannot be read; ends its connection.
#[derive(Debug)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What could be read.
pub type Read<T> = Result<T, Malformed>;

/// What is left of a request.
#[derive(Clone, Debug)]
pub struct Input(Bytes);

impl Input {
    /// All of `bytes`.
    pub fn new(bytes: Bytes) -> Input {
        Input(bytes)
    }

    fn take(&mut self, count: usize) -> Read<Bytes> {
        if self.0.len() < count {
            return Err(Malformed(format!("{count} bytes were expected, and {} are there", self.0.len())));
        }
        Ok(self.0.split_to(count))
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let bytes = self.take(N)?;
        Ok(*bytes.first_chunk().expect("take gave as many bytes as were asked for"))
    }

    /// One byte.
    pub fn u8(&mut self) -> Read<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    /// Two bytes.
    pub fn i16(&mut self) -> Read<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Read<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn i32(&mut self) -> Read<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn i64(&mut self) -> Read<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// A byte that is 0 or 1.
    pub fn bool(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Malformed(format!("{other} is neither 0 nor 1"))),
        }
    }

    /// A text; at most 32,767 bytes by its length's type.
    pub fn text(&mut self) -> Read<String> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        let bytes = self.take(length)?;
        String::from_utf8(bytes.into()).map_err(|_| Malformed("a text is not UTF-8".to_owned()))
    }

    /// A blob, which shares the request's memory.
    pub fn blob(&mut self) -> Read<Bytes> {
        let length = usize::try_from(self.i32()?).map_err(|_| Malformed("a length is negative".to_owned()))?;
        self.take(length)
    }

    /// A value that may be missing.
    pub fn optional<T>(&mut self, read: impl FnOnce(&mut Input) -> Read<T>) -> Read<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// How many items of a list follow, at most `max`.
    pub fn count(&mut self, max: usize) -> Read<usize> {
        let count = usize::try_from(self.i32()?).unwrap_or(0);
        if count > max {
            return Err(Malformed(format!("a list of {count} items is over the limit of {max}")));
        }
        Ok(count)
    }

    /// A list of at most `max` items.
    pub fn list<T>(&mut self, max: usize, mut read: impl FnMut(&mut Input) -> Read<T>) -> Read<Vec<T>> {
        let count = self.count(max)?;
        // Grown as items come: a count alone allocates nothing.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }
}
