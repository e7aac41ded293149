use std::collections::BTreeMap;

use catchment_contract::{Environment, Fault};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::records::Strings;

fn records(entries: &[(u64, Vec<u8>, Vec<u8>)]) -> Records {
    let mut states = Strings::default();
    entries.iter().for_each(|(_, _, state)| states.push(state));
    Records::new(entries.iter().map(|(hash, key, _)| (*hash, &key[..])), states)
}

fn add(runs: &mut Runs, records: Records) -> Result<()> {
    runs.add(records.len(), std::iter::once(records))
}

fn folder() -> (tempfile::TempDir, SpillFolder) {
    let parent = tempfile::tempdir().unwrap();
    let folder = SpillFolder::new(parent.path().join("spill"), Environment::system());
    (parent, folder)
}

/// Hashes that collide, long states, keys that go and come again: the newest state counts, whatever was merged.
#[test]
fn runs_agree_with_a_map() {
    for seed in 0..20_u64 {
        println!("seed {seed}");
        let mut random = SmallRng::seed_from_u64(seed);
        let (_parent, folder) = folder();
        let (mut runs, mut map) = (Runs::new(folder), BTreeMap::<(u64, Vec<u8>), Vec<u8>>::new());
        let (keys, hashes) = (random.random_range(1..3000), [3, 1000, u64::MAX][seed as usize % 3]);
        let name = |key: u64| (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) % hashes, key.to_be_bytes()[5..].to_vec());
        for _ in 0..random.random_range(1..60) {
            let mut batch = BTreeMap::new();
            for _ in 0..random.random_range(0..200) {
                let len = if random.random_range(0..50) == 0 { 20_000 } else { random.random_range(1..60) };
                let gone = random.random_range(0..4) == 0;
                let state = if gone { Vec::new() } else { vec![random.random(); len] };
                batch.insert(name(random.random_range(0..keys)), state);
            }
            let batch: Vec<_> = batch.into_iter().rev().map(|((hash, key), state)| (hash, key, state)).collect();
            add(&mut runs, records(&batch)).unwrap();
            runs.tend().unwrap();
            batch.into_iter().for_each(|(hash, key, state)| drop(map.insert((hash, key), state)));
            assert!(runs.len() <= RUNS_MAX);
            let wanted: Vec<_> = (0..keys).map(name).map(|(hash, key)| (hash, key, Vec::new())).collect();
            let mut found = BTreeMap::new();
            let asked = records(&wanted);
            runs.fetch(&asked, |index, state| {
                let (hash, key, _) = wanted[index].clone();
                assert!(found.insert((hash, key), state.to_vec()).is_none(), "told twice");
            })
            .unwrap();
            let expected: BTreeMap<_, _> = map.clone().into_iter().filter(|(_, state)| !state.is_empty()).collect();
            assert!(found == expected);
        }
    }
}

#[test]
fn space_and_runs_stay_bounded_when_the_same_keys_change() {
    let (parent, folder) = folder();
    let mut runs = Runs::new(folder.clone());
    let batch = |round: u64| -> Vec<_> {
        (0..500_u64)
            .map(|n| ((n * 7 + round) % 4000, vec![((n * 7 + round) % 4000 / 16) as u8], vec![1; 100]))
            .collect()
    };
    let mut added = 0;
    for round in 0..200 {
        let records = records(&batch(round));
        added += records.bytes() as u64;
        add(&mut runs, records).unwrap();
        runs.tend().unwrap();
        assert!(runs.len() <= 24, "{} runs", runs.len());
        // 4,000 keys of 117 bytes, four times.
        assert!(runs.bytes() < 2_000_000, "{} bytes after round {round}", runs.bytes());
    }
    assert!(folder.written() < added * 8, "{} bytes were written for {added}", folder.written());
    assert_eq!(std::fs::read_dir(parent.path().join("spill")).unwrap().count(), 0, "files have no names");
    drop((runs, folder));
    assert!(!parent.path().join("spill").exists(), "the folder was made here");
}

#[test]
fn keys_that_are_gone_are_forgotten() {
    let (_parent, folder) = folder();
    let mut runs = Runs::new(folder);
    for round in 0..64_u64 {
        let state = if round % 2 == 0 { vec![7; 1000] } else { Vec::new() };
        let entries: Vec<_> = (0..50).map(|n| (n, vec![n as u8], state.clone())).collect();
        add(&mut runs, records(&entries)).unwrap();
        runs.tend().unwrap();
    }
    for round in 0..8_u64 {
        add(&mut runs, records(&[(1000 + round, vec![1], vec![1; 60_000])])).unwrap();
        runs.tend().unwrap();
    }
    assert!(runs.bytes() < 600_000, "{} bytes for 8 keys of 60,000", runs.bytes());
}

#[test]
fn a_folder_that_takes_no_file_is_an_error_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut runs = Runs::new(SpillFolder::new(file.path().join("spill"), Environment::system()));
    let error = add(&mut runs, records(&[(1, vec![1], vec![1])])).unwrap_err();
    assert_eq!(error.fault(), Fault::Remote);
    assert!(error.to_string().contains("spill folder") && error.to_string().contains("/spill"), "{error}");
    assert!(error.hint().unwrap().contains("--spill-dir"));
}
