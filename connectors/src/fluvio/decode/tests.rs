//! Records to rows, format by format: a row is shown as its values with `|` between them, a removal with `-` in front.

use std::sync::Arc;
use std::time::Duration;

use catchment_contract::arrow::array::Array;
use catchment_contract::arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use catchment_contract::arrow::util::display::array_value_to_string;
use catchment_contract::{Declaration, Options, Position};
use catchment_topics::batch::{BatchBuilder, Producer, set_base_offset};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const TIME_MS: i64 = 1_706_745_600_123;

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

fn options(columns: &[(&str, DataType)], key: &[&str], with: &[(&str, &str)]) -> TopicOptions {
    let fields = columns.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
    let declared = Declaration {
        columns: Some(Arc::new(Schema::new(fields.collect::<Vec<_>>()))),
        primary_key: key.iter().map(|name| (*name).to_owned()).collect(),
    };
    let mut options = Options::new("source \"s\"");
    options.insert("topic", "t", Default::default());
    for (name, value) in with {
        options.insert(*name, *value, Default::default());
    }
    TopicOptions::take(&declared, &mut options).unwrap()
}

fn payload(records: &[(Option<&[u8]>, &[u8])]) -> Payload {
    let mut builder = BatchBuilder::new();
    records.iter().for_each(|(key, value)| builder.push(*key, value));
    let mut batch = if records.is_empty() { Vec::new() } else { builder.finish(Producer::NONE, -1, TIME_MS) };
    if !batch.is_empty() {
        set_base_offset(&mut batch, 10);
    }
    Payload {
        partition: "3".into(),
        bytes: batch,
        first_record: 11,
        bytes_read: 0,
        position: Position(String::new()),
        rejects: Vec::new(),
    }
}

fn decode_all(options: &TopicOptions, payload: &Payload) -> Decoded {
    let projection: Vec<usize> = (0..options.relation.schema.fields().len()).collect();
    let decoded = TopicDecoder::new(options, &projection).decode(payload);
    assert_eq!(decoded.rows.schema(), options.relation.schema);
    decoded
}

fn rows(decoded: &Decoded) -> Vec<String> {
    let shown = |row: usize| {
        let value = |column: &ArrayRef| match column.is_null(row) {
            true => "null".to_owned(),
            false => array_value_to_string(column, row).unwrap(),
        };
        let values: Vec<String> = decoded.rows.columns().iter().map(value).collect();
        let gone = decoded.tombstones.as_ref().is_some_and(|gone| gone.value(row));
        format!("{}{}", if gone { "-" } else { "" }, values.join("|"))
    };
    (0..decoded.rows.num_rows()).map(shown).collect()
}

fn reasons(decoded: &Decoded) -> Vec<String> {
    decoded.rejects.iter().map(|reject| format!("{}: {}", reject.position, reject.reason)).collect()
}

/// One record without a key: its row, or the reason why it has none.
#[track_caller]
fn one(options: &TopicOptions, value: &str, expect: Result<&str, &str>) {
    keyed(options, None, value, &expect.map(|row| vec![row]));
}

/// One record: its rows, or the reason why it has none.
#[track_caller]
fn keyed(options: &TopicOptions, key: Option<&str>, value: &str, expect: &Result<Vec<&str>, &str>) {
    let decoded = decode_all(options, &payload(&[(key.map(str::as_bytes), value.as_bytes())]));
    assert_eq!(decoded.records, 1, "{value}");
    match expect {
        Ok(expect) => assert_eq!(
            (rows(&decoded), reasons(&decoded)),
            (expect.iter().map(|row| (*row).to_owned()).collect(), vec![]),
            "{value}"
        ),
        Err(reason) => {
            assert_eq!(reasons(&decoded), [format!("partition 3, offset 10: {reason}")], "{value}");
            assert_eq!(decoded.rows.num_rows(), 0);
            assert_eq!(decoded.rejects[0].raw.as_deref(), Some(value));
        }
    }
}

