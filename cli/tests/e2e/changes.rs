//! Jobs whose text changes from run to run: what goes on, what begins anew, what is refused, and the way out.

use serde_json::{Value, json};

use catchment_contract::Environment;
use catchment_topics::{Broker, Embedded, EmbeddedOptions, TopicSpec};

use crate::support::{Place, Ran};
use catchment_tests::DuckDb;

const COMMENTS: &str = "CREATE SOURCE comments WITH (connector = 'reddit', kind = 'comments', path = 'in/*');\n";

fn comment(id: &str, subreddit: &str, score: i64) -> String {
    json!({"id": id, "subreddit": subreddit, "author": "a", "created_utc": 1, "score": score, "body": "b", "link_id": "t3_x"})
        .to_string()
        + "\n"
}

/// Runs the job, with `more` flags.
fn run(place: &Place, job: &str, more: &[&str]) -> Ran {
    place.write("job.sql", job);
    place.catchment(&[&["run", "job.sql", "--until", "idle", "--json"], more].concat())
}

fn good(place: &Place, job: &str, more: &[&str]) -> Value {
    let ran = run(place, job, more);
    assert_eq!(ran.status, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).expect("the summary is one JSON object")
}

/// Refused for what a person wrote.
fn refused(place: &Place, job: &str, says: &str) {
    refused_with(place, job, 2, says);
}

fn refused_with(place: &Place, job: &str, status: i32, says: &str) {
    let ran = run(place, job, &[]);
    assert_eq!(ran.status, status, "{}", ran.out);
    assert!(ran.err.contains(says) && ran.err.contains("--reset"), "{}", ran.err);
}

/// The rows of a table, as DuckDB reads them.
fn table(place: &Place, duckdb: &DuckDb, name: &str) -> Vec<String> {
    let path = place.path("lake").join(name);
    let rows = duckdb
        .query(
            "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM delta_scan(getvariable('t')) ORDER BY ALL",
            &[("t", path.to_str().expect("a plain path"))],
        )
        .expect("DuckDB reads it");
    let cell = |cell: Option<String>| cell.unwrap_or_else(|| "NULL".into());
    rows.into_iter().map(|row| row.into_iter().map(cell).collect::<Vec<_>>().join("|")).collect()
}

