//! A job over a folder of comments, and its table as readers see it.

use std::path::Path;
use std::sync::Arc;

use catchment::{Job, Lake, RunOptions, StopHandle};
use catchment_contract::Result;
use catchment_contract::arrow::util::display::{ArrayFormatter, FormatOptions};
use catchment_engine::runtime::RunReport;
use delta_kernel::engine::arrow_data::EngineDataArrowExt;
use delta_kernel::{Engine, Snapshot};
use delta_kernel_default_engine::DefaultEngineBuilder;

const SQL: &str = "
CREATE SOURCE comments WITH (connector = 'reddit', kind = 'comments', path = '${input}/*.ndjson');
CREATE VIEW counts AS SELECT subreddit, count(*) AS comments, sum(score) AS score FROM comments GROUP BY subreddit;
CREATE SINK counts FROM counts WITH (connector = 'lake', mode = 'current');
";

/// The job over the files in `input`.
pub fn job(input: &Path, lake: &Lake) -> Job {
    let mut builder = Job::builder("faults");
    builder.sql(SQL).variable("input", input.to_str().unwrap()).lake(lake.clone());
    builder.check().unwrap()
}

/// One worker.
pub fn options() -> RunOptions {
    RunOptions { workers: 1, ..RunOptions::default() }
}

/// One run to the end of what is there.
pub fn run(input: &Path, lake: &Lake) -> Result<RunReport> {
    let mut runtime = job(input, lake).open(options(), &StopHandle::new())?;
    runtime.drain()?;
    runtime.finish()
}

/// A comment as a line.
pub fn comment(id: u32, subreddit: &str, score: i32, retrieved: u32) -> String {
    format!(
        r#"{{"id":"c{id}","name":"t1_c{id}","author":"a","subreddit":"{subreddit}","body":"b","score":{score},"created_utc":1700000000,"retrieved_on":{},"link_id":"t3_x","parent_id":"t3_x"}}"#,
        1_700_000_000 + retrieved
    ) + "\n"
}

/// Rows of the table, as text, sorted.
pub fn rows(lake: &Lake) -> Vec<String> {
    let lake = lake.open().unwrap();
    let engine: Arc<dyn Engine> = Arc::new(DefaultEngineBuilder::new(Arc::clone(lake.object_store())).build());
    let url = lake.root().join("counts/").unwrap();
    let scan = Snapshot::builder_for(&url).build(engine.as_ref()).unwrap().scan_builder().build().unwrap();
    let format = FormatOptions::default();
    let mut rows = Vec::new();
    for batch in scan.execute(engine).unwrap() {
        let batch = batch.unwrap().try_into_record_batch().unwrap();
        let columns = ["subreddit", "comments", "score"].map(|name| batch.column_by_name(name).unwrap().clone());
        let columns = columns.each_ref().map(|column| ArrayFormatter::try_new(column.as_ref(), &format).unwrap());
        rows.extend(
            (0..batch.num_rows()).map(|row| columns.each_ref().map(|column| column.value(row).to_string()).join("|")),
        );
    }
    rows.sort();
    rows
}
