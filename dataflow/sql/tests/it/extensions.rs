//! Functions and operators of one's own: what they compute is part of the job like any view, kept up to date and told apart
//! by its version.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use catchment_contract::arrow::compute::{max, min};
use catchment_contract::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use catchment_contract::{Diff, Error};
use catchment_engine::{UpdateStream, Updates};
use catchment_operators::{Logic, drive, reduce};
use catchment_sql::graph::Op;
use catchment_sql::{Extensions, Format, Job, OperatorSpec, check_with, explain};
use datafusion::common::ScalarValue;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::common;
use crate::common::history::{Arrival, EpochInput, State, datafusion, expected, run};
use crate::common::relation_of;

const SOURCES: &str = "CREATE SOURCE posts WITH (connector = 'table', kind = 'posts');";

fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>()))
}

/// Of each group, the time between its first and its last post, and the number of posts.
fn spans(version: &str) -> OperatorSpec {
    let columns = [("grp", DataType::Utf8View), ("span", DataType::Int64), ("posts", DataType::Int64)];
    OperatorSpec::new("spans", version, schema(&columns)).reads("posts", &["at", "grp"]).key(&[0])
}

fn build_spans<'s>(inputs: Vec<UpdateStream<'s>>) -> UpdateStream<'s> {
    let [posts] = inputs.try_into().expect("one input is declared");
    let span = |columns: &[ArrayRef], counts: &[Diff]| -> Vec<ArrayRef> {
        let times = columns[0].as_primitive::<TimestampMicrosecondType>();
        let span = max(times).zip(min(times)).map(|(last, first)| last - first);
        let posts: i64 = counts.iter().sum();
        vec![columns[1].slice(0, 1), Arc::new(Int64Array::from(vec![span])), Arc::new(Int64Array::from(vec![posts]))]
    };
    let types = vec![common::instant(), DataType::Utf8View];
    let out = vec![DataType::Utf8View, DataType::Int64, DataType::Int64];
    reduce(posts, "Spans", vec![1], types, out, Box::new(span))
}

/// Counts the rows of two inputs as they come, in an operator written from scratch.
#[derive(Default)]
struct Balance {
    sum: i64,
    shown: bool,
}

impl Logic for Balance {
    fn apply(&mut self, input: Vec<Updates>) -> Vec<Updates> {
        let before = self.sum;
        for updates in &input {
            self.sum += (0..updates.len()).map(|row| updates.diffs().at(row)).sum::<i64>();
        }
        let (mut values, mut diffs) = (Vec::new(), Vec::new());
        if before != self.sum || !self.shown {
            values.extend(self.shown.then_some(before));
            diffs.extend(self.shown.then_some(-1));
            values.push(self.sum);
            diffs.push(1);
        }
        self.shown = true;
        let column: ArrayRef = Arc::new(Int64Array::from(values));
        let diffs: Vec<Diff> = diffs;
        vec![Updates::new(
            diffs.len(),
            vec![column],
            catchment_contract::Run::One(0),
            catchment_contract::Run::Each(diffs.into()),
        )]
    }
}

fn extensions() -> Extensions {
    let mut extensions = Extensions::new();
    extensions.operator(spans("1"), |_scope, inputs| build_spans(inputs));
    let total = OperatorSpec::new("total", "1", schema(&[("n", DataType::Int64)])).reads("long", &["grp"]);
    extensions.operator(total.reads("spans", &["posts"]), |_scope, inputs| {
        let both = catchment_operators::union(inputs, "Both");
        drive(both, "Total", Vec::new(), Balance::default())
    });
    extensions.function("half", &[DataType::Int64], DataType::Int64, |columns| {
        let values = columns[0].as_primitive::<Int64Type>();
        let halves = values.iter().map(|value| match value {
            Some(value) if value % 2 != 0 => Err(Error::data(format!("{value} is odd"))),
            value => Ok(value.map(|value| value / 2)),
        });
        Ok(Arc::new(halves.collect::<Result<Int64Array, Error>>()?))
    });
    extensions
}

