//! The embedded broker for callers in its own process: appending, reading, waiting, retention, recovery, its lock.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use catchment_contract::{ErrorKind, Fault, Outcome};
use catchment_topics::batch::{BatchBuilder, Producer, batches};
use catchment_topics::{Bounds, Broker, Embedded, EmbeddedOptions, Fetched, PartitionClient, TopicSpec};
use tempfile::TempDir;

const NOBODY: Producer = Producer { id: -1, epoch: -1 };

fn options(folder: &Path) -> EmbeddedOptions {
    EmbeddedOptions { folder: folder.to_owned(), ..EmbeddedOptions::default() }
}

fn started(folder: &TempDir) -> Arc<Embedded> {
    crate::start(options(folder.path()))
}

fn partitions(count: u32) -> TopicSpec {
    TopicSpec { partitions: count, ..TopicSpec::default() }
}

/// A batch of records `from..to`, each with its number as key and `size` bytes of value that begin with it.
fn numbers(from: u64, to: u64, size: usize) -> Vec<u8> {
    batch_of(from, to, size, NOBODY, -1)
}

fn batch_of(from: u64, to: u64, size: usize, producer: Producer, sequence: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for number in from..to {
        let mut value = number.to_string().into_bytes();
        value.resize(size.max(value.len()), b' ');
        builder.push(Some(number.to_string().as_bytes()), &value);
    }
    builder.finish(producer, sequence, 1_700_000_000_000)
}

/// Every record's (offset, number) from the start to the end.
fn read_all(client: &mut dyn PartitionClient, max_bytes: usize) -> Vec<(i64, u64)> {
    let mut from = client.bounds().unwrap().start;
    let mut all = Vec::new();
    loop {
        let Fetched::Batches { bytes, next } = client.fetch(from, max_bytes).unwrap() else { panic!("evicted") };
        if bytes.is_empty() {
            return all;
        }
        for batch in batches(&bytes) {
            let mut scratch = Vec::new();
            for record in batch.records(&mut scratch).unwrap() {
                let record = record.unwrap();
                all.push((record.offset, str::from_utf8(record.key.unwrap()).unwrap().parse().unwrap()));
            }
        }
        from = next;
    }
}

fn expected(records: u64) -> Vec<(i64, u64)> {
    (0..records).map(|number| (number as i64, number)).collect()
}

