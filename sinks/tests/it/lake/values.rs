//! No value that a row may hold ends a job: it is stored, or its row is refused, and every later run goes well.

use std::collections::BTreeSet;
use std::sync::Arc;

use catchment_contract::arrow::array::{
    Array, ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, RecordBatch, StringViewArray,
    StructArray, TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
};
use catchment_contract::arrow::buffer::{NullBuffer, OffsetBuffer};
use catchment_contract::arrow::datatypes::{DataType, Field};
use catchment_contract::{Run, Sink, SinkContext, Staged, UpdateBatch, ViewFacts};
use catchment_sinks::lake::{LakeSink, LakeSpec};
use catchment_store::LakeStore;

use crate::common::{lake_at, read, spec, texts};

/// Rows of a view `values` with the columns given, and their epoch and diff.
fn changes(columns: &[(&str, ArrayRef)], epoch: u64, diff: i64) -> UpdateBatch {
    let named = columns.iter().map(|(name, column)| (*name, Arc::clone(column), true));
    let rows = RecordBatch::try_from_iter_with_nullable(named).unwrap();
    UpdateBatch { rows, epochs: Run::One(epoch), diffs: Run::One(diff) }
}

fn facts(columns: &[(&str, ArrayRef)], append_only: bool) -> ViewFacts {
    let schema = changes(columns, 1, 1).rows.schema();
    ViewFacts { name: "values".into(), schema, key: None, append_only }
}

struct Table {
    lake: LakeStore,
    spec: LakeSpec,
    last: Option<(u64, Staged)>,
    _folder: tempfile::TempDir,
}

impl Table {
    fn new(facts: &ViewFacts, options: &[(&str, &str)]) -> Table {
        let folder = tempfile::tempdir().unwrap();
        Table { lake: lake_at(folder.path()), spec: spec(facts, options), last: None, _folder: folder }
    }

    fn open(&self) -> LakeSink {
        let last = self.last.as_ref().map(|(n, staged)| (*n, staged));
        self.spec.open_in(self.lake.clone(), &SinkContext::alone("job"), last).unwrap()
    }

    /// A run of the job: opens, writes, commits. Returns the reasons of what was refused.
    fn run(&mut self, updates: Vec<UpdateBatch>) -> Vec<String> {
        let mut sink = self.open();
        let n = self.last.as_ref().map_or(1, |(n, _)| n + 1);
        sink.write(updates, n).unwrap();
        if let Some(staged) = sink.stage(n, n).unwrap() {
            sink.publish(n, &staged).unwrap();
            self.last = Some((n, staged));
        }
        sink.take_rejects().into_iter().map(|reject| reject.reason).collect()
    }

    fn rows(&self, names: &[&str]) -> Vec<String> {
        texts(&read(&self.lake, "values"), names)
    }
}

fn text(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringViewArray::from(values.to_vec()))
}

