//! Compression by content: the first bytes of a file say how it is packed, its name does not count.
//!
//! All streams of a file are read, whatever their number: zstd frames and skippable frames, gzip members, bzip2 streams.
//! Formats that are known by their first bytes but not read (xz, zip, lz4) get a reject that says so, instead of thousands
//! of lines of rubbish.

use std::io::{self, BufRead, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;

/// The largest window of a zstd frame, as a power of two: 2 GiB, which the original Pushshift dumps use.
const ZSTD_WINDOW_LOG_MAX: u32 = 31;

/// How many first bytes [`Compression::of`] wants to see.
pub(super) const MAGIC_BYTES: usize = 10;

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// Zstandard frames, with windows up to 2 GiB.
    Zstd,
    /// Gzip members.
    Gzip,
    /// Bzip2 streams.
    Bzip2,
    /// A format that is not read, by name.
    Unsupported(&'static str),
}

impl Compression {
    /// The packing that a file's first bytes tell.
    pub fn of(head: &[u8]) -> Self {
        let bzip2_block = |rest: &[u8]| {
            rest.starts_with(b"\x31\x41\x59\x26\x53\x59") || rest.starts_with(b"\x17\x72\x45\x38\x50\x90")
        };
        match head {
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] if rest.is_empty() || bzip2_block(rest) => Compression::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Unsupported("xz"),
            [b'P', b'K', 3, 4, ..] => Compression::Unsupported("zip"),
            [0x04, 0x22, 0x4d, 0x18, ..] => Compression::Unsupported("lz4"),
            _ => Compression::Plain,
        }
    }

    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Compression::Plain => "plain",
            Compression::Zstd => "zstd",
            Compression::Gzip => "gzip",
            Compression::Bzip2 => "bzip2",
            Compression::Unsupported(name) => name,
        }
    }

    /// The unpacked bytes of `packed`. An unsupported format yields none.
    pub(super) fn unpack<R: BufRead + Send + 'static>(self, packed: R) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Compression::Plain => Box::new(packed),
            Compression::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
            Compression::Gzip => Box::new(MultiGzDecoder::new(packed)),
            Compression::Bzip2 => Box::new(MultiBzDecoder::new(packed)),
            Compression::Unsupported(_) => Box::new(io::empty()),
        })
    }
}
