//! A record set in the protocol crate's replies, as the bytes it is: an i32 length and encoded batches.

use std::io;

use bytes::{Buf, BufMut, Bytes};
use fluvio_protocol::{Decoder, Encoder, Version};

/// Encoded batches back to back.
#[derive(Clone, Debug, Default)]
pub struct Records(pub Bytes);

impl Encoder for Records {
    fn write_size(&self, _: Version) -> usize {
        4 + self.0.len()
    }

    fn encode<T: BufMut>(&self, dest: &mut T, _: Version) -> io::Result<()> {
        let length = i32::try_from(self.0.len()).map_err(io::Error::other)?;
        dest.put_i32(length);
        dest.put_slice(&self.0);
        Ok(())
    }
}

/// The reply types ask for it; the broker itself decodes no replies.
impl Decoder for Records {
    fn decode<T: Buf>(&mut self, src: &mut T, _: Version) -> io::Result<()> {
        if src.remaining() < 4 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = usize::try_from(src.get_i32()).map_err(io::Error::other)?;
        if src.remaining() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0 = src.copy_to_bytes(length);
        Ok(())
    }
}
