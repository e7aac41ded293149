//! A program with a sink: `CREATE SINK … WITH (connector = 'file', path = '…')` keeps a view in a file of JSON lines.
//!
//! ```text
//! cargo run --example own_sink                   reads the sample that ships, keeps busiest.ndjson
//! cargo run --example own_sink -- LAKE FILE
//! ```
//!
//! A sink takes part in checkpoints: what it staged becomes visible when the checkpoint is committed, once, however often the
//! program dies in between. This one stages the whole view in the manifest, which a small view can afford, and publishes by
//! renaming a file, which may be repeated. That it keeps its promises is tested by the suite that all sinks pass,
//! `catchment::contract::suite::sink`: see `tests/outside/suites.rs`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use catchment::arrow::json::WriterBuilder;
use catchment::arrow::json::writer::LineDelimited;
use catchment::contract::{
    Options, Sink, SinkConnector, SinkContext, SinkFigures, SinkSpec, Staged, UpdateBatch, ViewFacts,
};
use catchment::{Environment, Epoch, Error, Job, Lake, Result, RunOptions, StopHandle};

const JOB: &str = "
CREATE SOURCE comments WITH (connector = 'reddit', kind = 'comments', path = 'examples/data/reddit/RC_*');
CREATE VIEW busiest AS SELECT subreddit, count(*) AS comments FROM comments GROUP BY subreddit;
CREATE SINK busiest FROM busiest WITH (connector = 'file', path = '${file}');
";

/// The connector: makes a sink of the options in the job's text, without touching the disk.
pub struct Files;

impl SinkConnector for Files {
    fn name(&self) -> &'static str {
        "file"
    }

    fn check(&self, _name: &str, _view: &ViewFacts, options: &mut Options) -> Result<Box<dyn SinkSpec>> {
        let (path, _) = options.require("path")?;
        Ok(Box::new(OneFile { path: path.into() }))
    }
}

#[derive(Clone)]
struct OneFile {
    path: PathBuf,
}

impl SinkSpec for OneFile {
    fn describe(&self) -> String {
        self.target()
    }

    fn target(&self) -> String {
        format!("file \"{}\"", self.path.display())
    }

    fn open(&self, _context: &SinkContext, last: Option<(u64, &Staged)>) -> Result<Box<dyn Sink>> {
        let mut sink = Lines { file: self.clone(), lines: BTreeMap::new(), changed: false };
        if let Some((n, staged)) = last {
            sink.lines = lines(staged)?;
            // The program may have died before it published them.
            sink.publish(n, staged)?;
        }
        Ok(Box::new(sink))
    }
}

fn lines(staged: &Staged) -> Result<BTreeMap<String, i64>> {
    serde_json::from_value(staged.0.clone())
        .map_err(|error| Error::data("cannot read the staged lines").with_source(error))
}

/// The view's rows as JSON, and how often each is there.
struct Lines {
    file: OneFile,
    lines: BTreeMap<String, i64>,
    changed: bool,
}

impl Sink for Lines {
    fn write(&mut self, updates: Vec<UpdateBatch>, _upto: Epoch) -> Result<()> {
        for batch in updates {
            let format = WriterBuilder::new()
                .with_explicit_nulls(true)
                .with_timestamp_tz_format("%Y-%m-%dT%H:%M:%S%.6fZ".into());
            let mut writer = format.build::<_, LineDelimited>(Vec::new());
            let written = writer.write(&batch.rows).and_then(|()| writer.finish());
            written.map_err(|error| Error::bug("could not write rows as JSON").with_source(error))?;
            let text = String::from_utf8(writer.into_inner()).expect("JSON is text");
            for (row, line) in text.lines().enumerate() {
                *self.lines.entry(line.to_owned()).or_default() += batch.diffs.at(row);
                self.changed = true;
            }
        }
        self.lines.retain(|_, copies| *copies != 0);
        Ok(())
    }

    fn stage(&mut self, _n: u64, _epoch: Epoch) -> Result<Option<Staged>> {
        if !std::mem::take(&mut self.changed) {
            return Ok(None);
        }
        let lines = serde_json::to_value(&self.lines);
        lines.map(|lines| Some(Staged(lines))).map_err(|error| Error::bug("could not stage lines").with_source(error))
    }

    fn publish(&mut self, _n: u64, staged: &Staged) -> Result<()> {
        let lines = lines(staged)?;
        let text: String = lines.iter().map(|(line, copies)| format!("{line}\n").repeat(*copies as usize)).collect();
        let path = &self.file.path;
        let beside = path.with_extension("new");
        let failed = |error| Error::io(format_args!("write file \"{}\"", path.display()), error);
        fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)).map_err(failed)
    }

    fn figures(&self) -> SinkFigures {
        SinkFigures { rows: self.lines.values().sum::<i64>() as u64, ..SinkFigures::default() }
    }
}

#[allow(dead_code, reason = "tests take the connector alone")]
fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let lake = arguments.next().unwrap_or_else(|| "lake".to_string());
    let file = arguments.next().unwrap_or_else(|| "busiest.ndjson".to_string());
    let mut builder = Job::builder("own_sink");
    builder.sql(JOB).variable("file", &file).sink(Files).lake(Lake::new(&lake, Environment::system())?);
    let mut run = builder.check()?.open(RunOptions::default(), &StopHandle::new())?;
    run.drain()?;
    println!("{}", run.finish()?);
    Ok(())
}
