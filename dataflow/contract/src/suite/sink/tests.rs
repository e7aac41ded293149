//! The suite finds what it is there to find: a sink in memory passes, and each way of breaking it fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::*;
use crate::sink::SinkFigures;

/// How the sink in memory is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Rows are visible when they are staged.
    EarlyStage,
    /// A second publish adds again.
    Twice,
    /// An open forgets to publish.
    LazyOpen,
    /// Retractions are left out.
    NoRetractions,
    /// Something is staged for nothing.
    EagerStage,
    /// Wide texts are cut.
    CutTexts,
    /// What was staged and not committed is published with the next checkpoint.
    KeepsStaged,
}

/// What is outside: the visible updates, the checkpoint that was published last, and staged updates left behind.
#[derive(Clone, Default)]
struct Target {
    visible: Vec<(String, i64)>,
    published: u64,
    left: Vec<(String, i64)>,
}

struct Memory {
    fault: Fault,
    target: Arc<Mutex<Target>>,
}

struct MemorySink {
    fault: Fault,
    target: Arc<Mutex<Target>>,
    pending: Vec<(String, i64)>,
}

impl SinkSpec for Memory {
    fn target(&self) -> String {
        "memory".into()
    }

    fn describe(&self) -> String {
        "memory".into()
    }

    fn open(&self, _: &SinkContext, last: Option<(u64, &Staged)>) -> Result<Box<dyn Sink>> {
        let mut sink = MemorySink { fault: self.fault, target: Arc::clone(&self.target), pending: Vec::new() };
        if self.fault == Fault::KeepsStaged {
            sink.pending.clone_from(&self.target.lock().expect("no panic").left);
        }
        if let Some((n, staged)) = last.filter(|_| self.fault != Fault::LazyOpen) {
            sink.publish(n, staged)?;
        }
        Ok(Box::new(sink))
    }
}

impl Sink for MemorySink {
    fn write(&mut self, updates: Vec<UpdateBatch>, _: Epoch) -> Result<()> {
        for batch in updates {
            for (row, text) in batch_texts(&batch.rows).into_iter().enumerate() {
                let diff = batch.diffs.at(row);
                let text = if self.fault == Fault::CutTexts { text.chars().take(1000).collect() } else { text };
                if diff > 0 || self.fault != Fault::NoRetractions {
                    self.pending.push((text, diff));
                }
            }
        }
        Ok(())
    }

    fn stage(&mut self, _: u64, _: Epoch) -> Result<Option<Staged>> {
        if self.pending.is_empty() && self.fault != Fault::EagerStage {
            return Ok(None);
        }
        let pending = std::mem::take(&mut self.pending);
        let mut target = self.target.lock().expect("no panic");
        if self.fault == Fault::EarlyStage {
            target.visible.extend(pending.clone());
        }
        target.left.clone_from(&pending);
        Ok(Some(Staged(serde_json::to_value(pending).expect("pairs"))))
    }

    fn publish(&mut self, n: u64, staged: &Staged) -> Result<()> {
        let mut target = self.target.lock().expect("no panic");
        target.left.clear();
        if target.published < n || self.fault == Fault::Twice {
            let updates: Vec<(String, i64)> = serde_json::from_value(staged.0.clone()).expect("pairs");
            if self.fault != Fault::EarlyStage {
                target.visible.extend(updates);
            }
            target.published = n;
        }
        Ok(())
    }

    fn figures(&self) -> SinkFigures {
        SinkFigures::default()
    }
}

struct MemoryFixture {
    fault: Fault,
    target: Arc<Mutex<Target>>,
    append_only: bool,
}

impl SinkFixture for MemoryFixture {
    fn spec(&self) -> Box<dyn SinkSpec> {
        Box::new(Memory { fault: self.fault, target: Arc::clone(&self.target) })
    }

    fn context(&self) -> SinkContext {
        SinkContext::alone("job")
    }

    fn read(&mut self) -> Vec<String> {
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        for (text, diff) in &self.target.lock().expect("no panic").visible {
            *counts.entry(text.clone()).or_default() += diff;
        }
        counts.into_iter().flat_map(|(text, count)| vec![text; count.max(0) as usize]).collect()
    }

    fn is_append_only(&self) -> bool {
        self.append_only
    }
}

fn passes(fault: Fault, append_only: bool, seed: u64) -> bool {
    let mut fixture = MemoryFixture { fault, target: Arc::default(), append_only };
    catch_unwind(AssertUnwindSafe(|| run(&mut fixture, seed))).is_ok()
}

#[test]
fn a_sink_that_does_what_it_must_passes() {
    for seed in 0..12 {
        assert!(passes(Fault::None, seed % 3 == 0, seed), "seed {seed}");
    }
}

#[test]
fn each_fault_is_found() {
    let faults = [
        Fault::EarlyStage,
        Fault::Twice,
        Fault::LazyOpen,
        Fault::NoRetractions,
        Fault::EagerStage,
        Fault::CutTexts,
        Fault::KeepsStaged,
    ];
    for fault in faults {
        assert!((0..5).any(|seed| !passes(fault, false, seed)), "{fault:?} was not found");
    }
}

#[test]
fn the_same_row_is_the_same_text_from_json_and_from_arrow() {
    let row = Row {
        id: Some("a|b".into()),
        count: Some(i64::MIN),
        ratio: Some(3.0),
        good: None,
        at: Some(1_769_860_800_000_001),
        text: Some("\"€\n".into()),
    };
    let json = serde_json::json!({
        "text": "\"€\n", "at": "2026-01-31T12:00:00.000001Z", "good": null, "ratio": 3.0, "count": i64::MIN, "id": "a|b",
        "_epoch": 7
    });
    assert_eq!(row_text(&json), row.to_text());
    assert_eq!(batch_texts(&to_batch(&[&row])), [row.to_text()]);
}
