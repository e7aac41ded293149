//! `sum` and `avg`.
//!
//! | input | accumulator | `sum` | `avg` |
//! |---|---|---|---|
//! | integers | 128-bit integer, cannot overflow | the output's integer type or decimal | `f64`: the exact sum, rounded, divided once |
//! | floats | [`ExactSum`] | correctly rounded | correctly rounded sum, divided once |
//! | decimals | 256-bit integer | the output's decimal | scaled up, divided, rounded |
//!
//! The result over no values that are not null is null. **Overflow**: accumulators never wrap; a result that the output
//! type cannot hold is null, and comes back as soon as a retraction brings it into range. (256-bit sums of decimals wrap
//! only past 5.7·10⁷⁶, which a `Decimal128` would need 10³⁸ rows for.)

use std::sync::Arc;

use catchment_contract::arrow::array::{ArrayRef, AsArray, Decimal128Array, Decimal256Array, Float64Array};
use catchment_contract::arrow::array::{Int64Array, UInt64Array};
use catchment_contract::arrow::datatypes::{
    DECIMAL256_MAX_PRECISION, DataType, Decimal256Type, DecimalType, Float64Type, Int64Type, UInt64Type, i256,
};

use super::accumulator::{Accumulator, Batch, cast_to, load_each, save_each};
use super::exact_sum::ExactSum;
use crate::bytes::{put_int, take_array, take_int};
use crate::lanes::Lane;

/// A sum or an average of values of the type `input`, by its kind; none if values of that type have no sum.
pub(crate) fn sum(input: &DataType, is_average: bool, output: &DataType) -> Option<Box<dyn Accumulator>> {
    let output = output.clone();
    let counts = Lane::default();
    Some(match input {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            Box::new(IntegerSum { is_unsigned: false, is_average, sums: Lane::default(), counts, output })
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            Box::new(IntegerSum { is_unsigned: true, is_average, sums: Lane::default(), counts, output })
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            Box::new(FloatSum { is_average, sums: Vec::new(), counts, output })
        }
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => {
            Box::new(DecimalSum { scale: *scale, is_average, sums: Vec::new(), counts, output })
        }
        // A column of nulls: its sum is null.
        DataType::Null => Box::new(FloatSum { is_average, sums: Vec::new(), counts, output }),
        _ => return None,
    })
}

struct IntegerSum {
    is_unsigned: bool,
    is_average: bool,
    sums: Lane,
    counts: Lane,
    output: DataType,
}

impl Accumulator for IntegerSum {
    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups);
        self.counts.resize(groups);
    }

    fn add(&mut self, batch: &Batch<'_>) {
        let Some(values) = batch.values else { return };
        let IntegerSum { sums, counts, .. } = self;
        if self.is_unsigned {
            let values = cast_to(values, &DataType::UInt64);
            let values = values.as_primitive::<UInt64Type>();
            batch.each_valid(|row, group, diff| {
                sums.add(group, i128::from(values.value(row)) * i128::from(diff));
                counts.add_diff(group, diff);
            });
        } else {
            let values = cast_to(values, &DataType::Int64);
            let values = values.as_primitive::<Int64Type>();
            batch.each_valid(|row, group, diff| {
                sums.add(group, i128::from(values.value(row)) * i128::from(diff));
                counts.add_diff(group, diff);
            });
        }
    }

    fn clear(&mut self, group: u32) {
        self.sums.set(group as usize, 0);
        self.counts.set(group as usize, 0);
    }

    fn evaluate(&self, groups: &[u32]) -> ArrayRef {
        let sums = groups.iter().map(|group| {
            let group = *group as usize;
            let count = self.counts.at(group);
            (count > 0).then(|| (self.sums.at(group), count))
        });
        if self.is_average {
            let averages = sums.map(|sum| sum.map(|(sum, count)| sum as f64 / count as f64));
            return cast_to(&(Arc::new(averages.collect::<Float64Array>()) as ArrayRef), &self.output);
        }
        integers(sums.map(|sum| Some(sum?.0)), &self.output)
    }

    fn save(&self, groups: &[u32], parts: &mut [Vec<u8>]) {
        save_each(groups, parts, |group, part| {
            put_int(part, self.sums.at(group));
            put_int(part, self.counts.at(group));
        });
    }

    fn load(&mut self, groups: &[u32], parts: &mut [&[u8]]) {
        load_each(groups, parts, |group, part| {
            self.sums.set(group, take_int(part));
            self.counts.set(group, take_int(part));
        });
    }

    fn memory(&self, groups: usize) -> usize {
        groups * (self.sums.slot_bytes() + self.counts.slot_bytes())
    }
}