fn log_files(folder: &Path, topic: &str, partition: u32) -> Vec<PathBuf> {
    let folder = folder.join("topics").join(topic).join(partition.to_string());
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn topics_are_made_listed_and_deleted() {
    let folder = TempDir::new().unwrap();
    let broker = started(&folder);
    let spec = TopicSpec { partitions: 3, replication: 1, retention: Some(Duration::from_millis(90_500)) };
    broker.create("orders", &spec).unwrap();
    let names: Vec<String> = broker.topics().unwrap().into_iter().map(|topic| topic.name).collect();
    assert_eq!(names, ["consumer-offset", "orders"]);
    let facts = broker.topic("orders").unwrap().unwrap();
    assert_eq!((facts.partitions, facts.system, facts.rebuilt), (3, false, false));
    assert_eq!(facts.retention, Some(Duration::from_secs(91)), "kept at least as long as asked");
    assert!(broker.topic("consumer-offset").unwrap().unwrap().system);

    assert_eq!(broker.create("orders", &spec).unwrap_err().kind(), ErrorKind::Taken);
    for name in ["", "Orders", "a_b", "-a", "a-", "a/b", "..", &"a".repeat(64)] {
        let error = broker.create(name, &spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
        assert!(error.to_string().contains(&format!("\"{name}\"")), "{error}");
    }
    assert_eq!(broker.create("none", &partitions(0)).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(broker.create("many", &partitions(1025)).unwrap_err().kind(), ErrorKind::Invalid);

    let mut client = broker.partition("orders", 2).unwrap();
    client.produce(&numbers(0, 1, 10)).unwrap();
    assert_eq!(broker.partition("orders", 3).err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(broker.partition("other", 0).err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(broker.delete("consumer-offset").unwrap_err().kind(), ErrorKind::Denied);
    broker.delete("orders").unwrap();
    assert_eq!(broker.delete("orders").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(client.produce(&numbers(0, 1, 10)).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(client.bounds().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(client.wait(0, Duration::from_secs(60)).unwrap_err().kind(), ErrorKind::NotFound);
    broker.create("orders", &partitions(1)).unwrap();
    assert_eq!(broker.partition("orders", 0).unwrap().bounds().unwrap(), Bounds { start: 0, end: 0 });
}

#[test]
fn a_topic_may_be_widened() {
    let folder = TempDir::new().unwrap();
    let broker = started(&folder);
    broker.create("wide", &partitions(1)).unwrap();
    broker.partition("wide", 0).unwrap().produce(&numbers(0, 5, 10)).unwrap();
    broker.widen("wide", 3).unwrap();
    broker.partition("wide", 2).unwrap().produce(&numbers(0, 7, 10)).unwrap();
    assert_eq!(broker.widen("wide", 2).unwrap_err().kind(), ErrorKind::Invalid);
    drop(broker);
    let broker = started(&folder);
    assert_eq!(broker.topic("wide").unwrap().unwrap().partitions, 3);
    assert_eq!(broker.partition("wide", 0).unwrap().bounds().unwrap().end, 5);
    assert_eq!(broker.partition("wide", 2).unwrap().bounds().unwrap().end, 7);
}

#[test]
fn what_is_appended_is_read_in_order_over_segments_and_restarts() {
    let folder = TempDir::new().unwrap();
    let options = EmbeddedOptions { segment_bytes: 20_000, ..options(folder.path()) };
    let mut written = 0;
    for _ in 0..3 {
        let broker = crate::start(options.clone());
        if broker.topic("n").unwrap().is_none() {
            broker.create("n", &partitions(1)).unwrap();
        }
        let mut client = broker.partition("n", 0).unwrap();
        for count in [1, 2, 3, 50, 400, 7, 1, 100] {
            let base = client.produce(&numbers(written, written + count, 40)).unwrap();
            assert_eq!(base, written as i64);
            written += count;
        }
        assert_eq!(client.bounds().unwrap(), Bounds { start: 0, end: written as i64 });
        for max_bytes in [0, 1, 1000, 20_000, 1 << 20] {
            assert_eq!(read_all(client.as_mut(), max_bytes), expected(written), "max_bytes {max_bytes}");
        }
        // From every offset, the batch that holds it.
        for from in 0..written as i64 {
            let Fetched::Batches { bytes, next } = client.fetch(from, 1).unwrap() else { panic!("evicted") };
            let found: Vec<_> = batches(&bytes).map(|batch| batch.header).collect();
            assert_eq!(found.len(), 1);
            assert!(found[0].base_offset <= from && from < found[0].next_offset());
            assert_eq!(next, found[0].next_offset());
        }
    }
    assert!(log_files(folder.path(), "n", 0).len() > 2);
}

#[test]
fn the_end_is_empty_and_beyond_it_is_an_error() {
    let folder = TempDir::new().unwrap();
    let broker = started(&folder);
    broker.create("n", &partitions(1)).unwrap();
    let mut client = broker.partition("n", 0).unwrap();
    assert_eq!(client.fetch(0, 100).unwrap(), Fetched::Batches { bytes: Default::default(), next: 0 });
    client.produce(&numbers(0, 3, 10)).unwrap();
    assert_eq!(client.fetch(3, 100).unwrap(), Fetched::Batches { bytes: Default::default(), next: 3 });
    let error = client.fetch(4, 100).unwrap_err();
    assert_eq!(error.fault(), Fault::Data);
    assert!(error.chain().contains("partition 0 of topic \"n\""), "{error:?}");
}

#[test]
fn malformed_and_large_batches_are_refused_and_change_nothing() {
    let folder = TempDir::new().unwrap();
    let options = EmbeddedOptions { request_bytes_max: 10_000, ..options(folder.path()) };
    let broker = crate::start(options);
    broker.create("n", &partitions(1)).unwrap();
    let mut client = broker.partition("n", 0).unwrap();
    let good = numbers(0, 10, 100);
    for cut in 0..good.len() {
        assert_eq!(client.produce(&good[..cut]).unwrap_err().outcome(), Outcome::NotApplied, "cut at {cut}");
    }
    // The base offset alone may be anything (but not negative): the broker sets it.
    for at in 8..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        // The leader epoch says nothing and is not covered by the checksum.
        if !(12..16).contains(&at) {
            assert!(client.produce(&bad).is_err(), "byte {at} changed");
        }
    }
    let error = client.produce(&numbers(0, 1, 20_000)).unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::TooLarge, Outcome::NotApplied));
    assert!(error.to_string().contains("limit of 10000 bytes"), "{error}");
    let before = client.bounds().unwrap().end;
    assert_eq!(client.produce(&good).unwrap(), before);
}

#[test]
fn a_repeated_sequence_is_refused_also_after_a_restart_and_after_retention() {
    let folder = TempDir::new().unwrap();
    let options = EmbeddedOptions { segment_bytes: 1_000, retention: Duration::ZERO, ..options(folder.path()) };
    let one = Producer { id: 7, epoch: 0 };
    let other = Producer { id: 8, epoch: 0 };
    let broker = crate::start(options.clone());
    broker.create("n", &partitions(2)).unwrap();
    let mut client = broker.partition("n", 0).unwrap();
    assert_eq!(client.produce(&batch_of(0, 2, 10, one, 0)).unwrap(), 0);
    assert_eq!(client.produce(&batch_of(2, 4, 10, one, 5)).unwrap(), 2);
    for sequence in [0, 3, 5] {
        let error = client.produce(&batch_of(2, 4, 10, one, sequence)).unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Taken, Outcome::NotApplied));
        assert!(error.to_string().contains(&format!("sequence {sequence} of producer 7")), "{error}");
    }
    assert_eq!(client.produce(&batch_of(4, 5, 10, other, 0)).unwrap(), 4);
    // Another partition counts for itself; producers without an id are never refused.
    assert_eq!(broker.partition("n", 1).unwrap().produce(&batch_of(0, 1, 10, one, 0)).unwrap(), 0);
    for id in [-1, 0] {
        for _ in 0..2 {
            client.produce(&batch_of(5, 6, 10, Producer { id, epoch: 0 }, 0)).unwrap();
        }
    }
    for number in 0..20 {
        client.produce(&batch_of(number, number + 1, 400, NOBODY, -1)).unwrap();
    }
    drop(client);
    drop(broker);
    for _ in 0..2 {
        // A start drops what is too old: here all but the active segment.
        let broker = crate::start(options.clone());
        let mut client = broker.partition("n", 0).unwrap();
        assert!(client.bounds().unwrap().start > 6);
        assert_eq!(client.produce(&batch_of(0, 1, 10, one, 5)).unwrap_err().kind(), ErrorKind::Taken);
        assert_eq!(client.produce(&batch_of(0, 1, 10, other, 0)).unwrap_err().kind(), ErrorKind::Taken);
    }
    let broker = crate::start(options);
    broker.partition("n", 0).unwrap().produce(&batch_of(0, 1, 10, one, 6)).unwrap();
}

#[test]
fn old_segments_are_dropped_but_never_the_active_one() {
    let folder = TempDir::new().unwrap();
    let options = EmbeddedOptions { segment_bytes: 1_000, ..options(folder.path()) };
    let broker = crate::start(options.clone());
    let keep = TopicSpec { retention: Some(Duration::from_secs(3600)), ..partitions(1) };
    broker.create("n", &keep).unwrap();
    let mut client = broker.partition("n", 0).unwrap();
    for number in 0..30 {
        client.produce(&numbers(number, number + 1, 300)).unwrap();
    }
    drop(client);
    drop(broker);
    let files = log_files(folder.path(), "n", 0);
    assert!(files.len() > 5);
    // The first four, and the active one, were written two hours ago.
    let old = std::time::SystemTime::now() - Duration::from_secs(7200);
    for file in files[..4].iter().chain(files.last()) {
        fs::File::options().write(true).open(file).unwrap().set_modified(old).unwrap();
    }
    let broker = crate::start(options);
    assert_eq!(log_files(folder.path(), "n", 0), files[4..]);
    let mut client = broker.partition("n", 0).unwrap();
    let Bounds { start, end } = client.bounds().unwrap();
    assert_eq!(end, 30);
    assert!(start > 0);
    assert_eq!(client.fetch(start - 1, 100).unwrap(), Fetched::Evicted { start });
    assert_eq!(read_all(client.as_mut(), 100), expected(30)[start as usize..]);
}

#[test]
fn a_sync_takes_all_segments_and_appends_go_on() {
    let folder = TempDir::new().unwrap();
    let broker = crate::start(EmbeddedOptions { segment_bytes: 300, ..options(folder.path()) });
    broker.create("n", &partitions(1)).unwrap();
    let mut client = broker.partition("n", 0).unwrap();
    for round in 0..3 {
        for number in round * 10..round * 10 + 10 {
            client.produce(&numbers(number, number + 1, 100)).unwrap();
        }
        client.sync().unwrap();
        client.sync().unwrap();
    }
    assert!(log_files(folder.path(), "n", 0).len() > 5);
    assert_eq!(read_all(client.as_mut(), 1000), expected(30));
    broker.delete("n").unwrap();
    assert_eq!(client.produce(&numbers(30, 31, 10)).unwrap_err().kind(), ErrorKind::NotFound);
}

/// Lost before: without a sync of each batch a power cut may take the end of a segment that was sealed already, and the
/// broker did not start any more.
#[test]
fn a_torn_sealed_segment_ends_the_log_and_what_follows_is_set_aside() {
    let folder = TempDir::new().unwrap();
    let options = EmbeddedOptions { segment_bytes: 400, ..options(folder.path()) };
    {
        let broker = crate::start(options.clone());
        broker.create("n", &partitions(1)).unwrap();
        let mut client = broker.partition("n", 0).unwrap();
        for number in 0..12 {
            client.produce(&numbers(number, number + 1, 100)).unwrap();
        }
    }
    let files = log_files(folder.path(), "n", 0);
    let (whole, each) = (fs::read(&files[1]).unwrap(), 12 / files.len());
    assert!(files.len() >= 4 && each >= 2, "{files:?}");
    let batch = whole.len() / each;
    let zeroed = |from: usize| [&whole[..from], &vec![0; whole.len() - from][..]].concat();
    let torn = [
        (whole[..batch + 30].to_vec(), 1),
        (whole[..batch + 100].to_vec(), 1),
        (zeroed(batch), 1),
        (vec![], 0),
        (zeroed(0), 0),
    ];
    for (bytes, kept) in torn {
        let other = TempDir::new().unwrap();
        copy(folder.path(), other.path());
        fs::write(&log_files(other.path(), "n", 0)[1], &bytes).unwrap();
        let options = EmbeddedOptions { folder: other.path().to_owned(), ..options.clone() };
        let broker = crate::start(options.clone());
        let mut client = broker.partition("n", 0).unwrap();
        let end = (each + kept) as u64;
        assert_eq!(read_all(client.as_mut(), 1000), expected(end), "{} bytes are left", bytes.len());
        assert_eq!(client.produce(&numbers(end, end + 1, 100)).unwrap(), end as i64);
        drop((client, broker));
        let broker = crate::start(options);
        assert_eq!(read_all(broker.partition("n", 0).unwrap().as_mut(), 1000), expected(end + 1));
        let set_aside = fs::read_dir(other.path().join("topics/n/0")).unwrap();
        let lost = set_aside.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".lost"));
        assert_eq!(lost.count(), files.len() - 2);
    }
}

/// Every byte of the broker's own files flipped, each file emptied and cut: as before, or refused by the file's name.
#[test]
fn a_changed_byte_of_the_brokers_own_files_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    {
        let broker = crate::start(EmbeddedOptions { segment_bytes: 200, ..options(folder.path()) });
        broker.create("n", &partitions(3)).unwrap();
        let mut client = broker.partition("n", 0).unwrap();
        for sequence in 0..3 {
            client.produce(&batch_of(0, 1, 150, Producer { id: 9, epoch: 0 }, sequence)).unwrap();
        }
    }
    // Dropping a segment writes what is remembered of producers.
    let old = std::time::SystemTime::now() - Duration::from_secs(30 * 24 * 3600);
    let first = log_files(folder.path(), "n", 0).remove(0);
    fs::File::options().write(true).open(first).unwrap().set_modified(old).unwrap();
    drop(started(&folder));
    for name in ["topics/n/topic.json", "topics/n/0/producers.json"] {
        let file = folder.path().join(name);
        let whole = fs::read(&file).unwrap();
        let mut changed: Vec<Vec<u8>> =
            (0..whole.len()).map(|at| [&whole[..at], &[whole[at] ^ 4], &whole[at + 1..]].concat()).collect();
        changed.extend([0, 1, whole.len() / 2, whole.len() - 1].map(|cut| whole[..cut].to_vec()));
        for bytes in changed {
            fs::write(&file, &bytes).unwrap();
            let error = crate::try_start(options(folder.path())).err().unwrap();
            assert_eq!(error.fault(), Fault::Data);
            assert!(error.to_string().contains(name) && error.hint().is_some(), "{error}");
        }
        fs::write(&file, &whole).unwrap();
    }
    assert_eq!(started(&folder).topic("n").unwrap().unwrap().partitions, 3);
}

