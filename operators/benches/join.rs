//! `comments ⋈ posts`: a first load in ten epochs, then epochs of 1,000 changed comments and 20 changed posts, beside a
//! hash join over Rust structs that does the same by hand.
//!
//! Keys are post ids, titles have 30 bytes; output is (score, id, title). Both count the output's rows and scores, and
//! must agree. Under `cargo test` there are few rows. Times are the thread's CPU time where the system tells it.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]

use std::cell::Cell;
use std::collections::HashMap;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_contract::arrow::array::{ArrayRef, AsArray, Int64Array, StringViewArray};
use catchment_contract::arrow::datatypes::{DataType, Int64Type};
use catchment_contract::{Diff, Run};
use catchment_engine::Updates;
use catchment_operators::join::{JoinKind, JoinSpec, join};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use timely::container::NoopBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::{Input, Probe};

const LOAD_EPOCHS: usize = 10;
const CONTAINER_ROWS: usize = 8 * 1024;
const CHANGED_COMMENTS: usize = 1_000;
const CHANGED_POSTS: usize = 20;

/// A comment: the post it belongs to, and its score.
type Comment = (String, i64);
/// A post: its id and title.
type Post = (String, String);
/// The changes of one epoch.
type Changes<R> = Vec<(R, Diff)>;

#[derive(Clone, Copy)]
struct Size {
    comments: usize,
    posts: usize,
    update_epochs: usize,
}

fn size() -> Size {
    if std::env::args().any(|argument| argument == "--bench") {
        Size { comments: 2_000_000, posts: 80_000, update_epochs: 100 }
    } else {
        Size { comments: 4_000, posts: 200, update_epochs: 3 }
    }
}

/// CPU time of this thread, or time since the first call where the system does not tell.
fn cpu_time() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split_ascii_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| START.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

/// The changes of every epoch, the load's first.
fn history(size: Size) -> Vec<(Changes<Comment>, Changes<Post>)> {
    let mut random = SmallRng::seed_from_u64(11);
    let id = |post: usize| format!("t3_{:07}", post * 37 % 9_999_991);
    let post = |post: usize, version: usize| (id(post), format!("{version} title of post number {post:08}"));
    let mut comments: Vec<Comment> = Vec::new();
    let mut versions = vec![0; size.posts];
    let mut epochs = Vec::new();
    for epoch in 0..LOAD_EPOCHS {
        let made: Vec<Comment> = (0..size.comments / LOAD_EPOCHS)
            .map(|_| (id(random.random_range(0..size.posts)), random.random_range(-20..200)))
            .collect();
        comments.extend(made.iter().cloned());
        let posts = (0..size.posts).filter(|at| at % LOAD_EPOCHS == epoch).map(|at| (post(at, 0), 1)).collect();
        epochs.push((made.into_iter().map(|comment| (comment, 1)).collect(), posts));
    }
    for _ in 0..size.update_epochs {
        let mut changed = Vec::new();
        for _ in 0..CHANGED_COMMENTS {
            if random.random_bool(0.2) {
                changed.push((comments.swap_remove(random.random_range(0..comments.len())), -1));
            } else {
                let comment = (id(random.random_range(0..size.posts)), random.random_range(-20..200));
                comments.push(comment.clone());
                changed.push((comment, 1));
            }
        }
        let posts = (0..CHANGED_POSTS).flat_map(|_| {
            let at = random.random_range(0..size.posts);
            versions[at] += 1;
            [(post(at, versions[at] - 1), -1), (post(at, versions[at]), 1)]
        });
        let posts = posts.collect();
        epochs.push((changed, posts));
    }
    epochs
}

/// Rows and scores of the output, diffs counted in.
type Digest = (i64, i64);

/// The join by hand: both sides of a key in one table, new changes matched with all before.
#[derive(Default)]
struct Typed {
    keys: HashMap<String, (Changes<i64>, Changes<String>)>,
}

impl Typed {
    fn apply(&mut self, comments: &Changes<Comment>, posts: &Changes<Post>) -> Vec<(i64, String, String, Diff)> {
        let mut out = Vec::new();
        for ((id, score), diff) in comments {
            let (scores, titles) = self.keys.entry(id.clone()).or_default();
            out.extend(titles.iter().map(|(title, held)| (*score, id.clone(), title.clone(), diff * held)));
            match scores.iter().position(|(other, held)| other == score && *held == -diff) {
                Some(at) => drop(scores.swap_remove(at)),
                None => scores.push((*score, *diff)),
            }
        }
        for ((id, title), diff) in posts {
            let (scores, titles) = self.keys.entry(id.clone()).or_default();
            out.extend(scores.iter().map(|(score, held)| (*score, id.clone(), title.clone(), diff * held)));
            match titles.iter().position(|(other, held)| other == title && *held == -diff) {
                Some(at) => drop(titles.swap_remove(at)),
                None => titles.push((title.clone(), *diff)),
            }
        }
        out
    }
}

