//! Endpoints that are down, silent, or something else: what is said, and that it ends.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use catchment_contract::{Environment, Error, ErrorKind, Fault as Whose};
use catchment_topics::TopicSpec;
use catchment_topics::cluster::{self, ClusterOptions};

use super::peer::{CREATE, Fault, LIST, Peer, TOPIC};
use super::{connect, connected, options};

/// Gives up after `millis`, and waits for an answer a third of that.
fn hasty(endpoint: impl ToString, millis: u64) -> ClusterOptions {
    let connect_timeout = Duration::from_millis(millis);
    ClusterOptions { connect_timeout, request_timeout: connect_timeout / 3, ..options(endpoint) }
}

fn refused(options: ClusterOptions) -> Error {
    match connect(options) {
        Ok(broker) => panic!("connected to {}", broker.describe()),
        Err(error) => error,
    }
}

/// A server that does the same with each connection.
fn stranger(with: impl Fn(std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().for_each(|stream| with(stream.unwrap())));
    address
}

/// An address where nobody listens.
fn nowhere() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// What is logged on this thread while `run` runs, each line also sent to `lines`.
fn logged<T>(lines: Option<mpsc::Sender<String>>, run: impl FnOnce() -> T) -> (T, String) {
    #[derive(Clone)]
    struct Lines(Arc<Mutex<Vec<u8>>>, Option<mpsc::Sender<String>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            if let Some(lines) = &self.1 {
                let _ = lines.send(String::from_utf8_lossy(bytes).into_owned());
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let written = Lines(Arc::default(), lines);
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let result = tracing::subscriber::with_default(subscriber, run);
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    (result, text)
}

#[test]
fn an_endpoint_that_stays_down_is_given_up_with_time_and_way_out() {
    let endpoint = nowhere();
    let (environment, clock) = Environment::simulated(1);
    let (error, log) = logged(None, || cluster::connect(hasty(endpoint, 600), &environment).err().unwrap());
    assert_eq!(clock.passed(), Duration::from_millis(600));
    let chain = error.chain();
    let start =
        format!("could not connect to the controller in 0.6 s: the controller at {endpoint}: could not connect: ");
    assert!(chain.starts_with(&start), "{chain}");
    assert!(
        chain.ends_with("; check that the servers run and can be reached from here, or let a run try for longer with --connect-timeout"),
        "{chain}"
    );
    assert_eq!(error.fault(), Whose::Remote);
    // 20, 40, 80, 160 and 320 ms at most, halves at least; said at the first, second, fourth and eighth.
    assert!((3..=4).contains(&log.lines().count()), "{log}");
    for line in log.lines() {
        assert!(line.contains("WARN") && line.contains("could not connect to the controller, trying again"), "{line}");
        assert!(line.contains(&format!("error=\"the controller at {endpoint}: could not connect: ")), "{line}");
    }
}

#[test]
fn an_endpoint_that_comes_up_later_is_found() {
    let endpoint = nowhere();
    let (lines, first) = mpsc::channel();
    let late = thread::spawn(move || {
        first.recv_timeout(Duration::from_secs(20)).unwrap();
        Peer::start_on(TcpListener::bind(endpoint).unwrap(), None)
    });
    let (broker, log) = logged(Some(lines), || connected(endpoint));
    assert!(!log.is_empty());
    assert_eq!(broker.describe(), format!("Fluvio cluster at {endpoint}"));
    assert_eq!(broker.address(), endpoint.to_string());
    drop(late.join().unwrap());
}

#[test]
fn a_web_server_is_called_one() {
    let endpoint = stranger(|mut stream| {
        let mut some = [0; 16];
        let _ = stream.read(&mut some);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    });
    let error = refused(options(endpoint));
    let chain = error.chain();
    assert!(chain.starts_with(&format!(
        "cannot connect to the controller: the controller at {endpoint}: the peer is not a Fluvio server: it sent \"HTTP/1.1 400 Bad Request"
    )), "{chain}");
    assert!(chain.ends_with("; check the port: a stock cluster's controller listens on 9003"), "{chain}");
    assert_eq!((error.fault(), error.kind()), (Whose::User, ErrorKind::Invalid));
}

#[test]
fn a_server_that_wants_tls_is_told_by_its_alert() {
    let endpoint = stranger(|mut stream| {
        let mut some = [0; 16];
        let _ = stream.read(&mut some);
        let _ = stream.write_all(b"\x15\x03\x03\x00\x02\x02\x46");
    });
    let chain = refused(options(endpoint)).chain();
    assert!(chain.contains("it sent \"\\x15\\x03\\x03\\x00\\x02\\x02F\""), "{chain}");
    assert!(chain.ends_with("; it speaks TLS: name a Fluvio profile with its certificates"), "{chain}");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let endpoint = stranger(|stream| {
        // Held open until the other side has gone.
        let mut stream = stream;
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let begun = Instant::now();
    let chain = refused(hasty(endpoint, 600)).chain();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(chain.contains(": could not read an answer within 0.2 s; check that the servers run"), "{chain}");
}

#[test]
fn a_server_that_closes_at_once_is_tried_again() {
    let endpoint = stranger(drop);
    let (error, log) = logged(None, || refused(hasty(endpoint, 400)));
    let chain = error.chain();
    assert!(chain.contains("closed") || chain.contains("could not"), "{chain}");
    assert!(chain.ends_with("or let a run try for longer with --connect-timeout"), "{chain}");
    assert!(log.lines().count() >= 2, "{log}");
}

#[test]
fn a_storage_units_port_is_not_a_controllers() {
    let peer = Peer::start();
    let chain = refused(options(peer.storage)).chain();
    assert!(chain.ends_with(
        "the peer is not a Fluvio controller; name the controller's host:port (9003 on a stock cluster), not a storage unit's"
    ), "{chain}");
}

#[test]
fn an_endpoint_without_a_port_or_a_name_is_the_users_fault() {
    let chain = refused(options("localhost")).chain();
    assert_eq!(
        chain,
        "the endpoint \"localhost\" has no port; write the controller's host:port, such as localhost:9003"
    );
    let options = ClusterOptions { profile: Some("no-such-profile".into()), ..options("localhost:1") };
    let error = refused(options);
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.chain().starts_with("there is no Fluvio profile \"no-such-profile\"; "), "{}", error.chain());
}

#[test]
fn what_a_length_claims_is_not_believed() {
    let peer = Peer::start();
    let broker = connect(hasty(peer.controller, 3000)).unwrap();
    for claim in [i32::MAX, -1, 17 << 20] {
        peer.fault(LIST, Fault::Claim(claim));
        // Asked again, it answers.
        assert_eq!(broker.topics().unwrap().len(), 1);
    }
    (0..100).for_each(|_| peer.fault(LIST, Fault::Claim(i32::MAX)));
    let chain = broker.topics().unwrap_err().chain();
    assert!(
        chain.contains("the reply cannot be read: it would have 2147483647 bytes, the limit is 16777216"),
        "{chain}"
    );
}

/// A controller may be silent although it has done what it was asked: the topic is looked for, and never asked for twice.
#[test]
fn a_topic_whose_creation_is_not_answered_is_looked_for() {
    let peer = Peer::start();
    let broker = connect(hasty(peer.controller, 2100)).unwrap();
    let create = |name: &str, partitions| {
        peer.fault(CREATE, Fault::Silence);
        let asked = peer.state().count(CREATE);
        let created = broker.create(name, &TopicSpec { partitions, ..TopicSpec::default() });
        assert_eq!(peer.state().count(CREATE), asked + 1);
        created
    };
    create(TOPIC, 1).unwrap();
    let error = create(TOPIC, 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Taken);
    assert!(error.chain().ends_with("it exists with 1 partitions"), "{}", error.chain());
    let chain = create("absent", 1).unwrap_err().chain();
    assert!(chain.starts_with("could not create topic \"absent\" in "), "{chain}");
    assert!(chain.contains("it was asked for, and is not there; see the servers' logs"), "{chain}");
}
