//! What tells a relation from another one outlives builds and everything that means nothing, and differs with every change of
//! meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use catchment_sql::{Job, check};

use crate::common;

const SOURCES: &str = "CREATE SOURCE posts WITH (connector = 'table', kind = 'posts');
CREATE SOURCE events WITH (connector = 'table', kind = 'events');
CREATE SOURCE docs WITH (connector = 'table', kind = 'docs');
";

fn job(text: &str) -> Job {
    check(text, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}\n{text}", error.chain()))
}

/// Fingerprints by the relation that a sink takes.
fn fingerprints(text: &str) -> BTreeMap<String, String> {
    job(text).sinks.into_iter().map(|sink| (sink.from, sink.fingerprint)).collect()
}

/// The fingerprint of a view with the query `query`, and its text.
fn of(query: &str) -> (String, String) {
    let text = format!("{SOURCES}CREATE VIEW v AS {query};\nCREATE SINK v FROM v WITH (connector = 'lake');");
    let job = job(&text);
    (job.sinks[0].fingerprint.clone(), job.views[0].identity.clone())
}

/// Queries of every kind of operator and expression.
const QUERIES: [&str; 27] = [
    "SELECT id, body FROM posts",
    "SELECT id, score + 1 AS more, upper(body) AS body FROM posts WHERE score > 5 AND body LIKE '%x%'",
    "SELECT id, CASE WHEN score > 3 THEN 'high' WHEN score IS NULL THEN NULL ELSE 'low' END AS level FROM posts",
    "SELECT id, CASE grp WHEN 'a' THEN 1 ELSE 2 END AS n FROM posts WHERE grp IN ('a', 'b') AND NOT score IN (1, 2)",
    "SELECT id FROM posts WHERE body ILIKE 'a%' OR body NOT LIKE 'b_' OR body ~ '^c' OR body IS NULL OR -score < 3",
    "SELECT id, CAST(score AS DOUBLE) AS x, TRY_CAST(body AS BIGINT) AS n, score IS DISTINCT FROM 3 AS d FROM posts",
    "SELECT id, date_trunc('hour', at) AS hour, at + INTERVAL '1 day' AS later FROM posts WHERE at > '2026-01-01'",
    "SELECT id, array_to_string(string_to_array(body, ' '), ',') AS words, s['a'] AS a FROM (SELECT *, named_struct('a', score) AS s FROM posts)",
    "SELECT id, 1.50 AS d, 2.5e0 AS f, TRUE AS b, [1, NULL] AS l, 'it''s' AS t, DATE '2026-01-02' AS day FROM posts",
    "SELECT doc, line, unnest(words(word)) AS term FROM docs",
    "SELECT grp, count(*) AS n, count(DISTINCT body) AS bodies, sum(score) FILTER (WHERE score > 0) AS s FROM posts GROUP BY grp",
    "SELECT avg(x) AS a, min(n) AS low, max(n) AS high, median(x) AS m, mad(x) AS d FROM events",
    "SELECT DISTINCT grp FROM posts",
    "SELECT grp FROM posts UNION ALL SELECT grp FROM events",
    "SELECT grp FROM posts INTERSECT SELECT grp FROM events",
    "SELECT p.id, e.n FROM posts p JOIN events e ON p.grp = e.grp",
    "SELECT p.id, e.n FROM posts p LEFT JOIN events e ON p.grp = e.grp AND p.score > e.n",
    "SELECT id, n FROM posts FULL JOIN events USING (grp)",
    "SELECT id FROM posts WHERE grp IN (SELECT grp FROM events)",
    "SELECT id FROM posts WHERE grp NOT IN (SELECT grp FROM events)",
    "SELECT id FROM posts p WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.grp = p.grp AND e.n > p.score)",
    "SELECT id, (SELECT max(n) FROM events e WHERE e.grp = p.grp) AS top FROM posts p",
    "SELECT id, score FROM posts ORDER BY score DESC LIMIT 10",
    "SELECT grp, id, n FROM (SELECT grp, id, row_number() OVER (PARTITION BY grp ORDER BY score, id) AS n FROM posts) WHERE n <= 3",
    "SELECT grp, n FROM (SELECT grp, count(*) AS n FROM posts GROUP BY grp) ORDER BY n DESC, grp LIMIT 5",
    "SELECT id, sum(score) OVER (PARTITION BY grp ORDER BY at RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW) AS s FROM posts",
    "SELECT * FROM (VALUES (1, 'a'), (2, NULL)) AS t(n, name)",
];

