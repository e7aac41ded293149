//! What a person reads when a job is wrong: each message with its place and the way out.

use catchment_sql::check;

use crate::common;

const SOURCES: &str = "\
CREATE SOURCE posts WITH (connector = 'table', kind = 'posts');
CREATE SOURCE events WITH (connector = 'table', kind = 'events');
";

fn message(text: &str) -> String {
    match check(text, &|name| (name == "set").then(|| "posts".to_string()), &common::registry()) {
        Ok(job) => panic!("accepted:\n{text}\n{}", job.describe()),
        Err(error) => error.chain(),
    }
}

/// The job `SOURCES` and `text`, which starts on line 3, is refused with a message that starts with `starts` and holds
/// `holds`.
fn refused(text: &str, starts: &str, holds: &str) {
    let message = message(&format!("{SOURCES}{text}"));
    println!("{message}\n");
    assert!(message.starts_with(starts) && message.contains(holds), "{text}\n  says {message}");
}

fn view(query: &str, starts: &str, holds: &str) {
    refused(&format!("CREATE VIEW v AS {query}"), starts, holds);
}

#[test]
fn a_message_shows_the_line_with_a_caret() {
    let text = "CREATE SOURCE posts WITH (connector = 'table', kind = 'posts');\n\n\
                CREATE VIEW v AS\nSELECT id,\n       autor\nFROM posts";
    let text = text.replace("autor", "bdy");
    assert_eq!(
        message(&text),
        "line 5, column 8: view \"v\": there is no column \"bdy\"; did you mean \"body\"?\n 5 |        bdy\n   |        ^"
    );
}

#[test]
fn names_that_do_not_exist() {
    view("SELECT id FROM post", "line 3, column 33: there is no relation \"post\"; did you mean \"posts\"?", "");
    view("SELECT id FROM zzz", "line 3, column 33: there is no relation \"zzz\"; known here are events, posts", "");
    view(
        "SELECT id FROM w; CREATE VIEW w AS SELECT 1 AS a",
        "line 3, column 33: there is no relation \"w\"",
        "above its use",
    );
    view(
        "SELECT p.scor FROM posts p",
        "line 3, column 25: view \"v\": there is no column \"p.scor\"",
        "did you mean \"score\"?",
    );
    view(
        "SELECT id FROM posts WHERE scroe > 1",
        "line 3, column 45: view \"v\": there is no column \"scroe\"",
        "\"score\"?",
    );
    view(
        "SELECT xyzzy FROM events",
        "line 3, column 25: view \"v\": there is no column \"xyzzy\"",
        "columns here are name, grp",
    );
    view(
        "SELECT grp, count(*) FROM posts GROUP BY gpr",
        "line 3, column 59: view \"v\": there is no column \"gpr\"",
        "\"grp\"?",
    );
    view(
        "SELECT lenght(body) FROM posts",
        "line 3, column 25: there is no function \"lenght\"; did you mean \"length\"?",
        "",
    );
    view(
        "SELECT coutn(*) FROM posts",
        "line 3, column 25: there is no function \"coutn\"; did you mean \"count\"?",
        "",
    );
    view(
        "SELECT youtube_ids(body) FROM posts",
        "line 3, column 25: there is no function \"youtube_ids\"",
        "youtube_video_ids",
    );
    view("SELECT x.id FROM posts p", "line 3, column 25: view \"v\": there is no column \"x.id\"", "");
    refused(
        "CREATE SINK s FROM pots WITH (connector = 'lake')",
        "line 3, column 20: there is no relation \"pots\"",
        "\"posts\"?",
    );
}

