//! A pipeline inside a program: it pushes rows, listens to a view, and needs neither files nor a command line.
//!
//! ```text
//! cargo run --example embedded
//! ```
//!
//! Temperature readings come and are corrected; the program prints each sensor's mean as it changes.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use catchment::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringViewArray};
use catchment::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use catchment::arrow::util::display::{ArrayFormatter, FormatOptions};
use catchment::{Change, Job, Lake, Result, RunOptions, StopHandle};

const JOB: &str = "
CREATE SOURCE readings WITH (connector = 'push', feed = 'readings');
CREATE VIEW means AS SELECT sensor, count(*) AS readings, avg(celsius) AS mean FROM readings GROUP BY sensor;
";

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8View, false),
        Field::new("sensor", DataType::Utf8View, true),
        Field::new("celsius", DataType::Float64, true),
    ]))
}

fn readings(rows: &[(&str, &str, f64)]) -> RecordBatch {
    let ids: StringViewArray = rows.iter().map(|(id, _, _)| Some(*id)).collect();
    let sensors: StringViewArray = rows.iter().map(|(_, sensor, _)| Some(*sensor)).collect();
    let degrees: Float64Array = rows.iter().map(|(_, _, celsius)| Some(*celsius)).collect();
    let columns: [ArrayRef; 3] = [Arc::new(ids), Arc::new(sensors), Arc::new(degrees)];
    RecordBatch::try_new(schema(), columns.into()).expect("the columns fit the schema")
}

/// `+ kitchen, 2, 20.5`: a row that is there now; `-`: one that is no longer.
fn lines(change: &Change) -> Vec<String> {
    let mut lines = Vec::new();
    for updates in &change.updates {
        let options = FormatOptions::default();
        let shown = updates.rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let shown: Vec<_> = shown.collect::<std::result::Result<_, _>>().expect("texts and numbers can be shown");
        for row in 0..updates.len() {
            let sign = if updates.diffs.at(row) > 0 { '+' } else { '-' };
            let cells: Vec<String> = shown.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(format!("{sign} {}", cells.join(", ")));
        }
    }
    lines.sort();
    lines
}

fn main() -> Result<()> {
    let mut builder = Job::builder("embedded");
    builder.sql(JOB).lake(Lake::in_memory());
    let feed = builder.feed("readings", schema(), &[0]);
    let means = builder.subscribe("means");
    let job = builder.check()?;

    let stop = StopHandle::new();
    let mut run = job.open(RunOptions::default(), &stop)?;
    let runs = thread::spawn(move || run.stay().and_then(|()| run.finish()));

    let rounds = [
        readings(&[("a", "kitchen", 20.0), ("b", "kitchen", 21.0), ("c", "cellar", 12.0)]),
        // The first reading was wrong.
        readings(&[("a", "kitchen", 22.0)]),
    ];
    for round in &rounds {
        feed.push(round)?;
        match means.next(Duration::from_secs(60))? {
            Some(change) => lines(&change).iter().for_each(|line| println!("{line}")),
            None => break,
        }
    }
    feed.delete(&rounds[1])?;
    if let Some(change) = means.next(Duration::from_secs(60))? {
        lines(&change).iter().for_each(|line| println!("{line}"));
    }
    stop.stop();
    let report = runs.join().expect("the run does not panic")?;
    println!("{report}");
    Ok(())
}