#[test]
fn it_is_the_same_in_each_check() {
    for query in QUERIES {
        let all: BTreeSet<(String, String)> = (0..12).map(|_| of(query)).collect();
        assert_eq!(all.len(), 1, "{all:#?}");
    }
    let pulse = include_str!("../../../../examples/pulse.sql");
    let all: BTreeSet<BTreeMap<String, String>> = (0..12).map(|_| fingerprints(pulse)).collect();
    assert_eq!(all.len(), 1, "{all:#?}");
}

#[test]
fn it_holds_nothing_that_the_planner_made_up() {
    for query in QUERIES {
        let (_, text) = of(query);
        for made_up in ["__", "Utf8", "Int64", "Subquery", "subquery", "TableScan", "@0:", "Some("] {
            assert!(!text.contains(made_up), "{made_up} in\n{text}");
        }
    }
}

#[track_caller]
fn same(one: &str, other: &str) {
    let ((one, text), (other, other_text)) = (of(one), of(other));
    assert!(one == other, "{text}\n\n{other_text}");
}

#[test]
fn how_a_query_is_written_does_not_matter() {
    same("SELECT id, body FROM posts", "select   id,\n\tBODY\nfrom Posts -- all of them\n");
    same("SELECT id, body FROM posts", "SELECT p.id, p.body FROM posts AS p");
    same("SELECT id FROM posts WHERE score > 5", "WITH t AS (SELECT * FROM posts) SELECT id FROM t WHERE (score) > 5");
    same("SELECT id FROM posts WHERE score <> 5", "SELECT id FROM posts WHERE score != 5");
    same(
        "SELECT id, score + 1 AS n FROM posts",
        "SELECT id, more AS n FROM (SELECT id, score + 1 AS more FROM posts) AS x",
    );
    same(
        "SELECT p.id, e.n FROM posts p JOIN events e ON p.grp = e.grp",
        "SELECT a.id, b.n FROM posts a INNER JOIN events b ON (a.grp = b.grp)",
    );
    same(
        "SELECT grp, count(*) AS n FROM posts GROUP BY grp",
        "SELECT g AS grp, many AS n FROM (SELECT grp AS g, count(*) AS many FROM posts GROUP BY grp) AS counted",
    );
    same(
        "SELECT id FROM posts WHERE grp IN (SELECT grp FROM events)",
        "SELECT id FROM posts WHERE grp IN (SELECT other.grp FROM events AS other)",
    );
    same(
        "SELECT doc, unnest(words(word)) AS term FROM docs",
        "SELECT d.doc, unnest(words(d.word)) AS term FROM docs AS d",
    );
    same(
        "SELECT id FROM posts WHERE (id > 1 AND score > 2) AND id < 9",
        "SELECT id FROM posts WHERE id > 1 AND (score > 2 AND id < 9)",
    );
    same("SELECT * FROM (VALUES (1), (2)) AS t(n)", "SELECT * FROM (VALUES (2), (1)) AS u(n)");
}

