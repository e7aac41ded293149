//! A published multiset of numbers, with the number of the last checkpoint in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::arrow::array::AsArray;
use catchment_contract::arrow::datatypes::{DataType, Int64Type};
use catchment_contract::{Epoch, Reject, Result, Sink, SinkContext, SinkFigures, SinkSpec, Staged, UpdateBatch};
use catchment_engine::host::{Host, Monitor};

use super::Faults;

/// The one number that the tables' system does not take.
pub const UNLUCKY: i64 = -13;

#[derive(Clone, Default)]
pub struct Table {
    pub rows: BTreeMap<i64, i64>,
    pub version: u64,
    pub publishes: u64,
    /// The epoch of each number that was written, published or not.
    pub written: BTreeMap<i64, Epoch>,
    /// Reasons of the rejects that were written.
    pub reasons: Vec<String>,
    /// Whether writes wait.
    pub is_shut: bool,
    /// Whether staging panics.
    pub panics: bool,
    /// How it is opened.
    pub opening: Opening,
    /// How many times somebody began to open it.
    pub opens: u64,
}

/// How a table is opened.
#[derive(Clone, Default)]
pub enum Opening {
    #[default]
    AtOnce,
    /// Once somebody begins to open this one, too.
    Beside(TableSpec),
    Panics,
}

#[derive(Clone)]
pub struct TableSpec {
    pub table: Arc<Monitor<Table>>,
    faults: Faults,
}

impl TableSpec {
    pub fn new(host: &Host, faults: &Faults) -> Self {
        TableSpec { table: Arc::new(Monitor::new(host, Table::default())), faults: faults.clone() }
    }

    /// What is published.
    pub fn rows(&self) -> BTreeMap<i64, i64> {
        self.table.with(|table| table.rows.clone())
    }

    /// Waits until the table is as wanted.
    pub fn await_that(&self, wanted: impl Fn(&Table) -> bool) {
        self.table.wait(|table| wanted(table).then_some(()));
    }
}

struct TableSink {
    spec: TableSpec,
    /// Whether what the table holds is replaced by the next publish.
    anew: bool,
    pending: BTreeMap<i64, i64>,
    refused: Vec<Reject>,
}

impl SinkSpec for TableSpec {
    fn describe(&self) -> String {
        self.target()
    }

    fn target(&self) -> String {
        "table".into()
    }

    fn open(&self, _context: &SinkContext, last: Option<(u64, &Staged)>) -> Result<Box<dyn Sink>> {
        let opening = self.table.update(|table| {
            table.opens += 1;
            table.opening.clone()
        });
        match opening {
            Opening::AtOnce => {}
            Opening::Beside(other) => other.await_that(|table| table.opens > 0),
            Opening::Panics => panic!("the sink cannot be opened"),
        }
        let mut sink =
            TableSink { spec: self.clone(), anew: last.is_none(), pending: BTreeMap::new(), refused: vec![] };
        if let Some((number, staged)) = last {
            sink.publish(number, staged)?;
        }
        Ok(Box::new(sink))
    }

    fn can_begin_anew(&self) -> bool {
        true
    }
}

impl Sink for TableSink {
    fn write(&mut self, updates: Vec<UpdateBatch>, upto: Epoch) -> Result<()> {
        self.spec.await_that(|table| !table.is_shut);
        for batch in updates {
            let column = batch.rows.column(0);
            for row in 0..batch.len() {
                assert!(batch.epochs.at(row) <= upto);
                let key = match column.data_type() {
                    DataType::Int64 => column.as_primitive::<Int64Type>().value(row),
                    _ => {
                        let reason = batch.rows.column(4).as_string_view().value(row).to_string();
                        self.spec.table.with(|table| table.reasons.push(reason));
                        -1
                    }
                };
                if key == UNLUCKY {
                    let reject = Reject::new("key -13", None, "an unlucky number");
                    self.refused.extend(std::iter::repeat_n(reject, batch.diffs.at(row) as usize));
                    continue;
                }
                *self.pending.entry(key).or_default() += batch.diffs.at(row);
                self.spec.table.update(|table| table.written.insert(key, batch.epochs.at(row)));
            }
        }
        self.spec.faults.chance(5, "the sink")
    }

    fn stage(&mut self, _n: u64, _epoch: Epoch) -> Result<Option<Staged>> {
        assert!(!self.spec.table.with(|table| table.panics), "the sink has gone mad");
        self.spec.faults.chance(10, "the sink")?;
        if self.pending.is_empty() && !self.anew {
            return Ok(None);
        }
        let pairs: Vec<(i64, i64)> = std::mem::take(&mut self.pending).into_iter().collect();
        Ok(Some(Staged(serde_json::to_value((std::mem::take(&mut self.anew), pairs)).unwrap())))
    }

    fn publish(&mut self, n: u64, staged: &Staged) -> Result<()> {
        self.spec.faults.chance(10, "the sink")?;
        self.spec.table.update(|table| {
            if table.version < n {
                let (anew, pairs): (bool, Vec<(i64, i64)>) = serde_json::from_value(staged.0.clone()).unwrap();
                if anew {
                    table.rows.clear();
                }
                pairs.into_iter().for_each(|(key, diff)| *table.rows.entry(key).or_default() += diff);
                table.version = n;
                table.publishes += 1;
            }
        });
        self.spec.faults.chance(10, "the sink")
    }

    fn take_rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.refused)
    }

    fn figures(&self) -> SinkFigures {
        let rows = self.spec.rows().values().sum::<i64>() as u64;
        SinkFigures { rows, ..SinkFigures::default() }
    }
}
