//! Writing: done or not, and reported or not; nothing is ever written twice.

use std::time::{Duration, Instant};

use catchment_contract::{ErrorKind, Fault as Whose, Outcome, Retry};
use catchment_topics::PartitionClient;
use catchment_topics::batch::Producer;
use catchment_topics::cluster::ClusterOptions;
use catchment_topics::scan::last_sequence;
use fluvio_protocol::link::ErrorCode;

use super::peer::{Fault, LIST, PRODUCE, Peer, TOPIC};
use super::{connect, connected, numbered, options, read_to_end};

const WRITER: Producer = Producer { id: 77, epoch: 1 };

fn client(peer: &Peer) -> Box<dyn PartitionClient> {
    let options = ClusterOptions { request_timeout: Duration::from_secs(1), ..options(peer.controller) };
    connect(options).unwrap().partition(TOPIC, 0).unwrap()
}

#[test]
fn a_write_gives_the_offset_of_its_first_record() {
    let peer = Peer::start();
    let mut client = client(&peer);
    assert_eq!(client.produce(&numbered(0, 10, WRITER, 0)).unwrap(), 0);
    assert_eq!(client.produce(&numbered(10, 5, WRITER, 1)).unwrap(), 10);
    assert_eq!(client.bounds().unwrap().end, 15);
    assert_eq!(last_sequence(&mut *client, 0, 77).unwrap(), Some((1, 15)));
    assert_eq!(last_sequence(&mut *client, 0, 78).unwrap(), None);
    let read = read_to_end(&mut *client, 0, 1 << 20);
    assert_eq!(read[14], (14, b"value of record 14".to_vec()));
    assert_eq!(peer.state().count(PRODUCE), 2);
}

/// All four cases, each silent or closed: the error says unknown, nothing is sent twice, and a scan tells which it was.
#[test]
fn an_unknown_outcome_is_resolved_by_a_scan() {
    let peer = Peer::start();
    let mut client = client(&peer);
    let cases = [
        (Fault::Close, false),
        (Fault::DoAndClose, true),
        (Fault::Silence, false),
        (Fault::DoAndSilence, true),
        (Fault::DoAndMisnumber, true),
        (Fault::Claim(-1), false),
        (Fault::Refuse(ErrorCode::StorageError), false),
    ];
    let mut written = 0;
    for (sequence, (fault, done)) in cases.into_iter().enumerate() {
        let sent = peer.state().count(PRODUCE);
        peer.fault(PRODUCE, fault.clone());
        let batch = numbered(0, 10, WRITER, sequence as i32);
        let error = client.produce(&batch).unwrap_err();
        assert_eq!(error.outcome(), Outcome::Unknown, "{fault:?}: {}", error.chain());
        assert!(
            error.chain().ends_with("; it may have been written: look at the partition's end before writing again"),
            "{}",
            error.chain()
        );
        assert_eq!(peer.state().count(PRODUCE), sent + 1, "{fault:?}: sent once");
        let found = last_sequence(&mut *client, 0, WRITER.id).unwrap();
        assert_eq!(found.is_some_and(|found| found.0 == sequence as i32), done, "{fault:?}");
        if !done {
            client.produce(&batch).unwrap();
        }
        written += 10;
        assert_eq!(client.bounds().unwrap().end, written, "{fault:?}");
    }
}