/// Wide integers as a column of the type `output`; null where they do not fit.
pub(crate) fn integers(values: impl Iterator<Item = Option<i128>>, output: &DataType) -> ArrayRef {
    let column: ArrayRef = match output {
        DataType::UInt64 => Arc::new(values.map(|value| u64::try_from(value?).ok()).collect::<UInt64Array>()),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            Arc::new(values.map(|value| Some(value? as f64)).collect::<Float64Array>())
        }
        DataType::Decimal128(precision, 0) => {
            let end = 10_i128.pow((*precision).into());
            let fits = |value: &i128| -end < *value && *value < end;
            let values: Decimal128Array = values.map(|value| value.filter(fits)).collect();
            return Arc::new(values.with_data_type(output.clone()));
        }
        DataType::Decimal32(_, _)
        | DataType::Decimal64(_, _)
        | DataType::Decimal128(_, _)
        | DataType::Decimal256(_, _) => {
            let values: Decimal256Array = values.map(|value| value.map(i256::from_i128)).collect();
            Arc::new(values.with_data_type(DataType::Decimal256(DECIMAL256_MAX_PRECISION, 0)))
        }
        _ => Arc::new(values.map(|value| i64::try_from(value?).ok()).collect::<Int64Array>()),
    };
    cast_to(&column, output)
}

struct FloatSum {
    is_average: bool,
    sums: Vec<ExactSum>,
    counts: Lane,
    output: DataType,
}

impl Accumulator for FloatSum {
    fn resize(&mut self, groups: usize) {
        self.sums.resize_with(groups, ExactSum::default);
        self.counts.resize(groups);
    }

    fn add(&mut self, batch: &Batch<'_>) {
        let Some(values) = batch.values else { return };
        let values = cast_to(values, &DataType::Float64);
        let values = values.as_primitive::<Float64Type>();
        batch.each_valid(|row, group, diff| {
            self.sums[group].add(values.value(row), diff);
            self.counts.add_diff(group, diff);
        });
    }

    fn clear(&mut self, group: u32) {
        self.sums[group as usize] = ExactSum::default();
        self.counts.set(group as usize, 0);
    }

    fn evaluate(&self, groups: &[u32]) -> ArrayRef {
        let results = groups.iter().map(|group| {
            let group = *group as usize;
            let count = self.counts.at(group);
            let divisor = if self.is_average { count as f64 } else { 1.0 };
            (count > 0).then(|| self.sums[group].value() / divisor)
        });
        cast_to(&(Arc::new(results.collect::<Float64Array>()) as ArrayRef), &self.output)
    }

    fn save(&self, groups: &[u32], parts: &mut [Vec<u8>]) {
        save_each(groups, parts, |group, part| {
            self.sums[group].save(part);
            put_int(part, self.counts.at(group));
        });
    }

    fn load(&mut self, groups: &[u32], parts: &mut [&[u8]]) {
        load_each(groups, parts, |group, part| {
            self.sums[group] = ExactSum::load(part);
            self.counts.set(group, take_int(part));
        });
    }