#[test]
fn queries_that_have_no_meaning() {
    view(
        "SELECT sum(body) AS s FROM posts",
        "line 3, column 25: view \"v\": function 'sum' cannot be called so: it adds up numbers, not TEXT",
        "CAST",
    );
    view(
        "SELECT sum(id, score) AS s FROM posts",
        "line 3, column 25: view \"v\": sum() takes one argument, not 2",
        "+",
    );
    view("SELECT id FROM posts WHERE id = ANY (grp)", "line 3, column 1: view \"v\": ANY and ALL compare", "ARRAY");
    view("SELECT id, count(*) AS n FROM posts", "line 3, column", "GROUP BY");
    view("SELECT id, grp AS id FROM posts", "line 3, column 25: view \"v\": two columns are called \"id\"", "AS");
    view(
        "SELECT grp FROM posts a JOIN events b ON a.grp = b.grp",
        "line 3, column 25: view \"v\": two columns",
        "relation.column",
    );
    view(
        "SELECT a.id, b.id FROM posts a JOIN posts b ON a.id = b.id",
        "line 3, column 1: view \"v\": two columns are called \"id\"",
        "AS",
    );
    view("SELECT NULL AS x FROM posts", "line 3, column 1: view \"v\": the column \"x\" has no type", "CAST");
    view("SELECT id FROM posts UNION ALL SELECT grp, n FROM events", "line 3, column", "");
    refused(
        "CREATE VIEW v (a, b) AS SELECT id FROM posts",
        "line 3, column 1: view \"v\": the view names 2 columns",
        "",
    );
    view("SELECT id FROM posts WHERE body", "line 3, column", "");
    view("SELECT id FROM posts WHERE id IN (SELECT id, grp FROM posts)", "line 3, column 59: view \"v\"", "");
}

/// What fails for every row is refused before there is one.
#[test]
fn what_no_row_can_be_computed_by() {
    let never = |query: &str, holds: &str| {
        let said = message(&format!("{SOURCES}CREATE VIEW v AS {query}"));
        assert!(said.contains("view \"v\": ") && said.contains("this fails for every row"), "{query}\n{said}");
        assert!(said.contains(holds), "{query}\n{said}");
    };
    never("SELECT id FROM posts WHERE body ~ '('", "");
    never("SELECT id, 1 / 0 AS x FROM posts", "divide by zero");
    never("SELECT id, CAST('abc' AS BIGINT) AS x FROM posts", "abc");
}

/// What would be taken for something else is refused.
#[test]
fn what_would_mean_something_else() {
    view("SELECT CAST(body AS CHAR(3)) AS x FROM posts", "line 3, column", "write CAST(… AS VARCHAR(n))");
    view("SELECT CAST(at AS TIMESTAMP(0)) AS x FROM posts", "line 3, column", "date_trunc('second', …)");
    view("SELECT to_char(at, 'HH24 TZ') AS x FROM posts", "line 3, column 25: view \"v\": to_char()", "in UTC");
    view("SELECT to_char(at, 'YYYY %H') AS x FROM posts", "line 3, column 25: view \"v\"", "mixes two notations");
    view("SELECT to_char(at, body) AS x FROM posts", "line 3, column 25: view \"v\"", "a pattern that is a text");
    view("SELECT at AT TIME ZONE 'Europe/Berlin' AS x FROM posts", "line 3, column", "times are in UTC");
    view("SELECT (at - TIMESTAMP '2026-01-01')::text AS x FROM posts", "line 3, column", "extract(epoch FROM …)");
    view("SELECT at + INTERVAL '1 day' * 1.5 AS x FROM posts", "line 3, column", "a whole number");
    view("SELECT ~id AS x FROM posts", "line 3, column 26: there is no operator ~", "write -1 - a");
    view(
        "SELECT body COLLATE \"C\" AS x FROM posts",
        "line 3, column 25: texts have no collation",
        "leave COLLATE out",
    );
    view("SELECT to_date(body, 'YYYY-MM-DD') AS x FROM posts", "line 3, column 25: view \"v\": to_date()", "'%Y-%m-%d");
    view(
        "SELECT id FROM posts WHERE body ~ '(a|'",
        "line 3, column 1: view \"v\": a regular expression does not",
        "unclosed",
    );
    view(
        "SELECT p.id, q.n FROM posts p, LATERAL (SELECT max(n) AS n FROM events WHERE grp = p.grp) q",
        "line 3, column",
        "LATERAL cannot be kept up to date; write a join: JOIN (SELECT key",
    );
    view("SELECT id ^ 2 AS x FROM posts", "line 3, column 25: the operator ^", "write power(a, b)");
    view(
        "SELECT date_trunc('bogus', at) AS x FROM posts",
        "line 3, column 25: view \"v\": date_trunc() has no unit \"bogus\"",
        "microseconds, milliseconds, second, minute, hour, day, week, month, quarter, year, decade, century, millennium",
    );
    view(
        "SELECT date_part('bogus', at) AS x FROM posts",
        "line 3, column 25: view \"v\": date_part() has no part \"bogus\" of a time",
        "isodow, doy, week",
    );
    view("SELECT extract(bogus FROM at) AS x FROM posts", "line 3, column", "has no part \"bogus\" of a time");
    view("SELECT extract(hour FROM at::date) AS x FROM posts", "line 3, column", "\" of a date");
    view(
        "SELECT grp FROM posts p FULL JOIN events e USING (grp) WHERE EXISTS (SELECT 1 FROM events d WHERE d.name = p.grp)",
        "line 3, column 1: view \"v\": \"grp\" of one side of a RIGHT or FULL JOIN that merges both sides' cannot",
        "in a query that only joins",
    );
    for twice in ["id + 1 AS x, score AS x", "id AS x, p.id AS x", "p.n AS x, e.n AS x"] {
        let query = format!("SELECT {twice} FROM (SELECT id, score, 1 AS n FROM posts) p FULL JOIN events e USING (n)");
        view(&query, "line 3, column 1: view \"v\": two columns are called \"x\"", "another name with AS");
    }
    view(
        "SELECT p.* FROM posts p NATURAL FULL JOIN (SELECT grp, name FROM events) e",
        "line 3, column 25: p.* beside a RIGHT or FULL JOIN that merges some of its columns cannot",
        "write the join with ON",
    );
}

