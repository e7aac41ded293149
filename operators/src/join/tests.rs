//! The oracle: at every epoch a join equals a naive join of what both sides then are, under random inserts, updates and
//! deletes, on one worker and two, and when the hashes of different keys tie.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex};

use catchment_contract::arrow::array::{
    Array, ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, ListArray,
    StringViewArray, UInt32Array,
};
use catchment_contract::arrow::datatypes::{DataType, Int64Type, UInt32Type};
use catchment_contract::arrow::util::display::array_value_to_string;
use catchment_contract::{Diff, Epoch, Run};
use catchment_engine::{UpdateStream, Updates};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use timely::container::NoopBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Input, Inspect, Probe};

use super::presence::Presence;
use super::*;

/// A row as text; null is `None`.
pub(crate) type Row = Vec<Option<String>>;
/// Rows and how often each is there.
pub(crate) type Bag = BTreeMap<Row, Diff>;
/// Updates in the order of epochs: a bag of changes each.
pub(crate) type History = Vec<Vec<(Row, Diff)>>;

pub(crate) fn add(bag: &mut Bag, row: Row, diff: Diff) {
    let sum = bag.entry(row).or_insert(0);
    *sum += diff;
}

pub(crate) fn without_zeros(mut bag: Bag) -> Bag {
    bag.retain(|_, diff| *diff != 0);
    bag
}

/// How the values of a side's columns are made of small numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Int,
    /// Some longer than a string view holds inline.
    Text,
    /// Text as a dictionary.
    Words,
    Decimal,
    Date,
    List,
    /// Both zeros, both signs of NaN, and other numbers.
    Float,
}

impl Kind {
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Kind::Words => DataType::Utf8View,
            _ => self.column(&[None]).data_type().clone(),
        }
    }

    fn column(self, values: &[Option<i64>]) -> ArrayRef {
        let text = |value: &i64| {
            if value % 3 == 0 { format!("a text past the inline part {value}") } else { format!("t{value}") }
        };
        match self {
            Kind::Int => Arc::new(Int64Array::from(values.to_vec())),
            Kind::Text => Arc::new(values.iter().map(|v| v.as_ref().map(text)).collect::<StringViewArray>()),
            Kind::Words => {
                let words = Arc::new(values.iter().map(|v| v.as_ref().map(text)).collect::<StringViewArray>());
                let keys = UInt32Array::from_iter_values(0..values.len() as u32);
                Arc::new(DictionaryArray::<UInt32Type>::new(keys, words))
            }
            Kind::Decimal => {
                let values: Decimal128Array = values.iter().map(|v| v.map(i128::from)).collect();
                Arc::new(values.with_precision_and_scale(20, 2).unwrap())
            }
            Kind::Float => {
                let float = |value: i64| match value {
                    0..4 => [0.0, -0.0, f64::NAN, -f64::NAN][value as usize],
                    other => other as f64,
                };
                Arc::new(values.iter().map(|v| v.map(float)).collect::<Float64Array>())
            }
            Kind::Date => Arc::new(values.iter().map(|v| v.map(|v| v as i32)).collect::<Date32Array>()),
            Kind::List => Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
                values.iter().map(|v| v.map(|v| (0..v % 4).map(move |n| (n != 1).then_some(v)))),
            )),
        }
    }
}

/// Rows of small numbers, column by column as `kinds` say.
pub(crate) fn columns(kinds: &[Kind], rows: &[Vec<Option<i64>>]) -> Vec<ArrayRef> {
    (0..kinds.len()).map(|at| kinds[at].column(&rows.iter().map(|row| row[at]).collect::<Vec<_>>())).collect()
}

pub(crate) fn row_text(columns: &[ArrayRef], row: usize) -> Row {
    columns
        .iter()
        .map(|column| {
            let null = column.logical_nulls().is_some_and(|nulls| nulls.is_null(row));
            (!null).then(|| array_value_to_string(column, row).unwrap())
        })
        .collect()
}

