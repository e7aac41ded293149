//! Requests off a socket and replies onto it.
//!
//! A request is an i32 length, then `api_key` u16, `api_version` i16, `correlation_id` i32, the client's name (text) and
//! the body. A reply is an i32 length, the correlation id and the body. Replies to different requests may come in any
//! order.
//!
//! A length is a claim: the buffer grows as bytes come. Only a produce request may be large, and only
//! [`LARGE_AT_A_TIME`] large ones are read and worked off at a time on all connections, so that the requests that peers
//! make the broker hold are bounded by connections × [`SMALL_BYTES`] + `LARGE_AT_A_TIME` × the largest request.
//!
//! Batches are fetched once there is a place for the reply ([`Replies::slot`]), so that a connection whose peer does not
//! read holds at most five replies with batches ([`REPLY_BYTES_MAX`]): one being written, four that wait. The connection
//! of a peer that has not taken a reply within ten minutes is closed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fluvio_protocol::Encoder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tracing::warn;

use super::connections::Place;
use super::input::{Input, Malformed};

/// Largest request that is not a produce request.
pub const SMALL_BYTES: usize = 1024 * 1024;

/// Produce requests above [`SMALL_BYTES`] that are read or appended at a time.
pub const LARGE_AT_A_TIME: usize = 8;

/// What a produce request says besides its batches.
pub const OVERHEAD_BYTES: usize = 64 * 1024;

/// Most of a fetch's batches at a time, unless the first batch is larger.
pub const REPLY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A connection that has not sent a whole request by then is closed.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// A request of which some bytes came is whole by then, or the connection is closed.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);

/// A reply of which the peer has not taken all bytes by then ends its connection: a peer that reads nothing would keep
/// its place, and its replies in memory, for ever. A consumer may be busy with its records for minutes.
const TAKEN_WITHIN: Duration = Duration::from_secs(600);

/// Replies that wait for a slow peer, per connection.
const REPLIES: usize = 4;

/// Of a request that is too large, this much is looked at for the answer.
const PREFIX_BYTES: usize = 4096;

/// A request over its limit by more than this factor is not even skipped.
const SKIPPED_FACTOR: usize = 8;

/// Memory taken for a request before its bytes have come; doubled as they come.
const STEP_BYTES: usize = 256 * 1024;

/// Number of a produce request; on the controller's port nothing has it.
pub const PRODUCE: u16 = 0;

/// A request whose header was read.
#[derive(Debug)]
pub struct Request {
    pub key: u16,
    pub version: i16,
    pub correlation: i32,
    pub body: Input,
    /// Its size if it was over the limit: then `body` is only its beginning, and the rest was thrown away.
    pub too_large: Option<usize>,
    /// A large request's place among [`LARGE_AT_A_TIME`]; to be dropped with the body.
    pub large: Option<OwnedSemaphorePermit>,
}

impl Request {
    /// Reads the header.
    pub fn parse(bytes: Bytes) -> Result<Request, Malformed> {
        let mut body = Input::new(bytes);
        let (key, version, correlation) = (body.u16()?, body.i16()?, body.i32()?);
        body.text()?;
        Ok(Request { key, version, correlation, body, too_large: None, large: None })
    }
}

/// Why a connection ends before its peer ends it.
#[derive(Debug)]
pub enum End {
    Io(io::Error),
    Malformed(Malformed),
    /// The peer was too slow.
    Late(&'static str),
    /// A request that the broker does not serve.
    Unsupported {
        key: u16,
        version: i16,
    },
    /// A reply could not be encoded.
    Reply(String),
    /// The peer reads no more.
    Gone,
    /// Its place was given to another.
    Evicted,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Io(error)
    }
}

impl From<Malformed> for End {
    fn from(malformed: Malformed) -> Self {
        End::Malformed(malformed)
    }
}

/// Limits that all connections share.
#[derive(Clone)]
pub struct Gate {
    /// Largest produce request.
    pub request_bytes_max: usize,
    pub large: Arc<Semaphore>,
}

/// The requests of one connection.
pub struct Requests {
    reader: BufReader<OwnedReadHalf>,
    gate: Gate,
    place: Arc<Place>,
    greeted: bool,
}

impl Requests {
    /// Reads from a socket.
    pub fn new(reader: OwnedReadHalf, gate: Gate, place: Arc<Place>) -> Requests {
        Requests { reader: BufReader::with_capacity(64 * 1024, reader), gate, place, greeted: false }
    }

    /// The next request; `None` once the peer ends the connection between two, [`End::Gone`] once nobody takes replies.
    pub async fn next(&mut self, replies: &Replies) -> Result<Option<Request>, End> {
        tokio::select! {
            request = self.read_next() => request,
            () = replies.closed() => Err(End::Gone),
        }
    }

    async fn read_next(&mut self) -> Result<Option<Request>, End> {
        if self.greeted {
            return self.read().await;
        }
        let first = timeout(FIRST_WITHIN, self.read()).await.map_err(|_| End::Late("no request came"))?;
        self.greeted = true;
        first
    }

