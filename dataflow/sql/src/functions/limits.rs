//! What a function may make of one row: documented bounds, checked before the function runs.
//!
//! `lpad(body, 9e18)`, `generate_series(1, 3e9)` and their like ask for more memory than there is, and an allocation that
//! fails ends the process, whatever catches panics. The size of such a result follows from its arguments, so it is computed
//! first; a row that asks for more is a reject.
//!
//! | what | at most |
//! |---|---|
//! | a text that a function makes longer than its arguments | [`VALUE_BYTES_MAX`] (16 MiB) |
//! | elements of a list that a function makes | [`LIST_ELEMENTS_MAX`] (1,048,576) |
//! | a regular expression of a function | [`PATTERN_BYTES_MAX`] (4,096 bytes) |
//! | comparisons of a function that compares each part of one argument with each of another | [`COMPARISONS_MAX`] (100,000,000) |
//! | the sum of such results of rows that are evaluated together | [`BATCH_BYTES_MAX`] (64 MiB); larger batches are halved |

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray};
use catchment_contract::arrow::compute::cast;
use catchment_contract::arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion_common::{Result, exec_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs};

/// Bytes of one text that a function makes.
pub const VALUE_BYTES_MAX: u64 = 16 << 20;
/// Elements of one list that a function makes.
pub const LIST_ELEMENTS_MAX: u64 = 1 << 20;
/// Comparisons of parts of one row's arguments.
pub const COMPARISONS_MAX: u64 = 100_000_000;
/// Bytes of a regular expression.
pub const PATTERN_BYTES_MAX: u64 = 4096;
/// Bytes of all results of rows that are evaluated together, unless it is one row.
pub const BATCH_BYTES_MAX: u64 = 64 << 20;

/// How the size of a function's result follows from its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// `lpad(text, length, fill)`; a character counts four bytes.
    Pad,
    /// `repeat(text, times)`
    Repeat,
    /// `replace(text, from, to)`
    Replace,
    /// `regexp_replace(text, pattern, replacement, flags)`; an upper bound.
    RegexReplace,
    /// `regexp_like(text, pattern)` and its like; what is matched takes time that grows with both.
    Regex,
    /// `array_repeat(element, times)`
    ListRepeat,
    /// `array_resize(list, length, element)`
    ListResize,
    /// `range(start, stop, step)`
    Series,
    /// `array_to_string(list, delimiter, null)`
    Join,
    /// `string_to_array(text, delimiter)`
    Split,
    /// `levenshtein(text, text)`
    Distance,
    /// `array_has_any(list, list)`
    Pairs,
    /// `array_sort(list, order, nulls)`: nothing grows, but the function takes the first row's order for all rows, so that
    /// the order must be a constant.
    Order,
    /// `array_positions(list, element)`: nothing grows, but the function makes a row where there is none.
    Rows,
}

/// What a row asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Amount {
    Bytes(u64),
    Elements(u64),
    Comparisons(u64),
    Pattern(u64),
}

