//! Lake tables, mode by mode, on a local folder.

use std::sync::Arc;

use crate::common::faults::{Faulty, Weather};
use crate::common::{Row, batch, lake_at, names, read, spec, texts, updates, view};
use catchment_contract::arrow::array::{
    ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float32Array, Int8Array, Int32Array, LargeStringArray,
    ListBuilder, RecordBatch, StringViewArray, StringViewBuilder, StructArray, TimestampMillisecondArray,
    TimestampNanosecondArray, UInt8Array, UInt32Array, UInt64Array,
};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema};
use catchment_contract::{PutOutcome, Run, Sink, SinkContext, Staged, UpdateBatch, ViewFacts};
use catchment_sinks::lake::{LakeSink, LakeSpec};
use catchment_store::LakeStore;

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
    spec.open_in(lake.clone(), &SinkContext::alone("job"), last).unwrap()
}

#[test]
fn a_current_table_follows_its_view() {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_at(folder.path());
    let spec = spec(&view(false), &[("partition_by", "day(created_utc)")]);
    let mut sink = open(&spec, &lake, None);
    sink.write(vec![updates(1, &rows(0..200, 1))], 1).unwrap();
    checkpoint(&mut sink, 1);
    assert_eq!(found(&lake, "comments"), expected(&(0..200).map(row).collect::<Vec<_>>()));
    sink.write(vec![updates(2, &rows(10..20, -1)), updates(2, &rows(200..210, 1))], 2).unwrap();
    let last = checkpoint(&mut sink, 2);
    let now: Vec<Row> = (0..10).chain(20..210).map(row).collect();
    assert_eq!(found(&lake, "comments"), expected(&now));
    assert_eq!(sink.figures().rows, 200);
    assert!(checkpoint(&mut sink, 3).is_none(), "nothing changed");

    let mut sink = open(&spec, &lake, last.as_ref().map(|staged| (3, staged)));
    sink.write(vec![updates(4, &rows(20..150, -1))], 4).unwrap();
    checkpoint(&mut sink, 4);
    let now: Vec<Row> = (0..10).chain(150..210).map(row).collect();
    assert_eq!(found(&lake, "comments"), expected(&now));
    assert_eq!(sink.figures().rows, 70);
}

fn local() -> (tempfile::TempDir, LakeStore) {
    let folder = tempfile::tempdir().unwrap();
    let lake = lake_at(folder.path());
    (folder, lake)
}

fn data_files(lake: &LakeStore, folder: &str) -> Vec<String> {
    let all = lake.list(&format!("comments/{folder}")).unwrap();
    all.into_iter().map(|object| object.path).collect()
}

#[test]
fn small_files_are_merged_and_nothing_changes() {
    let (_folder, lake) = local();
    let spec = spec(&view(false), &[]);
    let mut sink = open(&spec, &lake, None);
    let mut last = None;
    for n in 1..=30 {
        let from = n as i64 * 10;
        sink.write(vec![updates(n, &rows(from..from + 10, 1)), updates(n, &rows(from + 3..from + 5, -1))], n).unwrap();
        if n > 2 {
            sink.write(vec![updates(n, &rows(from - 20..from - 18, -1))], n).unwrap();
        }
        last = checkpoint(&mut sink, n);
    }
    let live = lake.get("comments/_delta_log/00000000000000000030.json").unwrap();
    assert!(live.is_some());
    let now: Vec<Row> = (1..=30)
        .flat_map(|n| {
            (n * 10..n * 10 + 10).filter(move |number| !(3..5).contains(&(number % 10)) && (n > 28 || number % 10 > 1))
        })
        .map(row)
        .collect();
    assert_eq!(found(&lake, "comments"), expected(&now));
    assert_eq!(sink.figures().rows, now.len() as u64);
    let names: std::collections::BTreeSet<String> = log_names(&lake, "\"operation\":\"OPTIMIZE\"");
    assert!(names.len() >= 3, "three times eight files were merged: {names:?}");
    // The rows that were merged can still be taken back, before and after an open.
    sink.write(vec![updates(31, &rows(16..18, -1))], 31).unwrap();
    last = checkpoint(&mut sink, 31).or(last);
    let mut sink = open(&spec, &lake, last.as_ref().map(|staged| (31, staged)));
    sink.write(vec![updates(32, &rows(18..20, -1))], 32).unwrap();
    checkpoint(&mut sink, 32);
    let later: Vec<Row> = now.into_iter().filter(|row| !(16..20).any(|number| row == &self::row(number))).collect();
    assert_eq!(found(&lake, "comments"), expected(&later));
}

