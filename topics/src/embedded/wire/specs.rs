//! Topics' specs between the wire and the store, and what the controller says of topics, partitions and storage units.

use std::net::{IpAddr, SocketAddr};

use fluvio_controlplane_metadata::partition::{PartitionResolution, PartitionSpec, PartitionStatus};
use fluvio_controlplane_metadata::spu::{IngressAddr, IngressPort, SpuSpec, SpuStatus, SpuStatusResolution};
use fluvio_controlplane_metadata::topic::{
    CleanupPolicy, CompressionAlgorithm, SegmentBasedPolicy, TopicResolution, TopicSpec, TopicStatus,
    TopicStorageConfig,
};
use fluvio_sc_schema::objects::Metadata;

use super::super::store::Store;
use super::super::topic::{PARTITIONS_MAX, Spec, Topic};
use super::input::{Input, Malformed, Read};

/// The only storage unit's number.
const UNIT: i32 = 5001;

/// Compressions by their number on the wire.
const COMPRESSIONS: [(&str, CompressionAlgorithm); 6] = [
    ("none", CompressionAlgorithm::None),
    ("gzip", CompressionAlgorithm::Gzip),
    ("snappy", CompressionAlgorithm::Snappy),
    ("lz4", CompressionAlgorithm::Lz4),
    ("any", CompressionAlgorithm::Any),
    ("zstd", CompressionAlgorithm::Zstd),
];

/// A spec that was asked for, or why the broker does not serve such topics.
pub type Asked = Result<Spec, String>;

/// Reads a topic's spec as at versions 15 to 19.
pub fn read(input: &mut Input) -> Read<Asked> {
    let partitions = match replicas(input)? {
        Ok(partitions) => partitions,
        // What follows a mirror is not read.
        Err(why) => return Ok(Err(why)),
    };
    let retention_s = input.optional(|input| match input.u8()? {
        0 => input.u32(),
        other => Err(Malformed(format!("clean-up policy {other} is unknown"))),
    })?;
    let storage = input.optional(|input| Ok((input.optional(Input::u32)?, input.optional(Input::u64)?)))?;
    let number = input.u8()?;
    let Some((compression, _)) = COMPRESSIONS.get(usize::from(number)) else {
        return Err(Malformed(format!("compression {number} is unknown")));
    };
    if input.bool()? {
        return Ok(Err("deduplication needs a smartmodule, and the embedded broker runs none".to_owned()));
    }
    let system = input.bool()?;
    let (segment_bytes, bytes_max) = storage.unwrap_or_default();
    let compression = (*compression).to_owned();
    Ok(Ok(Spec { retention_s, segment_bytes, bytes_max, compression, system, ..Spec::new(partitions) }))
}

/// How many partitions are asked for.
fn replicas(input: &mut Input) -> Read<Result<u32, String>> {
    let one_copy =
        |copies: usize| format!("it asks for {copies} copies of each partition, and the embedded broker keeps one");
    match input.u8()? {
        0 => {
            let count = input.count(PARTITIONS_MAX as usize)?;
            for expected in 0..count {
                let (id, copies) = (input.u32()?, input.list(1024, Input::i32)?);
                if id as usize != expected {
                    return Ok(Err(format!("partition {id} is assigned where partition {expected} was expected")));
                }
                if copies.len() != 1 {
                    return Ok(Err(one_copy(copies.len())));
                }
                if input.bool()? {
                    return Ok(Err("the embedded broker mirrors nothing".to_owned()));
                }
            }
            Ok(Ok(u32::try_from(count).unwrap_or(0)))
        }
        1 => {
            let (partitions, copies, _ignore_rack) = (input.u32()?, input.u32()?, input.bool()?);
            Ok(if copies > 1 { Err(one_copy(copies as usize)) } else { Ok(partitions) })
        }
        2 => Ok(Err("the embedded broker mirrors nothing".to_owned())),
        other => Err(Malformed(format!("replica spec {other} is unknown"))),
    }
}

fn spec(spec: &Spec) -> TopicSpec {
    let mut made = TopicSpec::new_computed(spec.partitions, 1, None);
    if let Some(time_in_seconds) = spec.retention_s {
        made.set_cleanup_policy(CleanupPolicy::Segment(SegmentBasedPolicy { time_in_seconds }));
    }
    if spec.segment_bytes.is_some() || spec.bytes_max.is_some() {
        let (segment_size, max_partition_size) = (spec.segment_bytes, spec.bytes_max);
        made.set_storage(TopicStorageConfig { segment_size, max_partition_size });
    }
    let compression = COMPRESSIONS.iter().find(|(name, _)| *name == spec.compression);
    made.set_compression_type(compression.map_or(CompressionAlgorithm::Any, |(_, compression)| compression.clone()));
    made.set_system(spec.system);
    made
}

/// All topics.
pub fn topics(store: &Store) -> Vec<Metadata<TopicSpec>> {
    let object = |(name, topic): (String, std::sync::Arc<Topic>)| {
        let replica_map = (0..topic.spec.partitions).map(|index| (index, vec![UNIT])).collect();
        let resolution = TopicResolution::Provisioned;
        let status = TopicStatus { resolution, replica_map, ..TopicStatus::default() };
        Metadata { name, spec: spec(&topic.spec), status }
    };
    store.all().into_iter().map(object).collect()
}

/// All partitions of all topics.
pub fn partitions(store: &Store) -> Vec<Metadata<PartitionSpec>> {
    let mut objects = Vec::new();
    for (name, topic) in store.all() {
        let spec = PartitionSpec::from_replicas(vec![UNIT], &spec(&topic.spec), None);
        for (index, log) in topic.partitions.iter().enumerate() {
            // A topic that is being deleted says nothing of its offsets.
            let bounds = log.bounds().unwrap_or_default();
            let status = PartitionStatus {
                // A client waits until a partition says so.
                resolution: PartitionResolution::Online,
                leader: (UNIT, bounds.end, bounds.end).into(),
                size: i64::try_from(log.bytes()).unwrap_or(i64::MAX),
                base_offset: bounds.start,
                ..PartitionStatus::default()
            };
            objects.push(Metadata { name: format!("{name}-{index}"), spec: spec.clone(), status });
        }
    }
    objects
}

/// The one storage unit, at an address that the asking client can reach.
pub fn units(storage: SocketAddr) -> Vec<Metadata<SpuSpec>> {
    // A client puts a colon and the port behind it.
    let host = match storage.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let mut spec = SpuSpec::new(UNIT);
    spec.public_endpoint =
        IngressPort { port: storage.port(), ingress: vec![IngressAddr::from_host(host)], ..IngressPort::default() };
    let status = SpuStatus { resolution: SpuStatusResolution::Online };
    vec![Metadata { name: format!("spu-{UNIT}"), spec, status }]
}
