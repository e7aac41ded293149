//! The controller's port: topics are made, widened, deleted, listed and watched.
//!
//! Objects travel as a label (`Topic`), the size of what follows, and the request or reply for that kind of object. Of
//! the other kinds there are none: they are listed and watched as empty.
//! A change is answered after all watches were sent it ([`super::feed`]).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BufMut;
use fluvio_controlplane_metadata::core::Spec as _;
use fluvio_controlplane_metadata::partition::PartitionSpec;
use fluvio_controlplane_metadata::spu::SpuSpec;
use fluvio_controlplane_metadata::topic::TopicSpec;
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::{Encoder, Version};
use fluvio_sc_schema::objects::{ListResponse, Metadata, ObjectApiListResponse};
use fluvio_sc_schema::{AdminSpec, Status, TryEncodableFrom};
use tokio::task::JoinSet;
use tracing::info;

use super::super::store::Store;
use super::super::topic::TopicRefused;
use super::connections::Place;
use super::feed::{Feed, Watchers};
use super::frame::{End, Replies, Request, Requests};
use super::input::{Input, Malformed, Read};
use super::versions::{Served, VERSIONS, Versions, check};
use super::{codes, specs};

const CREATE: u16 = 1001;
const DELETE: u16 = 1002;
const LIST: u16 = 1003;
const WATCH: u16 = 1004;
const UPDATE: u16 = 1006;

/// From 15 on objects have labels, and a topic's spec all of its fields.
const SERVED: &[Served] = &[
    Served(VERSIONS, 0, 2),
    Served(CREATE, 15, 19),
    Served(DELETE, 15, 19),
    Served(LIST, 15, 19),
    Served(WATCH, 15, 19),
    Served(UPDATE, 15, 19),
];

/// Names that a list may be filtered by.
const FILTERS_MAX: usize = 1024;

/// Watches of one connection; the stock client makes three, twice.
const WATCHES_MAX: usize = 64;

/// What all connections of the port are served from.
pub struct Controller {
    pub store: Arc<Store>,
    pub watchers: Arc<Watchers>,
}

/// Serves one connection until it ends; its client reaches the storage unit at `storage`.
pub async fn serve(
    controller: &Controller,
    storage: SocketAddr,
    mut requests: Requests,
    replies: Replies,
    place: &Arc<Place>,
) -> Result<(), End> {
    let store = &controller.store;
    // Dropped with the connection: a watch waits for changes, and would not see its peer go before there is one.
    let mut watches = JoinSet::new();
    while let Some(request) = requests.next(&replies).await? {
        check(&request, SERVED)?;
        let mut input = request.body.clone();
        if request.key == VERSIONS {
            replies.send(&request, &Versions(SERVED)).await?;
            continue;
        }
        let (label, mut input) = object(&mut input)?;
        match request.key {
            CREATE | DELETE | UPDATE => {
                let (store, key) = (Arc::clone(store), request.key);
                // Folders are made and removed: the other connections go on meanwhile.
                let change = tokio::task::spawn_blocking(move || change(&store, key, &label, &mut input));
                let status = change.await.map_err(|error| End::Reply(error.to_string()))??;
                if status.error_code.is_ok() {
                    let version = *controller.store.version().borrow();
                    controller.watchers.wait_for(version).await;
                }
                replies.send(&request, &status).await?;
            }
            LIST => list(store, storage, &request, &label, &mut input, &replies).await?,
            WATCH => {
                if watches.len() >= WATCHES_MAX {
                    return Err(Malformed(format!("more than {WATCHES_MAX} watches")).into());
                }
                let feed = Feed { request, replies: replies.clone(), watchers: Arc::clone(&controller.watchers) };
                watch(controller, storage, &label, feed, place, &mut watches).await?;
            }
            key => return Err(End::Unsupported { key, version: request.version }),
        }
    }
    Ok(())
}

fn change(store: &Store, key: u16, label: &str, input: &mut Input) -> Read<Status> {
    match key {
        CREATE => create(store, label, input),
        DELETE => delete(store, label, input),
        _ => update(store, label, input),
    }
}

/// The object's label, and what is said of it.
fn object(input: &mut Input) -> Read<(String, Input)> {
    let label = input.text()?;
    Ok((label, Input::new(input.blob()?)))
}

fn create(store: &Store, label: &str, input: &mut Input) -> Read<Status> {
    let (name, dry_run, _timeout_ms) = (input.text()?, input.bool()?, input.optional(Input::u32)?);
    if label != TopicSpec::LABEL {
        let why = format!("cannot create {label} \"{name}\": the embedded broker has topics only");
        return Ok(Status::new(name, ErrorCode::InvalidCreateRequest, Some(why)));
    }
    let made = match specs::read(input)? {
        Ok(spec) => store.create(&name, spec, dry_run),
        Err(why) => Err(TopicRefused::Spec(why)),
    };
    Ok(status("create", name, made))
}