impl Limit {
    /// When a row asks for too much, in words.
    pub(super) fn bound(self) -> Option<&'static str> {
        Some(match self {
            Limit::Pad | Limit::Repeat | Limit::Replace | Limit::Join => "the result would be larger than 16 MiB",
            Limit::RegexReplace => "the pattern is longer than 4,096 bytes, or the result could be larger than 16 MiB",
            Limit::Regex => "the pattern is longer than 4,096 bytes",
            Limit::ListRepeat | Limit::ListResize => "the result would have more than 1,048,576 elements or 16 MiB",
            Limit::Series | Limit::Split => "the result would have more than 1,048,576 elements",
            Limit::Distance | Limit::Pairs => "it would take more than 100,000,000 comparisons",
            Limit::Order | Limit::Rows => return None,
        })
    }

    /// Whether every row of `arguments` keeps to the bounds, and all together theirs.
    ///
    /// # Errors
    /// Which bound the first row that does not would pass.
    pub fn check(self, name: &str, arguments: &ScalarFunctionArgs) -> Result<()> {
        let args = Args::of(&arguments.args)?;
        let rows = if args.0.iter().all(|arg| arg.scalar) { 1 } else { arguments.number_rows };
        let mut all = 0u64;
        for row in 0..rows {
            let bytes = match self.amount(&args, row) {
                Some(Amount::Bytes(bytes)) if bytes > VALUE_BYTES_MAX => {
                    return exec_err!("the result of {name}() would be larger than {VALUE_BYTES_MAX} bytes");
                }
                Some(Amount::Elements(elements)) if elements > LIST_ELEMENTS_MAX => {
                    return exec_err!("the result of {name}() would have more than {LIST_ELEMENTS_MAX} elements");
                }
                Some(Amount::Comparisons(comparisons)) if comparisons > COMPARISONS_MAX => {
                    return exec_err!("{name}() would make more than {COMPARISONS_MAX} comparisons");
                }
                Some(Amount::Pattern(bytes)) if bytes > PATTERN_BYTES_MAX => {
                    return exec_err!("the regular expression of {name}() is longer than {PATTERN_BYTES_MAX} bytes");
                }
                Some(Amount::Bytes(bytes)) => bytes,
                Some(Amount::Elements(elements)) => elements * ELEMENT_BYTES,
                Some(Amount::Comparisons(_) | Amount::Pattern(_)) | None => 0,
            };
            all = all.saturating_add(bytes);
        }
        if all > BATCH_BYTES_MAX && rows > 1 {
            return exec_err!("the results of {name}() for {rows} rows would be larger than {BATCH_BYTES_MAX} bytes");
        }
        Ok(())
    }

    /// What `row` asks for; `None` if an argument is null or of another type than is known here.
    fn amount(self, args: &Args, row: usize) -> Option<Amount> {
        Some(match self {
            Limit::Order | Limit::Rows => return None,
            // The function reserves four bytes a character for each row, nulls among them.
            Limit::Pad => Amount::Bytes(args.count(1, row)?.saturating_mul(4)),
            Limit::Repeat => Amount::Bytes(args.bytes(0, row)?.saturating_mul(args.count(1, row)?)),
            Limit::Replace => Amount::Bytes(replaced(args.text(0, row)?, args.text(1, row)?, args.text(2, row)?)),
            Limit::Regex => Amount::Pattern(args.bytes(1, row)?),
            Limit::RegexReplace if args.bytes(1, row)? > PATTERN_BYTES_MAX => Amount::Pattern(args.bytes(1, row)?),
            Limit::RegexReplace => {
                let all = args.text(3, row).is_some_and(|flags| flags.contains('g'));
                Amount::Bytes(regex_replaced(args.bytes(0, row)?, args.text(2, row)?, all))
            }
            Limit::ListRepeat => {
                let times = args.count(1, row)?;
                match args.weight(0, row)?.saturating_mul(times) {
                    bytes if bytes > VALUE_BYTES_MAX && times <= LIST_ELEMENTS_MAX => Amount::Bytes(bytes),
                    _ => Amount::Elements(times),
                }
            }
            Limit::ListResize => {
                let length = args.count(1, row)?;
                match args.weight(2, row).unwrap_or(0).saturating_mul(length) {
                    bytes if bytes > VALUE_BYTES_MAX && length <= LIST_ELEMENTS_MAX => Amount::Bytes(bytes),
                    _ => Amount::Elements(length),
                }
            }
            Limit::Series => Amount::Elements(args.series(row)?),
            Limit::Join => {
                let between = args.bytes(1, row)?.saturating_add(args.bytes(2, row).unwrap_or(0));
                Amount::Bytes(args.elements(0, row)?.saturating_mul(between))
            }
            Limit::Split => {
                let text = args.text(0, row)?;
                match args.text(1, row) {
                    _ if text.len() as u64 <= LIST_ELEMENTS_MAX => Amount::Elements(text.len() as u64),
                    None => Amount::Elements(text.chars().count() as u64),
                    Some("") => Amount::Elements(1),
                    Some(delimiter) => Amount::Elements(text.matches(delimiter).count() as u64 + 1),
                }
            }
            Limit::Distance => Amount::Comparisons(args.bytes(0, row)?.saturating_mul(args.bytes(1, row)?)),
            Limit::Pairs => Amount::Comparisons(args.elements(0, row)?.saturating_mul(args.elements(1, row)?)),
        })
    }
}

/// What an element is counted for in a batch's sum.
const ELEMENT_BYTES: u64 = 16;

/// The length of `text` with `to` for each `from`: a bound where that is small enough, else the length itself.
fn replaced(text: &str, from: &str, to: &str) -> u64 {
    let (length, from_length, to_length) = (text.len() as u64, from.len() as u64, to.len() as u64);
    let places = |count: u64| length.saturating_add(count.saturating_mul(to_length.saturating_sub(from_length)));
    let bound = places(length / from_length.max(1) + 1);
    if bound <= VALUE_BYTES_MAX { bound } else { places(text.matches(from).count() as u64) }
}

/// At most the length of a text of `length` bytes after `replacement`, which may hold groups, for one match or all.
fn regex_replaced(length: u64, replacement: &str, all: bool) -> u64 {
    let groups = replacement.bytes().filter(|byte| matches!(byte, b'\\' | b'$')).count() as u64;
    let matches = if all { length + 1 } else { 1 };
    // The groups of all matches together are no longer than the text, each time that the replacement names one.
    length.saturating_mul(groups + 1).saturating_add(matches.saturating_mul(replacement.len() as u64))
}

/// The arguments, a constant as one row.
struct Args(Vec<Arg>);

struct Arg {
    array: ArrayRef,
    scalar: bool,
}