/// Random changes to one side: inserts, updates (a row replaced by one of the same key), deletes, moved duplicates.
pub(crate) fn changes(
    rng: &mut StdRng,
    live: &mut Vec<Vec<Option<i64>>>,
    case: &Case,
    width: usize,
    key: usize,
) -> Vec<(Vec<Option<i64>>, Diff)> {
    let mut made = Vec::new();
    for _ in 0..rng.random_range(0..case.changes) {
        let value = |rng: &mut StdRng, top: i64| rng.random_bool(0.9).then(|| rng.random_range(0..top));
        // Skew: half of all keys are 0.
        let key_value = |rng: &mut StdRng| if rng.random_bool(case.skew) { Some(0) } else { value(rng, case.keys) };
        let row: Vec<Option<i64>> =
            (0..width).map(|at| if at < key { key_value(rng) } else { value(rng, 5) }).collect();
        match rng.random_range(0..10) {
            0..5 => {
                live.push(row.clone());
                made.push((row, 1));
            }
            5..8 if !live.is_empty() => {
                let old = live.swap_remove(rng.random_range(0..live.len()));
                let new: Vec<Option<i64>> = old[..key].iter().chain(&row[key..]).copied().collect();
                live.push(new.clone());
                made.extend([(old, -1), (new, 1)]);
            }
            _ if !live.is_empty() => made.push((live.swap_remove(rng.random_range(0..live.len())), -1)),
            _ => {}
        }
    }
    // Inserts and deletes of an epoch arrive in any order.
    for at in (1..made.len()).rev() {
        made.swap(at, rng.random_range(0..=at));
    }
    made
}

/// One run of the oracle.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) kind: JoinKind,
    pub(crate) key: Vec<Kind>,
    pub(crate) seed: u64,
    pub(crate) workers: usize,
    pub(crate) nulls_equal: bool,
    pub(crate) keys: i64,
    pub(crate) skew: f64,
    pub(crate) changes: usize,
    pub(crate) epochs: usize,
    pub(crate) bits: u32,
    /// Whether the right side's first column is every column of its key.
    pub(crate) one_right_key: bool,
}

impl Case {
    pub(crate) fn new(kind: JoinKind, key: &[Kind], seed: u64) -> Self {
        let (key, workers) = (key.to_vec(), 1 + (seed % 2) as usize);
        let (keys, skew, changes, epochs, bits) = (6, 0.2, 12, 12, 64);
        Case { kind, key, seed, workers, nulls_equal: false, keys, skew, changes, epochs, bits, one_right_key: false }
    }

    /// Left: key, Int, Text. Right: key, Text.
    pub(crate) fn kinds(&self) -> (Vec<Kind>, Vec<Kind>) {
        ([&self.key[..], &[Kind::Int, Kind::Text]].concat(), [&self.key[..], &[Kind::Text]].concat())
    }

    fn spec(&self) -> JoinSpec {
        let (left, right) = self.kinds();
        let key: Vec<usize> = (0..self.key.len()).collect();
        let pairs = !matches!(self.kind, JoinKind::LeftSemi | JoinKind::LeftAnti);
        JoinSpec {
            kind: self.kind,
            left_key: key.clone(),
            right_key: if self.one_right_key { vec![0; key.len()] } else { key },
            left_types: left.iter().map(|kind| kind.data_type()).collect(),
            right_types: right.iter().map(|kind| kind.data_type()).collect(),
            // Out of order and, for pairs, with the right side's key too.
            left_out: (0..left.len()).rev().collect(),
            right_out: if pairs { (0..right.len()).collect() } else { Vec::new() },
            nulls_equal: self.nulls_equal,
        }
    }

