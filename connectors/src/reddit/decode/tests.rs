use std::sync::Arc;

use catchment_contract::arrow::array::{Array, AsArray, RecordBatch};
use catchment_contract::arrow::util::display::array_value_to_string;
use catchment_contract::{Decoder as _, Position};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

pub(super) fn payload(bytes: &[u8], position: &str) -> Payload {
    Payload {
        partition: Arc::from("p"),
        bytes: bytes.to_vec(),
        first_record: 1,
        bytes_read: 0,
        position: Position(position.to_owned()),
        rejects: Vec::new(),
    }
}

pub(super) fn all(kind: Kind) -> Vec<usize> {
    (0..kind.schema().fields().len()).collect()
}

pub(super) fn decode(kind: Kind, text: &str) -> Decoded {
    Decoder::new(kind, &all(kind)).decode(&payload(text.as_bytes(), "lines"))
}

/// The values of `column`, `-` for null.
pub(super) fn values(rows: &RecordBatch, column: &str) -> Vec<String> {
    let array = rows.column_by_name(column).unwrap_or_else(|| panic!("no column {column}"));
    let value = |row| if array.is_null(row) { "-".to_owned() } else { array_value_to_string(array, row).unwrap() };
    (0..rows.num_rows()).map(value).collect()
}

/// One comment with the fields `fields` and an id: the value of `column`.
fn comment(fields: &str, column: &str) -> String {
    one(Kind::Comments, fields, column)
}

fn one(kind: Kind, fields: &str, column: &str) -> String {
    let decoded = decode(kind, &format!("{{{fields},\"id\":\"x\"}}\n"));
    match decoded.rejects.first() {
        Some(reject) => reject.reason.clone(),
        None => values(&decoded.rows, column).pop().unwrap_or_else(|| "no row".to_owned()),
    }
}

pub(super) fn reasons(decoded: &Decoded) -> Vec<String> {
    decoded.rejects.iter().map(|reject| format!("{}: {}", reject.position, reject.reason)).collect()
}

#[test]
fn times_come_as_integer_float_or_string() {
    let expect = "2016-01-31T12:00:01Z";
    for value in ["1454241601", "1454241601.0", "\"1454241601\"", "\"1454241601.0\"", "\"2016-01-31T12:00:01Z\""] {
        assert_eq!(comment(&format!("\"created_utc\":{value}"), "created_utc"), expect, "{value}");
    }
    assert_eq!(comment("\"created_utc\":1454241601.25", "created_utc"), "2016-01-31T12:00:01.250Z");
    assert_eq!(comment("\"created_utc\":-1", "created_utc"), "1969-12-31T23:59:59Z");
    assert_eq!(comment("\"created_utc\":null", "created_utc"), "-");
    assert_eq!(comment("\"score\":1", "created_utc"), "-");
}

#[test]
fn edited_is_false_true_or_a_time() {
    let check = |value: &str, edited: &str, at: &str| {
        assert_eq!(comment(&format!("\"edited\":{value}"), "edited"), edited, "{value}");
        assert_eq!(comment(&format!("\"edited\":{value}"), "edited_at"), at, "{value}");
    };
    check("false", "false", "-");
    check("true", "true", "-");
    check("null", "-", "-");
    check("1454241601", "true", "2016-01-31T12:00:01Z");
    check("1454241601.0", "true", "2016-01-31T12:00:01Z");
    check("\"1454241601\"", "true", "2016-01-31T12:00:01Z");
    check("\"false\"", "false", "-");
}

