//! A Fluvio cluster over TCP.
//!
//! Everything here is blocking: one connection a [`PartitionClient`], one request in flight, every byte read and written
//! under a deadline. Connections to the controller are made anew for each use, since a controller is asked seldom and a
//! connection that was idle for a day is one more thing that may be dead.
//!
//! ```text
//! Broker (list, create, delete) ─▶ admin ─▶ controller
//! PartitionClient ─┬▶ admin: who leads? ─▶ controller
//!                  └▶ link: Produce, Fetch, FetchOffsets ─▶ leader
//! ```
//!
//! The stock client is not used. Its connection to a controller opens three watches and a background task each before the
//! first question, waits without a deadline, believes the lengths a peer claims, and with rustls cannot connect
//! anonymously at all (it takes `host:port` for a server's name). Its profiles are read ([`profile`]).
//!
//! What is tried again, and for how long: reaching the controller or a leader, and every question that changes nothing, by
//! [`RetryPolicy`] until [`ClusterOptions::connect_timeout`] has passed since the first failure. A write is sent once.

mod admin;
mod client;
mod failure;
mod fetch;
mod link;
mod profile;
mod tls;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use catchment_contract::{Environment, Error, Result, Retries, RetryPolicy};

use crate::broker::{Broker, PartitionClient, TopicFacts, TopicSpec};
use crate::cluster::client::ClusterPartition;
use crate::cluster::failure::Failure;
use crate::cluster::link::Link;
use crate::cluster::profile::{ClusterProfile, Profiles};
use crate::cluster::tls::{Secured, Tls};

pub use crate::cluster::fetch::FETCH_BYTES_MAX;
pub use crate::cluster::wire::REQUEST_BYTES_MAX;

/// How long the answer to a change is waited for before its effect is looked for. A stock controller answers when all
/// partitions are up, and may miss that they are and be silent for 90 s.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(1);

/// Where a cluster is, and how patient we are with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterOptions {
    /// The controller's `host:port`; empty for the profile's.
    pub endpoint: String,
    /// A profile of the stock client, whose TLS settings are used. Without one the current profile's are, if it names the
    /// same endpoint.
    pub profile: Option<String>,
    /// The file of profiles; `None` for the stock client's: the one that `FLV_PROFILE_PATH` names, or `~/.fluvio/config`.
    pub profiles_file: Option<PathBuf>,
    /// How long a call tries to reach a server before it gives up.
    pub connect_timeout: Duration,
    /// How long a server may take to answer one request, and to accept a connection.
    pub request_timeout: Duration,
}

impl Default for ClusterOptions {
    /// The current profile's endpoint, 30 s to connect, 10 s a request.
    fn default() -> Self {
        ClusterOptions {
            endpoint: String::new(),
            profile: None,
            profiles_file: None,
            connect_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(10),
        }
    }
}

/// Connects to a cluster: tries until its controller answers.
///
/// # Errors
/// [`catchment_contract::Fault::User`] if the profile does not exist, its certificates cannot be read, or what answers is
/// no controller; [`catchment_contract::Fault::Remote`] if nothing answered in [`ClusterOptions::connect_timeout`].
pub fn connect(options: ClusterOptions, environment: &Environment) -> Result<Arc<dyn Broker>> {
    let cluster = Arc::new(Cluster::new(options, environment)?);
    cluster.ask("connect to the controller", |link| link.expect_controller())?;
    Ok(Arc::new(ClusterBroker { cluster }))
}

/// What all connections to a cluster share.
pub(crate) struct Cluster {
    endpoint: String,
    tls: Tls,
    /// Whether leaders are reached at their local address (a profile's setting, for port-forwarded clusters).
    local: bool,
    /// How long a question is repeated.
    policy: RetryPolicy,
    request_timeout: Duration,
    environment: Environment,
}

impl Cluster {
    fn new(options: ClusterOptions, environment: &Environment) -> Result<Cluster> {
        let config = configure(&options)?;
        if !config.endpoint.contains(':') {
            return Err(Error::user(format!("the endpoint \"{}\" has no port", config.endpoint))
                .with_hint("write the controller's host:port, such as localhost:9003"));
        }
        Ok(Cluster {
            tls: Tls::new(&config.tls)?,
            local: config.use_spu_local_address,
            endpoint: config.endpoint,
            policy: RetryPolicy::default().with_patience(options.connect_timeout),
            request_timeout: options.request_timeout,
            environment: environment.clone(),
        })
    }

    fn dial_controller(&self) -> Result<Link, Failure> {
        self.dial(&self.endpoint, &self.tls.controller(&self.endpoint)?)
    }

    fn dial(&self, address: &str, secured: &Secured) -> Result<Link, Failure> {
        Link::dial(address, secured, self.request_timeout, &self.environment)
    }

    fn retries(&self) -> Retries {
        Retries::new(self.policy, self.environment.clone())
    }

    /// Puts a question that changes nothing to the controller, on a connection of its own, until it is answered.
    fn ask<T>(&self, what: &str, question: impl Fn(&mut Link) -> Result<T, Failure>) -> Result<T> {
        self.patiently(what, &self.controller(), || question(&mut self.dial_controller()?))
    }

