//! A job's dataflow run on a history, and what it must equal.
//!
//! A history is, for each epoch, what arrives at each source. The maintained result of a view after an epoch is the sum of
//! its updates up to there; what it must equal is DataFusion's own answer over the sources' rows at that epoch.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, Mutex};

use catchment_contract::arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Int64Array, RecordBatch, StringViewArray, UInt32Array, UInt64Array,
    new_null_array,
};
use catchment_contract::arrow::compute::cast;
use catchment_contract::arrow::datatypes::{DataType, Schema, SchemaRef, UInt32Type};
use catchment_contract::arrow::util::display::{ArrayFormatter, FormatOptions};
use catchment_contract::{Environment, Replace, Run};
use catchment_engine::{Updates, flatten};
use catchment_operators::transform::transform;
use catchment_operators::{Memory, Transformed};
use catchment_sql::Job;
use catchment_state::{Budget, SpillFolder};
use datafusion::common::ScalarValue;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use timely::container::NoopBuilder;
use timely::dataflow::operators::Probe;
use timely::dataflow::operators::core::input::Handle as InputHandle;
use timely::dataflow::operators::probe::Handle as ProbeHandle;

/// One row of a source.
pub type Row = Vec<ScalarValue>;

/// A row that arrives.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The values of all columns of the relation.
    pub row: Row,
    /// Its version, for sources whose rows replace one another.
    pub version: Option<i64>,
    /// Whether it removes its key.
    pub tombstone: bool,
    /// 1, or −1 where a row of a growing source is taken back.
    pub diff: i64,
    /// The payload that it is part of.
    pub payload: u64,
}

/// What arrives in one epoch, by source.
pub type EpochInput = BTreeMap<String, Vec<Arrival>>;

/// Rows with how often each stands in a relation.
pub type Multiset = BTreeMap<String, i64>;

/// The rows of a source after some arrivals.
#[derive(Clone, Debug)]
pub struct State {
    schema: SchemaRef,
    key: Vec<usize>,
    replace: Replace,
    /// By key for sources that replace rows.
    current: BTreeMap<String, Documents>,
    rows: Vec<Row>,
    arrived: u64,
}

/// What a key's arrivals come to: the later version stands among those that carry one, the later arrival among the others,
/// and of these two the one that arrived later is current.
#[derive(Clone, Debug, Default)]
struct Documents {
    versioned: Option<(i64, Document)>,
    plain: Option<Document>,
}

#[derive(Clone, Debug)]
struct Document {
    arrived: u64,
    payload: u64,
    rows: Vec<Row>,
}

impl Documents {
    fn current(&self) -> &[Row] {
        let versioned = self.versioned.as_ref().map(|(_, document)| document);
        let newest = versioned.into_iter().chain(&self.plain).max_by_key(|document| document.arrived);
        newest.map(|document| document.rows.as_slice()).unwrap_or_default()
    }
}

impl State {
    /// A source without rows.
    pub fn new(schema: SchemaRef, key: Vec<usize>, replace: Replace) -> Self {
        State { schema, key, replace, current: BTreeMap::new(), rows: Vec::new(), arrived: 0 }
    }

    /// What the source's rows are after `arrivals`.
    pub fn apply(&mut self, arrivals: &[Arrival]) {
        for Arrival { row, version, tombstone, diff, payload } in arrivals {
            if self.replace == Replace::Never {
                match diff {
                    1 => self.rows.push(row.clone()),
                    _ => {
                        let place = self.rows.iter().position(|known| known == row).expect("only known rows leave");
                        self.rows.swap_remove(place);
                    }
                }
                continue;
            }
            let key: Vec<String> = self.key.iter().map(|column| format!("{:?}", row[*column])).collect();
            self.arrived += 1;
            let documents = self.current.entry(key.join("|")).or_default();
            if self.replace == Replace::Payload
                && let Some(document) = documents.plain.as_mut().filter(|document| document.payload == *payload)
            {
                document.rows.push(row.clone());
                continue;
            }
            let rows = if *tombstone { Vec::new() } else { vec![row.clone()] };
            let document = Document { arrived: self.arrived, payload: *payload, rows };
            match version {
                None => documents.plain = Some(document),
                Some(version) => {
                    if documents.versioned.as_ref().is_none_or(|(known, _)| version >= known) {
                        documents.versioned = Some((*version, document));
                    }
                }
            }
        }
    }

    /// The rows as a batch.
    pub fn batch(&self) -> RecordBatch {
        let current = self.current.values().flat_map(Documents::current);
        let rows: Vec<&Row> = self.rows.iter().chain(current).collect();
        to_batch(&self.schema, &rows)
    }

