//! What operators keep, as bytes and back.
//!
//! Numbers are written seven bits a byte, the lowest first, signs folded in (LEB128 after zigzag, as in Protocol Buffers);
//! strings with their length before them. What is read is what was written: files carry checksums.

const AS_WRITTEN: &str = "states are read as they were written";

/// Appends a number.
pub(crate) fn put_int(out: &mut Vec<u8>, value: i128) {
    let mut rest = ((value << 1) ^ (value >> 127)) as u128;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Reads a number and goes past it.
pub(crate) fn take_int(bytes: &mut &[u8]) -> i128 {
    let (mut folded, mut shift) = (0_u128, 0);
    loop {
        let (byte, rest) = bytes.split_first().expect(AS_WRITTEN);
        *bytes = rest;
        folded |= u128::from(byte & 0x7F) << shift;
        shift += 7;
        if *byte < 0x80 {
            return (folded >> 1) as i128 ^ -((folded & 1) as i128);
        }
    }
}

/// Appends a length.
pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_int(out, len as i128);
}

/// Reads a length and goes past it.
pub(crate) fn take_len(bytes: &mut &[u8]) -> usize {
    usize::try_from(take_int(bytes)).expect(AS_WRITTEN)
}

/// Appends a string.
pub(crate) fn put_bytes(out: &mut Vec<u8>, string: &[u8]) {
    put_len(out, string.len());
    out.extend_from_slice(string);
}

/// Reads a string and goes past it.
pub(crate) fn take_bytes<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let len = take_len(bytes);
    let (string, rest) = bytes.split_at_checked(len).expect(AS_WRITTEN);
    *bytes = rest;
    string
}

/// Reads so many bytes and goes past them.
pub(crate) fn take_array<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (array, rest) = bytes.split_first_chunk().expect(AS_WRITTEN);
    *bytes = rest;
    *array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let numbers = [0, 1, -1, 63, 64, -65, i128::from(i64::MAX), i128::from(i64::MIN), i128::MAX, i128::MIN];
        let mut out = Vec::new();
        numbers.iter().for_each(|number| put_int(&mut out, *number));
        put_bytes(&mut out, b"two\0words");
        out.extend_from_slice(&[7, 8, 9]);
        let mut bytes = &out[..];
        assert!(numbers.iter().all(|number| take_int(&mut bytes) == *number));
        assert_eq!(take_bytes(&mut bytes), b"two\0words");
        assert_eq!(take_array::<3>(&mut bytes), [7, 8, 9]);
        assert!(bytes.is_empty());
    }
}
