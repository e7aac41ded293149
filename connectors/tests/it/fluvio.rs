//! The source `fluvio` against the embedded broker: where it begins, how it goes on, and what it says when it cannot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use catchment_contract::arrow::datatypes::{DataType, TimeUnit};
use catchment_contract::{ErrorKind, Fault, Partition, PartitionLag, Position, Retry, Unfinished};
use catchment_topics::{Broker, Topics};

use crate::topic::{Fake, Local, append, append_keyed, compressed, declare, id_column, ids, read, read_from, source};
use crate::topic::{try_source, values};

fn numbers(range: std::ops::Range<i64>) -> Vec<String> {
    range.map(|n| format!("{{\"id\":{n}}}")).collect()
}

fn known(positions: &[(&str, &Position)]) -> BTreeMap<String, Position> {
    positions.iter().map(|(id, position)| ((*id).to_owned(), (*position).clone())).collect()
}

#[test]
fn reading_goes_on_at_any_payload() {
    let local = Local::new();
    local.create("t", 2);
    let filler = "x".repeat(700);
    for (batch, partition) in (0..60).zip([0, 1].into_iter().cycle()) {
        let records: Vec<String> =
            (0..100).map(|n| format!("{{\"id\":{},\"f\":\"{filler}\"}}", batch * 100 + n)).collect();
        append(&*local.broker, "t", partition, &records, 1_000);
    }
    let source = source(&local.topics, &id_column(), &[], &[("topic", "t")]);
    let found = source.discover(&BTreeMap::new()).unwrap();
    assert_eq!(found.iter().map(|partition| partition.id.as_str()).collect::<Vec<_>>(), ["0", "1"]);
    for partition in found {
        let payloads = read(&*source, &partition);
        assert!(payloads.len() > 1, "{} payloads", payloads.len());
        let all = ids(&*source, &payloads);
        assert_eq!(all.len(), 3_000);
        for (at, payload) in payloads.iter().enumerate() {
            let rest = ids(&*source, &read_from(&*source, &partition.id, &payload.position));
            assert_eq!(rest, ids(&*source, &payloads[at + 1..]), "after payload {at}");
        }
        let known = known(&[(&partition.id, &payloads.last().unwrap().position)]);
        let again = source.discover(&known).unwrap();
        assert!(again.iter().all(|again| again.id != partition.id), "nothing is new");
        let lag = source.lag(&known).unwrap();
        assert_eq!(lag, [PartitionLag { partition: partition.id, offset: 3_000, behind: 0 }]);
    }
}

/// The first payload ends where the topic did when it was opened, and what came since was fetched with it.
#[test]
fn records_that_come_while_a_backlog_is_read_wait_for_the_next_look() {
    let local = Local::new();
    local.create("t", 1);
    let filler = "x".repeat(600_000);
    append(&*local.broker, "t", 0, &[format!("{{\"id\":0,\"f\":\"{filler}\"}}")], 1_000);
    let source = source(&local.topics, &id_column(), &[], &[("topic", "t")]);
    let found = source.discover(&BTreeMap::new()).unwrap();
    let mut reader = source.open(&found[0], Unfinished::Leave).unwrap();
    append(&*local.broker, "t", 0, &numbers(1..4), 2_000);
    let payload = reader.next().unwrap().unwrap();
    assert_eq!(ids(&*source, std::slice::from_ref(&payload)), [0]);
    assert!(reader.next().unwrap().is_none());
    assert_eq!(ids(&*source, &read_from(&*source, "0", &payload.position)), [1, 2, 3]);
}

#[test]
fn an_offset_in_the_middle_of_a_batch_is_where_reading_begins() {
    let local = Local::new();
    local.create("t", 1);
    append(&*local.broker, "t", 0, &numbers(0..10), 1_000);
    append(&*local.broker, "t", 0, &numbers(10..20), 2_000);
    let source = source(&local.topics, &id_column(), &[], &[("topic", "t"), ("from", "13")]);
    let found = source.discover(&BTreeMap::new()).unwrap();
    assert_eq!(ids(&*source, &read(&*source, &found[0])), (13..20).collect::<Vec<i64>>());
}

