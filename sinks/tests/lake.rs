//! Lake tables, mode by mode, on a local folder.

#![allow(clippy::unwrap_used, reason = "this is a test's code")]

mod common;

use catchment_contract::{Sink, Staged};
use catchment_sinks::lake::{LakeSink, LakeSpec, LakeStore, store};
use common::{Row, batch, names, read, spec, texts, updates, view};

fn row(number: i64) -> Row {
    Row {
        id: Some(format!("t1_{number:07}")),
        subreddit: ["rust", "news", ""][number as usize % 3].into(),
        day: number % 4,
        score: (number % 5 != 0).then_some(number % 11),
        good: number % 2 == 0,
        body: format!("comment {number} ") + &"word ".repeat(number as usize % 9),
    }
}

fn rows(numbers: std::ops::Range<i64>, diff: i64) -> Vec<(Row, i64)> {
    numbers.map(|number| (row(number), diff)).collect()
}

fn expected(rows: &[Row]) -> Vec<String> {
    let names = names();
    texts(&[batch(rows)], &names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn found(lake: &LakeStore, table: &str) -> Vec<String> {
    let names = names();
    texts(&read(lake, table), &names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn checkpoint(sink: &mut LakeSink, n: u64) -> Option<Staged> {
    let staged = sink.stage(n, n * 10).unwrap();
    if let Some(staged) = &staged {
        sink.publish(n, staged).unwrap();
    }
    staged
}

fn open(spec: &LakeSpec, lake: &LakeStore, last: Option<(u64, &Staged)>) -> LakeSink {
    spec.open_in(lake.clone(), "job", last).unwrap()
}

#[test]
fn a_current_table_follows_its_view() {
    let folder = tempfile::tempdir().unwrap();
    let lake = store::open(folder.path().to_str().unwrap()).unwrap();
    let spec = spec(&view(false), &[("partition_by", "day(created_utc)")]);
    let mut sink = open(&spec, &lake, None);
    sink.write(vec![updates(1, &rows(0..200, 1))], 1).unwrap();
    checkpoint(&mut sink, 1);
    assert_eq!(found(&lake, "comments"), expected(&(0..200).map(row).collect::<Vec<_>>()));
    sink.write(vec![updates(2, &rows(10..20, -1)), updates(2, &rows(200..210, 1))], 2).unwrap();
    let last = checkpoint(&mut sink, 2);
    let now: Vec<Row> = (0..10).chain(20..210).map(row).collect();
    assert_eq!(found(&lake, "comments"), expected(&now));
    assert_eq!(sink.rows(), 200);
    assert!(checkpoint(&mut sink, 3).is_none(), "nothing changed");

    let mut sink = open(&spec, &lake, last.as_ref().map(|staged| (3, staged)));
    sink.write(vec![updates(4, &rows(20..150, -1))], 4).unwrap();
    checkpoint(&mut sink, 4);
    let now: Vec<Row> = (0..10).chain(150..210).map(row).collect();
    assert_eq!(found(&lake, "comments"), expected(&now));
    assert_eq!(sink.rows(), 70);
}