#[test]
fn every_type_is_read_and_what_does_not_fit_is_a_reject() {
    let check = |data_type: DataType, value: &str, expect: Result<&str, &str>| {
        let reason = expect.err().map(|what| format!("field \"x\" is {what}"));
        let expect = expect.map_err(|_| reason.as_deref().unwrap_or_default());
        one(&options(&[("x", data_type)], &[], &[]), &format!("{{\"y\":[{{}}],\"x\":{value}}}"), expect);
    };
    check(DataType::Boolean, "true", Ok("true"));
    check(DataType::Boolean, "\"False\"", Ok("false"));
    check(DataType::Boolean, "1", Ok("true"));
    check(DataType::Boolean, "2", Err("2, not true or false"));
    check(DataType::Int8, "-128", Ok("-128"));
    check(DataType::Int8, "128", Err("128, not a whole number from -128 to 127"));
    check(DataType::Int16, "\"-32768\"", Ok("-32768"));
    check(DataType::Int32, "2147483648", Err("2147483648, not a whole number from -2147483648 to 2147483647"));
    check(DataType::Int64, "9223372036854775807", Ok("9223372036854775807"));
    check(DataType::Int64, "9223372036854775808", Err("9223372036854775808, not a 64-bit integer"));
    check(DataType::Int32, "1e3", Ok("1000"));
    check(DataType::Int32, "1.5", Err("1.5, not a whole number from -2147483648 to 2147483647"));
    check(DataType::Int8, "\" 1\"", Err("\" 1\", not a whole number from -128 to 127"));
    check(DataType::Int8, "[1]", Err("an array, not a whole number from -128 to 127"));
    check(DataType::UInt8, "255", Ok("255"));
    check(DataType::UInt8, "-1", Err("-1, not a whole number from 0 to 255"));
    check(DataType::UInt64, "18446744073709551615", Ok("18446744073709551615"));
    check(DataType::UInt64, "-1", Err("-1, not a whole number from 0 to 18446744073709551615"));
    check(DataType::Float32, "1.5", Ok("1.5"));
    check(DataType::Float32, "1e300", Err(&format!("{}, not a number", 1e300)));
    check(DataType::Float64, "7", Ok("7.0"));
    check(DataType::Float64, "\"-0.25\"", Ok("-0.25"));
    check(DataType::Float64, "\"NaN\"", Err("\"NaN\", not a number"));
    check(DataType::Decimal128(20, 2), "123456789012345678.91", Ok("123456789012345678.91"));
    check(DataType::Decimal128(20, 2), "\"-1.5\"", Ok("-1.50"));
    check(DataType::Decimal128(4, 2), "1.234", Err("1.234, not a DECIMAL(4, 2)"));
    check(DataType::Decimal128(4, 2), "null", Ok("null"));
    check(DataType::Decimal128(4, 2), "{}", Err("{}, not a DECIMAL(4, 2)"));
    check(DataType::Utf8View, "\"a\\u00e9\\n\\ud83d\"", Ok("aé\n\u{fffd}"));
    check(DataType::Utf8View, "12.50", Ok("12.50"));
    check(DataType::Utf8View, "{\"b\": [1, \"é\"]}", Ok("{\"b\": [1, \"é\"]}"));
    check(DataType::Utf8View, "false", Ok("false"));
    check(DataType::Date32, "\"2024-02-29\"", Ok("2024-02-29"));
    check(DataType::Date32, "19782", Ok("2024-02-29"));
    check(DataType::Date32, "\"1969-12-31\"", Ok("1969-12-31"));
    check(DataType::Date32, "\"2024-02-29T10:00:00\"", Err("\"2024-02-29T10:00:00\", not a date"));
    check(timestamp(), "\"2024-02-01T00:00:00.123456Z\"", Ok("2024-02-01T00:00:00.123456Z"));
    check(timestamp(), "\"2024-02-01T01:00:00+01:00\"", Ok("2024-02-01T00:00:00Z"));
    check(timestamp(), "\"2024-02-01 00:00:00\"", Ok("2024-02-01T00:00:00Z"));
    check(timestamp(), "\"2024-02-01\"", Ok("2024-02-01T00:00:00Z"));
    check(timestamp(), "1706745600000001", Ok("2024-02-01T00:00:00.000001Z"));
    check(timestamp(), "9223372036854775807", Err("9223372036854775807, not a time"));
    check(timestamp(), "\"yesterday\"", Err("\"yesterday\", not a time"));
    check(list(DataType::Int32), "[1,null,\"3\"]", Ok("[1, , 3]"));
    check(list(list(DataType::Utf8View)), "[[\"a\",\"b\"],[],null]", Ok("[[a, b], [], ]"));
    check(list(DataType::Int8), "[1,300]", Err("an array whose item 2 is 300, not a whole number from -128 to 127"));
    check(list(DataType::Int8), "1", Err("1, not an array"));
    check(list(DataType::Decimal128(3, 1)), "[1.5,\"2\"]", Ok("[1.5, 2.0]"));
}