/// Keys and values of a topic, in order.
fn topic(place: &Place, name: &str) -> Vec<(String, Value)> {
    let ran = place.catchment(&["topics", "read", name, "--topics-dir", "lake/_catchment/topics", "--json"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let record = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("an object a line");
        let text = |name: &str| record[name].as_str().expect("a text").to_string();
        (text("key"), serde_json::from_str(&text("value")).expect("a value is JSON"))
    };
    ran.out.lines().map(record).collect()
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_sink_that_was_left_out_misses_nothing() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    let keep = format!(
        "{COMMENTS}CREATE VIEW v AS SELECT subreddit, sum(score)::BIGINT AS score FROM comments GROUP BY subreddit;\n\
         CREATE SINK keep FROM v WITH (connector = 'lake', table = 'kept');\n"
    );
    let all = format!(
        "{keep}CREATE SINK away FROM v WITH (connector = 'lake', table = 'away');\n\
         CREATE SINK up FROM v WITH (connector = 'fluvio', topic = 'up', key = 'subreddit', format = 'upsert');\n"
    );
    place.write("in/RC_1", comment("a", "x", 1) + &comment("b", "y", 1));
    good(&place, &all, &[]);
    place.write("in/RC_2", comment("c", "x", 1) + &comment("d", "z", 1));
    good(&place, &keep, &[]);
    place.write("in/RC_3", comment("e", "x", 1));
    good(&place, &all, &[]);
    for name in ["kept", "away"] {
        assert_eq!(table(&place, &duckdb, name), ["x|3", "y|1", "z|1"], "{name}");
    }
    let mut last = std::collections::BTreeMap::new();
    last.extend(topic(&place, "up").into_iter().map(|(key, value)| (key, value["score"].clone())));
    assert_eq!(json!(last), json!({"x": 3, "y": 1, "z": 1}));
    // What comes later finds them in step.
    place.write("in/RC_4", comment("a", "x", 5));
    good(&place, &all, &[]);
    for name in ["kept", "away"] {
        assert_eq!(table(&place, &duckdb, name), ["x|7", "y|1", "z|1"], "{name}");
    }
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn rejects_of_views_that_come_and_go() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    let job = format!(
        "{COMMENTS}CREATE VIEW v AS SELECT id, score FROM comments;\n\
         CREATE SINK v FROM v WITH (connector = 'lake');\n\
         CREATE SINK rejects FROM rejects WITH (connector = 'lake');\n"
    );
    let more = format!(
        "{job}CREATE VIEW q AS SELECT id, 10 / score AS share FROM comments;\n\
         CREATE SINK q FROM q WITH (connector = 'lake');\n"
    );
    let reasons = || -> Vec<String> {
        let rows = table(&place, &duckdb, "rejects");
        rows.iter().map(|row| row.split('|').next_back().expect("a reason").to_string()).collect()
    };
    place.write("in/RC_1", comment("a", "x", 0) + &comment("b", "x", 2) + "no comment\n");
    good(&place, &job, &[]);
    assert_eq!(reasons().len(), 1, "{:?}", reasons());
    good(&place, &more, &[]);
    assert_eq!(reasons().len(), 2, "{:?}", reasons());
    assert_eq!(table(&place, &duckdb, "q"), ["b|5"]);
    // The reject is taken back, with the row that it was made of.
    place.write("in/RC_2", comment("a", "x", 5));
    good(&place, &more, &[]);
    assert_eq!(reasons().len(), 1, "{:?}", reasons());
    assert_eq!(table(&place, &duckdb, "q"), ["a|2", "b|5"]);
    place.write("in/RC_3", comment("b", "x", 0));
    good(&place, &more, &[]);
    assert_eq!(reasons().len(), 2, "{:?}", reasons());
    good(&place, &job, &[]);
    assert_eq!(reasons().len(), 1, "{:?}", reasons());
}

/// Lost before: once a topic was gone, or ended before the last checkpoint's end, every later run failed, and the only way
/// on was to load everything anew.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_topic_that_was_lost_is_written_anew_and_tables_go_on() {
    let duckdb = DuckDb::find();
    let job = format!(
        "{COMMENTS}CREATE VIEW v AS SELECT subreddit, sum(score)::BIGINT AS score FROM comments GROUP BY subreddit;\n\
         CREATE SINK kept FROM v WITH (connector = 'lake', table = 'kept');\n\
         CREATE SINK up FROM v WITH (connector = 'fluvio', topic = 'up', key = 'subreddit', format = 'upsert');\n"
    );
    for made_anew in [false, true] {
        let place = Place::new();
        place.write("in/RC_1", comment("a", "x", 1) + &comment("b", "y", 1));
        good(&place, &job, &[]);
        place.write("in/RC_2", comment("c", "x", 1));
        good(&place, &job, &[]);
        let options = EmbeddedOptions { folder: place.path("lake/_catchment/topics"), ..EmbeddedOptions::default() };
        let broker = Embedded::start(options, &Environment::system()).expect("no run has it");
        broker.delete("up").expect("it is there");
        if made_anew {
            broker.create("up", &TopicSpec::default()).expect("it is gone");
        }
        drop(broker);
        place.write("in/RC_3", comment("d", "z", 5));
        refused_with(
            &place,
            &job,
            1,
            if made_anew { "ends at offset 0, but ended at " } else { "topic \"up\" is gone" },
        );
        let ran = place.catchment(&["run", "job.sql", "--until", "idle", "--reset-sink", "upp"]);
        assert!(ran.err.contains("the job has no sink of that name; did you mean \"up\"?"), "{}", ran.err);
        good(&place, &job, &["--reset-sink", "up"]);
        let rows = ["x|2", "y|1", "z|5"];
        assert_eq!(table(&place, &duckdb, "kept"), rows);
        let mut published: Vec<String> =
            topic(&place, "up").iter().map(|(key, value)| format!("{key}|{}", value["score"])).collect();
        published.sort();
        assert_eq!(published, rows, "each row as it is now, once");
        place.write("in/RC_4", comment("e", "y", 1));
        good(&place, &job, &[]);
        assert_eq!(topic(&place, "up").len(), 4, "and it goes on from there");
    }
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn another_topic_is_another_source() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    let publish = format!(
        "{COMMENTS}CREATE VIEW one AS SELECT id, score FROM comments WHERE score < 10;\n\
         CREATE VIEW two AS SELECT id, score FROM comments WHERE score >= 10;\n\
         CREATE SINK a FROM one WITH (connector = 'fluvio', topic = 'a', key = 'id', format = 'upsert');\n\
         CREATE SINK b FROM two WITH (connector = 'fluvio', topic = 'b', key = 'id', format = 'upsert');\n"
    );
    place.write("publish.sql", &publish);
    place.write(
        "in/RC_1",
        comment("a", "x", 1)
            + &comment("b", "x", 2)
            + &comment("c", "x", 11)
            + &comment("d", "x", 12)
            + &comment("e", "x", 13),
    );
    place.run(&["publish.sql"]);
    let read = |topic: &str| {
        format!(
            "CREATE SOURCE s (id TEXT, score BIGINT, PRIMARY KEY (id)) WITH (connector = 'fluvio', topic = '{topic}', format = 'upsert');\n\
             CREATE SINK t FROM s WITH (connector = 'lake', table = 't');\n"
        )
    };
    good(&place, &read("a"), &[]);
    assert_eq!(table(&place, &duckdb, "t"), ["a|1", "b|2"]);
    refused(
        &place,
        &read("b"),
        "source \"s\" is topic \"b\" as upsert, keyed by id, and was topic \"a\" as upsert, keyed by id",
    );
    good(&place, &read("b"), &["--reset"]);
    assert_eq!(table(&place, &duckdb, "t"), ["c|11", "d|12", "e|13"]);
    good(&place, &read("b"), &[]);
    assert_eq!(table(&place, &duckdb, "t"), ["c|11", "d|12", "e|13"]);
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_view_that_changed_is_loaded_anew_when_told_to() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    let job = |filter: &str| {
        format!(
            "{COMMENTS}CREATE VIEW v AS SELECT id, subreddit FROM comments WHERE {filter};\n\
             CREATE SINK v FROM v WITH (connector = 'lake');\n"
        )
    };
    place.write("in/RC_1", comment("a", "x", 1) + &comment("b", "y", 2));
    good(&place, &job("subreddit = 'x'"), &[]);
    refused(&place, &job("subreddit = 'y'"), "relation \"v\" of sink \"v\" has changed since the lake was written");
    refused(&place, &job("score > 1"), "the job reads columns of source \"comments\" that were not kept: score: Int64");
    assert_eq!(table(&place, &duckdb, "v"), ["a|x"]);
    good(&place, &job("score > 1"), &["--reset"]);
    assert_eq!(table(&place, &duckdb, "v"), ["b|y"]);
    place.write("in/RC_2", comment("c", "z", 9));
    let summary = good(&place, &job("score > 1"), &[]);
    assert_eq!(table(&place, &duckdb, "v"), ["b|y", "c|z"]);
    assert_eq!(summary["sources"][0]["records_total"], 3, "{summary}");
}

