//! Values as 64-bit integers of the same order: their *images*. What is compared, counted and kept in order often is kept
//! so.
//!
//! Integers, times and dates are their own image. Of doubles the bits below the sign are turned, so that they order as
//! integers; both zeros have one image, and so have all NaNs, which are the greatest.

use std::sync::Arc;

use catchment_contract::arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use catchment_contract::arrow::datatypes::{DataType, Float64Type, Int64Type};

use crate::aggregate::cast_to;

/// Turns the bits below the sign of negative doubles: their order as integers becomes that of the values. Its own inverse.
#[inline]
pub(crate) fn turn(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

/// The integer that stands for a double, and for all that are equal to it.
#[inline]
pub(crate) fn image(value: f64) -> i64 {
    // Adding 0.0 turns -0.0 into 0.0 and changes nothing else.
    let canonical = if value.is_nan() { f64::NAN } else { value + 0.0 };
    turn(canonical.to_bits() as i64)
}

/// The double that an integer stands for.
#[inline]
pub(crate) fn value(image: i64) -> f64 {
    f64::from_bits(turn(image) as u64)
}

/// How values are kept as 64-bit integers of the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Image {
    /// As themselves.
    Integer,
    /// Dates and times of 32 bits.
    Narrow,
    /// Doubles, whose bits are turned so that they order as integers.
    Float,
}

impl Image {
    /// That of a type; none if its values do not fit.
    pub(crate) fn of(data_type: &DataType) -> Option<Image> {
        match data_type {
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(Image::Integer),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Some(Image::Integer),
            DataType::Timestamp(_, _) | DataType::Date64 | DataType::Time64(_) | DataType::Duration(_) => {
                Some(Image::Integer)
            }
            DataType::Date32 | DataType::Time32(_) => Some(Image::Narrow),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Some(Image::Float),
            _ => None,
        }
    }

    /// Whether equal distances of images are equal distances of values.
    pub(crate) fn is_linear(self) -> bool {
        !matches!(self, Image::Float)
    }

    /// The images of `values`.
    pub(crate) fn encode(self, values: &ArrayRef) -> Int64Array {
        match self {
            Image::Integer => cast_to(values, &DataType::Int64).as_primitive::<Int64Type>().clone(),
            Image::Narrow => {
                let narrow = cast_to(values, &DataType::Int32);
                cast_to(&narrow, &DataType::Int64).as_primitive::<Int64Type>().clone()
            }
            Image::Float => {
                let floats = cast_to(values, &DataType::Float64);
                floats.as_primitive::<Float64Type>().unary(image)
            }
        }
    }

    /// The values of `images`, as the type that they were made of.
    pub(crate) fn decode(self, images: Int64Array, data_type: &DataType) -> ArrayRef {
        match self {
            Image::Integer => cast_to(&(Arc::new(images) as ArrayRef), data_type),
            Image::Narrow => cast_to(&cast_to(&(Arc::new(images) as ArrayRef), &DataType::Int32), data_type),
            Image::Float => {
                let floats: Float64Array = images.unary(value);
                cast_to(&(Arc::new(floats) as ArrayRef), data_type)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_keep_the_order_of_doubles() {
        let floats = [f64::NEG_INFINITY, -1.5, -5e-324, 0.0, 5e-324, 2.0, f64::INFINITY, f64::NAN];
        assert!(floats.map(image).is_sorted_by(|a, b| a < b));
        assert_eq!((image(-0.0), image(-f64::NAN)), (image(0.0), image(f64::NAN)));
        assert!(floats.iter().all(|float| value(image(*float)).to_bits() == float.to_bits()));
    }
}
