//! The wire client against a hand-made server that misbehaves on purpose, and against the embedded broker through a
//! network that cuts connections.

mod connect;
mod cuts;
mod peer;
mod produce;
mod proxy;
mod read;
mod real;
mod stock;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use catchment_contract::{Environment, Result};
use catchment_topics::batch::{BatchBuilder, Producer, batches};
use catchment_topics::cluster::{self, ClusterOptions};
use catchment_topics::{Broker, Fetched, PartitionClient};

/// Options for tests: patient with a slow machine, quick to give up on silence.
fn options(endpoint: impl ToString) -> ClusterOptions {
    ClusterOptions {
        endpoint: endpoint.to_string(),
        profile: None,
        // Not the profiles of whoever runs the tests.
        profiles_file: Some("no such file".into()),
        connect_timeout: Duration::from_secs(20),
        request_timeout: Duration::from_secs(5),
    }
}

fn connect(options: ClusterOptions) -> Result<Arc<dyn Broker>> {
    cluster::connect(options, &Environment::system())
}

fn connected(endpoint: impl ToString) -> Arc<dyn Broker> {
    connect(options(endpoint)).unwrap()
}

/// A batch of records whose values are the numbers from `first` on.
fn numbered(first: u64, records: u64, producer: Producer, sequence: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for number in first..first + records {
        let number = number.to_string();
        builder.push(Some(number.as_bytes()), format!("value of record {number}").as_bytes());
    }
    builder.finish(producer, sequence, 1_700_000_000_000)
}

/// What a fetch must give while nothing is evicted.
fn fetched(client: &mut dyn PartitionClient, from: i64, max_bytes: usize) -> (bytes::Bytes, i64) {
    match client.fetch(from, max_bytes).unwrap() {
        Fetched::Batches { bytes, next } => (bytes, next),
        other => panic!("{other:?}"),
    }
}

/// Offsets and values of the records from `from` on, to the end.
fn read_to_end(client: &mut dyn PartitionClient, from: i64, max_bytes: usize) -> Vec<(i64, Vec<u8>)> {
    let (mut at, mut all, mut scratch) = (from, Vec::new(), Vec::new());
    loop {
        let (bytes, next) = fetched(client, at, max_bytes);
        if bytes.is_empty() {
            return all;
        }
        for batch in batches(&bytes) {
            for record in batch.records(&mut scratch).unwrap() {
                let record = record.unwrap();
                if record.offset >= from {
                    all.push((record.offset, record.value.to_vec()));
                }
            }
        }
        at = next;
    }
}
