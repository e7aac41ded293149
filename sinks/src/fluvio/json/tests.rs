//! What is written reads back, through serde_json, as the values that were given.

use std::sync::Arc;

use catchment_contract::arrow::array::{
    BinaryViewArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, FixedSizeListArray,
    Float32Array, Float64Array, Int8Array, Int64Array, Int64Builder, ListArray, MapBuilder, NullArray, StringBuilder,
    StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use catchment_contract::arrow::buffer::OffsetBuffer;
use catchment_contract::arrow::datatypes::{Field, Fields, Int32Type, UInt32Type};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::*;

/// The JSON of every row of `column`, read by serde_json.
fn values(column: ArrayRef) -> Vec<Value> {
    texts(&column).iter().map(|text| serde_json::from_str(text).expect(text)).collect()
}

fn texts(column: &ArrayRef) -> Vec<String> {
    let cells = Cells::new(column).expect("a column");
    let text = |row| {
        let mut out = Vec::new();
        cells.write(row, &mut out);
        String::from_utf8(out).expect("text")
    };
    (0..column.len()).map(text).collect()
}

fn plain(column: ArrayRef) -> Vec<String> {
    let cells = Cells::new(&column).expect("a column");
    let text = |row| {
        let mut out = Vec::new();
        cells.write_plain(row, &mut out);
        String::from_utf8(out).expect("text")
    };
    (0..column.len()).map(text).collect()
}

#[test]
fn scalars() {
    assert_eq!(values(Arc::new(NullArray::new(2))), [Value::Null, Value::Null]);
    let bools: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    assert_eq!(values(bools), [json!(true), Value::Null, json!(false)]);
    assert_eq!(values(Arc::new(Int8Array::from(vec![i8::MIN, 0, i8::MAX]))), [json!(-128), json!(0), json!(127)]);
    let longs = vec![i64::MIN, -1, 0, 9, 10, 99, 100, i64::MAX];
    assert_eq!(values(Arc::new(Int64Array::from(longs.clone()))), longs.iter().map(|n| json!(n)).collect::<Vec<_>>());
    assert_eq!(values(Arc::new(UInt64Array::from(vec![u64::MAX]))), [json!(u64::MAX)]);
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), None, Some(20_484)]));
    assert_eq!(values(days), [json!("1970-01-01"), Value::Null, json!("2026-01-31")]);
    let time: ArrayRef = Arc::new(Time64MicrosecondArray::from(vec![43_200_000_001]));
    assert_eq!(values(time), [json!("12:00:00.000001")]);
    let bytes: ArrayRef = Arc::new(BinaryViewArray::from_iter_values([&b"foob"[..], b""]));
    assert_eq!(values(bytes), [json!("Zm9vYg=="), json!("")]);
    let fixed: ArrayRef = Arc::new(FixedSizeBinaryArray::try_from_iter([b"foo"].into_iter()).expect("equal sizes"));
    assert_eq!(values(fixed), [json!("Zm9v")]);
    let money = Decimal128Array::from(vec![1250, -5]).with_precision_and_scale(10, 2).expect("a decimal");
    assert_eq!(values(Arc::new(money)), [json!("12.50"), json!("-0.05")]);
}

#[test]
fn floats_are_the_shortest_that_read_back() {
    let mut random = SmallRng::seed_from_u64(7);
    let mut given = vec![0.0, -0.0, 0.1, 1.0, 1e15, 1e16, 1e17, 1e-5, 1e-7, 1e300, f64::MIN_POSITIVE, 5e-324, f64::MAX];
    given.extend((0..5000).map(|_| f64::from_bits(random.random())).filter(|value| value.is_finite()));
    let written = texts(&(Arc::new(Float64Array::from(given.clone())) as ArrayRef));
    for (value, text) in given.iter().zip(&written) {
        assert_eq!(text.parse::<f64>().expect(text).to_bits(), value.to_bits(), "{text}");
        let read: Value = serde_json::from_str(text).expect(text);
        assert!(read.is_f64(), "{text}");
        assert!(text.len() <= 24, "{text}");
    }
    let odd: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]));
    assert_eq!(values(odd), [Value::Null, Value::Null, Value::Null]);
    assert_eq!(texts(&(Arc::new(Float32Array::from(vec![0.1, f32::NAN])) as ArrayRef)), ["0.1", "null"]);
}

