//! One connection to one server: one request in flight, everything under a deadline.
//!
//! The deadline is kept below TLS, at the socket's own calls: rustls reads until a whole record is there, however slowly
//! its bytes come, and a deadline above it would be looked at too late.
//!
//! What a peer claims is not believed: a reply's length is compared with a limit, and memory grows as bytes come.

use std::io::{self, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use bytes::Bytes;
use catchment_contract::Environment;
use fluvio_protocol::Version;
use fluvio_protocol::api::Request;
use fluvio_protocol::link::versions::{ApiVersionKey, ApiVersionsRequest};
use fluvio_sc_schema::AdminPublicApiKey;
use rustls::{ClientConnection, StreamOwned};

use crate::cluster::failure::{Failure, HANDSHAKE};
use crate::cluster::tls::Secured;
use crate::cluster::wire;

/// Largest reply that is no fetch's: a list of some ten thousand partitions.
const REPLY_BYTES_MAX: usize = 16 << 20;
/// Largest answer to the first question; whoever sends more is no Fluvio server.
const GREETING_BYTES_MAX: usize = 64 << 10;
/// Memory that a reply's length may claim before a byte of it came.
const BELIEVED_BYTES: usize = 64 << 10;
/// How much of what a stranger says is shown.
const SHOWN_BYTES: usize = 40;

/// A connection whose server has said what it speaks.
pub(super) struct Link {
    stream: Stream,
    /// What the server speaks.
    versions: Vec<ApiVersionKey>,
    /// The last request's number.
    number: i32,
    timeout: Duration,
}

enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Link {
    /// Connects and asks what the server speaks; each step may take `timeout`.
    pub(super) fn dial(
        address: &str,
        secured: &Secured,
        timeout: Duration,
        environment: &Environment,
    ) -> Result<Link, Failure> {
        let socket = open(address, timeout, environment)?;
        let stream = match secured {
            Secured::No => Stream::Plain(socket),
            Secured::Yes(config, name) => {
                let connection = ClientConnection::new(config.clone(), name.clone())
                    .map_err(|error| Failure::Tls { source: error.into() })?;
                Stream::Tls(Box::new(shake_hands(connection, socket, timeout)?))
            }
        };
        let mut link = Link { stream, versions: Vec::new(), number: 0, timeout };
        link.versions = link.greet()?;
        Ok(link)
    }

    /// Whether the server has closed the connection while nothing was asked, as far as is known here.
    pub(super) fn is_closed(&self) -> bool {
        let socket = &self.stream.timed().socket;
        let peek = || {
            socket.set_nonblocking(true)?;
            let peeked = socket.peek(&mut [0]);
            socket.set_nonblocking(false)?;
            peeked
        };
        match peek() {
            Ok(0) => true,
            // Under TLS something may come unasked; in the clear it would be taken for the next answer.
            Ok(_) => matches!(self.stream, Stream::Plain(_)),
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// What its deadlines are measured by.
    pub(super) fn environment(&self) -> &Environment {
        &self.stream.timed().environment
    }

    /// How long sending a request may take, and then reading its answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Changes how long each request may take from now on.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Fails if the server does not take a controller's requests.
    pub(super) fn expect_controller(&mut self) -> Result<(), Failure> {
        match self.offered(AdminPublicApiKey::List as u16) {
            Some(_) => Ok(()),
            None => Err(Failure::NoController),
        }
    }

    /// Sends a request and reads its reply.
    pub(super) fn request<R: Request>(&mut self, request: &R) -> Result<R::Response, Failure> {
        self.request_sized(request, 256, REPLY_BYTES_MAX, BELIEVED_BYTES)
    }

    /// As [`Link::request`], with `room` for the frame, a reply of up to `limit` bytes, of which `expected` are made
    /// room for at once.
    pub(super) fn request_sized<R: Request>(
        &mut self,
        request: &R,
        room: usize,
        limit: usize,
        expected: usize,
    ) -> Result<R::Response, Failure> {
        let version = self.version::<R>()?;
        let number = self.send(request, version, room)?;
        let length = self.read_length()?;
        match usize::try_from(length) {
            Ok(length) if length <= limit => {
                let bytes = self.read_body(length, expected)?;
                wire::reply::<R>(bytes, version, number)
            }
            _ => Err(Failure::Reply(format!("it would have {length} bytes, the limit is {limit}"))),
        }
    }

    /// The version of a request that both sides know.
    pub(super) fn version<R: Request>(&self) -> Result<Version, Failure> {
        let known = (R::MIN_API_VERSION, R::MAX_API_VERSION);
        let offered = self.offered(R::API_KEY);
        match offered {
            Some((least, most)) if known.1.min(most) >= known.0.max(least) => Ok(known.1.min(most)),
            _ => Err(Failure::Version { key: R::API_KEY, known, offered }),
        }
    }

    fn offered(&self, key: u16) -> Option<(i16, i16)> {
        let found = self.versions.iter().find(|offer| u16::try_from(offer.api_key) == Ok(key))?;
        Some((found.min_version, found.max_version))
    }

    /// The first question. Whoever does not answer it as a Fluvio server does is shown with what it said.
    fn greet(&mut self) -> Result<Vec<ApiVersionKey>, Failure> {
        let request = ApiVersionsRequest {
            client_version: env!("CARGO_PKG_VERSION").into(),
            client_os: std::env::consts::OS.into(),
            client_arch: std::env::consts::ARCH.into(),
        };
        let version = ApiVersionsRequest::DEFAULT_API_VERSION;
        let number = self.send(&request, version, 256)?;
        let length = self.read_length()?;
        let Some(length) = usize::try_from(length).ok().filter(|length| *length <= GREETING_BYTES_MAX) else {
            return Err(self.stranger(&length.to_be_bytes()));
        };
        let bytes = self.read_body(length, length)?;
        match wire::reply::<ApiVersionsRequest>(bytes.clone(), version, number) {
            Ok(reply) if reply.error_code.is_ok() => Ok(reply.api_keys),
            Ok(reply) => Err(Failure::Code { code: reply.error_code, message: None }),
            Err(_) => Err(Failure::Foreign { sent: shown(&bytes) }),
        }
    }

    /// Who sent these bytes is no Fluvio server; some more of them for the message, if they are there.
    fn stranger(&mut self, first: &[u8]) -> Failure {
        let mut more = [0; SHOWN_BYTES];
        let read = self.stream.read(&mut more).unwrap_or(0);
        Failure::Foreign { sent: shown(&[first, &more[..read]].concat()) }
    }

    fn send<R: Request>(&mut self, request: &R, version: Version, room: usize) -> Result<i32, Failure> {
        self.number = self.number.wrapping_add(1);
        let frame = wire::frame(request, version, self.number, room)?;
        let timeout = self.timeout;
        self.stream.expire_after(timeout);
        let sent = self.stream.write_all(&frame).and_then(|()| self.stream.flush());
        sent.map_err(|error| failed("send a request", error, timeout))?;
        self.stream.acknowledge_at_once();
        Ok(self.number)
    }

    /// The beginning of an answer; the time for all of it runs from here.
    fn read_length(&mut self) -> Result<i32, Failure> {
        let mut length = [0; wire::LENGTH_BYTES];
        let timeout = self.timeout;
        self.stream.expire_after(timeout);
        self.stream.read_exact(&mut length).map_err(|error| failed("read an answer", error, timeout))?;
        Ok(i32::from_be_bytes(length))
    }

    /// `length` bytes, of which `expected` are made room for before they come.
    fn read_body(&mut self, length: usize, expected: usize) -> Result<Bytes, Failure> {
        let timeout = self.timeout;
        let mut bytes = Vec::with_capacity(length.min(expected));
        let read = Read::by_ref(&mut self.stream).take(length as u64).read_to_end(&mut bytes);
        match read.map_err(|error| failed("read an answer", error, timeout))? {
            read if read < length => Err(Failure::Closed),
            _ => Ok(bytes.into()),
        }
    }
}

/// A socket that works until a moment, however little each call reads or writes.
struct Timed {
    socket: TcpStream,
    until: Instant,
    environment: Environment,
}

impl Timed {
    fn new(socket: TcpStream, timeout: Duration, environment: &Environment) -> Timed {
        Timed { socket, until: environment.now() + timeout, environment: environment.clone() }
    }

    /// What is left of the time.
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(self.environment.now());
        // A socket takes no time-out of zero.
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// A socket's own time-out is reported as "would block", which rustls takes for a reason to come back later.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        self.socket.read(into).map_err(timed_out)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        self.socket.write(bytes).map_err(timed_out)
    }

    /// rustls hands over all its records at once.
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        self.socket.write_vectored(slices).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

impl Stream {
    fn timed(&self) -> &Timed {
        match self {
            Stream::Plain(timed) => timed,
            Stream::Tls(stream) => &stream.sock,
        }
    }

    /// Sets the moment from which on nothing is read or written.
    fn expire_after(&mut self, timeout: Duration) {
        let timed = match self {
            Stream::Plain(timed) => timed,
            Stream::Tls(stream) => &mut stream.sock,
        };
        timed.until = timed.environment.now() + timeout;
    }

    /// Has what comes acknowledged at once. A stock server sends records from its files behind a small head and holds the
    /// last piece back until the first is acknowledged, which Linux would do after 40 ms only. The system forgets this
    /// setting, so it is made for each reply; where it cannot be made, replies are late and no less right.
    fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_quickack(&self.timed().socket, true);
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(into),
            Stream::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// A socket to the first of a name's addresses that accepts, which each may take `timeout`; as much is left afterwards.
fn open(address: &str, timeout: Duration, environment: &Environment) -> Result<Timed, Failure> {
    let resolved = address.to_socket_addrs().map_err(|error| Failure::io("resolve the name", error, timeout))?;
    let mut last = Failure::Io { doing: "resolve the name", source: io::ErrorKind::NotFound.into() };
    for candidate in resolved {
        match TcpStream::connect_timeout(&candidate, timeout) {
            Ok(socket) => {
                let configured = socket.set_nodelay(true);
                configured.map_err(|error| Failure::io("configure a connection", error, timeout))?;
                return Ok(Timed::new(socket, timeout, environment));
            }
            Err(error) => last = Failure::io("connect", error, timeout),
        }
    }
    Err(last)
}

/// Agrees on an encrypted connection, in the time that the socket has left.
fn shake_hands(
    mut connection: ClientConnection,
    mut socket: Timed,
    timeout: Duration,
) -> Result<StreamOwned<ClientConnection, Timed>, Failure> {
    while connection.is_handshaking() {
        let moved = connection.complete_io(&mut socket).map_err(|error| failed(HANDSHAKE, error, timeout))?;
        // The server took its leave before it had agreed: asking again would come back at once, forever.
        if moved == (0, 0) {
            return Err(Failure::Closed);
        }
    }
    Ok(StreamOwned::new(connection, socket))
}

/// An error of the network, or of TLS inside it.
fn failed(doing: &'static str, error: io::Error, timeout: Duration) -> Failure {
    match error.kind() {
        io::ErrorKind::InvalidData => Failure::Tls { source: error.into() },
        _ => Failure::io(doing, error, timeout),
    }
}

/// The first bytes of something as text.
fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(SHOWN_BYTES)].escape_ascii().to_string()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "real sockets are slow in real time")]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::crypto::ring;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};

    use super::*;
    use crate::cluster::profile::TlsPolicy;
    use crate::cluster::tls::Tls;

    const TIMEOUT: Duration = Duration::from_millis(300);
    /// Far above the time-out, for a slow machine, and far below what a trickle would take.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// A server that does `begin`, then sends `head` and a byte now and then until the other side is gone.
    fn trickling(begin: impl FnOnce(&mut TcpStream) + Send + 'static, head: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            begin(&mut stream);
            let mut sent = stream.write_all(head);
            while sent.is_ok() {
                std::thread::sleep(Duration::from_millis(10));
                sent = stream.write_all(&[0]);
            }
        });
        address
    }

    /// What dialing is given up for, in good time.
    fn given_up(address: &str, tls: &Tls) -> &'static str {
        let begun = Instant::now();
        let secured = tls.controller(address).unwrap();
        let Err(failure) = Link::dial(address, &secured, TIMEOUT, &Environment::system()) else {
            panic!("it is a server")
        };
        // The system's clock ticks coarsely.
        assert!(begun.elapsed() > TIMEOUT / 2, "{:?}", begun.elapsed());
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        match failure {
            Failure::Silent { doing, .. } => doing,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_that_trickles_is_given_up() {
        let address = trickling(|_| {}, &[0, 0, 0xff, 0]);
        assert_eq!(given_up(&address, &Tls::Disabled), "read an answer");
    }

    #[test]
    fn a_handshake_that_trickles_is_given_up() {
        // The head of a record of 16 KiB.
        let address = trickling(|_| {}, &[0x16, 3, 3, 0x40, 0]);
        assert_eq!(given_up(&address, &Tls::new(&TlsPolicy::Anonymous).unwrap()), HANDSHAKE);
    }

    #[test]
    fn an_encrypted_answer_that_trickles_is_given_up() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_string()]).unwrap().self_signed(&key).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let agree = move |stream: &mut TcpStream| {
            let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
            while connection.is_handshaking() {
                connection.complete_io(stream).unwrap();
            }
        };
        let address = trickling(agree, &[0x17, 3, 3, 0x40, 0]);
        assert_eq!(given_up(&address, &Tls::new(&TlsPolicy::Anonymous).unwrap()), "read an answer");
    }

    #[test]
    fn a_request_that_is_taken_slowly_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut slow, _) = listener.accept().unwrap();
        std::thread::spawn(move || {
            let mut some = [0; 16 << 10];
            while slow.read(&mut some).is_ok_and(|read| read > 0) {
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let begun = Instant::now();
        let mut timed = Timed::new(socket, TIMEOUT, &Environment::system());
        // More than the system's buffers take, and half a minute's work for the reader.
        let error = timed.write_all(&vec![0; 256 << 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        assert_eq!(timed.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut, "the time is over");
    }
}
