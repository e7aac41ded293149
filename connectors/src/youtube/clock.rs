//! Clock times as captions write them, and lines that hold two of them.
//!
//! A time is `[H:]MM:SS` with a fraction behind a point or a comma. What tools make of that is read too: blanks beside the
//! separators, digits and signs of other scripts (machine translation leaves both), a minus sign, a fourth part of three
//! digits (milliseconds) or of one or two ([`FRAMES_PER_SECOND`] frames), and milliseconds with a fraction of their own
//! (`00:00:04,560.25`, what a program writes that prints a float). Times are rounded to microseconds.

/// Frames of a second where a document does not say how many: TTML's default.
pub(super) const FRAMES_PER_SECOND: f64 = 30.0;

/// The most digits of one part of a time. Six digits of hours are a century.
const PART_DIGITS_MAX: usize = 6;

/// The most digits of a fraction; the rest is dropped.
const FRACTION_DIGITS_MAX: usize = 15;

/// The start and the end of a caption, in seconds.
pub(super) type Times = (f64, f64);

/// What stands between two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrow {
    /// `-->`.
    Plain,
    /// Something with a head: `->`, `=>`, `→`, `–>`, `--&gt;`.
    Odd,
    /// A dash of some length, which could as well be what somebody says: `9:00 - 10:00`.
    Dash,
}

/// The times of `00:00:01.500 --> 00:00:02.000 align:start`, and their arrow.
///
/// Behind times with another arrow than `-->`, nothing other than cue settings (`line:0`, `X1:40`) may follow: it could be
/// what somebody says.
pub(super) fn timing(line: &str) -> Option<(Times, Arrow)> {
    let mut scan = Scan::new(line);
    let start = scan.clock()?;
    let arrow = scan.arrow()?;
    let end = scan.clock()?;
    let rest = scan.rest();
    let is_settings = || rest.split_whitespace().all(|word| word.contains(':'));
    let is_end = (arrow == Arrow::Plain && rest.starts_with(char::is_whitespace)) || is_settings();
    is_end.then_some(((start, end), arrow))
}

/// The times of SBV's `0:00:01.000,0:00:02.000`.
pub(super) fn sbv_timing(line: &str) -> Option<Times> {
    let (start, end) = line.trim().split_once(',')?;
    Some((clock(start)?, clock(end)?))
}

/// Whether a line seems to hold the times of a caption that cannot be read: a number with a colon, then an arrow.
pub(super) fn is_bad_timing(line: &str) -> bool {
    let Some((before, _)) = line.split_once("-->") else { return false };
    let before = before.trim_start().trim_start_matches('-');
    before.starts_with(|c: char| ascii(c).is_ascii_digit()) && before.contains([':', '\u{ff1a}'])
}

/// Whether a line holds two clock times and nothing in letters: times of a caption in a form that [`timing`] may not know.
pub(super) fn is_time_range(line: &str) -> bool {
    let colons = line.chars().filter(|c| ascii(*c) == ':').count();
    colons >= 2
        && !line.contains(char::is_alphabetic)
        && first_clock(line).is_some_and(|(_, rest)| {
            let rest = rest.trim_start_matches(|c: char| !ascii(c).is_ascii_digit());
            first_clock(rest).is_some()
        })
}

/// Seconds of a text that is one time.
pub(super) fn clock(text: &str) -> Option<f64> {
    first_clock(text).filter(|(_, rest)| rest.trim().is_empty()).map(|(seconds, _)| seconds)
}

/// The time at the beginning of a text, and what follows it.
pub(super) fn first_clock(text: &str) -> Option<(f64, &str)> {
    let mut scan = Scan::new(text);
    let seconds = scan.clock()?;
    Some((seconds, scan.rest()))
}

/// Seconds to the microsecond, without the noise of binary fractions.
pub(super) fn rounded(seconds: f64) -> f64 {
    let micros = seconds * 1e6;
    if micros.is_finite() { micros.round() / 1e6 } else { seconds }
}