#[test]
fn ids_lose_their_prefix_and_links_keep_it() {
    let ids = |text: &str| values(&decode(Kind::Comments, text).rows, "id");
    assert_eq!(ids("{\"id\":\"c1\"}\n{\"id\":\"t1_c1\"}\n{\"name\":\"t1_c1\"}\n"), ["c1", "c1", "c1"]);
    let both = "\"link_id\":\"t3_l\",\"parent_id\":\"t1_p\"";
    let got = ["link_id", "link", "parent_id", "parent", "name"].map(|column| comment(both, column));
    assert_eq!(got, ["t3_l", "l", "t1_p", "p", "t1_x"]);
    assert_eq!(one(Kind::Submissions, "\"title\":\"t\"", "name"), "t3_x");
    assert_eq!(one(Kind::Submissions, "\"name\":\"t3_other\"", "name"), "t3_other");
}

#[test]
fn numbers_and_flags_are_lenient_where_nothing_is_lost() {
    let check = |value: &str, expect: &str| assert_eq!(comment(&format!("\"score\":{value}"), "score"), expect);
    check("12", "12");
    check("-12.0", "-12");
    check("\"12\"", "12");
    check("9223372036854775807", "9223372036854775807");
    check("null", "-");
    check("1.5", "field \"score\" is 1.5, not a 64-bit integer");
    check("9223372036854775808", "field \"score\" is 9223372036854775808, not a 64-bit integer");
    check("1e30", "field \"score\" is 1000000000000000000000000000000, not a 64-bit integer");
    check("true", "field \"score\" is true, not a 64-bit integer");
    check("[1,{\"a\":2}]", "field \"score\" is an array, not a 64-bit integer");
    check("{\"a\":[1]}", "field \"score\" is an object, not a 64-bit integer");
    check("\"many\"", "field \"score\" is \"many\", not a 64-bit integer");
    for (value, expect) in [("true", "true"), ("0", "false"), ("1", "true"), ("\"False\"", "false")] {
        assert_eq!(comment(&format!("\"stickied\":{value}"), "stickied"), expect);
    }
    assert_eq!(comment("\"stickied\":2", "stickied"), "field \"stickied\" is 2, not true or false");
    assert_eq!(comment("\"body\":5", "body"), "5");
    assert_eq!(comment("\"body\":[5]", "body"), "field \"body\" is an array, not text");
    assert_eq!(one(Kind::Submissions, "\"upvote_ratio\":1", "upvote_ratio"), "1.0");
    assert_eq!(one(Kind::Submissions, "\"upvote_ratio\":\"0.98\"", "upvote_ratio"), "0.98");
    let late = "field \"created_utc\" is 253402300800, not a time";
    assert_eq!(comment("\"created_utc\":253402300800", "created_utc"), late);
    assert_eq!(comment("\"created_utc\":\"soon\"", "created_utc"), "field \"created_utc\" is \"soon\", not a time");
}