/// Merged files that are as large as can be were once merged again with every commit.
#[test]
fn full_files_are_left_alone() {
    let (_folder, lake) = local();
    let spec = spec(&view(false), &[]);
    let context = SinkContext { held_bytes: 40_000, ..SinkContext::alone("job") };
    let mut sink = spec.open_in(lake.clone(), &context, None).unwrap();
    for n in 1..=40 {
        let from = n as i64 * 20;
        sink.write(vec![updates(n, &rows(from..from + 20, 1))], n).unwrap();
        checkpoint(&mut sink, n);
    }
    let full = data_files(&lake, "data").len();
    assert!(full >= 2, "{full} full files");
    let merged = log_names(&lake, "\"operation\":\"OPTIMIZE\"").len();
    assert!((3..=10).contains(&merged), "{merged} times");
    assert_eq!(found(&lake, "comments"), expected(&(20..820).map(row).collect::<Vec<_>>()));
}

/// Names of the log's commits that hold `text`.
fn log_names(lake: &LakeStore, text: &str) -> std::collections::BTreeSet<String> {
    let log = lake.list("comments/_delta_log").unwrap();
    let holds = |path: &String| String::from_utf8_lossy(&lake.get(path).unwrap().unwrap()).contains(text);
    log.into_iter().map(|object| object.path).filter(|path| path.ends_with(".json") && holds(path)).collect()
}

#[test]
fn the_log_is_checkpointed_and_garbage_is_removed() {
    let (_folder, lake) = local();
    let spec = spec(&view(false), &[]);
    let mut sink = open(&spec, &lake, None);
    let mut last = None;
    for n in 1..=110 {
        let number = n as i64;
        let mut changes = rows(number..number + 1, 1);
        if number > 5 {
            changes.extend(rows(number - 5..number - 4, -1));
        }
        sink.write(vec![updates(n, &changes)], n).unwrap();
        last = checkpoint(&mut sink, n);
    }
    let checkpoints = lake.list("comments/_delta_log").unwrap();
    assert!(checkpoints.iter().any(|object| object.path.ends_with(".checkpoint.parquet")), "{checkpoints:?}");
    lake.put("comments/hot/left-by-a-crash.parquet", "x").unwrap();
    lake.put("comments/dv/deletion_vector_left-by-a-crash.bin", "x").unwrap();
    lake.put("comments/notes.txt", "somebody's").unwrap();
    // Files of versions that can still be read stay: an old version reads as it was.
    let sink = open(&spec, &lake, last.as_ref().map(|staged| (110, staged)));
    assert!(data_files(&lake, "").iter().all(|path| !path.contains("left-by-a-crash")));
    assert!(lake.get("comments/notes.txt").unwrap().is_some());
    assert_eq!(found(&lake, "comments"), expected(&(106..=110).map(row).collect::<Vec<_>>()));
    assert_eq!(sink.figures().rows, 5);
    assert_eq!(
        crate::common::read_version(&lake, "comments", 20).iter().map(|batch| batch.num_rows()).sum::<usize>(),
        5
    );
}

#[test]
fn a_table_that_no_checkpoint_knows_is_replaced_in_one_commit() {
    let (_folder, lake) = local();
    let spec = spec(&view(false), &[("partition_by", "good")]);
    let mut sink = open(&spec, &lake, None);
    for n in 1..=3 {
        sink.write(vec![updates(n, &rows(n as i64 * 10..n as i64 * 10 + 10, 1))], n).unwrap();
        checkpoint(&mut sink, n);
    }
    // The job's checkpoints are gone: it begins at 1 again, with other numbers than the table's log.
    let mut sink = open(&spec, &lake, None);
    assert_eq!(sink.figures().rows, 30, "readers see the old rows until the first commit");
    sink.write(vec![updates(1, &rows(5..15, 1))], 1).unwrap();
    let first = checkpoint(&mut sink, 1).unwrap();
    assert_eq!(found(&lake, "comments"), expected(&(5..15).map(row).collect::<Vec<_>>()));
    let mut sink = open(&spec, &lake, Some((1, &first)));
    sink.write(vec![updates(2, &rows(15..20, 1))], 2).unwrap();
    let second = checkpoint(&mut sink, 2).unwrap();
    assert_eq!(found(&lake, "comments"), expected(&(5..20).map(row).collect::<Vec<_>>()));
    // A manifest that was put back is behind the table.
    let error = spec.open_in(lake.clone(), &SinkContext::alone("job"), Some((1, &first))).unwrap_err();
    assert!(
        error.to_string().contains("is at checkpoint 2 of job \"job\", and the job's own last one is 1"),
        "{error:?}"
    );
    drop(second);
}