/// A reset that cannot be carried through forgets nothing.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_table_does_not_lose_columns_and_a_reset_that_fails_forgets_nothing() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    let job = |columns: &str| {
        format!(
            "{COMMENTS}CREATE VIEW v AS SELECT {columns} FROM comments;\nCREATE SINK v FROM v WITH (connector = 'lake');\n"
        )
    };
    let file = place.write("in/RC_1", comment("a", "x", 1) + &comment("b", "y", 2));
    good(&place, &job("id, subreddit"), &[]);
    refused(&place, &job("id"), "relation \"v\" of sink \"v\" has changed since the lake was written");
    let ran = run(&place, &job("id"), &["--reset"]);
    assert_eq!(ran.status, 2, "{}", ran.out);
    let message =
        "column \"subreddit\" is gone; a table may gain columns; for other changes give the sink another table";
    assert!(ran.err.contains(message), "{}", ran.err);
    // Only what was kept knows these rows.
    std::fs::remove_file(file).expect("it is there");
    place.write("in/RC_2", comment("c", "z", 3));
    good(&place, &job("id, subreddit"), &[]);
    assert_eq!(table(&place, &duckdb, "v"), ["a|x", "b|y", "c|z"]);
    good(&place, &job("id, subreddit, score"), &["--reset"]);
    assert_eq!(table(&place, &duckdb, "v"), ["c|z|3"]);
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_job_may_read_fewer_columns_than_before() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    let view = |name: &str, columns: &str| {
        format!(
            "CREATE VIEW {name} AS SELECT {columns} FROM comments;\nCREATE SINK {name} FROM {name} WITH (connector = 'lake');\n"
        )
    };
    let narrow = format!("{COMMENTS}{}", view("v", "id, score"));
    let wide = format!("{narrow}{}", view("w", "id, subreddit"));
    place.write("in/RC_1", comment("a", "x", 1));
    good(&place, &wide, &[]);
    place.write("in/RC_2", comment("b", "y", 2));
    good(&place, &narrow, &[]);
    place.write("in/RC_3", comment("a", "x", 3));
    good(&place, &narrow, &[]);
    assert_eq!(table(&place, &duckdb, "v"), ["a|3", "b|2"]);
    refused(&place, &wide, "the job reads columns of source \"comments\" that were not kept: subreddit: Utf8View");
    good(&place, &wide, &["--reset"]);
    assert_eq!(table(&place, &duckdb, "w"), ["a|x", "b|y"]);
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_checkpoint_that_cannot_be_read_is_left_behind_by_a_reset() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    let job = format!(
        "{COMMENTS}CREATE VIEW v AS SELECT id FROM comments;\nCREATE SINK v FROM v WITH (connector = 'lake');\n"
    );
    place.write("in/RC_1", comment("a", "x", 1));
    good(&place, &job, &[]);
    let checkpoints = std::fs::read_dir(place.path("lake/_catchment/job/checkpoints")).expect("a folder");
    let newest = checkpoints.flatten().map(|entry| entry.path()).max().expect("a checkpoint");
    std::fs::write(newest, "{").expect("it can be written");
    refused_with(&place, &job, 1, "is damaged");
    place.write("in/RC_2", comment("b", "x", 1));
    good(&place, &job, &["--reset"]);
    good(&place, &job, &[]);
    assert_eq!(table(&place, &duckdb, "v"), ["a", "b"]);
}