    /// Rows of a growing source.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

fn to_batch(schema: &SchemaRef, rows: &[&Row]) -> RecordBatch {
    let columns = (0..schema.fields().len()).map(|column| to_array(schema.field(column).data_type(), column, rows));
    RecordBatch::try_new(schema.clone(), columns.collect()).expect("rows fit their schema")
}

fn to_array(data_type: &DataType, column: usize, rows: &[&Row]) -> ArrayRef {
    match rows {
        [] => catchment_contract::arrow::array::new_empty_array(data_type),
        rows => ScalarValue::iter_to_array(rows.iter().map(|row| row[column].clone())).expect("one type a column"),
    }
}

/// A run of the job.
pub struct Ran {
    outputs: HashMap<String, Vec<Updates>>,
}

impl Ran {
    /// The relation `name` after `epoch`.
    pub fn at(&self, name: &str, epoch: u64) -> Multiset {
        self.written(name, epoch, &texts)
    }

    /// The relation `name` after `epoch`, its rows written by `write`.
    pub fn written(&self, name: &str, epoch: u64, write: &dyn Fn(&[ArrayRef], usize) -> Vec<String>) -> Multiset {
        let mut rows = Multiset::new();
        for updates in self.outputs.get(name).map(Vec::as_slice).unwrap_or_default() {
            for (row, text) in write(updates.columns(), updates.len()).into_iter().enumerate() {
                if updates.epochs().at(row) <= epoch {
                    *rows.entry(text).or_default() += updates.diffs().at(row);
                }
            }
        }
        rows.retain(|_, count| *count != 0);
        rows
    }
}

/// Rows as text, column by column.
pub fn texts(columns: &[ArrayRef], len: usize) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let flat: Vec<ArrayRef> = columns.iter().map(flatten).collect();
    let formatters: Vec<_> =
        flat.iter().map(|c| ArrayFormatter::try_new(c, &options).expect("a printable type")).collect();
    (0..len).map(|row| formatters.iter().map(|f| f.value(row).to_string()).collect::<Vec<_>>().join(" | ")).collect()
}

static SPILL: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// All the memory that operators want, or so little that they keep a few keys, or none: by the seed.
fn memory(seed: u64) -> Memory {
    let bytes = [None, Some(0), Some(5_000)][seed as usize % 3];
    let folder = SpillFolder::new(SPILL.path(), Environment::system());
    bytes.map_or(Memory::unlimited(), |bytes| Budget::new(bytes, folder).memory())
}

/// Runs `job` on `history`, epochs from 1, with `workers` workers. `seed` decides which worker gets what, which epochs are
/// sent before the ones before them are done, which strings arrive dictionary-encoded, and how much memory there is.
pub fn run(job: Arc<Job>, history: Vec<EpochInput>, workers: usize, seed: u64) -> Ran {
    let outputs: Arc<Mutex<HashMap<String, Vec<Updates>>>> = Arc::default();
    let collected = outputs.clone();
    let config = match workers {
        1 => timely::Config::thread(),
        n => timely::Config::process(n),
    };
    let guards = timely::execute(config, move |worker| {
        let (index, peers) = (worker.index(), worker.peers());
        let mut random = StdRng::seed_from_u64(seed);
        let mut handles: BTreeMap<String, InputHandle<u64, NoopBuilder<Updates>>> = BTreeMap::new();
        let mut rejects: InputHandle<u64, NoopBuilder<Updates>> = InputHandle::new_with_builder();
        let probe = ProbeHandle::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let mut inputs = BTreeMap::new();
            for source in job.sources.iter().filter(|source| source.read) {
                let mut handle = InputHandle::new_with_builder();
                inputs.insert(source.name.clone(), handle.to_stream(scope));
                handles.insert(source.name.clone(), handle);
            }
            let streams = job.build(scope, inputs, rejects.to_stream(scope), &memory(seed));
            for (name, stream) in streams {
                let (name, collected) = (name.clone(), collected.clone());
                let keep = move |updates: Updates| {
                    collected
                        .lock()
                        .expect("no test panics here")
                        .entry(name.clone())
                        .or_default()
                        .push(updates.clone());
                    Transformed { updates, faults: None }
                };
                let (stream, _) = transform(stream, "collect", Box::new(keep));
                stream.probe_with(&probe);
            }
        });
        for (epoch, input) in history.iter().enumerate() {
            let epoch = epoch as u64 + 1;
            rejects.advance_to(epoch);
            handles.values_mut().for_each(|handle| handle.advance_to(epoch));
            for (name, arrivals) in input {
                for part in parts(arrivals, peers, &mut random) {
                    let Some(handle) = handles.get_mut(name) else { continue };
                    let source =
                        job.sources.iter().find(|source| source.name == *name).expect("histories name sources");
                    let mut updates =
                        raw(&source.source.relation().schema, &source.projection, &part.rows, epoch, &mut random);
                    if part.worker == index && !updates.is_empty() {
                        handle.send_batch(&mut updates);
                    }
                }
            }
            if random.random_bool(0.7) {
                rejects.advance_to(epoch + 1);
                handles.values_mut().for_each(|handle| handle.advance_to(epoch + 1));
                worker.step_while(|| probe.less_than(&(epoch + 1)));
            }
        }
    });
    for result in guards.expect("workers start").join() {
        result.expect("no worker panics");
    }
    let outputs = std::mem::take(&mut *outputs.lock().expect("no test panics here"));
    Ran { outputs }
}