#[test]
fn a_torn_end_recovers_to_a_prefix_wherever_it_is_cut() {
    let folder = TempDir::new().unwrap();
    {
        let broker = started(&folder);
        broker.create("n", &partitions(1)).unwrap();
        let mut client = broker.partition("n", 0).unwrap();
        client.produce(&numbers(0, 4, 30)).unwrap();
        client.produce(&numbers(4, 9, 30)).unwrap();
    }
    let last = numbers(4, 9, 30).len() as u64;
    let file = log_files(folder.path(), "n", 0).remove(0);
    let whole = fs::metadata(&file).unwrap().len();
    for cut in whole - last..=whole {
        let other = TempDir::new().unwrap();
        copy(folder.path(), other.path());
        let file = log_files(other.path(), "n", 0).remove(0);
        fs::File::options().write(true).open(&file).unwrap().set_len(cut).unwrap();
        let broker = started(&other);
        let mut client = broker.partition("n", 0).unwrap();
        let kept = if cut == whole { 9 } else { 4 };
        assert_eq!(read_all(client.as_mut(), 10), expected(kept), "cut at {cut} of {whole}");
        assert_eq!(client.produce(&numbers(kept, kept + 1, 30)).unwrap(), kept as i64);
        assert_eq!(read_all(client.as_mut(), 10), expected(kept + 1));
    }
}

