//! Chunks, batcher and spine against naive models, under random splits and epochs; failing seeds are printed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use catchment_contract::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DictionaryArray, Int64Array, ListArray, NullArray, StringViewArray,
    UInt32Array,
};
use catchment_contract::arrow::datatypes::{DataType, Int64Type, UInt32Type};
use catchment_contract::arrow::util::display::array_value_to_string;
use catchment_contract::{Diff, Epoch, Run};
use differential_dataflow::trace::chunk::{Chunk, is_graded, merge_chains, settle_all};
use differential_dataflow::trace::{BatchReader, TraceReader};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use timely::container::NoopBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::operators::{Input, Probe};
use timely::progress::Antichain;

use super::batcher::{Batcher, sorted};
use super::*;

/// Sums of diffs by (row as text, epoch), without zeros.
type Model = BTreeMap<(Vec<String>, Epoch), Diff>;

fn add(model: &mut Model, row: Vec<String>, epoch: Epoch, diff: Diff) {
    let sum = model.entry((row, epoch)).or_insert(0);
    *sum += diff;
    model.retain(|_, sum| *sum != 0);
}

fn text(columns: &[ArrayRef], row: usize) -> Vec<String> {
    columns
        .iter()
        .map(|column| if column.is_null(row) { "∅".into() } else { array_value_to_string(column, row).unwrap() })
        .collect()
}

fn model_of<'a>(rows: impl IntoIterator<Item = &'a Rows>) -> Model {
    let mut model = Model::new();
    for rows in rows {
        for row in 0..rows.len() {
            *model.entry((text(rows.columns(), row), rows.epochs()[row])).or_insert(0) += rows.diffs()[row];
        }
    }
    model.retain(|_, sum| *sum != 0);
    model
}

fn model_of_chunks<'a>(chunks: impl IntoIterator<Item = &'a RowChunk>) -> Model {
    model_of(chunks.into_iter().map(RowChunk::rows))
}

/// Epochs moved up to `since`.
fn advance_model(model: &Model, since: Epoch) -> Model {
    let mut advanced = Model::new();
    for ((row, epoch), diff) in model {
        *advanced.entry((row.clone(), (*epoch).max(since))).or_insert(0) += diff;
    }
    advanced.retain(|_, sum| *sum != 0);
    advanced
}

/// Rows over few values of every kind of column, so that many are equal: nulls, long strings, decimals, lists.
fn updates(rng: &mut StdRng, len: usize, epochs: Epoch) -> Updates {
    let keys: Vec<Option<i64>> = (0..len).map(|_| rng.random_bool(0.9).then(|| rng.random_range(0..12))).collect();
    let texts: Vec<Option<String>> = (0..len)
        .map(|_| {
            rng.random_bool(0.9).then(|| "a long string that no view holds inline ".repeat(rng.random_range(0..3)))
        })
        .collect();
    let decimals: Vec<Option<i128>> = (0..len).map(|_| rng.random_bool(0.8).then(|| rng.random_range(-1..2))).collect();
    let lists: Vec<Option<Vec<Option<i64>>>> =
        (0..len).map(|_| rng.random_bool(0.8).then(|| vec![Some(rng.random_range(0..2)), None])).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(keys)),
        Arc::new(texts.iter().map(Option::as_deref).collect::<StringViewArray>()),
        Arc::new(Decimal128Array::from(decimals).with_precision_and_scale(20, 3).unwrap()),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists)),
        Arc::new(NullArray::new(len)),
    ];
    let epochs = if rng.random_bool(0.3) {
        Run::One(rng.random_range(0..epochs))
    } else {
        Run::Each((0..len).map(|_| rng.random_range(0..epochs)).collect())
    };
    let diffs = (0..len).map(|_| if rng.random_bool(0.5) { 1 } else { -1 }).collect();
    Updates::new(len, columns, epochs, Run::Each(diffs))
}

fn rows(rng: &mut StdRng, len: usize, epochs: Epoch) -> Rows {
    Rows::new(updates(rng, len, epochs), &[0], u64::MAX)
}