#[test]
fn what_stands_beside_a_relation_does_not_matter() {
    let v = "CREATE VIEW base AS SELECT id, grp, score * 2 AS twice FROM posts WHERE score > 0;
CREATE VIEW v AS SELECT grp, sum(twice) AS s FROM base GROUP BY grp;";
    let sink = "CREATE SINK v FROM v WITH (connector = 'lake');";
    let alone = fingerprints(&format!("{SOURCES}{v}{sink}"))["v"].clone();
    let beside = [
        // Another sink of the relation, and of what it reads.
        format!("{SOURCES}{v}{sink}CREATE SINK b FROM base WITH (connector = 'lake', table = 'b');"),
        // Another reader of what it reads.
        format!(
            "{SOURCES}{v}CREATE VIEW w AS SELECT id FROM base;{sink}CREATE SINK w FROM w WITH (connector = 'lake');"
        ),
        // Another view that nobody reads, another source, another order.
        format!("{SOURCES}CREATE VIEW first AS SELECT 1 AS one;{v}{sink}CREATE VIEW last AS SELECT doc FROM docs;"),
        format!("CREATE SOURCE more WITH (connector = 'table', kind = 'posts');{SOURCES}{v}{sink}"),
        // What it reads under another name.
        format!("{SOURCES}{}{sink}", v.replace("base", "doubled")),
        format!("{SOURCES}{}{sink}", v.replace("twice", "double")),
    ];
    for text in beside {
        assert_eq!(fingerprints(&text)["v"], alone, "{text}");
    }
}

