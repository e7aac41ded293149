//! The real binary in a folder of its own.

use std::path::PathBuf;
use std::process::{Command, Output};

use catchment_tests::repository;
use tempfile::TempDir;

/// A scratch folder with a job in it.
pub struct Place {
    folder: TempDir,
}

/// What a command printed, and how it ended.
pub struct Ran {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Place {
    /// An empty folder.
    pub fn new() -> Self {
        Place { folder: tempfile::tempdir().expect("the system has a folder for scratch files") }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it lies below the folder")).expect("folders can be made");
        std::fs::write(&path, bytes).expect("files can be written");
        path
    }

    /// The command `catchment`, run in the folder: the binary just built, unless `CATCHMENT` names another.
    pub fn command(&self) -> Command {
        let other = std::env::var("CATCHMENT").map(|path| repository(&path));
        let mut command = Command::new(other.unwrap_or_else(|_| env!("CARGO_BIN_EXE_catchment").into()));
        command.current_dir(self.folder.path()).env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
        command
    }

    /// Runs `catchment` with `arguments` to its end.
    pub fn catchment(&self, arguments: &[&str]) -> Ran {
        self.command().args(arguments).output().expect("the binary was built").into()
    }

    /// Runs the job `name` until it is idle, and returns its summary.
    ///
    /// # Panics
    /// If it fails, with what it printed.
    pub fn run(&self, arguments: &[&str]) -> serde_json::Value {
        let all: Vec<&str> = ["run"].iter().chain(arguments).chain(&["--until", "idle", "--json"]).copied().collect();
        let ran = self.catchment(&all);
        assert_eq!(ran.status, 0, "{all:?}: {}", ran.err);
        serde_json::from_str(&ran.out).expect("the summary is one JSON object")
    }
}
