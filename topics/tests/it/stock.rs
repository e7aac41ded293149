//! The stock client, release 0.50.1, against the embedded broker.
//!
//! `RECORDS=1000000` runs the long form of the ordering test.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use catchment_topics::batch::partition_of;
use catchment_topics::{Broker, Embedded, EmbeddedOptions, TopicSpec as OwnSpec};
use fluvio::consumer::{ConsumerConfigExt, ConsumerConfigExtBuilder, ConsumerStream, OffsetManagementStrategy};
use fluvio::metadata::objects::{CommonCreateRequest, ListRequest};
use fluvio::metadata::partition::PartitionSpec;
use fluvio::metadata::smartmodule::SmartModuleSpec;
use fluvio::metadata::spu::SpuSpec;
use fluvio::metadata::topic::{
    Bounds, CleanupPolicy, Deduplication, Filter, SegmentBasedPolicy, TopicSpec, Transform, UpdateTopicAction,
};
use fluvio::{Compression, Fluvio, FluvioAdmin, FluvioClusterConfig, Offset, TopicProducerConfigBuilder};
use fluvio_controlplane_metadata::topic::AddPartition;
use futures::StreamExt;
use tempfile::TempDir;

/// Longer than anything here takes on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(300);

struct Bench {
    broker: std::sync::Arc<Embedded>,
    _folder: TempDir,
}

impl Bench {
    fn start() -> Bench {
        let folder = TempDir::new().unwrap();
        let options = EmbeddedOptions { folder: folder.path().to_owned(), ..EmbeddedOptions::default() };
        Bench { broker: crate::start(options), _folder: folder }
    }

    async fn client(&self) -> Fluvio {
        Fluvio::connect_with_config(&self.config()).await.unwrap()
    }

    async fn admin(&self) -> FluvioAdmin {
        FluvioAdmin::connect_with_config(&self.config()).await.unwrap()
    }

    fn config(&self) -> FluvioClusterConfig {
        FluvioClusterConfig::new(self.broker.controller().to_string())
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await.expect("the test hangs") })
}

