//! What the lake's tests share: views, batches of random rows, and tables read back through the kernel's own scan.

pub mod broker;
pub mod counted;
pub mod faults;
pub mod paused;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use catchment_contract::arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray,
};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use catchment_contract::arrow::util::display::{ArrayFormatter, FormatOptions};
use catchment_contract::{Environment, Options, Place, Run, UpdateBatch, ViewFacts};
use catchment_sinks::lake::LakeSpec;
use catchment_store::{Lake, LakeStore};
use delta_kernel::engine::arrow_data::EngineDataArrowExt;
use delta_kernel::{Engine, Snapshot};
use delta_kernel_default_engine::DefaultEngineBuilder;

/// A row of the test's view.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Row {
    pub id: Option<String>,
    pub subreddit: String,
    pub day: i64,
    pub score: Option<i64>,
    pub good: bool,
    pub body: String,
}

/// Columns of the test's view.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8View, true),
        Field::new("subreddit", DataType::Utf8View, true),
        Field::new("created_utc", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("score", DataType::Int64, true),
        Field::new("ratio", DataType::Float64, true),
        Field::new("good", DataType::Boolean, true),
        Field::new("body", DataType::Utf8View, true),
    ]))
}

/// Rows as Arrow.
pub fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.id.as_deref()).collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| Some(row.subreddit.as_str())).collect::<StringViewArray>()),
        Arc::new(
            rows.iter()
                .map(|row| Some(1_767_225_600_000_000 + row.day * 86_400_000_000 + 1_234_567))
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(rows.iter().map(|row| row.score).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| row.score.map(|score| score as f64 / 4.0)).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.good)).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| Some(row.body.as_str())).collect::<StringViewArray>()),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// Updates as the engine gives them.
pub fn updates(epoch: u64, changes: &[(Row, i64)]) -> UpdateBatch {
    let rows: Vec<Row> = changes.iter().map(|(row, _)| row.clone()).collect();
    let diffs: Vec<i64> = changes.iter().map(|(_, diff)| *diff).collect();
    let diffs = if diffs.iter().all(|diff| *diff == 1) { Run::One(1) } else { Run::Each(diffs.into()) };
    UpdateBatch { rows: batch(&rows), epochs: Run::One(epoch), diffs }
}

/// The view that the rows belong to.
pub fn view(append_only: bool) -> ViewFacts {
    ViewFacts { name: "comments".into(), schema: schema(), key: Some(vec![0]), append_only }
}

/// Options of a `WITH` clause.
pub fn options(given: &[(&str, &str)]) -> Options {
    let mut options = Options::new("sink \"lake\"");
    for (column, (name, value)) in given.iter().enumerate() {
        options.insert(*name, *value, Place { line: 3, column: column as u64 + 10 });
    }
    options
}

/// A clock that stands still and chance of its own: calls that fail for ten minutes take none.
pub fn environment() -> Environment {
    static SEED: AtomicU64 = AtomicU64::new(1);
    Environment::simulated(SEED.fetch_add(1, Ordering::Relaxed)).0
}

/// The lake at a folder or URL.
pub fn lake_at(place: impl AsRef<Path>) -> LakeStore {
    lake_with(place, environment())
}

/// The lake at a folder or URL, with a clock and chance of the test's.
pub fn lake_with(place: impl AsRef<Path>, environment: Environment) -> LakeStore {
    Lake::new(place.as_ref().to_str().unwrap(), environment).unwrap().open().unwrap()
}

/// The checked sink.
pub fn spec(view: &ViewFacts, given: &[(&str, &str)]) -> LakeSpec {
    let mut options = options(given);
    let spec = LakeSpec::check("lake", view, &mut options, &Lake::default()).unwrap();
    options.finish().unwrap();
    spec
}

/// The text of each row of `batch`, its columns in the order of `names`, sorted.
pub fn texts(batches: &[RecordBatch], names: &[&str]) -> Vec<String> {
    let format = FormatOptions::default().with_null("∅");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<&ArrayRef> = names.iter().map(|name| batch.column_by_name(name).unwrap()).collect();
        let formatters: Vec<_> =
            columns.iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &format).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = formatters.iter().map(|formatter| formatter.value(row).to_string()).collect();
            rows.push(cells.join("|"));
        }
    }
    rows.sort();
    rows
}

/// Every row of a table, read through the kernel's scan.
pub fn read(lake: &LakeStore, table: &str) -> Vec<RecordBatch> {
    read_at(lake, table, None)
}

/// Every row of a version of a table.
pub fn read_version(lake: &LakeStore, table: &str, version: u64) -> Vec<RecordBatch> {
    read_at(lake, table, Some(version))
}

fn read_at(lake: &LakeStore, table: &str, version: Option<u64>) -> Vec<RecordBatch> {
    let engine: Arc<dyn Engine> = Arc::new(DefaultEngineBuilder::new(Arc::clone(lake.object_store())).build());
    let url = lake.root().join(&format!("{table}/")).unwrap();
    let mut builder = Snapshot::builder_for(&url);
    if let Some(version) = version {
        builder = builder.at_version(version);
    }
    let snapshot = builder.build(engine.as_ref()).unwrap();
    let scan = snapshot.scan_builder().build().unwrap();
    let batches = scan.execute(engine).unwrap();
    batches.map(|batch| batch.unwrap().try_into_record_batch().unwrap()).filter(|batch| batch.num_rows() > 0).collect()
}

/// The names of the view's columns.
pub fn names() -> Vec<String> {
    schema().fields().iter().map(|field| field.name().clone()).collect()
}