fn delete(store: &Store, label: &str, input: &mut Input) -> Read<Status> {
    let name = input.text()?;
    if label != TopicSpec::LABEL {
        let why = format!("cannot delete {label} \"{name}\": the embedded broker has topics only");
        return Ok(Status::new(name, ErrorCode::InvalidDeleteRequest, Some(why)));
    }
    let forced = input.bool()?;
    let deleted = store.delete(&name, forced);
    Ok(status("delete", name, deleted))
}

fn update(store: &Store, label: &str, input: &mut Input) -> Read<Status> {
    let name = input.text()?;
    if label != TopicSpec::LABEL || input.u8()? != 0 {
        let why = format!("cannot update {label} \"{name}\": partitions of a topic can be added, nothing else");
        return Ok(Status::new(name, ErrorCode::Other(why.clone()), Some(why)));
    }
    let added = input.u32()?;
    let have = store.topic(&name).map_or(0, |topic| topic.spec.partitions);
    Ok(status("widen", name.clone(), store.widen(&name, have.saturating_add(added))))
}

fn status(verb: &str, name: String, done: Result<(), TopicRefused>) -> Status {
    match done {
        Ok(()) => {
            info!(topic = name, "{verb}d over the wire");
            Status::new_ok(name)
        }
        Err(refused) => {
            let why = format!("cannot {verb} topic \"{name}\": {refused}");
            info!(reason = why, "a client was refused");
            let code = codes::of_topic(&name, &refused);
            Status::new(name, code, Some(why))
        }
    }
}

async fn list(
    store: &Store,
    storage: SocketAddr,
    request: &Request,
    label: &str,
    input: &mut Input,
    replies: &Replies,
) -> Result<(), End> {
    let names = input.list(FILTERS_MAX, Input::text)?;
    let (_summary, system) = (input.bool()?, input.bool()?);
    // As a cluster filters: by a part of the name.
    let wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part.as_str()));
    let encoded = match label {
        TopicSpec::LABEL => {
            let mut objects = specs::topics(store);
            objects.retain(|topic| topic.spec.is_system() == system && wanted(&topic.name));
            listed(objects, request.version)
        }
        PartitionSpec::LABEL => {
            let mut objects = specs::partitions(store);
            objects.retain(|partition| partition.spec.system == system && wanted(&partition.name));
            listed(objects, request.version)
        }
        SpuSpec::LABEL => listed(specs::units(storage), request.version),
        _ => return replies.send(request, &Empty { label, fields: EMPTY_LIST }).await,
    };
    replies.send(request, &encoded?).await
}

fn listed<S>(objects: Vec<Metadata<S>>, version: Version) -> Result<ObjectApiListResponse, End>
where
    S: AdminSpec,
    S::Status: Encoder + fluvio_protocol::Decoder,
{
    let reply = ListResponse::new(objects);
    ObjectApiListResponse::try_encode_from(reply, version).map_err(|error| End::Reply(error.to_string()))
}

async fn watch(
    controller: &Controller,
    storage: SocketAddr,
    label: &str,
    feed: Feed,
    place: &Arc<Place>,
    watches: &mut JoinSet<()>,
) -> Result<(), End> {
    let (store, opened) = (Arc::clone(&controller.store), place.open_watch());
    match label {
        TopicSpec::LABEL => {
            watches.spawn(feed.run(store, opened, specs::topics));
        }
        PartitionSpec::LABEL => {
            watches.spawn(feed.run(store, opened, specs::partitions));
        }
        SpuSpec::LABEL => {
            watches.spawn(feed.run(store, opened, move |_: &Store| specs::units(storage)));
        }
        label => feed.replies.send(&feed.request, &Empty { label, fields: EMPTY_UPDATE }).await?,
    }
    Ok(())
}

/// An empty list of objects.
const EMPTY_LIST: &[u8] = &[0; 4];

/// An update without objects: its number, no changes, an empty set.
const EMPTY_UPDATE: &[u8] = &[0; 16];

/// A reply about a kind of object of which there is none.
struct Empty<'a> {
    label: &'a str,
    fields: &'static [u8],
}

impl Encoder for Empty<'_> {
    fn write_size(&self, version: Version) -> usize {
        self.label.to_owned().write_size(version) + 4 + self.fields.len()
    }

    fn encode<T: BufMut>(&self, dest: &mut T, version: Version) -> std::io::Result<()> {
        self.label.to_owned().encode(dest, version)?;
        dest.put_u32(u32::try_from(self.fields.len()).map_err(std::io::Error::other)?);
        dest.put_slice(self.fields);
        Ok(())
    }
}