    /// Batches an epoch for each side: updates as containers and as text.
    pub(crate) fn history(&self, side: usize) -> (Vec<Vec<Updates>>, History) {
        let kinds = if side == 0 { self.kinds().0 } else { self.kinds().1 };
        let mut rng = StdRng::seed_from_u64(self.seed * 2 + side as u64);
        let (mut live, mut batches, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for epoch in 0..self.epochs as Epoch {
            let made = changes(&mut rng, &mut live, self, kinds.len(), self.key.len());
            let (mut containers, mut text) = (Vec::new(), Vec::new());
            for part in made.chunks(rng.random_range(1..9)) {
                let rows: Vec<_> = part.iter().map(|(row, _)| row.clone()).collect();
                let columns = columns(&kinds, &rows);
                text.extend(part.iter().enumerate().map(|(at, (_, diff))| (row_text(&columns, at), *diff)));
                let diffs = part.iter().map(|(_, diff)| *diff).collect();
                containers.push(Updates::new(part.len(), columns, Run::One(epoch), Run::Each(diffs)));
            }
            batches.push(containers);
            texts.push(text);
        }
        (batches, texts)
    }
}

/// The join of two bags, by definition.
fn naive(spec: &JoinSpec, left: &Bag, right: &Bag) -> Bag {
    let mut out = Bag::new();
    let pick = |row: &Row, columns: &[usize]| -> Row { columns.iter().map(|column| row[*column].clone()).collect() };
    let value = |row: &Row, column: usize| row[column].clone().map(|text| text.replace("-0.0", "0.0"));
    let matches = |l: &Row, r: &Row| {
        let same = |a: usize, b: usize| value(l, a) == value(r, b) && (spec.nulls_equal || l[a].is_some());
        spec.left_key.iter().zip(&spec.right_key).all(|(a, b)| same(*a, *b))
    };
    let pairs = matches!(spec.kind, JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full);
    for (l, n) in left {
        let found: Vec<_> = right.iter().filter(|(r, _)| matches(l, r)).collect();
        for (r, m) in found.iter().filter(|_| pairs) {
            add(&mut out, [pick(l, &spec.left_out), pick(r, &spec.right_out)].concat(), n * *m);
        }
        let alone = match spec.kind {
            JoinKind::LeftSemi => !found.is_empty(),
            JoinKind::LeftAnti | JoinKind::Left | JoinKind::Full => found.is_empty(),
            JoinKind::Inner | JoinKind::Right => false,
        };
        if alone {
            add(&mut out, [pick(l, &spec.left_out), vec![None; spec.right_out.len()]].concat(), *n);
        }
    }
    if matches!(spec.kind, JoinKind::Right | JoinKind::Full) {
        for (r, m) in right.iter().filter(|(r, _)| !left.keys().any(|l| matches(l, r))) {
            add(&mut out, [vec![None; spec.left_out.len()], pick(r, &spec.right_out)].concat(), *m);
        }
    }
    out
}

pub(crate) type UpdatesInput = InputHandle<Epoch, NoopBuilder<Updates>>;

/// Runs the join of `case` and returns the changes of its output by epoch.
fn run(case: &Case) -> BTreeMap<Epoch, Bag> {
    let results: Arc<Mutex<BTreeMap<Epoch, Bag>>> = Arc::default();
    let (collected, case) = (Arc::clone(&results), case.clone());
    let config = if case.workers == 1 { timely::Config::thread() } else { timely::Config::process(case.workers) };
    let guards = timely::execute(config, move |worker| {
        let (mut left, mut right) = (UpdatesInput::new_with_builder(), UpdatesInput::new_with_builder());
        let (index, peers, collected) = (worker.index(), worker.peers(), Arc::clone(&collected));
        let probe = worker.dataflow::<Epoch, _, _>(|scope| {
            let (left, right) = (scope.input_from(&mut left), scope.input_from(&mut right));
            let joined = Join::new("test", case.spec(), case.bits).build(left, right);
            collect(joined, collected).probe().0
        });
        let (lefts, rights) = (case.history(0).0, case.history(1).0);
        for epoch in 0..case.epochs {
            // Each worker reads some of the containers.
            let send = |input: &mut UpdatesInput, parts: &[Updates]| {
                for (_, part) in parts.iter().enumerate().filter(|(at, _)| at % peers == index) {
                    input.send_batch(&mut part.clone());
                }
                input.advance_to(epoch as Epoch + 1);
            };
            send(&mut left, &lefts[epoch]);
            send(&mut right, &rights[epoch]);
            // Several epochs may be open at once.
            if epoch % 3 != 1 {
                worker.step_or_park_while(None, || probe.less_than(left.time()));
            }
        }
    });
    for guard in guards.unwrap().join() {
        guard.unwrap();
    }
    std::mem::take(&mut *results.lock().unwrap())
}

/// Adds what passes to `collected`, and checks what every container promises.
pub(crate) fn collect<'s>(stream: UpdateStream<'s>, collected: Arc<Mutex<BTreeMap<Epoch, Bag>>>) -> UpdateStream<'s> {
    stream.unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, "collect", move |_, _| {
        move |input, output| {
            input.for_each(|capability, updates| {
                let mut results = collected.lock().unwrap();
                assert!(!updates.is_empty());
                for row in 0..updates.len() {
                    assert!(updates.epochs().at(row) >= *capability.time(), "no row is before its message");
                    let bag = results.entry(updates.epochs().at(row)).or_default();
                    add(bag, row_text(updates.columns(), row), updates.diffs().at(row));
                }
                assert!(updates.columns().iter().all(|column| !matches!(column.data_type(), DataType::Dictionary(..))));
                output.session_with_builder(&capability).give_container(updates);
            });
        }
    })
}

