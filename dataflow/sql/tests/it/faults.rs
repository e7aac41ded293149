//! Rows that a view cannot compute: they become rejects with their diff, and all other rows pass.

use std::sync::Arc;

use catchment_sql::check;
use datafusion::common::ScalarValue;

use crate::common;
use crate::common::history::{Arrival, EpochInput, Multiset, Ran, run};

const JOB: &str = "
CREATE SOURCE events WITH (connector = 'table', kind = 'events');
CREATE VIEW ratios AS SELECT name, 12 / n AS ratio FROM events;
CREATE VIEW big AS SELECT name, n * 4611686018427387904 AS product FROM events;
CREATE VIEW numbers AS SELECT CAST(name AS BIGINT) AS number FROM events WHERE grp = 'number';
CREATE VIEW complaints AS SELECT source, count(*) AS n FROM rejects GROUP BY source;
CREATE VIEW broken AS SELECT 1 / (n - 1) AS x FROM complaints;
CREATE SINK ratios FROM ratios WITH (connector = 'lake');
CREATE SINK big FROM big WITH (connector = 'lake');
CREATE SINK numbers FROM numbers WITH (connector = 'lake');
CREATE SINK complaints FROM complaints WITH (connector = 'lake');
CREATE SINK broken FROM broken WITH (connector = 'lake');
CREATE SINK rejects FROM rejects WITH (connector = 'lake');
";

fn event(name: &str, grp: &str, n: i64, diff: i64) -> Arrival {
    let text = |text: &str| ScalarValue::Utf8View(Some(text.to_string()));
    let row = vec![text(name), text(grp), ScalarValue::Int64(Some(n)), ScalarValue::Float64(None)];
    Arrival { row, version: None, tombstone: false, diff, payload: 1 }
}

fn ran(workers: usize) -> Ran {
    let job = check(JOB, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()));
    let first =
        vec![event("a", "x", 2, 1), event("b", "x", 0, 1), event("7", "number", 1, 1), event("c", "number", 3, 1)];
    let second = vec![event("b", "x", 0, -1), event("d", "x", 0, 1), event("d", "x", 0, 1)];
    let third = vec![event("d", "x", 0, -1), event("c", "number", 3, -1)];
    let history = [first, second, third].map(|events| EpochInput::from([("events".to_string(), events)]));
    run(Arc::new(job), history.to_vec(), workers, 3)
}

fn rows(multiset: &Multiset) -> Vec<String> {
    multiset.iter().map(|(row, count)| format!("{count} × {row}")).collect()
}

#[test]
fn faults_come_and_go_with_their_rows() {
    for workers in [1, 2] {
        let ran = ran(workers);
        assert_eq!(rows(&ran.at("ratios", 1)), ["1 × 7 | 12", "1 × a | 6", "1 × c | 4"]);
        let rejects = |epoch| ran.at("rejects", epoch);
        let overflows = rows(&rejects(1)).into_iter().filter(|row| row.contains("big |") && row.contains("verflow"));
        assert_eq!(overflows.count(), 2, "{:?}", rows(&rejects(1)));
        let of = |view: &str, epoch| -> Vec<String> {
            rows(&rejects(epoch)).into_iter().filter(|row| row.contains(&format!(" × {view} "))).collect()
        };
        let zero = "divide by zero error";
        assert_eq!(
            of("ratios", 1),
            [format!("1 × ratios | NULL | NULL | {{\"name\":\"b\",\"grp\":\"x\",\"n\":0}} | {zero}")]
        );
        assert_eq!(
            of("ratios", 2),
            [format!("2 × ratios | NULL | NULL | {{\"name\":\"d\",\"grp\":\"x\",\"n\":0}} | {zero}")]
        );
        assert_eq!(
            of("ratios", 3),
            [format!("1 × ratios | NULL | NULL | {{\"name\":\"d\",\"grp\":\"x\",\"n\":0}} | {zero}")]
        );
        assert_eq!(rows(&ran.at("numbers", 1)), ["1 × 7"]);
        assert_eq!(of("numbers", 1).len(), 1, "{:?}", of("numbers", 1));
        assert!(of("numbers", 1)[0].contains("'c'"), "{:?}", of("numbers", 1));
        assert_eq!(of("numbers", 3), Vec::<String>::new());
    }
}

