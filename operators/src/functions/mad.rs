//! `mad(x)`: the median absolute deviation, `median(|x − median(x)|)`, as DuckDB has it.
//!
//! How far the values typically lie from their median: a spread that a few wild values do not move, unlike the standard
//! deviation. For values of a normal distribution 1.4826 · mad is the standard deviation. Nulls are passed over; over
//! nothing it is null. This form is for the planner and for DataFusion's executor: it keeps all values and sorts them. The
//! dataflow keeps deviations up to date with [`mod@crate::aggregate`] and [`mod@crate::window`].

use std::mem::size_of_val;
use std::sync::Arc;

use catchment_contract::arrow::array::{ArrayRef, AsArray, Float64Array, ListArray};
use catchment_contract::arrow::buffer::OffsetBuffer;
use catchment_contract::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion_common::types::{NativeType, logical_float64};
use datafusion_common::{Result, ScalarValue, exec_err};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Coercion, Signature, TypeSignatureClass, Volatility,
};

/// The function's name.
pub const NAME: &str = "mad";

/// The function, to be registered with the planner.
pub fn udaf() -> Arc<AggregateUDF> {
    let number = Coercion::new_implicit(
        TypeSignatureClass::Native(logical_float64()),
        vec![TypeSignatureClass::Numeric],
        NativeType::Float64,
    );
    Arc::new(AggregateUDF::from(Mad { signature: Signature::coercible(vec![number], Volatility::Immutable) }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mad {
    signature: Signature,
}

impl AggregateUDFImpl for Mad {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if arguments.is_distinct {
            return exec_err!("mad(DISTINCT …) is not for DataFusion's executor");
        }
        Ok(Box::new(Deviation::default()))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let list = DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)));
        Ok(vec![Arc::new(Field::new(format!("{}[values]", arguments.name), list, true))])
    }
}

/// All values, in any order.
#[derive(Debug, Default)]
struct Deviation {
    values: Vec<f64>,
}

impl Accumulator for Deviation {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.extend(values[0].as_primitive::<Float64Type>().iter().flatten());
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for gone in values[0].as_primitive::<Float64Type>().iter().flatten() {
            match self.values.iter().position(|known| known.total_cmp(&gone).is_eq()) {
                Some(place) => drop(self.values.swap_remove(place)),
                None => return exec_err!("a value leaves a window that it was not in"),
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut values = self.values.clone();
        let Some(median) = median(&mut values) else { return Ok(ScalarValue::Float64(None)) };
        values.iter_mut().for_each(|value| *value = (*value - median).abs());
        Ok(ScalarValue::Float64(self::median(&mut values)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<f64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = Float64Array::from(std::mem::take(&mut self.values));
        let field = Arc::new(Field::new_list_field(DataType::Float64, true));
        let list = ListArray::new(field, OffsetBuffer::from_lengths([values.len()]), Arc::new(values), None);
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        states[0].as_list::<i32>().iter().flatten().try_for_each(|values| self.update_batch(&[values]))
    }
}

/// The median of `values`, which are sorted for it; none of nothing.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        _ if values.is_empty() => None,
        1 => Some(values[middle]),
        _ => Some(values[middle - 1].midpoint(values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::seq::IndexedRandom;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn deviation(values: &[f64]) -> Option<f64> {
        let mut deviation = Deviation::default();
        let array: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
        deviation.update_batch(&[array]).expect("numbers");
        match deviation.evaluate() {
            Ok(ScalarValue::Float64(value)) => value,
            other => panic!("{other:?}"),
        }
    }

    /// DuckDB: SELECT mad(x) FROM (VALUES …).
    #[test]
    fn it_is_duckdbs() {
        assert_eq!(deviation(&[]), None);
        assert_eq!(deviation(&[7.0]), Some(0.0));
        assert_eq!(deviation(&[1.0, 2.0]), Some(0.5));
        assert_eq!(deviation(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), Some(1.0));
        assert_eq!(deviation(&[10.0, 12.0, 11.0, 500.0]), Some(1.0));
    }

    /// The value before which `place` others stand in the order of floats.
    fn ranked(values: &[f64], place: usize) -> f64 {
        let before = |value: &f64| values.iter().filter(|other| other.total_cmp(value).is_lt()).count();
        let upto = |value: &f64| values.iter().filter(|other| other.total_cmp(value).is_le()).count();
        *values.iter().find(|value| (before(value)..upto(value)).contains(&place)).expect("some value stands there")
    }

    /// The definition, word by word, with no order kept.
    fn oracle(values: &[f64]) -> Option<f64> {
        let median = |values: &[f64]| match values.len() {
            0 => None,
            n if n % 2 == 1 => Some(ranked(values, n / 2)),
            n => Some(ranked(values, n / 2 - 1).midpoint(ranked(values, n / 2))),
        };
        let middle = median(values)?;
        median(&values.iter().map(|value| (value - middle).abs()).collect::<Vec<_>>())
    }

    #[test]
    fn random_values_come_and_go_as_the_oracle_says() {
        let seed = 1_913;
        println!("seed {seed}");
        let mut random = SmallRng::seed_from_u64(seed);
        let extremes = [0.0, -0.0, 1.0, -1.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY];
        for round in 0..300 {
            let (mut deviation, mut kept) = (Deviation::default(), Vec::new());
            for step in 0..random.random_range(1..30) {
                let value = match random.random_range(0..10) {
                    0 => None,
                    1 => Some(f64::NAN),
                    2..5 => extremes.choose(&mut random).copied(),
                    _ => Some(f64::from(random.random_range(-20..20)) / 4.0),
                };
                let array = |value: Option<f64>| -> [ArrayRef; 1] { [Arc::new(Float64Array::from(vec![value]))] };
                deviation.update_batch(&array(value)).expect("a number");
                kept.extend(value);
                if !kept.is_empty() && random.random_range(0..3) == 0 {
                    let gone = kept.swap_remove(random.random_range(0..kept.len()));
                    deviation.retract_batch(&array(Some(gone))).expect("it is there");
                }
                let found = deviation.evaluate().expect("a number");
                let bits =
                    |value: Option<f64>| value.map(|value| if value.is_nan() { f64::NAN } else { value }.to_bits());
                let ScalarValue::Float64(found) = found else { panic!("{found:?}") };
                assert_eq!(bits(found), bits(oracle(&kept)), "seed {seed}, round {round}, step {step}: {kept:?}");
            }
        }
    }

    #[test]
    fn what_leaves_is_forgotten() {
        let array = |values: &[Option<f64>]| -> [ArrayRef; 1] { [Arc::new(Float64Array::from(values.to_vec()))] };
        let mut deviation = Deviation::default();
        deviation.update_batch(&array(&[Some(1.0), None, Some(100.0), Some(2.0)])).expect("numbers");
        deviation.retract_batch(&array(&[Some(100.0), None])).expect("it was there");
        assert_eq!(deviation.evaluate().expect("a number"), ScalarValue::Float64(Some(0.5)));
        assert!(deviation.retract_batch(&array(&[Some(100.0)])).is_err());
        let mut other = Deviation::default();
        let state = deviation.state().expect("a list").remove(0).to_array().expect("one row");
        other.merge_batch(&[state]).expect("a list of numbers");
        assert_eq!(other.evaluate().expect("a number"), ScalarValue::Float64(Some(0.5)));
    }
}