/// The way back leads over the state that the source had left.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_source_that_was_left_out_goes_on() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    let base = format!(
        "{COMMENTS}CREATE VIEW v AS SELECT id FROM comments;\nCREATE SINK v FROM v WITH (connector = 'lake');\n"
    );
    let more = format!(
        "{base}CREATE SOURCE posts WITH (connector = 'reddit', kind = 'submissions', path = 'posts/*');\n\
         CREATE VIEW p AS SELECT id FROM posts;\nCREATE SINK p FROM p WITH (connector = 'lake');\n"
    );
    let post = |id: &str| {
        json!({"id": id, "subreddit": "x", "author": "a", "created_utc": 1, "score": 1, "title": "t", "num_comments": 0})
            .to_string()
            + "\n"
    };
    place.write("in/RC_1", comment("a", "x", 1));
    place.write("posts/RS_1", post("p"));
    good(&place, &more, &[]);
    place.write("in/RC_2", comment("b", "x", 1));
    good(&place, &base, &[]);
    // What was read is kept, though its file is gone.
    std::fs::remove_file(place.path("posts/RS_1")).expect("it is there");
    place.write("posts/RS_2", post("q"));
    let summary = good(&place, &more, &[]);
    assert_eq!(table(&place, &duckdb, "p"), ["p", "q"]);
    assert_eq!(table(&place, &duckdb, "v"), ["a", "b"]);
    let posts = summary["sources"].as_array().expect("a list").iter().find(|source| source["name"] == "posts");
    assert_eq!(posts.expect("it is read")["records_total"], 2, "{summary}");
}

