//! One connection to one server: one request in flight, everything under a deadline.
//!
//! What a peer claims is not believed: a reply's length is compared with a limit, and memory grows as bytes come.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use bytes::Bytes;
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
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Link {
    /// Connects and asks what the server speaks; each step may take `timeout`.
    pub(super) fn dial(address: &str, secured: &Secured, timeout: Duration) -> Result<Link, Failure> {
        let socket = open(address, timeout)?;
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
        let socket = self.stream.socket();
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

    /// Changes how long each request may take from now on.
    pub(super) fn set_timeout(&mut self, timeout: Duration) -> Result<(), Failure> {
        self.timeout = timeout;
        let socket = self.stream.socket();
        let set = socket.set_read_timeout(Some(timeout)).and_then(|()| socket.set_write_timeout(Some(timeout)));
        set.map_err(|error| Failure::io("configure a connection", error, timeout))
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
        let sent = self.stream.write_all(&frame).and_then(|()| self.stream.flush());
        sent.map_err(|error| failed("send a request", error, timeout))?;
        self.stream.acknowledge_at_once();
        Ok(self.number)
    }

    fn read_length(&mut self) -> Result<i32, Failure> {
        let mut length = [0; wire::LENGTH_BYTES];
        let timeout = self.timeout;
        self.within(timeout).read_exact(&mut length).map_err(|error| failed("read an answer", error, timeout))?;
        Ok(i32::from_be_bytes(length))
    }

    /// `length` bytes, of which `expected` are made room for before they come.
    fn read_body(&mut self, length: usize, expected: usize) -> Result<Bytes, Failure> {
        let timeout = self.timeout;
        let mut bytes = Vec::with_capacity(length.min(expected));
        let read = self.within(timeout).take(length as u64).read_to_end(&mut bytes);
        match read.map_err(|error| failed("read an answer", error, timeout))? {
            read if read < length => Err(Failure::Closed),
            _ => Ok(bytes.into()),
        }
    }

    fn within(&mut self, timeout: Duration) -> Within<'_> {
        Within { stream: &mut self.stream, until: Instant::now() + timeout }
    }
}

/// Reads until a moment. The socket's own time-out bounds each call, so a peer that sends a byte now and then is given up
/// after twice the time at most.
struct Within<'a> {
    stream: &'a mut Stream,
    until: Instant,
}

impl Read for Within<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.read(into)
    }
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_ref(),
        }
    }

    /// Has what comes acknowledged at once. A stock server sends records from its files behind a small head and holds the
    /// last piece back until the first is acknowledged, which Linux would do after 40 ms only. The system forgets this
    /// setting, so it is made for each reply; where it cannot be made, replies are late and no less right.
    fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_quickack(self.socket(), true);
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

/// A socket with time-outs, to the first of a name's addresses that accepts.
fn open(address: &str, timeout: Duration) -> Result<TcpStream, Failure> {
    let resolved = address.to_socket_addrs().map_err(|error| Failure::io("resolve the name", error, timeout))?;
    let mut last = Failure::Io { doing: "resolve the name", source: io::ErrorKind::NotFound.into() };
    for candidate in resolved {
        match TcpStream::connect_timeout(&candidate, timeout) {
            Ok(socket) => {
                let configure = || {
                    socket.set_nodelay(true)?;
                    socket.set_read_timeout(Some(timeout))?;
                    socket.set_write_timeout(Some(timeout))
                };
                configure().map_err(|error| Failure::io("configure a connection", error, timeout))?;
                return Ok(socket);
            }
            Err(error) => last = Failure::io("connect", error, timeout),
        }
    }
    Err(last)
}

/// Agrees on an encrypted connection.
fn shake_hands(
    mut connection: ClientConnection,
    mut socket: TcpStream,
    timeout: Duration,
) -> Result<StreamOwned<ClientConnection, TcpStream>, Failure> {
    let until = Instant::now() + timeout;
    while connection.is_handshaking() {
        if Instant::now() >= until {
            return Err(Failure::Silent { doing: HANDSHAKE, timeout });
        }
        connection.complete_io(&mut socket).map_err(|error| failed(HANDSHAKE, error, timeout))?;
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
