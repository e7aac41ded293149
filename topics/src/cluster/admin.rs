//! What a controller is asked: topics, and who leads a partition.

use std::fmt::Debug;
use std::time::Duration;

use fluvio_controlplane_metadata::partition::PartitionSpec;
use fluvio_controlplane_metadata::spu::SpuSpec;
use fluvio_controlplane_metadata::topic::{
    CleanupPolicy, ReplicaSpec, SegmentBasedPolicy, TopicResolution, TopicSpec as StockTopicSpec,
};
use fluvio_protocol::api::Request;
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::{Decoder, Encoder};
use fluvio_sc_schema::objects::{
    CommonCreateRequest, CreateRequest, DeleteRequest, ListFilter, ListRequest, ListResponse, Metadata,
    ObjectApiCreateRequest, ObjectApiDeleteRequest, ObjectApiListRequest,
};
use fluvio_sc_schema::{AdminSpec, Status, TryEncodableFrom};

use crate::broker::{TopicFacts, TopicSpec};
use crate::cluster::failure::{self, Failure};
use crate::cluster::link::Link;

/// Where a partition is read and written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leader {
    /// Its `host:port`.
    pub(super) address: String,
    /// The storage unit's name.
    pub(super) unit: String,
    /// Whether other servers hold copies, so that what it has may not be what all have.
    pub(super) replicated: bool,
}

/// All topics, or those whose names hold `name`.
pub(super) fn topics(link: &mut Link, name: Option<&str>) -> Result<Vec<TopicFacts>, Failure> {
    Ok(list_all::<StockTopicSpec>(link, name)?.into_iter().map(facts).collect())
}

/// Creates a topic. Its partitions may not be there yet on return.
pub(super) fn create(link: &mut Link, name: &str, spec: &TopicSpec) -> Result<(), Failure> {
    let mut stock = StockTopicSpec::new_computed(spec.partitions, spec.replication, None);
    if let Some(retention) = spec.retention {
        // Whole seconds, never less than asked for.
        let seconds = retention.as_secs() + u64::from(retention.subsec_nanos() > 0);
        let time_in_seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        stock.set_cleanup_policy(CleanupPolicy::Segment(SegmentBasedPolicy { time_in_seconds }));
    }
    let common = CommonCreateRequest { name: name.to_string(), ..Default::default() };
    let version = link.version::<ObjectApiCreateRequest>()?;
    let request =
        ObjectApiCreateRequest::try_encode_from(CreateRequest::new(common, stock), version).map_err(unencodable)?;
    accepted(link.request(&request)?)
}

/// Fails unless a topic is there as it was asked for.
pub(super) fn expect_topic(link: &mut Link, name: &str, spec: &TopicSpec) -> Result<(), Failure> {
    match topics(link, Some(name))?.iter().find(|topic| topic.name == name) {
        None => Err(Failure::NotYet("it was asked for, and is not there".into())),
        Some(found) if found.partitions == spec.partitions => Ok(()),
        Some(found) => Err(Failure::Code {
            code: ErrorCode::TopicAlreadyExists,
            message: Some(format!("it exists with {} partitions", found.partitions)),
        }),
    }
}

/// Fails while a topic is there.
pub(super) fn expect_no_topic(link: &mut Link, name: &str) -> Result<(), Failure> {
    match topics(link, Some(name))?.iter().any(|topic| topic.name == name) {
        true => Err(Failure::NotYet("it is still there".into())),
        false => Ok(()),
    }
}

/// Deletes a topic.
pub(super) fn delete(link: &mut Link, name: &str) -> Result<(), Failure> {
    let version = link.version::<ObjectApiDeleteRequest>()?;
    let request: DeleteRequest<StockTopicSpec> = DeleteRequest::new(name.to_string());
    let request = ObjectApiDeleteRequest::try_encode_from(request, version).map_err(unencodable)?;
    accepted(link.request(&request)?)
}

