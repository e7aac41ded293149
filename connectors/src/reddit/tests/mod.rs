use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use catchment_contract::arrow::array::AsArray;
use catchment_contract::{Decoded, Fault};

use super::*;

mod whole;

fn source(kind: &str, path: &Path) -> Arc<dyn Source> {
    let mut options = Options::new("source \"s\"");
    options.insert("kind", kind, Default::default());
    options.insert("path", path.to_str().unwrap(), Default::default());
    let source = Connector::new(&Environment::system()).check("s", &Declaration::default(), &mut options).unwrap();
    options.finish().unwrap();
    source
}

/// What a source makes of its files.
#[derive(Default)]
struct Outcome {
    ids: Vec<String>,
    rows: u64,
    records: u64,
    rejects: Vec<String>,
    payload_bytes_max: usize,
}

fn read(kind: &str, path: &Path) -> Outcome {
    let source = source(kind, path);
    let all: Vec<usize> = (0..source.relation().schema.fields().len()).collect();
    let decoder = source.decoder(&all);
    let mut made = Outcome::default();
    let mut known = BTreeMap::new();
    for partition in source.discover(&known.clone()).unwrap() {
        let mut reader = source.open(&partition, Unfinished::Take).unwrap();
        while let Some(payload) = reader.next().unwrap() {
            let Decoded { rows, rejects, records, versions, .. } = decoder.decode(&payload);
            assert_eq!(rows.schema(), source.relation().schema);
            assert_eq!(records, rows.num_rows() as u64 + rejects.len() as u64);
            assert!(versions.is_none_or(|versions| versions.len() == rows.num_rows()));
            made.ids.extend(rows.column(0).as_string_view().iter().map(|id| id.unwrap().to_owned()));
            made.rows += rows.num_rows() as u64;
            made.payload_bytes_max = made.payload_bytes_max.max(payload.bytes.len());
            made.records += records;
            let place = |reject: &catchment_contract::Reject| format!("{}: {}", reject.position, reject.reason);
            made.rejects.extend(rejects.iter().map(place));
            known.insert(partition.id.clone(), payload.position);
        }
    }
    assert_eq!(source.discover(&known).unwrap(), [], "everything was read");
    made
}

/// The folder of real data, if it is there.
fn data() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/reddit");
    if !folder.is_dir() {
        println!("skipped: no real data at {}", folder.display());
        return None;
    }
    Some(folder)
}