#[test]
fn strings_are_unescaped_and_lone_surrogates_replaced() {
    let check = |text: &str, expect: &str| assert_eq!(comment(&format!("\"body\":\"{text}\""), "body"), expect);
    check("plain", "plain");
    check(r#"a\nb\"c\/d\u00e4\ud83d\ude00"#, "a\nb\"c/dä😀");
    check(r"lone \ud83d here", "lone \u{fffd} here");
    check(r"\udc00", "\u{fffd}");
    check("a string that is longer than twelve bytes", "a string that is longer than twelve bytes");
    check("", "");
    assert_eq!(comment(r#""bo\u0064y":"escaped name""#, "body"), "escaped name");
}

#[test]
fn of_a_field_that_comes_twice_the_last_counts() {
    assert_eq!(comment("\"score\":1,\"body\":\"a\",\"score\":2", "score"), "2");
    assert_eq!(comment("\"score\":\"bad\",\"score\":2", "score"), "2");
    assert_eq!(values(&decode(Kind::Comments, "{\"id\":\"a\",\"id\":\"b\"}").rows, "id"), ["b"]);
}

#[test]
fn a_bad_line_costs_itself_alone() {
    let text = "{\"id\":\"a\"}\n{\"id\":\"b\"\n\n[]\n  \n17\n\"s\"\nrubbish\n{\"id\":\"c\"} x\n{\"body\":\"no id\"}\n{\"id\":7}\n{\"id\":\"\"}\n{\"id\":\"d\"}";
    let decoded = decode(Kind::Comments, text);
    assert_eq!(values(&decoded.rows, "id"), ["a", "d"]);
    let reasons = reasons(&decoded);
    let check = |index: usize, start: &str| assert!(reasons[index].starts_with(start), "{:?}", reasons[index]);
    assert_eq!(reasons.len(), 8, "{reasons:#?}");
    check(0, "line 2: not JSON: ");
    check(1, "line 6: not a JSON object");
    check(2, "line 7: not a JSON object");
    check(3, "line 8: not JSON: ");
    check(4, "line 9: not JSON: ");
    check(5, "line 10: it has no \"id\", so it is not a record of Reddit");
    check(6, "line 11: its \"id\" is not a string");
    check(7, "line 12: its \"id\" is not a string");
    assert_eq!(decoded.rejects[0].raw.as_deref(), Some("{\"id\":\"b\""));
    assert_eq!(decoded.records, 10);
    assert!(reasons.iter().all(|reason| !reason.contains('\n')), "{reasons:#?}");
}

#[test]
fn bytes_that_are_not_utf8_cost_their_line_alone() {
    let bytes =
        [&b"{\"id\":\"a\",\"body\":\"\xc3\xa4\"}\n{\"id\":\"b\",\"body\":\"\xff\"}\n{\"id\":\"c\"}\n"[..]].concat();
    let decoded = Decoder::new(Kind::Comments, &all(Kind::Comments)).decode(&payload(&bytes, "lines"));
    assert_eq!(values(&decoded.rows, "id"), ["a", "c"]);
    assert_eq!(values(&decoded.rows, "body"), ["ä", "-"]);
    assert_eq!(reasons(&decoded), ["line 2: not UTF-8: 18 good bytes before the first bad one"]);
    assert_eq!(decoded.rejects[0].raw.as_deref(), Some("{\"id\":\"b\",\"body\":\"\u{fffd}\"}"));
}

#[test]
fn the_latest_fetch_is_the_version() {
    let text = r#"{"id":"a","retrieved_on":10,"_meta":{"retrieved_2nd_on":30,"removal_type":"deleted","was_deleted_later":true,"id":"no"}}
{"id":"b","retrieved_utc":"20"}
{"id":"c","_meta":null}
{"id":"d","retrieved_on":5,"updated_utc":7,"_meta":[1]}"#;
    let decoded = decode(Kind::Comments, text);
    assert_eq!(reasons(&decoded), Vec::<String>::new());
    let versions = decoded.versions.clone().expect("some carry one");
    assert_eq!(versions.iter().collect::<Vec<_>>(), [Some(30_000_000), Some(20_000_000), None, Some(7_000_000)]);
    let at = values(&decoded.rows, "retrieved_at");
    assert_eq!(at, ["1970-01-01T00:00:30Z", "1970-01-01T00:00:20Z", "-", "1970-01-01T00:00:07Z"]);
    assert_eq!(values(&decoded.rows, "id"), ["a", "b", "c", "d"]);
    assert_eq!(values(&decoded.rows, "removal_type"), ["deleted", "-", "-", "-"]);
    assert_eq!(values(&decoded.rows, "was_deleted_later"), ["true", "-", "-", "-"]);
    assert!(decode(Kind::Comments, "{\"id\":\"a\"}").versions.is_none());
}

const THREAD: &str = r#"[{"kind":"Listing","data":{"children":[{"kind":"t3","data":{"id":"s","title":"t","num_comments":2}}]}},
{"kind":"Listing","data":{"after":null,"children":[
 {"data":{"id":"c1","body":"one","replies":{"kind":"Listing","data":{"children":[
   {"kind":"t1","data":{"id":"c2","body":"two","replies":""}},
   {"kind":"more","data":{"count":3,"id":"m","name":"t1_m","parent_id":"t1_c1","children":["m","n"]}}]}}},"kind":"t1"},
 {"kind":"t5","data":{"id":"sub","title":"a subreddit"}}]}}]"#;

#[test]
fn listings_yield_the_records_of_the_sources_kind_with_replies() {
    let line = THREAD.replace('\n', "");
    let comments = decode(Kind::Comments, &line);
    assert_eq!(values(&comments.rows, "id"), ["c1", "c2"]);
    assert_eq!((reasons(&comments), comments.records), (vec![], 2));
    assert_eq!(comments.passed_over, 3, "the submission, the stub and the subreddit");
    let submissions = decode(Kind::Submissions, &line);
    assert_eq!((values(&submissions.rows, "id"), submissions.passed_over), (vec!["s".to_owned()], 4));
}

#[test]
fn a_snapshot_gives_its_time_to_its_records_wherever_it_stands() {
    let listing = r#"{"kind":"Listing","data":{"children":[{"kind":"t3","data":{"id":"s","title":"t"}},{"kind":"t3","data":{"title":"no id"}}]}}"#;
    for text in [
        format!("{{\"fetched_at\":1578065771,\"listing\":{listing}}}"),
        format!("{{\"listing\":{listing},\"fetched_at\":\"2020-01-03T15:36:11Z\"}}"),
        format!("{{\"fetched_at\":1578065771.0,\"listing\":[{listing}]}}"),
    ] {
        let decoded = decode(Kind::Submissions, &text);
        assert_eq!(values(&decoded.rows, "retrieved_at"), ["2020-01-03T15:36:11Z"], "{text}");
        assert_eq!(decoded.versions.as_ref().map(|v| v.value(0)), Some(1_578_065_771_000_000));
        assert_eq!(reasons(&decoded), ["line 1, record 2: it has no \"id\", so it is not a record of Reddit"]);
    }
    let failed =
        decode(Kind::Submissions, "{\"fetched_at\":1,\"listing\":null}\n{\"message\":\"Forbidden\",\"error\":403}\n");
    assert_eq!((failed.rows.num_rows(), failed.rejects.len(), failed.records), (0, 2, 2));
    let empty =
        decode(Kind::Submissions, "{\"fetched_at\":1,\"listing\":{\"kind\":\"Listing\",\"data\":{\"children\":[]}}}");
    assert_eq!((empty.rows.num_rows(), empty.rejects.len(), empty.records), (0, 0, 0));
}

#[test]
fn flat_records_tell_their_kind_by_their_fields() {
    let text = "{\"id\":\"a\",\"body\":\"b\"}\n{\"id\":\"b\",\"title\":\"t\"}\n{\"id\":\"c\",\"name\":\"t3_c\"}\n{\"id\":\"d\"}\n{\"id\":\"e\",\"kind\":\"t3\"}";
    assert_eq!(values(&decode(Kind::Comments, text).rows, "id"), ["a", "d"]);
    assert_eq!(values(&decode(Kind::Submissions, text).rows, "id"), ["b", "c", "d", "e"]);
}

#[test]
fn nesting_without_end_is_a_reject() {
    for (open, close) in
        [("{\"data\":", "}"), ("[", "]"), ("{\"id\":\"a\",\"score\":[", "]}"), ("{\"id\":\"a\",\"x\":[", "]}")]
    {
        for levels in [27, 28, 40, 56, 57, 100, 199, 201, 512, 990, 5_000] {
            let text = format!("{}1{}\n{{\"id\":\"z\"}}\n", open.repeat(levels), close.repeat(levels));
            let decoded = decode(Kind::Comments, &text);
            assert_eq!(decoded.records, (decoded.rows.num_rows() + decoded.rejects.len()) as u64);
            assert_eq!(values(&decoded.rows, "id").last().map(String::as_str), Some("z"), "{open} {levels}");
        }
    }
}

#[test]
fn what_the_reader_rejected_is_counted() {
    let mut given = payload(b"", "lines");
    given.rejects.push(Reject::new("line 1", None, "the file is empty (0 bytes)"));
    let decoded = Decoder::new(Kind::Comments, &[]).decode(&given);
    assert_eq!((decoded.records, decoded.rejects, decoded.rows.num_columns()), (1, given.rejects, 0));
}

#[test]
fn no_column_at_all_still_counts_rows() {
    let decoded = Decoder::new(Kind::Comments, &[]).decode(&payload(b"{\"id\":\"a\"}\n{\"id\":\"b\"}\n", "lines"));
    assert_eq!((decoded.rows.num_rows(), decoded.records), (2, 2));
}

#[test]
fn string_buffers_hold_the_wanted_strings_alone() {
    let body = "a body that is longer than twelve bytes";
    let line = format!("{{\"id\":\"a\",\"body\":\"{body}\",\"junk\":\"{}\"}}\n", "j".repeat(5_000));
    let column = Kind::Comments.schema().index_of("body").unwrap();
    let decoded = Decoder::new(Kind::Comments, &[0, column]).decode(&payload(line.repeat(50).as_bytes(), "lines"));
    let bodies = decoded.rows.column(1).as_string_view();
    assert_eq!(bodies.value(49), body);
    assert_eq!(bodies.data_buffers().iter().map(|buffer| buffer.len()).sum::<usize>(), 50 * body.len());
    assert_eq!(decoded.rows.column(0).as_string_view().data_buffers().len(), 0);
}

/// Decoding some columns gives what decoding all of them gives, and damage of any kind never panics.
#[test]
fn a_projection_is_a_part_of_the_whole_whatever_the_bytes() {
    let lines = [
        r#"{"id":"a","body":"x\ny","score":3,"created_utc":"1454241601","edited":1454241700.0,"link_id":"t3_l","retrieved_on":9}"#,
        r#"{"kind":"t1","data":{"id":"b","body":"[deleted]","author":"[deleted]","edited":true,"ups":4}}"#,
        r#"{"id":"c","title":"no comment"}"#,
        r#"{"id":"d","body":"é 日本","gilded":0,"stickied":false,"_meta":{"retrieved_2nd_on":4}}"#,
    ];
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = Vec::new();
        for _ in 0..rng.random_range(1..12) {
            let mut line = lines[rng.random_range(0..lines.len())].as_bytes().to_vec();
            match rng.random_range(0..6) {
                0 => line.truncate(rng.random_range(0..line.len())),
                // Structural damage alone, so that a value's type stays good whether or not it is wanted.
                1 => line.extend_from_slice(b"}\xff"),
                _ => {}
            }
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
        }
        let given = payload(&bytes, "lines");
        for kind in [Kind::Comments, Kind::Submissions] {
            let whole = Decoder::new(kind, &all(kind)).decode(&given);
            let projection: Vec<usize> =
                (0..rng.random_range(0..9)).map(|_| rng.random_range(0..all(kind).len())).collect();
            let part = Decoder::new(kind, &projection).decode(&given);
            let expect = whole.rows.project(&projection).unwrap();
            assert_eq!(part.rows.columns(), expect.columns(), "seed {seed}, {projection:?}");
            assert_eq!((part.rejects, part.versions, part.records), (whole.rejects, whole.versions, whole.records));
        }
    }
}

#[test]
fn random_damage_never_panics_and_always_adds_up() {
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = THREAD.replace('\n', "").into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(THREAD.as_bytes());
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
        }
        for position in ["lines", "values"] {
            let decoded = Decoder::new(Kind::Comments, &all(Kind::Comments)).decode(&payload(&bytes, position));
            let records = decoded.rows.num_rows() + decoded.rejects.len();
            assert_eq!(decoded.records, records as u64, "seed {seed}");
        }
    }
}