/// The first epoch at which the join differs from the naive one, if there is one.
fn first_difference(case: &Case, results: &BTreeMap<Epoch, Bag>) -> Option<(Epoch, Bag, Bag)> {
    let (lefts, rights) = (case.history(0).1, case.history(1).1);
    let (mut left, mut right, mut maintained) = (Bag::new(), Bag::new(), Bag::new());
    for epoch in 0..case.epochs {
        let apply = |bag: &mut Bag, changes: &[(Row, Diff)]| {
            changes.iter().for_each(|(row, diff)| add(bag, row.clone(), *diff));
            bag.retain(|_, diff| *diff != 0);
        };
        apply(&mut left, &lefts[epoch]);
        apply(&mut right, &rights[epoch]);
        for (row, diff) in results.get(&(epoch as Epoch)).into_iter().flatten() {
            add(&mut maintained, row.clone(), *diff);
        }
        let (expect, actual) = (without_zeros(naive(&case.spec(), &left, &right)), without_zeros(maintained.clone()));
        if expect != actual {
            return Some((epoch as Epoch, expect, actual));
        }
    }
    None
}

fn check(case: Case) {
    if let Some((epoch, expect, actual)) = first_difference(&case, &run(&case)) {
        panic!("{case:?}: at epoch {epoch}\nexpected {expect:?}\nbut have {actual:?}");
    }
}

const KINDS: [JoinKind; 6] =
    [JoinKind::Inner, JoinKind::LeftSemi, JoinKind::LeftAnti, JoinKind::Left, JoinKind::Right, JoinKind::Full];

#[test]
fn every_kind_equals_the_naive_join_at_every_epoch() {
    for kind in KINDS {
        assert!(supported(kind));
        (0..12).for_each(|seed| check(Case::new(kind, &[Kind::Int], seed)));
    }
}

#[test]
fn keys_of_every_kind_match() {
    let keys: [&[Kind]; 6] = [
        &[Kind::Text],
        &[Kind::Words],
        &[Kind::Decimal, Kind::Int],
        &[Kind::Date, Kind::Text],
        &[Kind::List],
        &[Kind::Int, Kind::List],
    ];
    for (seed, key) in keys.into_iter().enumerate() {
        for kind in KINDS {
            check(Case::new(kind, key, seed as u64));
        }
    }
}

