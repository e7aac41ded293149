use std::collections::HashMap;

use catchment_contract::arrow::array::{DictionaryArray, Int64Array, StringViewArray};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<StringViewArray>())
}

fn ids(table: &mut KeyTable, columns: &[ArrayRef]) -> Vec<u32> {
    let mut ids = Vec::new();
    table.intern(columns, columns[0].len(), None, &mut ids);
    ids
}

#[test]
fn encodings_runs_and_slices_agree() {
    let mut table = KeyTable::new(&[DataType::Utf8View]);
    let flat = texts(&[Some("a"), None, Some("b"), Some("a")]);
    let first = ids(&mut table, std::slice::from_ref(&flat));
    assert_eq!(first, [0, 1, 2, 0]);
    let values = texts(&[Some("b"), None, Some("a"), Some("unused")]);
    let keys = UInt32Array::from(vec![Some(2), None, Some(0), Some(2), Some(1)]);
    let dictionary: ArrayRef = Arc::new(DictionaryArray::<UInt32Type>::new(keys, values));
    assert_eq!(ids(&mut table, std::slice::from_ref(&dictionary)), [0, 1, 2, 0, 1]);
    assert_eq!(ids(&mut table, &[dictionary.slice(2, 2)]), [2, 0]);
    let runs: Vec<Option<&str>> = [[Some("b"); 9], [None; 9], [Some("b"); 9]].concat();
    assert_eq!(ids(&mut table, &[texts(&runs)]), [[2; 9], [1; 9], [2; 9]].concat());
    assert_eq!(table.len(), 3, "an unused value is no key");
}

#[test]
fn hash_ties_are_settled_by_the_bytes() {
    for bits in [0, 1, 64 - 1] {
        let mut table = KeyTable::new(&[DataType::Int64, DataType::Utf8View]).with_hash_bits(bits);
        let numbers: ArrayRef = Arc::new(Int64Array::from((0..500).map(|row| row / 2).collect::<Vec<_>>()));
        let words = (0..500).map(|row| Some(if row % 2 == 0 { "even" } else { "odd" })).collect::<Vec<_>>();
        let words = texts(&words);
        let first = ids(&mut table, &[numbers.clone(), words.clone()]);
        assert_eq!(first, (0..500).collect::<Vec<u32>>());
        assert_eq!(ids(&mut table, &[numbers.clone(), words.clone()]), first);
        let back = table.columns(&first);
        assert_eq!((&back[0], &back[1]), (&numbers, &words));
    }
}

#[test]
fn removal_reuses_numbers_and_compacts() {
    for bits in [2, 63] {
        let mut random = SmallRng::seed_from_u64(7);
        let mut table = KeyTable::new(&[DataType::Utf8View]).with_comparison().with_hash_bits(bits);
        let mut held: HashMap<String, u32> = HashMap::new();
        let rounds = if bits == 2 { 20 } else { 300 };
        for _ in 0..rounds {
            let names: Vec<String> = (0..50)
                .map(|_| format!("{:0width$}", random.random_range(0..800), width = random.random_range(1..40)))
                .collect();
            let column = texts(&names.iter().map(|name| Some(name.as_str())).collect::<Vec<_>>());
            for (name, id) in names.iter().zip(ids(&mut table, &[column])) {
                let known = held.entry(name.clone()).or_insert(id);
                assert_eq!(*known, id);
            }
            let gone: Vec<String> = held.keys().filter(|_| random.random_bool(0.5)).cloned().collect();
            for name in gone {
                table.remove(held.remove(&name).unwrap());
            }
            assert_eq!(table.len(), held.len());
            let (names, numbers): (Vec<_>, Vec<_>) = held.iter().unzip();
            assert_eq!(
                &table.columns(&numbers)[0],
                &texts(&names.iter().map(|n| Some(n.as_str())).collect::<Vec<_>>())
            );
            for pair in numbers.windows(2).zip(names.windows(2)) {
                assert_eq!(table.compare(pair.0[0], pair.0[1]), pair.1[0].cmp(pair.1[1]));
            }
        }
        if bits == 63 {
            assert!(table.arena.len() < 300 * 50 * 20, "the arena holds {} bytes", table.arena.len());
            assert!(table.bound() < 2000, "numbers are reused: {}", table.bound());
        }
    }
}

#[test]
fn the_empty_key_is_one_key() {
    let mut table = KeyTable::new(&[]);
    let mut ids = Vec::new();
    table.intern(&[], 3, None, &mut ids);
    table.intern(&[], 2, None, &mut ids);
    assert_eq!(ids, [0; 5]);
}
