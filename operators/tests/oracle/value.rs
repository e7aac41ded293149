//! Values as the reference sees them, and their way into Arrow columns and back.

use std::sync::Arc;

use catchment_contract::arrow::array::*;
use catchment_contract::arrow::datatypes::*;
use catchment_engine::flatten;
use rand::Rng;
use rand::rngs::SmallRng;

/// A value; decimals, dates and times are their integers, floats the integers that order as they do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(i64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
}

pub type Row = Vec<Value>;

/// A double as the integer that orders as it does.
pub fn float(value: f64) -> Value {
    let bits = value.to_bits() as i64;
    Value::Float(bits ^ ((bits >> 63) as u64 >> 1) as i64)
}

/// The double behind [`float`].
pub fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Float(image) => Some(f64::from_bits((image ^ ((image >> 63) as u64 >> 1) as i64) as u64)),
        Value::Int(value) => Some(*value as f64),
        _ => None,
    }
}

pub fn types() -> Vec<DataType> {
    vec![
        DataType::Int64,
        DataType::Int16,
        DataType::UInt64,
        DataType::UInt8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::Decimal128(20, 2),
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Date32,
        DataType::Float64,
        DataType::Float32,
        DataType::Boolean,
        DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true))),
    ]
}

/// A value of the type, out of few, so that values meet again.
pub fn random_value(data_type: &DataType, random: &mut SmallRng) -> Value {
    if random.random_ratio(1, 6) {
        return Value::Null;
    }
    let small = random.random_range(-2..4);
    match data_type {
        DataType::Int64 if random.random_ratio(1, 10) => Value::Int(i64::MAX.into()),
        DataType::UInt64 if random.random_ratio(1, 10) => Value::Int(u64::MAX.into()),
        DataType::UInt64 | DataType::UInt8 => Value::Int(i128::abs(small)),
        DataType::Boolean => Value::Bool(small > 0),
        DataType::Utf8View => Value::Text(match small {
            -2 => String::new(),
            -1 => "a text of more than the twelve bytes that a view holds".into(),
            0 => "a text of more than the twelve bytes that a view holds too".into(),
            other => format!("t{other}"),
        }),
        DataType::Binary => Value::Bytes(vec![0, small as u8]),
        DataType::Float64 | DataType::Float32 => float(small as f64 * 0.25),
        DataType::List(_) => Value::List((0..small.max(0)).map(Value::Int).collect()),
        _ => Value::Int(small),
    }
}

/// Values as a column.
pub fn column(data_type: &DataType, values: &[Value]) -> ArrayRef {
    let ints = values.iter().map(|value| match value {
        Value::Int(value) => Some(*value),
        _ => None,
    });
    match data_type {
        DataType::Int64 => Arc::new(ints.map(|v| v.map(|v| v as i64)).collect::<Int64Array>()),
        DataType::Int16 => Arc::new(ints.map(|v| v.map(|v| v as i16)).collect::<Int16Array>()),
        DataType::UInt64 => Arc::new(ints.map(|v| v.map(|v| v as u64)).collect::<UInt64Array>()),
        DataType::UInt8 => Arc::new(ints.map(|v| v.map(|v| v as u8)).collect::<UInt8Array>()),
        DataType::Date32 => Arc::new(ints.map(|v| v.map(|v| v as i32)).collect::<Date32Array>()),
        DataType::Timestamp(_, _) => {
            Arc::new(ints.map(|v| v.map(|v| v as i64)).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        DataType::Decimal128(p, s) => {
            Arc::new(ints.collect::<Decimal128Array>().with_precision_and_scale(*p, *s).unwrap())
        }
        DataType::Float64 => Arc::new(values.iter().map(double).collect::<Float64Array>()),
        DataType::Float32 => Arc::new(values.iter().map(|v| double(v).map(|v| v as f32)).collect::<Float32Array>()),
        DataType::Boolean => {
            let bools = values.iter().map(|v| if let Value::Bool(v) = v { Some(*v) } else { None });
            Arc::new(bools.collect::<BooleanArray>())
        }
        DataType::Utf8View => {
            let texts = values.iter().map(|v| if let Value::Text(v) = v { Some(v.as_str()) } else { None });
            Arc::new(texts.collect::<StringViewArray>())
        }
        DataType::Binary => {
            let bytes = values.iter().map(|v| if let Value::Bytes(v) = v { Some(v.as_slice()) } else { None });
            Arc::new(bytes.collect::<BinaryArray>())
        }
        DataType::List(_) => {
            let lists = values.iter().map(|value| match value {
                Value::List(values) => Some(values.iter().map(|value| match value {
                    Value::Int(value) => Some(*value as i64),
                    _ => None,
                })),
                _ => None,
            });
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
        }
        other => panic!("no values of {other}"),
    }
}

/// A string column as a dictionary, with a value that is not used, a null among the values, and repeated values.
pub fn dictionary(column: &ArrayRef, random: &mut SmallRng) -> ArrayRef {
    let texts = column.as_string_view();
    let mut values: Vec<Option<String>> = vec![Some("unused".into()), None];
    let keys: UInt32Array = (0..texts.len())
        .map(|row| {
            if texts.is_null(row) {
                return random.random_bool(0.5).then_some(1);
            }
            let text = Some(texts.value(row).to_string());
            match values.iter().position(|value| *value == text) {
                Some(key) if random.random_ratio(4, 5) => Some(key as u32),
                _ => {
                    values.push(text);
                    Some(values.len() as u32 - 1)
                }
            }
        })
        .collect();
    let values = values.iter().map(|value| value.as_deref()).collect::<StringViewArray>();
    Arc::new(DictionaryArray::<UInt32Type>::new(keys, Arc::new(values)))
}

/// A column's values.
pub fn values(column: &ArrayRef) -> Vec<Value> {
    let column = flatten(column);
    (0..column.len()).map(|row| if column.is_null(row) { Value::Null } else { value(&column, row) }).collect()
}

fn value(column: &ArrayRef, row: usize) -> Value {
    match column.data_type() {
        DataType::Int64 => Value::Int(column.as_primitive::<Int64Type>().value(row).into()),
        DataType::Int16 => Value::Int(column.as_primitive::<Int16Type>().value(row).into()),
        DataType::UInt64 => Value::Int(column.as_primitive::<UInt64Type>().value(row).into()),
        DataType::UInt8 => Value::Int(column.as_primitive::<UInt8Type>().value(row).into()),
        DataType::Date32 => Value::Int(column.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(_, _) => Value::Int(column.as_primitive::<TimestampMicrosecondType>().value(row).into()),
        DataType::Decimal128(_, _) => Value::Int(column.as_primitive::<Decimal128Type>().value(row)),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => float(column.as_primitive::<Float32Type>().value(row).into()),
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Utf8View => Value::Text(column.as_string_view().value(row).into()),
        DataType::Binary => Value::Bytes(column.as_binary::<i32>().value(row).into()),
        DataType::List(_) => Value::List(values(&column.as_list::<i32>().value(row))),
        other => panic!("no values of {other}"),
    }
}
