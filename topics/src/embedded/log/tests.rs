//! What a log does when the disk does not: through its public calls, except for the file that is taken away.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use catchment_contract::Environment;
use tempfile::TempDir;

use super::super::folder::{Lock, held};
use super::super::refused::Refused;
use super::{Limits, Log};
use crate::batch::{BatchBuilder, Producer};
use crate::broker::{Bounds, Fetched};

fn opened(folder: &TempDir, segment_bytes: u64) -> Log {
    let limits = Limits { segment_bytes, batch_bytes_max: 1 << 20, fsync: true };
    Log::open(&folder.path().join("0"), limits, Lock::take(folder.path()).unwrap(), &Environment::system()).unwrap()
}

fn batch(sequence: i32) -> Vec<u8> {
    batch_of(1, sequence)
}

fn batch_of(id: i64, sequence: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.push(None, &[b'v'; 100]);
    builder.finish(Producer { id, epoch: 0 }, sequence, 0)
}

#[test]
fn a_write_that_cannot_be_undone_stops_the_log_until_it_is_opened_anew() {
    let folder = TempDir::new().unwrap();
    let log = opened(&folder, 1 << 20);
    assert_eq!(log.append(&batch(0)).unwrap(), 0);
    // A file that can be read only: neither writing nor cutting works.
    let path = log.view().segments.back().unwrap().path.clone();
    held(&log.writer).file = Arc::new(File::open(path).unwrap());
    assert!(matches!(log.append(&batch(1)).unwrap_err(), Refused::Io { .. }));
    assert!(matches!(log.append(&batch(1)).unwrap_err(), Refused::Stopped(_)));
    assert_eq!(log.bounds().unwrap(), Bounds { start: 0, end: 1 });
    assert!(matches!(log.fetch(0, 100).unwrap(), Fetched::Batches { next: 1, .. }));
    drop(log);
    // What was not acknowledged was not remembered either.
    assert_eq!(opened(&folder, 1 << 20).append(&batch(1)).unwrap(), 1);
}

#[test]
fn a_segment_that_cannot_be_begun_refuses_the_append_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let log = opened(&folder, 150);
    log.append(&batch(0)).unwrap();
    let taken = folder.path().join("0").join(super::file_name(1));
    std::fs::create_dir(&taken).unwrap();
    assert!(matches!(log.append(&batch(1)).unwrap_err(), Refused::Io { .. }));
    std::fs::remove_dir(&taken).unwrap();
    assert_eq!(log.append(&batch(1)).unwrap(), 1);
    assert_eq!(log.view().segments.len(), 2);
}

#[test]
fn segments_go_by_age_and_by_bytes_from_the_oldest() {
    let folder = TempDir::new().unwrap();
    let log = opened(&folder, 150);
    for sequence in 0..10 {
        log.append(&batch(sequence)).unwrap();
    }
    let (now, hour) = (Environment::system().wall(), Duration::from_secs(3600));
    assert_eq!(log.view().segments.len(), 10);
    assert_eq!(log.retain(now, hour, None).unwrap(), 0);
    let each = log.bytes() / 10;
    assert_eq!(log.retain(now, hour, Some(each * 7)).unwrap(), 3);
    assert_eq!(log.bounds().unwrap(), Bounds { start: 3, end: 10 });
    assert_eq!(log.fetch(2, 100).unwrap(), Fetched::Evicted { start: 3 });
    // However old, the active one stays.
    assert_eq!(log.retain(now + hour * 2, hour, Some(0)).unwrap(), 6);
    assert_eq!(log.bounds().unwrap(), Bounds { start: 9, end: 10 });
    // A clock that was set back drops nothing.
    assert_eq!(log.retain(now - hour, Duration::ZERO, None).unwrap(), 0);
    log.delete();
    assert!(matches!(log.append(&batch(10)).unwrap_err(), Refused::Deleted));
    assert!(matches!(log.fetch(9, 100).unwrap_err(), Refused::Deleted));
    assert_eq!(log.retain(now + hour * 2, hour, Some(0)).unwrap(), 0);
}