#[test]
fn every_change_of_meaning_shows() {
    let groups: [&[&str]; 10] = [
        &QUERIES,
        // A literal, its type, a column, an operator, an output's name and order.
        &[
            "SELECT id, score + 1 AS n FROM posts",
            "SELECT id, score + 2 AS n FROM posts",
            "SELECT id, score + CAST(1 AS DECIMAL(5, 2)) AS n FROM posts",
            "SELECT id, score + 1.0 AS n FROM posts",
            "SELECT id, id + 1 AS n FROM posts",
            "SELECT id, score - 1 AS n FROM posts",
            "SELECT id, score + 1 AS m FROM posts",
            "SELECT score + 1 AS n, id FROM posts",
            "SELECT id, 1 + score AS n FROM posts",
        ],
        &["SELECT upper(body) AS t FROM posts", "SELECT lower(body) AS t FROM posts", "SELECT body AS t FROM posts"],
        &[
            "SELECT id FROM posts WHERE body LIKE 'a%'",
            "SELECT id FROM posts WHERE body LIKE 'A%'",
            "SELECT id FROM posts WHERE body ILIKE 'a%'",
            "SELECT id FROM posts WHERE body NOT LIKE 'a%'",
            "SELECT id FROM posts WHERE body = 'a%'",
            "SELECT id FROM posts WHERE body <> 'a%'",
        ],
        // Kinds of joins, sides, keys, conditions.
        &[
            "SELECT p.id, e.n FROM posts p JOIN events e ON p.grp = e.grp",
            "SELECT p.id, e.n FROM posts p LEFT JOIN events e ON p.grp = e.grp",
            "SELECT p.id, e.n FROM posts p RIGHT JOIN events e ON p.grp = e.grp",
            "SELECT p.id, e.n FROM posts p FULL JOIN events e ON p.grp = e.grp",
            "SELECT p.id, e.n FROM posts p JOIN events e ON p.body = e.grp",
            "SELECT p.id, e.n FROM posts p JOIN events e ON p.grp IS NOT DISTINCT FROM e.grp",
            "SELECT p.id, e.n FROM posts p JOIN events e ON p.grp = e.grp AND p.id > e.n",
            "SELECT p.id, e.n FROM posts p JOIN posts q ON p.grp = q.grp JOIN events e ON q.grp = e.grp",
        ],
        &[
            "SELECT id FROM posts WHERE grp IN (SELECT grp FROM events)",
            "SELECT id FROM posts WHERE grp NOT IN (SELECT grp FROM events)",
            "SELECT id FROM posts p WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.grp = p.grp)",
            "SELECT id FROM posts WHERE grp IN (SELECT v FROM (VALUES ('a'), ('b')) AS t(v))",
            "SELECT id FROM posts WHERE grp IN (SELECT v FROM (VALUES ('a'), ('c')) AS t(v))",
            "SELECT id FROM posts WHERE grp NOT IN (SELECT v FROM (VALUES ('a'), ('b')) AS t(v))",
            "SELECT id FROM posts WHERE grp NOT IN (SELECT v FROM (VALUES ('a'), ('b'), (NULL)) AS t(v))",
        ],
        // Groups.
        &[
            "SELECT grp, count(*) AS n FROM posts GROUP BY grp",
            "SELECT grp, count(score) AS n FROM posts GROUP BY grp",
            "SELECT grp, count(DISTINCT score) AS n FROM posts GROUP BY grp",
            "SELECT grp, count(*) FILTER (WHERE score > 0) AS n FROM posts GROUP BY grp",
            "SELECT grp, sum(score) AS n FROM posts GROUP BY grp",
            "SELECT grp, min(score) AS n FROM posts GROUP BY grp",
            "SELECT grp, max(score) AS n FROM posts GROUP BY grp",
            "SELECT grp, max(id) AS n FROM posts GROUP BY grp",
            "SELECT body AS grp, count(*) AS n FROM posts GROUP BY body",
            "SELECT grp, count(*) AS n FROM posts GROUP BY grp HAVING count(*) > 1",
        ],
        // Orders and limits.
        &[
            "SELECT id FROM posts ORDER BY score LIMIT 10",
            "SELECT id FROM posts ORDER BY score LIMIT 11",
            "SELECT id FROM posts ORDER BY score LIMIT 10 OFFSET 1",
            "SELECT id FROM posts ORDER BY score DESC LIMIT 10",
            "SELECT id FROM posts ORDER BY score NULLS FIRST LIMIT 10",
            "SELECT id FROM posts ORDER BY id LIMIT 10",
            "SELECT id FROM posts ORDER BY score, id DESC LIMIT 10",
            "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY grp ORDER BY score) AS n FROM posts) WHERE n <= 10",
            "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY body ORDER BY score) AS n FROM posts) WHERE n <= 10",
            "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY grp ORDER BY score) AS n FROM posts) WHERE n = 2",
        ],
        // Windows and their frames.
        &[
            "SELECT id, sum(score) OVER (PARTITION BY grp ORDER BY at RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW) AS s FROM posts",
            "SELECT id, sum(score) OVER (PARTITION BY grp ORDER BY at RANGE BETWEEN INTERVAL '8 days' PRECEDING AND CURRENT ROW) AS s FROM posts",
            "SELECT id, sum(score) OVER (PARTITION BY grp ORDER BY at RANGE BETWEEN INTERVAL '7 days' PRECEDING AND INTERVAL '1 hour' PRECEDING) AS s FROM posts",
            "SELECT id, sum(score) OVER (PARTITION BY grp ORDER BY at RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s FROM posts",
            "SELECT id, sum(score) OVER (PARTITION BY grp ORDER BY at DESC RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW) AS s FROM posts",
            "SELECT id, sum(score) OVER (PARTITION BY body ORDER BY at RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW) AS s FROM posts",
            "SELECT id, sum(score) OVER (ORDER BY at RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW) AS s FROM posts",
            "SELECT id, avg(score) OVER (PARTITION BY grp ORDER BY at RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW) AS s FROM posts",
            "SELECT id, sum(id) OVER (PARTITION BY grp ORDER BY at RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW) AS s FROM posts",
            "SELECT id, sum(score) FILTER (WHERE id > 0) OVER (PARTITION BY grp ORDER BY at RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW) AS s FROM posts",
            "SELECT id, sum(score) OVER (PARTITION BY grp) AS s FROM posts",
        ],
        // Values.
        &[
            "SELECT * FROM (VALUES (1), (2)) AS t(n)",
            "SELECT * FROM (VALUES (1), (3)) AS t(n)",
            "SELECT * FROM (VALUES (1), (2), (2)) AS t(n)",
            "SELECT * FROM (VALUES (1), (NULL)) AS t(n)",
            "SELECT * FROM (VALUES ('1'), ('2')) AS t(n)",
            "SELECT * FROM (VALUES (1.0), (2.0)) AS t(n)",
            "SELECT * FROM (VALUES (''''), ('\\')) AS t(n)",
            "SELECT * FROM (VALUES ('), ('), (', ')) AS t(n)",
        ],
    ];
    for queries in groups {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for query in queries {
            let (fingerprint, text) = of(query);
            if let Some(other) = seen.insert(fingerprint, query) {
                panic!("{query}\nis told from\n{other}\nby nothing:\n{text}");
            }
        }
    }
}

