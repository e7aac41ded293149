//! The proleptic Gregorian calendar over the whole range of 64-bit microseconds: nothing here fails or wraps.

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(in crate::rewrite) const DAY: i64 = 24 * HOUR;

/// A day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    /// Days since 1970-01-01.
    pub days: i64,
    /// The year; 0 is 1 BC.
    pub year: i64,
    pub month: i64,
    pub day: i64,
}

impl Date {
    /// The date `days` after 1970-01-01. (Hinnant, "chrono-compatible low-level date algorithms".)
    pub fn of(days: i64) -> Date {
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        Date { days, year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
    }

    /// The date of a time in microseconds.
    pub fn at(micros: i64) -> Date {
        Date::of(micros.div_euclid(DAY))
    }

    /// From 1 to 366.
    pub fn day_of_year(self) -> i64 {
        self.days - days(self.year, 1, 1) + 1
    }

    /// From 1, Monday, to 7.
    pub fn iso_weekday(self) -> i64 {
        (self.days + 3).rem_euclid(7) + 1
    }

    /// The year that the week belongs to, and the week's number in it: the first week has the year's first Thursday.
    pub fn iso_week(self) -> (i64, i64) {
        let thursday = Date::of(self.days + 4 - self.iso_weekday());
        (thursday.year, (thursday.day_of_year() - 1) / 7 + 1)
    }

    /// The number of the century: the year 2000 is of the 20th. There is none called 0.
    pub fn century(self) -> i64 {
        era(self.year, 100)
    }

    /// The number of the millennium, as centuries are numbered.
    pub fn millennium(self) -> i64 {
        era(self.year, 1000)
    }
}

/// Which span of `length` years holds `year`, the first one beginning with the year 1 and the one before it called -1.
fn era(year: i64, length: i64) -> i64 {
    if year > 0 { (year + length - 1) / length } else { -((length - year) / length) }
}

/// Days from 1970-01-01 to a date.
pub(super) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A date at midnight in microseconds, as near to it as 64 bits go.
pub(super) fn midnight(days: i64) -> i64 {
    days.saturating_mul(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_are_each_other() {
        for (text, days_of) in
            [((1970, 1, 1), 0), ((2000, 2, 29), 11_016), ((1, 1, 1), -719_162), ((0, 12, 31), -719_163)]
        {
            let (year, month, day) = text;
            assert_eq!(days(year, month, day), days_of);
            assert_eq!(Date::of(days_of), Date { days: days_of, year, month, day });
        }
        for day in (-106_751_991..106_751_991).step_by(9_973) {
            let date = Date::of(day);
            assert_eq!(days(date.year, date.month, date.day), day);
        }
    }

    #[test]
    fn weeks_and_centuries() {
        let of = |year, month, day| Date::of(days(year, month, day));
        assert_eq!(of(2024, 12, 30).iso_week(), (2025, 1));
        assert_eq!(of(2023, 1, 1).iso_week(), (2022, 52));
        assert_eq!(of(2020, 12, 31).iso_week(), (2020, 53));
        assert_eq!(of(2024, 1, 31).iso_weekday(), 3);
        assert_eq!(
            [of(2000, 1, 1), of(2001, 1, 1), of(1, 1, 1), of(0, 1, 1), of(-100, 1, 1)].map(Date::century),
            [20, 21, 1, -1, -2]
        );
        assert_eq!(of(2001, 1, 1).millennium(), 3);
    }
}