#[test]
fn the_unit_of_integer_times_is_the_users_choice() {
    let with = |unit| options(&[("at", timestamp()), ("_time", timestamp())], &[], &[("time_unit", unit)]);
    one(&with("seconds"), "{\"at\":1706745600}", Ok("2024-02-01T00:00:00Z|2024-02-01T00:00:00.123Z"));
    one(&with("seconds"), "{\"at\":1706745600.5}", Ok("2024-02-01T00:00:00.500Z|2024-02-01T00:00:00.123Z"));
    one(&with("milliseconds"), "{\"at\":1706745600001}", Ok("2024-02-01T00:00:00.001Z|2024-02-01T00:00:00.123Z"));
    one(&with("seconds"), "{\"at\":1706745600000000}", Err("field \"at\" is 1706745600000000, not a time"));
}

#[test]
fn json_is_an_object_a_record() {
    let plain = options(&[("id", DataType::Int64), ("body", DataType::Utf8View)], &[], &[]);
    one(&plain, "{\"id\":1,\"body\":\"x\",\"other\":{\"id\":7}}", Ok("1|x"));
    one(&plain, " {\"body\":\"first\",\"body\":null} ", Ok("null|null"));
    one(&plain, "{}", Ok("null|null"));
    one(&plain, "[{\"id\":1}]", Err("not a JSON object"));
    one(&plain, "null", Err("not a JSON object"));
    one(&plain, "7", Err("not a JSON object"));
    one(&plain, "<html>", Err("not JSON but HTML or XML, perhaps an error page that was saved"));
    let broken = |value: &str| {
        let decoded = decode_all(&plain, &payload(&[(None, value.as_bytes())]));
        assert_eq!((decoded.records, decoded.rejects.len()), (1, 1), "{value}");
        assert!(decoded.rejects[0].reason.starts_with("not JSON: "), "{}", decoded.rejects[0].reason);
    };
    ["", "{", "{\"id\":1}{\"id\":2}", "{\"id\":01}", "{\"id\":1,}", "{'id':1}"].into_iter().for_each(broken);
    let deep = "[".repeat(3_000);
    let decoded = decode_all(&plain, &payload(&[(None, format!("{{\"x\":{deep}").as_bytes())]));
    assert!(decoded.rejects[0].reason.starts_with("nested more than "), "{}", decoded.rejects[0].reason);
}

#[test]
fn a_poison_record_takes_no_other_with_it() {
    let plain = options(&[("id", DataType::Int64)], &[], &[]);
    let decoded = decode_all(
        &plain,
        &payload(&[(None, b"{\"id\":1}"), (None, b"\xff\xfe"), (None, b"{\"id\":\"x\"}"), (None, b"{\"id\":4}")]),
    );
    assert_eq!(rows(&decoded), ["1", "4"]);
    assert_eq!(
        reasons(&decoded),
        [
            "partition 3, offset 11: not UTF-8: 0 good bytes before the first bad one",
            "partition 3, offset 12: field \"id\" is \"x\", not a 64-bit integer",
        ]
    );
    assert_eq!(decoded.records, 4);
}

#[test]
fn ndjson_is_several_lines_a_record() {
    let lines = options(&[("id", DataType::Int64), ("_offset", DataType::Int64)], &[], &[("format", "ndjson")]);
    let decoded = decode_all(
        &lines,
        &payload(&[(None, b"{\"id\":1}\n\r\n{\"id\":2}\r\n{]\n"), (None, b"{\"id\":3}"), (None, b"\n")]),
    );
    assert_eq!(rows(&decoded), ["1|10", "2|10", "3|11"]);
    assert_eq!(decoded.records, 5);
    let reasons = reasons(&decoded);
    assert!(reasons[0].starts_with("partition 3, offset 10, line 4: not JSON: "), "{reasons:?}");
    assert_eq!(reasons[1], "partition 3, offset 12: it holds no line");
}

