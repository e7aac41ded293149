//! The stock Fluvio client reads a topic that catchment writes. While a job or `catchment topics serve` runs:
//!
//! ```sh
//! cargo run --example stock_consumer -- 127.0.0.1:9003 video-buzz
//! ```
//!
//! prints the topic's records from its beginning, key and value, and goes on as they come.

use std::env;

use anyhow::{Context, Result, anyhow};
use fluvio::consumer::ConsumerConfigExtBuilder;
use fluvio::{Fluvio, FluvioClusterConfig, Offset};
use futures::StreamExt;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let endpoint = arguments.next().context("name the controller's HOST:PORT, as the job prints it")?;
    let topic = arguments.next().context("name a topic")?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(consume(&endpoint, &topic))
}

async fn consume(endpoint: &str, topic: &str) -> Result<()> {
    let client = Fluvio::connect_with_config(&FluvioClusterConfig::new(endpoint)).await?;
    let config = ConsumerConfigExtBuilder::default().topic(topic).offset_start(Offset::beginning()).build()?;
    let mut records = client.consumer_with_config(config).await?;
    while let Some(record) = records.next().await {
        let record = record.map_err(|code| anyhow!("could not read topic \"{topic}\": {code}"))?;
        let key = record.key().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
        println!("{key}\t{}", String::from_utf8_lossy(record.value()));
    }
    Ok(())
}
