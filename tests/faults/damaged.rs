//! Files of ours that are damaged, lost, or put back from an older copy: the next run is right, or refuses by name and says
//! the way out. Never a panic, never silence.

use std::path::{Path, PathBuf};

use catchment::{Environment, Lake, StopHandle};

use crate::woken::copy;
use crate::world::{comment, job, options, rows, run};

fn lake_at(path: &Path) -> Lake {
    Lake::new(path.to_str().unwrap(), Environment::system()).unwrap()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// A lake after three runs, and the input of a fourth.
fn world(folder: &Path) -> (PathBuf, PathBuf) {
    let (input, lake) = (folder.join("input"), folder.join("lake"));
    std::fs::create_dir_all(&input).unwrap();
    for round in 0..3 {
        std::fs::write(input.join(format!("{round}.ndjson")), comment(round, "rust", 1, 1)).unwrap();
        run(&input, &lake_at(&lake)).unwrap();
    }
    std::fs::write(input.join("3.ndjson"), comment(3, "rust", 1, 1)).unwrap();
    (input, lake)
}

#[test]
fn every_file_of_the_job_damaged_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let (input, whole) = world(folder.path());
    let mut paths = Vec::new();
    files(&whole.join("_catchment/faults"), &mut paths);
    paths.sort();
    let (mut refused, mut right) = (0, 0);
    for path in &paths {
        let bytes = std::fs::read(path).unwrap();
        let flipped = |at: usize| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            Some(bytes)
        };
        let mut damages: Vec<(String, Option<Vec<u8>>)> = vec![
            ("removed".into(), None),
            ("emptied".into(), Some(Vec::new())),
            ("cut".into(), Some(bytes[..bytes.len() / 2].to_vec())),
            ("longer".into(), Some([&bytes[..], b"\n"].concat())),
        ];
        damages
            .extend((0..bytes.len()).step_by(bytes.len() / 6 + 1).map(|at| (format!("flipped at {at}"), flipped(at))));
        for (what, damage) in damages {
            let place = folder.path().join("damaged");
            copy(&whole, &place);
            let file = place.join(path.strip_prefix(&whole).unwrap());
            match damage {
                None => std::fs::remove_file(&file).unwrap(),
                Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            }
            let name = file.file_name().unwrap().to_str().unwrap();
            match run(&input, &lake_at(&place)) {
                Ok(_) => {
                    assert_eq!(rows(&lake_at(&place)), ["rust|4|4"], "{name} {what}");
                    right += 1;
                }
                Err(error) => {
                    let text = error.chain();
                    assert!(text.contains(name) || text.contains("checkpoint"), "{name} {what}: {text}");
                    assert!(error.hint().is_some() && !text.contains("bug"), "{name} {what}: {text}");
                    refused += 1;
                }
            }
            std::fs::remove_dir_all(&place).unwrap();
        }
    }
    println!("{} files: {refused} damages refused, {right} had no effect", paths.len());
    assert!(refused > paths.len() && right > 0);
}

#[test]
fn lost_checkpoints_are_refused_and_a_reset_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (input, whole) = world(folder.path());
    for lost in ["_catchment/faults/checkpoints", "_catchment/faults", "_catchment"] {
        let place = folder.path().join("lost");
        copy(&whole, &place);
        std::fs::remove_dir_all(place.join(lost)).unwrap();
        // The first refusal leaves nothing that would let the second run pass.
        for _ in 0..2 {
            let error = run(&input, &lake_at(&place)).unwrap_err();
            let text = error.chain();
            assert!(text.contains("no checkpoint") && text.contains("add --reset once"), "{lost}: {text}");
            assert_eq!(rows(&lake_at(&place)), ["rust|3|3"], "{lost}");
        }
        let lake = lake_at(&place);
        let mut anew = options();
        anew.reset = true;
        let mut runtime = job(&input, &lake).open(anew, &StopHandle::new()).unwrap();
        runtime.drain().unwrap();
        runtime.finish().unwrap();
        run(&input, &lake).unwrap();
        assert_eq!(rows(&lake), ["rust|4|4"], "{lost}");
        std::fs::remove_dir_all(&place).unwrap();
    }
}

/// The job's files from before the last run, the table as it is now.
#[test]
fn an_older_copy_that_is_put_back_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = world(folder.path());
    let older = folder.path().join("older");
    copy(&lake.join("_catchment"), &older);
    run(&input, &lake_at(&lake)).unwrap();
    std::fs::write(input.join("4.ndjson"), comment(4, "rust", 1, 1)).unwrap();
    std::fs::remove_dir_all(lake.join("_catchment")).unwrap();
    copy(&older, &lake.join("_catchment"));
    let error = run(&input, &lake_at(&lake)).unwrap_err();
    assert!(error.chain().contains("counts"), "{}", error.chain());
    assert!(error.hint().is_some(), "{}", error.chain());
    assert_eq!(rows(&lake_at(&lake)), ["rust|4|4"]);
}

/// What was refused goes on once the lost file is put back: nothing was removed meanwhile.
#[test]
fn a_lost_manifest_that_is_put_back_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = world(folder.path());
    let mut manifests = Vec::new();
    files(&lake.join("_catchment/faults/checkpoints"), &mut manifests);
    let newest = manifests.iter().max().unwrap();
    let bytes = std::fs::read(newest).unwrap();
    std::fs::remove_file(newest).unwrap();
    for _ in 0..3 {
        let error = run(&input, &lake_at(&lake)).unwrap_err();
        assert!(error.chain().contains("counts"), "{}", error.chain());
    }
    std::fs::write(newest, bytes).unwrap();
    run(&input, &lake_at(&lake)).unwrap();
    assert_eq!(rows(&lake_at(&lake)), ["rust|4|4"]);
}

/// One manifest in the place of another.
#[test]
fn a_manifest_under_another_number_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (input, lake) = world(folder.path());
    let mut manifests = Vec::new();
    files(&lake.join("_catchment/faults/checkpoints"), &mut manifests);
    manifests.sort();
    assert_eq!(manifests.len(), 3, "the last three are kept");
    std::fs::copy(&manifests[0], &manifests[2]).unwrap();
    let error = run(&input, &lake_at(&lake)).unwrap_err();
    assert!(error.chain().contains("under another number"), "{}", error.chain());
    assert!(error.chain().contains("to go back to checkpoint"), "{}", error.chain());
}
