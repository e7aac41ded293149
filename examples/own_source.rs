//! A program with a connector: `CREATE SOURCE … WITH (connector = 'numbers')` counts.
//!
//! ```text
//! cargo run --example own_source                 writes the table `squares` to the folder `lake`
//! cargo run --example own_source -- LAKE
//! ```
//!
//! A source lists partitions, cuts each into payloads with resume positions, and decodes payloads to rows and rejects. It knows
//! nothing of epochs, workers or SQL; exactly-once follows from its positions. The suite
//! `catchment::contract::suite::source` tests that a source keeps its promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use catchment::arrow::datatypes::{DataType, Field, Schema};
use catchment::contract::{
    Declaration, Decoded, Decoder, Options, Partition, PartitionReader, Payload, Position, Reject, Relation, Replace,
    Source, SourceConnector, Unfinished,
};
use catchment::{Environment, Error, Job, Lake, Result, RunOptions, StopHandle};

const JOB: &str = "
CREATE SOURCE numbers WITH (connector = 'numbers', upto = '1000');
CREATE VIEW squares AS SELECT number, number * number AS square FROM numbers WHERE number % 2 = 0;
CREATE SINK squares FROM squares WITH (connector = 'lake', mode = 'append');
CREATE SINK rejects FROM rejects WITH (connector = 'lake', mode = 'current');
";

/// Numbers of a payload.
const PAYLOAD_NUMBERS: u64 = 100;

struct Numbers;

impl SourceConnector for Numbers {
    fn name(&self) -> &'static str {
        "numbers"
    }

    fn check(&self, name: &str, declared: &Declaration, options: &mut Options) -> Result<Arc<dyn Source>> {
        declared.refuse_key(&format!("source \"{name}\""))?;
        let (upto, span) = options.require("upto")?;
        let upto = upto
            .parse()
            .map_err(|_| options.error(span, format!("\"upto\" cannot be '{upto}'")).with_hint("write a number"))?;
        let schema = Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, false)]));
        Ok(Arc::new(UpTo { upto, relation: Relation { schema, key: Vec::new(), replace: Replace::Never } }))
    }
}

/// The numbers below a bound: one partition, whose position is the next number.
struct UpTo {
    upto: u64,
    relation: Relation,
}

fn next(position: Option<&Position>) -> Result<u64> {
    let Some(Position(text)) = position else { return Ok(0) };
    text.parse().map_err(|_| Error::data(format!("cannot resume at number \"{text}\"")))
}

impl Source for UpTo {
    fn relation(&self) -> &Relation {
        &self.relation
    }

    fn definition(&self) -> String {
        "numbers".into()
    }

    fn discover(&self, known: &BTreeMap<String, Position>) -> Result<Vec<Partition>> {
        let from = known.get("all").cloned();
        let is_new = next(from.as_ref())? < self.upto;
        Ok(is_new.then(|| Partition { id: "all".into(), bytes: None, from }).into_iter().collect())
    }

    fn open(&self, partition: &Partition, _unfinished: Unfinished) -> Result<Box<dyn PartitionReader>> {
        Ok(Box::new(Counting { next: next(partition.from.as_ref())?, upto: self.upto }))
    }

    fn decoder(&self, projection: &[usize]) -> Arc<dyn Decoder> {
        Arc::new(Decimals { schema: self.relation.schema.clone(), projection: projection.to_vec() })
    }
}

struct Counting {
    next: u64,
    upto: u64,
}

impl PartitionReader for Counting {
    fn next(&mut self) -> Result<Option<Payload>> {
        let end = (self.next + PAYLOAD_NUMBERS).min(self.upto);
        if self.next == end {
            return Ok(None);
        }
        // Records as the outside world has them: one that is no number among them.
        let lines: Vec<String> =
            (self.next..end).map(|n| if n == 13 { "unlucky".into() } else { n.to_string() }).collect();
        let bytes = lines.join("\n").into_bytes();
        let payload = Payload {
            partition: "all".into(),
            bytes_read: bytes.len() as u64,
            bytes,
            first_record: self.next + 1,
            position: Position(end.to_string()),
            rejects: Vec::new(),
        };
        self.next = end;
        Ok(Some(payload))
    }
}

struct Decimals {
    schema: Arc<Schema>,
    projection: Vec<usize>,
}

impl Decoder for Decimals {
    fn decode(&self, payload: &Payload) -> Decoded {
        let text = String::from_utf8_lossy(&payload.bytes);
        let (mut numbers, mut rejects) = (Vec::new(), Vec::new());
        for (line, record) in (payload.first_record..).zip(text.lines()) {
            match record.parse::<i64>() {
                Ok(number) => numbers.push(number),
                Err(error) => {
                    rejects.push(Reject::new(format!("line {line}"), Some(record.as_bytes()), error.to_string()));
                }
            }
        }
        let records = (numbers.len() + rejects.len()) as u64;
        let column: ArrayRef = Arc::new(Int64Array::from(numbers));
        let rows = RecordBatch::try_new(self.schema.clone(), vec![column]).expect("the column fits the schema");
        let rows = rows.project(&self.projection).expect("the engine asks for columns that are there");
        Decoded { rows, versions: None, tombstones: None, rejects, records, passed_over: 0 }
    }
}

fn main() -> Result<()> {
    let lake = std::env::args().nth(1).unwrap_or_else(|| "lake".to_string());
    let mut builder = Job::builder("own_source");
    builder.sql(JOB).source(Numbers).lake(Lake::new(&lake, Environment::system())?);
    let mut run = builder.check()?.open(RunOptions::default(), &StopHandle::new())?;
    run.drain()?;
    println!("{}", run.finish()?);
    Ok(())
}