#[test]
fn latest_is_pinned_at_the_first_look() {
    let local = Local::new();
    local.create("t", 2);
    append(&*local.broker, "t", 0, &numbers(0..10), 1_000);
    let source = source(&local.topics, &id_column(), &[], &[("topic", "t"), ("from", "latest")]);
    let mut positions = BTreeMap::new();
    for partition in source.discover(&BTreeMap::new()).unwrap() {
        let payloads = read(&*source, &partition);
        assert_eq!((payloads.len(), payloads[0].bytes.len()), (1, 0), "an empty payload keeps the position");
        positions.insert(partition.id, payloads[0].position.clone());
    }
    assert!(source.discover(&positions).unwrap().is_empty());
    append(&*local.broker, "t", 0, &numbers(10..12), 1_000);
    append(&*local.broker, "t", 1, &numbers(20..22), 1_000);
    let lag = source.lag(&positions).unwrap();
    assert_eq!(lag[0], PartitionLag { partition: "0".to_owned(), offset: 10, behind: 2 });
    let found = source.discover(&positions).unwrap();
    let read: Vec<_> = found.iter().map(|partition| ids(&*source, &read(&*source, partition))).collect();
    assert_eq!(read, [vec![10, 11], vec![20, 21]]);
}

#[test]
fn a_job_that_was_stopped_in_its_first_round_begins_the_other_partitions_where_it_would_have() {
    let local = Local::new();
    local.create("t", 2);
    append(&*local.broker, "t", 1, &numbers(0..10), 1_000);
    let source = source(&local.topics, &id_column(), &[], &[("topic", "t"), ("from", "latest")]);
    let found = source.discover(&BTreeMap::new()).unwrap();
    let first = read(&*source, &found[0]).pop().unwrap().position;
    append(&*local.broker, "t", 1, &numbers(10..12), 1_000);
    let found = source.discover(&known(&[("0", &first)])).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(ids(&*source, &read(&*source, &found[0])), [10, 11]);
}

#[test]
fn partitions_that_are_added_are_read_from_their_beginning() {
    let local = Local::new();
    local.create("t", 1);
    append(&*local.broker, "t", 0, &numbers(0..10), 1_000);
    let source = source(&local.topics, &id_column(), &[], &[("topic", "t"), ("from", "latest")]);
    let found = source.discover(&BTreeMap::new()).unwrap();
    let first = read(&*source, &found[0]).pop().unwrap().position;
    local.broker.widen("t", 12).unwrap();
    append(&*local.broker, "t", 2, &numbers(20..23), 1_000);
    let found = source.discover(&known(&[("0", &first)])).unwrap();
    let order: Vec<u32> = found.iter().map(|partition| partition.id.parse().unwrap()).collect();
    assert_eq!(order, (1..12).collect::<Vec<_>>(), "in the order of their numbers, not of their texts");
    assert_eq!(ids(&*source, &read(&*source, &found[1])), [20, 21, 22]);
}

#[test]
fn a_time_is_found_among_batches_and_records() {
    let local = Local::new();
    local.create("t", 2);
    for second in 0..50 {
        append(&*local.broker, "t", 0, &numbers(second * 3..second * 3 + 3), second * 1_000 + 1);
    }
    let from = |time: &str| {
        let source = source(&local.topics, &id_column(), &[], &[("topic", "t"), ("from", time)]);
        let found = source.discover(&BTreeMap::new()).unwrap();
        assert_eq!(found.len(), 2);
        ids(&*source, &read(&*source, &found[0])).first().copied()
    };
    assert_eq!(from("1970-01-01T00:00:00Z"), Some(0));
    for second in 1..50 {
        assert_eq!(from(&format!("1970-01-01T00:00:{second:02}Z")), Some(second * 3), "second {second}");
    }
    assert_eq!(from("1970-01-01T00:00:49.002Z"), None);
    assert_eq!(from("2024-01-31"), None);
}

#[test]
fn an_offset_beyond_the_end_is_the_users_fault() {
    let local = Local::new();
    local.create("t", 1);
    append(&*local.broker, "t", 0, &numbers(0..3), 1_000);
    let source = source(&local.topics, &id_column(), &[], &[("topic", "t"), ("from", "4")]);
    assert_eq!(
        source.discover(&BTreeMap::new()).unwrap_err().chain(),
        "source \"s\" cannot start at offset 4: partition 0 of topic \"t\" ends at 3; write an offset that every partition \
         has, a time, or from = 'latest'"
    );
}