/// Messages name what the query names, not the planner's structures.
#[test]
fn messages_hold_no_internals() {
    for query in [
        "SELECT substr(body) AS x FROM posts",
        "SELECT id, grp FROM posts GROUP BY id",
        "SELECT lower(id, grp) AS x FROM posts",
        "SELECT id FROM posts p WHERE score = (SELECT n FROM events e WHERE e.n > p.score)",
        "SELECT id FROM posts WHERE body ~ '(a|'",
        "SELECT '2026-02-30'::date AS x FROM posts",
        "SELECT 'x'::int AS x FROM posts",
        "SELECT at * 2 AS x FROM posts",
        "SELECT concat() AS x FROM posts",
        "SELECT body COLLATE \"C\" AS x FROM posts",
    ] {
        let said = message(&format!("{SOURCES}CREATE VIEW v AS {query}"));
        for internal in [
            "Ident",
            "Span",
            "Field {",
            "__",
            "hysical",
            "While expanding",
            "No function matches",
            "Utf8",
            "Int64",
            "Int32",
            "Date32",
            "MonthDayNano",
            "Timestamp(",
            "dyn_scalar",
            "sqltorel",
            "user-defined",
        ] {
            assert!(!said.contains(internal), "{query}\n{said}");
        }
    }
}

/// A hash set's order once decided the plan, so that a restart of the same job was refused.
#[test]
fn a_job_has_one_plan() {
    let text = "CREATE SOURCE docs WITH (connector = 'table', kind = 'docs');
        CREATE VIEW v AS SELECT doc, line, unnest(words(word)) AS w, count(*) AS n, max(doc) AS last FROM docs
            GROUP BY doc, line, unnest(words(word));
        CREATE SINK v FROM v WITH (connector = 'lake')";
    let plans: std::collections::BTreeSet<String> = (0..20)
        .map(|_| {
            let job = check(text, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()));
            catchment_sql::explain(&job, None, catchment_sql::Format::Text).expect("a job that was checked")
        })
        .collect();
    assert_eq!(plans.len(), 1, "{plans:#?}");
}

