//! What a run meets: sources of lines, a store, and tables, all of which can fail by chance.

mod source;
mod store;
mod table;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use catchment_contract::{Environment, Epoch, Error, Result};
use catchment_engine::host::{Answer, Host, Simulation, reply};
use catchment_engine::runtime::{Dataflow, JobSink, JobSource, JobSpec, Progress, RunOptions, RunReport, Runtime};
use catchment_engine::{UpdateStream, Updates};
use timely::container::NoopBuilder;
use timely::dataflow::Scope;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;

pub use source::{Lines, Trouble};
pub use store::Memory;
pub use table::{Opening, TableSpec, UNLUCKY};

pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]))
}

/// Chance that something fails.
#[derive(Clone)]
pub struct Faults {
    environment: Environment,
    is_on: Arc<AtomicBool>,
}

impl Faults {
    fn new(host: &Host) -> Self {
        Faults { environment: host.environment().clone(), is_on: Arc::default() }
    }

    pub fn set(&self, on: bool) {
        self.is_on.store(on, Ordering::Relaxed);
    }

    /// True so many times of 1,000 while faults are on.
    pub fn hit(&self, per_mille: u64) -> bool {
        self.is_on.load(Ordering::Relaxed) && self.environment.random_in(1..=1000) <= per_mille
    }

    /// Fails so many times of 1,000 while faults are on.
    pub fn chance(&self, per_mille: u64, what: &str) -> Result<()> {
        if self.hit(per_mille) { Err(Error::remote(format!("{what} failed"))) } else { Ok(()) }
    }
}

/// Numbers by the order in which they arrived.
pub type Arrivals = Arc<Mutex<BTreeMap<u64, i64>>>;

/// A relation for each source, which has the source's rows without the arrival columns, and `rejects`. The row
/// [`PANIC`] makes the worker panic that sees it.
struct Identity(Arrivals);

/// See [`Identity`].
pub const PANIC: i64 = -4;

impl Dataflow for Identity {
    fn build<'s>(
        &self,
        _scope: Scope<'s, Epoch>,
        inputs: BTreeMap<String, UpdateStream<'s>>,
        rejects: UpdateStream<'s>,
        _memory: &catchment_engine::Memory,
    ) -> BTreeMap<String, UpdateStream<'s>> {
        use catchment_contract::arrow::array::AsArray;
        use catchment_contract::arrow::datatypes::{Int64Type, UInt64Type};
        let values = |stream: UpdateStream<'s>| {
            let arrivals = self.0.clone();
            stream.unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, "Values", move |_, _| {
                move |input, output| {
                    input.for_each(|capability, updates| {
                        let columns = updates.columns()[..1].to_vec();
                        let numbers = columns[0].as_primitive::<Int64Type>().values();
                        assert!(!numbers.contains(&PANIC), "the row {PANIC}");
                        let order = updates.columns()[2].as_primitive::<UInt64Type>().values();
                        let arrived = order.iter().copied().zip(numbers.iter().copied());
                        arrivals.lock().unwrap().extend(arrived);
                        let mut updates = std::mem::take(updates).with_columns(columns);
                        output.session_with_builder(&capability).give_container(&mut updates);
                    });
                }
            })
        };
        let relations = inputs.into_iter().map(|(name, stream)| (name, values(stream)));
        relations.chain([("rejects".to_string(), rejects)]).collect()
    }
}

/// All that outlives a run.
pub struct World {
    pub host: Host,
    pub store: Arc<Memory>,
    pub faults: Faults,
    /// By name; all are opened by every run.
    pub sources: BTreeMap<String, Arc<Lines>>,
    /// By relation, with the relation's fingerprint; those that a run opens.
    pub sinks: BTreeMap<String, &'static str>,
    pub tables: BTreeMap<String, TableSpec>,
    /// What a run is given.
    pub options: RunOptions,
    pub stop: Arc<AtomicBool>,
    /// Of all sources.
    pub arrivals: Arrivals,
    /// Of the last run that was opened.
    progress: Mutex<Option<Arc<Progress>>>,
}

impl World {
    /// Sources of these names, a table of each and of the rejects. Epochs are closed with every batch.
    pub fn new(host: &Host, sources: &[&str]) -> Self {
        let faults = Faults::new(host);
        let line_sources = sources.iter().map(|name| (name.to_string(), Arc::new(Lines::new(host, &faults))));
        let relations = || sources.iter().copied().chain(["rejects"]).map(str::to_string);
        let options = RunOptions {
            workers: 1,
            epoch_interval: Duration::ZERO,
            checkpoint_interval: Duration::ZERO,
            ..RunOptions::default()
        };
        World {
            host: host.clone(),
            store: Arc::new(Memory::new(host, &faults)),
            sources: line_sources.collect(),
            sinks: relations().map(|name| (name, "v1")).collect(),
            tables: relations().map(|name| (name, TableSpec::new(host, &faults))).collect(),
            faults,
            options,
            stop: Arc::default(),
            arrivals: Arc::default(),
            progress: Mutex::default(),
        }
    }

    pub fn source(&self, name: &str) -> &Lines {
        &self.sources[name]
    }