#[test]
fn evicted_records_are_missed_loudly_or_as_a_reject() {
    let mut local = Local::new();
    local.create("t", 1);
    for batch in 0..10 {
        append(&*local.broker, "t", 0, &numbers(batch * 10..batch * 10 + 10), 1_000);
    }
    let begun = {
        let asked = source(&local.topics, &id_column(), &[], &[("topic", "t"), ("from", "5")]);
        asked.discover(&BTreeMap::new()).unwrap()
    };
    // Nothing is kept longer than it takes to start again, but for the segment that is written to.
    local.restart(Duration::ZERO);
    let start = local.broker.partition("t", 0).unwrap().bounds().unwrap().start;
    assert!((10..100).contains(&start), "the broker has dropped old segments: {start}");

    let failing = source(&local.topics, &id_column(), &[], &[("topic", "t")]);
    let at = Position("{\"offset\":5}".to_owned());
    let message = format!(
        "cannot read partition 0 of topic \"t\" at offset 5: the first record kept is {start}, so {} are lost; write \
         on_eviction = 'earliest' to go on there, keep records longer, or run the job on a new lake",
        start - 5
    );
    let error = failing.discover(&known(&[("0", &at)])).unwrap_err();
    assert_eq!((error.chain(), error.fault(), error.retry()), (message.clone(), Fault::Data, Retry::Never));
    let asked = source(&local.topics, &id_column(), &[], &[("topic", "t"), ("from", "5")]);
    let error = asked.open(&begun[0], Unfinished::Take).unwrap().next().unwrap_err();
    assert_eq!(error.chain(), message, "an offset that somebody asked for");

    let following = source(&local.topics, &id_column(), &[], &[("topic", "t"), ("on_eviction", "earliest")]);
    let found = following.discover(&known(&[("0", &at)])).unwrap();
    let payloads = read(&*following, &found[0]);
    assert_eq!(ids(&*following, &payloads), (start..100).collect::<Vec<i64>>());
    let rejects: Vec<_> = payloads.iter().flat_map(|payload| &payload.rejects).collect();
    assert_eq!(rejects.len(), 1);
    assert_eq!(rejects[0].position, format!("partition 0, offsets 5 to {}", start - 1));
    assert_eq!(rejects[0].reason, format!("{} records were evicted before they were read", start - 5));

    let earliest = source(&local.topics, &id_column(), &[], &[("topic", "t")]);
    let found = earliest.discover(&BTreeMap::new()).unwrap();
    assert_eq!(ids(&*earliest, &read(&*earliest, &found[0])).first(), Some(&start), "earliest misses nothing");
}

#[test]
fn what_is_evicted_while_it_is_read_is_reported_too() {
    let fake = Fake::new();
    fake.append(&numbers(0..3), 7, 0);
    fake.append(&numbers(3..6), 7, 1);
    let source = source(&fake.topics(), &id_column(), &[], &[("topic", "fake"), ("on_eviction", "earliest")]);
    let found = source.discover(&BTreeMap::new()).unwrap();
    let resumed = Partition { from: Some(Position("{\"offset\":0}".to_owned())), ..found[0].clone() };
    let mut resumed = source.open(&resumed, Unfinished::Take).unwrap();
    let mut fresh = source.open(&found[0], Unfinished::Take).unwrap();
    fake.evict(4);
    let payload = resumed.next().unwrap().unwrap();
    assert_eq!(ids(&*source, std::slice::from_ref(&payload)), [4, 5]);
    assert_eq!(payload.rejects[0].reason, "4 records were evicted before they were read");
    let payload = fresh.next().unwrap().unwrap();
    assert!(payload.rejects.is_empty(), "who begins at the earliest record has missed nothing");
}

