//! Compression by content: the first bytes of a file say how it is packed, its name does not count.
//!
//! All streams of a file are read, however many there are: zstd frames and skippable frames (as in seekable zstd), gzip
//! members, bzip2 streams. NULs behind the last stream are padding; other bytes there are passed over and reported
//! ([`Trailing`]), since everything before them is whole.

use std::fmt;
use std::io::{self, BufRead, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;

use super::input::Input;
use super::zst_blocks::ZstBlocks;

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
    /// Blocks of rows, each a zstd frame, as older releases of Arctic Shift have them.
    ZstBlocks,
}

impl Compression {
    /// The packing that a file's first bytes show.
    pub fn of(head: &[u8]) -> Self {
        let bzip2_block = |rest: &[u8]| {
            rest.starts_with(b"\x31\x41\x59\x26\x53\x59") || rest.starts_with(b"\x17\x72\x45\x38\x50\x90")
        };
        match head {
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', rest @ ..] if rest.is_empty() || bzip2_block(rest) => Compression::Bzip2,
            [_, _, _, _, 0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::ZstBlocks,
            _ => Compression::Plain,
        }
    }

    /// Whether `head`, all that is left of a file, may be the beginning of another stream that was cut off.
    fn may_begin(self, head: &[u8]) -> bool {
        let magic: &[u8] = match self {
            Compression::Zstd => &[0x28, 0xb5, 0x2f, 0xfd],
            Compression::Gzip => &[0x1f, 0x8b],
            Compression::Bzip2 => b"BZh",
            Compression::Plain | Compression::ZstBlocks => &[],
        };
        head.len() < magic.len() && magic.starts_with(head)
    }

    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Compression::Plain => "plain",
            Compression::Zstd => "zstd",
            Compression::Gzip => "gzip",
            Compression::Bzip2 => "bzip2",
            Compression::ZstBlocks => "zst_blocks",
        }
    }

    /// The unpacked bytes of `packed`.
    pub(super) fn unpack(self, packed: Input) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Compression::Plain => Box::new(packed),
            Compression::ZstBlocks => Box::new(ZstBlocks::new(packed)),
            Compression::Zstd | Compression::Gzip | Compression::Bzip2 => {
                Box::new(Streams { compression: self, at: At::begin(self, packed)? })
            }
        })
    }
}

/// What lies behind the last stream of a packed file and is no other stream.
#[derive(Debug)]
pub(super) struct Trailing {
    /// How the file is packed.
    pub compression: Compression,
    /// How many bytes, up to the first [`Trailing::BYTES_MAX`].
    pub bytes: usize,
}

impl Trailing {
    /// How many bytes are counted.
    const BYTES_MAX: usize = 64 << 10;
}

impl fmt::Display for Trailing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_more = if self.bytes == Trailing::BYTES_MAX { " or more" } else { "" };
        let (bytes, name) = (self.bytes, self.compression.name());
        write!(f, "{bytes} bytes{or_more} behind the {name} stream were ignored: they are not {name}")
    }
}

impl std::error::Error for Trailing {}

/// The streams of a packed file, one after the other.
struct Streams {
    compression: Compression,
    at: At,
}

enum At {
    Gzip(Box<GzDecoder<Input>>),
    Zstd(zstd::stream::read::Decoder<'static, Input>),
    Bzip2(BzDecoder<Input>),
    /// Behind the last stream.
    Over,
}

impl At {
    fn begin(compression: Compression, packed: Input) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip => At::Gzip(Box::new(GzDecoder::new(packed))),
            Compression::Bzip2 => At::Bzip2(BzDecoder::new(packed)),
            _ => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                At::Zstd(decoder)
            }
        })
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            At::Gzip(decoder) => decoder.read(into),
            At::Zstd(decoder) => decoder.read(into),
            At::Bzip2(decoder) => decoder.read(into),
            At::Over => Ok(0),
        }
    }
}

impl Streams {
    /// Begins the next stream, if there is one.
    fn next(&mut self) -> io::Result<()> {
        let mut packed = match std::mem::replace(&mut self.at, At::Over) {
            At::Gzip(decoder) => decoder.into_inner(),
            At::Zstd(decoder) => decoder.finish(),
            At::Bzip2(decoder) => decoder.into_inner(),
            At::Over => return Ok(()),
        };
        let head = packed.peek(MAGIC_BYTES)?;
        if head.is_empty() {
            return Ok(());
        }
        if Compression::of(head) == self.compression {
            self.at = At::begin(self.compression, packed)?;
            return Ok(());
        }
        if head.len() < MAGIC_BYTES && self.compression.may_begin(head) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "another stream begins and is not there"));
        }
        let mut bytes = 0;
        let mut padding = true;
        loop {
            let rest = packed.fill_buf()?;
            if rest.is_empty() || (!padding && bytes >= Trailing::BYTES_MAX) {
                break;
            }
            let taken = rest.len();
            padding = padding && rest.iter().all(|byte| *byte == 0);
            bytes += taken;
            packed.consume(taken);
        }
        if padding {
            return Ok(());
        }
        let (compression, bytes) = (self.compression, bytes.min(Trailing::BYTES_MAX));
        Err(io::Error::new(io::ErrorKind::InvalidData, Trailing { compression, bytes }))
    }
}

impl Read for Streams {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.at.read(into)? {
                0 if into.is_empty() || matches!(self.at, At::Over) => return Ok(0),
                0 => self.next()?,
                read => return Ok(read),
            }
        }
    }
}