/// A place in a line, which moves over what it reads.
#[derive(Clone, Copy)]
struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Scan { rest: text }
    }

    fn rest(&self) -> &'a str {
        self.rest
    }

    /// Moves past blanks and marks of writing direction.
    fn blanks(&mut self) {
        let is_mark = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || is_mark(c));
    }

    /// Moves past blanks and one of `signs`, which it returns; else stays.
    fn sign(&mut self, signs: &[char]) -> Option<char> {
        let mut ahead = *self;
        ahead.blanks();
        let first = ahead.rest.chars().next()?;
        let sign = ascii(first);
        signs.contains(&sign).then(|| {
            self.rest = &ahead.rest[first.len_utf8()..];
            sign
        })
    }

    /// Moves past blanks and digits, which it returns; else stays.
    fn digits(&mut self) -> Option<String> {
        let mut ahead = *self;
        ahead.blanks();
        let digits: String = ahead.rest.chars().map(ascii).take_while(char::is_ascii_digit).collect();
        let bytes: usize = ahead.rest.chars().take(digits.len()).map(char::len_utf8).sum();
        (!digits.is_empty()).then(|| {
            self.rest = &ahead.rest[bytes..];
            digits
        })
    }

    fn clock(&mut self) -> Option<f64> {
        let negative = self.sign(&['-']).is_some();
        let mut parts = vec![self.digits()?];
        while parts.len() < 4
            && let Some(part) = self.after(&[':', ';'])
        {
            parts.push(part);
        }
        if parts.len() < 2 || parts.iter().any(|part| part.len() > PART_DIGITS_MAX) {
            return None;
        }
        let last = if parts.len() == 4 { parts.pop() } else { None };
        let whole = parts.iter().try_fold(0.0, |seconds, part| Some(seconds * 60.0 + part.parse::<f64>().ok()?))?;
        let fraction = match last {
            Some(millis) if millis.len() >= 3 => decimal(&millis)?,
            Some(frames) => frames.parse::<f64>().ok()? / FRAMES_PER_SECOND,
            None => self.fraction()?,
        };
        let seconds = rounded(whole + fraction);
        Some(if negative && seconds > 0.0 { -seconds } else { seconds })
    }

    /// The fraction of a second behind the point, 0 without one; none if it is no number.
    fn fraction(&mut self) -> Option<f64> {
        let Some(sign) = self.clone().sign(&['.', ',']) else { return Some(0.0) };
        let Some(digits) = self.after(&['.', ',']) else { return Some(0.0) };
        let mut ahead = *self;
        let other = if sign == '.' { ',' } else { '.' };
        match ahead.after(&[other]) {
            // Digits behind the other sign that begin a time (`0:00:01.000,0:00:02.000`) are none of this one's.
            Some(more) if ahead.clone().sign(&[':']).is_none() => {
                *self = ahead;
                Some((digits.parse::<f64>().ok()? + decimal(&more)?) / 1000.0)
            }
            _ => decimal(&digits),
        }
    }

    /// Moves past one of `signs` and the digits behind it; else stays.
    fn after(&mut self, signs: &[char]) -> Option<String> {
        let mut ahead = *self;
        ahead.sign(signs)?;
        let digits = ahead.digits()?;
        *self = ahead;
        Some(digits)
    }

    fn arrow(&mut self) -> Option<Arrow> {
        self.blanks();
        if let Some(rest) = self.rest.strip_prefix("-->") {
            self.rest = rest;
            return Some(Arrow::Plain);
        }
        let is_shaft =
            |c: char| matches!(c, '-' | '=' | '~' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe63}' | '\u{ff0d}');
        let is_head = |c: char| matches!(c, '>' | '\u{203a}' | '\u{2192}' | '\u{27f6}' | '\u{ff1e}' | '\u{bb}');
        let trimmed = self.rest.trim_start_matches(|c: char| is_shaft(c) || c == ' ');
        let shaft = &self.rest[..self.rest.len() - trimmed.len()];
        let after_head = trimmed.trim_start_matches(is_head);
        let after_head = trimmed.strip_prefix("&gt;").unwrap_or(after_head);
        if after_head.len() == trimmed.len() && shaft.trim().is_empty() {
            return None;
        }
        self.rest = after_head;
        Some(if after_head.len() == trimmed.len() { Arrow::Dash } else { Arrow::Odd })
    }
}

/// `0.DIGITS`.
fn decimal(digits: &str) -> Option<f64> {
    let digits = &digits[..digits.len().min(FRACTION_DIGITS_MAX)];
    format!("0.{digits}").parse().ok()
}

