//! Files that hold something else, told by their first bytes: archives, databases, tables, pictures, programs.
//!
//! Such a file is one reject that says what it is and how to get at the records in it, however large it is: nothing behind
//! its first [`SNIFF_BYTES`] is read. What is text is judged by those who know which text they want.

/// How many first bytes are looked at: 64 KiB.
pub const SNIFF_BYTES: usize = 64 << 10;

/// Bytes that are looked at for a binary format without a signature.
const SAMPLE_BYTES: usize = 8 << 10;

/// More control characters than one in so many bytes make a file binary.
const CONTROLS_ONE_IN: usize = 32;

/// Something else than records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alien {
    /// What it is: `a zip archive`.
    pub what: &'static str,
    /// What to do: `unpack it`.
    pub hint: &'static str,
}

impl Alien {
    /// The reason of its reject.
    pub fn reason(&self) -> String {
        format!("the file is {}, which is not read: {}", self.what, self.hint)
    }
}

const UNPACK: &str = "unpack it, or pack what is in it with zstd, gzip or bzip2";
const REPACK: &str = "unpack it, or pack it with zstd, gzip or bzip2";
const MEDIA: &str = "move it out of the source's path";
const PARQUET: &str = "convert it, as DuckDB does with COPY (FROM 'x.parquet') TO 'x.ndjson' (FORMAT json)";
const PANDAS: &str = "convert it, as pandas does with to_json('x.ndjson', orient='records', lines=True)";
const SQLITE: &str = "export its tables, as sqlite3 does with .mode json";
const OFFICE: &str = "save its table as JSON lines";

