//! `to_char(time, pattern)` with PostgreSQL's patterns.
//!
//! Names that are known, in capitals or small letters: years `YYYY YYY YY Y Y,YYY`, `IYYY IYY IY I`, `CC`, `BC AD B.C. A.D.`;
//! `Q`; months `MM`, `Month MON …`, `RM`; weeks `WW IW W`; days `DDD DD D IDDD ID J`, `Day DY …`; `HH24 HH12 HH`, `MI`, `SS`,
//! `SSSSS SSSS`, `MS US FF1`–`FF6`, `AM PM A.M. P.M.`; `FM` before a name leaves out what pads it, and `th` behind a number
//! makes it an ordinal. Everything else stands for itself.

use std::fmt::Write as _;

use catchment_contract::arrow::array::{ArrayRef, AsArray};
use catchment_contract::arrow::datatypes::TimestampMicrosecondType;
use datafusion_common::{Result, internal_err};

use super::calendar::{DAY, Date, HOUR, MINUTE, SECOND, days};
use super::text::written;

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field { field: Field, padded: bool, ordinal: Option<Case>, case: Case },
}

/// How letters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
    Title,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year(u8),
    YearWithComma,
    IsoYear(u8),
    Century,
    Era,
    EraWithDots,
    Quarter,
    Month,
    MonthName,
    MonthShort,
    MonthRoman,
    WeekOfYear,
    IsoWeek,
    WeekOfMonth,
    DayOfYear,
    IsoDayOfYear,
    Day,
    DayOfWeek,
    IsoDayOfWeek,
    DayName,
    DayShort,
    Julian,
    Hour24,
    Hour12,
    Minute,
    Second,
    SecondOfDay,
    Fraction(u8),
    Half,
    HalfWithDots,
    /// The zone of a time, which has none.
    Zone,
}

/// What begins like another stands first.
const FIELDS: [(&str, Field); 50] = [
    ("A.D.", Field::EraWithDots),
    ("B.C.", Field::EraWithDots),
    ("A.M.", Field::HalfWithDots),
    ("P.M.", Field::HalfWithDots),
    ("AD", Field::Era),
    ("BC", Field::Era),
    ("AM", Field::Half),
    ("PM", Field::Half),
    ("CC", Field::Century),
    ("DAY", Field::DayName),
    ("DDD", Field::DayOfYear),
    ("DD", Field::Day),
    ("DY", Field::DayShort),
    ("D", Field::DayOfWeek),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("I", Field::IsoYear(1)),
    ("J", Field::Julian),
    ("MI", Field::Minute),
    ("MM", Field::Month),
    ("MONTH", Field::MonthName),
    ("MON", Field::MonthShort),
    ("MS", Field::Fraction(3)),
    ("OF", Field::Zone),
    ("Q", Field::Quarter),
    ("RM", Field::MonthRoman),
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("SS", Field::Second),
    ("TZ", Field::Zone),
    ("US", Field::Fraction(6)),
    ("WW", Field::WeekOfYear),
    ("W", Field::WeekOfMonth),
    ("Y,YYY", Field::YearWithComma),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

/// A pattern, taken apart.
pub(in crate::rewrite) struct Pattern(Vec<Piece>);

impl Pattern {
    /// `text` as a pattern.
    pub fn of(text: &str) -> Pattern {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some(first) = rest.chars().next() {
            let (unpadded, behind) = prefixes(rest);
            if let Some((field, case, length)) = field(behind) {
                rest = &behind[length..];
                let ordinal = match rest.get(..2) {
                    Some("TH") => Some(Case::Upper),
                    Some("th") => Some(Case::Lower),
                    _ => None,
                };
                rest = if ordinal.is_some() { &rest[2..] } else { rest };
                pieces.push(Piece::Field { field, padded: !unpadded, ordinal, case });
            } else if first == '"' {
                let mut quoted = String::new();
                let mut characters = rest[1..].char_indices();
                let mut end = rest.len();
                while let Some((place, character)) = characters.next() {
                    match character {
                        '"' => {
                            end = place + 2;
                            break;
                        }
                        '\\' => quoted.extend(characters.next().map(|(_, escaped)| escaped)),
                        other => quoted.push(other),
                    }
                }
                literal(&mut pieces, &quoted);
                rest = &rest[end..];
            } else if let Some(behind) = rest.strip_prefix("\\\"") {
                literal(&mut pieces, "\"");
                rest = behind;
            } else {
                literal(&mut pieces, &rest[..first.len_utf8()]);
                rest = &rest[first.len_utf8()..];
            }
        }
        Pattern(pieces)
    }

    /// Whether the pattern asks for the zone of a time, which times here do not have.
    pub fn has_zone(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Field { field: Field::Zone, .. }))
    }

    /// Whether there is a name in the pattern.
    pub fn has_field(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Field { .. }))
    }

    /// Each of `times`, in microseconds, written so.
    pub(super) fn write(&self, times: &ArrayRef) -> Result<ArrayRef> {
        let Some(times) = times.as_primitive_opt::<TimestampMicrosecondType>() else {
            return internal_err!("{} is no time in microseconds", times.data_type());
        };
        if self.0.is_empty() {
            // To PostgreSQL this is null.
            return Ok(written(times.iter().map(|_| None::<i64>), |_, _| {}));
        }
        Ok(written(times.iter(), |text, micros| {
            for piece in &self.0 {
                match piece {
                    Piece::Text(literal) => text.push_str(literal),
                    Piece::Field { field, padded, ordinal, case } => {
                        let from = text.len();
                        field.write(text, micros, *padded, *case);
                        if let Some(case) = ordinal {
                            let suffix = suffix(&text[from..]);
                            text.push_str(&cased(suffix, *case));
                        }
                    }
                }
            }
        }))
    }
}

