//! DuckDB as a judge: one Python process that reads requests as JSON lines and answers each with a line.
//!
//! Its optimiser is off, so that a fault of its rewrites is no finding (1.5.5 answers one row for `row_number() … <= 1` over
//! nothing, ordered by a constant), and what is compared is SQL's meaning, not two optimisers.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// Values as texts that do not depend on Python's taste: instants are microseconds and dates days since 1970.
const SERVE: &str = r#"
import datetime, json, sys
import duckdb
con = duckdb.connect()
con.execute("SET TimeZone = 'UTC'; SET threads = 1; SET autoinstall_known_extensions = false; SET enable_progress_bar = false")
con.execute("PRAGMA disable_optimizer")
epoch = datetime.datetime(1970, 1, 1)
def cell(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime.datetime):
        return str((value - epoch) // datetime.timedelta(microseconds=1))
    if isinstance(value, datetime.date):
        return str((value - epoch.date()).days)
    return str(value)
def answer(query):
    try:
        return {"rows": [[cell(value) for value in row] for row in con.execute(query).fetchall()]}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
for line in sys.stdin:
    request = json.loads(line)
    con.execute(request["setup"])
    print(json.dumps([answer(query) for query in request["queries"]]), flush=True)
"#;

/// Rows, or DuckDB's message.
pub type Answer = Result<Vec<Vec<Option<String>>>, String>;

/// A running DuckDB. It ends with its value.
pub struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// Starts one with the interpreter `python`.
    pub fn start(python: &Path) -> Session {
        let mut child = Command::new(python)
            .args(["-c", SERVE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the interpreter was found");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Session { child, input, output }
    }

    /// What each of `queries` gives after the statements `setup`.
    pub fn ask(&mut self, setup: &str, queries: &[String]) -> Vec<Answer> {
        let request = json!({ "setup": setup, "queries": queries }).to_string();
        self.input.write_all(format!("{request}\n").as_bytes()).expect("DuckDB reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("DuckDB answers");
        let answers: Vec<Value> =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in the answer to\n{setup}: {line}"));
        answers.into_iter().map(answer).collect()
    }
}

fn answer(mut value: Value) -> Answer {
    match value["error"].as_str() {
        Some(error) => Err(error.lines().next().unwrap_or_default().to_string()),
        None => Ok(serde_json::from_value(value["rows"].take()).expect("rows of texts")),
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