#[test]
fn null_keys_match_only_where_nulls_are_equal() {
    for kind in KINDS {
        for seed in 20..24 {
            check(Case { nulls_equal: true, ..Case::new(kind, &[Kind::Int, Kind::Text], seed) });
            check(Case { nulls_equal: true, keys: 2, ..Case::new(kind, &[Kind::List], seed) });
        }
    }
}

#[test]
fn joins_without_keys_are_cross_joins() {
    for kind in KINDS {
        (30..34).for_each(|seed| check(Case { changes: 6, ..Case::new(kind, &[], seed) }));
    }
}

#[test]
fn ties_of_key_hashes_join_no_different_keys() {
    for kind in KINDS {
        for bits in [0, 1, 3] {
            for seed in 40..43 {
                check(Case { bits, keys: 20, ..Case::new(kind, &[Kind::Int], seed) });
                check(Case { bits, nulls_equal: true, ..Case::new(kind, &[Kind::Text, Kind::List], seed) });
            }
        }
    }
}

#[test]
fn skewed_keys_are_right() {
    for kind in KINDS {
        check(Case { skew: 0.95, changes: 60, epochs: 8, ..Case::new(kind, &[Kind::Int], 50) });
        check(Case { skew: 0.95, changes: 60, epochs: 8, ..Case::new(kind, &[Kind::Int], 51) });
    }
}

#[test]
fn the_oracle_sees_one_lost_update() {
    let case = Case::new(JoinKind::Inner, &[Kind::Int], 60);
    let mut results = run(&case);
    assert!(first_difference(&case, &results).is_none());
    let (_, bag) = results.iter_mut().find(|(_, bag)| bag.values().any(|diff| *diff != 0)).unwrap();
    let lost = bag.iter().find(|(_, diff)| **diff != 0).map(|(row, _)| row.clone()).unwrap();
    bag.remove(&lost);
    assert!(first_difference(&case, &results).is_some(), "a lost update goes unseen");
}

#[test]
fn a_skewed_key_is_yielded_in_bounded_containers() {
    let (left_rows, right_rows) = (20_000usize, 100usize);
    let seen: Arc<Mutex<(usize, usize)>> = Arc::default();
    let result = Arc::clone(&seen);
    timely::execute_directly(move |worker| {
        let (mut left, mut right) = (UpdatesInput::new_with_builder(), UpdatesInput::new_with_builder());
        let probe = worker.dataflow::<Epoch, _, _>(|scope| {
            let (left, right) = (scope.input_from(&mut left), scope.input_from(&mut right));
            let types = vec![DataType::Int64; 2];
            let spec = JoinSpec {
                kind: JoinKind::Inner,
                left_key: vec![0],
                right_key: vec![0],
                left_types: types.clone(),
                right_types: types,
                left_out: vec![1],
                right_out: vec![1],
                nulls_equal: false,
            };
            let joined = join(left, right, "skew", spec);
            let counted = joined.unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, "count", move |_, _| {
                move |input, output| {
                    input.for_each(|capability, updates| {
                        let mut seen = seen.lock().unwrap();
                        *seen = (seen.0 + updates.len(), seen.1.max(updates.len()));
                        output.session_with_builder(&capability).give_container(updates);
                    });
                }
            });
            counted.probe().0
        });
        let side = |rows: usize| {
            let ids = (0..rows as i64).collect::<Int64Array>();
            Updates::new(rows, vec![Arc::new(Int64Array::from(vec![7; rows])), Arc::new(ids)], Run::One(0), Run::One(1))
        };
        left.send_batch(&mut side(left_rows));
        right.send_batch(&mut side(right_rows));
        left.advance_to(1);
        right.advance_to(1);
        worker.step_while(|| probe.less_than(&1));
    });
    let (pairs, largest) = *result.lock().unwrap();
    assert_eq!(pairs, left_rows * right_rows);
    assert!(largest <= matches::PAIRS_MAX, "{largest} rows in a container");
}