    /// Before it was opened.
    pub fn numbers_mut(&mut self) -> &mut Lines {
        let source = self.sources.get_mut("numbers").expect("the source \"numbers\"");
        Arc::get_mut(source).expect("nobody else has it yet")
    }

    /// The only source of most tests.
    pub fn numbers(&self) -> &Lines {
        self.source("numbers")
    }

    pub fn table(&self, name: &str) -> &TableSpec {
        &self.tables[name]
    }

    pub fn spec(&self) -> JobSpec {
        let sink = |(name, fingerprint): (&String, &&str)| JobSink {
            name: format!("{name}_sink"),
            from: name.clone(),
            spec: Arc::new(self.table(name).clone()),
            schema: match name.as_str() {
                "rejects" => catchment_contract::reject::rejects_schema(),
                _ => schema(),
            },
            fingerprint: (*fingerprint).to_string(),
        };
        let source = |(name, source): (&String, &Arc<Lines>)| JobSource {
            name: name.clone(),
            source: source.clone(),
            projection: vec![0],
        };
        JobSpec {
            name: "job".into(),
            sources: self.sources.iter().map(source).collect(),
            sinks: self.sinks.iter().map(sink).collect(),
            dataflow: Arc::new(Identity(self.arrivals.clone())),
        }
    }

    pub fn open(&self) -> Result<Runtime> {
        let runtime =
            Runtime::open(&self.host, self.spec(), self.store.clone(), self.options.clone(), self.stop.clone())?;
        *self.progress.lock().unwrap() = Some(runtime.progress());
        Ok(runtime)
    }

    /// The most bytes of a source that were read ahead.
    pub fn ahead_bytes_most(&self, source: &str) -> u64 {
        let progress = self.progress.lock().unwrap().clone().unwrap();
        let source = progress.sources.iter().find(|known| known.name == source).unwrap();
        source.ahead_bytes_most.load(Ordering::Relaxed)
    }

    /// Reads what there is.
    pub fn run(&self) -> Result<RunReport> {
        let mut runtime = self.open()?;
        runtime.drain()?;
        runtime.finish()
    }

    /// Opens the job, and follows its sources on a thread until the run is to stop.
    pub fn follow(&self) -> Result<Answer<Result<RunReport>>> {
        self.on_a_thread(|runtime| runtime.stay())
    }

    /// Opens the job, and reads on a thread what there is.
    pub fn drain_on_a_thread(&self) -> Result<Answer<Result<RunReport>>> {
        self.on_a_thread(|runtime| runtime.drain().map(drop))
    }

    fn on_a_thread(
        &self,
        act: impl FnOnce(&mut Runtime) -> Result<()> + Send + 'static,
    ) -> Result<Answer<Result<RunReport>>> {
        let mut runtime = self.open()?;
        let (given, answer) = reply(&self.host);
        let body = move || given.give(act(&mut runtime).and_then(|()| runtime.finish()));
        self.host.spawn("job", body, |payload| std::panic::resume_unwind(payload))?;
        Ok(answer)
    }

    /// Ends a run that follows.
    pub fn stop(&self, running: Answer<Result<RunReport>>) -> Result<RunReport> {
        self.stop.store(true, Ordering::Relaxed);
        let outcome = running.wait().expect("the job's thread answers");
        self.stop.store(false, Ordering::Relaxed);
        outcome
    }

    /// What the tables must hold: numbers by relation, and how many lines are none.
    pub fn expected(&self, name: &str) -> (BTreeMap<i64, i64>, i64) {
        let (mut rows, mut rejects) = (BTreeMap::new(), 0);
        for line in self.source(name).lines() {
            match line.parse::<i64>() {
                Ok(number) if number != UNLUCKY => *rows.entry(number).or_default() += 1,
                _ => rejects += 1,
            }
        }
        (rows, rejects)
    }

    pub fn assert_published(&self, context: &str) {
        let mut rejects = 0;
        for name in self.sources.keys() {
            let (rows, bad) = self.expected(name);
            rejects += bad;
            if self.sinks.contains_key(name) {
                assert_eq!(self.table(name).rows(), rows, "{name}, {context}");
            }
        }
        if self.sinks.contains_key("rejects") {
            assert_eq!(self.table("rejects").rows().values().sum::<i64>(), rejects, "rejects, {context}");
        }
    }

    /// Adds lines to files, some of which are no numbers.
    pub fn grow(&self, name: &str) {
        let environment = self.host.environment();
        for _ in 0..environment.random_in(1..=3) {
            let file = format!("f{}", environment.random_in(0..=3));
            let line = |_| match environment.random_in(1..=10) {
                1 => "bad".to_string(),
                _ => environment.random_in(0..=29).to_string(),
            };
            let lines: Vec<String> = (0..environment.random_in(1..=19)).map(line).collect();
            self.source(name).append(&file, &lines);
        }
    }
}

/// Names the seed of a run that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the run of seed {} failed", self.0);
        }
    }
}

/// Runs a test on a simulated host.
pub fn simulate<T>(seed: u64, test: impl FnOnce(&Simulation, &Host) -> T) -> T {
    let _seed = Seed(seed);
    let (simulation, host) = Simulation::begin(seed);
    test(&simulation, &host)
}