struct Part {
    worker: usize,
    rows: Vec<(usize, Arrival)>,
}

/// Cuts arrivals into containers, a payload never apart, and gives each to a worker. Numbered by arrival.
fn parts(arrivals: &[Arrival], peers: usize, random: &mut StdRng) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut last = None;
    for (number, arrival) in arrivals.iter().enumerate() {
        if parts.is_empty() || (last != Some(arrival.payload) && random.random_bool(0.3)) {
            parts.push(Part { worker: random.random_range(0..peers), rows: Vec::new() });
        }
        last = Some(arrival.payload);
        parts.last_mut().expect("one was pushed").rows.push((number, arrival.clone()));
    }
    parts
}

/// A container of a raw source stream: the projected columns, version, arrival, tombstone.
fn raw(
    schema: &SchemaRef,
    projection: &[usize],
    rows: &[(usize, Arrival)],
    epoch: u64,
    random: &mut StdRng,
) -> Updates {
    let values: Vec<&Row> = rows.iter().map(|(_, arrival)| &arrival.row).collect();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for column in projection {
        let array = to_array(schema.field(*column).data_type(), *column, &values);
        let encode = array.data_type() == &DataType::Utf8View && random.random_bool(0.5);
        columns.push(if encode { encoded(&array) } else { array });
    }
    columns.push(Arc::new(rows.iter().map(|(_, arrival)| arrival.version).collect::<Int64Array>()));
    let numbers = rows.iter().map(|(number, arrival)| (arrival.payload << 32) + *number as u64);
    columns.push(Arc::new(numbers.collect::<UInt64Array>()));
    columns.push(Arc::new(rows.iter().map(|(_, arrival)| Some(arrival.tombstone)).collect::<BooleanArray>()));
    let diffs: Vec<i64> = rows.iter().map(|(_, arrival)| arrival.diff).collect();
    Updates::new(rows.len(), columns, Run::One(epoch), Run::Each(diffs.into()))
}

/// The column as a dictionary whose values stand in the order of first use, with one that no row has.
fn encoded(array: &ArrayRef) -> ArrayRef {
    let texts = array.as_any().downcast_ref::<StringViewArray>().expect("strings are views");
    let mut values = vec!["a value of no row"];
    let mut keys: Vec<Option<u32>> = Vec::new();
    for text in texts.iter() {
        keys.push(text.map(|text| match values.iter().position(|value| *value == text) {
            Some(place) => place as u32,
            None => {
                values.push(text);
                values.len() as u32 - 1
            }
        }));
    }
    let values = Arc::new(StringViewArray::from(values));
    Arc::new(DictionaryArray::<UInt32Type>::new(UInt32Array::from(keys), values))
}

/// DataFusion with the given sources' rows and the views `views` (texts of CREATE VIEW statements, in order).
pub async fn datafusion(sources: &BTreeMap<String, RecordBatch>, views: &[String]) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().execution.time_zone = Some("UTC".to_string());
    let context = SessionContext::new_with_config(config);
    for function in catchment_operators::functions::all() {
        context.register_udf(function.as_ref().clone());
    }
    for function in catchment_operators::functions::aggregates() {
        context.register_udaf(function.as_ref().clone());
    }
    for (name, rows) in sources {
        let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]]).expect("a table of one batch");
        context.register_table(name, Arc::new(table)).expect("names are used once");
    }
    for view in views {
        context.sql(view).await.unwrap_or_else(|error| panic!("{view}\n{error}"));
    }
    context
}

/// DataFusion's answer to `SELECT * FROM name`, whose columns have the types of `schema`.
pub async fn expected(context: &SessionContext, name: &str, schema: &Schema) -> Multiset {
    let answer = context.sql(&format!("SELECT * FROM {name}")).await.expect("a view of that name");
    let batches = answer.collect().await.unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut rows = Multiset::new();
    for batch in batches {
        let columns: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(column, field)| cast(column, field.data_type()).expect("the same type in another encoding"))
            .collect();
        for text in texts(&columns, batch.num_rows()) {
            *rows.entry(text).or_default() += 1;
        }
    }
    rows
}

/// A null of a type, for rows of histories.
pub fn null_of(data_type: &DataType) -> ScalarValue {
    ScalarValue::try_from_array(&new_null_array(data_type, 1), 0).expect("one value")
}
