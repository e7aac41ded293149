//! Columns that only those get who name them: the record's text and where it stands.

use catchment_tests::DuckDb;

use crate::support::Place;

#[test]
#[cfg_attr(not(has_python), ignore = "needs python3")]
fn where_a_row_comes_from_is_in_no_star() {
    let duckdb = DuckDb::find();
    let place = Place::new();
    place.write("in/RC", "{\"id\":\"a\",\"body\":\"x\"}\n");
    place.write(
        "job.sql",
        "CREATE SOURCE comments WITH (connector = 'reddit', kind = 'comments', path = 'in');
CREATE VIEW star AS SELECT * FROM comments;
CREATE VIEW named AS SELECT c.*, json AS record, _file, _record FROM comments AS c;
CREATE SINK star FROM star WITH (connector = 'lake');
CREATE SINK named FROM named WITH (connector = 'lake');
CREATE SINK comments FROM comments WITH (connector = 'lake');
",
    );
    let ran = place.catchment(&["run", "job.sql", "--until", "idle"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let columns = |table: &str| {
        let path = place.path("lake").join(table);
        let query = "SELECT column_name FROM (DESCRIBE SELECT * FROM delta_scan(getvariable('t')))";
        let rows = duckdb.query(query, &[("t", path.to_str().expect("a plain path"))]).expect("DuckDB reads it");
        rows.into_iter().flatten().flatten().collect::<Vec<String>>()
    };
    let star = columns("star");
    assert!(star.contains(&"body".to_owned()) && !star.iter().any(|name| name == "json" || name.starts_with("_file")));
    assert_eq!(columns("comments"), star);
    let more = ["record", "_file", "_record"].map(str::to_owned);
    assert_eq!(columns("named"), [star, more.to_vec()].concat());
}
