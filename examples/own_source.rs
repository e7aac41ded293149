//! A program with a connector: `CREATE SOURCE … WITH (connector = 'log', path = 'FOLDER')` reads lines of `visitor`, tab, `page`
//! from the files `*.log` of a folder.
//!
//! ```text
//! cargo run --example own_source                 reads the sample that ships, writes the table `pages` to the folder `lake`
//! cargo run --example own_source -- FOLDER LAKE
//! ```
//!
//! A source lists partitions (here files), cuts each into payloads with resume positions, and decodes payloads to rows and
//! rejects. It knows nothing of epochs, workers or SQL; exactly-once follows from its positions. That it keeps its promises is
//! tested by the suite that all sources pass, `catchment::contract::suite::source`: see `tests/outside/suites.rs`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use catchment::arrow::array::{ArrayRef, RecordBatch, StringViewArray};
use catchment::arrow::datatypes::{DataType, Field, Schema};
use catchment::contract::{
    Declaration, Decoded, Decoder, Options, PAYLOAD_BYTES, Partition, PartitionReader, Payload, Position, Reject,
    Relation, Replace, Source, SourceConnector, Unfinished,
};
use catchment::{Environment, Error, Job, Lake, Result, RunOptions, StopHandle};

const JOB: &str = "
CREATE SOURCE visits WITH (connector = 'log', path = '${path}');
CREATE VIEW pages AS SELECT page, count(*) AS visits FROM visits GROUP BY page;
CREATE SINK pages FROM pages WITH (connector = 'lake');
CREATE SINK rejects FROM rejects WITH (connector = 'lake', mode = 'append');
";

/// The connector: makes a source of the options in the job's text, without touching the disk.
pub struct Log;

impl SourceConnector for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn check(&self, name: &str, declared: &Declaration, options: &mut Options) -> Result<Arc<dyn Source>> {
        declared.refuse_key(&format!("source \"{name}\""))?;
        let (folder, _) = options.require("path")?;
        let columns = ["visitor", "page"].map(|name| Field::new(name, DataType::Utf8View, false));
        let schema = Arc::new(Schema::new(columns.to_vec()));
        let relation = Relation { schema, key: Vec::new(), replace: Replace::Never };
        Ok(Arc::new(Folder { folder: folder.into(), relation }))
    }
}

/// The files of a folder: each is a partition that may grow.
struct Folder {
    folder: PathBuf,
    relation: Relation,
}

/// Where to go on in a file, kept as `bytes:lines`.
#[derive(Clone, Copy, Default)]
struct Reached {
    bytes: u64,
    lines: u64,
}

impl Reached {
    fn of(position: Option<&Position>) -> Result<Reached> {
        let Some(Position(text)) = position else { return Ok(Reached::default()) };
        let parsed = text
            .split_once(':')
            .and_then(|(bytes, lines)| Some(Reached { bytes: bytes.parse().ok()?, lines: lines.parse().ok()? }));
        parsed.ok_or_else(|| Error::data(format!("cannot resume at position \"{text}\"")))
    }
}

fn failed(what: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let what = format!("{what} \"{}\"", path.display());
    move |error| Error::io(what, error)
}

impl Source for Folder {
    fn relation(&self) -> &Relation {
        &self.relation
    }

    fn definition(&self) -> String {
        "log of visits".into()
    }

    fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed("read folder", &self.folder))? {
            let path = entry.map_err(failed("read folder", &self.folder))?.path();
            let Some(id) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".log")) else {
                continue;
            };
            let from = known.get(id).cloned();
            let len = fs::metadata(&path).map_err(failed("look at file", &path))?.len();
            let left = len.saturating_sub(Reached::of(from.as_ref())?.bytes);
            if left > 0 {
                found.push(Partition { id: id.to_owned(), bytes: Some(left), from });
            }
        }
        found.sort_by(|one, two| one.id.cmp(&two.id));
        Ok(found)
    }

    fn open(&self, partition: &Partition, unfinished: Unfinished) -> Result<Box<dyn PartitionReader>> {
        let path = self.folder.join(&partition.id);
        let reached = Reached::of(partition.from.as_ref())?;
        let mut file = File::open(&path).map_err(failed("open file", &path))?;
        file.seek(SeekFrom::Start(reached.bytes)).map_err(failed("read file", &path))?;
        let id = partition.id.as_str().into();
        Ok(Box::new(Lines { file: BufReader::new(file), path, id, reached, unfinished }))
    }

    fn decoder(&self, projection: &[usize]) -> Arc<dyn Decoder> {
        Arc::new(Visits { schema: self.relation.schema.clone(), projection: projection.to_vec() })
    }
}

/// A file from a position on.
struct Lines {
    file: BufReader<File>,
    path: PathBuf,
    id: Arc<str>,
    reached: Reached,
    unfinished: Unfinished,
}

impl PartitionReader for Lines {
    fn next(&mut self) -> Result<Option<Payload>> {
        let first_record = self.reached.lines + 1;
        let mut bytes = Vec::new();
        while bytes.len() < PAYLOAD_BYTES {
            let start = bytes.len();
            self.file.read_until(b'\n', &mut bytes).map_err(failed("read file", &self.path))?;
            if !bytes.ends_with(b"\n") && self.unfinished == Unfinished::Leave {
                bytes.truncate(start);
            }
            if bytes.len() == start {
                break;
            }
            self.reached.lines += 1;
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let bytes_read = bytes.len() as u64;
        self.reached.bytes += bytes_read;
        let position = Position(format!("{}:{}", self.reached.bytes, self.reached.lines));
        Ok(Some(Payload { partition: self.id.clone(), bytes, first_record, bytes_read, position, rejects: Vec::new() }))
    }
}

/// Lines to rows.
struct Visits {
    schema: Arc<Schema>,
    projection: Vec<usize>,
}

impl Decoder for Visits {
    fn decode(&self, payload: &Payload) -> Decoded {
        let text = String::from_utf8_lossy(&payload.bytes);
        let (mut visitors, mut pages, mut rejects) = (Vec::new(), Vec::new(), Vec::new());
        for (number, line) in (payload.first_record..).zip(text.lines()) {
            match line.split_once('\t') {
                Some((visitor, page)) => {
                    visitors.push(visitor);
                    pages.push(page);
                }
                None => rejects.push(Reject::new(format!("line {number}"), Some(line.as_bytes()), "has no tab")),
            }
        }
        let records = (pages.len() + rejects.len()) as u64;
        let columns = [visitors, pages].map(|column| Arc::new(StringViewArray::from(column)) as ArrayRef);
        let rows = RecordBatch::try_new(self.schema.clone(), columns.to_vec()).expect("the columns fit the schema");
        let rows = rows.project(&self.projection).expect("the engine asks for columns that are there");
        Decoded { rows, versions: None, tombstones: None, rejects, records, passed_over: 0 }
    }
}

#[allow(dead_code, reason = "tests take the connector alone")]
fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "examples/visits".to_string());
    let lake = arguments.next().unwrap_or_else(|| "lake".to_string());
    let mut builder = Job::builder("own_source");
    builder.sql(JOB).variable("path", &folder).source(Log).lake(Lake::new(&lake, Environment::system())?);
    let mut run = builder.check()?.open(RunOptions::default(), &StopHandle::new())?;
    run.drain()?;
    println!("{}", run.finish()?);
    Ok(())
}
