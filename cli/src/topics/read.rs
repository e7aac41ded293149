//! `catchment topics read`.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use catchment_contract::Error;
use catchment_topics::batch::{Batch, Record, batches};
use catchment_topics::{Broker, Fetched, PartitionClient};
use clap::Args;

use super::super::Failure;
use super::Source;

/// How much is asked for at a time.
const FETCH_BYTES: usize = 4 << 20;

/// How long one partition is waited for before the next is looked at.
const TURN: Duration = Duration::from_millis(20);

/// Print a topic's records, one a line: key, a tab, value
#[derive(Args)]
pub struct Read {
    /// The topic
    name: String,
    #[command(flatten)]
    source: Source,
    /// Where to begin: earliest, latest, an offset, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, default_value = "earliest", value_parser = from)]
    from: From,
    /// Go on as records come, until told to stop
    #[arg(long)]
    follow: bool,
    /// Print an object a line: partition, offset, time, key and value
    #[arg(long)]
    json: bool,
}

/// Where to begin in each partition.
#[derive(Clone, Copy)]
enum From {
    Earliest,
    Latest,
    Offset(i64),
    /// Milliseconds since 1970.
    Time(i64),
}

fn from(text: &str) -> Result<From, String> {
    if let Ok(offset) = text.parse::<i64>() {
        return if offset >= 0 { Ok(From::Offset(offset)) } else { Err("an offset counts from 0".into()) };
    }
    match text {
        "earliest" => Ok(From::Earliest),
        "latest" => Ok(From::Latest),
        _ => text
            .parse::<jiff::Timestamp>()
            .map(|time| From::Time(time.as_millisecond()))
            .map_err(|_| "write earliest, latest, an offset, or a time such as 2026-01-31T12:00:00Z".into()),
    }
}

/// One partition on its way to its end.
struct Cursor {
    partition: u32,
    client: Box<dyn PartitionClient>,
    next: i64,
    /// Where to stop when nobody follows.
    end: i64,
}

/// What one reading has come across.
#[derive(Default)]
struct Seen {
    /// Decompressed records of one batch.
    scratch: Vec<u8>,
    /// Batches that could not be read, or not to their end.
    unreadable: u64,
}

impl Seen {
    /// Says that records of a partition are passed over.
    fn pass_over(&mut self, partition: u32, offsets: std::ops::Range<i64>, why: &str) {
        self.unreadable += 1;
        let last = (offsets.end - 1).max(offsets.start);
        eprintln!("warning: partition {partition}, offsets {} to {last} are passed over: {why}", offsets.start);
    }
}

impl Read {
    /// Prints the records of all partitions: one after the other up to their present ends, then, if told to follow, as
    /// they come.
    pub fn execute(&self) -> Result<(), Failure> {
        let broker = self.source.broker()?;
        let mut out = BufWriter::new(io::stdout().lock());
        match self.read(&*broker, &mut out) {
            // Whoever read our lines has enough.
            Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(Stop::Output(error)) => Err(Failure::Failed(format!("could not write to standard output: {error}"))),
            Err(Stop::Broker(error)) => Err(error.into()),
            Ok(0) => Ok(()),
            Ok(1) => Err(Failure::Failed(format!("a batch of topic \"{}\" could not be read", self.name))),
            Ok(count) => Err(Failure::Failed(format!("{count} batches of topic \"{}\" could not be read", self.name))),
        }
    }

    /// Returns how many batches could not be read.
    fn read(&self, broker: &dyn Broker, out: &mut impl Write) -> Result<u64, Stop> {
        let mut cursors = self.cursors(broker)?;
        let mut seen = Seen::default();
        for cursor in &mut cursors {
            while cursor.next < cursor.end {
                self.fetch(cursor, out, &mut seen)?;
            }
        }
        out.flush()?;
        if !self.follow {
            return Ok(seen.unreadable);
        }
        loop {
            for cursor in &mut cursors {
                if cursor.client.wait(cursor.next, TURN)? {
                    cursor.end = i64::MAX;
                    self.fetch(cursor, out, &mut seen)?;
                    out.flush()?;
                }
            }
        }
    }