#[test]
fn what_cannot_be_kept_up_to_date() {
    view(
        "SELECT id FROM posts ORDER BY id",
        "line 3, column 48: ORDER BY without LIMIT cannot be kept",
        "leave it out",
    );
    view("SELECT id FROM posts LIMIT 3", "line 3, column 45: LIMIT without ORDER BY cannot be kept", "add ORDER BY");
    view(
        "SELECT id, now() AS t FROM posts",
        "line 3, column 29: function \"now\", which depends on the clock",
        "--set",
    );
    view("SELECT id, random() AS t FROM posts", "line 3, column 29: function \"random\"", "");
    view("SELECT id FROM posts WHERE at < current_timestamp", "line 3, column 50: function \"current_timestamp\"", "");
    view(
        "SELECT stddev(score) AS m FROM posts",
        "line 3, column 25: aggregate function \"stddev\" cannot be kept",
        "write mad(x)",
    );
    view(
        "SELECT sum(at - at) AS m FROM posts",
        "line 3, column 1: view \"v\": cannot compute Sum of Duration",
        "cast the column",
    );
    view(
        "SELECT id, rank() OVER (ORDER BY score) AS r FROM posts",
        "line 3, column 29: window function \"rank\"",
        "row_number()",
    );
    view(
        "SELECT id, lag(score) OVER (PARTITION BY grp ORDER BY at) AS r FROM posts",
        "line 3, column 29: window function \"lag\"",
        "count, sum, avg",
    );
    view(
        "SELECT id, stddev(score) OVER (PARTITION BY grp) AS r FROM posts",
        "line 3, column 29: window function \"stddev\"",
        "median",
    );
    view(
        "SELECT id, meddian(score) OVER (PARTITION BY grp) AS r FROM posts",
        "line 3, column 29: there is no function \"meddian\"",
        "\"median\"?",
    );
    view(
        "SELECT id, row_number() OVER (ORDER BY score) AS r FROM posts",
        "line 3, column 29: view \"v\": row_number() without a bound",
        "WHERE n <= 10",
    );
    view(
        "SELECT id FROM (SELECT id, row_number() OVER (ORDER BY score) AS r FROM posts) WHERE r > 3",
        "line 3, column 45: view \"v\": row_number() without a bound",
        "WHERE n <= 10",
    );
    view(
        "SELECT id, row_number() FROM posts",
        "line 3, column 29: function \"row_number\" needs OVER",
        "OVER (PARTITION BY",
    );
    view("SELECT grp, n, count(*) AS c FROM events GROUP BY ROLLUP (grp, n)", "line 3, column", "UNION ALL");
    view("SELECT DISTINCT ON (grp) id FROM posts", "line 3, column 38: DISTINCT ON cannot be kept", "row_number()");
    view(
        "WITH RECURSIVE r AS (SELECT 1 AS a UNION ALL SELECT a FROM r) SELECT a FROM r",
        "line 3, column 18: WITH RECURSIVE",
        "",
    );
    view(
        "SELECT a.id FROM posts a JOIN events b ON a.score < b.n",
        "line 3, column 48: view \"v\": a join without an equality",
        "add a condition with =",
    );
    view("SELECT a.id FROM posts a, events b", "line 3, column 44", "a join without an equality cannot be kept");
    view(
        "SELECT id FROM posts p WHERE EXISTS (SELECT 1 FROM events e WHERE e.n > p.score)",
        "line 3, column 55: view \"v\": a subquery with no condition that is an equality",
        "compare with =",
    );
    view("SELECT grp FROM posts EXCEPT ALL SELECT grp FROM events", "line 3, column", "EXCEPT ALL cannot be kept");
    view("SELECT u FROM UNNEST([1, 2]) AS t (u)", "line 3, column", "UNNEST in FROM cannot be kept");
    view("SELECT g FROM generate_series(1, 3) AS t (g)", "line 3, column", "a table function cannot be kept");
    view("SELECT id FROM posts TABLESAMPLE (10)", "line 3, column", "");
    view(
        "SELECT unnest(words(body)) AS w, unnest(youtube_video_ids(body)) AS y FROM posts",
        "line 3, column",
        "unnest of several lists",
    );
}

/// What a window may be.
#[test]
fn windows_that_cannot_be_kept_up_to_date() {
    let window = |over: &str, holds: &str, hint: &str| {
        let query = format!("SELECT id, sum(score) OVER ({over}) AS r FROM posts");
        view(&query, &format!("line 3, column 29: view \"v\": {holds}"), hint);
    };
    window(
        "ORDER BY id ROWS 3 PRECEDING",
        "window function \"sum\" over a frame of ROWS cannot be kept",
        "RANGE BETWEEN",
    );
    window("ORDER BY at ROWS UNBOUNDED PRECEDING", "window function \"sum\" over a frame of ROWS", "RANGE BETWEEN");
    window("ORDER BY at GROUPS 3 PRECEDING", "window function \"sum\" over a frame of GROUPS", "RANGE BETWEEN");
    window("ORDER BY at, id", "window function \"sum\" with ORDER BY of several columns", "order by one column");
    window("ORDER BY body", "OVER (ORDER BY …) a column of the type Utf8View cannot be kept", "a time, a date");
    window("ORDER BY score / 2.0", "OVER (ORDER BY …) a column of the type Float64", "an integer");
    let range = |frame: &str, holds: &str, hint: &str| window(&format!("ORDER BY at RANGE {frame}"), holds, hint);
    range("INTERVAL '1 month' PRECEDING", "window function \"sum\" over a distance in months", "write days");
    range("BETWEEN INTERVAL '1 hour' PRECEDING AND INTERVAL '1 day' PRECEDING", "a window frame that ends", "earlier");
    range("INTERVAL '-1 day' PRECEDING", "window function \"sum\" over this distance", "not negative");
    window("ORDER BY at::date RANGE INTERVAL '1 hour' PRECEDING", "window function \"sum\" over this", "in whole days");
    view(
        "SELECT id, count(DISTINCT score) OVER (PARTITION BY grp) AS r FROM posts",
        "line 3, column 29: view \"v\": window function \"count\" with DISTINCT",
        "GROUP BY",
    );
    view(
        "SELECT id, min(body) OVER (PARTITION BY grp) AS r FROM posts",
        "line 3, column 29: view \"v\": Min over a window of values of the type Utf8View cannot be kept",
        "cast",
    );
    view(
        "SELECT id, sum(score) OVER w AS r, row_number() OVER w AS n FROM posts WINDOW w AS (PARTITION BY grp)",
        "line 3, column 29: view \"v\": row_number() without a bound",
        "WHERE n <= 10",
    );
}

