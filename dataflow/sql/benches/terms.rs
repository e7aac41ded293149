//! The busiest transform of the main job: comments to (subreddit, day, term), stop words left out.
//!
//! `terms` runs the stages that lowering makes of `examples/pulse.sql`; `words` is its ceiling, the bare function that
//! finds the words, over the same texts. Both per token.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]

use std::hint::black_box;
use std::sync::Arc;

use catchment_contract::Run;
use catchment_contract::arrow::array::{ArrayRef, StringViewArray, TimestampMicrosecondArray};
use catchment_engine::Updates;
use catchment_operators::functions::encoded;
use catchment_sql::graph::Op;
use catchment_sql::stage::{Stage, run};
use catchment_sql::{Registry, check};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

#[path = "../tests/it/common/mod.rs"]
mod common;

const COMMENTS: usize = 1000;
const WORDS_PER_COMMENT: usize = 23;

/// The stages of the transform that feeds `trending_terms`, and the source's columns that it expects.
fn stages(registry: &Registry) -> (Vec<Stage>, Vec<String>) {
    let job = check(include_str!("../../../examples/pulse.sql"), &|_| None, registry).expect("the main job");
    let nodes = &job.graph.nodes;
    let top = nodes.iter().find(|node| matches!(node.op, Op::TopGroups(_))).expect("trending_terms");
    let transform = &nodes[top.inputs[0]];
    let Op::Transform { stages, .. } = &transform.op else { panic!("a transform feeds the groups") };
    let columns = nodes[transform.inputs[0]].columns.iter().map(|column| column.name.clone()).collect();
    (stages.clone(), columns)
}

/// A run of comments with words of a zipf-like vocabulary.
fn comments(columns: &[String]) -> (Updates, ArrayRef) {
    let mut random = StdRng::seed_from_u64(7);
    let mut word = || {
        let rank = (20_000f64.powf(random.random::<f64>())) as u64;
        match rank {
            0..=3 => "the".to_string(),
            _ => (0..4 + rank % 5).map(|place| char::from(b'a' + ((rank >> place) * 7 % 26) as u8)).collect::<String>(),
        }
    };
    let bodies: Vec<String> =
        (0..COMMENTS).map(|_| (0..WORDS_PER_COMMENT).map(|_| word()).collect::<Vec<_>>().join(" ")).collect();
    let bodies: ArrayRef = Arc::new(StringViewArray::from_iter_values(bodies));
    let column = |name: &String| -> ArrayRef {
        match name.as_str() {
            "body" => bodies.clone(),
            "created_utc" | "edited_at" => {
                let times = (0..COMMENTS as i64).map(|n| 1_767_225_600_000_000 + n * 1_000_000);
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
            }
            "score" => Arc::new(catchment_contract::arrow::array::Int64Array::from(vec![1; COMMENTS])),
            _ => Arc::new(StringViewArray::from_iter_values((0..COMMENTS).map(|n| format!("text {}", n % 50)))),
        }
    };
    let updates = Updates::new(COMMENTS, columns.iter().map(column).collect(), Run::One(1), Run::One(1));
    (updates, bodies)
}

fn terms(criterion: &mut Criterion) {
    let (stages, columns) = stages(&common::registry());
    let (updates, bodies) = comments(&columns);
    let kept = run(&stages, updates.clone()).expect("nothing fails").len();
    assert!(kept > COMMENTS * WORDS_PER_COMMENT / 2 && kept < COMMENTS * WORDS_PER_COMMENT, "{kept} tokens are kept");
    let mut group = criterion.benchmark_group("terms");
    group.throughput(Throughput::Elements((COMMENTS * WORDS_PER_COMMENT) as u64));
    group.bench_function("transform", |bencher| bencher.iter(|| run(&stages, black_box(updates.clone()))));
    let words = encoded("words").expect("words has an encoded form");
    group.bench_function("words alone", |bencher| bencher.iter(|| words(black_box(&bodies))));
    group.finish();
}

criterion_group!(benches, terms);
criterion_main!(benches);
