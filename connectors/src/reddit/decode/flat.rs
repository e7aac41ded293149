//! Reading by hand beside scanning.

use catchment_contract::Decoder as _;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::tests::{all, payload, reasons};
use super::*;

/// Bytes that make a difference in JSON.
const ODD: &[u8] = b"\"\\,:{}[] \t0-.e\xe9\x01";

/// Flat records read by hand are what a scan makes of them, and so are lines that are nearly such: whole ones, and ones
/// with some bytes changed, moved or left out.
#[test]
fn flat_records_are_what_a_scan_makes_of_them() {
    let pieces = [
        "\"id\":\"k1\"",
        "\"id\": \"t1_k2\" ",
        "\"name\":\"t3_k1\"",
        "\"name\":\"x\"",
        "\"body\":\"text\"",
        "\"body\":\"a \\\"b\\\" \\u00e9\\n\"",
        "\"body\":\"half \\ud83d\"",
        "\"body\":null",
        "\"body\":12",
        "\"title\":\"a title of more than eight and of more than thirty-two bytes\"",
        "\"selftext\":\"\"",
        "\"link_id\":\"t3_1\"",
        "\"link_id\":\"1\"",
        "\"parent_id\":1234567890123",
        "\"parent_id\":null",
        "\"score\":-3",
        "\"score\":-0",
        "\"score\":1e3",
        "\"score\":99999999999999999999",
        "\"score\":\"7\"",
        "\"created_utc\":1700000000",
        "\"created_utc\":1700000000.5",
        "\"created_utc\":{\"$date\":1700000000000}",
        "\"edited\":false",
        "\"edited\":1700000001",
        "\"archived\":true",
        "\"gildings\":{}",
        "\"all_awardings\":[]",
        "\"all_awardings\":[{\"id\":\"a\",\"count\":[1,2]}]",
        "\"upvote_ratio\":0.97",
        "\"upvote_ratio\":1",
        "\"author\":\"me\"",
        "\"author\":{\"name\":\"me\"}",
        "\"author\":[1]",
        "\"subreddit\":\"s\"",
        "\"num_comments\":3",
        "\"is_submitter\":false",
        "\"collapsed\":null",
        "\"kind\":\"t1\"",
        "\"replies\":\"\"",
        "\"replies\":{\"data\":{\"children\":[{\"kind\":\"t1\",\"data\":{\"id\":\"r\",\"body\":\"b\",\"link_id\":\"t3_1\"}}]}}",
        "\"data\":{\"id\":\"d\",\"body\":\"x\"}",
        "\"_meta\":{\"retrieved_2nd_on\":1700000009,\"is_edited\":true}",
        "\"_meta\":null",
        "\"_meta\":3",
        "\"_id\":{\"$oid\":\"5f5f5f5f5f5f5f5f5f5f5f5f\"}",
        "\"whatever\":[[1],{}]",
        "\"unknown \\u0061\":1",
        "\"i\\u0064\":\"k3\"",
        "\"display_name\":\"u\"",
        "\"display_name\":null",
        "\"retrieved_on\":1700000010",
        "\"submission_id\":\"abc\"",
        "\"fetched_at\":\"2024-01-01\"",
        "\"permalink\":\"\\/r\\/s\\/comments\\/1\\/_\\/k1\\/\"",
        "\"media\":\"text\"",
        "\"poll_data\":{\"a\":1}",
        "\"edited\":\"\"",
        "\"comments\":[]",
        "\"\":\"\"",
    ];
    let mut rng = StdRng::seed_from_u64(7);
    let mut records = 0;
    for round in 0..if cfg!(debug_assertions) { 3_000 } else { 100_000 } {
        let mut line: Vec<&str> =
            (0..rng.random_range(0..14)).map(|_| pieces[rng.random_range(0..pieces.len())]).collect();
        if rng.random_bool(0.7) {
            line.insert(0, pieces[0]);
        }
        let separator = if rng.random_bool(0.8) { "," } else { " , " };
        let mut text = format!("{{{}}}", line.join(separator)).into_bytes();
        for _ in 0..if rng.random_bool(0.4) { rng.random_range(0..4) } else { 0 } {
            let at = rng.random_range(0..text.len().max(1));
            match rng.random_range(0..4) {
                0 if !text.is_empty() => drop(text.remove(at)),
                1 => text.insert(at, ODD[rng.random_range(0..ODD.len())]),
                2 => text.truncate(at),
                _ if text.is_empty() => {}
                _ => text[at] = rng.random_range(0..128),
            }
        }
        let kind = if rng.random_bool(0.5) { Kind::Comments } else { Kind::Submissions };
        let mut wanted = all(kind);
        if rng.random_bool(0.5) {
            wanted.retain(|_| rng.random_bool(0.3));
        }
        // Twice, so that the second is read in the order of the first.
        let bytes = [&text[..], b"\n", &text[..], b"\n"].concat();
        let [flat, scanned] = [true, false].map(|flat| {
            let mut decoder = Decoder::new(kind, &wanted);
            decoder.plan.flat = flat;
            decoder.decode(&payload(&bytes, "lines"))
        });
        records += flat.rows.num_rows();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(flat.rows, scanned.rows, "round {round}: {text}");
        assert_eq!(flat.versions, scanned.versions, "round {round}: {text}");
        assert_eq!(reasons(&flat), reasons(&scanned), "round {round}: {text}");
        assert_eq!((flat.records, flat.passed_over), (scanned.records, scanned.passed_over), "round {round}: {text}");
    }
    assert!(records > 500, "{records} records");
}

/// Which lines are read by hand.
#[test]
fn what_is_flat() {
    let plan = Plan::new(Kind::Comments, &all(Kind::Comments));
    let flat = |text: &str| {
        let mut found = Found { sheet: Sheet::new(plan.slots.len(), 1), rows: Vec::new(), lists: 0 };
        Node::new(&plan, &mut found, 0, false).flat(text, &mut Order::new(plan.names())).is_some()
    };
    for text in [
        r#"{"id":"k1","body":"a \"b\"","edited":false,"score":-3,"created_utc":1.7e9,"all_awardings":[{"id":1}]}"#,
        r#" { "id" : "k1" , "replies" : "" , "whatever" : {} } "#,
        r#"{"id":"k1","_meta":{"retrieved_2nd_on":1700000009}}"#,
    ] {
        assert!(flat(text), "{text}");
    }
    for text in [
        r#"{"kind":"t1","data":{"id":"k1"}}"#,
        r#"{"id":"k1","replies":{"data":{}}}"#,
        r#"{"id":"k1"} {}"#,
        r#"{"id":"k1",}"#,
        r#"{}"#,
        r#"[]"#,
    ] {
        assert!(!flat(text), "{text}");
    }
}