#[test]
fn a_missing_key_comes_from_the_records_key() {
    let one_key = options(&[("n", DataType::Int32), ("id", DataType::Int64)], &["id"], &[]);
    keyed(&one_key, Some("42"), "{\"n\":1}", &Ok(vec!["1|42"]));
    keyed(&one_key, Some("42"), "{\"n\":1,\"id\":7}", &Ok(vec!["1|7"]));
    keyed(&one_key, Some("{\"id\":5}"), "{\"n\":1}", &Ok(vec!["1|5"]));
    keyed(
        &one_key,
        None,
        "{\"n\":1}",
        &Err("it has no \"id\", which is in the primary key, and its record has no key"),
    );
    keyed(&one_key, Some("4x"), "{\"n\":1}", &Err("field \"id\" is \"4x\", not a 64-bit integer"));
    let text = options(&[("id", DataType::Utf8View)], &["id"], &[]);
    keyed(&text, Some("{curly"), "{}", &Ok(vec!["{curly"]));
    keyed(&text, Some("[1]"), "{}", &Ok(vec!["[1]"]));
    let two = options(&[("a", DataType::Utf8View), ("b", DataType::Int64), ("c", DataType::Int64)], &["b", "a"], &[]);
    keyed(&two, Some("[7,\"x\"]"), "{\"c\":1}", &Ok(vec!["x|7|1"]));
    keyed(&two, Some("[7,\"x\"]"), "{\"a\":\"y\"}", &Ok(vec!["y|7|null"]));
    keyed(&two, Some("{\"a\":\"x\",\"b\":7}"), "{}", &Ok(vec!["x|7|null"]));
    for key in ["[7]", "[7,\"x\",1]", "7", "[", ""] {
        let decoded = decode_all(&two, &payload(&[(Some(key.as_bytes()), b"{}")]));
        assert!(decoded.rejects[0].reason.ends_with(&format!("neither has its record's key \"{key}\"")), "{key}");
    }
}

#[test]
fn upsert_removes_with_null() {
    let upsert = options(&[("id", DataType::Utf8View), ("n", DataType::Int64)], &["id"], &[("format", "upsert")]);
    keyed(&upsert, Some("a"), "{\"id\":\"a\",\"n\":1,\"_epoch\":3,\"_ts_ms\":5}", &Ok(vec!["a|1"]));
    keyed(&upsert, Some("a"), "null", &Ok(vec!["-a|null"]));
    keyed(&upsert, Some("a"), "", &Ok(vec!["-a|null"]));
    keyed(&upsert, None, "{\"n\":1}", &Err("it has no \"id\", which is in the primary key, and its record has no key"));
    // As a sink writes the group whose key is null.
    keyed(&upsert, None, "{\"id\":null,\"n\":1}", &Ok(vec!["null|1"]));
    keyed(&upsert, None, "null", &Ok(vec!["-null|null"]));
    let columns = [("id", DataType::Utf8View), ("n", DataType::Int64), ("m", DataType::Int64)];
    let two = options(&columns, &["id", "n"], &[("format", "upsert")]);
    keyed(&two, Some("[\"0\",null]"), "{\"id\":\"0\",\"n\":null,\"m\":1}", &Ok(vec!["0|null|1"]));
    keyed(&two, Some("[\"0\",null]"), "null", &Ok(vec!["-0|null|null"]));
    keyed(&two, None, "null", &Err("it has no \"id\", which is in the primary key, and its record has no key"));
    let json = options(&columns, &["id"], &[]);
    keyed(
        &json,
        None,
        "{\"id\":null}",
        &Err("it has no \"id\", which is in the primary key, and its record has no key"),
    );
    keyed(&upsert, Some("a"), "[]", &Err("not a JSON object"));
}

