//! The stock client and ours see the same topics and the same records.

use std::net::SocketAddr;
use std::time::Duration;

use catchment_contract::ErrorKind;
use catchment_topics::batch::{batches, partition_of};
use catchment_topics::{Broker, Embedded, EmbeddedOptions, TopicSpec};
use fluvio::metadata::spu::SpuSpec;
use fluvio::{Compression, Fluvio, FluvioAdmin, FluvioClusterConfig, TopicProducerConfigBuilder};
use tokio::runtime::Runtime;

use super::peer::{Peer, TOPIC};
use super::{connected, read_to_end};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn started() -> (tempfile::TempDir, std::sync::Arc<Embedded>) {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { folder: folder.path().to_owned(), ..EmbeddedOptions::default() };
    (folder, crate::start(options))
}

/// The address of a cluster's only storage unit, as the stock client is told it.
pub fn storage_of(controller: SocketAddr) -> SocketAddr {
    runtime().block_on(async {
        let config = FluvioClusterConfig::new(controller.to_string());
        let admin = FluvioAdmin::connect_with_config(&config).await.unwrap();
        admin.all::<SpuSpec>().await.unwrap()[0].spec.public_endpoint.addr().parse().unwrap()
    })
}

const COMPRESSIONS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Sends `values` as the stock client batches and compresses them.
async fn send(fluvio: &Fluvio, topic: &str, compression: Compression, batch_bytes: usize, values: &[Vec<u8>]) {
    let config = TopicProducerConfigBuilder::default()
        .compression(compression)
        .batch_size(batch_bytes)
        .max_request_size(8 << 20)
        .linger(Duration::from_millis(5))
        .build()
        .unwrap();
    let producer = fluvio.topic_producer_with_config(topic, config).await.unwrap();
    for value in values {
        producer.send(format!("key {}", value.len()), value.clone()).await.unwrap();
    }
    producer.flush().await.unwrap();
}

/// What the stock client wrote, in every compression and in batches of a record up to 4 MB, comes back whole from a
/// server that cuts at the byte limit.
#[test]
fn all_compressions_of_the_stock_client_are_read_whatever_is_cut() {
    let (_folder, broker) = started();
    broker.create(TOPIC, &TopicSpec::default()).unwrap();
    let mut values: Vec<Vec<u8>> = Vec::new();
    runtime().block_on(async {
        let config = FluvioClusterConfig::new(broker.controller().to_string());
        let fluvio = Fluvio::connect_with_config(&config).await.unwrap();
        for compression in COMPRESSIONS {
            for (batch_bytes, sizes) in [(1, vec![10; 3]), (30_000, vec![150; 500]), (5 << 20, vec![1 << 20; 4])] {
                let some: Vec<Vec<u8>> = sizes
                    .into_iter()
                    .enumerate()
                    .map(|(index, size)| format!("{compression} {index} ").into_bytes().repeat(size / 10 + 1))
                    .collect();
                send(&fluvio, TOPIC, compression, batch_bytes, &some).await;
                values.extend(some);
            }
        }
    });
    let (log, _) = super::fetched(&mut *broker.partition(TOPIC, 0).unwrap(), 0, 64 << 20);
    let peer = Peer::start();
    batches(&log).for_each(|batch| {
        peer.state().append(batch.bytes);
    });
    let used: std::collections::BTreeSet<u8> = batches(&log).map(|batch| batch.header.compression).collect();
    assert_eq!(used.into_iter().collect::<Vec<u8>>(), [0, 1, 2, 3, 4]);

    let cluster = connected(peer.controller);
    let mut client = cluster.partition(TOPIC, 0).unwrap();
    for max_bytes in [64, 10_000, 1 << 20, 8 << 20] {
        let read: Vec<Vec<u8>> = read_to_end(&mut *client, 0, max_bytes).into_iter().map(|record| record.1).collect();
        assert_eq!(read.len(), values.len(), "max_bytes {max_bytes}");
        assert!(read == values, "max_bytes {max_bytes}");
    }
}

/// A key goes where the stock client sends it.
#[test]
fn keys_are_routed_as_the_stock_client_routes_them() {
    let (_folder, broker) = started();
    broker.create(TOPIC, &TopicSpec { partitions: 5, ..TopicSpec::default() }).unwrap();
    runtime().block_on(async {
        let config = FluvioClusterConfig::new(broker.controller().to_string());
        let producer = Fluvio::connect_with_config(&config).await.unwrap().topic_producer(TOPIC).await.unwrap();
        for key in 0..200 {
            producer.send(format!("key {key}"), "value").await.unwrap();
        }
        producer.flush().await.unwrap();
    });
    let (mut scratch, mut seen) = (Vec::new(), 0);
    for partition in 0..5 {
        let (bytes, _) = super::fetched(&mut *broker.partition(TOPIC, partition).unwrap(), 0, 1 << 20);
        for batch in batches(&bytes) {
            for record in batch.records(&mut scratch).unwrap() {
                assert_eq!(partition_of(record.unwrap().key.unwrap(), 5), partition);
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 200);
}

/// Topics through our client: made, listed, refused, deleted; the same errors as the embedded broker gives directly.
#[test]
fn topics_are_made_listed_and_deleted() {
    let (_folder, broker) = started();
    let cluster = connected(broker.controller());
    let spec = TopicSpec { partitions: 3, replication: 1, retention: Some(Duration::from_millis(90_500)) };
    cluster.create(TOPIC, &spec).unwrap();
    assert_eq!(cluster.topics().unwrap(), broker.topics().unwrap());
    let facts = cluster.topic(TOPIC).unwrap().unwrap();
    assert_eq!((facts.partitions, facts.system, facts.rebuilt), (3, false, false));
    assert_eq!(facts.retention, Some(Duration::from_secs(91)), "kept at least as long as asked");
    assert_eq!(cluster.topic("order").unwrap(), None, "a part of a name is not the name");
    for (name, kind) in [(TOPIC, ErrorKind::Taken), ("No Topic", ErrorKind::Invalid)] {
        let error = cluster.create(name, &spec).unwrap_err();
        assert_eq!(error.kind(), kind, "{}", error.chain());
        assert!(error.chain().contains(&format!("\"{name}\"")), "{}", error.chain());
    }
    assert_eq!(cluster.delete("absent").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(cluster.delete("consumer-offset").unwrap_err().kind(), ErrorKind::Denied);
    cluster.delete(TOPIC).unwrap();
    assert_eq!(cluster.topic(TOPIC).unwrap(), None);
}