#[test]
fn a_batch_that_its_writer_repeated_is_read_once() {
    let fake = Fake::new();
    fake.append(&numbers(0..3), 7, 0);
    fake.append(&numbers(3..6), 7, 1);
    fake.append(&numbers(3..6), 7, 1);
    let source = source(&fake.topics(), &id_column(), &[], &[("topic", "fake")]);
    let found = source.discover(&BTreeMap::new()).unwrap();
    let payloads = read(&*source, &found[0]);
    assert_eq!(ids(&*source, &payloads), (0..6).collect::<Vec<i64>>());
    // The repetition comes after a restart, and nothing else does.
    let position = payloads.last().unwrap().position.clone();
    fake.append(&numbers(0..3), 7, 0);
    let found = source.discover(&known(&[("0", &position)])).unwrap();
    let payloads = read(&*source, &found[0]);
    assert_eq!((payloads.len(), payloads[0].bytes.len()), (1, 0), "the position moves past it");
    let position = payloads[0].position.clone();
    assert!(source.discover(&known(&[("0", &position)])).unwrap().is_empty());
    fake.append(&numbers(6..8), 7, 2);
    let found = source.discover(&known(&[("0", &position)])).unwrap();
    assert_eq!(ids(&*source, &read(&*source, &found[0])), [6, 7]);
}

#[test]
fn a_fetch_that_fails_says_so_and_reading_goes_on_after_opening_again() {
    let fake = Fake::new();
    fake.append(&numbers(0..3), -1, -1);
    let source = source(&fake.topics(), &id_column(), &[], &[("topic", "fake")]);
    let found = source.discover(&BTreeMap::new()).unwrap();
    let mut reader = source.open(&found[0], Unfinished::Take).unwrap();
    fake.fail_next();
    let error = reader.next().unwrap_err();
    assert_eq!((error.chain(), error.retry()), ("could not reach the fake".to_owned(), Retry::BackOff));
    assert_eq!(ids(&*source, &read(&*source, &found[0])), [0, 1, 2]);
    fake.fail_next();
    assert!(source.discover(&BTreeMap::new()).is_err());
    assert_eq!(source.discover(&BTreeMap::new()).unwrap(), found);
}

#[test]
fn a_topic_that_was_made_anew_is_an_error() {
    let local = Local::new();
    local.create("t", 1);
    append(&*local.broker, "t", 0, &numbers(0..3), 1_000);
    let source = source(&local.topics, &id_column(), &[], &[("topic", "t")]);
    let at = Position("{\"offset\":5}".to_owned());
    let error = source.discover(&known(&[("0", &at)])).unwrap_err();
    let expect = "cannot read on at offset 5 of partition 0 of topic \"t\": it ends at 3; the topic was made anew, or the \
                  job reads from another broker: give it its own again, or add --reset once to load everything anew";
    assert_eq!((error.chain().as_str(), error.fault()), (expect, Fault::Data));
}