#[test]
fn debezium_applies_changes() {
    let columns =
        [("id", DataType::Int64), ("n", DataType::Utf8View), ("_epoch", DataType::Int64), ("_ts_ms", timestamp())];
    let changes = options(&columns, &["id"], &[("format", "debezium")]);
    let check = |key: Option<&str>, value: &str, expect: Result<Vec<&str>, &str>| keyed(&changes, key, value, &expect);
    check(
        None,
        r#"{"before":null,"after":{"id":1,"n":"x"},"op":"c","epoch":7,"ts_ms":1706745600123}"#,
        Ok(vec!["1|x|7|2024-02-01T00:00:00.123Z"]),
    );
    check(None, r#"{"before":null,"after":{"id":1,"n":{"a":1}},"op":"r"}"#, Ok(vec!["1|{\"a\":1}|null|null"]));
    check(None, r#"{"before":{"id":1,"n":"x"},"after":{"id":1,"n":"y"},"op":"u"}"#, Ok(vec!["1|y|null|null"]));
    check(
        None,
        r#"{"before":{"id":1,"n":"x"},"after":{"id":2,"n":"y"},"op":"u"}"#,
        Ok(vec!["-1|null|null|null", "2|y|null|null"]),
    );
    check(None, r#"{"op":"d","before":{"id":1,"n":"x"},"after":null}"#, Ok(vec!["-1|null|null|null"]));
    check(Some("9"), r#"{"op":"d","before":null,"after":null}"#, Ok(vec!["-9|null|null|null"]));
    check(Some("9"), "null", Ok(vec!["-9|null|null|null"]));
    check(
        Some(r#"{"schema":{},"payload":{"id":1}}"#),
        r#"{"schema":{"op":"x"},"payload":{"before":{"id":"1"},"after":{"id":2,"n":[3]},"op":"u","source":{"op":"z"}}}"#,
        Ok(vec!["-1|null|null|null", "2|[3]|null|null"]),
    );
    check(None, r#"{"after":{"id":1}}"#, Err("it has no \"op\", so it is not a change as Debezium writes it"));
    check(None, r#"{"after":{"id":1},"op":"x"}"#, Err("its op \"x\" is none of c, r, u and d"));
    check(None, r#"{"after":null,"op":"u"}"#, Err("its op is \"u\", and it has no \"after\""));
    check(None, r#"{"op":"t"}"#, Err("a truncation of the whole table, which is not applied"));
    check(None, r#"{"op":"m"}"#, Err("a message, which is no change of a row"));
    check(
        None,
        r#"{"op":"d","before":{"n":"x"}}"#,
        Err("it has no \"id\", which is in the primary key, and its record has no key"),
    );
    check(None, "[]", Err("not a JSON object"));
    check(
        None,
        r#"{"before":{"id":"a"},"after":{"id":2},"op":"u"}"#,
        Err("field \"id\" is \"a\", not a 64-bit integer"),
    );
}

#[test]
fn a_record_fills_its_own_columns() {
    let columns = [
        ("_offset", DataType::Int64),
        ("_partition", DataType::Int32),
        ("_time", timestamp()),
        ("_key", DataType::Utf8View),
        ("_epoch", DataType::Int64),
        ("_ts_ms", timestamp()),
    ];
    let own = options(&columns, &["_partition", "_offset"], &[]);
    keyed(&own, Some("k"), "{\"_offset\":5}", &Ok(vec!["10|3|2024-02-01T00:00:00.123Z|k|null|null"]));
    keyed(
        &own,
        None,
        "{\"_epoch\":8,\"_ts_ms\":1000}",
        &Ok(vec!["10|3|2024-02-01T00:00:00.123Z|null|8|1970-01-01T00:00:01Z"]),
    );
    let decoded = decode_all(&own, &payload(&[(Some(b"\xffk"), b"{}")]));
    assert_eq!(rows(&decoded), ["10|3|2024-02-01T00:00:00.123Z|\u{fffd}k|null|null"]);
}

#[test]
fn a_projection_has_its_columns_in_its_order_and_touches_no_others() {
    let all = options(
        &[("a", DataType::Int64), ("b", DataType::Int64), ("c", DataType::Utf8View)],
        &["b"],
        &[("format", "upsert")],
    );
    let payload = payload(&[(None, b"{\"a\":\"poison\",\"b\":2,\"c\":\"x\"}"), (None, b"{\"b\":3}")]);
    let decoded = TopicDecoder::new(&all, &[2, 1]).decode(&payload);
    assert_eq!(rows(&decoded), ["x|2", "null|3"]);
    let decoded = TopicDecoder::new(&all, &[]).decode(&payload);
    assert_eq!((decoded.rows.num_rows(), decoded.rows.num_columns(), decoded.rejects.len()), (2, 0, 0));
}

#[test]
fn names_of_all_lengths_are_told_apart() {
    let names: Vec<String> = (0..300).map(|n| format!("{}{n}", "ab".repeat(n % 12))).collect();
    let columns: Vec<(&str, DataType)> = names.iter().map(|name| (name.as_str(), DataType::Int64)).collect();
    let wide = options(&columns, &[], &[]);
    let fields: Vec<String> = names.iter().enumerate().map(|(n, name)| format!("\"{name}\":{n}")).collect();
    let expect: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    one(&wide, &format!("{{{}}}", fields.join(",")), Ok(&expect.join("|")));
    one(&wide, "{\"ab\":1,\"\":2,\"abababababababab\":3}", Ok(&vec!["null"; 300].join("|")));
}

#[test]
fn records_below_the_position_are_passed_over_and_broken_bytes_are_a_reject() {
    let plain = options(&[("id", DataType::Int64)], &[], &[]);
    let mut payload = payload(&[(None, b"{\"id\":1}"), (None, b"{\"id\":2}")]);
    payload.first_record = 12;
    assert_eq!(rows(&decode_all(&plain, &payload)), ["2"]);
    let whole = payload.bytes.len();
    payload.bytes.extend_from_slice(b"rubbish");
    let decoded = decode_all(&plain, &payload);
    assert_eq!(reasons(&decoded), [format!("partition 3, byte {whole}: bytes that are no whole batch")]);
    assert_eq!((rows(&decoded), decoded.records), (vec!["2".to_owned()], 2));
    // A batch that says it is compressed, and is not.
    payload.bytes.truncate(whole);
    payload.bytes[22] = 4;
    let decoded = decode_all(&plain, &payload);
    assert_eq!((decoded.records, decoded.rejects.len()), (1, 1));
    assert!(decoded.rejects[0].position == "partition 3, offsets 10 to 11", "{:?}", decoded.rejects);
}

/// `FUZZ_SECONDS` says for how long; without it some thousand records.
#[test]
fn any_bytes_decode_without_a_panic_and_the_account_adds_up() {
    let environment = catchment_contract::Environment::system();
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse::<u64>().ok());
    let (until, seed) = (seconds.map(|seconds| environment.now() + Duration::from_secs(seconds)), 7);
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let columns = [
        ("id", DataType::Int64),
        ("d", DataType::Decimal128(9, 3)),
        ("l", list(DataType::Utf8View)),
        ("t", timestamp()),
        ("day", DataType::Date32),
        ("s", DataType::Utf8View),
    ];
    let record = br#"{"before":{"id":1},"after":{"id":2,"d":1.5e1,"l":["a",null],"t":"2024-01-01","day":3,"s":{"x":1}},"op":"u"}"#;
    let formats = ["json", "ndjson", "debezium", "upsert"];
    let sources = formats.map(|format| options(&columns, &["id"], &[("format", format)]));
    let mut rounds = 0_u64;
    while until.map_or(rounds < 2_000, |until| environment.now() < until) {
        rounds += 1;
        for source in &sources {
            let mut value = record.to_vec();
            for _ in 0..rng.random_range(0..4) {
                let at = rng.random_range(0..value.len());
                match rng.random_range(0..3) {
                    0 => value[at] = rng.random(),
                    1 => drop(value.drain(at..)),
                    _ => value.insert(at, *b"{}[]\",:0e-.\\nu".get(rng.random_range(0..14)).unwrap()),
                }
                if value.is_empty() {
                    break;
                }
            }
            let mut payload = payload(&[(Some(b"5"), &value), (None, record)]);
            if rng.random_bool(0.2) {
                let at = rng.random_range(0..payload.bytes.len());
                payload.bytes[at] ^= 1 << rng.random_range(0..8);
            }
            let decoded = decode_all(source, &payload);
            assert!(decoded.records >= decoded.rejects.len() as u64);
            assert!(decoded.rows.num_rows() as u64 <= 2 * (decoded.records - decoded.rejects.len() as u64));
        }
    }
    println!("{rounds} rounds of {} formats", formats.len());
}