#[test]
fn statements_and_their_options() {
    let source = |with: &str| message(&format!("CREATE SOURCE s WITH ({with})"));
    let starts = |message: String, start: &str| assert!(message.starts_with(start), "{message}");
    starts(source("kind = 'posts'"), "line 1, column 1: source \"s\" needs the option \"connector\"");
    starts(
        source("connector = 'redit', path = 'x'"),
        "line 1, column 35: there is no source connector \"redit\"; did you mean \"reddit\"?",
    );
    starts(
        source("connector = 'kafka'"),
        "line 1, column 35: there is no source connector \"kafka\"; connectors of sources are reddit, youtube, table",
    );
    starts(
        source("connector = 'reddit'"),
        "line 1, column 1: source \"s\" needs the option \"path\"; write WITH (…, path = '…')",
    );
    starts(source("connector = 'reddit', paht = 'x'"), "line 1, column 1: source \"s\" needs the option \"path\"");
    starts(
        source("connector = 'reddit', path = 'x', knd = 'comments'"),
        "line 1, column 63: source \"s\" has no option \"knd\"; did you mean \"kind\"?",
    );
    starts(
        source("connector = 'reddit', path = 'x', kind = 'posts'"),
        "line 1, column 64: option \"kind\" of source \"s\" cannot be 'posts'; write one of 'comments', 'submissions'",
    );
    refused(
        "CREATE SINK s FROM posts WITH (connector = 'lkae')",
        "line 3, column 44: there is no sink connector \"lkae\"",
        "\"lake\"?",
    );
    refused(
        "CREATE SINK s FROM posts WITH (connector = 'lake', mode = 'append')",
        "line 3, column 1: sink \"s\" cannot append",
        "mode = 'current'",
    );
    refused("CREATE VIEW posts AS SELECT 1 AS a", "line 3, column 13: there are two relations \"posts\"", "");
    refused("CREATE VIEW rejects AS SELECT 1 AS a", "line 3, column 13: the relation \"rejects\" is built in", "");
    refused(
        "CREATE SINK s FROM posts WITH (connector = 'lake');\nCREATE SINK s FROM events WITH (connector = 'lake')",
        "line 4, column 13: there are two sinks \"s\"",
        "",
    );
    refused(
        "CREATE SINK s FROM posts WITH (connector = 'lake', table = 't');\n\
         CREATE SINK u FROM events WITH (connector = 'lake', table = 't')",
        "line 4, column 13: sinks \"s\" and \"u\" both write to lake table \"t\"",
        "give one of them another target",
    );
    starts(
        message("CREATE SOURCE s (id, boddy) WITH (connector = 'table', kind = 'posts')"),
        "line 1, column 22: source \"s\" has no column \"boddy\"; did you mean \"body\"?",
    );
    starts(message("-- nothing\n"), "line 1, column 1: the job is empty");
    starts(
        message("CREATE VIEW v AS SELECT '${unset}' AS a"),
        "line 1, column 26: the variable \"unset\" has no value; give --set unset=VALUE",
    );
    // The place is that of the text as written, whatever a variable's value is.
    starts(
        message(
            "CREATE SOURCE ${set} WITH (connector = 'table', kind = '${set}'); CREATE VIEW v AS SELECT nix FROM posts",
        ),
        "line 1, column 91: view \"v\": there is no column \"nix\"",
    );
    starts(message("CREATE VIEW v AS SELEC 1"), "line 1, column 18: syntax error");
    starts(
        message("CREATE VIEW v AS\n  SELECT (1 + 2 AS a"),
        "line 2, column 17: syntax error: expected: ), found: AS",
    );
}

