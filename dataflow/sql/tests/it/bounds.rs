//! What a function may make of one row is bounded: a row that asks for more is a reject, and the rows beside it pass.
//!
//! Each of these once took all memory, or hours, and ended the job with every later run of it.

use std::sync::Arc;

use catchment_sql::check;
use datafusion::common::ScalarValue;

use crate::common;
use crate::common::history::{Arrival, EpochInput, Multiset, run};

/// Calls over a column `n`, what fails for a large one, and the reason.
const CALLS: [(&str, &str); 17] = [
    ("lpad(name, n)", "16777216 bytes"),
    ("rpad(name, n, 'xy')", "16777216 bytes"),
    ("repeat(name, n)", "16777216 bytes"),
    ("repeat(repeat(name, 4000), n)", "16777216 bytes"),
    ("replace(repeat(name, 100000), name, repeat(name, n % 1000000))", "16777216 bytes"),
    ("regexp_replace(repeat(name, 100000), name, repeat(name, n % 1000000), 'g')", "16777216 bytes"),
    ("cardinality(generate_series(1, n))", "1048576 elements"),
    ("cardinality(generate_series(n, 1, -1))", "1048576 elements"),
    ("cardinality(range(n))", "1048576 elements"),
    ("cardinality(array_repeat(name, n))", "1048576 elements"),
    ("cardinality(array_resize(make_array(n), n))", "1048576 elements"),
    (
        "cardinality(generate_series(DATE '0001-01-01', DATE '9999-01-01', CASE WHEN n > 9 THEN INTERVAL '1 day' ELSE INTERVAL '100 year' END))",
        "1048576 elements",
    ),
    ("levenshtein(repeat(name, n % 20000), repeat(name, n % 20000))", "100000000 comparisons"),
    ("n * n", "verflow"),
    ("INTERVAL '1 month' * n < INTERVAL '1 year'", "too long"),
    ("CAST(n AS DECIMAL(38, 18)) * n", ""),
    ("power(CAST(n AS DOUBLE), 2)::bigint", ""),
];

fn event(name: &str, n: i64, diff: i64) -> Arrival {
    let text = |text: &str| ScalarValue::Utf8View(Some(text.to_string()));
    let row = vec![text(name), text("x"), ScalarValue::Int64(Some(n)), ScalarValue::Float64(None)];
    Arrival { row, version: None, tombstone: false, diff, payload: 1 }
}

fn rows(multiset: &Multiset) -> Vec<String> {
    multiset.iter().map(|(row, count)| format!("{count} × {row}")).collect()
}

#[test]
fn what_asks_for_too_much_is_a_reject_and_its_neighbours_pass() {
    let mut text = "CREATE SOURCE events WITH (connector = 'table', kind = 'events');\n".to_string();
    for (place, (call, _)) in CALLS.iter().enumerate() {
        text += &format!("CREATE VIEW v{place} AS SELECT n, {call} AS made FROM events;\n");
        text += &format!("CREATE SINK v{place} FROM v{place} WITH (connector = 'lake');\n");
    }
    text += "CREATE SINK rejects FROM rejects WITH (connector = 'lake');";
    let job = check(&text, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()));
    // A number of 3 · 10⁹ and one that is not far from the end of 64 bits, of which the remainders here are large.
    for large in [3_000_010_007_i64, 9_000_000_000_000_015_007] {
        let history = [vec![event("a", 2, 1), event("a", large, 1), event("a", 3, 1)], vec![event("a", large, -1)]];
        let history = history.map(|events| EpochInput::from([("events".to_string(), events)]));
        let ran =
            run(Arc::new(check(&text, &|_| None, &common::registry()).expect("checked above")), history.to_vec(), 1, 3);
        let rejects = rows(&ran.at("rejects", 1));
        for (place, (call, reason)) in CALLS.iter().enumerate() {
            let made = rows(&ran.at(&format!("v{place}"), 1));
            let mine: Vec<&String> = rejects.iter().filter(|row| row.contains(&format!(" × v{place} |"))).collect();
            let passed = made.iter().filter(|row| row.contains("× 2 | ") || row.contains("× 3 | ")).count();
            assert_eq!(passed, 2, "{call}: {made:.300?}");
            assert_eq!(made.len() + mine.len(), 3, "{call} of {large}: {made:.300?} {mine:?}");
            assert!(mine.iter().all(|row| row.contains(reason)), "{call} of {large}: {mine:?}");
        }
        assert_eq!(rows(&ran.at("rejects", 2)), Vec::<String>::new());
    }
    assert_eq!(job.views.len(), CALLS.len());
}
