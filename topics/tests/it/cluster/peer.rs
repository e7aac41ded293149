//! A hand-made Fluvio server with one topic of one partition, which does what a test tells it to.
//!
//! It cuts every fetch at `max_bytes`, as a storage unit does, and can lag, refuse, close and fall silent, before and
//! after doing what it was asked.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use bytes::{Buf, BufMut, Bytes};
use catchment_topics::batch::{batches, set_base_offset};
use fluvio_controlplane_metadata::partition::{PartitionResolution, PartitionSpec, PartitionStatus};
use fluvio_controlplane_metadata::spu::SpuSpec;
use fluvio_controlplane_metadata::topic::TopicSpec;
use fluvio_protocol::api::{Request, RequestHeader};
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::link::versions::{ApiVersionKey, ApiVersionsRequest, ApiVersionsResponse};
use fluvio_protocol::{Decoder, Encoder, Version};
use fluvio_sc_schema::objects::{ListRequest, ListResponse, Metadata, ObjectApiListRequest, ObjectApiListResponse};
use fluvio_sc_schema::{Status, TryEncodableFrom};
use fluvio_spu_schema::fetch::{FetchRequest, FetchResponse, FetchablePartitionResponse, FetchableTopicResponse};
use fluvio_spu_schema::produce::{PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse};
use fluvio_spu_schema::server::fetch_offset::{
    FetchOffsetPartitionResponse, FetchOffsetTopicResponse, FetchOffsetsResponse,
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The only topic.
pub const TOPIC: &str = "orders";
/// The only storage unit's name and number.
pub const UNIT: &str = "custom-spu-5001";
const UNIT_ID: i32 = 5001;

pub const FETCH: u16 = 1;
pub const PRODUCE: u16 = 0;
pub const CREATE: u16 = 1001;
pub const LIST: u16 = 1003;
/// The first request of each connection.
pub const VERSIONS: u16 = 18;

/// What is done instead of answering a request well.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answer with a code, without doing anything.
    Refuse(ErrorCode),
    /// Close the connection, without doing anything.
    Close,
    /// Do it, then close the connection.
    DoAndClose,
    /// Do it, answer, then close the connection.
    AnswerAndClose,
    /// Say nothing, without doing anything.
    Silence,
    /// Do it, then say nothing.
    DoAndSilence,
    /// Do it, then answer with the number of another request.
    DoAndMisnumber,
    /// Claim a reply of so many bytes, and send none of them.
    Claim(i32),
}

#[derive(Default)]
pub struct State {
    /// Whole batches, back to back, of offsets from `start` on.
    pub log: Vec<u8>,
    pub start: i64,
    /// The high watermark; the end if `None`.
    pub high: Option<i64>,
    /// With several copies: how many times more the end is fetched from before the watermark comes up to it.
    pub high_lags: u32,
    /// With several copies: a batch that is written each time the end was fetched from, while the watermark comes up to
    /// the end before it.
    pub busy: Option<Vec<u8>>,
    pub replicas: usize,
    /// Taken by the next requests of their key.
    pub faults: VecDeque<(u16, Fault)>,
    /// Keys of the requests that came, and for fetches how many bytes they asked for.
    pub asked: Vec<(u16, i32)>,
    /// How many connections were closed after an answer.
    pub closed: usize,
    /// Where the partition is said to be led, if not by the peer itself.
    pub elsewhere: Option<SocketAddr>,
}

impl State {
    pub fn end(&self) -> i64 {
        batches(&self.log).last().map_or(self.start, |batch| batch.header.next_offset())
    }

    /// Appends a batch as a server does.
    pub fn append(&mut self, batch: &[u8]) -> i64 {
        let offset = self.end();
        let mut batch = batch.to_vec();
        set_base_offset(&mut batch, offset);
        self.log.extend(batch);
        offset
    }

    pub fn count(&self, key: u16) -> usize {
        self.asked.iter().filter(|asked| asked.0 == key).count()
    }
}

/// A running server. Its threads end with their connections.
pub struct Peer {
    pub controller: SocketAddr,
    pub storage: SocketAddr,
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
}

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Controller,
    Storage,
}

impl Peer {
    pub fn start() -> Peer {
        Peer::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), None)
    }

    /// With a controller on a listener, and TLS if there is a configuration.
    pub fn start_on(controller: TcpListener, tls: Option<Arc<ServerConfig>>) -> Peer {
        let storage = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Peer {
            controller: controller.local_addr().unwrap(),
            storage: storage.local_addr().unwrap(),
            state: Arc::new(Mutex::new(State { replicas: 1, ..State::default() })),
            stopped: Arc::default(),
        };
        for (listener, role) in [(controller, Role::Controller), (storage, Role::Storage)] {
            let (state, stopped, tls) = (peer.state.clone(), peer.stopped.clone(), tls.clone());
            let served = Served { role, storage: peer.storage, state, stopped };
            thread::spawn(move || served.accept(&listener, tls.as_ref()));
        }
        peer
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn fault(&self, key: u16, fault: Fault) {
        self.state().faults.push_back((key, fault));
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the acceptors.
        let _ = (TcpStream::connect(self.controller), TcpStream::connect(self.storage));
    }
}