impl Args {
    fn of(values: &[ColumnarValue]) -> Result<Args> {
        let args = values.iter().map(|value| {
            Ok(match value {
                ColumnarValue::Array(array) => Arg { array: array.clone(), scalar: false },
                ColumnarValue::Scalar(scalar) => Arg { array: scalar.to_array()?, scalar: true },
            })
        });
        // Numbers of any width are looked at as one.
        let wide = |arg: Arg| match arg.array.data_type() {
            kind if kind.is_integer() => Ok(Arg { array: cast(&arg.array, &DataType::Int64)?, ..arg }),
            _ => Ok(arg),
        };
        args.map(|arg: Result<Arg>| wide(arg?)).collect::<Result<_>>().map(Args)
    }

    /// The argument and the row in it; `None` for a null, and for an argument that is not there.
    fn at(&self, place: usize, row: usize) -> Option<(&dyn Array, usize)> {
        let Arg { array, scalar } = self.0.get(place)?;
        let row = if *scalar { 0 } else { row };
        array.is_valid(row).then_some((array.as_ref(), row))
    }

    fn text(&self, place: usize, row: usize) -> Option<&str> {
        let (array, row) = self.at(place, row)?;
        match array.data_type() {
            DataType::Utf8View => Some(array.as_string_view().value(row)),
            DataType::Utf8 => Some(array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => Some(array.as_string::<i64>().value(row)),
            _ => None,
        }
    }

    fn bytes(&self, place: usize, row: usize) -> Option<u64> {
        self.text(place, row).map(|text| text.len() as u64)
    }

    fn number(&self, place: usize, row: usize) -> Option<i64> {
        let (array, row) = self.at(place, row)?;
        array.as_primitive_opt::<Int64Type>().map(|array: &Int64Array| array.value(row))
    }

    /// A number of times or elements; a negative one is none.
    fn count(&self, place: usize, row: usize) -> Option<u64> {
        self.number(place, row).map(|number| u64::try_from(number).unwrap_or(0))
    }

    /// How many elements a list has.
    fn elements(&self, place: usize, row: usize) -> Option<u64> {
        let (array, row) = self.at(place, row)?;
        match array.data_type() {
            DataType::List(_) => Some(array.as_list::<i32>().value_length(row) as u64),
            DataType::LargeList(_) => Some(array.as_list::<i64>().value_length(row) as u64),
            DataType::FixedSizeList(_, length) => Some(*length as u64),
            _ => None,
        }
    }

    /// About how many bytes a value takes as an element.
    fn weight(&self, place: usize, row: usize) -> Option<u64> {
        let elements = self.elements(place, row).map(|elements| elements.saturating_mul(ELEMENT_BYTES));
        let inner = self.text(place, row).map(|text| text.len() as u64);
        self.0.get(place).map(|_| elements.or(inner).unwrap_or(ELEMENT_BYTES))
    }

    /// How many values a series has.
    fn series(&self, row: usize) -> Option<u64> {
        if self.0.len() == 1 {
            return self.count(0, row);
        }
        let (start, stop, step) = match self.number(0, row) {
            Some(start) => {
                let step = if self.0.len() > 2 { self.number(2, row)? } else { 1 };
                (i128::from(start), i128::from(self.number(1, row)?), i128::from(step))
            }
            None => (self.instant(0, row)?, self.instant(1, row)?, self.interval(2, row)?),
        };
        // A step of zero is the function's own to refuse.
        let count = (stop - start).checked_div(step)?;
        Some(u64::try_from(count + 1).unwrap_or(0))
    }

    /// A time in nanoseconds.
    fn instant(&self, place: usize, row: usize) -> Option<i128> {
        let (array, row) = self.at(place, row)?;
        let one = array.slice(row, 1);
        if let DataType::Date32 = array.data_type() {
            let days = cast(&one, &DataType::Int32).and_then(|days| cast(&days, &DataType::Int64)).ok()?;
            return Some(i128::from(days.as_primitive::<Int64Type>().value(0)) * DAY_NANOSECONDS);
        }
        let DataType::Timestamp(unit, _) = array.data_type() else { return None };
        let ticks = cast(&one, &DataType::Int64).ok()?;
        let ticks = i128::from(ticks.as_primitive::<Int64Type>().value(0));
        Some(match unit {
            TimeUnit::Second => ticks * 1_000_000_000,
            TimeUnit::Millisecond => ticks * 1_000_000,
            TimeUnit::Microsecond => ticks * 1_000,
            TimeUnit::Nanosecond => ticks,
        })
    }

    /// An interval in nanoseconds, months as short as they can be.
    fn interval(&self, place: usize, row: usize) -> Option<i128> {
        let (array, row) = self.at(place, row)?;
        let interval = match array.data_type() {
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                let array: &IntervalMonthDayNanoArray = array.as_primitive::<IntervalMonthDayNanoType>();
                array.value(row)
            }
            _ => return None,
        };
        let days = i128::from(interval.months) * 28 + i128::from(interval.days);
        Some(days * DAY_NANOSECONDS + i128::from(interval.nanoseconds))
    }
}

const DAY_NANOSECONDS: i128 = 86_400_000_000_000;
