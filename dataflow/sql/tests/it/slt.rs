//! SQL in, rows out: the files under `tests/slt`.
//!
//! A file starts with a history of the sources `posts`, `events` and `docs`: `epoch` begins an epoch, each line below it is
//! an arrival, `source | value | …`; with `-` before the source's name a post or document is removed, an event taken back.
//! `view` records add views that later queries may read. `query` records hold a query and, below `----`, its rows after the
//! last epoch, sorted. `answer` records are queries that DataFusion gets wrong or refuses: they hold the rows after every
//! epoch, each below a `----` of its own, which are PostgreSQL's. `error` records hold a view and what the message starts
//! with.
//!
//! Every other query is also compared with DataFusion's own answer at every epoch, with one worker and with two.
//! `UPDATE_SLT=1` writes the rows into the files; `SLT_ONLY=text` runs only the queries that hold the text, `SLT_FILE=text`
//! only files whose names do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use catchment_sql::check;
use datafusion::common::ScalarValue;

use crate::common;
use crate::common::history::{Arrival, EpochInput, State, datafusion, expected, null_of, run};
use crate::common::relation_of;

const SOURCES: &str = "CREATE SOURCE posts WITH (connector = 'table', kind = 'posts');
CREATE SOURCE events WITH (connector = 'table', kind = 'events');
CREATE SOURCE docs WITH (connector = 'table', kind = 'docs');
";

#[derive(Default)]
struct File {
    history: Vec<EpochInput>,
    views: Vec<String>,
    queries: Vec<Query>,
    errors: Vec<(String, String)>,
}

struct Query {
    sql: String,
    /// The rows after the last epoch; after every epoch where DataFusion is no judge.
    rows: Vec<Vec<String>>,
    /// Whether DataFusion's answer is the right one.
    is_judged: bool,
    /// How many views stand above it.
    views: usize,
}

fn arrival(line: &str, payload: &mut u64, last: &mut String) -> (String, Arrival) {
    let (removed, line) = line.strip_prefix('-').map_or((false, line), |line| (true, line));
    let mut values = line.split('|').map(str::trim);
    let source = values.next().expect("a line names its source").to_string();
    let relation = relation_of(&source).unwrap_or_else(|| panic!("no source {source}"));
    let row: Vec<ScalarValue> = relation
        .schema
        .fields()
        .iter()
        .map(|field| match values.next() {
            None | Some("NULL") => null_of(field.data_type()),
            Some(text) => ScalarValue::try_from_string(text.to_string(), field.data_type())
                .unwrap_or_else(|error| panic!("{text}: {error}")),
        })
        .collect();
    // Lines of one document that follow one another are one payload.
    let unit = format!("{source} {:?}", row[0]);
    if source != "docs" || *last != unit {
        *payload += 1;
    }
    *last = unit;
    let growing = source == "events";
    let diff = if growing && removed { -1 } else { 1 };
    (source, Arrival { row, version: None, tombstone: removed && !growing, diff, payload: *payload })
}

fn parse(text: &str) -> File {
    let mut file = File::default();
    let (mut payload, mut last) = (0, String::new());
    for record in text.split("\n\n").map(str::trim).filter(|record| !record.is_empty()) {
        let lines: Vec<&str> = record.lines().filter(|line| !line.starts_with('#')).collect();
        let Some((kind, rest)) = lines.split_first() else { continue };
        let body = rest.join("\n");
        let (sql, after) = body.split_once("----").unwrap_or((&body, ""));
        let (sql, after) = (sql.trim().to_string(), after.trim().to_string());
        match *kind {
            "epoch" => {
                let mut input =
                    EpochInput::from(["posts", "events", "docs"].map(|name| (name.to_string(), Vec::new())));
                for line in rest {
                    let (source, arrival) = arrival(line, &mut payload, &mut last);
                    input.get_mut(&source).expect("all three are there").push(arrival);
                }
                last.clear();
                file.history.push(input);
            }
            "view" => file.views.push(sql),
            "query" | "answer" => {
                let rows = after.split("----").map(|rows| rows.trim().lines().map(str::to_string).collect()).collect();
                let (is_judged, views) = (*kind == "query", file.views.len());
                file.queries.push(Query { sql, rows, is_judged, views });
            }
            "error" => file.errors.push((sql, after)),
            other => panic!("no record is called {other}"),
        }
    }
    file
}

