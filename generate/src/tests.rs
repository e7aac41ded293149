//! The generated month as a whole: every line parses, the promised shares hold, the bytes never change.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{RedditOptions, Summary, reddit};

const RECORDS: u64 = 2_000;

fn generated(options: impl FnOnce(&mut RedditOptions)) -> (TempDir, Summary) {
    let folder = tempfile::tempdir().unwrap();
    let mut chosen = RedditOptions::new(RECORDS, 7, folder.path());
    options(&mut chosen);
    let summary = reddit(&chosen).unwrap();
    (folder, summary)
}

fn decompressed(path: &Path) -> Vec<u8> {
    let mut decoder = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
    decoder.window_log_max(31).unwrap();
    let mut bytes = Vec::new();
    decoder.read_to_end(&mut bytes).unwrap();
    bytes
}

fn records(path: &Path) -> Vec<Value> {
    let bytes = decompressed(path);
    assert_eq!(bytes.last(), Some(&b'\n'));
    bytes[..bytes.len() - 1].split(|&byte| byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// FNV-1a, 64 bits.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// All files below `folder`, by path.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().replace('\\', "/");
                all.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    all
}

#[test]
fn every_line_of_the_first_reading_is_a_record() {
    let (folder, summary) = generated(|_| ());
    let comments = records(&folder.path().join("reddit/RC_2026-01.zst"));
    assert_eq!((comments.len() as u64, summary.comments), (RECORDS, RECORDS));
    assert!(comments.iter().all(|comment| comment.as_object().unwrap().len() == 44));
    assert!(comments.is_sorted_by_key(|comment| comment["created_utc"].as_u64().unwrap()));
    let ids: HashMap<&str, &Value> =
        comments.iter().map(|comment| (comment["id"].as_str().unwrap(), comment)).collect();
    assert_eq!(ids.len(), comments.len());
    for comment in &comments {
        assert_eq!(comment["name"].as_str().unwrap(), format!("t1_{}", comment["id"].as_str().unwrap()));
        assert!(comment["retrieved_on"].as_u64() > comment["created_utc"].as_u64());
        let parent = comment["parent_id"].as_str().unwrap();
        assert!(comment["link_id"] == parent || ids.contains_key(parent.strip_prefix("t1_").unwrap()), "{parent}");
    }
    let linking = comments.iter().filter(|comment| comment["body"].as_str().unwrap().contains("youtu")).count() as u64;
    assert_eq!(linking, summary.comments_with_links);
    assert!((25..=60).contains(&linking), "{linking} of {RECORDS} comments link videos");
}

#[test]
fn submissions_link_videos_in_title_text_and_address() {
    let (folder, summary) = generated(|options| options.records = 8_000);
    let submissions = records(&folder.path().join("reddit/RS_2026-01.zst"));
    assert_eq!((submissions.len() as u64, summary.submissions), (400, 400));
    let links = |field: &str| {
        submissions.iter().filter(|submission| submission[field].as_str().unwrap().contains("youtu")).count() as u64
    };
    assert!(links("title") > 0 && links("selftext") > 8 && links("url") > 16);
    assert!((40..=80).contains(&summary.submissions_with_links), "{} link", summary.submissions_with_links);
    assert!(submissions.iter().all(|submission| submission.as_object().unwrap().len() == 72));
}

#[test]
fn one_comment_in_ten_changes_later_and_one_in_a_hundred_is_new() {
    let (folder, summary) = generated(|_| ());
    let comments = records(&folder.path().join("reddit/RC_2026-01.zst"));
    let first: HashMap<&str, &Value> = comments.iter().map(|one| (one["id"].as_str().unwrap(), one)).collect();
    let changes = records(&folder.path().join("changes/RC_2026-01_changes.zst"));
    assert!(changes.is_sorted_by_key(|change| change["retrieved_on"].as_u64().unwrap()));
    let (mut changed, mut new) = (HashMap::new(), 0);
    for change in &changes {
        let Some(before) = first.get(change["id"].as_str().unwrap()) else {
            new += 1;
            continue;
        };
        *changed.entry(change["id"].as_str().unwrap()).or_insert(0) += 1;
        assert!(change["retrieved_on"].as_u64() > before["retrieved_on"].as_u64());
        assert_ne!(change["body"], before["body"]);
        assert_eq!(change["created_utc"], before["created_utc"]);
        assert_eq!(change["subreddit"], before["subreddit"]);
    }
    assert_eq!((changed.len() as u64, summary.comments_changed), (RECORDS / 10, RECORDS / 10));
    assert_eq!((new, summary.new_comments), (RECORDS / 100, RECORDS / 100));
    assert!(changed.values().any(|&versions| versions == 2), "some comment is edited and then deleted");
    let gone = changes.iter().filter(|change| change["author"] == "[deleted]").count() as u64;
    // A new comment may be gone as well; nothing else may.
    assert!((summary.deletions..=summary.deletions + new).contains(&gone));
    assert_eq!(changes.len() as u64, summary.edits + summary.deletions + summary.restorations + new);
    assert!((100..=140).contains(&summary.edits) && (60..=100).contains(&summary.deletions), "{summary}");
}

#[test]
fn a_seed_names_its_bytes() {
    let (one, summary) = generated(|_| ());
    let (two, _) = generated(|_| ());
    assert_eq!(contents(one.path()), contents(two.path()));
    let (other, _) = generated(|options| options.seed = 8);
    assert_ne!(contents(one.path()), contents(other.path()));
    // A change of these digests is a change of every data set that somebody has named by its seed: say so in the
    // changelog. They are of the lines, since another version of zstd may compress them otherwise.
    let lines = |name: &str| digest(&decompressed(&one.path().join(name)));
    let digests = summary.files.iter().map(|file| lines(&file.path)).collect::<Vec<_>>();
    assert_eq!(digests, DIGESTS, "{digests:#x?}");
    let transcripts: Vec<u8> = contents(&one.path().join("transcripts")).into_values().flatten().collect();
    assert_eq!(digest(&transcripts), TRANSCRIPTS_DIGEST, "{:#x}", digest(&transcripts));
}

const DIGESTS: [u64; 3] = [0x0af6_4f7f_48c8_0a6b, 0xbcb6_8d8a_248a_35a6, 0xfa9e_b89f_0a96_8026];
const TRANSCRIPTS_DIGEST: u64 = 0x6c17_114f_ee71_8c96;

#[test]
fn batches_are_the_changes_cut_up() {
    let (folder, summary) = generated(|options| options.change_batch_lines = Some(50));
    let batches = contents(&folder.path().join("changes/batches"));
    assert_eq!(batches.len() as u64, summary.batches);
    assert!(batches.keys().map(String::as_str).take(2).eq(["0001.ndjson", "0002.ndjson"]));
    let last = batches.len() - 1;
    for (at, content) in batches.values().enumerate() {
        let lines = content.iter().filter(|&&byte| byte == b'\n').count();
        assert!(lines == 50 || at == last && lines < 50, "batch {at} has {lines} lines");
    }
    let whole: Vec<u8> = batches.into_values().flatten().collect();
    assert_eq!(whole, decompressed(&folder.path().join("changes/RC_2026-01_changes.zst")));
}

#[test]
fn dumps_ask_for_their_window() {
    // RFC 8878, 3.1.1.1: four bytes of magic, the frame header descriptor, then exponent and mantissa of the window.
    let (folder, summary) = generated(|options| options.window_log = 31);
    for file in &summary.files {
        let header = std::fs::read(folder.path().join(&file.path)).unwrap();
        assert_eq!(header[..4], [0x28, 0xB5, 0x2F, 0xFD]);
        assert_eq!(header[4] & 0x20, 0, "not a single segment: the window is declared");
        assert_eq!(u32::from(header[5] >> 3) + 10, 31);
        assert_eq!(header.len() as u64, file.bytes);
    }
}

#[test]
fn transcripts_come_in_their_forms() {
    let (folder, summary) = generated(|options| options.records = 5_000);
    let files = contents(&folder.path().join("transcripts"));
    assert_eq!((files.len() as u64, summary.transcripts), (100, 100));
    let count = |wanted: fn(&str, &str) -> bool| {
        files.iter().filter(|(name, content)| wanted(name, std::str::from_utf8(content).unwrap())).count()
    };
    assert!(count(|name, text| name.ends_with(".json") && text.starts_with("{\"video_id\"")) > 60);
    assert!(count(|name, text| name.ends_with(".json") && text.starts_with("[{\"text\"")) > 2);
    assert!(count(|name, text| name.ends_with(".vtt") && text.contains("<c>")) > 1);
    assert!(count(|name, text| name.ends_with(".vtt") && !text.contains("<c>")) > 1);
    for (name, content) in files.iter().filter(|(name, _)| name.ends_with(".json")) {
        let document: Value = serde_json::from_slice(content).unwrap();
        assert!(document.is_array() || *name == format!("{}.json", document["video_id"].as_str().unwrap()));
    }
}

#[test]
fn one_record_is_enough() {
    let (folder, summary) = generated(|options| options.records = 1);
    assert_eq!((summary.comments, summary.submissions, summary.new_comments), (1, 1, 1));
    assert_eq!(records(&folder.path().join("reddit/RC_2026-01.zst")).len(), 1);
}

#[track_caller]
fn refused(options: impl FnOnce(&mut RedditOptions), expect: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut chosen = RedditOptions::new(10, 7, folder.path().join("new"));
    options(&mut chosen);
    assert_eq!(reddit(&chosen).unwrap_err().to_string(), expect);
    assert!(!chosen.out.exists(), "nothing was made");
}

#[test]
fn options_out_of_range_are_refused() {
    refused(|options| options.records = 0, "cannot generate 0 records; name a number from 1 to 10000000000");
    refused(
        |options| options.window_log = 32,
        "cannot compress with a window of 2^32 bytes; name a number from 10 to 31",
    );
    refused(|options| options.change_batch_lines = Some(0), "cannot write batches of 0 lines; name a number from 1");
}

#[test]
fn old_files_are_not_mixed_with_new_ones() {
    let (folder, _) = generated(|_| ());
    let error = reddit(&RedditOptions::new(RECORDS, 7, folder.path())).unwrap_err().to_string();
    assert!(error.ends_with("it already holds \"reddit\"; remove it or name another folder"), "{error}");
}