/// Tries until it works. The stock client learns of a new topic from its watches, and on a loaded machine it looks for
/// it before it has taken in what they told.
async fn soon<T, E: Display, F: Future<Output = Result<T, E>>>(attempt: impl Fn() -> F) -> T {
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => println!("not yet: {error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn consumer(topic: &str, from: Offset) -> ConsumerConfigExtBuilder {
    let mut config = ConsumerConfigExt::builder();
    config.topic(topic).offset_start(from);
    config
}

/// The next `count` records: (partition, offset, key, value).
async fn read(client: &Fluvio, config: &ConsumerConfigExtBuilder, count: usize) -> Vec<(u32, i64, String, Vec<u8>)> {
    let stream = soon(|| client.consumer_with_config(config.build().unwrap())).await;
    let records = stream.take(count).map(|record| {
        let record = record.unwrap();
        let key = record.key().map(|key| String::from_utf8(key.to_vec()).unwrap()).unwrap_or_default();
        (record.partition(), record.offset(), key, record.value().to_vec())
    });
    records.collect().await
}

#[test]
fn topics_are_created_listed_widened_and_deleted() {
    let bench = Bench::start();
    run(async {
        let admin = bench.admin().await;
        admin.create("plain".to_owned(), false, TopicSpec::new_computed(2, 1, None)).await.unwrap();
        let mut kept = TopicSpec::new_computed(1, 1, None);
        kept.set_cleanup_policy(CleanupPolicy::Segment(SegmentBasedPolicy { time_in_seconds: 3600 }));
        admin.create("kept".to_owned(), false, kept).await.unwrap();
        let assigned = TopicSpec::new_assigned(vec![(0, vec![5001]), (1, vec![5001]), (2, vec![5001])]);
        let timed = CommonCreateRequest { name: "assigned".to_owned(), dry_run: false, timeout: Some(5_000) };
        admin.create_with_config(timed, assigned).await.unwrap();
        admin.create("dry".to_owned(), true, TopicSpec::new_computed(1, 1, None)).await.unwrap();

        let listed = admin.all::<TopicSpec>().await.unwrap();
        let facts: Vec<_> = listed.iter().map(|topic| (topic.name.as_str(), topic.spec.partitions())).collect();
        assert_eq!(facts, [("assigned", 3), ("kept", 1), ("plain", 2)]);
        assert_eq!(listed[1].spec.retention_secs(), 3600);
        assert_eq!(bench.broker.topic("kept").unwrap().unwrap().retention, Some(Duration::from_secs(3600)));
        let one = admin.list::<TopicSpec, String>(vec!["plain".to_owned()]).await.unwrap();
        assert_eq!(one.len(), 1);
        let system = ListRequest::<TopicSpec>::new(Vec::new(), false).system(true);
        let system = admin.list_with_config::<TopicSpec, String>(system).await.unwrap();
        assert_eq!(system.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>(), ["consumer-offset"]);
        assert_eq!(admin.all::<PartitionSpec>().await.unwrap().len(), 6);
        assert_eq!(admin.all::<SpuSpec>().await.unwrap().len(), 1);
        assert!(admin.all::<SmartModuleSpec>().await.unwrap().is_empty());

        let added = UpdateTopicAction::AddPartition(AddPartition { count: 2 });
        admin.update::<TopicSpec>("plain".to_owned(), added).await.unwrap();
        assert_eq!(bench.broker.topic("plain").unwrap().unwrap().partitions, 4);

        // What our own side makes, the stock client sees.
        bench.broker.create("ours", &OwnSpec { partitions: 2, ..OwnSpec::default() }).unwrap();
        assert_eq!(admin.all::<TopicSpec>().await.unwrap().len(), 4);
        admin.delete::<TopicSpec>("plain".to_owned()).await.unwrap();
        assert!(bench.broker.topic("plain").unwrap().is_none());
        for (name, part) in [("plain", "not found"), ("consumer-offset", "belongs to the broker")] {
            let error = admin.delete::<TopicSpec>(name.to_owned()).await.unwrap_err();
            assert!(format!("{error:#}").contains(part), "{name}: {error:#}");
        }
    });
}

#[test]
fn topics_that_cannot_be_served_are_refused_with_the_reason() {
    let bench = Bench::start();
    run(async {
        let admin = bench.admin().await;
        admin.create("taken".to_owned(), false, TopicSpec::new_computed(1, 1, None)).await.unwrap();
        let mut rebuilt = TopicSpec::new_computed(1, 1, None);
        let transform = Transform { uses: "filter".to_owned(), ..Transform::default() };
        let bounds = Bounds { count: 1, age: None };
        rebuilt.set_deduplication(Some(Deduplication { bounds, filter: Filter { transform } }));
        let mirror = fluvio::metadata::topic::HomeMirrorConfig::from_simple("m", vec!["other".to_owned()]);
        let mirror = TopicSpec::new_mirror(fluvio::metadata::topic::MirrorConfig::Home(mirror));
        let cases = [
            ("taken", TopicSpec::new_computed(1, 1, None), "exists"),
            ("Not_A_Name", TopicSpec::new_computed(1, 1, None), "Invalid topic name"),
            ("none", TopicSpec::new_computed(0, 1, None), "0 partitions"),
            ("many", TopicSpec::new_computed(100_000, 1, None), "100000 partitions"),
            ("copies", TopicSpec::new_computed(1, 3, None), "3 copies"),
            ("dedup", rebuilt, "deduplication needs a smartmodule"),
            ("mirror", mirror, "mirrors nothing"),
            ("gap", TopicSpec::new_assigned(vec![(0, vec![1]), (2, vec![1])]), "partition 2 is assigned"),
        ];
        for (name, spec, part) in cases {
            let error = admin.create(name.to_owned(), false, spec).await.unwrap_err();
            assert!(format!("{error:?}").contains(part), "{name}: {error:?}");
        }
        assert_eq!(admin.all::<TopicSpec>().await.unwrap().len(), 1);
    });
}

#[test]
fn keyed_records_come_back_complete_and_in_order() {
    let records: usize = std::env::var("RECORDS").map_or(100_000, |text| text.parse().unwrap());
    let bench = Bench::start();
    run(async {
        let client = bench.client().await;
        let admin = client.admin().await;
        admin.create("keyed".to_owned(), false, TopicSpec::new_computed(3, 1, None)).await.unwrap();
        let mut config = TopicProducerConfigBuilder::default();
        config.batch_size(128 * 1024).linger(Duration::from_millis(5)).batch_queue_size(50);
        let producer = soon(|| client.topic_producer_with_config("keyed", config.build().unwrap())).await;
        let reading = async {
            let reader = bench.client().await;
            read(&reader, &consumer("keyed", Offset::beginning()), records).await
        };
        let writing = async {
            for number in 0..records {
                producer.send(format!("k{}", number % 1000), format!("{number:0100}")).await.unwrap();
            }
            producer.flush().await.unwrap();
        };
        // One reads while the other writes.
        let ((), seen) = futures::future::join(writing, reading).await;
        let mut next_offset: BTreeMap<u32, i64> = BTreeMap::new();
        let mut of_key: BTreeMap<String, usize> = BTreeMap::new();
        for (partition, offset, key, value) in seen {
            let expected = next_offset.entry(partition).or_default();
            assert_eq!(offset, *expected, "partition {partition}");
            *expected += 1;
            assert_eq!(partition, partition_of(key.as_bytes(), 3), "{key}");
            let number: usize = str::from_utf8(&value).unwrap().parse().unwrap();
            let index = of_key.entry(key.clone()).or_default();
            assert_eq!(key, format!("k{}", number % 1000));
            assert_eq!(number / 1000, *index, "{key}");
            *index += 1;
        }
        assert_eq!(next_offset.values().sum::<i64>(), records as i64);
        assert_eq!(of_key.values().sum::<usize>(), records);
    });
}

#[test]
fn every_compression_comes_back() {
    let bench = Bench::start();
    run(async {
        let client = bench.client().await;
        let admin = client.admin().await;
        for compression in
            [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
        {
            let topic = format!("c-{compression}").to_lowercase();
            admin.create(topic.clone(), false, TopicSpec::new_computed(1, 1, None)).await.unwrap();
            let mut config = TopicProducerConfigBuilder::default();
            config.compression(compression).batch_size(64 * 1024).linger(Duration::from_millis(20));
            let producer = soon(|| client.topic_producer_with_config(topic.clone(), config.build().unwrap())).await;
            for number in 0..2_000 {
                producer.send(format!("{number}"), format!("{number:0200}")).await.unwrap();
            }
            producer.flush().await.unwrap();
            let seen = read(&client, &consumer(&topic, Offset::beginning()), 2_000).await;
            let keys: Vec<String> = seen.into_iter().map(|(_, _, key, _)| key).collect();
            assert_eq!(keys, (0..2_000).map(|number| number.to_string()).collect::<Vec<_>>(), "{compression}");
        }
    });
}

#[test]
fn reading_begins_where_it_is_told_to_and_goes_on() {
    let bench = Bench::start();
    run(async {
        let client = bench.client().await;
        client.admin().await.create("tail".to_owned(), false, TopicSpec::new_computed(1, 1, None)).await.unwrap();
        let producer = soon(|| client.topic_producer("tail")).await;
        for number in 0..50 {
            producer.send("k", number.to_string()).await.unwrap();
            // Batches of their own, so that offsets fall on and between batch borders.
            if number % 7 == 0 {
                producer.flush().await.unwrap();
            }
        }
        producer.flush().await.unwrap();
        for (from, first) in [
            (Offset::beginning(), 0),
            (Offset::absolute(0).unwrap(), 0),
            (Offset::absolute(17).unwrap(), 17),
            (Offset::absolute(49).unwrap(), 49),
            (Offset::from_beginning(3), 3),
            (Offset::from_end(10), 40),
        ] {
            let seen = read(&client, &consumer("tail", from.clone()), 50 - first as usize).await;
            let offsets: Vec<i64> = seen.iter().map(|(_, offset, _, _)| *offset).collect();
            assert_eq!(offsets, (first..50).collect::<Vec<_>>(), "{from:?}");
        }
        // A tail waits for what comes, from the stock client and from our own side.
        let config = consumer("tail", Offset::end()).build().unwrap();
        let mut stream = soon(|| client.consumer_with_config(config.clone())).await;
        producer.send("k", "50").await.unwrap();
        producer.flush().await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap().value(), b"50");
        let mut batch = catchment_topics::batch::BatchBuilder::new();
        batch.push(Some(b"ours"), b"51");
        let batch = batch.finish(catchment_topics::batch::Producer { id: 9, epoch: 0 }, 0, 1_700_000_000_000);
        assert_eq!(bench.broker.partition("tail", 0).unwrap().produce(&batch).unwrap(), 51);
        let record = stream.next().await.unwrap().unwrap();
        assert_eq!((record.offset(), record.key(), record.value()), (51, Some(b"ours".as_slice()), b"51".as_slice()));
    });
}

#[test]
fn managed_offsets_are_kept_over_a_restart() {
    let folder = TempDir::new().unwrap();
    let options = EmbeddedOptions { folder: folder.path().to_owned(), ..EmbeddedOptions::default() };
    let managed = || {
        let mut config = consumer("kept", Offset::beginning());
        config.offset_consumer("reader".to_owned()).offset_strategy(OffsetManagementStrategy::Manual);
        config.build().unwrap()
    };
    for round in 0..3_i64 {
        let broker = crate::start(options.clone());
        run(async {
            let config = FluvioClusterConfig::new(broker.controller().to_string());
            let client = Fluvio::connect_with_config(&config).await.unwrap();
            if round == 0 {
                client
                    .admin()
                    .await
                    .create("kept".to_owned(), false, TopicSpec::new_computed(1, 1, None))
                    .await
                    .unwrap();
                let producer = soon(|| client.topic_producer("kept")).await;
                for number in 0..30 {
                    producer.send("k", number.to_string()).await.unwrap();
                }
                producer.flush().await.unwrap();
            }
            let mut stream = soon(|| client.consumer_with_config(managed())).await;
            for expected in round * 10..round * 10 + 10 {
                assert_eq!(stream.next().await.unwrap().unwrap().offset(), expected);
            }
            stream.offset_commit().await.unwrap();
            stream.offset_flush().await.unwrap();
            drop(stream);
            let offsets = client.consumer_offsets().await.unwrap();
            assert_eq!(offsets.len(), 1);
            assert_eq!((offsets[0].consumer_id.as_str(), offsets[0].offset), ("reader", round * 10 + 9));
            if round == 2 {
                client.delete_consumer_offset("reader", ("kept", 0)).await.unwrap();
                assert!(client.consumer_offsets().await.unwrap().is_empty());
            }
        });
    }
}

#[test]
fn a_deleted_topic_ends_its_streams() {
    let bench = Bench::start();
    run(async {
        let client = bench.client().await;
        let admin = client.admin().await;
        admin.create("gone".to_owned(), false, TopicSpec::new_computed(1, 1, None)).await.unwrap();
        let producer = soon(|| client.topic_producer("gone")).await;
        producer.send("k", "v").await.unwrap();
        producer.flush().await.unwrap();
        let mut config = consumer("gone", Offset::beginning());
        config.retry_mode(fluvio::consumer::RetryMode::Disabled);
        let mut stream = soon(|| client.consumer_with_config(config.build().unwrap())).await;
        assert_eq!(stream.next().await.unwrap().unwrap().value(), b"v");
        admin.delete::<TopicSpec>("gone".to_owned()).await.unwrap();
        let ended = stream.next().await;
        assert!(matches!(ended, None | Some(Err(_))));
    });
}