/// A sum of BIGINT is a decimal. One that its type cannot hold was null once, which is what a sum over nothing is.
#[test]
fn a_sum_that_does_not_fit_is_a_reject_until_it_fits_again() {
    let text = "CREATE SOURCE events WITH (connector = 'table', kind = 'events');
        CREATE VIEW exact AS SELECT grp, sum(n) AS total FROM events GROUP BY grp;
        CREATE VIEW sums AS SELECT grp, total::BIGINT AS total FROM exact;
        CREATE VIEW top AS SELECT grp, total FROM sums ORDER BY total DESC LIMIT 1;
        CREATE SINK exact FROM exact WITH (connector = 'lake');
        CREATE SINK sums FROM sums WITH (connector = 'lake');
        CREATE SINK top FROM top WITH (connector = 'lake');
        CREATE SINK rejects FROM rejects WITH (connector = 'lake');";
    let first = vec![event("a", "x", i64::MAX, 1), event("b", "x", 1, 1), event("c", "y", 5, 1)];
    let history = [first, vec![event("b", "x", 1, -1)]];
    let history = history.map(|events| EpochInput::from([("events".to_string(), events)]));
    for workers in [1, 2] {
        let job = check(text, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()));
        let ran = run(Arc::new(job), history.to_vec(), workers, 5);
        assert_eq!(rows(&ran.at("exact", 1)), ["1 × x | 9223372036854775808", "1 × y | 5"]);
        assert_eq!(rows(&ran.at("sums", 1)), ["1 × y | 5"]);
        let rejects = rows(&ran.at("rejects", 1));
        assert!(rejects.iter().any(|row| row.contains("9223372036854775808")), "{rejects:?}");
        assert_eq!(rows(&ran.at("sums", 2)), ["1 × x | 9223372036854775807", "1 × y | 5"]);
        assert_eq!(rows(&ran.at("top", 2)), ["1 × x | 9223372036854775807"]);
        assert_eq!(rows(&ran.at("rejects", 2)), Vec::<String>::new());
    }
}

/// A subquery that is used as a value and has two rows doubled the rows that read it.
#[test]
fn a_subquery_of_two_rows_is_no_value() {
    let text = "CREATE SOURCE events WITH (connector = 'table', kind = 'events');
        CREATE VIEW one AS SELECT name FROM events WHERE n = (SELECT n FROM events WHERE grp = 'x');
        CREATE SINK one FROM one WITH (connector = 'lake');
        CREATE SINK rejects FROM rejects WITH (connector = 'lake');";
    let first = vec![event("a", "x", 1, 1), event("b", "x", 1, 1), event("c", "y", 1, 1)];
    let history = [first, vec![event("b", "x", 1, -1)]];
    let history = history.map(|events| EpochInput::from([("events".to_string(), events)]));
    let job = check(text, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()));
    let ran = run(Arc::new(job), history.to_vec(), 1, 5);
    assert_eq!(rows(&ran.at("one", 1)), Vec::<String>::new());
    let rejects = rows(&ran.at("rejects", 1));
    assert!(rejects.iter().all(|row| row.contains("a subquery that is used as a value has 2 rows")), "{rejects:?}");
    assert_eq!(rejects.len(), 1, "{rejects:?}");
    assert_eq!(rows(&ran.at("one", 2)), ["1 × a", "1 × c"]);
    assert_eq!(rows(&ran.at("rejects", 2)), Vec::<String>::new());
}