/// The lines of a file, unpacked without any of our own code.
fn lines(path: &Path) -> Vec<String> {
    let file = std::fs::File::open(path).unwrap();
    let mut text = String::new();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("zst") => {
            let mut decoder = zstd::stream::read::Decoder::new(file).unwrap();
            decoder.window_log_max(31).unwrap();
            decoder.read_to_string(&mut text).unwrap()
        }
        Some("bz2") => bzip2::read::MultiBzDecoder::new(file).read_to_string(&mut text).unwrap(),
        _ => std::io::BufReader::new(file).read_to_string(&mut text).unwrap(),
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_line_of_the_dumps_becomes_a_row() {
    let Some(data) = data() else { return };
    let files = [
        ("comments", "pushshift/RC_2005-12.zst", 1_075),
        ("comments", "pushshift/RC_2006-01.zst", 3_666),
        ("comments", "pushshift/RC_2006-02.bz2", 9_095),
        ("submissions", "pushshift/RS_2006-01.bz2", 145),
        ("submissions", "pushshift/RS_2006-02.bz2", 427),
        ("submissions", "pushshift/AskMen_submissions.zst", 13_050),
        ("comments", "election2016/comments_2016_open.ndjson.zst", 44_402),
        ("submissions", "election2016/submissions_2016H1.ndjson.zst", 30_701),
    ];
    for (kind, name, rows) in files {
        let path = data.join(name);
        let made = read(kind, &path);
        assert_eq!((made.rows, made.records, &made.rejects), (rows, rows, &vec![]), "{name}");
        let ids: Vec<String> = lines(&path).iter().map(|line| field(line, "id")).collect();
        assert!(made.ids == ids, "{name}: ids in the file's order");
        let other = if kind == "comments" { "submissions" } else { "comments" };
        assert_eq!(read(other, &path).records, 0, "{name} holds no {other}");
    }
}

fn field(line: &str, name: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    value[name].as_str().unwrap().to_owned()
}

#[test]
fn a_glob_of_dumps_is_read_in_the_order_of_names() {
    let Some(data) = data() else { return };
    let made = read("comments", &data.join("pushshift/RC_*"));
    assert_eq!((made.rows, made.rejects), (1_075 + 3_666 + 9_095, vec![]));
}

/// Records of `kind` in `value`, wherever they stand, by an independent walk.
fn count(value: &serde_json::Value, kind: &str) -> u64 {
    match value {
        serde_json::Value::Array(values) => values.iter().map(|value| count(value, kind)).sum(),
        serde_json::Value::Object(fields) if fields.contains_key("children") => count(&fields["children"], kind),
        serde_json::Value::Object(fields) if fields.contains_key("listing") => count(&fields["listing"], kind),
        serde_json::Value::Object(fields) => {
            let Some(data) = fields.get("data").filter(|data| data.is_object()) else { return 0 };
            let replies = data.get("replies").map_or(0, |replies| count(replies, kind));
            let listing = if fields["kind"] == "Listing" { count(data, kind) } else { 0 };
            u64::from(fields["kind"] == kind) + replies + listing
        }
        _ => 0,
    }
}

#[test]
fn listings_snapshots_and_objects_give_all_their_records() {
    let Some(data) = data() else { return };
    for name in [
        "listing_snapshots/aws.snapshots.ndjson.zst",
        "listing_snapshots/golang.snapshots.ndjson.zst",
        "api_objects/praw_t1_t3.ndjson.zst",
    ] {
        let lines = lines(&data.join(name));
        for (kind, tag) in [("comments", "t1"), ("submissions", "t3")] {
            let expect: u64 = lines.iter().map(|line| count(&serde_json::from_str(line).unwrap(), tag)).sum();
            let made = read(kind, &data.join(name));
            assert_eq!((made.records, made.rejects.len()), (expect, 0), "{name}, {kind}: {:?}", made.rejects.first());
        }
    }
    for (name, rows) in [("golang.latest.json", 11), ("sample_response.json", 27)] {
        let path = data.join("listing_snapshots").join(name);
        let value: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let made = read("submissions", &path);
        assert_eq!((made.rows, made.rejects), (rows, vec![]), "{name}");
        assert_eq!(count(&value, "t3"), rows, "{name}");
        assert_eq!(made.ids.iter().collect::<BTreeSet<_>>().len() as u64, rows, "{name}");
    }
}

#[test]
fn what_is_no_record_is_rejected_with_a_reason() {
    let Some(data) = data() else { return };
    let page = read("submissions", &data.join("listing_snapshots/error_instead_of_json_androiddev.html"));
    assert_eq!(
        page.rejects,
        [
            "byte 0: the file is an HTML page, which is not read: it may be an error page that was saved; fetch the data again"
        ]
    );
    let errors = read("comments", &data.join("api_errors/http_errors.ndjson"));
    assert_eq!((errors.rows, errors.rejects.len()), (0, lines(&data.join("api_errors/http_errors.ndjson")).len()));
    let cassette = read("comments", &data.join("api_cassettes/TestSubmission.test_crosspost.json"));
    assert_eq!((cassette.rows, cassette.rejects.len()), (0, 1), "a recording of a conversation is no listing");
    assert!(cassette.rejects[0].contains("it has no \"id\""), "{:?}", cassette.rejects);
}

/// The whole folder, rubbish and all: nothing panics, nothing is lost in silence.
#[test]
fn the_whole_folder_adds_up() {
    let Some(data) = data() else { return };
    let (comments, submissions) = (read("comments", &data), read("submissions", &data));
    assert!(comments.rows >= 1_075 + 3_666 + 9_095 + 44_402 + 4_768, "{}", comments.rows);
    assert!(submissions.rows >= 145 + 427 + 13_050 + 30_701 + 2_854, "{}", submissions.rows);
    assert!(!comments.rejects.is_empty() && !submissions.rejects.is_empty(), "the CSV files and the error page");
}

#[test]
fn edits_and_types_of_the_real_dumps() {
    let Some(data) = data() else { return };
    let source = source("comments", &data.join("pushshift/RC_2006-02.bz2"));
    let schema = source.relation().schema.clone();
    let columns = ["edited_at", "author", "score"].map(|name| schema.index_of(name).unwrap());
    let decoder = source.decoder(&columns);
    let partition = source.discover(&BTreeMap::new()).unwrap().pop().unwrap();
    let mut reader = source.open(&partition, Unfinished::Take).unwrap();
    let (mut edits, mut deleted, mut score) = (0, 0, 0);
    while let Some(payload) = reader.next().unwrap() {
        let rows = decoder.decode(&payload).rows;
        edits += rows.num_rows() - rows.column(0).null_count();
        deleted += rows.column(1).as_string_view().iter().filter(|author| *author == Some("[deleted]")).count();
        let scores = rows.column(2).as_primitive::<catchment_contract::arrow::datatypes::Int64Type>();
        score += scores.iter().flatten().sum::<i64>();
    }
    let values: Vec<serde_json::Value> =
        lines(&data.join("pushshift/RC_2006-02.bz2")).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(edits, values.iter().filter(|value| value["edited"].is_number()).count());
    assert_eq!(deleted, values.iter().filter(|value| value["author"] == "[deleted]").count());
    assert_eq!(score, values.iter().map(|value| value["score"].as_i64().unwrap()).sum::<i64>());
    assert_eq!(edits, 15);
}

#[test]
fn options_that_are_wrong_say_so() {
    let check = |given: &[(&str, &str)], expect: &str| {
        let mut options = Options::new("source \"s\"");
        for (name, value) in given {
            options.insert(*name, *value, Default::default());
        }
        let error = Connector::new(&Environment::system())
            .check("s", &Declaration::default(), &mut options)
            .map(|_| ())
            .and_then(|()| options.finish())
            .unwrap_err();
        assert_eq!(error.fault(), Fault::User);
        assert_eq!(error.chain(), expect);
    };
    check(&[("path", "x")], "source \"s\" needs the option \"kind\"; write WITH (…, kind = '…')");
    check(&[("kind", "comments")], "source \"s\" needs the option \"path\"; write WITH (…, path = '…')");
    let wrong = "option \"kind\" of source \"s\" cannot be 'posts'; write 'comments' or 'submissions'";
    check(&[("kind", "posts"), ("path", "x")], wrong);
    let unknown = "source \"s\" has no option \"knd\"; did you mean \"kind\"?";
    check(&[("kind", "comments"), ("path", "x"), ("knd", "y")], unknown);
}

#[test]
fn a_growing_dump_gives_each_record_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("RC_2024");
    let source = source("comments", folder.path());
    let decoder = source.decoder(&[0]);
    let mut known = BTreeMap::new();
    let mut ids = Vec::new();
    let text = (0..40).map(|n| format!("{{\"id\":\"c{n}\",\"body\":\"b{n}\"}}\n")).collect::<String>();
    for cut in [60, 61, 62, 200, 201, 203, 500, text.len()] {
        std::fs::write(&path, &text[..cut]).unwrap();
        for partition in source.discover(&known).unwrap() {
            let mut reader = source.open(&partition, Unfinished::Take).unwrap();
            while let Some(payload) = reader.next().unwrap() {
                let rows = decoder.decode(&payload).rows;
                ids.extend(rows.column(0).as_string_view().iter().map(|id| id.unwrap().to_owned()));
                known.insert(partition.id.clone(), payload.position);
            }
        }
    }
    assert_eq!(ids, (0..40).map(|n| format!("c{n}")).collect::<Vec<_>>());
}