#[test]
fn zeros_at_the_end_are_cut_off() {
    let folder = TempDir::new().unwrap();
    {
        let broker = started(&folder);
        broker.create("n", &partitions(1)).unwrap();
        broker.partition("n", 0).unwrap().produce(&numbers(0, 4, 30)).unwrap();
    }
    let file = log_files(folder.path(), "n", 0).remove(0);
    let whole = fs::metadata(&file).unwrap().len();
    fs::File::options().write(true).open(&file).unwrap().set_len(whole + 5000).unwrap();
    let broker = started(&folder);
    assert_eq!(read_all(broker.partition("n", 0).unwrap().as_mut(), 10), expected(4));
    assert_eq!(fs::metadata(&file).unwrap().len(), whole);
}

#[test]
fn damage_in_the_middle_is_an_error_with_file_and_place() {
    let folder = TempDir::new().unwrap();
    let options = EmbeddedOptions { segment_bytes: 2_000, ..options(folder.path()) };
    {
        let broker = crate::start(options.clone());
        broker.create("n", &partitions(1)).unwrap();
        let mut client = broker.partition("n", 0).unwrap();
        for number in 0..10 {
            client.produce(&numbers(number * 10, number * 10 + 10, 30)).unwrap();
        }
    }
    let files = log_files(folder.path(), "n", 0);
    let one = numbers(0, 10, 30).len();
    let damaged = |file: &Path, at: usize| {
        let other = TempDir::new().unwrap();
        copy(folder.path(), other.path());
        let file = other.path().join(file.strip_prefix(folder.path()).unwrap());
        let mut bytes = fs::read(&file).unwrap();
        bytes[at] ^= 0xff;
        fs::write(&file, bytes).unwrap();
        (other, file)
    };
    // The active segment's first batch, in its header and in its records: found at start.
    let active = files.last().unwrap();
    assert!(fs::metadata(active).unwrap().len() as usize > one);
    for at in [8, 9, 16, 20, one / 2] {
        let (other, file) = damaged(active, at);
        let options = EmbeddedOptions { folder: other.path().to_owned(), ..options.clone() };
        let error = crate::try_start(options).err().unwrap();
        assert_eq!(error.fault(), Fault::Data, "byte {at}: {error:?}");
        let text = error.to_string();
        assert!(text.contains(&format!("\"{}\" is damaged at byte 0", file.display())), "{text}");
    }
    // A sealed segment's records: found when they are read, and nothing else is lost.
    let (other, file) = damaged(&files[0], one / 2);
    let broker = crate::start(EmbeddedOptions { folder: other.path().to_owned(), ..options.clone() });
    let mut client = broker.partition("n", 0).unwrap();
    let Fetched::Damaged { next, why } = client.fetch(0, 10).unwrap() else { panic!("it is damaged") };
    assert!(why.contains(&format!("\"{}\" is damaged at byte 0", file.display())), "{why}");
    assert_eq!(next, 10);
    let Fetched::Batches { next, .. } = client.fetch(10, 10).unwrap() else { panic!("evicted") };
    assert_eq!(next, 20);
    drop((client, broker));
    // A segment that is gone.
    let (other, file) = damaged(&files[1], 0);
    fs::remove_file(&file).unwrap();
    let error = crate::try_start(EmbeddedOptions { folder: other.path().to_owned(), ..options }).err().unwrap();
    assert!(error.to_string().contains("a file is missing"), "{error}");
}