/// One port of the server.
#[derive(Clone)]
struct Served {
    role: Role,
    storage: SocketAddr,
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
}

impl Served {
    fn accept(self, listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) {
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::Relaxed) {
                return;
            }
            let (served, stream, tls) = (self.clone(), stream.unwrap(), tls.cloned());
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || match tls {
                None => served.serve(stream),
                Some(config) => served.serve(StreamOwned::new(ServerConnection::new(config).unwrap(), stream)),
            });
        }
    }

    /// Until the other side, or a fault, closes the connection.
    fn serve(&self, mut stream: impl Read + Write) {
        while let Ok(mut request) = read_frame(&mut stream) {
            let header = RequestHeader::decode_from(&mut request, 0).unwrap();
            let (key, version) = (header.api_key(), header.api_version());
            let fault = self.note(key, &request, version);
            let undone = matches!(fault, Some(Fault::Refuse(_) | Fault::Close | Fault::Silence | Fault::Claim(_)));
            let code = match &fault {
                Some(Fault::Refuse(code)) => code.clone(),
                _ => ErrorCode::None,
            };
            let body = match undone && !matches!(fault, Some(Fault::Refuse(_))) {
                true => Vec::new(),
                false => self.answer(key, version, request, code),
            };
            let number = header.correlation_id();
            match fault {
                None | Some(Fault::Refuse(_)) => write_frame(&mut stream, number, &body),
                Some(Fault::AnswerAndClose) => {
                    write_frame(&mut stream, number, &body);
                    drop(stream);
                    self.state.lock().unwrap().closed += 1;
                    return;
                }
                Some(Fault::DoAndMisnumber) => write_frame(&mut stream, number + 1, &body),
                Some(Fault::Claim(length)) => drop(stream.write_all(&length.to_be_bytes())),
                Some(Fault::Silence | Fault::DoAndSilence) => {}
                Some(Fault::Close | Fault::DoAndClose) => return,
            }
        }
    }

    /// Notes what is asked, and takes the fault that waits for it.
    fn note(&self, key: u16, body: &Bytes, version: Version) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let bytes = match (self.role, key) {
            (Role::Storage, FETCH) => FetchRequest::<Cut>::decode_from(&mut body.clone(), version).unwrap().max_bytes,
            _ => 0,
        };
        state.asked.push((key, bytes));
        let at = state.faults.iter().position(|(of, _)| *of == key)?;
        Some(state.faults.remove(at).unwrap().1)
    }

    fn answer(&self, key: u16, version: Version, mut body: Bytes, code: ErrorCode) -> Vec<u8> {
        match (self.role, key) {
            (_, VERSIONS) => {
                let keys: &[u16] = match self.role {
                    Role::Controller => &[VERSIONS, CREATE, 1002, LIST, 1004],
                    Role::Storage => &[VERSIONS, PRODUCE, FETCH, 1002],
                };
                let api_keys = keys
                    .iter()
                    .map(|key| ApiVersionKey { api_key: *key as i16, min_version: 0, max_version: 25 })
                    .collect();
                encode(&ApiVersionsResponse { api_keys, ..Default::default() }, ApiVersionsRequest::DEFAULT_API_VERSION)
            }
            (Role::Controller, LIST) => encode(&self.list(&mut body, version), version),
            (Role::Controller, CREATE) => {
                encode(&Status::new(TOPIC.into(), ErrorCode::TopicAlreadyExists, None), version)
            }
            (Role::Storage, 1002) => encode(&self.offsets(code), version),
            (Role::Storage, FETCH) => {
                encode(&self.fetch(&FetchRequest::decode_from(&mut body, version).unwrap(), code), version)
            }
            (Role::Storage, PRODUCE) => {
                encode(&self.produce(ProduceRequest::decode_from(&mut body, version).unwrap(), code), version)
            }
            (_, other) => panic!("request {other} is not served"),
        }
    }

    fn list(&self, body: &mut Bytes, version: Version) -> ObjectApiListResponse {
        let request = ObjectApiListRequest::decode_from(body, version).unwrap();
        let topics: Option<ListRequest<TopicSpec>> = request.downcast().unwrap();
        let partitions: Option<ListRequest<PartitionSpec>> = request.downcast().unwrap();
        let state = self.state.lock().unwrap();
        let mut units: Vec<i32> = (UNIT_ID..).take(state.replicas).collect();
        if let Some(asked) = topics {
            let spec = TopicSpec::new_computed(1, 1, None);
            let all = vec![Metadata { name: TOPIC.into(), spec, status: Default::default() }];
            return listed(if asked.system { Vec::new() } else { all }, version);
        }
        if let Some(asked) = partitions {
            let status = PartitionStatus { resolution: PartitionResolution::Online, ..Default::default() };
            let spec = PartitionSpec::new(UNIT_ID, std::mem::take(&mut units));
            let all = vec![Metadata { name: format!("{TOPIC}-0"), spec, status }];
            return listed(if asked.system { Vec::new() } else { all }, version);
        }
        let at = state.elsewhere.unwrap_or(self.storage);
        let spec = SpuSpec::new_public_addr(UNIT_ID, at.port(), at.ip().to_string());
        listed(vec![Metadata { name: UNIT.into(), spec, status: Default::default() }], version)
    }

    fn offsets(&self, error_code: ErrorCode) -> FetchOffsetsResponse {
        let state = self.state.lock().unwrap();
        let last_stable_offset = state.high.unwrap_or(state.end());
        let start_offset = state.start;
        let partition =
            FetchOffsetPartitionResponse { error_code, partition_index: 0, start_offset, last_stable_offset };
        FetchOffsetsResponse {
            topics: vec![FetchOffsetTopicResponse { name: TOPIC.into(), partitions: vec![partition] }],
        }
    }

    fn fetch(&self, request: &FetchRequest<Cut>, mut error_code: ErrorCode) -> FetchResponse<Cut> {
        let mut state = self.state.lock().unwrap();
        let asked = &request.topics[0].fetch_partitions[0];
        let (offset, end) = (asked.fetch_offset, state.end());
        let mut records = Cut::default();
        if offset < state.start {
            error_code = ErrorCode::OffsetEvicted { offset, next_available: state.start };
        } else if offset > end {
            error_code = ErrorCode::OffsetOutOfRange;
        } else if error_code.is_ok() {
            let mut at = 0;
            for batch in batches(&state.log).take_while(|batch| batch.header.next_offset() <= offset) {
                at += batch.header.bytes;
            }
            let rest = &state.log[at..];
            records.0 = rest[..rest.len().min(usize::try_from(asked.max_bytes).unwrap())].to_vec();
        }
        let partition = FetchablePartitionResponse {
            error_code,
            high_watermark: state.high.unwrap_or(end),
            log_start_offset: state.start,
            records,
            ..Default::default()
        };
        // What the next question will see.
        if state.replicas > 1 && offset == end {
            state.high_lags = state.high_lags.saturating_sub(1);
            match state.busy.clone() {
                Some(batch) => {
                    state.high = Some(end);
                    state.append(&batch);
                }
                None if state.high_lags == 0 => state.high = None,
                None => {}
            }
        }
        let topic = FetchableTopicResponse { name: TOPIC.into(), partitions: vec![partition], ..Default::default() };
        FetchResponse { topics: vec![topic], ..Default::default() }
    }

    fn produce(&self, mut request: ProduceRequest<Cut>, error_code: ErrorCode) -> ProduceResponse {
        let batch = request.topics.remove(0).partitions.remove(0).records.0;
        let base_offset = match error_code.is_ok() {
            true => self.state.lock().unwrap().append(&batch),
            false => -1,
        };
        let partition = PartitionProduceResponse { error_code, base_offset, ..Default::default() };
        let topic = TopicProduceResponse { name: TOPIC.into(), partitions: vec![partition] };
        ProduceResponse { responses: vec![topic], throttle_time_ms: 0 }
    }
}