/// The rows of `query` after the last epoch, having been right after every epoch; or after every epoch.
async fn answer(file: &File, query: &Query, workers: usize) -> Vec<Vec<String>> {
    let views: Vec<String> =
        file.views[..query.views].iter().cloned().chain([format!("CREATE VIEW answer AS {}", query.sql)]).collect();
    let text = format!("{SOURCES}{};\nCREATE SINK s FROM answer WITH (connector = 'lake')", views.join(";\n"));
    let job = check(&text, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()));
    let schema = job.views[query.views].facts.schema.clone();
    let ran = run(Arc::new(job), file.history.clone(), workers, 7);
    let rows = |epoch: usize| -> Vec<String> {
        let rows = ran.at("answer", epoch as u64).into_iter();
        rows.flat_map(|(row, count)| vec![row; usize::try_from(count).expect("no row stands there less than once")])
            .collect()
    };
    if !query.is_judged {
        return (1..=file.history.len()).map(rows).collect();
    }
    let mut states: BTreeMap<&str, State> = ["posts", "events", "docs"]
        .map(|name| {
            let relation = relation_of(name).expect("a known source");
            (name, State::new(relation.schema, relation.key, relation.replace))
        })
        .into();
    for (index, input) in file.history.iter().enumerate() {
        states.iter_mut().for_each(|(name, state)| state.apply(&input[*name]));
        let batches = states.iter().map(|(name, state)| (name.to_string(), state.batch())).collect();
        let context = datafusion(&batches, &views).await;
        let right = expected(&context, "answer", &schema).await;
        assert_eq!(ran.at("answer", index as u64 + 1), right, "epoch {}, {}", index + 1, query.sql);
    }
    vec![rows(file.history.len())]
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let entries = std::fs::read_dir(folder).expect("the folder of slt files");
    let only = std::env::var("SLT_FILE").unwrap_or_default();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.to_string_lossy().contains(&only));
    files.sort();
    files
}

#[tokio::test]
async fn queries_have_their_rows() {
    let mut wrong = Vec::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let file = parse(&text);
        let mut updated = text.clone();
        let only = std::env::var("SLT_ONLY").unwrap_or_default();
        for query in file.queries.iter().filter(|query| query.sql.contains(&only)) {
            let rows = answer(&file, query, 1).await;
            assert_eq!(answer(&file, query, 2).await, rows, "two workers: {}", query.sql);
            if rows != query.rows {
                let part = |rows: &Vec<String>| format!("----\n{}\n", rows.join("\n")).replace("\n\n", "\n");
                let block = |rows: &[Vec<String>]| {
                    let parts: Vec<String> = rows.iter().map(part).collect();
                    format!("{}\n{}", query.sql, parts.concat())
                };
                updated = updated.replace(block(&query.rows).trim_end(), block(&rows).trim_end());
                let rows: Vec<String> = rows.iter().map(part).collect();
                wrong.push(format!("{}: {}\n{}", path.display(), query.sql, rows.concat()));
            }
        }
        if std::env::var_os("UPDATE_SLT").is_some() {
            std::fs::write(&path, updated).expect("a writable file");
        }
    }
    assert!(wrong.is_empty() || std::env::var_os("UPDATE_SLT").is_some(), "{}", wrong.join("\n\n"));
}

#[test]
fn errors_have_their_messages() {
    for path in files() {
        let file = parse(&std::fs::read_to_string(&path).expect("a readable file"));
        for (sql, starts) in &file.errors {
            match check(&format!("{SOURCES}{sql}"), &|_| None, &common::registry()) {
                Ok(_) => panic!("{}: accepted {sql}", path.display()),
                Err(error) => assert!(error.to_string().starts_with(starts), "{sql}\n{error}"),
            }
        }
    }
}