#[test]
fn a_folder_has_one_broker_at_a_time() {
    let folder = TempDir::new().unwrap();
    let broker = started(&folder);
    broker.create("n", &partitions(1)).unwrap();
    let error = crate::try_start(options(folder.path())).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Taken);
    let text = error.chain();
    assert!(text.contains(&folder.path().display().to_string()), "{text}");
    assert!(text.contains(&format!("--topics {}", broker.controller())), "{text}");
    // Who can still write holds the folder.
    let client = broker.partition("n", 0).unwrap();
    drop(broker);
    assert_eq!(crate::try_start(options(folder.path())).err().unwrap().kind(), ErrorKind::Taken);
    drop(client);
    started(&folder);
}

#[test]
fn waiting_ends_with_the_append() {
    let folder = TempDir::new().unwrap();
    let broker = started(&folder);
    broker.create("n", &partitions(1)).unwrap();
    let mut writer = broker.partition("n", 0).unwrap();
    let mut reader = broker.partition("n", 0).unwrap();
    assert!(!reader.wait(0, Duration::from_millis(1)).unwrap());
    let waiting = thread::spawn(move || {
        let grew = reader.wait(0, Duration::from_secs(60)).unwrap();
        (grew, Instant::now(), reader)
    });
    writer.produce(&numbers(0, 1, 10)).unwrap();
    let (grew, _, mut reader) = waiting.join().unwrap();
    assert!(grew);
    assert!(reader.wait(0, Duration::ZERO).unwrap());
    assert!(!reader.wait(1, Duration::ZERO).unwrap());
}

