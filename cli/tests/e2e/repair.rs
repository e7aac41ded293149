//! `catchment lake repair`: a table that is damaged, or lost commits, comes back without the sources that it was made of.

use std::fs;

use catchment_tests::DuckDb;
use serde_json::json;

use crate::support::{Place, Ran};

const JOB: &str = "CREATE SOURCE comments WITH (connector = 'reddit', kind = 'comments', path = 'in/*');\n\
                   CREATE VIEW v AS SELECT id, score FROM comments;\n\
                   CREATE SINK v FROM v WITH (connector = 'lake', table = 'reddit/v');\n\
                   CREATE VIEW w AS SELECT count(*) AS n FROM comments;\n\
                   CREATE SINK w FROM w WITH (connector = 'lake');\n";

/// A place with a job that has run three times over three files, which are gone by now.
fn place() -> Place {
    let place = Place::new();
    place.write("job.sql", JOB);
    for (file, score) in [("a", 1), ("b", 2), ("c", 3)] {
        let comment = json!({"id": file, "subreddit": "x", "author": "a", "created_utc": 1, "score": score, "body": "b", "link_id": "t3_x"});
        place.write(&format!("in/RC_{file}"), format!("{comment}\n"));
        let ran = run(&place);
        assert_eq!(ran.status, 0, "{}", ran.err);
    }
    for entry in fs::read_dir(place.path("in")).expect("a folder") {
        fs::write(entry.expect("a file").path(), "").expect("it can be written");
    }
    place
}

fn run(place: &Place) -> Ran {
    place.catchment(&["run", "job.sql", "--until", "idle"])
}

/// The rows of table `reddit/v`, as DuckDB reads them.
fn rows(place: &Place) -> Vec<String> {
    let sql = "SELECT id || score FROM delta_scan(getvariable('t')) ORDER BY ALL";
    let path = place.path("lake/reddit/v");
    let rows = DuckDb::find().query(sql, &[("t", path.to_str().expect("a plain path"))]).expect("DuckDB reads it");
    rows.into_iter().map(|mut row| row.remove(0).unwrap_or_default()).collect()
}

/// Damages the table, sees the run refuse it, repairs it, and sees the next run have all rows.
fn comes_back(damage: impl Fn(&Place), says: &str) {
    let place = place();
    damage(&place);
    let refused = run(&place);
    assert_eq!(refused.status, 1, "{}", refused.err);
    assert!(refused.err.contains("catchment lake repair --table reddit/v"), "{}", refused.err);
    assert!(!refused.err.contains("kernel") && !refused.err.contains("bug"), "{}", refused.err);

    let repair = ["lake", "repair", "--table", "reddit/v"];
    let dry = place.catchment(&[&repair[..], &["--dry-run"]].concat());
    assert_eq!(dry.status, 0, "{}", dry.err);
    assert!(dry.out.contains(says), "{}", dry.out);
    assert_eq!(run(&place).status, 1, "a dry run changes nothing");

    let mended = place.catchment(&repair);
    assert_eq!(mended.status, 0, "{}", mended.err);
    let after = run(&place);
    assert_eq!(after.status, 0, "{}", after.err);
    assert_eq!(rows(&place), ["a1", "b2", "c3"]);
    let whole = place.catchment(&repair);
    assert!(whole.out.contains("can be read") && whole.out.contains("there is nothing to do"), "{}", whole.out);
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_table_whose_folder_is_gone() {
    let damage = |place: &Place| fs::remove_dir_all(place.path("lake/reddit/v")).expect("it can be removed");
    comes_back(damage, "writes the table anew from the job's state, for sink \"v\"");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_table_whose_log_is_damaged() {
    let damage = |place: &Place| {
        let log = place.path("lake/reddit/v/_delta_log");
        let entries = fs::read_dir(log).expect("a folder").map(|entry| entry.expect("a file").path());
        let mut entries: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
        entries.sort();
        // The second run's rows. What the last run committed alone would be published again.
        fs::write(&entries[entries.len() - 3], "").expect("it can be written");
    };
    comes_back(damage, "that is lost in part");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn a_table_that_lost_a_data_file() {
    let damage = |place: &Place| {
        let file = fs::read_dir(place.path("lake/reddit/v/hot")).expect("a folder").next().expect("a file");
        fs::remove_file(file.expect("a file").path()).expect("it can be removed");
    };
    comes_back(damage, "is gone, with 1 rows");
}

#[test]
fn a_table_that_is_not_there() {
    let place = Place::new();
    fs::create_dir(place.path("lake")).expect("a folder");
    let ran = place.catchment(&["lake", "repair", "--table", "none"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("there is no table \"none\" in the lake \"lake\""), "{}", ran.err);
    let ran = place.catchment(&["lake", "repair", "--table", "none", "--lake", "elsewhere"]);
    assert!(ran.status == 2 && ran.err.contains("there is no lake at \"elsewhere\""), "{}", ran.err);
}
