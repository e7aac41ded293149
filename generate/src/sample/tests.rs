//! The sample that ships is the sample that is generated.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::*;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data")
}

/// The content of a file whatever its compression: another version of a compressor may write other bytes.
fn content(name: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    if name.ends_with(".zst") {
        let mut decoder = zstd::Decoder::new(bytes).unwrap();
        decoder.window_log_max(31).unwrap();
        decoder.read_to_string(&mut text).unwrap();
    } else if name.ends_with(".gz") {
        flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    } else {
        text.push_str(std::str::from_utf8(bytes).unwrap());
    }
    text
}

/// `CATCHMENT_WRITE_SAMPLE=1 cargo test -p catchment sample` writes the sample anew after a change of this module;
/// so does `catchment generate sample --out examples/data`.
#[test]
fn the_shipped_sample_is_generated() {
    if std::env::var_os("CATCHMENT_WRITE_SAMPLE").is_some() {
        sample(&shipped()).unwrap();
    }
    let mut bytes = 0;
    for (name, generated) in files().unwrap() {
        let shipped = std::fs::read(shipped().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        bytes += shipped.len();
        assert_eq!(content(&name, &shipped), content(&name, &generated), "{name}");
    }
    assert!(bytes < 300_000, "the sample has grown to {bytes} bytes");
}

#[test]
fn one_line_is_bad_and_all_others_are_records() {
    let (mut good, mut bad) = (0, Vec::new());
    for (name, bytes) in files().unwrap().iter().filter(|(name, _)| name.starts_with("reddit/")) {
        for line in content(name, bytes).lines() {
            match serde_json::from_str::<serde_json::Value>(line) {
                Ok(record) if record["id"].is_string() && record["subreddit"].is_string() => good += 1,
                _ => bad.push(line.to_owned()),
            }
        }
    }
    assert_eq!(good, COMMENTS + 9 + SUBMISSIONS);
    assert_eq!(bad.len(), 1, "{bad:?}");
}

#[test]
fn the_edit_that_drops_a_link_had_one() {
    assert!(comment(150).body.contains("youtube") || comment(150).body.contains("youtu.be"));
    assert!((0..COMMENTS).any(|number| comment(number).author == "[deleted]"));
}
