//! A job with no memory for its states, and a folder for them that takes none.

use std::path::Path;

use catchment::{Lake, RunOptions, StopHandle};
use catchment_contract::{Environment, Fault, Result};
use catchment_engine::runtime::RunReport;

use crate::world::{comment, job, options, rows};

fn run(folder: &Path, spill_dir: &Path) -> Result<RunReport> {
    let options = RunOptions { state_memory: Some(0), spill_dir: spill_dir.to_owned(), ..options() };
    let mut runtime = job(&folder.join("input"), &lake(folder)).open(options, &StopHandle::new())?;
    runtime.drain()?;
    runtime.finish()
}

fn lake(folder: &Path) -> Lake {
    Lake::new(folder.join("lake").to_str().unwrap(), Environment::system()).unwrap()
}

#[test]
fn a_folder_that_takes_nothing_ends_the_run_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, input) = (folder.path(), folder.path().join("input"));
    std::fs::create_dir(&input).unwrap();
    let subreddit = |id: u32| ["rust", "sql", "go"][id as usize % 3];
    let lines: String = (0..300).map(|id| comment(id, subreddit(id), 1, 1)).collect();
    std::fs::write(input.join("1.ndjson"), lines).unwrap();
    let spill = folder.join("spill");
    assert!(run(folder, &spill).unwrap().spilled_bytes > 0);
    let expected = ["go|100|100", "rust|100|100", "sql|100|100"];
    assert_eq!(rows(&lake(folder)), expected);
    // Every fifth changes: old versions are found among what the run spilled when it read them again.
    let lines: String = (0..60).map(|id| comment(5 * id, subreddit(5 * id), 2, 2)).collect();
    std::fs::write(input.join("2.ndjson"), lines).unwrap();
    let error = run(folder, &input.join("1.ndjson/spill")).unwrap_err();
    assert_eq!(error.fault(), Fault::Remote, "{}", error.chain());
    let text = error.chain();
    assert!(text.contains("1.ndjson/spill") && text.contains("--spill-dir"), "{text}");
    assert_eq!(rows(&lake(folder)), expected, "the last checkpoint stays good");
    run(folder, &spill).unwrap();
    assert_eq!(rows(&lake(folder)), ["go|100|120", "rust|100|120", "sql|100|120"]);
    assert!(!spill.exists(), "nothing stays");
}