fn numbers(values: std::ops::Range<i64>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

#[test]
fn partitions_of_any_text() {
    let long = ["x".repeat(260), "x".repeat(261), "日本".repeat(4000), "/".repeat(300), "%".repeat(300)];
    let mut values: Vec<&str> = vec![
        "short",
        ".",
        "..",
        "...",
        " ",
        "a/b",
        "a\\b",
        "%41",
        "A",
        "~",
        "x=y",
        "\u{0}",
        "\n",
        "\r\n\t",
        "\u{7f}",
        "\u{85}",
        "\u{202e}",
        "*?<>|\"'",
        "#",
        "{}[]^`",
        "__HIVE_DEFAULT_PARTITION__",
        "null",
        "é",
        "e\u{301}",
        "🦀",
        "CON",
    ];
    values.extend(long.iter().map(String::as_str));
    let columns = |value: &str| [("p", text(&[Some(value)])), ("n", numbers(1..2))];
    let mut table = Table::new(&facts(&columns(""), false), &[("partition_by", "p")]);
    let mut there = BTreeSet::new();
    for value in &values {
        assert_eq!(table.run(vec![changes(&columns(value), 1, 1)]), Vec::<String>::new());
        there.insert(format!("{value}|1"));
        assert_eq!(table.rows(&["p", "n"]), there.iter().cloned().collect::<Vec<_>>(), "{value:?}");
    }
    // Each is found again by what the view takes back.
    for value in &values {
        table.run(vec![changes(&columns(value), 1, -1)]);
        there.remove(&format!("{value}|1"));
        assert_eq!(table.rows(&["p", "n"]), there.iter().cloned().collect::<Vec<_>>(), "{value:?}");
    }
    // Null and the empty string lie in one partition.
    let both = [("p", text(&[None, Some("")])), ("n", numbers(1..3))];
    table.run(vec![changes(&both, 1, 1)]);
    assert_eq!(table.rows(&["p", "n"]), ["∅|1", "∅|2"]);
    table.run(vec![changes(&both, 1, -1)]);
    assert_eq!(table.rows(&["p", "n"]), Vec::<String>::new());
}

#[test]
fn many_long_partition_columns_and_many_partitions() {
    let long = "y".repeat(500);
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut columns: Vec<(&str, ArrayRef)> = names.iter().map(|name| (*name, text(&[Some(long.as_str())]))).collect();
    columns.push(("n", numbers(1..2)));
    let mut table = Table::new(&facts(&columns, false), &[("partition_by", "a, b, c, d, e, f")]);
    table.run(vec![changes(&columns, 1, 1)]);
    assert_eq!(table.rows(&["f", "n"]), [format!("{long}|1")]);
    table.run(vec![changes(&columns, 1, -1)]);
    assert_eq!(table.rows(&["n"]), Vec::<String>::new());

    let texts: Vec<String> = (0..300).map(|number| format!("value {number}")).collect();
    let columns =
        [("p", text(&texts.iter().map(|one| Some(one.as_str())).collect::<Vec<_>>())), ("n", numbers(0..300))];
    let mut table = Table::new(&facts(&columns, false), &[("partition_by", "p")]);
    table.run(vec![changes(&columns, 1, 1)]);
    assert_eq!(table.rows(&["n"]).len(), 300);
    table.run(vec![changes(&columns, 1, -1)]);
    assert_eq!(table.rows(&["n"]).len(), 0);
}

#[test]
fn times_and_dates_out_of_every_calendar() {
    const YEAR_9999: i32 = 2_932_896;
    let days =
        vec![Some(0), Some(i32::MIN), Some(i32::MAX), Some(YEAR_9999 + 1), Some(-719_163), Some(-90_000_000), None];
    let micros: Vec<Option<i64>> = vec![
        Some(0),
        Some(i64::MIN),
        Some(i64::MAX),
        Some(253_402_300_800_000_000),
        Some(-1),
        Some(i64::MIN + 1),
        None,
    ];
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", numbers(0..7)),
        ("d", Arc::new(Date32Array::from(days))),
        ("t", Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))),
    ];
    for partition in [None, Some("day(t)"), Some("day(d)"), Some("d")] {
        let options: Vec<(&str, &str)> = partition.map(|by| ("partition_by", by)).into_iter().collect();
        let mut table = Table::new(&facts(&columns, false), &options);
        let refused = table.run(vec![changes(&columns, 1, 1)]);
        // A date that names a partition must have a text; every other one is stored.
        let strange = usize::from(partition == Some("d")) * 2;
        assert_eq!(refused.len(), strange, "{partition:?}: {refused:?}");
        assert_eq!(table.rows(&["n"]).len(), 7 - strange, "{partition:?}");
        assert_eq!(table.run(vec![changes(&columns, 2, -1)]), Vec::<String>::new());
        assert_eq!(table.rows(&["n"]), Vec::<String>::new(), "{partition:?}");
    }
}

