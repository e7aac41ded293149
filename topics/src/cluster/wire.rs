//! Frames: what goes over a connection, and how much of it is believed.
//!
//! A request is an i32 length and then, counted by it, the request's key (u16), its version (i16), a number that the
//! reply repeats (i32), the client's name (string), and the body. A reply is an i32 length, the number, and the body.
//! Bodies are the protocol crates'; batches pass through as bytes, in one copy.

use std::io;

use bytes::{Buf, BufMut, Bytes};
use fluvio_protocol::api::{Request, RequestHeader};
use fluvio_protocol::{Decoder, Encoder, Version};

use crate::cluster::failure::Failure;

/// Largest request: the server's own limit (`max_request_size`), beyond which it closes the connection.
pub const REQUEST_BYTES_MAX: usize = 32 << 20;

/// How we introduce ourselves.
const CLIENT: &str = "catchment";
/// Size of a frame's length.
pub(super) const LENGTH_BYTES: usize = 4;

/// A request as one frame.
pub(super) fn frame<R: Request>(request: &R, version: Version, number: i32, room: usize) -> Result<Vec<u8>, Failure> {
    let wrong = |error: io::Error| Failure::Reply(format!("the request cannot be written: {error}"));
    let mut header = RequestHeader::new_with_client(R::API_KEY, CLIENT);
    header.set_api_version(version).set_correlation_id(number);
    let mut bytes = Vec::with_capacity(room);
    bytes.put_i32(0);
    header.encode(&mut bytes, 0).map_err(wrong)?;
    request.encode(&mut bytes, version).map_err(wrong)?;
    let length = i32::try_from(bytes.len() - LENGTH_BYTES)
        .map_err(|_| Failure::Reply(format!("a request of {} bytes cannot be written", bytes.len())))?;
    bytes[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(bytes)
}

/// The body of a reply, whose number must be the request's.
pub(super) fn reply<R: Request>(mut bytes: Bytes, version: Version, number: i32) -> Result<R::Response, Failure> {
    if bytes.len() < 4 {
        return Err(Failure::Reply(format!("it has {} bytes", bytes.len())));
    }
    let found = bytes.get_i32();
    if found != number {
        return Err(Failure::Reply(format!("it answers request {found}, not {number}")));
    }
    R::Response::decode_from(&mut bytes, version).map_err(|error| Failure::Reply(error.to_string()))
}

/// A record set as it is on the wire, whatever it holds: batches, the last of which may be cut.
#[derive(Debug, Default)]
pub(super) struct RawRecords(pub(super) Bytes);

impl Encoder for RawRecords {
    fn write_size(&self, _: Version) -> usize {
        LENGTH_BYTES + self.0.len()
    }

    fn encode<T: BufMut>(&self, into: &mut T, _: Version) -> io::Result<()> {
        put_sized(&self.0, into)
    }
}

impl Decoder for RawRecords {
    fn decode<T: Buf>(&mut self, from: &mut T, version: Version) -> io::Result<()> {
        let mut length = 0i32;
        length.decode(from, version)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= from.remaining()).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{length} bytes of records, {} came", from.remaining()))
        })?;
        // Shares the reply's memory.
        self.0 = from.copy_to_bytes(length);
        Ok(())
    }
}

/// A record set to be sent, borrowed.
#[derive(Debug, Default)]
pub(super) struct SentRecords<'a>(pub(super) &'a [u8]);

impl Encoder for SentRecords<'_> {
    fn write_size(&self, _: Version) -> usize {
        LENGTH_BYTES + self.0.len()
    }

    fn encode<T: BufMut>(&self, into: &mut T, _: Version) -> io::Result<()> {
        put_sized(self.0, into)
    }
}

impl Decoder for SentRecords<'_> {
    fn decode<T: Buf>(&mut self, _: &mut T, _: Version) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "records to be sent are never read"))
    }
}

fn put_sized<T: BufMut>(bytes: &[u8], into: &mut T) -> io::Result<()> {
    let length = i32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    into.put_i32(length);
    into.put_slice(bytes);
    Ok(())
}