/// Signatures: where they stand, what they are, what the file is.
const SIGNATURES: &[(usize, &[u8], &str, &str)] = &[
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (0, b"Rar!\x1a\x07", "a rar archive", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"!<arch>\n", "an ar archive", UNPACK),
    (0, b"MSCF\0\0\0\0", "a cabinet archive", UNPACK),
    (0, b"\xfd7zXZ\0", "packed with xz", REPACK),
    (0, b"\x5d\0\0\x80\0", "packed with lzma", REPACK),
    (0, b"\x5d\0\0\x04\0", "packed with lzma", REPACK),
    (0, b"\x04\x22\x4d\x18", "packed with lz4", REPACK),
    (0, b"\x02\x21\x4c\x18", "packed with lz4", REPACK),
    (0, b"LZIP", "packed with lzip", REPACK),
    (0, b"\x89LZO\0\r\n\x1a\n", "packed with lzop", REPACK),
    (0, b"\x1f\x9d", "packed with compress", REPACK),
    (0, b"\x1f\xa0", "packed with compress", REPACK),
    (0, b"\xff\x06\0\0sNaPpY", "packed with snappy", REPACK),
    (0, b"\xfd\x2f\xb5\x1e", "packed with zstd 0.1", "unpack it with an old zstd, and pack it again with a new one"),
    (0, b"PAR1", "a Parquet table", PARQUET),
    (0, b"PARE", "an encrypted Parquet table", PARQUET),
    (0, b"ARROW1\0\0", "an Arrow file", PANDAS),
    (0, b"\xff\xff\xff\xff", "an Arrow stream, or other binary data", PANDAS),
    (0, b"FEA1", "a Feather table", PANDAS),
    (0, b"ORC", "an ORC table", PANDAS),
    (0, b"Obj\x01", "an Avro file", "convert it to JSON lines, as avro-tools does with tojson"),
    (0, b"SQLite format 3\0", "a SQLite database", SQLITE),
    (8, b"DUCK", "a DuckDB database", "export its tables with COPY … TO 'x.ndjson' (FORMAT json)"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", PANDAS),
    (0, b"\x93NUMPY", "a NumPy array", PANDAS),
    (0, b"RDX2\n", "an R workspace", "export it with jsonlite::stream_out"),
    (0, b"RDX3\n", "an R workspace", "export it with jsonlite::stream_out"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document", OFFICE),
    (0, b"\xac\xed\0\x05", "serialised Java objects", "write its records as JSON lines"),
    (0, b"%PDF-", "a PDF", MEDIA),
    (0, b"%!PS", "a PostScript document", MEDIA),
    (0, b"{\\rtf", "an RTF document", MEDIA),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture", MEDIA),
    (0, b"\xff\xd8\xff", "a JPEG picture", MEDIA),
    (0, b"GIF87a", "a GIF picture", MEDIA),
    (0, b"GIF89a", "a GIF picture", MEDIA),
    (0, b"II*\0", "a TIFF picture", MEDIA),
    (0, b"MM\0*", "a TIFF picture", MEDIA),
    (0, b"8BPS\0", "a Photoshop picture", MEDIA),
    (0, b"\0\0\x01\0\x01\0", "an icon", MEDIA),
    (8, b"WEBP", "a WebP picture", MEDIA),
    (8, b"WAVE", "a WAV recording", MEDIA),
    (8, b"AVI ", "an AVI film", MEDIA),
    (4, b"ftyp", "an MP4 film or its like", MEDIA),
    (0, b"\x1a\x45\xdf\xa3", "a Matroska or WebM film", MEDIA),
    (0, b"ID3", "an MP3 recording", MEDIA),
    (0, b"\xff\xfb", "an MP3 recording", MEDIA),
    (0, b"\xff\xf3", "an MP3 recording", MEDIA),
    (0, b"OggS", "an Ogg recording", MEDIA),
    (0, b"fLaC", "a FLAC recording", MEDIA),
    (0, b"FLV\x01", "a Flash film", MEDIA),
    (0, b"wOFF", "a font", MEDIA),
    (0, b"wOF2", "a font", MEDIA),
    (0, b"\x7fELF", "a program", MEDIA),
    (0, b"MZ\x90\0", "a program", MEDIA),
    (0, b"\0asm", "a program", MEDIA),
    (0, b"\xca\xfe\xba\xbe", "a program", MEDIA),
    (0, b"\xcf\xfa\xed\xfe", "a program", MEDIA),
    (0, b"PACK\0\0\0", "a pack of git", MEDIA),
    (0, b"d8:announce", "a torrent, which only says where the data is", "download what it names"),
    (0, b"d10:created", "a torrent, which only says where the data is", "download what it names"),
    (0, b"version https://git-lfs.", "a pointer of Git LFS, which only names the data", "fetch it with git lfs pull"),
    (0, b"/annex/objects/", "a pointer of git-annex, which only names the data", "fetch it with git annex get"),
    (0, b"-----BEGIN PGP", "encrypted", "decrypt it"),
    (0, b"\xff\xfe\0\0", "UTF-32 text", "convert it to UTF-8, as iconv does"),
    (0, b"\0\0\xfe\xff", "UTF-32 text", "convert it to UTF-8, as iconv does"),
];

/// What a file is that begins with `head` (of up to [`SNIFF_BYTES`], unpacked), if that is something binary.
pub(super) fn binary(head: &[u8]) -> Option<Alien> {
    let known = SIGNATURES.iter().find(|(at, bytes, ..)| head.get(*at..).is_some_and(|rest| rest.starts_with(bytes)));
    let signed = known.map(|(_, _, what, hint)| Alien { what, hint });
    signed.or_else(|| zip(head)).or_else(|| by_structure(head)).or_else(|| without_signature(head))
}

fn zip(head: &[u8]) -> Option<Alien> {
    let (b"PK\x03\x04" | b"PK\x05\x06" | b"PK\x07\x08") = head.first_chunk::<4>()? else { return None };
    let holds = |name: &str| memchr::memmem::find(head, name.as_bytes()).is_some();
    Some(match () {
        () if holds("xl/") => Alien { what: "an Excel workbook", hint: OFFICE },
        () if holds("word/") || holds("ppt/") || holds("mimetypeapplication/") => {
            Alien { what: "an Office document or an e-book", hint: MEDIA }
        }
        () if holds(".npy") => Alien { what: "an archive of NumPy arrays", hint: PANDAS },
        () => Alien { what: "a zip archive", hint: UNPACK },
    })
}

fn by_structure(head: &[u8]) -> Option<Alien> {
    match head {
        [0x80, 2..=5, b'}' | b']' | b'(' | b'c' | b'X' | b'q' | 0x8c | 0x95 | b'K' | b'N' | b'\x80', ..] => {
            Some(Alien { what: "a Python pickle", hint: PANDAS })
        }
        [0x22..=0x27, 0xb5, 0x2f, 0xfd, ..] => Some(Alien {
            what: "packed with a zstd from before 0.8",
            hint: "unpack it with an old zstd, and pack it again with a new one",
        }),
        // A BSON document: its length, the type of its first element, that element's name.
        [size @ .., _] if bson(size) => {
            Some(Alien { what: "a dump of BSON", hint: "convert it to JSON lines with bsondump" })
        }
        _ => None,
    }
}

fn bson(head: &[u8]) -> bool {
    let Some((size, rest)) = head.split_first_chunk::<4>() else { return false };
    let size = i32::from_le_bytes(*size);
    let name = rest.iter().skip(1).take_while(|byte| byte.is_ascii_graphic()).count();
    (16..=16 << 20).contains(&size)
        && matches!(rest.first(), Some(1..=0x13))
        && (1..64).contains(&name)
        && rest.get(name + 1) == Some(&0)
}

/// Data with many control characters and no line that begins as JSON does. NULs do not count: crashes leave them.
fn without_signature(head: &[u8]) -> Option<Alien> {
    let sample = &head[..head.len().min(SAMPLE_BYTES)];
    let control = |byte: &u8| matches!(byte, 1..=7 | 0x0b | 0x0e..=0x1a | 0x1c | 0x1d | 0x1f | 0x7f);
    let controls = sample.iter().filter(|byte| control(byte)).count();
    if controls == 0 || controls * CONTROLS_ONE_IN <= sample.len() || begins_json(head) {
        return None;
    }
    Some(Alien { what: "binary data of no format that is known here", hint: MEDIA })
}

/// Whether some line begins as a JSON object or an array of them does.
pub(crate) fn begins_json(head: &[u8]) -> bool {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x1e | b',');
    let after = |bytes: &[u8]| bytes.iter().find(|byte| !blank(byte)).copied();
    head.split(|byte| *byte == b'\n').any(|line| {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let Some(at) = line.iter().position(|byte| !blank(byte)) else { return false };
        match line[at] {
            b'{' => after(&line[at + 1..]).is_none_or(|next| matches!(next, b'"' | b'\'' | b'}')),
            b'[' => after(&line[at + 1..]).is_none_or(|next| matches!(next, b'{' | b'[' | b']' | b'"')),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_name_the_format() {
        let check = |head: &[u8], expect: &str| assert_eq!(binary(head).map(|alien| alien.what), Some(expect));
        check(b"PK\x03\x04\x14\0\0\0\x08\0 xl/workbook.xml", "an Excel workbook");
        check(b"PK\x03\x04\x14\0\0\0\x08\0 comments.json", "a zip archive");
        check(&[&[b'a'; 257][..], b"ustar\x0000"].concat(), "a tar archive");
        check(b"\x80\x04\x95\x10\0\0\0", "a Python pickle");
        check(b"\x24\xb5\x2f\xfd\0", "packed with a zstd from before 0.8");
        check(b"\x40\x01\0\0\x02_id\0\x05\0\0\0abcd\0", "a dump of BSON");
        let noise: Vec<u8> = (0..4_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        check(&noise, "binary data of no format that is known here");
    }

    #[test]
    fn text_is_not_binary() {
        for text in [
            "{\"id\":\"a\"}\n",
            "",
            "\0\0\0\0{\"id\":\"a\"}\n",
            "WEBVTT\n\n00:01.000 --> 00:02.000\nhallo\n",
            "ä ö ü 日本語",
            "\u{1e}{\"id\":\"a\"}\n",
            "a,b\n1,2\n",
            "ORder\n",
        ] {
            assert_eq!(binary(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(binary(b"caf\xe9 cr\xe8me, all of it in Latin-1\n"), None);
        assert_eq!(binary(b"\x01\x02\x03\x04\n{\"id\":\"a\"}\n"), None, "rubbish before records");
    }
}
