//! Raw requests of Fluvio's protocol for tests: built by the protocol crates, sent and answered as bytes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use catchment_topics::batch::{BatchBuilder, Producer};
use fluvio_controlplane_metadata::partition::PartitionSpec;
use fluvio_controlplane_metadata::smartmodule::SmartModuleSpec;
use fluvio_controlplane_metadata::spu::SpuSpec;
use fluvio_controlplane_metadata::topic::{
    AddPartition, CleanupPolicy, SegmentBasedPolicy, TopicSpec, TopicStorageConfig, UpdateTopicAction,
};
use fluvio_protocol::api::{Request, RequestMessage};
use fluvio_protocol::link::versions::ApiVersionsRequest;
use fluvio_protocol::record::{RawRecords, RecordSet};
use fluvio_protocol::{Decoder, Encoder};
use fluvio_sc_schema::TryEncodableFrom;
use fluvio_sc_schema::objects::{
    CommonCreateRequest, CreateRequest, DeleteRequest, ListRequest, ObjectApiCreateRequest, ObjectApiDeleteRequest,
    ObjectApiListRequest, ObjectApiListResponse, ObjectApiUpdateRequest, ObjectApiWatchRequest, UpdateRequest,
    WatchRequest,
};
use fluvio_spu_schema::fetch::{FetchPartition, FetchRequest, FetchableTopic};
use fluvio_spu_schema::server::consumer_offset::{
    DeleteConsumerOffsetRequest, FetchConsumerOffsetsRequest, UpdateConsumerOffsetRequest,
};
use fluvio_spu_schema::server::fetch_offset::FetchOffsetsRequest;
use fluvio_spu_schema::server::stream_fetch::DefaultStreamFetchRequest;
use fluvio_spu_schema::server::update_offset::{OffsetUpdate, UpdateOffsetsRequest};

/// Objects travel at this version.
const OBJECTS: i16 = 19;

/// A request without its length: header and body.
pub fn encoded<R: Request>(request: R) -> Vec<u8> {
    let mut bytes = Vec::new();
    RequestMessage::new_request(request).encode(&mut bytes, 0).unwrap();
    bytes
}

