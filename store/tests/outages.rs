//! A lake on an S3 server that is away, resets, loses answers, says 503, cuts bodies, says nothing or is slow for a while:
//! every call goes well once the trouble is over, what was put if absent is put once, and the log says so in few lines.
//!
//! Time passes a hundred times as fast as it does: 300 s are three. With `CATCHMENT_FAULTS=long` it passes as it does.

#![allow(clippy::unwrap_used, reason = "this is a test's code")]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use catchment_contract::{Environment, ErrorKind, Fault, PutOutcome, Result};
use catchment_store::testing::{S3Server, Trouble, hurried};
use catchment_store::{Lake, LakeStore};

fn is_long() -> bool {
    std::env::var("CATCHMENT_FAULTS").is_ok_and(|mode| mode == "long")
}

fn troubles() -> [Trouble; 7] {
    let slow = Trouble::Slow(Duration::from_millis(if is_long() { 1000 } else { 10 }));
    [Trouble::Away, Trouble::Reset, Trouble::Mute, Trouble::Busy, Trouble::Cut, Trouble::Silent, slow]
}

fn environment() -> Environment {
    hurried(if is_long() { 1 } else { 100 }, 1)
}

fn open(server: &S3Server, environment: &Environment) -> LakeStore {
    Lake::new(&server.lake("bucket/lake"), environment.clone()).unwrap().open().unwrap()
}

/// Lets `work` run in trouble that lasts for `outage`.
fn in_trouble<T: Send>(
    server: &S3Server,
    environment: &Environment,
    trouble: Trouble,
    outage: Duration,
    work: impl FnOnce() -> T + Send,
) -> T {
    server.set(trouble);
    std::thread::scope(|scope| {
        let working = scope.spawn(work);
        environment.sleep(outage);
        server.set(Trouble::None);
        working.join().unwrap()
    })
}

/// What the log's lines are written to.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn every_call_outlasts_every_trouble() {
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(log).unwrap();
    let (server, environment) = (S3Server::start(), environment());
    let lake = open(&server, &environment);
    lake.probe().unwrap();
    for (number, trouble) in troubles().into_iter().enumerate() {
        for seconds in [5, 60, 300] {
            let before = lines.0.lock().unwrap().len();
            let path = |what: &str| format!("{number}/{seconds}/{what}");
            lake.put(&path("old"), "old bytes").unwrap();
            lake.put(&path("gone"), "gone").unwrap();
            let work = || -> Result<()> {
                assert_eq!(lake.put_if_absent(&path("new"), "ours")?, PutOutcome::Created);
                lake.put(&path("other"), "other")?;
                assert_eq!(lake.get(&path("old"))?.unwrap(), "old bytes");
                lake.delete(&path("gone"))?;
                assert_eq!(lake.list(&path(""))?.len(), 3);
                Ok(())
            };
            in_trouble(&server, &environment, trouble, Duration::from_secs(seconds), work)
                .unwrap_or_else(|error| panic!("{trouble:?} for {seconds} s: {}", error.chain()));
            assert_eq!(lake.put_if_absent(&path("new"), "theirs").unwrap(), PutOutcome::Exists);
            assert_eq!(lake.get(&path("new")).unwrap().unwrap(), "ours");
            assert_eq!(lake.get(&path("gone")).unwrap(), None);
            let said = String::from_utf8(lines.0.lock().unwrap()[before..].to_vec()).unwrap();
            let warned = said.lines().filter(|line| line.contains("WARN")).count();
            assert!(warned <= 20, "{trouble:?} for {seconds} s left {warned} lines:\n{said}");
            assert!(!said.contains("testtest"), "{said}");
        }
    }
}

#[test]
fn patience_ends_and_what_is_certain_is_told_at_once() {
    let (server, environment) = (S3Server::start(), environment());
    let lake = Lake::new(&server.lake("bucket/lake"), environment.clone()).unwrap();
    let short = lake.with_patience(Duration::from_secs(20)).open().unwrap();
    server.set(Trouble::Away);
    let began = environment.now();
    let error = short.get("a").unwrap_err();
    let waited = environment.now() - began;
    assert!(waited >= Duration::from_secs(20) && waited < Duration::from_secs(120), "{waited:?}");
    assert_eq!(error.fault(), Fault::Remote);
    let text = format!("{} {error:?} {short:?}", error.chain());
    assert!(text.starts_with("could not read \"a\" in the lake \"s3://bucket/lake\": "), "{text}");
    assert!(text.contains("Connection refused") && !text.contains("testtest"), "{text}");
    server.set(Trouble::None);
    let before = server.requests();
    let error = open(&server, &environment).put("bad", "x").and_then(|()| {
        // The server knows no other method than those that are needed.
        let lake = Lake::new(&server.lake("bucket/lake").replace("region=", "colour="), environment.clone())?;
        lake.open().map(drop)
    });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(server.requests() <= before + 1, "nothing was tried twice");
}
