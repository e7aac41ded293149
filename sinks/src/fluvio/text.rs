//! Numbers, times and strings as JSON writes them, appended to bytes.

const DIGITS: &[u8; 200] = b"0001020304050607080910111213141516171819\
2021222324252627282930313233343536373839\
4041424344454647484950515253545556575859\
6061626364656667686970717273747576777879\
8081828384858687888990919293949596979899";

const HEX: &[u8; 16] = b"0123456789abcdef";

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes `value` in decimal.
#[inline]
pub fn write_u64(mut value: u64, out: &mut Vec<u8>) {
    let mut text = [0_u8; 20];
    let mut at = text.len();
    while value >= 100 {
        let pair = (value % 100) as usize * 2;
        value /= 100;
        at -= 2;
        text[at..at + 2].copy_from_slice(&DIGITS[pair..pair + 2]);
    }
    if value >= 10 {
        let pair = value as usize * 2;
        at -= 2;
        text[at..at + 2].copy_from_slice(&DIGITS[pair..pair + 2]);
    } else {
        at -= 1;
        text[at] = b'0' + value as u8;
    }
    out.extend_from_slice(&text[at..]);
}

/// Writes `value` in decimal.
#[inline]
pub fn write_i64(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    write_u64(value.unsigned_abs(), out);
}

/// Writes `text` (valid UTF-8) as a JSON string: quotes around it; quotes, backslashes and control characters escaped.
pub fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut from = 0;
    while let Some(found) = next_special(&text[from..]) {
        let at = from + found;
        out.extend_from_slice(&text[from..at]);
        write_escape(text[at], out);
        from = at + 1;
    }
    out.extend_from_slice(&text[from..]);
    out.push(b'"');
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Place of the first byte that must be escaped. Eight bytes at a time: a byte is special if the high bit of one of three
/// sums is set (Mycroft's test for a zero byte, with borrows that can only add matches above a true one).
#[inline]
fn next_special(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut words = text.chunks_exact(8);
    for (index, chunk) in words.by_ref().enumerate() {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(chunk);
        let word = u64::from_le_bytes(bytes);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = control | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5C));
        if found != 0 {
            return Some(index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let rest = words.remainder();
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    rest.iter().position(special).map(|at| text.len() - rest.len() + at)
}

/// Writes `bytes` in base64 with padding (RFC 4648, section 4).
pub fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        let letter = |place: u32| BASE64[(word >> (18 - 6 * place)) as usize & 63];
        let pad = |place: u32, from: usize| if three.len() >= from { letter(place) } else { b'=' };
        out.extend_from_slice(&[letter(0), letter(1), pad(2, 2), pad(3, 3)]);
    }
}

/// Writes the day `days` after 1970-01-01 as `2026-01-31`.
pub fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    if year < 0 {
        out.push(b'-');
    }
    write_padded(year.unsigned_abs(), 4, out);
    out.push(b'-');
    write_padded(month, 2, out);
    out.push(b'-');
    write_padded(day, 2, out);
}

/// Writes the time `time` after 1970, in units of which a second has `per_second`, with six digits of a second (nine for
/// nanoseconds): `2026-01-31T12:00:00.000000Z`.
pub fn write_time(time: i64, per_second: i64, utc: bool, out: &mut Vec<u8>) {
    let (seconds, part) = (time.div_euclid(per_second), time.rem_euclid(per_second));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400).unsigned_abs());
    write_date(days, out);
    for (mark, value) in [(b'T', second / 3600), (b':', second / 60 % 60), (b':', second % 60)] {
        out.push(mark);
        write_padded(value, 2, out);
    }
    out.push(b'.');
    if per_second > 1_000_000 {
        write_padded(part.unsigned_abs(), 9, out);
    } else {
        write_padded((part * (1_000_000 / per_second)).unsigned_abs(), 6, out);
    }
    if utc {
        out.push(b'Z');
    }
}

/// Writes `value` with zeros before it, `width` digits at least.
fn write_padded(value: u64, width: u32, out: &mut Vec<u8>) {
    let mut bound = 10_u64.pow(width - 1);
    while value < bound && bound > 1 {
        out.push(b'0');
        bound /= 10;
    }
    write_u64(value, out);
}

/// Year, month and day of the proleptic Gregorian calendar, `days` after 1970-01-01 (H. Hinnant, "chrono-compatible
/// low-level date algorithms").
fn civil(days: i64) -> (i64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month.unsigned_abs(), day.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn integers_of_every_length() {
        let mut value = 1_u64;
        for _ in 0..20 {
            for near in [value - 1, value, value + 1] {
                assert_eq!(text(|out| write_u64(near, out)), near.to_string());
            }
            value = value.saturating_mul(10).min(u64::MAX - 1);
        }
        for value in [i64::MIN, -100, -1, 0, i64::MAX] {
            assert_eq!(text(|out| write_i64(value, out)), value.to_string());
        }
    }

    #[test]
    fn strings_are_escaped_wherever_the_special_byte_stands() {
        for length in 0..20 {
            for at in 0..length {
                for special in (0_u8..0x20).chain([b'"', b'\\', 0x7F, b'!', b'#', b'[', b']']) {
                    let mut given = "aé€😀zzzzzzzzzzzzzzzzzz".chars().take(length).collect::<Vec<_>>();
                    given[at] = char::from(special);
                    let given: String = given.into_iter().collect();
                    let expect = serde_json::to_string(&given).expect("a string");
                    assert_eq!(text(|out| write_escaped(given.as_bytes(), out)), expect);
                }
            }
        }
    }

    #[test]
    fn base64_of_the_rfc() {
        for (given, expect) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(text(|out| write_base64(given.as_bytes(), out)), expect);
        }
        assert_eq!(text(|out| write_base64(&[0xFF, 0xFE, 0xFD], out)), "//79");
    }

    #[test]
    fn times_at_the_edges() {
        for (time, expect) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_769_860_800_123_456, "2026-01-31T12:00:00.123456Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (-62_135_596_800_000_001, "0000-12-31T23:59:59.999999Z"),
            (253_402_300_800_000_000, "10000-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(text(|out| write_time(time, 1_000_000, true, out)), expect);
        }
        assert_eq!(text(|out| write_time(1, 1, false, out)), "1970-01-01T00:00:01.000000");
        assert_eq!(text(|out| write_time(1_500, 1_000, true, out)), "1970-01-01T00:00:01.500000Z");
        assert_eq!(text(|out| write_time(7, 1_000_000_000, true, out)), "1970-01-01T00:00:00.000000007Z");
        // The ends of the type are far from any calendar, and no reason to panic.
        for time in [i64::MIN, i64::MAX] {
            assert!(text(|out| write_time(time, 1, true, out)).ends_with('Z'));
        }
    }
}