    async fn read(&mut self) -> Result<Option<Request>, End> {
        let length = match self.reader.read_i32().await {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let length = usize::try_from(length).map_err(|_| Malformed(format!("a length of {length}")))?;
        let rest = timeout(WHOLE_WITHIN, self.read_body(length)).await;
        let whole = rest.map_err(|_| End::Late("a request did not come to its end"))?;
        self.place.touch();
        whole
    }

    async fn read_body(&mut self, length: usize) -> Result<Option<Request>, End> {
        if length > SMALL_BYTES {
            return self.read_large(length).await;
        }
        let mut bytes = BytesMut::new();
        if !fill(&mut self.reader, &mut bytes, length).await? {
            return Ok(None);
        }
        Ok(Some(Request::parse(bytes.freeze())?))
    }

    async fn read_large(&mut self, length: usize) -> Result<Option<Request>, End> {
        let mut bytes = BytesMut::new();
        if !fill(&mut self.reader, &mut bytes, PREFIX_BYTES.min(length)).await? {
            return Ok(None);
        }
        let head = Request::parse(Bytes::copy_from_slice(&bytes))?;
        let limit = self.gate.request_bytes_max.saturating_add(OVERHEAD_BYTES);
        if head.key != PRODUCE || length > limit.saturating_mul(SKIPPED_FACTOR) {
            return Err(Malformed(format!("a request of {length} bytes")).into());
        }
        if length > limit {
            let rest = (length - bytes.len()) as u64;
            let skipped = tokio::io::copy(&mut (&mut self.reader).take(rest), &mut tokio::io::sink()).await?;
            return Ok((skipped == rest).then_some(Request { too_large: Some(length), ..head }));
        }
        let permit = Arc::clone(&self.gate.large).acquire_owned().await.map_err(|_| End::Gone)?;
        if !fill(&mut self.reader, &mut bytes, length).await? {
            return Ok(None);
        }
        Ok(Some(Request { large: Some(permit), ..Request::parse(bytes.freeze())? }))
    }
}

/// Reads until `bytes` holds `length`; false if the peer ended before.
async fn fill(reader: &mut (impl AsyncRead + Unpin), bytes: &mut BytesMut, length: usize) -> io::Result<bool> {
    bytes.reserve(length.min(STEP_BYTES));
    while bytes.len() < length {
        let left = (length - bytes.len()) as u64;
        if (&mut *reader).take(left).read_buf(bytes).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A reply in two parts, so that batches go from the log to the socket without being copied together.
#[derive(Debug)]
struct Reply {
    head: Vec<u8>,
    tail: Bytes,
}

/// Where a connection's replies go; clones may be used by several tasks.
#[derive(Clone)]
pub struct Replies(mpsc::Sender<Reply>);

impl Replies {
    /// Replies onto a socket, written by a task of their own until the last clone is dropped or the peer is gone. That
    /// task keeps `place`, the connection's, because it may outlive whoever reads the requests; it ends when the place is
    /// lost.
    pub fn new(writer: OwnedWriteHalf, place: Arc<Place>) -> Replies {
        let (sender, replies) = mpsc::channel(REPLIES);
        tokio::spawn(async move {
            tokio::select! {
                () = write(writer, replies, &place) => {}
                () = place.evicted() => {}
            }
        });
        Replies(sender)
    }

    /// Answers a request.
    pub async fn send(&self, request: &Request, body: &impl Encoder) -> Result<(), End> {
        let reply = Reply::new(request, body, Bytes::new())?;
        self.0.send(reply).await.map_err(|_| End::Gone)
    }

    /// Waits for a place for a reply. Whoever has one sends or drops it without waiting for anything else: there are
    /// four a connection.
    pub async fn slot(&self) -> Result<Slot<'_>, End> {
        self.0.reserve().await.map(Slot).map_err(|_| End::Gone)
    }

    /// Returns once the peer reads no more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

/// A place for one reply.
pub struct Slot<'a>(mpsc::Permit<'a, Reply>);

impl Slot<'_> {
    /// Answers with a body that ends in an empty record set, whose place `records` takes.
    pub fn send(self, request: &Request, body: &impl Encoder, records: Bytes) -> Result<(), End> {
        self.0.send(Reply::new(request, body, records)?);
        Ok(())
    }
}

impl Reply {
    fn new(request: &Request, body: &impl Encoder, records: Bytes) -> Result<Reply, End> {
        let mut head = vec![0; 4];
        head.extend_from_slice(&request.correlation.to_be_bytes());
        body.encode(&mut head, request.version).map_err(|error| End::Reply(error.to_string()))?;
        if !records.is_empty() {
            let at = head.len() - 4;
            head[at..].copy_from_slice(&length_of(records.len())?.to_be_bytes());
        }
        let length = length_of(head.len() - 4 + records.len())?;
        head[..4].copy_from_slice(&length.to_be_bytes());
        Ok(Reply { head, tail: records })
    }
}

fn length_of(bytes: usize) -> Result<i32, End> {
    i32::try_from(bytes).map_err(|_| End::Reply(format!("{bytes} bytes are too many for a reply")))
}

async fn write(mut writer: OwnedWriteHalf, mut replies: mpsc::Receiver<Reply>, place: &Place) {
    while let Some(Reply { head, tail }) = replies.recv().await {
        let written = timeout(TAKEN_WITHIN, async {
            writer.write_all(&head).await?;
            writer.write_all(&tail).await
        });
        match written.await {
            Ok(Ok(())) => place.touch(),
            Ok(Err(_)) => return,
            Err(_) => {
                return warn!(peer = ?writer.peer_addr().ok(), "a connection was closed: its peer did not take a reply");
            }
        }
    }
    // What is queued was written: the peer sees an end, not a reset.
    let _ = writer.shutdown().await;
}
