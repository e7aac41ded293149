use std::fs;

use catchment_contract::Position;

use super::*;
use crate::files::one_file::{OneFile, reasons};

fn read(file: &OneFile, from: Option<Position>, unfinished: Unfinished) -> Vec<Payload> {
    file.read_by(from, |file| file.into_values(unfinished))
}

fn lines(payloads: &[Payload]) -> Vec<String> {
    payloads.iter().flat_map(|payload| str::from_utf8(&payload.bytes).unwrap().lines()).map(str::to_owned).collect()
}

#[test]
fn an_array_of_any_size_is_cut_into_payloads_and_resumes_anywhere() {
    let values: Vec<String> = (0..30_000).map(|n| format!("{{\"n\":{n},\"t\":\"{}\"}}", "x".repeat(n % 300))).collect();
    let text = format!("[\n{}\n]\n", values.join(",\n"));
    for packed in [text.clone().into_bytes(), zstd::stream::encode_all(text.as_bytes(), 1).unwrap()] {
        let folder = OneFile::new();
        fs::write(folder.path(), packed).unwrap();
        let payloads = read(&folder, None, Unfinished::Take);
        assert!(payloads.len() >= 4, "{} payloads", payloads.len());
        assert!(payloads.iter().all(|payload| payload.bytes.len() < 2 * PAYLOAD_BYTES));
        assert_eq!((lines(&payloads), reasons(&payloads)), (values.clone(), vec![]));
        assert_eq!(folder.discover(&payloads.last().unwrap().position), None);
        for split in 0..payloads.len() - 1 {
            let rest = read(&folder, Some(payloads[split].position.clone()), Unfinished::Take);
            assert_eq!(lines(&rest), lines(&payloads[split + 1..]), "from payload {split}");
            assert_eq!(rest[0].first_record, payloads[split + 1].first_record);
            let place = |payload: &Payload| FilePosition::decode(&payload.position, "a").unwrap();
            assert!(place(rest.last().unwrap()).is_same_place(&place(payloads.last().unwrap())));
        }
    }
}

#[test]
fn a_file_that_grows_goes_on_and_one_that_is_written_anew_is_read_anew() {
    let folder = OneFile::new();
    fs::write(folder.path(), "{\n\"a\": 1}\n{\"a\":\n2}").unwrap();
    let first = read(&folder, None, Unfinished::Take);
    assert_eq!(lines(&first), ["{ \"a\": 1}", "{\"a\": 2}"]);
    folder.append("{\"a\":3}\n");
    let second = read(&folder, folder.discover(&first[0].position).expect("grown"), Unfinished::Take);
    assert_eq!((lines(&second), second[0].first_record), (vec!["{\"a\":3}".to_owned()], 3));

    fs::write(folder.path(), "[\n{\"a\":1},\n{\"a\":2}\n]").unwrap();
    let array = read(&folder, None, Unfinished::Take);
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
        let folder = OneFile::new();
        fs::write(folder.path(), text).unwrap();
        let left = read(&folder, None, Unfinished::Leave);
        assert_eq!((lines(&left).len(), reasons(&left)), (whole, vec![]), "{text}");
        let at = left[0].position.clone();
        assert_eq!(folder.discover(&at), Some(Some(at.clone())), "something is left");
        assert!(read(&folder, Some(at.clone()), Unfinished::Leave).is_empty());
        let taken = read(&folder, None, Unfinished::Take);
        assert_eq!((lines(&taken).len(), reasons(&taken)), (whole, vec![reason.to_owned()]), "{text}");
        assert_eq!(folder.discover(&taken[0].position), None);
        folder.append(if text.ends_with(':') { "2}\n]" } else { "{\"a\":2}]" });
        for at in [at, taken[0].position.clone()] {
            let rest = read(&folder, folder.discover(&at).expect("grown"), Unfinished::Take);
            assert_eq!((lines(&rest), reasons(&rest)), (vec!["{\"a\":2}".to_owned()], vec![]), "{text}");
        }
    }
}

#[test]
fn a_value_too_long_is_one_reject_in_its_place() {
    let folder = OneFile::new();
    let long =
        format!("[{{\"id\":\"a\"}},{{\"id\":\"b\",\"x\":\"{}\"}},{{\"id\":\"c\"}}]", "x".repeat(VALUE_BYTES_MAX));
    fs::write(folder.path(), long).unwrap();
    let payloads = read(&folder, None, Unfinished::Take);
    assert_eq!(lines(&payloads), ["{\"id\":\"a\"}", "", "{\"id\":\"c\"}"]);
    assert_eq!(reasons(&payloads), ["record 2: the value is longer than 64 MiB"]);
}