/// A digit or sign of ASCII for what other scripts write.
fn ascii(c: char) -> char {
    let digit = |zero: u32| char::from_digit(u32::from(c) - zero, 10).unwrap_or(c);
    match c {
        '\u{660}'..='\u{669}' => digit(0x660),
        '\u{6f0}'..='\u{6f9}' => digit(0x6f0),
        '\u{966}'..='\u{96f}' => digit(0x966),
        '\u{9e6}'..='\u{9ef}' => digit(0x9e6),
        '\u{ff10}'..='\u{ff19}' => digit(0xff10),
        '\u{ff1a}' | '\u{2236}' | '\u{fe55}' => ':',
        '\u{ff0c}' | '\u{60c}' | '\u{66b}' | '\u{3001}' => ',',
        '\u{ff0e}' | '\u{3002}' => '.',
        '\u{2212}' => '-',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        for (text, expect) in [
            ("00:01.500", Some(1.5)),
            ("1:2:3", Some(3723.0)),
            ("00:00:01,5", Some(1.5)),
            ("00:00:04,560.0000000000009", Some(4.56)),
            ("00:01:00,481.7421875", Some(60.481742)),
            ("00:00:04.5600000000000009", Some(4.56)),
            ("00: 00: 01, 000", Some(1.0)),
            ("00:00:01:250", Some(1.25)),
            ("00:00:01:15", Some(1.5)),
            ("00:00:01;15", Some(1.5)),
            ("-00:00:01,000", Some(-1.0)),
            ("-00:00:00,000", Some(0.0)),
            ("00:75:00", Some(4500.0)),
            ("100:00:00", Some(360_000.0)),
            ("\u{660}\u{660}:\u{660}\u{661}\u{66b}\u{665}", Some(1.5)),
            ("\u{ff10}\u{ff10}\u{ff1a}\u{ff10}\u{ff11}", Some(1.0)),
            ("0:05", Some(5.0)),
            ("5", None),
            ("00:aa", None),
            ("00:01.500x", None),
            ("1234567:00", None),
            ("", None),
            (":", None),
        ] {
            assert_eq!(clock(text), expect, "{text}");
        }
    }

    #[test]
    fn time_lines() {
        for (line, expect) in [
            ("00:01.000 --> 00:02.000", Some((1.0, 2.0))),
            ("00:01.000-->00:02.000 align:start position:0%", Some((1.0, 2.0))),
            ("  00:00:01,000 --> 00:00:02,000  X1:40 X2:600 Y1:20 Y2:50", Some((1.0, 2.0))),
            ("00:00:01,000 --> 00:00:02,000 anything", Some((1.0, 2.0))),
            ("00:00:01,000 -> 00:00:02,000", Some((1.0, 2.0))),
            ("00:00:01,000 \u{2013}> 00:00:02,000", Some((1.0, 2.0))),
            ("00:00:01,000 \u{2014} 00:00:02,000", Some((1.0, 2.0))),
            ("00:00:01,000 - -> 00:00:02,000", Some((1.0, 2.0))),
            ("00:00:01,000 \u{2192} 00:00:02,000", Some((1.0, 2.0))),
            ("00:00:01,000 --&gt; 00:00:02,000 line:0", Some((1.0, 2.0))),
            ("00: 00: 01, 000 -> 00: 00: 02, 000", Some((1.0, 2.0))),
            ("00:00:01:000 --> 00:00:02:000", Some((1.0, 2.0))),
            ("00:00:02,000 --> 00:00:01,000", Some((2.0, 1.0))),
            ("-00:00:01,000 --> 00:00:02,000", Some((-1.0, 2.0))),
            ("from 00:01 -> 00:02", None),
            ("00:01 -> 00:02 is the best part", None),
            ("00:01 00:02", None),
            ("1 --> 2", None),
            ("int --> float", None),
            ("", None),
        ] {
            assert_eq!(timing(line).map(|(times, _)| times), expect, "{line}");
        }
        for (arrow, expect) in
            [("-->", Arrow::Plain), ("->", Arrow::Odd), ("-", Arrow::Dash), ("\u{2013}>", Arrow::Odd)]
        {
            assert_eq!(timing(&format!("00:01 {arrow} 00:02")).map(|(_, arrow)| arrow), Some(expect));
        }
        assert_eq!(sbv_timing("0:00:01.000,0:00:02.500"), Some((1.0, 2.5)));
        assert_eq!(sbv_timing("0:00:01.000, text"), None);
        assert!(is_bad_timing("00:aa --> 00:02.000") && !is_bad_timing("int --> float") && !is_bad_timing("1 --> 2"));
        assert!(is_time_range("00:00:01,000 / 00:00:02,000") && !is_time_range("00:01 and 00:02"));
    }
}
