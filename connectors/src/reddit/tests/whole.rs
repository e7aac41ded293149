//! Whole files, a line each: what is read of them, however they are packed, cut and named.

use std::io::Write;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::*;

const A: &str = r#"{"id":"a","body":"x","link_id":"t3_l"}"#;
const B: &str = r#"{"id":"b","body":"y","link_id":"t3_l"}"#;
const C: &str = r#"{"id":"c","body":"ä 日本","link_id":"t3_l"}"#;

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(text, 1).unwrap()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

fn file(name: &str, bytes: &[u8]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), bytes).unwrap();
    read("comments", folder.path())
}

#[test]
fn three_comments_in_every_form() {
    let lines = format!("{A}\n{B}\n{C}\n");
    let pretty = |text: &str| text.replace(",\"", ",\n  \"").replace('{', "{\n  ").replace('}', "\n}");
    let forms: Vec<(&str, Vec<u8>)> = vec![
        ("lines", lines.clone().into()),
        ("without the last newline", lines.trim_end().into()),
        ("windows", lines.replace('\n', "\r\n").into()),
        ("old mac", lines.replace('\n', "\r").into()),
        ("blank lines", lines.replace('\n', "\n\n \n").into()),
        ("byte order marks", format!("\u{feff}{A}\n\u{feff}{B}\n\u{feff}{C}\n").into()),
        ("utf-16 le", utf16(&lines, u16::to_le_bytes)),
        ("utf-16 be", utf16(&lines, u16::to_be_bytes)),
        ("utf-16 le with mark", utf16(&format!("\u{feff}{lines}"), u16::to_le_bytes)),
        ("utf-16 be with mark", utf16(&format!("\u{feff}{lines}"), u16::to_be_bytes)),
        ("utf-16 in gzip", gzip(&utf16(&format!("\u{feff}{lines}"), u16::to_le_bytes))),
        ("nuls before", format!("{}{lines}", "\0".repeat(5_000)).into()),
        ("nuls after", format!("{lines}{}", "\0".repeat(5_000)).into()),
        ("nuls between", format!("{A}\n{}{B}\n{}\n{C}\0\0\n", "\0".repeat(5_000), "\0".repeat(99)).into()),
        ("record separators", format!("\u{1e}{A}\n\u{1e}{B}\n\u{1e}{C}\n").into()),
        ("array on a line", format!("[{A},{B},{C}]").into()),
        ("array of lines", format!("[\n{A},\n{B},\n{C}\n]\n").into()),
        ("array with a comma too many", format!("[\n{A},\n{B},\n{C},\n]\n").into()),
        ("array begun on the first record's line", format!("[{A},\n{B},\n{C}]\n").into()),
        ("pretty array", format!("[{}]", [A, B, C].map(pretty).join(",\n")).into()),
        ("pretty records", [A, B, C].map(pretty).join("\n").into()),
        ("records with nothing between", format!("{A}{B}{C}").into()),
        ("records with commas between", format!("{A},{B},{C}").into()),
        ("lines with commas", format!("{A},\n{B},\n{C},\n").into()),
        ("arrays on lines", format!("[{A},{B}]\n[{C}]\n").into()),
        ("by id", format!("{{\"a\":{A},\"b\":{B},\"c\":{C}}}").into()),
        ("by id, pretty", format!("{{\n\"a\": {A},\n\"b\": {B},\n\"c\": {C}\n}}").into()),
        ("under a name", format!("{{\"comments\":[{A},{B}],\"rest\":[{C}]}}").into()),
        ("not a number", lines.replace("\"x\"", "\"x\",\"score\":NaN").into()),
        (
            "pretty, not a number",
            format!("[{}]", [A, B, C].map(pretty).join(",")).replace("\"x\"", "\"x\",\"score\":Infinity").into(),
        ),
        ("python", lines.replace('"', "'").into()),
        ("zstd", zstd(lines.as_bytes())),
        ("zstd frames", [zstd(format!("{A}\n").as_bytes()), zstd(format!("{B}\n{C}\n").as_bytes())].concat()),
        ("zstd frames cut inside a line", [zstd(&lines.as_bytes()[..50]), zstd(&lines.as_bytes()[50..])].concat()),
        ("seekable zstd", [zstd(lines.as_bytes()), vec![0x5e, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9]].concat()),
        ("gzip members", [gzip(format!("{A}\n").as_bytes()), gzip(format!("{B}\n{C}\n").as_bytes())].concat()),
        ("gzip and padding", [gzip(lines.as_bytes()), vec![0; 700]].concat()),
        ("bzip2 streams", [bzip2(format!("{A}\n").as_bytes()), bzip2(format!("{B}\n{C}\n").as_bytes())].concat()),
        ("pretty in zstd", zstd([A, B, C].map(pretty).join("\n").as_bytes())),
    ];
    for (form, bytes) in forms {
        for name in ["RC_2024-01.zst", "data.csv"] {
            let got = file(name, &bytes);
            assert_eq!((got.ids, got.rejects), (vec!["a".to_owned(), "b".into(), "c".into()], vec![]), "{form}");
        }
    }
}

