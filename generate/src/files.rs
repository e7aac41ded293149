//! Files of lines, counted while they are written.

use std::fs::{File, create_dir_all};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Below the folder that was asked for.
    pub path: String,
    /// Lines in it.
    pub lines: u64,
    /// Bytes of these lines, line feeds included.
    pub raw_bytes: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// How much is gathered before it is compressed.
const BUFFER_BYTES: usize = 1 << 20;
/// The level that the public dumps' size suggests, and the fastest that still finds what repeats.
const LEVEL: i32 = 3;

/// A file of lines, compressed with a long window as the public dumps are.
///
/// The size is unknown to the compressor until the end, so the frame's header asks for the full window however short
/// the file is: a decoder meets what it meets in the real dumps.
pub(crate) struct Dump {
    path: PathBuf,
    name: String,
    encoder: zstd::Encoder<'static, File>,
    buffer: Vec<u8>,
    lines: u64,
    raw_bytes: u64,
}

impl Dump {
    /// Creates `folder`/`name` with a window of 2^`window_log` bytes.
    pub(crate) fn create(folder: &Path, name: &str, window_log: u32) -> Result<Self> {
        let path = folder.join(name);
        let file = create(&path)?;
        let encoder = compressor(file, window_log).with_context(|| format!("cannot compress {path:?}"))?;
        let buffer = Vec::with_capacity(BUFFER_BYTES + (BUFFER_BYTES >> 4));
        Ok(Dump { path, name: name.to_owned(), encoder, buffer, lines: 0, raw_bytes: 0 })
    }

    /// Adds the one line that `write` appends.
    pub(crate) fn line(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        write(&mut self.buffer);
        self.lines += 1;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.raw_bytes += self.buffer.len() as u64;
        self.encoder.write_all(&self.buffer).with_context(|| format!("could not write {:?}", self.path))?;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<Written> {
        self.flush()?;
        let Dump { path, name, encoder, buffer: _, lines, raw_bytes } = self;
        let file = encoder.finish().with_context(|| format!("could not write {path:?}"))?;
        let bytes = file.metadata().with_context(|| format!("could not read the size of {path:?}"))?.len();
        Ok(Written { path: name, lines, raw_bytes, bytes })
    }
}

/// A zstd encoder with a checksum, a window of 2^`window_log` bytes and long-distance matching.
pub(crate) fn compressor<W: Write>(out: W, window_log: u32) -> std::io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(out, LEVEL)?;
    encoder.window_log(window_log)?;
    encoder.long_distance_matching(true)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// Plain files of a fixed number of lines, `0001.ndjson` and on.
pub(crate) struct Batches {
    folder: PathBuf,
    lines_per_file: u64,
    lines: u64,
    file: Option<BufWriter<File>>,
}

impl Batches {
    pub(crate) fn create(folder: PathBuf, lines_per_file: u64) -> Result<Self> {
        make_folder(&folder)?;
        Ok(Batches { folder, lines_per_file, lines: 0, file: None })
    }

    pub(crate) fn line(&mut self, line: &[u8]) -> Result<()> {
        if self.lines.is_multiple_of(self.lines_per_file) {
            self.close()?;
            let path = self.folder.join(format!("{:04}.ndjson", self.lines / self.lines_per_file + 1));
            self.file = Some(BufWriter::with_capacity(BUFFER_BYTES, create(&path)?));
        }
        self.lines += 1;
        match &mut self.file {
            Some(file) => file.write_all(line).with_context(|| format!("could not write below {:?}", self.folder)),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<()> {
        match self.file.take() {
            Some(mut file) => file.flush().with_context(|| format!("could not write below {:?}", self.folder)),
            None => Ok(()),
        }
    }

    /// Ends the last file; returns how many there are.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.close()?;
        Ok(self.lines.div_ceil(self.lines_per_file))
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| format!("cannot create {path:?}"))
}

/// Makes `folder` and what is above it.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    create_dir_all(folder).with_context(|| format!("cannot create folder {folder:?}"))
}

/// Writes a whole file.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    std::fs::write(path, content).with_context(|| format!("cannot write {path:?}"))
}

/// Refuses to mix new files with old ones: none of `names` may exist in `folder`.
pub(crate) fn refuse_existing(folder: &Path, names: &[&str]) -> Result<()> {
    for name in names {
        let path = folder.join(name);
        if path.try_exists().with_context(|| format!("cannot look at {path:?}"))? {
            bail!("cannot generate into {folder:?}: it already holds {name:?}; remove it or name another folder");
        }
    }
    Ok(())
}