#[test]
fn a_view_reads_the_rejects_of_others_and_its_own_faults_reach_the_sink() {
    let ran = ran(1);
    // Every source of rejects is counted but `broken`, whose faults are about these counts.
    assert_eq!(rows(&ran.at("complaints", 1)), ["1 × big | 2", "1 × numbers | 1", "1 × ratios | 1"]);
    let broken: Vec<String> = rows(&ran.at("rejects", 1)).into_iter().filter(|row| row.contains("broken")).collect();
    assert_eq!(broken.len(), 2, "{broken:?}");
    assert!(broken.iter().all(|row| row.starts_with("1 × broken") && row.contains("divide by zero")), "{broken:?}");
    assert_eq!(rows(&ran.at("broken", 1)), ["1 × 1"]);
}

#[test]
fn whether_rejects_can_retract_is_known() {
    let job = check(JOB, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()));
    let rejects = |job: &catchment_sql::Job| job.sinks.last().expect("the sink of rejects").facts.append_only;
    assert!(!rejects(&job), "broken's input retracts");
    let plain = "CREATE SOURCE posts WITH (connector = 'table', kind = 'posts');
        CREATE VIEW v AS SELECT upper(grp) AS g, count(*) AS n FROM posts WHERE score > 1 GROUP BY 1;
        CREATE SINK v FROM v WITH (connector = 'lake');
        CREATE SINK r FROM rejects WITH (connector = 'lake', mode = 'append')";
    let job = check(plain, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()));
    assert!(rejects(&job), "nothing in it can fail");
}

/// An operator that stands for a function has the function's bounds: `@>` compared 400,000,000 pairs of one row.
#[test]
fn operators_are_bounded_like_their_functions() {
    let job = "CREATE SOURCE events WITH (connector = 'table', kind = 'events');
        CREATE VIEW f AS SELECT name, array_has_all(range(0, n), range(1, n)) AS has FROM events;
        CREATE VIEW o AS SELECT name, range(0, n) @> range(1, n) AS has, range(1, n) <@ range(0, n) AS is FROM events;
        CREATE SINK f FROM f WITH (connector = 'lake');
        CREATE SINK o FROM o WITH (connector = 'lake');
        CREATE SINK rejects FROM rejects WITH (connector = 'lake');";
    let job = check(job, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()));
    let events = vec![event("small", "x", 5, 1), event("large", "x", 20_000, 1)];
    let ran = run(Arc::new(job), vec![EpochInput::from([("events".to_string(), events)])], 1, 3);
    assert_eq!(rows(&ran.at("f", 1)), ["1 × small | true"]);
    assert_eq!(rows(&ran.at("o", 1)), ["1 × small | true | true"]);
    let rejects = rows(&ran.at("rejects", 1));
    assert!(rejects.iter().all(|row| row.contains("more than 100000000 comparisons")), "{rejects:?}");
    assert_eq!(rejects.len(), 2);
}

/// Lost before: a column that fails was left out where a view had one reader that did not want it, so that a sink more took rows
/// from that reader.
#[test]
fn who_else_reads_a_view_that_fails_changes_no_answer() {
    let views = "CREATE SOURCE events WITH (connector = 'table', kind = 'events');
        CREATE VIEW ratios AS SELECT name, grp, 12 / n AS ratio FROM events;
        CREATE VIEW again AS SELECT name, grp FROM (SELECT * FROM ratios) WHERE grp = 'x';
        CREATE VIEW names AS SELECT name FROM again;
        CREATE SINK names FROM names WITH (connector = 'lake');";
    let rows = |sinks: &str| {
        let job = check(&format!("{views}{sinks}"), &|_| None, &common::registry());
        let job = job.unwrap_or_else(|error| panic!("{}", error.chain()));
        let events = vec![event("a", "x", 2, 1), event("b", "x", 0, 1), event("c", "y", 1, 1)];
        let ran = run(Arc::new(job), vec![EpochInput::from([("events".to_string(), events)])], 1, 1);
        rows(&ran.at("names", 1))
    };
    for sinks in ["", "CREATE SINK ratios FROM ratios WITH (connector = 'lake');"] {
        assert_eq!(rows(sinks), ["1 × a"], "{sinks}");
    }
}