/// Who leads a partition now. Its state is not looked at: a stock controller may lose the news that a partition is up, and
/// whether a leader leads is its own to say.
pub(super) fn leader(link: &mut Link, topic: &str, partition: u32, local: bool) -> Result<Leader, Failure> {
    let name = format!("{topic}-{partition}");
    let Some(found) = list_all::<PartitionSpec>(link, Some(&name))?.into_iter().find(|found| found.name == name) else {
        return Err(missing(link, topic, partition)?);
    };
    let units = list::<SpuSpec>(link, None, false)?;
    let Some(unit) = units.into_iter().find(|unit| unit.spec.id == found.spec.leader) else {
        return Err(Failure::NotYet(format!("storage unit {}, which leads \"{name}\", is unknown", found.spec.leader)));
    };
    let address = match &unit.spec.public_endpoint_local {
        Some(endpoint) if local => format!("{}:{}", endpoint.host, endpoint.port),
        _ => unit.spec.public_endpoint.addr(),
    };
    Ok(Leader { address, unit: unit.name, replicated: found.spec.replicas.len() > 1 })
}

/// Which of topic and partition is not there.
fn missing(link: &mut Link, topic: &str, partition: u32) -> Result<Failure, Failure> {
    let found = list_all::<StockTopicSpec>(link, Some(topic))?.into_iter().find(|found| found.name == topic);
    Ok(match found {
        None => Failure::Missing(failure::no_topic(topic)),
        Some(found) if partition >= found.spec.partitions() => {
            Failure::Missing(failure::no_partition(topic, partition, found.spec.partitions()))
        }
        Some(found) if found.status.resolution == TopicResolution::InsufficientResources => Failure::NotYet(format!(
            "there are fewer storage units than topic \"{topic}\" has copies of each partition"
        )),
        Some(_) => Failure::NotYet(format!("partition {partition} of topic \"{topic}\" is not assigned yet")),
    })
}

/// Users' objects of a kind and the system's: a list has one or the other. A server lists each thing in one of them only,
/// but an old one may not know the difference.
fn list_all<S>(link: &mut Link, name: Option<&str>) -> Result<Vec<Metadata<S>>, Failure>
where
    S: AdminSpec,
    S::Status: Encoder + Decoder + Debug,
    ObjectApiListRequest: TryEncodableFrom<ListRequest<S>>,
    <ObjectApiListRequest as Request>::Response: TryEncodableFrom<ListResponse<S>>,
{
    let mut all = list::<S>(link, name, false)?;
    for other in list::<S>(link, name, true)? {
        if all.iter().all(|one| one.name != other.name) {
            all.push(other);
        }
    }
    Ok(all)
}

/// Objects of a kind, of users or of the system; those whose names hold `name`, if it is given (servers differ in how
/// exactly they filter).
fn list<S>(link: &mut Link, name: Option<&str>, system: bool) -> Result<Vec<Metadata<S>>, Failure>
where
    S: AdminSpec,
    S::Status: Encoder + Decoder + Debug,
    ObjectApiListRequest: TryEncodableFrom<ListRequest<S>>,
    <ObjectApiListRequest as Request>::Response: TryEncodableFrom<ListResponse<S>>,
{
    let filters: Vec<ListFilter> = name.map(|name| ListFilter::from(name.to_string())).into_iter().collect();
    let version = link.version::<ObjectApiListRequest>()?;
    let request = ObjectApiListRequest::try_encode_from(ListRequest::<S>::new(filters, false).system(system), version)
        .map_err(unencodable)?;
    let reply: Option<ListResponse<S>> =
        link.request(&request)?.downcast().map_err(|error| Failure::Reply(error.to_string()))?;
    match reply {
        Some(reply) => Ok(reply.inner()),
        None => Err(Failure::Reply(format!("it lists other things than {}", S::LABEL))),
    }
}

fn accepted(status: Status) -> Result<(), Failure> {
    match status.error_code.is_ok() {
        true => Ok(()),
        false => Err(Failure::Code { code: status.error_code, message: status.error_message }),
    }
}

fn unencodable(error: impl std::fmt::Display) -> Failure {
    Failure::Reply(format!("the request cannot be written: {error}"))
}

fn facts(topic: Metadata<StockTopicSpec>) -> TopicFacts {
    let spec = topic.spec;
    TopicFacts {
        partitions: spec.partitions(),
        retention: spec.get_clean_policy().map(|policy| Duration::from_secs(policy.retention_secs().into())),
        system: spec.is_system(),
        rebuilt: spec.get_deduplication().is_some() || matches!(spec.replicas(), ReplicaSpec::Mirror(_)),
        name: topic.name,
    }
}
