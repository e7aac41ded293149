//! `catchment topics …`, and the flags that say where topics live.

mod list;
mod read;
mod serve;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use catchment_contract::{Environment, ErrorKind};
use catchment_topics::Broker;
use clap::{Args, Subcommand};

use super::Failure;
use super::run::duration;
use catchment::TopicsLocation;

/// See and serve topics
#[derive(Args)]
pub struct Topics {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List topics, with their partitions and records
    List(list::List),
    /// Print a topic's records, one a line
    Read(read::Read),
    /// Run the embedded broker alone, until told to stop
    Serve(serve::Serve),
}

impl Topics {
    /// Runs the subcommand.
    pub fn execute(&self) -> Result<(), Failure> {
        match &self.command {
            Command::List(command) => command.execute(),
            Command::Read(command) => command.execute(),
            Command::Serve(command) => command.execute(),
        }
    }
}

/// Where the topics of a run live.
#[derive(Args)]
pub struct RunTopics {
    /// Where topics live: embedded (a broker in this process), or HOST:PORT of a cluster's controller
    #[arg(long, default_value = "embedded", value_name = "embedded|HOST:PORT")]
    topics: String,
    /// The embedded broker's folder; _catchment/topics below a local lake, if not said
    #[arg(long, value_name = "DIR")]
    topics_dir: Option<PathBuf>,
    /// Where the embedded broker serves Fluvio's protocol; a free port of loopback, if not said
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    topics_listen: Option<SocketAddr>,
    /// Let --topics-listen be an address that other machines reach, though the broker has no login
    #[arg(long)]
    topics_insecure: bool,
    /// How long to try to reach a cluster
    #[arg(long, default_value = "30s", value_parser = duration)]
    connect_timeout: Duration,
}

impl RunTopics {
    /// What the flags say.
    pub fn location(&self) -> Result<TopicsLocation, Failure> {
        if self.topics != "embedded" {
            if self.topics_dir.is_some() || self.topics_listen.is_some() || self.topics_insecure {
                let what = "--topics-dir, --topics-listen and --topics-insecure are the embedded broker's";
                return Err(Failure::Wrong(format!("{what}; leave them out, or leave out --topics {}", self.topics)));
            }
            return Ok(TopicsLocation::Cluster {
                endpoint: endpoint(&self.topics).map_err(|error| Failure::Wrong(format!("--topics: {error}")))?,
                connect_timeout: self.connect_timeout,
            });
        }
        Ok(embedded(self.topics_dir.clone(), self.topics_listen, self.topics_insecure))
    }
}

/// Where the topics are that somebody looks at.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// A controller: of a cluster, of a running job, or of catchment topics serve
    #[arg(long, value_name = "HOST:PORT", value_parser = endpoint)]
    topics: Option<String>,
    /// The folder of an embedded broker, running or not
    #[arg(long, value_name = "DIR")]
    topics_dir: Option<PathBuf>,
}

impl Source {
    /// The broker; for a folder that a running broker has, that broker.
    fn broker(&self) -> Result<Arc<dyn Broker>, Failure> {
        let cluster = |endpoint: &str| {
            let location = TopicsLocation::Cluster { endpoint: endpoint.to_string(), connect_timeout: CONNECT };
            location.reach(None, &Environment::system())
        };
        let Some(folder) = &self.topics_dir else {
            return Ok(cluster(self.topics.as_deref().unwrap_or_default())?);
        };
        if !folder.is_dir() {
            let message = format!("there is no folder of topics at \"{}\"", folder.display());
            let hint = "a job keeps its own in LAKE/_catchment/topics, unless it was given --topics-dir";
            return Err(Failure::Wrong(format!("{message}; {hint}")));
        }
        if !folder.join("lock").is_file() {
            let below = folder.join("_catchment").join("topics");
            let hint = match below.is_dir() {
                true => format!("did you mean \"{}\"?", below.display()),
                false => "a job keeps them in LAKE/_catchment/topics, unless it was given --topics-dir".into(),
            };
            return Err(Failure::Wrong(format!("no broker has kept topics in \"{}\"; {hint}", folder.display())));
        }
        match embedded(Some(folder.clone()), None, false).reach(None, &Environment::system()) {
            Err(error) if error.kind() == ErrorKind::Taken => match std::fs::read_to_string(folder.join("lock")) {
                Ok(address) if !address.trim().is_empty() => Ok(cluster(address.trim())?),
                _ => Err(error.into()),
            },
            reached => Ok(reached?),
        }
    }
}

/// How long a person waits for a controller.
const CONNECT: Duration = Duration::from_secs(10);

fn embedded(folder: Option<PathBuf>, listen: Option<SocketAddr>, insecure: bool) -> TopicsLocation {
    match TopicsLocation::default() {
        TopicsLocation::Embedded { listen: free, fsync, .. } => {
            TopicsLocation::Embedded { folder, listen: listen.unwrap_or(free), insecure, fsync }
        }
        cluster => cluster,
    }
}

/// `HOST:PORT`, as it was written.
fn endpoint(text: &str) -> Result<String, String> {
    let is_host = |host: &str| !host.is_empty() && !host.contains('/');
    let port = text.rsplit_once(':').filter(|(host, _)| is_host(host)).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(port)) if port > 0 => Ok(text.to_string()),
        _ => Err("write HOST:PORT, such as 127.0.0.1:9003".into()),
    }
}

/// `HOST:PORT` of this machine, to listen on.
fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| "write HOST:PORT, such as 127.0.0.1:9003; port 0 is a free one".into())
}