#[test]
fn numbers_texts_and_nested_values_at_their_limits() {
    let highest = "\u{10ffff}".repeat(200);
    let large = "large ".repeat(1 << 20);
    let texts = [Some(""), Some(highest.as_str()), Some(large.as_str()), Some("\u{0}"), None];
    let greatest = 10_i128.pow(38) - 1;
    let inner: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), Some(4), Some(5)]));
    let pair = StructArray::new(
        vec![Field::new("one", DataType::Int64, true)].into(),
        vec![Arc::clone(&inner)],
        // Values that lie under a null are nobody's.
        Some(NullBuffer::from(vec![true, false, true, false, true])),
    );
    let list = ListArray::new(
        Arc::new(Field::new("item", DataType::Int64, true)),
        OffsetBuffer::new(vec![0, 2, 2, 3, 5, 5].into()),
        inner,
        Some(NullBuffer::from(vec![true, false, true, false, true])),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("s", text(&texts)),
        ("f", Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE]))),
        ("i", Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX, 0, -1, 1]))),
        (
            "d",
            Arc::new(
                Decimal128Array::from(vec![greatest, -greatest, 0, 1, -1]).with_precision_and_scale(38, 10).unwrap(),
            ),
        ),
        ("pair", Arc::new(pair)),
        ("list", Arc::new(list)),
        ("n", numbers(0..5)),
    ];
    let mut table = Table::new(&facts(&columns, false), &[]);
    assert_eq!(table.run(vec![changes(&columns, 1, 1)]), Vec::<String>::new());
    assert_eq!(table.rows(&["n", "f", "i"])[..2], ["0|NaN|-9223372036854775808", "1|inf|9223372036854775807"]);
    // One row at a time, by a run each: every one is found in the files.
    for row in 0..5 {
        let one: Vec<(&str, ArrayRef)> = columns.iter().map(|(name, column)| (*name, column.slice(row, 1))).collect();
        assert_eq!(table.run(vec![changes(&one, 2, -1)]), Vec::<String>::new());
        assert_eq!(table.rows(&["n"]).len(), 4 - row);
    }
}

/// A row that no stored type holds is refused, in each mode, and so is taking it back; its neighbours are stored.
#[test]
fn values_that_no_stored_type_holds() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", numbers(0..3)),
        ("u", Arc::new(UInt64Array::from(vec![1, u64::MAX, 3]))),
        ("t", Arc::new(TimestampSecondArray::from(vec![1, 2, i64::MAX]))),
    ];
    for mode in ["current", "append", "changes"] {
        let mut table = Table::new(&facts(&columns, mode == "append"), &[("mode", mode)]);
        let refused = table.run(vec![changes(&columns, 1, 1)]);
        assert_eq!(refused.len(), 2, "{refused:?}");
        assert!(refused[0].contains("column \"u\" holds a value that does not fit Int64"), "{refused:?}");
        assert_eq!(table.rows(&["n"]), ["0"], "{mode}");
        assert_eq!(table.run(vec![changes(&columns, 2, 1)]).len(), 2);
        assert_eq!(table.rows(&["n"]).len(), 2, "{mode}");
    }
}

/// Rejects are the one view that takes rows back and may be appended.
#[test]
fn an_appended_reject_that_is_taken_back_stays() {
    let columns: Vec<(&str, ArrayRef)> = vec![("n", numbers(0..4))];
    let some = |range: std::ops::Range<i64>, diff: i64| changes(&[("n", numbers(range))], 1, diff);
    let mut table = Table::new(&facts(&columns, true), &[("mode", "append")]);
    table.run(vec![some(0..4, 1)]);
    table.run(vec![some(1..3, -1)]);
    table.run(vec![some(7..9, 1), some(8..9, -1), some(2..3, -1)]);
    assert_eq!(table.rows(&["n"]), ["0", "1", "2", "3", "7"]);
    assert_eq!(table.open().figures().rows, 5);
}