#[test]
fn a_refusal_is_no_doubt() {
    let peer = Peer::start();
    let mut client = client(&peer);
    let batch = numbered(0, 10, WRITER, 0);
    let mut refused = |code| {
        peer.fault(PRODUCE, Fault::Refuse(code));
        let error = client.produce(&batch).unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotApplied, "{}", error.chain());
        error
    };
    let error = refused(ErrorCode::MessageTooLarge);
    assert_eq!((error.kind(), error.fault()), (ErrorKind::TooLarge, Whose::User));
    assert_eq!(
        error.chain(),
        format!(
            "cannot write to partition 0 of topic \"orders\": its leader at {}: a batch of {} bytes is over the broker's \
             limit; write smaller records, or batches of fewer records",
            peer.storage,
            batch.len()
        )
    );
    assert_eq!(refused(ErrorCode::PermissionDenied).kind(), ErrorKind::Denied);
    assert_eq!(refused(ErrorCode::TopicNotFound).kind(), ErrorKind::NotFound);
    assert!(refused(ErrorCode::CompressionError).chain().contains("the topic demands a compression"));
    assert_eq!(client.bounds().unwrap().end, 0);
    assert_eq!(client.produce(&batch).unwrap(), 0);
}

/// What was closed while nothing was asked is known to be closed: a write goes over a new connection, and has no doubts.
#[test]
fn a_connection_that_was_closed_meanwhile_is_not_written_to() {
    let peer = Peer::start();
    let mut client = client(&peer);
    for sequence in 0..5 {
        let last = peer.state().end();
        peer.fault(PRODUCE, Fault::AnswerAndClose);
        assert_eq!(client.produce(&numbered(0, 10, WRITER, sequence)).unwrap(), last);
        let deadline = Instant::now() + Duration::from_secs(20);
        while peer.state().closed <= sequence as usize {
            assert!(Instant::now() < deadline, "the peer does not close");
            std::thread::yield_now();
        }
    }
}

/// A server that is deposed while its replicas confirm a write says the same as one that has written nothing.
#[test]
fn not_the_leader_leaves_the_outcome_open_and_asks_who_is() {
    let (old, new) = (Peer::start(), Peer::start());
    let mut client = client(&old);
    client.bounds().unwrap();
    let looked_up = old.state().count(LIST);
    old.state().elsewhere = Some(new.storage);
    old.fault(PRODUCE, Fault::Refuse(ErrorCode::NotLeaderForPartition));
    let batch = numbered(0, 10, WRITER, 0);
    let error = client.produce(&batch).unwrap_err();
    assert_eq!((error.outcome(), error.retry()), (Outcome::Unknown, Retry::BackOff));
    assert_eq!(last_sequence(&mut *client, 0, WRITER.id).unwrap(), None);
    assert_eq!(client.produce(&batch).unwrap(), 0);
    assert_eq!(new.state().end(), 10);
    assert!(old.state().count(LIST) > looked_up);
}

#[test]
fn what_cannot_be_sent_is_not() {
    let peer = Peer::start();
    let broker = connected(peer.controller);
    let mut client = broker.partition(TOPIC, 0).unwrap();
    let mut builder = catchment_topics::batch::BatchBuilder::new();
    builder.push(Some(b"key"), &vec![0; 33 << 20]);
    let error = client.produce(&builder.finish(WRITER, 0, 1)).unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::TooLarge, Outcome::NotApplied));
    assert_eq!(
        error.chain(),
        "cannot write to partition 0 of topic \"orders\": a batch of 34603086 bytes is over the broker's limit of \
         33553408 bytes; write smaller records, or batches of fewer records"
    );
    assert_eq!(peer.state().count(PRODUCE), 0);
}

/// A leader that cannot be reached: nothing was sent, so nothing can have been written.
#[test]
fn without_a_connection_the_outcome_is_known() {
    let peer = Peer::start();
    let options = ClusterOptions { connect_timeout: Duration::from_millis(400), ..options(peer.controller) };
    let mut client = connect(options).unwrap().partition(TOPIC, 0).unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    peer.state().elsewhere = Some(nobody);
    let error = client.produce(&numbered(0, 1, WRITER, 0)).unwrap_err();
    assert_eq!((error.outcome(), error.fault()), (Outcome::NotApplied, Whose::Remote));
    let chain = error.chain();
    assert!(chain.contains(&format!("its leader at {nobody}: could not connect")), "{chain}");
}