/// A sorted chain of chunks of random sizes.
fn chain(rng: &mut StdRng, len: usize, epochs: Epoch) -> Vec<RowChunk> {
    let source = rows(rng, len, epochs);
    let mut chain = Vec::new();
    for chunk in sorted(&[source]) {
        let mut from = 0;
        while from < chunk.len() {
            let len = rng.random_range(1..=(chunk.len() - from).min(9));
            chain.push(RowChunk::new(chunk.rows().slice(from, len)));
            from += len;
        }
    }
    chain
}

/// Panics unless the chunks are one ascending sequence without equal places.
fn assert_ascending<'a>(chunks: impl IntoIterator<Item = &'a RowChunk>) {
    let places: Vec<_> = chunks
        .into_iter()
        .flat_map(|chunk| (0..chunk.len()).map(|row| chunk.rows().place(row)).collect::<Vec<_>>())
        .collect();
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
}

/// Runs `test` with many seeds; a failure prints its seed.
fn for_seeds(seeds: u64, test: impl Fn(&mut StdRng) + std::panic::RefUnwindSafe) {
    for seed in 0..seeds {
        let run = std::panic::catch_unwind(|| test(&mut StdRng::seed_from_u64(seed)));
        if let Err(panic) = run {
            eprintln!("failed with seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn sorting_consolidates() {
    for_seeds(60, |rng| {
        let sources: Vec<Rows> = (0..rng.random_range(0..5))
            .map(|_| {
                let len = rng.random_range(1..200);
                rows(rng, len, 4)
            })
            .collect();
        let chunks = sorted(&sources);
        assert_ascending(&chunks);
        assert_eq!(model_of(&sources), model_of_chunks(&chunks));
    });
}

#[test]
fn sorting_many_rows_makes_full_chunks() {
    let len = 3 * RowChunk::TARGET + 5;
    let column: ArrayRef = Arc::new((0..len as i64).rev().collect::<Int64Array>());
    let source = Rows::new(Updates::new(len, vec![column], Run::One(1), Run::One(1)), &[0], u64::MAX);
    let chunks: Vec<RowChunk> = sorted(&[source]).into();
    assert_eq!(chunks.iter().map(Chunk::len).collect::<Vec<_>>(), [8192, 8192, 8192, 5]);
    assert_ascending(&chunks);
    let sum: i64 = chunks.iter().flat_map(|chunk| chunk.rows().columns()[0].as_primitive::<Int64Type>().values()).sum();
    assert_eq!(sum, (len * (len - 1) / 2) as i64);
}

#[test]
fn merging_adds() {
    for_seeds(80, |rng| {
        let (left, right) = (rng.random_range(1..150), rng.random_range(1..150));
        let (left, right) = (chain(rng, left, 3), chain(rng, right, 3));
        let mut expect = model_of_chunks(&left);
        for ((row, epoch), diff) in model_of_chunks(&right) {
            add(&mut expect, row, epoch, diff);
        }
        let mut merged = VecDeque::new();
        merge_chains(left, right, &mut merged);
        assert_ascending(&merged);
        assert_eq!(expect, model_of_chunks(&merged));
        let settled = settle_all(merged);
        assert!(is_graded(&settled));
        assert_eq!(expect, model_of_chunks(&settled));
    });
}

#[test]
fn merging_disjoint_chunks_copies_nothing() {
    let all = chain(&mut StdRng::seed_from_u64(7), 400, 1);
    let (left, right): (Vec<_>, Vec<_>) = all.iter().cloned().enumerate().partition(|(index, _)| index % 2 == 0);
    let strip = |chunks: Vec<(usize, RowChunk)>| chunks.into_iter().map(|(_, chunk)| chunk).collect();
    let mut merged = VecDeque::new();
    merge_chains(strip(left), strip(right), &mut merged);
    assert_eq!(merged.len(), all.len());
    assert!(merged.iter().zip(&all).all(|(a, b)| std::ptr::eq(a.rows(), b.rows())));
}

#[test]
fn advancing_moves_epochs_and_consolidates() {
    for_seeds(80, |rng| {
        let len = rng.random_range(1..300);
        let chunks = chain(rng, len, 6);
        let since = rng.random_range(0..8);
        let frontier = Antichain::from_elem(since);
        let expect = advance_model(&model_of_chunks(&chunks), since);
        let (mut input, mut out) = (VecDeque::new(), VecDeque::new());
        for chunk in chunks {
            input.push_back(chunk);
            if rng.random_bool(0.7) {
                RowChunk::advance(&mut input, frontier.borrow(), false, &mut out);
            }
        }
        RowChunk::advance(&mut input, frontier.borrow(), true, &mut out);
        assert!(input.is_empty());
        assert_ascending(&out);
        assert_eq!(expect, model_of_chunks(&out));
    });
}

#[test]
fn advancing_to_the_empty_frontier_keeps_the_sums() {
    let chunks = chain(&mut StdRng::seed_from_u64(3), 200, 4);
    let (mut input, mut out) = (VecDeque::from(chunks.clone()), VecDeque::new());
    RowChunk::advance(&mut input, Antichain::new().borrow(), true, &mut out);
    assert_eq!(model_of_chunks(&chunks), model_of_chunks(&out));
}

#[test]
fn extracting_splits_by_epoch() {
    for_seeds(40, |rng| {
        let len = rng.random_range(1..200);
        let chunks = chain(rng, len, 6);
        let upper = rng.random_range(0..7);
        let model = model_of_chunks(&chunks);
        let (mut input, mut keep, mut ship) = (VecDeque::from(chunks), VecDeque::new(), VecDeque::new());
        let mut residual = Antichain::new();
        while !input.is_empty() {
            RowChunk::extract(&mut input, Antichain::from_elem(upper).borrow(), &mut residual, &mut keep, &mut ship);
        }
        let (later, earlier): (Model, Model) = model.into_iter().partition(|((_, epoch), _)| *epoch >= upper);
        assert_eq!(residual.first().copied(), later.keys().map(|(_, epoch)| *epoch).min());
        assert_eq!((later, earlier), (model_of_chunks(&keep), model_of_chunks(&ship)));
        assert_ascending(&keep);
        assert_ascending(&ship);
    });
}

#[test]
fn the_batcher_seals_what_is_complete() {
    for_seeds(60, |rng| {
        let mut batcher = Batcher::new(vec![0], u64::MAX);
        let (mut pending, mut lower) = (Model::new(), 0);
        for _ in 0..6 {
            for _ in 0..rng.random_range(0..4) {
                let len = rng.random_range(0..60);
                let made = updates(rng, len, 4);
                let epochs = made.epochs().expand(len).iter().map(|epoch| epoch + lower).collect();
                let (columns, _, diffs) = made.into_parts();
                let made = Updates::new(len, columns, Run::Each(epochs), diffs);
                for row in 0..len {
                    add(&mut pending, text(made.columns(), row), made.epochs().at(row), made.diffs().at(row));
                }
                batcher.push(made);
            }
            let upper = lower + rng.random_range(0..4);
            let sealed = batcher.seal(Antichain::from_elem(upper).borrow());
            assert_ascending(&sealed);
            let (later, expect): (Model, Model) =
                std::mem::take(&mut pending).into_iter().partition(|((_, epoch), _)| *epoch >= upper);
            assert_eq!(expect, model_of_chunks(&sealed));
            assert!(batcher.first_epoch().is_none_or(|first| first >= upper));
            (pending, lower) = (later, upper);
        }
        let rest = batcher.seal(Antichain::new().borrow());
        assert_eq!((pending, None), (model_of_chunks(&rest), batcher.first_epoch()));
    });
}

#[test]
fn rows_without_columns_are_counted() {
    let mut batcher = Batcher::new(vec![], u64::MAX);
    batcher.push(Updates::new(3, vec![], Run::One(1), Run::One(1)));
    batcher.push(Updates::new(2, vec![], Run::One(1), Run::One(-1)));
    let sealed = batcher.seal(Antichain::from_elem(2).borrow());
    assert_eq!(model_of_chunks(&sealed), Model::from([((vec![], 1), 1)]));
}

#[test]
fn dictionaries_are_flattened_and_equal_their_values() {
    let values = Arc::new(StringViewArray::from(vec!["x", "a value that is longer than a view"]));
    let dictionary: ArrayRef =
        Arc::new(DictionaryArray::<UInt32Type>::new(UInt32Array::from(vec![Some(1), Some(0), None]), values));
    let plain: ArrayRef =
        Arc::new(StringViewArray::from(vec![Some("a value that is longer than a view"), Some("x"), None]));
    let mut batcher = Batcher::new(vec![0], u64::MAX);
    batcher.push(Updates::new(3, vec![dictionary], Run::One(1), Run::One(2)));
    batcher.push(Updates::new(3, vec![plain], Run::One(1), Run::One(-1)));
    let sealed = batcher.seal(Antichain::new().borrow());
    assert_eq!(sealed.len(), 1);
    assert_eq!(
        (sealed[0].rows().diffs(), sealed[0].rows().columns()[0].data_type()),
        (&[1, 1, 1][..], &DataType::Utf8View)
    );
}

#[test]
fn chunks_own_their_strings() {
    let long = "x".repeat(1000);
    let column: ArrayRef = Arc::new((0..1000).map(|_| Some(&long)).collect::<StringViewArray>());
    let list: ArrayRef = {
        let mut builder = catchment_contract::arrow::array::ListBuilder::new(
            catchment_contract::arrow::array::StringViewBuilder::new(),
        );
        for n in 0..1000 {
            builder.append_value([Some(format!("{long}{n}"))]);
        }
        Arc::new(builder.finish())
    };
    let ids: ArrayRef = Arc::new((0..1000).collect::<Int64Array>());
    let updates = Updates::new(1000, vec![ids, column, list], Run::One(0), Run::One(1));
    let few = Rows::new(updates, &[0], u64::MAX).select(&[1, 2]);
    let chunk = &sorted(&[few])[0];
    let bytes: usize = chunk.rows().columns().iter().map(|column| column.get_array_memory_size()).sum();
    assert!(bytes < 10_000, "{bytes} bytes for two rows");
}

#[test]
fn seeking_finds_the_first_row_of_a_key() {
    for_seeds(40, |rng| {
        let len = rng.random_range(1..300);
        let chunks = chain(rng, len, 3);
        let all: Vec<(u64, (usize, usize))> = chunks
            .iter()
            .enumerate()
            .flat_map(|(chunk, rows)| rows.rows().keys().iter().enumerate().map(move |(row, key)| (*key, (chunk, row))))
            .collect();
        let mut wanted: Vec<u64> = all.iter().map(|(key, _)| key ^ rng.random_range(0..2)).collect();
        wanted.extend([0, u64::MAX]);
        wanted.retain(|_| rng.random_bool(0.3));
        wanted.sort_unstable();
        let mut seeker = Seeker::default();
        for key in wanted {
            let expect = all.iter().find(|(other, _)| *other >= key);
            assert_eq!(seeker.seek(&chunks, key), expect.is_some_and(|(other, _)| *other == key));
            assert_eq!(seeker.at(&chunks), expect.map(|(_, at)| *at));
        }
        let (mut seeker, mut steps) = (Seeker::default(), Vec::new());
        while let Some(at) = seeker.at(&chunks) {
            steps.push(at);
            seeker.step(&chunks);
        }
        assert_eq!(steps, all.iter().map(|(_, at)| *at).collect::<Vec<_>>());
    });
}

type UpdatesInput = InputHandle<Epoch, NoopBuilder<Updates>>;

/// Calls `round` for every epoch in turn with the arrangement's input, runs it to the epoch's end, then calls `check`.
fn run_arranged(
    bits: u32,
    epochs: Epoch,
    mut round: impl FnMut(Epoch, &mut UpdatesInput) + Send + Sync + 'static,
    mut check: impl FnMut(Epoch, &mut RowTrace) + Send + Sync + 'static,
) {
    timely::execute_directly(move |worker| {
        let mut input = UpdatesInput::new_with_builder();
        let (probe, mut trace) = worker.dataflow::<Epoch, _, _>(|scope| {
            let stream = scope.input_from(&mut input);
            let arranged = Arranger { key: vec![0], routed: false, key_hash_bits: bits }.arrange(stream, "test");
            (arranged.stream.probe().0, arranged.trace)
        });
        for epoch in 0..epochs {
            round(epoch, &mut input);
            input.advance_to(epoch + 1);
            worker.step_while(|| probe.less_than(input.time()));
            check(epoch, &mut trace);
        }
    });
}

fn trace_rows(trace: &mut RowTrace, upper: Epoch) -> Vec<RowBatch> {
    trace.batches_through(Antichain::from_elem(upper).borrow()).expect("the handle can still read up to here")
}

#[test]
fn a_trace_holds_what_was_sent_as_of_its_compaction_frontier() {
    for (seed, bits) in [(1, 64), (2, 64), (3, 2), (4, 0)] {
        let (mut rng, mut since_rng) = (StdRng::seed_from_u64(seed), StdRng::seed_from_u64(seed + 100));
        let sent = Arc::new(std::sync::Mutex::new(Model::new()));
        let model = Arc::clone(&sent);
        let send = move |epoch: Epoch, input: &mut UpdatesInput| {
            for _ in 0..rng.random_range(0..3) {
                let len = rng.random_range(0..80);
                let (columns, _, diffs) = updates(&mut rng, len, 1).into_parts();
                // Epochs may lie past the message's time.
                let epochs = (0..len).map(|_| epoch + rng.random_range(0..3)).collect();
                let mut made = Updates::new(len, columns, Run::Each(epochs), diffs);
                for row in 0..len {
                    let row_text = text(made.columns(), row);
                    add(&mut sent.lock().unwrap(), row_text, made.epochs().at(row), made.diffs().at(row));
                }
                input.send_batch(&mut made);
            }
        };
        let mut since = 0;
        run_arranged(bits, 60, send, move |epoch, trace| {
            since = since_rng.random_range(since..=epoch);
            trace.set_logical_compaction(Antichain::from_elem(since).borrow());
            trace.set_physical_compaction(Antichain::from_elem(epoch + 1).borrow());
            let batches = trace_rows(trace, epoch + 1);
            batches.iter().for_each(|batch| assert_ascending(&batch.chunks));
            let held = model_of_chunks(batches.iter().flat_map(|batch| &batch.chunks));
            let mut complete = model.lock().unwrap().clone();
            complete.retain(|(_, sent_at), _| *sent_at <= epoch);
            assert_eq!(advance_model(&held, since), advance_model(&complete, since), "seed {seed}, epoch {epoch}");
        });
    }
}

/// Rows left in a trace after one row came and went `epochs` times, with or without a handle that moves on.
fn rows_after_churn(epochs: Epoch, advance: bool) -> usize {
    let left = Arc::new(std::sync::Mutex::new(0));
    let result = Arc::clone(&left);
    let send = |epoch: Epoch, input: &mut UpdatesInput| {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let diff = if epoch.is_multiple_of(2) { 1 } else { -1 };
        input.send_batch(&mut Updates::new(1, vec![column], Run::One(epoch), Run::One(diff)));
    };
    run_arranged(64, epochs, send, move |epoch, trace| {
        if advance {
            trace.set_logical_compaction(Antichain::from_elem(epoch + 1).borrow());
            trace.set_physical_compaction(Antichain::from_elem(epoch + 1).borrow());
        }
        *left.lock().unwrap() = trace_rows(trace, epoch + 1).iter().map(|batch| batch.len()).sum();
    });
    *result.lock().unwrap()
}

#[test]
fn a_trace_compacts_when_its_handle_moves_on_and_only_then() {
    assert_eq!(rows_after_churn(500, false), 500);
    let left = rows_after_churn(500, true);
    assert!(left < 32, "{left} rows left of 500");
}