#[test]
fn strings_of_all_encodings() {
    let given = [
        "",
        "plain",
        "\"quoted\" \\ back",
        "line\nfeed\ttab\r\u{8}\u{c}\u{1}",
        "käse €😀",
        "a long one ".repeat(9).as_str(),
    ]
    .map(str::to_owned);
    let expect: Vec<Value> = given.iter().map(|text| json!(text)).collect();
    assert_eq!(values(Arc::new(StringArray::from(given.to_vec()))), expect);
    assert_eq!(values(Arc::new(LargeStringArray::from(given.to_vec()))), expect);
    assert_eq!(values(Arc::new(StringViewArray::from_iter_values(&given))), expect);
    let keys = UInt32Array::from(vec![Some(1), None, Some(0), Some(1)]);
    let distinct = Arc::new(StringViewArray::from(vec![Some("a"), Some("b\"")]));
    let dictionary: ArrayRef = Arc::new(DictionaryArray::<UInt32Type>::new(keys, distinct));
    assert_eq!(values(dictionary.clone()), [json!("b\""), Value::Null, json!("a"), json!("b\"")]);
    assert_eq!(plain(dictionary), ["b\"", "", "a", "b\""]);
}

#[test]
fn times_have_six_digits_and_a_zone() {
    let times = TimestampMicrosecondArray::from(vec![Some(1_769_860_800_000_001), None, Some(-1)]);
    let utc: ArrayRef = Arc::new(times.clone().with_timezone("UTC"));
    assert_eq!(
        values(utc.clone()),
        [json!("2026-01-31T12:00:00.000001Z"), Value::Null, json!("1969-12-31T23:59:59.999999Z")]
    );
    assert_eq!(plain(utc)[0], "2026-01-31T12:00:00.000001Z");
    assert_eq!(values(Arc::new(times))[0], json!("2026-01-31T12:00:00.000001"));
}

#[test]
fn nested_values() {
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
        Some(vec![Some(7)]),
    ]));
    assert_eq!(values(list.clone()), [json!([1, null]), Value::Null, json!([]), json!([7])]);
    assert_eq!(values(list.slice(2, 2)), [json!([]), json!([7])]);
    let fixed = Field::new_list_field(DataType::Int64, true);
    let fixed = FixedSizeListArray::new(Arc::new(fixed), 2, Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5, 6])), None);
    assert_eq!(values(Arc::new(fixed.slice(1, 2))), [json!([3, 4]), json!([5, 6])]);
    let fields = Fields::from(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("a \"name\"", list.data_type().clone(), true),
    ]);
    let members: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![Some(1), None, Some(3), None])), list];
    let nulls = NullBuffer::from(vec![true, true, false, true]);
    let object: ArrayRef = Arc::new(StructArray::new(fields, members, Some(nulls)));
    let expect = [
        json!({"n": 1, "a \"name\"": [1, null]}),
        json!({"n": null, "a \"name\"": null}),
        Value::Null,
        json!({"n": null, "a \"name\"": [7]}),
    ];
    assert_eq!(values(object.clone()), expect);
    assert_eq!(values(object.slice(1, 3)), expect[1..]);
    let field = Field::new_list_field(object.data_type().clone(), true);
    let deep = ListArray::new(Arc::new(field), OffsetBuffer::from_lengths([1, 3]), object, None);
    assert_eq!(values(Arc::new(deep)), [json!([expect[0]]), json!([expect[1], null, expect[3]])]);
}

#[test]
fn maps_are_objects() {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    builder.keys().append_value("a\"b");
    builder.values().append_value(1);
    builder.keys().append_value("c");
    builder.values().append_null();
    builder.append(true).expect("a map");
    builder.append(false).expect("no map");
    assert_eq!(values(Arc::new(builder.finish())), [json!({"a\"b": 1, "c": null}), Value::Null]);
}
