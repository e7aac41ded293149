//! What the storage port is asked, read from a request's body.
//!
//! Field by field as in the protocol crates at the versions that [`super::storage`] announces; lists are bounded by what
//! a broker of one process can have.

use bytes::Bytes;

use super::super::topic::NAME_BYTES_MAX;
use super::input::{Input, Malformed, Read};

/// Topics in one request.
const TOPICS_MAX: usize = 1024;

/// Partitions in one request, over all its topics.
const PARTITIONS_MAX: usize = 4096;

/// Version from which a stream names its consumer.
const CONSUMER_VERSION: i16 = 23;

/// A topic with something for each of its partitions.
#[derive(Debug)]
pub struct Topic<P> {
    pub name: String,
    pub partitions: Vec<P>,
}

fn topics<P>(input: &mut Input, mut read: impl FnMut(&mut Input) -> Read<P>) -> Read<Vec<Topic<P>>> {
    let mut left = PARTITIONS_MAX;
    input.list(TOPICS_MAX, |input| {
        let name = input.text()?;
        let partitions = input.list(left, &mut read)?;
        left -= partitions.len();
        Ok(Topic { name, partitions })
    })
}

/// Batches for one partition.
#[derive(Debug)]
pub struct ProducePartition {
    pub index: u32,
    pub records: Bytes,
}

/// Append batches.
#[derive(Debug)]
pub struct Produce {
    pub topics: Vec<Topic<ProducePartition>>,
    /// Whether it asks for a smartmodule to change the records.
    pub smartmodules: bool,
}

impl Produce {
    /// Reads the whole request.
    pub fn read(input: &mut Input) -> Read<Produce> {
        Produce::read_head(input)?;
        let topics = topics(input, |input| Ok(ProducePartition { index: input.u32()?, records: input.blob()? }))?;
        let smartmodules = input.i32()? > 0;
        Ok(Produce { topics, smartmodules })
    }

    /// Reads topic and partition of the first record set of a request whose end is missing.
    pub fn read_first(input: &mut Input) -> Read<(String, u32)> {
        Produce::read_head(input)?;
        if input.i32()? < 1 {
            return Err(Malformed("a produce request without topics".to_owned()));
        }
        let name = input.text()?;
        if input.i32()? < 1 {
            return Err(Malformed("a produce request without partitions".to_owned()));
        }
        Ok((name, input.u32()?))
    }

    fn read_head(input: &mut Input) -> Read<()> {
        let (_transaction, _acknowledge) = (input.optional(Input::text)?, input.i16()?);
        match input.i32()? {
            timeout_ms if timeout_ms < 0 => Err(Malformed(format!("a time-out of {timeout_ms} ms"))),
            _ => Ok(()),
        }
    }
}

/// Where to read in one partition.
#[derive(Debug)]
pub struct FetchPartition {
    pub index: u32,
    pub offset: i64,
    pub max_bytes: usize,
}

/// Read once.
#[derive(Debug)]
pub struct Fetch {
    pub topics: Vec<Topic<FetchPartition>>,
    pub max_bytes: usize,
}

impl Fetch {
    /// Reads the request.
    pub fn read(input: &mut Input) -> Read<Fetch> {
        let (_max_wait, _min_bytes, max_bytes, _isolation) = (input.i32()?, input.i32()?, input.i32()?, input.u8()?);
        let topics = topics(input, |input| {
            let (index, _leader_epoch, offset) = (input.u32()?, input.i32()?, input.i64()?);
            let (_follower_start, max_bytes) = (input.i64()?, input.i32()?);
            Ok(FetchPartition { index, offset, max_bytes: size(max_bytes) })
        })?;
        Ok(Fetch { topics, max_bytes: size(max_bytes) })
    }
}

/// Which partitions' bounds are asked for.
pub fn read_bounds(input: &mut Input) -> Read<Vec<Topic<u32>>> {
    topics(input, Input::u32)
}

/// Read on and on.
#[derive(Debug)]
pub struct Stream {
    pub topic: String,
    pub partition: u32,
    pub offset: i64,
    pub max_bytes: usize,
    pub smartmodules: bool,
    pub consumer: Option<String>,
}

impl Stream {
    /// Reads the request.
    pub fn read(input: &mut Input, version: i16) -> Read<Stream> {
        let (topic, partition, offset) = (name(input)?, input.u32()?, input.i64()?);
        let (max_bytes, _isolation) = (size(input.i32()?), input.u8()?);
        let smartmodules = input.i32()? > 0;
        // What follows smartmodules cannot be found without reading them, and the request is refused anyway.
        let named = version >= CONSUMER_VERSION && !smartmodules;
        let consumer = if named { input.optional(Input::text)? } else { None };
        Ok(Stream { topic, partition, offset, max_bytes, smartmodules, consumer })
    }
}

/// Up to where streams' records have arrived: (offset, session).
pub fn read_acknowledged(input: &mut Input) -> Read<Vec<(i64, u32)>> {
    input.list(PARTITIONS_MAX, |input| Ok((input.i64()?, input.u32()?)))
}

/// A partition's name.
#[derive(Debug)]
pub struct Replica {
    pub topic: String,
    pub partition: u32,
}

impl Replica {
    /// Reads the name.
    pub fn read(input: &mut Input) -> Read<Replica> {
        Ok(Replica { topic: input.text()?, partition: input.u32()? })
    }
}

/// Which consumers' offsets are asked for; nothing stands for any.
#[derive(Debug, Default)]
pub struct Filter {
    pub replica: Option<Replica>,
    pub consumer: Option<String>,
}

impl Filter {
    /// Reads the filter.
    pub fn read(input: &mut Input) -> Read<Filter> {
        let filter = input.optional(|input| {
            Ok(Filter { replica: input.optional(Replica::read)?, consumer: input.optional(Input::text)? })
        })?;
        Ok(filter.unwrap_or_default())
    }
}

/// A topic's name. One that no topic can have is not kept for a stream that waits to say so.
fn name(input: &mut Input) -> Read<String> {
    let name = input.text()?;
    match name.len() {
        0..=NAME_BYTES_MAX => Ok(name),
        bytes => Err(Malformed(format!("a topic's name of {bytes} bytes"))),
    }
}

fn size(bytes: i32) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}