/// Lost before: what came after the file that stayed was removed, and the log could not be opened for the hole.
#[test]
fn retention_does_not_go_past_a_file_that_cannot_be_removed() {
    let folder = TempDir::new().unwrap();
    let log = opened(&folder, 150);
    for sequence in 0..10 {
        log.append(&batch(sequence)).unwrap();
    }
    let (now, hour, each) = (Environment::system().wall(), Duration::from_secs(3600), log.bytes() / 10);
    let file = |base: i64| folder.path().join("0").join(super::file_name(base));
    let there = || (0..10).filter(|base| file(*base).exists()).collect::<Vec<_>>();
    // A folder cannot be removed as a file is.
    std::fs::rename(file(1), folder.path().join("aside")).unwrap();
    std::fs::create_dir(file(1)).unwrap();
    assert_eq!(log.retain(now, hour, Some(each * 7)).unwrap(), 3);
    assert_eq!(log.bounds().unwrap(), Bounds { start: 3, end: 10 });
    assert_eq!(there(), (1..10).collect::<Vec<_>>());
    assert_eq!(log.retain(now, hour, Some(each * 5)).unwrap(), 2);
    assert_eq!(there(), (1..10).collect::<Vec<_>>());
    // A start finds a run without a hole.
    std::fs::remove_dir(file(1)).unwrap();
    std::fs::rename(folder.path().join("aside"), file(1)).unwrap();
    let recovered = super::recover(&folder.path().join("0")).unwrap();
    assert_eq!((recovered.segments.len(), recovered.end), (9, 10));
    // Nothing is due any more but what was left.
    assert_eq!(log.retain(now, hour, None).unwrap(), 0);
    assert_eq!(there(), (5..10).collect::<Vec<_>>());
}

/// Lost before: after a power cut the batch was not there, and was refused as repeated when it was sent again.
#[test]
fn a_producer_whose_batch_was_cut_off_may_send_it_again() {
    let folder = TempDir::new().unwrap();
    let log = opened(&folder, 150);
    for sequence in 0..3 {
        log.append(&batch(sequence)).unwrap();
    }
    assert_eq!(log.append(&batch_of(2, 7)).unwrap(), 3);
    // Writes producers.json, with both producers.
    let each = log.bytes() / 4;
    assert_eq!(log.retain(Environment::system().wall(), Duration::from_secs(3600), Some(each * 3)).unwrap(), 1);
    drop(log);
    let active = File::options().write(true).open(folder.path().join("0").join(super::file_name(3))).unwrap();
    active.set_len(each / 2).unwrap();
    let log = opened(&folder, 150);
    assert_eq!(log.bounds().unwrap(), Bounds { start: 1, end: 3 });
    assert!(matches!(log.append(&batch(2)).unwrap_err(), Refused::Repeated { .. }));
    assert_eq!(log.append(&batch_of(2, 7)).unwrap(), 3);
}

#[test]
fn the_most_producers_are_remembered_in_bounded_memory() {
    let folder = TempDir::new().unwrap();
    let limits = Limits { segment_bytes: 1 << 30, batch_bytes_max: 1 << 20, fsync: false };
    let lock = Lock::take(folder.path()).unwrap();
    let log = Log::open(&folder.path().join("0"), limits, lock, &Environment::system()).unwrap();
    let of = |id: i64| {
        let mut builder = BatchBuilder::new();
        builder.push(None, b"v");
        builder.finish(Producer { id, epoch: 0 }, 0, 0)
    };
    // Just over the bound of 65,536: the older half goes, and the newer half is still refused.
    for first in (1..=65_537).step_by(4096) {
        let set: Vec<u8> = (first..(first + 4096).min(65_538)).flat_map(of).collect();
        log.append(&set).unwrap();
    }
    assert!(matches!(log.append(&of(65_537)).unwrap_err(), Refused::Repeated { .. }));
    assert!(matches!(log.append(&of(40_000)).unwrap_err(), Refused::Repeated { .. }));
    log.append(&of(1)).unwrap();
    assert!(matches!(log.append(&of(1)).unwrap_err(), Refused::Repeated { .. }));
}