#[test]
fn a_table_gains_columns_with_its_view() {
    let (_folder, lake) = local();
    let old = spec(&view(false), &[]);
    let mut sink = open(&old, &lake, None);
    sink.write(vec![updates(1, &rows(0..5, 1))], 1).unwrap();
    let last = checkpoint(&mut sink, 1).unwrap();
    let mut wider = view(false);
    let mut fields: Vec<_> = wider.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.insert(2, Field::new("flair", DataType::Utf8View, true));
    fields.push(Field::new("rank", DataType::UInt64, true));
    wider.schema = Arc::new(Schema::new(fields));
    let new = spec(&wider, &[]);
    let mut sink = open(&new, &lake, Some((1, &last)));
    let wide = |numbers: std::ops::Range<i64>, flair: Option<&str>, rank: Option<u64>, diff: i64| {
        let narrow = batch(&numbers.clone().map(row).collect::<Vec<_>>());
        let count = narrow.num_rows();
        let mut columns = narrow.columns().to_vec();
        columns.insert(2, Arc::new(StringViewArray::from(vec![flair; count])));
        columns.push(Arc::new(UInt64Array::from(vec![rank; count])));
        let rows = RecordBatch::try_new(Arc::clone(&wider.schema), columns).unwrap();
        UpdateBatch { rows, epochs: Run::One(2), diffs: Run::One(diff) }
    };
    // Rows of before have null in the new columns, and can be taken back so.
    sink.write(vec![wide(5..7, Some("new"), Some(7), 1), wide(0..1, None, None, -1)], 2).unwrap();
    let last = checkpoint(&mut sink, 2).unwrap();
    assert_eq!(
        texts(&read(&lake, "comments"), &["id", "flair", "rank"]),
        [
            "t1_0000001|∅|∅",
            "t1_0000002|∅|∅",
            "t1_0000003|∅|∅",
            "t1_0000004|∅|∅",
            "t1_0000005|new|7",
            "t1_0000006|new|7",
        ]
    );
    // The narrower view cannot follow.
    let error = old.open_in(lake.clone(), &SinkContext::alone("job"), Some((2, &last))).unwrap_err();
    assert_eq!(error.to_string(), "table \"comments\" cannot follow its view: column \"flair\" is gone");
    // A row with a number that does not fit the signed type is refused, and so is taking it back.
    let mut sink = open(&new, &lake, Some((2, &last)));
    sink.write(vec![wide(7..8, None, Some(u64::MAX), 1), wide(8..9, None, Some(8), 1)], 3).unwrap();
    let reasons: Vec<String> = sink.take_rejects().into_iter().map(|reject| reject.reason).collect();
    assert_eq!(
        reasons,
        ["lake table \"comments\" cannot hold it: column \"rank\" holds a value that does not fit Int64"]
    );
    let last = checkpoint(&mut sink, 3).unwrap();
    assert_eq!(sink.figures().rows, 7);
    let mut sink = open(&new, &lake, Some((3, &last)));
    sink.write(vec![wide(7..8, None, Some(u64::MAX), -1), wide(8..9, None, Some(8), -1)], 4).unwrap();
    assert_eq!(sink.take_rejects(), []);
    checkpoint(&mut sink, 4);
    assert_eq!(sink.figures().rows, 6);
}

