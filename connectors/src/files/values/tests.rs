use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use catchment_contract::{Environment, Options, Partition, Position};

use super::*;
use crate::files::{FileSet, Opened};

struct Folder {
    folder: tempfile::TempDir,
    files: FileSet,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new("source \"s\"");
        options.insert("path", folder.path().to_str().unwrap(), Default::default());
        Folder { files: FileSet::from_options(&mut options, &Environment::system()).unwrap(), folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a")
    }

    fn read(&self, from: Option<Position>, unfinished: Unfinished) -> Vec<Payload> {
        let partition = Partition { id: "a".to_owned(), bytes: None, from };
        let mut reader: Box<dyn PartitionReader> = match self.files.open(&partition).unwrap() {
            Opened::Text(file) => Box::new(file.into_values(unfinished)),
            Opened::Decided(reader) => reader,
        };
        std::iter::from_fn(|| reader.next().unwrap()).collect()
    }

    fn discover(&self, at: &Position) -> Option<Option<Position>> {
        let known = BTreeMap::from([("a".to_owned(), at.clone())]);
        self.files.discover(&known).unwrap().pop().map(|partition| partition.from)
    }
}

fn lines(payloads: &[Payload]) -> Vec<String> {
    payloads.iter().flat_map(|payload| str::from_utf8(&payload.bytes).unwrap().lines()).map(str::to_owned).collect()
}

fn reasons(payloads: &[Payload]) -> Vec<String> {
    payloads.iter().flat_map(|p| &p.rejects).map(|reject| format!("{}: {}", reject.position, reject.reason)).collect()
}

fn append(folder: &Folder, text: &str) {
    fs::OpenOptions::new().append(true).open(folder.path()).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn an_array_of_any_size_is_cut_into_payloads_and_resumes_anywhere() {
    let values: Vec<String> = (0..30_000).map(|n| format!("{{\"n\":{n},\"t\":\"{}\"}}", "x".repeat(n % 300))).collect();
    let text = format!("[\n{}\n]\n", values.join(",\n"));
    for packed in [text.clone().into_bytes(), zstd::stream::encode_all(text.as_bytes(), 1).unwrap()] {
        let folder = Folder::new();
        fs::write(folder.path(), packed).unwrap();
        let payloads = folder.read(None, Unfinished::Take);
        assert!(payloads.len() >= 4, "{} payloads", payloads.len());
        assert!(payloads.iter().all(|payload| payload.bytes.len() < 2 * PAYLOAD_BYTES));
        assert_eq!((lines(&payloads), reasons(&payloads)), (values.clone(), vec![]));
        assert_eq!(folder.discover(&payloads.last().unwrap().position), None);
        for split in 0..payloads.len() - 1 {
            let rest = folder.read(Some(payloads[split].position.clone()), Unfinished::Take);
            assert_eq!(lines(&rest), lines(&payloads[split + 1..]), "from payload {split}");
            assert_eq!(rest[0].first_record, payloads[split + 1].first_record);
            let place = |payload: &Payload| FilePosition::decode(&payload.position, "a").unwrap();
            assert!(place(rest.last().unwrap()).is_same_place(&place(payloads.last().unwrap())));
        }
    }
}

#[test]
fn a_file_that_grows_goes_on_and_one_that_is_written_anew_is_read_anew() {
    let folder = Folder::new();
    fs::write(folder.path(), "{\n\"a\": 1}\n{\"a\":\n2}").unwrap();
    let first = folder.read(None, Unfinished::Take);
    assert_eq!(lines(&first), ["{ \"a\": 1}", "{\"a\": 2}"]);
    append(&folder, "{\"a\":3}\n");
    let second = folder.read(folder.discover(&first[0].position).expect("grown"), Unfinished::Take);
    assert_eq!((lines(&second), second[0].first_record), (vec!["{\"a\":3}".to_owned()], 3));

    fs::write(folder.path(), "[\n{\"a\":1},\n{\"a\":2}\n]").unwrap();
    let array = folder.read(None, Unfinished::Take);
    fs::write(folder.path(), "[\n{\"a\":1},\n{\"a\":2},\n{\"a\":3}\n]").unwrap();
    assert_eq!(folder.discover(&array[0].position), Some(None), "its end is another one");
}

#[test]
fn what_ends_in_the_middle_is_rejected_or_left() {
    for (text, whole, reason) in [
        (
            "[\n{\"a\":1},\n{\"a\":",
            1,
            "record 2: the last value ends in the middle; it is read again when the file grows",
        ),
        ("[\n{\"a\":1},\n", 1, "record 1: the array or object around the records is not closed: the file was cut off"),
    ] {
        let folder = Folder::new();
        fs::write(folder.path(), text).unwrap();
        let left = folder.read(None, Unfinished::Leave);
        assert_eq!((lines(&left).len(), reasons(&left)), (whole, vec![]), "{text}");
        let at = left[0].position.clone();
        assert_eq!(folder.discover(&at), Some(Some(at.clone())), "something is left");
        assert!(folder.read(Some(at.clone()), Unfinished::Leave).is_empty());
        let taken = folder.read(None, Unfinished::Take);
        assert_eq!((lines(&taken).len(), reasons(&taken)), (whole, vec![reason.to_owned()]), "{text}");
        assert_eq!(folder.discover(&taken[0].position), None);
        append(&folder, if text.ends_with(':') { "2}\n]" } else { "{\"a\":2}]" });
        for at in [at, taken[0].position.clone()] {
            let rest = folder.read(folder.discover(&at).expect("grown"), Unfinished::Take);
            assert_eq!((lines(&rest), reasons(&rest)), (vec!["{\"a\":2}".to_owned()], vec![]), "{text}");
        }
    }
}

#[test]
fn a_value_too_long_is_one_reject_in_its_place() {
    let folder = Folder::new();
    let long =
        format!("[{{\"id\":\"a\"}},{{\"id\":\"b\",\"x\":\"{}\"}},{{\"id\":\"c\"}}]", "x".repeat(VALUE_BYTES_MAX));
    fs::write(folder.path(), long).unwrap();
    let payloads = folder.read(None, Unfinished::Take);
    assert_eq!(lines(&payloads), ["{\"id\":\"a\"}", "", "{\"id\":\"c\"}"]);
    assert_eq!(reasons(&payloads), ["record 2: the value is longer than 64 MiB"]);
}