    fn cursors(&self, broker: &dyn Broker) -> Result<Vec<Cursor>, Stop> {
        let Some(topic) = broker.topic(&self.name)? else {
            let names: Vec<String> = broker.topics()?.into_iter().map(|topic| topic.name).collect();
            let near = catchment_contract::options::nearest(&self.name, names.iter().map(String::as_str));
            let hint =
                near.map_or("catchment topics list shows them".into(), |near| format!("did you mean \"{near}\"?"));
            let message = format!("there is no topic \"{}\" at the {}", self.name, broker.describe());
            return Err(Stop::Broker(Error::user(message).with_hint(hint)));
        };
        let cursor = |partition| {
            let mut client = broker.partition(&self.name, partition)?;
            let bounds = client.bounds()?;
            let next = match self.from {
                From::Earliest | From::Time(_) => bounds.start,
                From::Latest => bounds.end,
                From::Offset(offset) => offset.clamp(bounds.start, bounds.end),
            };
            Ok(Cursor { partition, client, next, end: bounds.end })
        };
        (0..topic.partitions).map(cursor).collect()
    }

    /// Prints what one fetch brings.
    fn fetch(&self, cursor: &mut Cursor, out: &mut impl Write, seen: &mut Seen) -> Result<(), Stop> {
        let (bytes, next) = match cursor.client.fetch(cursor.next, FETCH_BYTES)? {
            Fetched::Batches { bytes, next } => (bytes, next),
            Fetched::Evicted { start } => {
                tracing::warn!(
                    partition = cursor.partition,
                    missed = start - cursor.next,
                    "records are no longer kept"
                );
                cursor.next = start;
                return Ok(());
            }
            Fetched::Damaged { next, why } => {
                seen.pass_over(cursor.partition, cursor.next..next, &why);
                cursor.next = next.max(cursor.next + 1);
                return Ok(());
            }
        };
        for batch in batches(&bytes) {
            self.batch(cursor, &batch, out, seen)?;
        }
        // What came after the end that was looked up is left for whoever follows.
        cursor.next = next.min(cursor.end);
        Ok(())
    }

    /// Prints the records of one batch, as far as they can be read.
    fn batch(&self, cursor: &Cursor, batch: &Batch<'_>, out: &mut impl Write, seen: &mut Seen) -> io::Result<()> {
        let mut scratch = std::mem::take(&mut seen.scratch);
        let mut next = batch.header.base_offset;
        let broken = match batch.records(&mut scratch) {
            Err(error) => Some(error),
            Ok(records) => {
                let mut broken = None;
                for record in records {
                    match record {
                        Ok(record) => {
                            next = record.offset + 1;
                            self.record(cursor, &record, out)?;
                        }
                        Err(error) => broken = Some(error),
                    }
                }
                broken
            }
        };
        if let Some(error) = broken {
            seen.pass_over(cursor.partition, next..batch.header.next_offset(), &error.chain());
        }
        seen.scratch = scratch;
        Ok(())
    }

    fn record(&self, cursor: &Cursor, record: &Record<'_>, out: &mut impl Write) -> io::Result<()> {
        let wanted = match self.from {
            From::Time(time) => record.time >= time,
            From::Earliest | From::Latest | From::Offset(_) => true,
        };
        if wanted && (cursor.next..cursor.end).contains(&record.offset) {
            self.print(cursor.partition, record, out)?;
        }
        Ok(())
    }

    fn print(&self, partition: u32, record: &Record<'_>, out: &mut impl Write) -> io::Result<()> {
        let text = |bytes| String::from_utf8_lossy(bytes);
        if self.json {
            let time = (record.time >= 0).then(|| jiff::Timestamp::from_millisecond(record.time).ok()).flatten();
            let time = time.map(|time| time.to_string());
            let object = serde_json::json!({
                "partition": partition, "offset": record.offset, "time": time,
                "key": record.key.map(text), "value": text(record.value),
            });
            return writeln!(out, "{object}");
        }
        if let Some(key) = record.key {
            write!(out, "{}\t", one_line(&text(key)).replace('\t', "\\t"))?;
        }
        writeln!(out, "{}", one_line(&text(record.value)))
    }
}

/// A record is one line, whatever it holds. JSON has no line breaks of its own, so it stays as it is.
fn one_line(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r")
}

/// Why reading ended.
enum Stop {
    Broker(Error),
    Output(io::Error),
}

impl std::convert::From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Broker(error)
    }
}

impl std::convert::From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Output(error)
    }
}