/// Machine-made queries are long; none of them may take the process down.
#[test]
fn long_and_deep_queries_are_planned_or_refused() {
    let chain = |n: usize, joined: &str| (0..n).map(|n| format!("id + {n}")).collect::<Vec<_>>().join(joined);
    let job = |n| format!("{SOURCES}CREATE VIEW v AS SELECT id FROM posts WHERE 1 < {}", chain(n, " + "));
    check(&job(100), &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()));
    let long = message(&job(100_000));
    assert!(long.starts_with("line 3, column") && long.contains("the query chains more than 250 operators"), "{long}");
    let unions = vec!["SELECT id, grp FROM posts"; 100].join(" UNION ALL ");
    check(&format!("{SOURCES}CREATE VIEW v AS {unions}"), &|_| None, &common::registry())
        .unwrap_or_else(|error| panic!("{}", error.chain()));
    let unions = vec!["SELECT id, grp FROM posts"; 1000].join(" UNION ALL ");
    refused(&format!("CREATE VIEW v AS {unions}"), "line 3, column", "the query chains more than 250");
    let values = (0..20_000).map(|n| format!("({n}, -{n})")).collect::<Vec<_>>().join(", ");
    check(&format!("CREATE VIEW v (a, b) AS VALUES {values}"), &|_| None, &common::registry())
        .unwrap_or_else(|error| panic!("{}", error.chain()));
    // Each column is made of two, each of which is made of two.
    let halved = (0..40).fold("SELECT 1.5e0 * id AS a, 2.5e0 * id AS b FROM posts".to_string(), |query, _| {
        format!("SELECT greatest(a, b) AS a, least(a, b) AS b FROM ({query})")
    });
    check(&format!("{SOURCES}CREATE VIEW v AS {halved}"), &|_| None, &common::registry())
        .unwrap_or_else(|error| panic!("{}", error.chain()));
    let nested = format!("CREATE VIEW v AS SELECT {}1{} AS a", "(".repeat(500), ")".repeat(500));
    assert!(message(&nested).contains("nested more than"), "{}", message(&nested));
}

#[test]
fn columns_of_a_source_are_declared_with_types_and_a_key() {
    let with = "WITH (connector = 'table', kind = 'declared')";
    let declared = |columns: &str| format!("CREATE SOURCE s ({columns}) {with}");
    let source = declared(
        "id BIGINT, name TEXT, score DOUBLE PRECISION, price DECIMAL(9, 2), at TIMESTAMP, day DATE, ok BOOLEAN, \
         tags TEXT[], PRIMARY KEY (id, name)",
    );
    let text = format!("{source}; CREATE VIEW v AS SELECT id, at FROM s");
    let job = check(&text, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()));
    let relation = job.sources[0].source.relation();
    let types: Vec<String> = relation.schema.fields().iter().map(|field| format!("{:?}", field.data_type())).collect();
    assert_eq!(types[..4], ["Int64", "Utf8View", "Float64", "Decimal128(9, 2)"]);
    assert_eq!(types[4..7], ["Timestamp(Microsecond, Some(\"UTC\"))", "Date32", "Boolean"]);
    assert!(types[7].starts_with("List("), "{types:?}");
    assert_eq!(relation.key, [0, 1]);

    refused(&declared("id BIGINT PRIMARY KEY, PRIMARY KEY (id)"), "line 3, column 41: there are two primary keys", "");
    refused(
        &declared("id BIGINT, PRIMARY KEY (ide)"),
        "line 3, column 42: the primary key names \"ide\"",
        "declare it",
    );
    refused(&declared("id BLOB"), "line 3, column 18: column \"id\" cannot have the type BLOB", "TEXT[]");
    refused(&declared("id"), "line 3, column 18: column \"id\" needs a type", "write id TEXT");
    refused(&declared("id TEXT, id TEXT"), "line 3, column 27: there are two columns \"id\"", "another name");
}