/// CPU times of load and updates, and the output's digest.
fn typed(history: &[(Changes<Comment>, Changes<Post>)]) -> (Duration, Duration, Digest) {
    let (mut typed, mut digest, start) = (Typed::default(), (0, 0), cpu_time());
    let mut run = |part: &[(Changes<Comment>, Changes<Post>)]| {
        for (comments, posts) in part {
            for (score, id, title, diff) in black_box(typed.apply(comments, posts)) {
                black_box((id, title));
                digest = (digest.0 + diff, digest.1 + score * diff);
            }
        }
        cpu_time()
    };
    let loaded = run(&history[..LOAD_EPOCHS]);
    let updated = run(&history[LOAD_EPOCHS..]);
    (loaded - start, updated - loaded, digest)
}

fn containers<R>(changes: &Changes<R>, epoch: u64, columns: impl Fn(&[(R, Diff)]) -> Vec<ArrayRef>) -> Vec<Updates> {
    let container = |part: &[(R, Diff)]| {
        let diffs = part.iter().map(|(_, diff)| *diff).collect();
        Updates::new(part.len(), columns(part), Run::One(epoch), Run::Each(diffs))
    };
    changes.chunks(CONTAINER_ROWS).map(container).collect()
}

fn arrow(history: &[(Changes<Comment>, Changes<Post>)]) -> Vec<(Vec<Updates>, Vec<Updates>)> {
    let text = |values: Vec<&str>| -> ArrayRef { Arc::new(StringViewArray::from_iter_values(values)) };
    history
        .iter()
        .zip(0..)
        .map(|((comments, posts), epoch)| {
            let comments = containers(comments, epoch, |part| {
                let scores: ArrayRef = Arc::new(part.iter().map(|((_, score), _)| *score).collect::<Int64Array>());
                vec![text(part.iter().map(|((id, _), _)| id.as_str()).collect()), scores]
            });
            let posts = containers(posts, epoch, |part| {
                let ids = text(part.iter().map(|((id, _), _)| id.as_str()).collect());
                vec![ids, text(part.iter().map(|((_, title), _)| title.as_str()).collect())]
            });
            (comments, posts)
        })
        .collect()
}

type UpdatesInput = InputHandle<u64, NoopBuilder<Updates>>;

fn spec() -> JoinSpec {
    JoinSpec {
        kind: JoinKind::Inner,
        left_key: vec![0],
        right_key: vec![0],
        left_types: vec![DataType::Utf8View, DataType::Int64],
        right_types: vec![DataType::Utf8View; 2],
        left_out: vec![1],
        right_out: vec![0, 1],
        nulls_equal: false,
    }
}

/// As [`typed`], by the join operator on one worker.
fn operator(history: Vec<(Vec<Updates>, Vec<Updates>)>) -> (Duration, Duration, Digest) {
    timely::execute_directly(move |worker| {
        let (mut left, mut right) = (UpdatesInput::new_with_builder(), UpdatesInput::new_with_builder());
        let digest = Rc::new(Cell::new((0, 0)));
        let seen = Rc::clone(&digest);
        let probe = worker.dataflow::<u64, _, _>(|scope| {
            let joined = join(scope.input_from(&mut left), scope.input_from(&mut right), "comments ⋈ posts", spec());
            let digested = joined.unary::<NoopBuilder<Updates>, _, _, _>(Pipeline, "digest", move |_, _| {
                move |input, _| {
                    input.for_each(|_, updates| {
                        let updates = black_box(std::mem::take(updates));
                        let (diffs, mut sums) = (updates.diffs().expand(updates.len()), seen.get());
                        for (score, diff) in updates.column(0).as_primitive::<Int64Type>().values().iter().zip(&*diffs)
                        {
                            sums = (sums.0 + diff, sums.1 + score * diff);
                        }
                        seen.set(sums);
                    });
                }
            });
            digested.probe().0
        });
        let start = cpu_time();
        let mut loaded = start;
        for (epoch, (comments, posts)) in history.into_iter().enumerate() {
            comments.into_iter().for_each(|mut part| left.send_batch(&mut part));
            posts.into_iter().for_each(|mut part| right.send_batch(&mut part));
            left.advance_to(epoch as u64 + 1);
            right.advance_to(epoch as u64 + 1);
            worker.step_while(|| probe.less_than(left.time()));
            if epoch + 1 == LOAD_EPOCHS {
                loaded = cpu_time();
            }
        }
        (loaded - start, cpu_time() - loaded, digest.get())
    })
}

fn bench(criterion: &mut Criterion) {
    let size = size();
    let history = history(size);
    let columns = arrow(&history);
    assert_eq!(typed(&history).2, operator(columns.clone()).2, "both joins give the same rows");
    for (name, load) in [("load", true), ("update", false)] {
        let rows = if load { size.comments + size.posts } else { CHANGED_COMMENTS + 2 * CHANGED_POSTS };
        let runs = if load { 1 } else { size.update_epochs as u32 };
        let pick = |times: (Duration, Duration, Digest)| if load { times.0 } else { times.1 / runs };
        let mut group = criterion.benchmark_group(format!("join {name}"));
        group.sample_size(10).throughput(Throughput::Elements(rows as u64));
        group.bench_function("operator", |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| pick(operator(columns.clone()))).sum());
        });
        group.bench_function("baseline: structs in a hash table", |bencher| {
            bencher.iter_custom(|iterations| (0..iterations).map(|_| pick(typed(&history))).sum());
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