#[test]
fn a_side_is_forgotten_when_the_other_has_ended() {
    timely::execute_directly(|worker| {
        let (mut left, mut right) = (UpdatesInput::new_with_builder(), UpdatesInput::new_with_builder());
        let batches: Rc<RefCell<Vec<Weak<_>>>> = Rc::default();
        let (seen, case) = (Rc::clone(&batches), Case::new(JoinKind::LeftSemi, &[Kind::Int], 70));
        let probe = worker.dataflow::<Epoch, _, _>(|scope| {
            let (left, right) = (scope.input_from(&mut left), scope.input_from(&mut right));
            let join = Join::new("test", case.spec(), case.bits);
            let mut arranged = join.arrange_left(left);
            arranged.stream = arranged.stream.inspect(move |batch| seen.borrow_mut().push(Rc::downgrade(batch)));
            join.semi(&join.left, arranged, &[0], right).probe().0
        });
        let (lefts, rights) = (case.history(0).0, case.history(1).0);
        rights[0].iter().for_each(|part| right.send_batch(&mut part.clone()));
        let mut right = Some(right);
        for (epoch, parts) in lefts.into_iter().enumerate() {
            parts.into_iter().for_each(|mut part| left.send_batch(&mut part));
            left.advance_to(epoch as Epoch + 1);
            if let Some(right) = right.as_mut() {
                right.advance_to(epoch as Epoch + 1);
            }
            worker.step_while(|| probe.less_than(left.time()));
            let alive = batches.borrow().iter().filter(|batch| batch.strong_count() > 0).count();
            assert_eq!(alive > 0, right.is_some(), "{alive} batches are held in epoch {epoch}");
            if epoch == 5 {
                right = None;
            }
        }
        assert!(batches.borrow().len() > 6);
    });
}

#[test]
fn zeros_are_equal_and_nans_are_equal_and_each_side_shows_its_own() {
    for kind in KINDS {
        (0..12).for_each(|seed| check(Case { nulls_equal: seed % 3 == 0, ..Case::new(kind, &[Kind::Float], seed) }));
    }
}

/// `l.a = r.k AND l.b = r.k`: it ended a job of two workers, and a semi join on one found nothing.
#[test]
fn one_column_may_stand_in_a_key_twice() {
    for kind in KINDS {
        for seed in 0..12 {
            let case = Case::new(kind, &[Kind::Int, Kind::Int], seed);
            check(Case { one_right_key: true, keys: 3, bits: if seed % 4 == 3 { 2 } else { 64 }, ..case });
        }
    }
}

#[test]
fn presence_follows_counts_not_the_order_of_an_epoch() {
    let keys = |values: &[i64], diffs: &[Diff]| {
        let column: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
        Updates::new(values.len(), vec![column], Run::One(1), Run::Each(diffs.to_vec().into()))
    };
    let mut presence = Presence::new(vec![0]);
    let mut apply = |values: &[i64], diffs: &[Diff]| -> Vec<(Row, Diff)> {
        let changes = presence.apply(1, &[keys(values, diffs), keys(&[], &[])]);
        let rows = |changes: Updates| {
            (0..changes.len()).map(|row| (row_text(changes.columns(), row), changes.diffs().at(row))).collect()
        };
        changes.map_or(Vec::new(), rows)
    };
    let key = |value: i64| vec![Some(value.to_string())];
    assert_eq!(apply(&[1, 1, 2, 2], &[1, 1, -1, 1]), [(key(1), 1)]);
    assert_eq!(apply(&[1], &[-1]), []);
    assert_eq!(apply(&[3, 1, 3], &[-1, -1, 1]), [(key(1), -1)]);
    assert_eq!(apply(&[1, 2], &[2, 1]), [(key(1), 1), (key(2), 1)]);
}
