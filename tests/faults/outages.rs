//! A job whose lake lies on an S3 server that goes away, resets, loses answers, is busy, cuts bodies, says nothing or is
//! slow for a while: it waits, goes on, and its table holds everything once.
//!
//! Time passes a hundred times as fast as it does, so that 300 s are three; with `CATCHMENT_FAULTS=long` as it does.

use std::time::Duration;

use catchment::{Lake, StopHandle};
use catchment_store::testing::{S3Server, Trouble, hurried};

use crate::world::{comment, job, options, rows, run};

fn factor() -> u32 {
    if std::env::var("CATCHMENT_FAULTS").is_ok_and(|mode| mode == "long") { 1 } else { 100 }
}

fn troubles() -> [Trouble; 7] {
    // A second as the job counts it: for ever so many requests, each of which comes to its end.
    let slow = Trouble::Slow(Duration::from_secs(1) / factor());
    [Trouble::Away, Trouble::Reset, Trouble::Mute, Trouble::Busy, Trouble::Cut, Trouble::Silent, slow]
}

#[test]
fn a_job_that_stays_outlasts_every_outage() {
    let (folder, server) = (tempfile::tempdir().unwrap(), S3Server::start());
    let environment = hurried(factor(), 7);
    let lake = Lake::new(&server.lake("bucket/lake"), environment.clone()).unwrap();
    let input =
        |id: u32| std::fs::write(folder.path().join(format!("{id}.ndjson")), comment(id, "rust", 1, 1)).unwrap();
    input(0);
    let stop = StopHandle::new();
    let mut options = options();
    options.checkpoint_interval = Duration::from_secs(1);
    let mut runtime = job(folder.path(), &lake).open(options, &stop).unwrap();
    let running = std::thread::spawn(move || runtime.stay().and_then(|()| runtime.finish()));
    let mut expected = 1;
    for seconds in [5, 60, 300] {
        for trouble in troubles() {
            server.set(trouble);
            input(expected);
            expected += 1;
            environment.sleep(Duration::from_secs(seconds));
            assert!(!running.is_finished(), "the job ended in {trouble:?} of {seconds} s");
            server.set(Trouble::None);
            // Patience counts since the last progress: the next outage begins after some.
            while rows(&lake) != [format!("rust|{expected}|{expected}")] {
                assert!(!running.is_finished(), "the job ended after {trouble:?} of {seconds} s");
                environment.sleep(Duration::from_secs(1));
            }
        }
    }
    stop.stop();
    running.join().unwrap().unwrap_or_else(|error| panic!("{}", error.chain()));
    run(folder.path(), &lake).unwrap();
    assert_eq!(rows(&lake), [format!("rust|{expected}|{expected}")]);
}

#[test]
fn a_run_to_the_end_outlasts_an_outage_too() {
    let (folder, server) = (tempfile::tempdir().unwrap(), S3Server::start());
    let environment = hurried(factor(), 8);
    let lake = Lake::new(&server.lake("bucket/lake"), environment.clone()).unwrap();
    for (id, trouble) in troubles().into_iter().enumerate() {
        std::fs::write(folder.path().join(format!("{id}.ndjson")), comment(id as u32, "rust", 1, 1)).unwrap();
        server.set(trouble);
        std::thread::scope(|scope| {
            let running = scope.spawn(|| run(folder.path(), &lake));
            environment.sleep(Duration::from_secs(60));
            server.set(Trouble::None);
            running.join().unwrap().unwrap_or_else(|error| panic!("{trouble:?}: {}", error.chain()));
        });
    }
    assert_eq!(rows(&lake), ["rust|7|7"]);
}

/// A store that is slow for good is no outage: nothing is repeated, and every run comes to its end.
#[test]
fn a_job_lives_with_a_slow_store() {
    let (folder, server) = (tempfile::tempdir().unwrap(), S3Server::start());
    let lake = Lake::new(&server.lake("bucket/lake"), hurried(1, 10)).unwrap();
    server.set(Trouble::Slow(Duration::from_millis(if factor() == 1 { 200 } else { 2 })));
    for id in 0..3 {
        std::fs::write(folder.path().join(format!("{id}.ndjson")), comment(id, "rust", 1, 1)).unwrap();
        run(folder.path(), &lake).unwrap_or_else(|error| panic!("{}", error.chain()));
        assert_eq!(rows(&lake), [format!("rust|{}|{}", id + 1, id + 1)]);
    }
}

#[test]
fn patience_ends_and_the_next_run_goes_on() {
    let (folder, server) = (tempfile::tempdir().unwrap(), S3Server::start());
    let environment = hurried(factor(), 9);
    let lake = Lake::new(&server.lake("bucket/lake"), environment.clone()).unwrap();
    std::fs::write(folder.path().join("a.ndjson"), comment(1, "rust", 1, 1)).unwrap();
    run(folder.path(), &lake).unwrap();
    std::fs::write(folder.path().join("b.ndjson"), comment(2, "rust", 1, 1)).unwrap();
    server.set(Trouble::Away);
    let error = run(folder.path(), &lake.clone().with_patience(Duration::from_secs(5))).unwrap_err();
    assert!(error.chain().contains("in the lake \"s3://bucket/lake\""), "{}", error.chain());
    assert!(!error.chain().contains("testtest"), "{}", error.chain());
    server.set(Trouble::None);
    run(folder.path(), &lake).unwrap();
    assert_eq!(rows(&lake), ["rust|2|2"]);
}