const VIEWS: &str = "
CREATE VIEW long AS SELECT grp, span FROM spans WHERE span > 3600000000;
CREATE VIEW pairs AS SELECT a.grp, b.grp AS other FROM spans a JOIN spans b ON a.posts = b.posts WHERE a.grp < b.grp;
CREATE VIEW halves AS SELECT id, half(score) AS half FROM posts;
CREATE VIEW all_posts AS SELECT n FROM total;
";

fn check(text: &str, extensions: &Extensions) -> Result<Job, Error> {
    check_with(text, &|_| None, &common::registry(), extensions)
}

fn job() -> Job {
    let sinks = ["spans", "long", "pairs", "halves", "all_posts"]
        .map(|name| format!("CREATE SINK {name} FROM {name} WITH (connector = 'lake');"));
    let text = format!("{SOURCES}{VIEWS}{}", sinks.concat());
    check(&text, &extensions()).unwrap_or_else(|error| panic!("{}", error.chain()))
}

/// The same in SQL.
const SAME: [&str; 6] = [
    "CREATE VIEW spans AS SELECT grp, CAST(max(at) AS BIGINT) - CAST(min(at) AS BIGINT) AS span, count(*) AS posts FROM posts \
     GROUP BY grp",
    "CREATE VIEW long AS SELECT grp, span FROM spans WHERE span > 3600000000",
    "CREATE VIEW pairs AS SELECT a.grp, b.grp AS other FROM spans a JOIN spans b ON a.posts = b.posts WHERE a.grp < b.grp",
    "CREATE VIEW halves AS SELECT id, score / 2 AS half FROM posts WHERE score IS NULL OR score % 2 = 0",
    "CREATE VIEW all_posts AS SELECT (SELECT count(*) FROM long) + (SELECT count(*) FROM spans) AS n",
    "CREATE VIEW odd AS SELECT id FROM posts WHERE score % 2 <> 0",
];

fn history(random: &mut StdRng) -> Vec<EpochInput> {
    let text = |value: &str| ScalarValue::Utf8View(Some(value.to_string()));
    let mut payload = 0;
    (0..5)
        .map(|epoch| {
            let posts = (0..if epoch == 0 { 5 } else { random.random_range(0..6) }).map(|_| {
                payload += 1;
                let at = 1_767_225_600_000_000 + random.random_range(0..30) * 600_000_000i64;
                let score = (!random.random_bool(0.2)).then(|| random.random_range(-4..5));
                let row = vec![
                    ScalarValue::Int64(Some(random.random_range(0..7))),
                    if random.random_bool(0.2) {
                        ScalarValue::Utf8View(None)
                    } else {
                        text(["a", "b"][random.random_range(0..2)])
                    },
                    ScalarValue::Int64(score),
                    ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into())),
                    text("x"),
                ];
                Arrival { row, version: None, tombstone: epoch > 0 && random.random_bool(0.3), diff: 1, payload }
            });
            EpochInput::from([("posts".to_string(), posts.collect())])
        })
        .collect()
}

/// Kept up to date under inserts, updates and deletions: at every epoch what the same SQL gives, and faults are rejects.
#[tokio::test]
async fn they_are_kept_up_to_date() {
    let job = Arc::new(job());
    let relation = relation_of("posts").expect("a known source");
    for seed in 0..6 {
        println!("seed {seed}");
        let history = history(&mut StdRng::seed_from_u64(seed));
        let ran = run(job.clone(), history.clone(), 1 + (seed % 2) as usize, seed);
        let mut state = State::new(relation.schema.clone(), relation.key.clone(), relation.replace);
        for (index, input) in history.iter().enumerate() {
            let epoch = index as u64 + 1;
            state.apply(&input["posts"]);
            let batches = BTreeMap::from([("posts".to_string(), state.batch())]);
            let context = datafusion(&batches, &SAME.map(str::to_string)).await;
            for name in ["spans", "long", "pairs", "halves", "all_posts"] {
                let schema =
                    job.views.iter().find(|view| view.facts.name == name).expect("it is there").facts.schema.clone();
                let right = expected(&context, name, &schema).await;
                assert_eq!(ran.at(name, epoch), right, "{name} at epoch {epoch}");
            }
            let odd = expected(&context, "odd", &Schema::new(vec![Field::new("id", DataType::Int64, true)])).await;
            let rejects: i64 = ran.at("rejects", epoch).values().sum();
            assert_eq!(rejects, odd.values().sum::<i64>(), "an odd score cannot be halved, at epoch {epoch}");
        }
    }
}

