//! DuckDB for tests: a Python virtual environment under `target/`, and queries in it.
//!
//! Tests read the lake as its users do. [`DuckDb::find`] makes `target/duckdb-venv` with the pinned packages when it is
//! missing (a minute, once); several test processes may call it at once, a file lock lets one of them do it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PACKAGES: [&str; 3] = ["duckdb==1.5.5", "duckdb-extension-delta==1.5.5", "zstandard==0.25.0"];

/// Reads statements from standard input, runs them, and prints the last one's rows, one JSON array of texts a line.
const RUN: &str = r#"
import importlib.util, json, os, sys
import duckdb
folder = os.path.dirname(importlib.util.find_spec("duckdb_extension_delta").origin)
extension = os.path.join(folder, "extensions", f"v{duckdb.__version__}", "delta.duckdb_extension")
con = duckdb.connect()
con.execute("SET TimeZone = 'UTC'; SET autoinstall_known_extensions = false; SET enable_progress_bar = false")
con.execute("LOAD '" + extension.replace("'", "''") + "'")
for name, value in json.loads(sys.argv[1]).items():
    con.execute(f"SET VARIABLE {name} = ?", [value])
rows = con.execute(sys.stdin.read()).fetchall()
for row in rows:
    print(json.dumps([None if cell is None else str(cell) for cell in row]))
"#;

/// A Python that has DuckDB and its Delta extension.
#[derive(Clone, Debug)]
pub struct DuckDb {
    python: PathBuf,
}

impl DuckDb {
    /// The environment under `target/` of the workspace, made if it is missing.
    ///
    /// # Panics
    /// If it cannot be made, with what is missing: without `python3` the tests that call this are ignored.
    pub fn find() -> DuckDb {
        let target = target_folder();
        let python = target.join("duckdb-venv/bin/python");
        match fs::create_dir_all(&target).and_then(|()| make(&target, &python)) {
            Ok(()) => DuckDb { python },
            Err(reason) => {
                panic!("could not make a Python environment with DuckDB in \"{}\": {reason}", target.display())
            }
        }
    }

    /// The interpreter.
    pub fn python(&self) -> &Path {
        &self.python
    }

    /// The rows of the last statement in `sql`, each value as Python prints it; `getvariable('name')` gives the text
    /// that `variables` binds to a name.
    ///
    /// # Errors
    /// DuckDB's message.
    pub fn query(&self, sql: &str, variables: &[(&str, &str)]) -> Result<Vec<Vec<Option<String>>>, String> {
        let bound: serde_json::Map<String, serde_json::Value> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let bound = serde_json::Value::Object(bound).to_string();
        let mut child = Command::new(&self.python)
            .args(["-c", RUN, &bound])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(sql.as_bytes()).map_err(|error| error.to_string())?;
        }
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().map(|line| serde_json::from_str(line).map_err(|error| error.to_string())).collect()
    }
}

/// The workspace's `target`, from the test binary's own place in it.
fn target_folder() -> PathBuf {
    let binary = std::env::current_exe().unwrap_or_default();
    let target = binary.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists()).map(Path::to_owned);
    target.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"))
}

/// Makes the environment, unless another process did. The lock is held while it is made, and goes with its process.
fn make(target: &Path, python: &Path) -> std::io::Result<()> {
    let lock = File::create(target.join("duckdb-venv.lock"))?;
    lock.lock()?;
    let folder = target.join("duckdb-venv");
    let ready = folder.join("ready");
    if fs::read_to_string(&ready).is_ok_and(|text| text == PACKAGES.join(" ")) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    run(Command::new(python).args(install).args(PACKAGES))?;
    fs::write(ready, PACKAGES.join(" "))
}

fn run(command: &mut Command) -> std::io::Result<()> {
    let Output { status, stderr, .. } = command.stdin(Stdio::null()).output()?;
    if status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
    Err(std::io::Error::other(format!("{:?} failed: {last}", command.get_program())))
}