#[test]
fn readers_and_writers_at_once_see_every_record_once() {
    let folder = TempDir::new().unwrap();
    let options = EmbeddedOptions { segment_bytes: 50_000, ..options(folder.path()) };
    let broker = crate::start(options);
    broker.create("n", &partitions(1)).unwrap();
    let (writers, each) = (4, 200);
    let writing: Vec<_> = (0..writers)
        .map(|writer| {
            let mut client = broker.partition("n", 0).unwrap();
            let producer = Producer { id: 100 + writer as i64, epoch: 0 };
            thread::spawn(move || {
                for sequence in 0..each {
                    let from = (writer * each + sequence) as u64 * 10;
                    client.produce(&batch_of(from, from + 10, 20, producer, sequence)).unwrap();
                }
            })
        })
        .collect();
    let total = i64::from(writers * each) * 10;
    let reading: Vec<_> = (0..3)
        .map(|_| {
            let mut client = broker.partition("n", 0).unwrap();
            thread::spawn(move || {
                let (mut from, mut seen) = (0, Vec::new());
                while from < total {
                    assert!(client.wait(from, Duration::from_secs(60)).unwrap());
                    let Fetched::Batches { bytes, next } = client.fetch(from, 5_000).unwrap() else {
                        panic!("evicted")
                    };
                    for batch in batches(&bytes) {
                        assert_eq!(batch.header.base_offset, from);
                        from = batch.header.next_offset();
                        seen.push((batch.header.producer_id, batch.header.first_sequence));
                    }
                    assert_eq!(from, next);
                }
                seen
            })
        })
        .collect();
    for writer in writing {
        writer.join().unwrap();
    }
    let seen: Vec<_> = reading.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert!(seen.iter().all(|order| *order == seen[0]));
    for writer in 0..writers {
        let sequences: Vec<i32> =
            seen[0].iter().filter(|(id, _)| *id == 100 + writer as i64).map(|(_, sequence)| *sequence).collect();
        assert_eq!(sequences, (0..each).collect::<Vec<_>>());
    }
}

