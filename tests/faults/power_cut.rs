//! A power cut after any call that a job makes to its disk: the next run loads what is there, nothing is lost or doubled,
//! and nothing is refused.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use catchment::{Environment, Lake};
use catchment_contract::RetryPolicy;
use catchment_store::LakeStore;

use crate::recorded::{Image, Left, RecordedDisk, materialize};
use crate::world::{comment, rows, run};

/// A life of four runs on a disk that is recorded: new comments, nothing new, other versions, more files.
fn live(input: &Path, lake: &Path) -> Arc<RecordedDisk> {
    std::fs::create_dir_all(lake).unwrap();
    let root = std::fs::canonicalize(lake).unwrap();
    let disk = Arc::new(RecordedDisk::new(&root));
    let write = |name: &str, lines: String| std::fs::write(input.join(name), lines).unwrap();
    for round in 0..4 {
        match round {
            0 => write("a.ndjson", (0..6).map(|id| comment(id, ["rust", "sql"][id as usize % 2], 1, 1)).collect()),
            1 => {}
            2 => write("b.ndjson", comment(1, "sql", 5, 2) + &comment(9, "new", 7, 2)),
            _ => write("c.ndjson", comment(0, "moved", 3, 3) + "no record\n"),
        }
        let environment = Environment::new(Arc::new(catchment_contract::SystemClock), round);
        let store = LakeStore::on_disk(&root, disk.clone(), environment, RetryPolicy::default()).unwrap();
        run(input, &Lake::of(store)).unwrap();
    }
    disk
}

fn hash(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn every_cut_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    std::fs::create_dir_all(&input).unwrap();
    let disk = live(&input, &folder.path().join("lake"));
    let at = |path: &Path| Lake::new(path.to_str().unwrap(), Environment::system()).unwrap();
    let fresh = at(&folder.path().join("fresh"));
    run(&input, &fresh).unwrap();
    let expected = rows(&fresh);
    assert_eq!(expected, ["moved|1|3", "new|1|7", "rust|2|2", "sql|3|7"], "the job does what it says");
    let (mut seen, mut tried) = (BTreeSet::new(), 0);
    for cut in 0..=disk.len() {
        for (kind, left) in [
            ("nothing", Left::Nothing),
            ("everything", Left::Everything),
            ("a part", Left::Chance(Environment::simulated(cut as u64).0)),
        ] {
            let image = disk.after(cut, &left);
            if !seen.insert(hash(&image)) {
                continue;
            }
            tried += 1;
            let place = folder.path().join("cut");
            materialize(&image, &place);
            let lake = at(&place);
            let what = format!("a power cut after call {cut} of {}, {kind} left of what was not synced", disk.len());
            run(&input, &lake).unwrap_or_else(|error| panic!("{what}: {}", error.chain()));
            assert_eq!(rows(&lake), expected, "{what}");
            std::fs::remove_dir_all(&place).unwrap();
        }
    }
    println!("{} calls, {tried} different disks", disk.len());
    assert!(tried > 100, "{tried} disks were tried: the recorder sees nothing");
}

/// The canary: a disk that forgets what was synced is noticed.
#[test]
fn the_tester_sees_what_is_not_synced() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    std::fs::create_dir_all(&input).unwrap();
    let disk = live(&input, &folder.path().join("lake"));
    let mut image = disk.after(disk.len(), &Left::Nothing);
    let state = image.keys().rfind(|path| path.to_string_lossy().contains("/state/comments/")).unwrap().clone();
    image.insert(state, Some(Vec::new()));
    let place = folder.path().join("cut");
    materialize(&image, &place);
    std::fs::write(input.join("d.ndjson"), comment(20, "rust", 1, 1)).unwrap();
    let error = run(&input, &Lake::new(place.to_str().unwrap(), Environment::system()).unwrap()).unwrap_err();
    assert!(error.chain().contains("is damaged: it has 0 bytes"), "{}", error.chain());
}
