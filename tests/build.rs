//! Tells tests what this machine has beside the repository: see `tests/src/lib.rs`.

use std::path::Path;
use std::process::{Command, Stdio};

fn main() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    println!("cargo::rustc-check-cfg=cfg(has_python, has_shared)");
    println!("cargo::rerun-if-env-changed=CI");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-changed={}", shared.display());
    let required = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if required || python.is_ok_and(|status| status.success()) {
        println!("cargo::rustc-cfg=has_python");
    }
    if required || shared.is_dir() {
        println!("cargo::rustc-cfg=has_shared");
    }
}
