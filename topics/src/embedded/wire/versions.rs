//! Which requests a port serves, and at which versions.

use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::{Encoder, Version};

use super::frame::{End, Request};

/// Request number of the question itself, on both ports.
pub const VERSIONS: u16 = 18;

/// What clients are told to be talking to: the release whose protocol this is.
const PLATFORM: &str = "0.18.1";

/// A request number with the least and the greatest version served.
#[derive(Clone, Copy)]
pub struct Served(pub u16, pub i16, pub i16);

/// The answer: what is served.
pub struct Versions(pub &'static [Served]);

impl Encoder for Versions {
    fn write_size(&self, version: Version) -> usize {
        ErrorCode::None.write_size(version) + 4 + 6 * self.0.len() + 2 + PLATFORM.len()
    }

    fn encode<T: bytes::BufMut>(&self, dest: &mut T, version: Version) -> std::io::Result<()> {
        ErrorCode::None.encode(dest, version)?;
        dest.put_i32(i32::try_from(self.0.len()).map_err(std::io::Error::other)?);
        for Served(key, least, greatest) in self.0 {
            dest.put_u16(*key);
            dest.put_i16(*least);
            dest.put_i16(*greatest);
        }
        PLATFORM.to_owned().encode(dest, version)
    }
}

/// Ends a connection that asks for what is not served: its body could not be read.
pub fn check(request: &Request, served: &[Served]) -> Result<(), End> {
    let Request { key, version, .. } = *request;
    let known =
        served.iter().any(|Served(one, least, greatest)| *one == key && (*least..=*greatest).contains(&version));
    if known { Ok(()) } else { Err(End::Unsupported { key, version }) }
}
