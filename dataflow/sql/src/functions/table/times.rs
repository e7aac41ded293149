//! Functions of times and dates.

use super::{Function, scalars};

/// By name.
#[rustfmt::skip]
pub(super) const FUNCTIONS: &[Function] = scalars! {
    "date_bin", "interval, time[, origin] → time", "the start of the bin that the time is in", "the interval is not positive, or the result out of range";
    "date_part datepart", "part, time → float", "a part of it, as `EXTRACT(part FROM time)` gives it", "there is no such part";
    "date_trunc datetrunc", "part, time → time", "the start of the hour, day, week, … that it is in", "there is no such part";
    "from_unixtime", "int[, zone] → time", "seconds since 1970 as a time", "it is out of range";
    "make_date", "year, month, day → date", "the date", "there is no such date";
    "make_time", "hour, minute, second → time of day", "the time of day", "there is no such time";
    "to_char date_format", "time, format → text", "as the format says (chrono's)", "the format is not valid";
    "to_date", "text[, format, …] → date", "the date that it names", "it names none";
    "to_local_time", "time → time", "the clock's time in its zone, without the zone", "it is out of range";
    "to_time", "text[, format, …] → time of day", "the time of day that it names", "it names none";
    "to_timestamp", "any[, format, …] → time", "the time that it names, or seconds since 1970", "it names none, or is out of range";
    "to_timestamp_micros", "any[, format, …] → time", "the same, or microseconds since 1970", "it names none, or is out of range";
    "to_timestamp_millis", "any[, format, …] → time", "the same, or milliseconds since 1970", "it names none, or is out of range";
    "to_timestamp_nanos", "any[, format, …] → time", "the same, or nanoseconds since 1970", "it names none, or is out of range";
    "to_timestamp_seconds", "any[, format, …] → time", "the same, in whole seconds", "it names none, or is out of range";
    "to_unixtime", "any[, format, …] → int", "seconds since 1970", "it names no time";
};