/// A request behind its length.
pub fn framed(request: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(request.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(request);
    frame
}

/// A batch of `records` records of `size` bytes.
pub fn batch(records: usize, size: usize, producer: i64, sequence: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for number in 0..records {
        builder.push(Some(format!("{number}").as_bytes()), &vec![b'v'; size]);
    }
    builder.finish(Producer { id: producer, epoch: 0 }, sequence, 1_700_000_000_000)
}

/// Produce `set` to a partition, at version 25.
pub fn produce(topic: &str, partition: u32, set: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [0_u16.to_be_bytes(), 25_u16.to_be_bytes()] {
        bytes.extend_from_slice(&part);
    }
    bytes.extend_from_slice(&7_i32.to_be_bytes());
    "test".to_owned().encode(&mut bytes, 0).unwrap();
    // No transaction, read committed, a time-out, one topic.
    bytes.push(0);
    bytes.extend_from_slice(&(-1_i16).to_be_bytes());
    bytes.extend_from_slice(&1500_i32.to_be_bytes());
    bytes.extend_from_slice(&1_i32.to_be_bytes());
    topic.to_owned().encode(&mut bytes, 0).unwrap();
    bytes.extend_from_slice(&1_i32.to_be_bytes());
    bytes.extend_from_slice(&partition.to_be_bytes());
    bytes.extend_from_slice(&u32::try_from(set.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(set);
    // No smartmodules.
    bytes.extend_from_slice(&0_i32.to_be_bytes());
    bytes
}

/// Fetch from a partition.
pub fn fetch(topic: &str, partition: u32, offset: i64, max_bytes: i32) -> Vec<u8> {
    let partition =
        FetchPartition { partition_index: partition, fetch_offset: offset, max_bytes, ..FetchPartition::default() };
    let topic = FetchableTopic { name: topic.to_owned(), fetch_partitions: vec![partition] };
    encoded(FetchRequest::<RecordSet<RawRecords>> { max_bytes, topics: vec![topic], ..FetchRequest::default() })
}

fn create(name: &str, spec: TopicSpec) -> Vec<u8> {
    let common = CommonCreateRequest { name: name.to_owned(), dry_run: false, timeout: Some(1000) };
    encoded(ObjectApiCreateRequest::try_encode_from(CreateRequest::new(common, spec), OBJECTS).unwrap())
}

/// The requests of the controller's port.
pub fn controller_requests(topic: &str) -> Vec<Vec<u8>> {
    let mut full = TopicSpec::new_computed(2, 1, None);
    full.set_cleanup_policy(CleanupPolicy::Segment(SegmentBasedPolicy { time_in_seconds: 60 }));
    full.set_storage(TopicStorageConfig { segment_size: Some(65_536), max_partition_size: Some(1 << 30) });
    let assigned = TopicSpec::new_assigned(vec![(0, vec![5001]), (1, vec![5001])]);
    let filters = vec!["a".to_owned().into(), "b".to_owned().into()];
    let list = ListRequest::<TopicSpec>::new(filters, false).system(true);
    let add = UpdateTopicAction::AddPartition(AddPartition { count: 1 });
    let add = UpdateRequest::<TopicSpec>::new(topic.to_owned(), add);
    let delete = DeleteRequest::<TopicSpec>::with("made".to_owned(), true);
    vec![
        encoded(ApiVersionsRequest::default()),
        create("made", full),
        create("assigned", assigned),
        encoded(ObjectApiDeleteRequest::try_encode_from(delete, OBJECTS).unwrap()),
        encoded(ObjectApiUpdateRequest::try_encode_from(add, OBJECTS).unwrap()),
        encoded(ObjectApiListRequest::try_encode_from(list, OBJECTS).unwrap()),
        encoded(ObjectApiListRequest::try_encode_from(all::<PartitionSpec>(), OBJECTS).unwrap()),
        encoded(ObjectApiListRequest::try_encode_from(all::<SpuSpec>(), OBJECTS).unwrap()),
        encoded(ObjectApiListRequest::try_encode_from(all::<SmartModuleSpec>(), OBJECTS).unwrap()),
        encoded(ObjectApiWatchRequest::try_encode_from(WatchRequest::<TopicSpec>::summary(), OBJECTS).unwrap()),
        encoded(ObjectApiWatchRequest::try_encode_from(WatchRequest::<PartitionSpec>::summary(), OBJECTS).unwrap()),
        encoded(ObjectApiWatchRequest::try_encode_from(WatchRequest::<SpuSpec>::summary(), OBJECTS).unwrap()),
        encoded(ObjectApiWatchRequest::try_encode_from(WatchRequest::<SmartModuleSpec>::summary(), OBJECTS).unwrap()),
    ]
}

fn all<S>() -> ListRequest<S> {
    ListRequest::new(Vec::new(), false)
}

/// The requests of the storage port.
pub fn storage_requests(topic: &str) -> Vec<Vec<u8>> {
    let name = topic.to_owned();
    let stream = DefaultStreamFetchRequest::builder()
        .topic(name.clone())
        .partition(0_u32)
        .fetch_offset(0)
        .max_bytes(100_000)
        .consumer_id(Some("reader".to_owned()))
        .build()
        .unwrap();
    let replica = fluvio_protocol::record::ReplicaKey::new(name.clone(), 0_u32);
    vec![
        encoded(ApiVersionsRequest::default()),
        produce(topic, 0, &batch(3, 50, -1, -1)),
        produce(topic, 0, &[batch(3, 50, 4, 1), batch(1, 5, 4, 2)].concat()),
        fetch(topic, 0, 0, 10_000),
        encoded(FetchOffsetsRequest::new(name.clone(), 0)),
        encoded(stream),
        encoded(UpdateOffsetsRequest::new(vec![OffsetUpdate { offset: 3, session_id: 1 }])),
        encoded(UpdateConsumerOffsetRequest::new(3, 1)),
        encoded(FetchConsumerOffsetsRequest::with_opts(Some(replica), Some("reader".to_owned()))),
        encoded(DeleteConsumerOffsetRequest::new(name, 0_u32, "reader")),
    ]
}

/// A connection on which one request waits for its reply.
pub struct Wire(pub TcpStream);

impl Wire {
    /// Connects; every call ends within 60 seconds.
    pub fn connect(address: SocketAddr) -> io::Result<Wire> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.set_write_timeout(Some(Duration::from_secs(60)))?;
        stream.set_nodelay(true)?;
        Ok(Wire(stream))
    }

    /// Sends a request.
    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.0.write_all(&framed(request))
    }

    /// A reply's body behind the correlation id.
    pub fn receive(&mut self) -> io::Result<Bytes> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut bytes)?;
        Ok(Bytes::from(bytes).slice(4..))
    }

    /// Sends a request and decodes its reply.
    pub fn ask<T: Decoder>(&mut self, request: &[u8], version: i16) -> io::Result<T> {
        self.send(request)?;
        T::decode_from(&mut self.receive()?, version)
    }
}

/// Where the storage unit of a controller listens, as its clients find out.
pub fn storage_of(controller: SocketAddr) -> SocketAddr {
    let request = encoded(ObjectApiListRequest::try_encode_from(all::<SpuSpec>(), OBJECTS).unwrap());
    let mut reply = Wire::connect(controller).unwrap();
    let reply: ObjectApiListResponse = reply.ask(&request, OBJECTS).unwrap();
    let units: fluvio_sc_schema::objects::ListResponse<SpuSpec> = reply.downcast().unwrap().unwrap();
    units.inner()[0].spec.public_endpoint.addr().parse().unwrap()
}
