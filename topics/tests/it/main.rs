//! Topics from outside: the embedded broker by its own calls, by Fluvio's protocol and by the stock client; the wire client
//! against a hand-made server that misbehaves on purpose, and through a network that cuts connections.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_methods, reason = "real sockets and files are waited for in real time")]

mod cluster;
mod embedded;
mod limits;
mod malformed;
mod mutations;
mod stock;
#[cfg(target_os = "linux")]
mod watches;
mod wire;

use std::process::Command;
use std::sync::Arc;

use catchment_contract::{Environment, Result};
use catchment_topics::{Embedded, EmbeddedOptions};

/// A broker with the system's clock.
fn try_start(options: EmbeddedOptions) -> Result<Arc<Embedded>> {
    Embedded::start(options, &Environment::system())
}

fn start(options: EmbeddedOptions) -> Arc<Embedded> {
    try_start(options).unwrap()
}

/// Runs `body`, the whole of test `name`, in a process that runs nothing else: what it asserts of memory, files or sockets
/// is then its own.
fn alone(name: &str, body: impl FnOnce()) {
    const CHILD: &str = "CATCHMENT_TEST_ALONE";
    if std::env::var(CHILD).is_ok_and(|child| child == name) {
        return body();
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, name)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    println!("{out}");
    assert!(child.status.success() && out.contains("1 passed"), "{out}\n{err}");
}