/// What a sink publishes, a source reads back: groups whose key is null, the last day of 9999, and rows that go.
#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_topic_gives_back_what_was_published() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    let publish = format!(
        "{COMMENTS}CREATE VIEW one AS SELECT CASE WHEN score > 1 THEN subreddit END AS k, count(*) AS n,\n\
         arrow_cast('9999-12-31T23:59:59', 'Timestamp(Microsecond, Some(\"UTC\"))') AS until FROM comments WHERE score > 0 GROUP BY 1;\n\
         CREATE VIEW two AS SELECT subreddit AS s, CASE WHEN score > 1 THEN author END AS k, count(*) AS n FROM comments\n\
         WHERE score > 0 GROUP BY 1, 2;\n\
         CREATE SINK one FROM one WITH (connector = 'lake');\nCREATE SINK two FROM two WITH (connector = 'lake');\n\
         CREATE SINK a FROM one WITH (connector = 'fluvio', topic = 'one-u', key = 'k', format = 'upsert');\n\
         CREATE SINK b FROM one WITH (connector = 'fluvio', topic = 'one-d', key = 'k', format = 'debezium');\n\
         CREATE SINK c FROM two WITH (connector = 'fluvio', topic = 'two-u', key = 's, k', format = 'upsert');\n\
         CREATE SINK d FROM two WITH (connector = 'fluvio', topic = 'two-d', key = 's, k', format = 'debezium');\n"
    );
    let source = |name: &str, columns: &str, format: &str| {
        format!(
            "CREATE SOURCE {name} ({columns}) WITH (connector = 'fluvio', topic = '{}', format = '{format}');\n\
             CREATE SINK {name}_back FROM {name} WITH (connector = 'lake', table = 'back/{name}');\n",
            name.replace('_', "-")
        )
    };
    let one = "k TEXT, n BIGINT, until TIMESTAMP, PRIMARY KEY (k)";
    let two = "s TEXT, k TEXT, n BIGINT, PRIMARY KEY (s, k)";
    let back = source("one_u", one, "upsert")
        + &source("one_d", one, "debezium")
        + &source("two_u", two, "upsert")
        + &source("two_d", two, "debezium");
    place.write("back.sql", back);
    let rounds = [
        (comment("a", "x", 1) + &comment("b", "x", 2) + &comment("c", "y", 3), 3),
        // The group whose key is null grows, and another goes.
        (comment("d", "y", 1) + &comment("b", "x", 0), 2),
        // It goes too.
        (comment("a", "x", 5) + &comment("d", "y", 5), 2),
    ];
    for (round, (lines, groups)) in rounds.into_iter().enumerate() {
        place.write(&format!("in/RC_{round}"), lines);
        good(&place, &publish, &[]);
        let summary = place.run(&["back.sql"]);
        let rejects = summary["sources"].as_array().expect("a list").iter().map(|source| &source["rejects"]);
        assert!(rejects.clone().all(|rejects| rejects == 0), "{summary}");
        assert_eq!(table(&place, &duckdb, "one").len(), groups, "round {round}");
        for (name, from) in [("one_u", "one"), ("one_d", "one"), ("two_u", "two"), ("two_d", "two")] {
            let (found, expect) = (table(&place, &duckdb, &format!("back/{name}")), table(&place, &duckdb, from));
            assert_eq!(found, expect, "round {round}, {name}");
        }
    }
}