/// A view is made of what it reads, at any distance.
#[test]
fn what_a_relation_reads_shows() {
    let text = format!(
        "{SOURCES}CREATE VIEW a AS SELECT id, grp FROM posts WHERE score > 0;
CREATE VIEW b AS SELECT id, grp FROM a WHERE grp <> 'x';
CREATE VIEW c AS SELECT grp, count(*) AS n FROM b GROUP BY grp;
CREATE SINK a FROM a WITH (connector = 'lake');
CREATE SINK b FROM b WITH (connector = 'lake');
CREATE SINK c FROM c WITH (connector = 'lake');
CREATE SINK p FROM posts WITH (connector = 'lake');
CREATE SINK e FROM events WITH (connector = 'lake');"
    );
    let (before, after) = (fingerprints(&text), fingerprints(&text.replace("score > 0", "score > 1")));
    for (relation, changes) in [("a", true), ("b", true), ("c", true), ("posts", false)] {
        assert_eq!(before[relation] != after[relation], changes, "{relation}");
    }
    assert_ne!(before["posts"], before["events"]);
    let other = fingerprints(&text.replace("FROM posts WHERE", "FROM more WHERE").replace(
        "CREATE VIEW a",
        "CREATE SOURCE more WITH (connector = 'table', kind = 'posts');
CREATE VIEW a",
    ));
    assert_ne!(before["c"], other["c"], "another source of the same columns");
}

/// The rejects' rows name views and columns, so that what is run counts. A view that may fail has rejects of its own,
/// whoever reads it.
#[test]
fn the_rejects_are_of_what_is_run() {
    let views = "CREATE VIEW a AS SELECT id, 10 / score AS x FROM posts;
CREATE VIEW b AS SELECT id, x FROM a WHERE id > 1;
CREATE VIEW c AS SELECT count(*) AS n FROM rejects;";
    let sinks = "CREATE SINK b FROM b WITH (connector = 'lake');
CREATE SINK c FROM c WITH (connector = 'lake');
CREATE SINK rejects FROM rejects WITH (connector = 'lake', mode = 'current');";
    let before = fingerprints(&format!("{SOURCES}{views}{sinks}"));
    let own = |fingerprint: &str| fingerprint.split('+').map(str::to_string).collect::<Vec<_>>();
    let changed = [
        (format!("{SOURCES}{views}{sinks}CREATE SINK a FROM a WITH (connector = 'lake');"), false),
        (format!("{SOURCES}{}{sinks}", views.replace("10 /", "11 /")), true),
        (format!("{SOURCES}{}{sinks}", views.replace("VIEW a", "VIEW d").replace("FROM a", "FROM d")), true),
        (format!("{SOURCES}{views}CREATE VIEW unread AS SELECT 1 / n AS x FROM events;{sinks}"), false),
        (format!("{SOURCES}{views}{sinks}CREATE SINK again FROM b WITH (connector = 'lake', table = 'again');"), false),
    ];
    for (text, changes) in changed {
        let after = fingerprints(&text);
        for relation in ["rejects", "c"] {
            let (before, after) = (own(&before[relation]), own(&after[relation]));
            assert_eq!(before.len(), 2, "{before:?}");
            assert_eq!((before[0] == after[0], before[1] != after[1]), (true, changes), "{relation}: {text}");
        }
    }
    assert!(!before["b"].contains('+'), "it does not read the rejects");
}

/// To change what this writes is to refuse every lake that there is: raise `FORMAT` with it, and say so in the changelog.
/// `CATCHMENT_RENEW=1` writes the file anew.
#[test]
fn the_format_stays() {
    let mut written = String::new();
    for query in QUERIES {
        let (fingerprint, text) = of(query);
        let _ = writeln!(written, "{query}\n\n{text}\n\n{fingerprint}\n{}", "-".repeat(80));
    }
    for (relation, fingerprint) in fingerprints(include_str!("../../../../examples/pulse.sql")) {
        let _ = writeln!(written, "{relation} of the main job: {fingerprint}");
    }
    common::golden("identity.txt", &written);
}