#[test]
fn an_operator_is_a_relation_like_any_other() {
    let job = job();
    let described = job.describe();
    assert!(described.contains("operator spans (grp, span, posts): key (grp), can retract"), "{described}");
    assert!(described.contains("source posts: reads 4 of 5 columns: id, grp, score, at"), "{described}");
    let operators = job.graph.nodes.iter().filter(|node| matches!(node.op, Op::Custom(_))).count();
    assert_eq!(operators, 2, "spans is shared by its readers");
    let text = explain(&job, Some("long"), Format::Text).expect("a view");
    assert!(text.contains("Operator: spans") && text.contains("code of version 1"), "{text}");
    let plan = |version: &str| {
        let mut extensions = Extensions::new();
        extensions.operator(spans(version), |_scope, inputs| build_spans(inputs));
        let job = check(SOURCES, &extensions).unwrap_or_else(|error| panic!("{}", error.chain()));
        job.views[0].plan.clone()
    };
    assert_ne!(plan("1"), plan("2"), "a table of another version does not fit");
}

#[test]
fn what_is_wrong_with_an_extension_is_said() {
    let message = |add: &dyn Fn(&mut Extensions), text: &str| {
        let mut extensions = Extensions::new();
        add(&mut extensions);
        match check(&format!("{SOURCES}{text}"), &extensions) {
            Ok(job) => panic!("accepted: {}", job.describe()),
            Err(error) => error.chain(),
        }
    };
    let operator = |spec: &OperatorSpec| {
        let spec = spec.clone();
        move |extensions: &mut Extensions| {
            extensions.operator(spec.clone(), |_scope, inputs| build_spans(inputs));
        }
    };
    let numbers = || schema(&[("n", DataType::Int64)]);
    let spec = |name: &str| OperatorSpec::new(name, "1", numbers());
    let said = message(&operator(&spec("o").reads("post", &["id"])), "");
    assert_eq!(said, "operator \"o\" reads \"post\", which the job does not have; did you mean \"posts\"?");
    let said = message(&operator(&spec("o").reads("posts", &["bodi"])), "");
    assert_eq!(said, "operator \"o\" reads column \"bodi\", which \"posts\" does not have; did you mean \"body\"?");
    let said = message(&operator(&spec("o").reads("posts", &[])), "");
    assert_eq!(said, "operator \"o\" reads no column of \"posts\"; name at least one");
    let said = message(&operator(&spec("Gaps").reads("posts", &["id"])), "");
    assert!(
        said.starts_with("operator \"Gaps\" cannot be referred to in SQL by that name; use lower-case letters"),
        "{said}"
    );
    let said = message(&operator(&spec("o").reads("posts", &["id"]).key(&[1])), "");
    assert!(said.starts_with("the key of operator \"o\" names a column beyond its 1"), "{said}");
    let said = message(&operator(&spec("posts").reads("posts", &["id"])), "");
    assert!(said.starts_with("operator \"posts\" has the same name as another relation of the job"), "{said}");
    let said = message(&operator(&spec("o").reads("posts", &["id"])), "CREATE VIEW o AS SELECT 1 AS a");
    assert!(said.starts_with("line 1, column 76: there are two relations \"o\""), "{said}");
    let function = |extensions: &mut Extensions| {
        extensions.function("upper", &[DataType::Utf8View], DataType::Utf8View, |columns| Ok(columns[0].clone()));
    };
    assert_eq!(message(&function, ""), "there is a function \"upper\" already; give yours another name");
    let said = message(&|_: &mut Extensions| {}, "CREATE VIEW v AS SELECT half(score) AS h FROM posts");
    assert!(said.contains("there is no function \"half\""), "{said}");
}