fn literal(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Text(last)) => last.push_str(text),
        _ => pieces.push(Piece::Text(text.to_string())),
    }
}

/// Whether `FM` stands before what follows, and what follows.
fn prefixes(mut rest: &str) -> (bool, &str) {
    let mut unpadded = false;
    while let Some(prefix) = rest.get(..2) {
        match prefix {
            "FM" | "fm" => unpadded = true,
            "FX" | "fx" => {}
            _ => break,
        }
        rest = &rest[2..];
    }
    (unpadded, rest)
}

/// The field that `text` begins with, how it is written, and its length.
fn field(text: &str) -> Option<(Field, Case, usize)> {
    let single = ("Y", Field::Year(1));
    for (name, field) in FIELDS.into_iter().chain([single]) {
        let Some(found) = text.get(..name.len()) else { continue };
        if found == name {
            return Some((field, Case::Upper, name.len()));
        }
        if found == name.to_lowercase() {
            return Some((field, Case::Lower, name.len()));
        }
        let is_name = matches!(field, Field::DayName | Field::DayShort | Field::MonthName | Field::MonthShort);
        if is_name && found == cased(name, Case::Title) {
            return Some((field, Case::Title, name.len()));
        }
    }
    None
}

fn cased(text: &str, case: Case) -> String {
    match case {
        Case::Upper => text.to_uppercase(),
        Case::Lower => text.to_lowercase(),
        Case::Title => {
            let (first, rest) = text.split_at(1);
            first.to_uppercase() + &rest.to_lowercase()
        }
    }
}

/// What makes an ordinal of a number.
fn suffix(number: &str) -> &'static str {
    let tens = number.len() >= 2 && number.as_bytes()[number.len() - 2] == b'1';
    match number.as_bytes().last() {
        Some(b'1') if !tens => "st",
        Some(b'2') if !tens => "nd",
        Some(b'3') if !tens => "rd",
        _ => "th",
    }
}