#[test]
fn every_type_comes_back() {
    let (_folder, lake) = local();
    let words: ArrayRef = {
        let mut builder = ListBuilder::new(StringViewBuilder::new());
        builder.append_value([Some("a"), None]);
        builder.append_null();
        builder.append_value::<[Option<&str>; 0], _>([]);
        Arc::new(builder.finish())
    };
    let inner: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("odd.name-`x", Arc::new(Int32Array::from(vec![Some(1), None, Some(2)]))),
        ("int8", Arc::new(Int8Array::from(vec![Some(-3), None, Some(4)]))),
        ("uint8", Arc::new(UInt8Array::from(vec![Some(255), None, Some(4)]))),
        ("uint32", Arc::new(UInt32Array::from(vec![Some(u32::MAX), None, Some(4)]))),
        ("float32", Arc::new(Float32Array::from(vec![Some(1.5), None, Some(-0.0)]))),
        (
            "decimal",
            Arc::new(Decimal128Array::from(vec![Some(12345), None, Some(-1)]).with_precision_and_scale(20, 2).unwrap()),
        ),
        ("date", Arc::new(Date32Array::from(vec![Some(20_000), None, Some(-1)]))),
        ("local", Arc::new(TimestampNanosecondArray::from(vec![Some(1_000), None, Some(-1_000)]))),
        (
            "zoned",
            Arc::new(TimestampMillisecondArray::from(vec![Some(1), None, Some(-1)]).with_timezone("Europe/Berlin")),
        ),
        ("large", Arc::new(LargeStringArray::from(vec![Some("large"), None, Some("")]))),
        ("bytes", Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\x00\xff".as_slice()), None, Some(b"")]))),
        ("words", words),
        ("pair", Arc::new(StructArray::from(vec![(Arc::new(Field::new("one", DataType::Int32, true)), inner)]))),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .unwrap();
    let facts = ViewFacts { name: "types".into(), schema: rows.schema(), key: None, append_only: false };
    let spec = spec(&facts, &[("partition_by", "date, day(zoned)")]);
    let mut sink = open(&spec, &lake, None);
    sink.write(vec![UpdateBatch { rows: rows.clone(), epochs: Run::One(1), diffs: Run::One(1) }], 1).unwrap();
    let last = checkpoint(&mut sink, 1).unwrap();
    let names =
        ["int8", "uint8", "uint32", "float32", "decimal", "date", "local", "zoned", "large", "words", "pair", "day"];
    assert_eq!(
        texts(&read(&lake, "types"), &names),
        [
            "-3|255|4294967295|1.5|123.45|2024-10-04|1970-01-01T00:00:00.000001|1970-01-01T00:00:00.001Z|large|[a, ∅]|{one: 1}|1970-01-01",
            "4|4|4|-0.0|-0.01|1969-12-31|1969-12-31T23:59:59.999999|1969-12-31T23:59:59.999Z||[]|{one: 3}|1969-12-31",
            "∅|∅|∅|∅|∅|∅|∅|∅|∅|∅|{one: ∅}|∅",
        ]
    );
    // What is read back from the files is found by what the view takes back.
    let mut sink = open(&spec, &lake, Some((1, &last)));
    sink.write(vec![UpdateBatch { rows, epochs: Run::One(2), diffs: Run::One(-1) }], 2).unwrap();
    checkpoint(&mut sink, 2);
    assert_eq!(read(&lake, "types").len(), 0);
}

#[test]
fn put_if_absent_tells_a_lost_reply_from_a_lost_race() {
    let (_folder, lake) = local();
    let faulty = Arc::new(Faulty::new(Arc::clone(lake.object_store()), 3));
    let wrapped = lake.clone().map_store(|_| Arc::clone(&faulty) as _);
    faulty.set(Weather::Rough);
    for number in 0..60 {
        let path = format!("_catchment/job/checkpoints/{number}.json");
        let ours = format!("ours {number}");
        assert_eq!(wrapped.put_if_absent(&path, ours.clone()).unwrap(), PutOutcome::Created, "{number}");
        assert_eq!(lake.put_if_absent(&path, "theirs").unwrap(), PutOutcome::Exists);
        assert_eq!(wrapped.put_if_absent(&path, "theirs").unwrap(), PutOutcome::Exists);
        assert_eq!(lake.get(&path).unwrap().unwrap(), ours);
    }
    let store: &dyn catchment_contract::Store = &lake;
    assert_eq!(store.list("_catchment/job").unwrap().len(), 60);
    store.delete("_catchment/job/checkpoints/7.json").unwrap();
    store.delete("_catchment/job/checkpoints/7.json").unwrap();
    assert_eq!(store.get("_catchment/job/checkpoints/7.json").unwrap(), None);
}