    fn memory(&self, groups: usize) -> usize {
        groups * (size_of::<ExactSum>() + ExactSum::USUAL_LIMB_BYTES + self.counts.slot_bytes())
    }
}

struct DecimalSum {
    scale: i8,
    is_average: bool,
    sums: Vec<i256>,
    counts: Lane,
    output: DataType,
}

impl Accumulator for DecimalSum {
    fn resize(&mut self, groups: usize) {
        self.sums.resize(groups, i256::ZERO);
        self.counts.resize(groups);
    }

    fn add(&mut self, batch: &Batch<'_>) {
        let Some(values) = batch.values else { return };
        let values = cast_to(values, &DataType::Decimal256(DECIMAL256_MAX_PRECISION, self.scale));
        let values = values.as_primitive::<Decimal256Type>();
        batch.each_valid(|row, group, diff| {
            let change = values.value(row).wrapping_mul(i256::from_i128(diff.into()));
            self.sums[group] = self.sums[group].wrapping_add(change);
            self.counts.add_diff(group, diff);
        });
    }

    fn clear(&mut self, group: u32) {
        self.sums[group as usize] = i256::ZERO;
        self.counts.set(group as usize, 0);
    }

    fn evaluate(&self, groups: &[u32]) -> ArrayRef {
        let (precision, scale) = match self.output {
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => (precision, scale),
            _ => (DECIMAL256_MAX_PRECISION, self.scale),
        };
        let results: Vec<Option<i256>> = groups
            .iter()
            .map(|group| {
                let group = *group as usize;
                let count = self.counts.at(group);
                let divisor = i256::from_i128(if self.is_average { count } else { 1 });
                let result = if count > 0 { rescaled(self.sums[group], self.scale, scale, divisor) } else { None };
                result.filter(|value| Decimal256Type::is_valid_decimal_precision(*value, precision))
            })
            .collect();
        let column: ArrayRef = match self.output {
            DataType::Decimal128(_, _) => {
                let narrow = results.into_iter().map(|value| value.and_then(|value| value.to_i128()));
                Arc::new(narrow.collect::<Decimal128Array>().with_data_type(DataType::Decimal128(precision, scale)))
            }
            _ => Arc::new(
                results.into_iter().collect::<Decimal256Array>().with_data_type(DataType::Decimal256(precision, scale)),
            ),
        };
        cast_to(&column, &self.output)
    }

    fn save(&self, groups: &[u32], parts: &mut [Vec<u8>]) {
        save_each(groups, parts, |group, part| {
            part.extend_from_slice(&self.sums[group].to_le_bytes());
            put_int(part, self.counts.at(group));
        });
    }

    fn load(&mut self, groups: &[u32], parts: &mut [&[u8]]) {
        load_each(groups, parts, |group, part| {
            self.sums[group] = i256::from_le_bytes(take_array(part));
            self.counts.set(group, take_int(part));
        });
    }

    fn memory(&self, groups: usize) -> usize {
        groups * (size_of::<i256>() + self.counts.slot_bytes())
    }
}

/// `sum / divisor` moved from one scale to another, halves away from zero; none if 256 bits cannot hold it.
pub(crate) fn rescaled(sum: i256, from: i8, to: i8, divisor: i256) -> Option<i256> {
    let power = |exponent: i8| i256::from_i128(10).checked_pow(exponent.unsigned_abs().into());
    let (sum, divisor) = match to >= from {
        true => (sum.checked_mul(power(to - from)?)?, divisor),
        false => (sum, divisor.checked_mul(power(from - to)?)?),
    };
    let (whole, rest) = (sum.checked_div(divisor)?, sum.checked_rem(divisor)?);
    let is_half = rest.wrapping_abs() >= divisor.checked_sub(rest.wrapping_abs())?;
    match is_half {
        true if sum < i256::ZERO => whole.checked_sub(i256::ONE),
        true => whole.checked_add(i256::ONE),
        false => Some(whole),
    }
}
