//! Decimals from text, without a float in between.

/// The digits of `text` (`-12.50`, `1.5e3`) as a whole number of units of 10^-`scale`; `None` if it is no number, has more
/// than `precision` digits, or has digits below the last place that are not 0.
pub(crate) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (negative, rest) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (mantissa, exponent) = match rest.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e')) {
        Some(at) => (&rest[..at], std::str::from_utf8(&rest[at + 1..]).ok()?.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let (before, after) = (&mantissa[..point], mantissa.get(point + 1..).unwrap_or_default());
    if before.is_empty() && after.is_empty() {
        return None;
    }
    // Place of a digit, counted from the last one that the type keeps: 0 is that one, -1 would be lost.
    let first = i64::try_from(before.len()).ok()? - 1 + i64::from(exponent) + i64::from(scale);
    let mut value: i128 = 0;
    let mut place = first;
    for digit in before.iter().chain(after) {
        if !digit.is_ascii_digit() || (place < 0 && *digit != b'0') {
            return None;
        }
        if place >= 0 {
            value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        place -= 1;
    }
    // Places that the text leaves out.
    if place >= 0 && value != 0 {
        value = value.checked_mul(10_i128.checked_pow(u32::try_from(place + 1).ok()?)?)?;
    }
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (value < limit).then_some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_digits_stay_or_there_is_no_number() {
        let check = |text: &str, expect: Option<i128>| assert_eq!(decimal(text, 10, 2), expect, "{text}");
        check("12.50", Some(1_250));
        check("-0.07", Some(-7));
        check("+3", Some(300));
        check(".5", Some(50));
        check("5.", Some(500));
        check("1.5e3", Some(150_000));
        check("12500E-4", Some(125));
        check("12345678.90", Some(1_234_567_890));
        check("0.000", Some(0));
        check("0e999999999", Some(0));
        check("1.230", Some(123));
        for wrong in
            ["", "-", ".", "1.234", "123456789", "1e8", "1e-3", "1e999999999", "abc", "1,5", "1e", "NaN", "1.5.2"]
        {
            check(wrong, None);
        }
        assert_eq!(decimal("99999999999999999999999999999999999999", 38, 0), Some(10_i128.pow(38) - 1));
        assert_eq!(decimal("100000000000000000000000000000000000000", 38, 0), None);
        assert_eq!(decimal("9007199254740993.1", 38, 1), Some(90_071_992_547_409_931), "more than a float holds");
    }
}