#[test]
fn damage_costs_what_is_damaged() {
    let check = |text: &str, ids: &[&str], rejects: usize| {
        let got = file("f", text.as_bytes());
        assert_eq!(
            (got.ids.iter().map(String::as_str).collect::<Vec<_>>(), got.rejects.len()),
            (ids.to_vec(), rejects),
            "{text}: {:?}",
            got.rejects
        );
    };
    check(&format!("{A}\n{{\"id\":\"b\",\"bo\n{C}\n"), &["a", "c"], 1);
    check(&format!("{A}\n{B}{{\"id\":\n{C}\n"), &["a", "c"], 1);
    check(&format!("[\n{A},\n{{\"id\":\"b\",\"body\":\n{C}\n]"), &["a"], 1);
    check(&format!("[\n{A},\n{{\"id\":\"b\",\"body\":\"y\"\n{C}\n]"), &["a", "c"], 1);
    check(&format!("[\n{A},\n{{\"id\":\"b\",\"bo\n{C}\n]"), &["a", "c"], 1);
    check(&format!("[\n{A},\n{B},\n"), &["a", "b"], 1);
    check(&format!("[\n{A},\n{{\"id\":\"b"), &["a"], 1);
    check(&format!("[\n{A},\n17,\n\"text\",\n{B}]"), &["a", "b"], 2);
    check(&format!("[\n{A},\n{{\"body\":\"no id\"}},\n{B}]"), &["a", "b"], 1);
    check(&format!("{A}\n\u{1}\u{2}\u{3}rubbish\n{B}\n"), &["a", "b"], 1);
}

#[test]
fn another_format_is_one_reject_that_names_it() {
    let table = "id,author,created_utc,body\n".to_owned() + &"1,x,1350362158.0,\"a, b\nc\"\n".repeat(500);
    let mut tar = vec![0; 1_024];
    tar[..4].copy_from_slice(b"RC_1");
    tar[257..263].copy_from_slice(b"ustar\0");
    tar.extend_from_slice(A.as_bytes());
    let noise = |head: &[u8]| {
        let mut rng = StdRng::seed_from_u64(5);
        head.iter().copied().chain((0..40_000).map(|_| rng.random::<u8>())).collect::<Vec<u8>>()
    };
    for (bytes, what) in [
        (table.clone().into_bytes(), "CSV"),
        (table.replace(',', "\t").into_bytes(), "TSV"),
        (table.replace(',', ";").into_bytes(), "CSV"),
        (gzip(table.as_bytes()), "CSV"),
        (utf16(&table, u16::to_le_bytes), "CSV"),
        (tar.clone(), "a tar archive"),
        (gzip(&tar), "a tar archive"),
        (zstd(&tar), "a tar archive"),
        (noise(b"7z\xbc\xaf\x27\x1c\0\x04"), "a 7z archive"),
        (noise(b"Rar!\x1a\x07\x01\0"), "a rar archive"),
        (noise(b"PK\x03\x04\x14\0"), "a zip archive"),
        (noise(b"\xfd7zXZ\0"), "packed with xz"),
        (noise(b"\x04\x22\x4d\x18"), "packed with lz4"),
        (noise(b"PAR1"), "a Parquet table"),
        (noise(b"ARROW1\0\0"), "an Arrow file"),
        (noise(b"SQLite format 3\0"), "a SQLite database"),
        (noise(b"\x80\x04\x95"), "a Python pickle"),
        (noise(b"%PDF-1.7\n"), "a PDF"),
        (noise(b"\x89PNG\r\n\x1a\n"), "a PNG picture"),
        (noise(b"\0\0\0\x18ftypmp42"), "an MP4 film"),
        (noise(b""), "binary data"),
        (b"<!DOCTYPE html>\n<html>\n<p>\n</html>\n".repeat(50), "an HTML page"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nhi\n".to_vec(), "a file of captions"),
        (b"These are notes.\n\nThey say nothing.\n".repeat(90), "text without a line of JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n".to_vec(), "a pointer of Git LFS"),
    ] {
        let got = file("RC_2024-01.ndjson", &bytes);
        assert_eq!(
            (got.rows, got.rejects.len()),
            (0, 1),
            "{what}: {:?}",
            got.rejects.iter().take(3).collect::<Vec<_>>()
        );
        assert!(got.rejects[0].contains(what), "{what}: {:?}", got.rejects);
    }
}

/// A thousand files of random bytes and of mutated records: nothing panics, everything that was read is counted, payloads
/// stay small, and what was read once is not new.
#[test]
fn any_file_is_accounted_for() {
    let whole = [
        A,
        B,
        C,
        r#"{"kind":"Listing","data":{"children":[{"kind":"t1","data":{"id":"d","body":"z"}}]}}"#,
        r#"{"id":"s","title":"t"}"#,
        "[1,2]",
    ];
    for seed in 0..400 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut text = Vec::new();
        for _ in 0..rng.random_range(0..30) {
            match rng.random_range(0..8) {
                0 => text.extend((0..rng.random_range(0..300)).map(|_| rng.random::<u8>())),
                1 => text.extend(std::iter::repeat_n(0, rng.random_range(0..300))),
                _ => {
                    let mut record = whole.choose(&mut rng).unwrap().as_bytes().to_vec();
                    if rng.random_bool(0.3) {
                        let at = rng.random_range(0..record.len());
                        record[at] = *b"{}[]\",:\\\n\0x1".choose(&mut rng).unwrap();
                    }
                    text.extend(record);
                }
            }
            text.extend_from_slice([&b"\n"[..], b"\n", b"\n", b",\n", b"", b"\r\n", b"]"].choose(&mut rng).unwrap());
        }
        if rng.random_bool(0.2) {
            text.insert(0, b'[');
        }
        let bytes = match rng.random_range(0..5) {
            0 => zstd(&text),
            1 => gzip(&text),
            2 => bzip2(&text),
            _ => text,
        };
        let cut = if rng.random_bool(0.2) { rng.random_range(0..=bytes.len()) } else { bytes.len() };
        // The sum of records is checked where they are read.
        let got = file("f", &bytes[..cut]);
        assert!(got.records >= got.rows, "seed {seed}");
        assert!(got.payload_bytes_max <= 4 << 20, "seed {seed}: {} bytes", got.payload_bytes_max);
    }
}