impl Field {
    fn write(self, text: &mut String, micros: i64, padded: bool, case: Case) {
        let (date, of_day) = (Date::at(micros), micros.rem_euclid(DAY));
        let called = |year: i64| if year > 0 { year } else { 1 - year };
        let (number, width) = match self {
            Field::Year(4) => (called(date.year), 4),
            Field::Year(digits) => (called(date.year) % 10_i64.pow(digits.into()), digits.into()),
            Field::IsoYear(4) => (called(date.iso_week().0), 4),
            Field::IsoYear(digits) => (called(date.iso_week().0) % 10_i64.pow(digits.into()), digits.into()),
            Field::Century => (date.century(), 2),
            Field::Quarter => ((date.month - 1) / 3 + 1, 1),
            Field::Month => (date.month, 2),
            Field::WeekOfYear => ((date.day_of_year() - 1) / 7 + 1, 2),
            Field::IsoWeek => (date.iso_week().1, 2),
            Field::WeekOfMonth => ((date.day - 1) / 7 + 1, 1),
            Field::DayOfYear => (date.day_of_year(), 3),
            Field::IsoDayOfYear => {
                let fourth = Date::of(days(date.iso_week().0, 1, 4));
                (date.days - (fourth.days - (fourth.iso_weekday() - 1)) + 1, 3)
            }
            Field::Day => (date.day, 2),
            Field::DayOfWeek => (date.iso_weekday() % 7 + 1, 1),
            Field::IsoDayOfWeek => (date.iso_weekday(), 1),
            Field::Julian => (date.days + 2_440_588, 1),
            Field::Hour24 => (of_day / HOUR, 2),
            Field::Hour12 => ((of_day / HOUR + 11) % 12 + 1, 2),
            Field::Minute => (of_day / MINUTE % 60, 2),
            Field::Second => (of_day / SECOND % 60, 2),
            Field::SecondOfDay => (of_day / SECOND, 1),
            Field::Fraction(digits) => (of_day % SECOND / 10_i64.pow(6 - u32::from(digits)), usize::from(digits)),
            named => return named.write_name(text, date, of_day, padded, case),
        };
        // The digits of a second are never left out.
        let width = if padded || matches!(self, Field::Fraction(_)) { width } else { 1 };
        // Writing to a text never fails.
        let _ = write!(text, "{number:0width$}");
    }

    /// What is written in letters.
    fn write_name(self, text: &mut String, date: Date, of_day: i64, padded: bool, case: Case) {
        let month = usize::try_from(date.month - 1).unwrap_or(0);
        let day = usize::try_from(date.iso_weekday() - 1).unwrap_or(0);
        let before = date.year <= 0;
        let morning = of_day < 12 * HOUR;
        let (name, width) = match self {
            Field::MonthName => (MONTHS[month], 9),
            Field::MonthShort => (&MONTHS[month][..3], 0),
            Field::MonthRoman => (ROMAN[month], 4),
            Field::DayName => (DAYS[day], 9),
            Field::DayShort => (&DAYS[day][..3], 0),
            Field::Era => (if before { "BC" } else { "AD" }, 0),
            Field::EraWithDots => (if before { "B.C." } else { "A.D." }, 0),
            Field::Half => (if morning { "AM" } else { "PM" }, 0),
            Field::HalfWithDots => (if morning { "A.M." } else { "P.M." }, 0),
            Field::YearWithComma => {
                let year = if before { 1 - date.year } else { date.year };
                let _ = write!(text, "{},{:03}", year / 1000, year % 1000);
                return;
            }
            _ => ("", 0),
        };
        let width = if padded { width } else { 0 };
        let _ = write!(text, "{:width$}", cased(name, case));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use catchment_contract::arrow::array::TimestampMicrosecondArray;

    use super::*;

    #[test]
    fn patterns_are_postgresqls() {
        let at: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1_706_704_205_012_345])); // 2024-01-31 12:30:05
        let check = |pattern: &str, expect: &str| {
            let made = Pattern::of(pattern).write(&at).expect("a time");
            assert_eq!(made.as_string_view().value(0), expect, "{pattern}");
        };
        check("YYYY-MM-DD HH24:MI:SS.US", "2024-01-31 12:30:05.012345");
        check("yyyy-mm-dd hh12:mi pm", "2024-01-31 12:30 pm");
        check("Day, DD Month YYYY", "Wednesday, 31 January   2024");
        check("FMDay, FMDDth FMMonth", "Wednesday, 31st January");
        check("MON mon Mon", "JAN jan Jan");
        check("IYYY-\"W\"IW-ID", "2024-W05-3");
        check("Q WW D DDD J CC", "1 05 4 031 2460341 21");
        check("MS FF1 SSSS", "012 0 45005");
        check("at HH24", "at 12");
        check("Y,YYY YY Y", "2,024 24 4");
        check("FMMM/FMDD", "1/31");
        assert!(Pattern::of("HH24 TZ").has_zone());
        assert!(!Pattern::of("%H").has_field());
    }
}
