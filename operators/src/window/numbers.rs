//! A column's values as integers of the same order: as their images ([`crate::image`]), or in 128 bits.

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array};
use catchment_contract::arrow::buffer::NullBuffer;
use catchment_contract::arrow::datatypes::{DataType, Decimal128Type};

use super::slide::Values;
use crate::aggregate::cast_to;
use crate::image::Image;

/// The values of a batch; null where a row has none.
pub(super) enum Numbers {
    Narrow(Int64Array),
    Wide(Decimal128Array),
}

/// In what values of `data_type` are kept that an image cannot hold; none if an image can, or if they are no numbers.
pub(super) fn wide(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Decimal128(_, _) => Some(data_type.clone()),
        DataType::UInt64 => Some(DataType::Decimal128(20, 0)),
        _ => None,
    }
}

/// Whether values of `data_type` have an order, and equal distances are equal distances of their integers.
pub(super) fn is_linear(data_type: &DataType) -> bool {
    wide(data_type).is_some() || Image::of(data_type).is_some_and(Image::is_linear)
}

impl Numbers {
    /// Those of `values`; none if their type has none.
    pub(super) fn of(values: &ArrayRef) -> Option<Numbers> {
        if let Some(image) = Image::of(values.data_type()) {
            return Some(Numbers::Narrow(image.encode(values)));
        }
        let wide = cast_to(values, &wide(values.data_type())?);
        Some(Numbers::Wide(wide.as_primitive::<Decimal128Type>().clone()))
    }

    /// Rows of which only their number matters; null where `nulls` says so.
    pub(super) fn counted(rows: usize, nulls: Option<NullBuffer>) -> Numbers {
        Numbers::Narrow(Int64Array::new(vec![0; rows].into(), nulls))
    }

    /// The same, null also where `kept` is.
    pub(super) fn filtered(self, kept: &NullBuffer) -> Numbers {
        match self {
            Numbers::Narrow(numbers) => {
                let (_, numbers, nulls) = numbers.into_parts();
                Numbers::Narrow(Int64Array::new(numbers, NullBuffer::union(nulls.as_ref(), Some(kept))))
            }
            Numbers::Wide(numbers) => {
                let (_, numbers, nulls) = numbers.into_parts();
                Numbers::Wide(Decimal128Array::new(numbers, NullBuffer::union(nulls.as_ref(), Some(kept))))
            }
        }
    }

    /// The number in `row`.
    pub(super) fn at(&self, row: usize) -> Option<i128> {
        match self {
            Numbers::Narrow(numbers) => numbers.is_valid(row).then(|| numbers.value(row).into()),
            Numbers::Wide(numbers) => numbers.is_valid(row).then(|| numbers.value(row)),
        }
    }

    /// Puts the number in `row` in the place `slot` of `values`, which are of the same kind.
    pub(super) fn copy(&self, row: usize, values: &mut Values, slot: usize) {
        match (self, values) {
            (Numbers::Narrow(from), Values::Narrow(to)) => to[slot] = from.is_valid(row).then(|| from.value(row)),
            (Numbers::Wide(from), Values::Wide(to)) => to[slot] = from.is_valid(row).then(|| from.value(row)),
            _ => unreachable!("a feed's values are of one kind"),
        }
    }
}
