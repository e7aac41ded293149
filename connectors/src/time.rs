//! Times from outside: the years 1 to 9999 ([`MICROS`]). What lies outside is taken for an error of whoever wrote it.

use std::ops::RangeInclusive;

use jiff::civil;
use jiff::fmt::rfc2822;
use jiff::fmt::temporal::DateTimeParser;

pub(crate) use catchment_contract::WRITABLE_MICROS as MICROS;

static PARSER: DateTimeParser = DateTimeParser::new();

/// Days since 1970.
pub(crate) const DAYS: RangeInclusive<i64> = -719_162..=2_932_896;

/// Microseconds since 1970 of an ISO-8601 time: with an offset, or UTC without one; a date alone is its midnight. Digits
/// after the microseconds are dropped. `UTC` and `GMT` at its end are read, as BigQuery writes them, and so are the times of
/// RFC 2822 (`Tue, 14 Nov 2023 22:13:20 GMT`).
pub(crate) fn micros(text: &str) -> Option<i64> {
    let zoned = [" UTC", " GMT"].into_iter().find_map(|zone| text.strip_suffix(zone));
    iso(zoned.unwrap_or(text)).or_else(|| {
        let micros = rfc2822::parse(text).ok()?.timestamp().as_microsecond();
        MICROS.contains(&micros).then_some(micros)
    })
}

fn iso(text: &str) -> Option<i64> {
    // Not as an instant: for the parser of those the last day of 9999 is none, since in some time zone it is a day later.
    let pieces = PARSER.parse_pieces(text).ok()?;
    let offset = match (pieces.to_numeric_offset(), pieces.time_zone_annotation()) {
        (Some(offset), _) => offset.seconds(),
        (None, None) => 0,
        // `[Europe/Berlin]` alone: which offset that was, a calendar of zones would have to say.
        (None, Some(_)) => return None,
    };
    let local = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let since = local.duration_since(civil::date(1970, 1, 1).at(0, 0, 0, 0)).as_nanos().div_euclid(1_000);
    let micros = i64::try_from(since).ok()? - i64::from(offset) * 1_000_000;
    MICROS.contains(&micros).then_some(micros)
}

/// Days since 1970 of an ISO-8601 date.
pub(crate) fn days(text: &str) -> Option<i64> {
    let since = text.parse::<civil::Date>().ok()?.duration_since(civil::date(1970, 1, 1));
    Some(since.as_hours() / 24).filter(|days| DAYS.contains(days))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_years_1_to_9999() {
        let (first, last) = (*MICROS.start(), *MICROS.end());
        for (text, expect) in [
            ("1970-01-01T00:00:01Z", Some(1_000_000)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1970-01-02", Some(86_400_000_000)),
            ("1969-12-31 23:59:59.9999999", Some(-1)),
            ("1969-12-31T23:59:59.9999999Z", Some(-1)),
            ("9999-12-31T12:00:00+05:00", Some(last - 61_199_999_999)),
            ("9999-12-31T23:30:00-05:00", None),
            ("1970-01-01T01:00:00+01:00[Europe/Paris]", Some(0)),
            ("2024-06-01T12:00:00[Europe/Berlin]", None),
            ("0001-01-01T00:30:00+01:00", None),
            ("0001-01-01T00:00:00Z", Some(first)),
            ("0000-12-31T23:59:59Z", None),
            ("-000044-03-15T12:00:00Z", None),
            ("9999-12-31T23:59:59.999999Z", Some(last)),
            ("9999-12-31T23:59:59.999999", Some(last)),
            ("9999-12-31", Some(last / 1_000_000 * 1_000_000 - 86_399_000_000)),
            ("10000-01-01T00:00:00Z", None),
            ("1970-01-01 00:00:01 UTC", Some(1_000_000)),
            ("1970-01-01 00:00:01.5 GMT", Some(1_500_000)),
            ("Thu, 01 Jan 1970 00:00:01 GMT", Some(1_000_000)),
            ("Thu, 01 Jan 1970 01:00:01 +0100", Some(1_000_000)),
            ("2024-01-01T00:00:00+02:00 UTC", Some(1_704_060_000_000_000)),
            ("UTC", None),
            ("2024-02-30", None),
            ("yesterday", None),
            ("Z", None),
            ("", None),
        ] {
            assert_eq!(micros(text), expect, "{text}");
        }
        assert_eq!((days("1970-01-02"), days("0001-01-01")), (Some(1), Some(*DAYS.start())));
        assert_eq!((days("9999-12-31"), days("-000001-01-01")), (Some(*DAYS.end()), None));
    }
}