    /// Puts a question that changes something: connects until that succeeds, and asks once, waiting a short while for the
    /// answer.
    ///
    /// # Errors
    /// The outer one if nothing was asked.
    fn ask_once<T>(
        &self,
        what: &str,
        question: impl FnOnce(&mut Link) -> Result<T, Failure>,
    ) -> Result<Result<T, Failure>> {
        let timeout = self.request_timeout.min(CHANGE_TIMEOUT);
        let mut link = self.patiently(what, &self.controller(), || self.dial_controller())?;
        link.set_timeout(timeout);
        Ok(question(&mut link))
    }

    /// What a change came to: done, refused, or to be looked for.
    fn done_or_doubtful(&self, what: &str, answer: Result<(), Failure>) -> Result<()> {
        match answer {
            Err(failure) if !failure.passes() => Err(failure.into_error(what, &self.controller())),
            Err(failure) => {
                tracing::warn!(endpoint = self.controller(), cause = %failure.chain(), "{what}: no answer came, so its effect is looked for");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Tries until it succeeds, fails for good, or has failed for [`ClusterOptions::connect_timeout`]. `place` is whom we
    /// talk to.
    fn patiently<T>(&self, what: &str, place: &str, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T> {
        let begun = self.environment.now();
        let mut retries = self.retries();
        loop {
            let failure = match attempt() {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if !retries.wait_if(what, failure.passes(), || failure.chain_at(place)) {
                return Err(failure.into_final(what, place, self.environment.now() - begun));
            }
        }
    }

    fn controller(&self) -> String {
        format!("the controller at {}", self.endpoint)
    }
}

/// Where the cluster is and how it is talked to, by the options and the profiles.
fn configure(options: &ClusterOptions) -> Result<ClusterProfile> {
    let profiles = Profiles::load(options.profiles_file.as_deref())?;
    let found = match &options.profile {
        Some(name) => Some(profiles.named(name)?),
        None => profiles.current(),
    };
    match found {
        Some(cluster) if options.endpoint.is_empty() || options.endpoint == cluster.endpoint => Ok(cluster.clone()),
        // The profile says how to talk, the endpoint to whom.
        Some(cluster) if options.profile.is_some() => {
            Ok(ClusterProfile { tls: cluster.tls.clone(), ..ClusterProfile::new(&options.endpoint) })
        }
        _ if options.endpoint.is_empty() => Err(Error::user("no endpoint is given and no Fluvio profile is active")
            .with_hint("name the controller's host:port, or switch to a profile with fluvio profile switch NAME")),
        _ => Ok(ClusterProfile::new(&options.endpoint)),
    }
}

/// A cluster as a [`Broker`].
struct ClusterBroker {
    cluster: Arc<Cluster>,
}

impl Broker for ClusterBroker {
    fn describe(&self) -> String {
        format!("Fluvio cluster at {}", self.cluster.endpoint)
    }

    fn address(&self) -> String {
        self.cluster.endpoint.clone()
    }

    fn topics(&self) -> Result<Vec<TopicFacts>> {
        let mut topics = self.cluster.ask("list topics", |link| admin::topics(link, None))?;
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    fn topic(&self, name: &str) -> Result<Option<TopicFacts>> {
        let what = format!("look up topic \"{name}\"");
        let topics = self.cluster.ask(&what, |link| admin::topics(link, Some(name)))?;
        Ok(topics.into_iter().find(|topic| topic.name == name))
    }

    fn create(&self, name: &str, spec: &TopicSpec) -> Result<()> {
        let what = format!("create topic \"{name}\"");
        let answer = self.cluster.ask_once(&what, |link| admin::create(link, name, spec))?;
        let answered = answer.is_ok();
        self.cluster.done_or_doubtful(&what, answer)?;
        if !answered {
            self.cluster.ask(&what, |link| admin::expect_topic(link, name, spec))?;
        }
        // A partition can be used when its leader says where it begins and ends; until then it refuses or is unknown.
        let place = self.cluster.controller();
        for index in 0..spec.partitions {
            let what = format!("wait for partition {index} of the new topic \"{name}\"");
            let mut partition = ClusterPartition::new(self.cluster.clone(), name, index);
            self.cluster.patiently(&what, &place, || partition.attempt_bounds().map_err(Failure::new_topic))?;
        }
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<()> {
        let what = format!("delete topic \"{name}\"");
        let answer = self.cluster.ask_once(&what, |link| admin::delete(link, name))?;
        self.cluster.done_or_doubtful(&what, answer)?;
        self.cluster.ask(&what, |link| admin::expect_no_topic(link, name))
    }

    fn partition(&self, topic: &str, partition: u32) -> Result<Box<dyn PartitionClient>> {
        let facts = self.topic(topic)?.ok_or_else(|| failure::no_topic(topic))?;
        if partition >= facts.partitions {
            return Err(failure::no_partition(topic, partition, facts.partitions));
        }
        Ok(Box::new(ClusterPartition::new(self.cluster.clone(), topic, partition)))
    }
}