#[test]
fn a_changed_byte_anywhere_is_noticed_or_costs_only_the_end() {
    let folder = TempDir::new().unwrap();
    {
        let broker = started(&folder);
        broker.create("n", &partitions(1)).unwrap();
        let mut client = broker.partition("n", 0).unwrap();
        for number in 0..4 {
            client
                .produce(&batch_of(number * 2, number * 2 + 2, 10, Producer { id: 3, epoch: 0 }, number as i32))
                .unwrap();
        }
    }
    let file = log_files(folder.path(), "n", 0).remove(0);
    let whole = fs::read(&file).unwrap();
    let (mut noticed, mut cut, mut unchanged) = (0, 0, 0);
    for at in (0..whole.len()).step_by(11) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&file, &bytes).unwrap();
        match crate::try_start(options(folder.path())) {
            Ok(broker) => {
                let seen = read_all(broker.partition("n", 0).unwrap().as_mut(), 50);
                assert_eq!(seen, expected(8)[..seen.len()], "byte {at}");
                if seen.len() == 8 {
                    unchanged += 1
                } else {
                    cut += 1
                }
                // Only the last batch may go.
                assert!(seen.len() >= 6, "byte {at}");
            }
            Err(error) => {
                assert_eq!(error.fault(), Fault::Data, "byte {at}: {error:?}");
                assert!(error.to_string().contains(&file.display().to_string()), "byte {at}: {error}");
                noticed += 1;
            }
        }
    }
    // The leader's epoch is the one field that nothing covers.
    assert!(noticed > cut && cut > 0 && unchanged <= 4, "{noticed} noticed, {cut} cut, {unchanged} unchanged");
}

#[test]
fn what_a_kill_leaves_of_topics_and_segments_is_put_in_order() {
    let folder = TempDir::new().unwrap();
    {
        let broker = started(&folder);
        broker.create("n", &partitions(1)).unwrap();
        broker.partition("n", 0).unwrap().produce(&numbers(0, 5, 10)).unwrap();
    }
    let topics = folder.path().join("topics");
    for left in [".new-half/0", ".gone-old/0", "Notes"] {
        fs::create_dir_all(topics.join(left)).unwrap();
    }
    // A topic was half deleted, and its consumers' offsets were not: the next topic of the name would be read from there.
    let line = |topic: &str| {
        format!(r#"{{"consumer": "c", "topic": "{topic}", "partition": 0, "offset": 3, "modified_s": 1}}"#)
    };
    let offsets = folder.path().join("offsets.json");
    let text = format!(r#"{{"format": 2, "offsets": [{}, {}]}}"#, line("n"), line("old"));
    fs::write(&offsets, format!("{text}\ncrc32c {:08x}\n", crc32c::crc32c(text.as_bytes()))).unwrap();
    // A segment was begun, and nothing was written to it.
    let begun = topics.join("n/0/00000000000000000005.log");
    fs::write(&begun, b"").unwrap();
    let broker = started(&folder);
    assert!(!topics.join(".new-half").exists() && !topics.join(".gone-old").exists() && topics.join("Notes").exists());
    let kept = fs::read_to_string(&offsets).unwrap();
    assert!(kept.contains(r#""topic":"n""#) && !kept.contains("old"), "{kept}");
    let mut client = broker.partition("n", 0).unwrap();
    assert_eq!(client.produce(&numbers(5, 6, 10)).unwrap(), 5);
    assert_eq!(read_all(client.as_mut(), 10), expected(6));
    assert!(fs::metadata(begun).unwrap().len() > 0);
    broker.create("half", &partitions(1)).unwrap();
    drop((client, broker));
    // A spec that is damaged is an error that names it.
    let spec = topics.join("n/topic.json");
    fs::write(&spec, b"{\"format\": 1").unwrap();
    let error = crate::try_start(options(folder.path())).err().unwrap();
    assert_eq!(error.fault(), Fault::Data);
    assert!(error.to_string().contains(&spec.display().to_string()), "{error}");
}