fn listed<S>(objects: Vec<Metadata<S>>, version: Version) -> ObjectApiListResponse
where
    S: fluvio_sc_schema::AdminSpec,
    S::Status: Encoder + Decoder,
{
    ObjectApiListResponse::try_encode_from(ListResponse::new(objects), version).unwrap()
}

fn encode(body: &impl Encoder, version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    body.encode(&mut bytes, version).unwrap();
    bytes
}

fn read_frame(stream: &mut impl Read) -> io::Result<Bytes> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

fn write_frame(stream: &mut impl Write, number: i32, body: &[u8]) {
    let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
    bytes.extend(number.to_be_bytes());
    bytes.extend(body);
    // The other side may have gone.
    let _ = stream.write_all(&bytes).and_then(|()| stream.flush());
}

/// A record set as bytes.
#[derive(Debug, Default)]
pub struct Cut(Vec<u8>);

impl Encoder for Cut {
    fn write_size(&self, _: Version) -> usize {
        4 + self.0.len()
    }

    fn encode<T: BufMut>(&self, into: &mut T, _: Version) -> io::Result<()> {
        into.put_u32(self.0.len() as u32);
        into.put_slice(&self.0);
        Ok(())
    }
}

impl Decoder for Cut {
    fn decode<T: Buf>(&mut self, from: &mut T, _: Version) -> io::Result<()> {
        let length = from.get_u32() as usize;
        self.0 = from.copy_to_bytes(length).to_vec();
        Ok(())
    }
}