#[test]
fn a_missing_topic_is_named_with_the_broker_and_the_nearest_name() {
    let local = Local::new();
    local.create("video-buzz", 1);
    let check = |topic: &str, hint: &str| {
        let source = source(&local.topics, &id_column(), &[], &[("topic", topic)]);
        let error = source.discover(&BTreeMap::new()).unwrap_err();
        let at = local.broker.describe();
        assert_eq!(error.chain(), format!("there is no topic \"{topic}\" at the {at}; {hint}"));
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(source.watch(Arc::new(|| {})).err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    };
    check("vidoe-buzz", "did you mean \"video-buzz\"?");
    check("alerts", "create it, start the job that writes it first, or name another broker with --topics");
}

#[test]
fn new_records_and_new_partitions_wake_until_nobody_listens() {
    let local = Local::new();
    local.create("t", 1);
    let source = source(&local.topics, &id_column(), &[], &[("topic", "t")]);
    let (sender, woken) = channel();
    let deadline = Duration::from_secs(30);
    let guard = source.watch(Arc::new(move || {
        let _ = sender.send(());
    }));
    let guard = guard.unwrap().expect("a topic can be watched");
    let wakes_at_last = |partition: u32, what: &str| {
        while woken.try_recv().is_ok() {}
        let woke = (0..300).any(|_| {
            append(&*local.broker, "t", partition, &numbers(0..1), 1_000);
            woken.recv_timeout(deadline / 300).is_ok()
        });
        assert!(woke, "{what} wakes");
    };
    woken.recv_timeout(deadline).expect("the first wake covers what came before");
    wakes_at_last(0, "a record");
    local.broker.widen("t", 3).unwrap();
    wakes_at_last(2, "a record in a partition that was added");
    drop(guard);
    append(&*local.broker, "t", 0, &numbers(0..1), 1_000);
    while woken.recv_timeout(deadline).is_ok() {}
    assert!(woken.recv().is_err(), "who is woken is forgotten with the guard");
}

#[test]
fn every_compression_is_read_and_much_of_it_in_pieces() {
    let local = Local::new();
    local.create("t", 1);
    let mut expect = Vec::new();
    let mut append = |filler: &str, compression: u8| {
        let first = expect.len() as i64;
        let records: Vec<String> = (first..first + 4).map(|id| format!("{{\"id\":{id},\"f\":\"{filler}\"}}")).collect();
        expect.extend(first..first + 4);
        local.broker.partition("t", 0).unwrap().produce(&compressed(&records, compression)).unwrap();
    };
    [0, 1, 4, 0, 4, 1].into_iter().for_each(|compression| append("yy", compression));
    // One payload of small batches that hold more than is decompressed at once.
    let filler = "y".repeat(1 << 20);
    (0..6).for_each(|_| append(&filler, 4));
    let source = source(&local.topics, &id_column(), &[], &[("topic", "t")]);
    let found = source.discover(&BTreeMap::new()).unwrap();
    assert_eq!(ids(&*source, &read(&*source, &found[0])), expect);
}

/// Lost before: a batch that unpacks to a gigabyte took 850 MB; a damaged one ended every later run.
#[test]
fn batches_that_cannot_be_read_are_one_reject_each_and_reading_goes_on() {
    let local = Local::with_segments(400);
    local.create("t", 1);
    let write = |batch: &[u8]| {
        local.broker.partition("t", 0).unwrap().produce(batch).unwrap();
    };
    write(&compressed(&numbers(0..20), 0));
    // Zeros pack a thousandfold.
    write(&compressed(&["0".repeat(65 << 20)], 4));
    let mut unknown = compressed(&numbers(30..33), 0);
    unknown[22] = 7;
    let checksum = crc32c::crc32c(&unknown[21..]);
    unknown[17..21].copy_from_slice(&checksum.to_be_bytes());
    write(&unknown);
    write(&compressed(&numbers(40..60), 0));
    write(&compressed(&numbers(60..80), 0));
    local.damage("t", 0, 24, b"{\"id\":45}", b"{\"id\":46}");
    let source = source(&local.topics, &id_column(), &[], &[("topic", "t")]);
    let found = source.discover(&BTreeMap::new()).unwrap();
    let payloads = read(&*source, &found[0]);
    assert_eq!(ids(&*source, &payloads), (0..20).chain(60..80).collect::<Vec<_>>());
    let decoder = source.decoder(&[0]);
    let decoded: Vec<_> = payloads.iter().map(|payload| decoder.decode(payload)).collect();
    let rejects: Vec<_> = decoded.iter().flat_map(|decoded| &decoded.rejects).collect();
    let places: Vec<&str> = rejects.iter().map(|reject| reject.position.as_str()).collect();
    assert_eq!(
        places,
        ["partition 0, offsets 20 to 20", "partition 0, offsets 21 to 23", "partition 0, offsets 24 to 43"]
    );
    let reasons =
        ["decompresses to more than 67108864 bytes", "its compression 7 is unknown", "does not match its checksum"];
    for (reject, reason) in rejects.iter().zip(reasons) {
        assert!(reject.reason.contains(reason), "{}", reject.reason);
    }
    assert_eq!(decoded.iter().map(|decoded| decoded.records).sum::<u64>(), 43);
    let last = &payloads.last().unwrap().position;
    assert!(source.discover(&known(&[("0", last)])).unwrap().is_empty(), "nothing is left for the next run");
}

#[test]
fn options_that_cannot_be_are_refused_without_a_broker() {
    let check = |with: &[(&str, &str)], expect: &str| {
        let error = try_source(&Topics::default(), &declare(&id_column(), &[]), with).err().expect(expect);
        assert_eq!((error.chain(), error.fault()), (expect.to_owned(), Fault::User));
    };
    check(&[], "source \"s\" needs the option \"topic\"; write WITH (…, topic = '…')");
    for topic in ["", "Buzz", "a_b", "-a", "a-", &"a".repeat(64)] {
        check(
            &[("topic", topic)],
            &format!(
                "option \"topic\" of source \"s\" cannot be '{topic}'; a topic's name is made of lower-case letters, digits \
                 and inner hyphens, at most 63 of them"
            ),
        );
    }
    check(
        &[("topic", "t"), ("format", "avro")],
        "option \"format\" of source \"s\" cannot be 'avro'; write one of 'json', 'ndjson', 'debezium', 'upsert'",
    );
    for from in ["", "yesterday", "-1", "99999999999999999999"] {
        check(
            &[("topic", "t"), ("from", from)],
            &format!(
                "option \"from\" of source \"s\" cannot be '{from}'; write 'earliest', 'latest', an offset such as '1200' or \
                 a time such as '2024-01-31T12:00:00Z'"
            ),
        );
    }
    check(
        &[("topic", "t"), ("on_eviction", "ignore")],
        "option \"on_eviction\" of source \"s\" cannot be 'ignore'; write one of 'fail', 'earliest'",
    );
    check(&[("topic", "t"), ("form", "latest")], "source \"s\" has no option \"form\"; did you mean \"from\"?");
    for format in ["debezium", "upsert"] {
        check(
            &[("topic", "t"), ("format", format)],
            &format!(
                "source \"s\" needs a primary key, because records of format '{format}' change rows; write PRIMARY KEY \
                 (column, …) after the columns"
            ),
        );
    }
}

#[test]
fn declarations_that_cannot_be_are_refused_without_a_broker() {
    let check = |columns: &[(&str, DataType)], key: &[&str], expect: &str| {
        let error = try_source(&Topics::default(), &declare(columns, key), &[("topic", "t")]).err().expect(expect);
        assert_eq!((error.chain(), error.fault()), (expect.to_owned(), Fault::User));
    };
    check(
        &[],
        &[],
        "source \"s\" needs its columns: a topic does not say what is in its records; write CREATE SOURCE name (id BIGINT, \
         body TEXT, PRIMARY KEY (id)) WITH (…)",
    );
    check(
        &id_column(),
        &["x"],
        "the primary key of source \"s\" names \"x\", which is no column of it; declare it with its type, or take it out of \
         the key",
    );
    let types = "types are booleans, integers, floats, DECIMAL(p, s), TEXT, DATE, TIMESTAMP and arrays of these; keys have \
                 no arrays";
    check(&[("x", DataType::Null)], &[], &format!("column \"x\" of source \"s\" cannot have no type; {types}"));
    check(
        &[("x", DataType::Duration(TimeUnit::Second))],
        &[],
        &format!("column \"x\" of source \"s\" cannot have the type Duration(s); {types}"),
    );
    check(
        &[("_key", DataType::Int64)],
        &[],
        "column \"_key\" of source \"s\" cannot have the type Int64: the record fills it; declare _key TEXT, or give the \
         column another name",
    );
}

#[test]
fn our_own_changes_come_back_as_rows() {
    let local = Local::new();
    local.create("t", 1);
    let records = [
        (Some("a"), r#"{"before":null,"after":{"id":"a","n":1},"op":"c","epoch":1,"ts_ms":5}"#),
        (Some("b"), r#"{"before":null,"after":{"id":"b","n":2},"op":"c","epoch":1,"ts_ms":5}"#),
        (Some("a"), r#"{"before":{"id":"a","n":1},"after":{"id":"a","n":3},"op":"u","epoch":2,"ts_ms":6}"#),
        (Some("b"), r#"{"before":{"id":"b","n":2},"after":null,"op":"d","epoch":3,"ts_ms":7}"#),
    ];
    append_keyed(&*local.broker, "t", 0, &records, 1_000);
    let columns = [("id", DataType::Utf8View), ("n", DataType::Int64), ("_epoch", DataType::Int64)];
    let source = source(&local.topics, &columns, &["id"], &[("topic", "t"), ("format", "debezium")]);
    let found = source.discover(&BTreeMap::new()).unwrap();
    let rows = values(&*source, &read(&*source, &found[0]));
    assert_eq!(rows, ["a|1|1", "b|2|1", "a|3|2", "-b|null|null"]);
}
