use std::fs;
use std::io::Write;

use catchment_contract::Position;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::files::one_file::{OneFile, reasons};

fn read(file: &OneFile, from: Option<Position>) -> Vec<Payload> {
    read_to(file, from, Unfinished::Take)
}

fn read_to(file: &OneFile, from: Option<Position>, unfinished: Unfinished) -> Vec<Payload> {
    file.read_by(from, |file| file.into_lines(Some(ends_with_brace), unfinished))
}

fn ends_with_brace(line: &[u8]) -> bool {
    line.trim_ascii_end().ends_with(b"}")
}

fn text(payloads: &[Payload]) -> String {
    payloads.iter().map(|payload| String::from_utf8_lossy(&payload.bytes)).collect()
}

fn zstd_frame(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn gzip_member(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn bzip2_stream(text: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Numbered lines, some of them long, about `bytes` of them in all.
fn many_lines(bytes: usize, seed: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut made = Vec::new();
    for n in 0.. {
        if made.len() >= bytes {
            break;
        }
        let length = if n % 97 == 5 { 50_000 } else { rng.random_range(0..2_000) };
        let noise: String = (0..length).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect();
        made.extend_from_slice(format!("{{\"n\":{n},\"t\":\"{noise}\"}}\n").as_bytes());
    }
    made
}

#[test]
fn every_packing_is_told_by_content_and_may_come_in_several_pieces() {
    let (one, two) = (b"{1}\n{2}\n".as_slice(), b"{3}\n{4}\n".as_slice());
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3].as_slice();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("plain", [one, two].concat()),
        ("plain with a byte order mark", [b"\xef\xbb\xbf", one, two].concat()),
        ("zstd frames", [zstd_frame(one), zstd_frame(two)].concat()),
        ("zstd after and around skippable frames", {
            [skippable, &zstd_frame(one), skippable, &zstd_frame(two), skippable].concat()
        }),
        ("gzip members", [gzip_member(one), gzip_member(two)].concat()),
        ("bzip2 streams", [bzip2_stream(one), bzip2_stream(two)].concat()),
        ("zstd with a byte order mark inside", zstd_frame(&[b"\xef\xbb\xbf", one, two].concat())),
    ];
    for (name, bytes) in cases {
        let folder = OneFile::new();
        fs::write(folder.path(), bytes).unwrap();
        let payloads = read(&folder, None);
        assert_eq!(text(&payloads), "{1}\n{2}\n{3}\n{4}\n", "{name}");
        assert_eq!(reasons(&payloads), Vec::<String>::new(), "{name}");
        assert_eq!(folder.discover(&payloads.last().unwrap().position), None, "{name}: all was read");
    }
}

#[test]
fn payloads_hold_whole_lines_and_resume_anywhere() {
    let lines = many_lines(6 << 20, 7);
    for (name, packed) in [("plain", lines.clone()), ("zstd", zstd_frame(&lines)), ("gzip", gzip_member(&lines))] {
        let folder = OneFile::new();
        fs::write(folder.path(), packed).unwrap();
        let payloads = read(&folder, None);
        assert!(payloads.len() >= 5, "{name}: {} payloads", payloads.len());
        assert!(text(&payloads).as_bytes() == lines, "{name}");
        let mut line = 1;
        for payload in &payloads {
            assert_eq!(payload.first_record, line, "{name}");
            assert_eq!(payload.bytes.last(), Some(&b'\n'), "{name}");
            line += payload.bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        let total: u64 = payloads.iter().map(|payload| payload.bytes_read).sum();
        assert_eq!(total, fs::metadata(folder.path()).unwrap().len(), "{name}: bytes read");
        for split in [0, 2, payloads.len() - 1] {
            let at = payloads[split].position.clone();
            let rest = read(&folder, Some(at));
            assert!(text(&rest) == text(&payloads[split + 1..]), "{name} from payload {split}");
            assert_eq!(rest.first().map(|p| p.first_record), payloads.get(split + 1).map(|p| p.first_record));
            if let (Some(one), Some(two)) = (rest.last(), payloads[split + 1..].last()) {
                let place = |payload: &Payload| FilePosition::decode(&payload.position, "a").unwrap();
                assert!(place(one).is_same_place(&place(two)), "{} {}", one.position.0, two.position.0);
            }
        }
    }
}

#[test]
fn a_grown_file_is_read_on_from_its_position() {
    type Pack = fn(&[u8]) -> Vec<u8>;
    let packs: [(&str, Pack); 4] =
        [("plain", |b| b.to_vec()), ("zstd", zstd_frame), ("gzip", gzip_member), ("bzip2", bzip2_stream)];
    for (name, pack) in packs {
        let folder = OneFile::new();
        fs::write(folder.path(), pack(b"{1}\n{2}\n")).unwrap();
        let first = read(&folder, None);
        let at = first.last().unwrap().position.clone();
        folder.append(pack(b"{3}\n"));
        let from = folder.discover(&at).expect("grown");
        assert_eq!(from.as_ref(), Some(&at), "{name}");
        let second = read(&folder, from);
        assert_eq!(text(&second), "{3}\n", "{name}");
        assert_eq!(second[0].first_record, 3, "{name}");
        assert_eq!(folder.discover(&second[0].position), None, "{name}");
    }
}

#[test]
fn a_replaced_file_is_read_from_its_beginning() {
    for now in ["{9}\n{2}\n{3}\n", "{9}\n"] {
        let folder = OneFile::new();
        fs::write(folder.path(), "{1}\n{2}\n").unwrap();
        let at = read(&folder, None).pop().unwrap().position;
        fs::write(folder.path(), now).unwrap();
        assert_eq!(folder.discover(&at), Some(None), "{now:?}");
        assert!(read(&folder, Some(at)).is_empty(), "what was replaced since the look gives nothing in this round");
    }
}

#[test]
fn a_complete_last_line_without_newline_counts_once() {
    let folder = OneFile::new();
    fs::write(folder.path(), "{1}\n{2}").unwrap();
    let first = read(&folder, None);
    assert_eq!((text(&first).as_str(), reasons(&first).len()), ("{1}\n{2}", 0));
    folder.append(b"\n{3}\n");
    let second = read(&folder, folder.discover(&first[0].position).expect("grown"));
    assert_eq!((text(&second).as_str(), second[0].first_record), ("{3}\n", 3));
    assert_eq!(reasons(&second), Vec::<String>::new());
}

#[test]
fn a_newline_alone_moves_the_position() {
    let folder = OneFile::new();
    fs::write(folder.path(), "{1}").unwrap();
    let first = read(&folder, None);
    folder.append(b"\n");
    let second = read(&folder, folder.discover(&first[0].position).expect("grown"));
    assert_eq!((text(&second).as_str(), second.len()), ("", 1));
    assert_eq!(folder.discover(&second[0].position), None);
}

#[test]
fn what_follows_a_line_that_was_delivered_is_rejected() {
    let folder = OneFile::new();
    fs::write(folder.path(), "{1}").unwrap();
    let first = read(&folder, None);
    folder.append(b" and more\n{2}\n");
    let second = read(&folder, folder.discover(&first[0].position).expect("grown"));
    assert_eq!(text(&second), "{2}\n");
    assert_eq!(reasons(&second), ["line 1: the line went on after it had been read as a complete last line"]);
    assert_eq!(second[0].rejects[0].raw.as_deref(), Some("and more"));
    assert_eq!(second[0].first_record, 2);
}

#[test]
fn an_incomplete_last_line_is_rejected_and_read_again_when_it_has_grown() {
    let folder = OneFile::new();
    fs::write(folder.path(), "{1}\n{2").unwrap();
    let first = read(&folder, None);
    assert_eq!(text(&first), "{1}\n");
    let reason = "line 2: the last line is incomplete and has no newline; it is read again when the file grows";
    assert_eq!(reasons(&first), [reason]);
    assert_eq!(first[0].rejects[0].raw.as_deref(), Some("{2"));
    assert_eq!(folder.discover(&first[0].position), None, "not rejected again while nothing changes");
    folder.append(b"2}\n{3}");
    let second = read(&folder, folder.discover(&first[0].position).expect("grown"));
    assert_eq!((text(&second).as_str(), second[0].first_record), ("{22}\n{3}", 2));
    assert_eq!(reasons(&second), Vec::<String>::new());
}

#[test]
fn an_empty_file_is_one_reject() {
    let cases = [("", "the file is empty (0 bytes)"), ("\n \n", "the file holds no record")];
    for (bytes, reason) in cases {
        let folder = OneFile::new();
        fs::write(folder.path(), bytes).unwrap();
        let payloads = read(&folder, None);
        assert_eq!(reasons(&payloads), [format!("line 1: {reason}")]);
        assert_eq!(folder.discover(&payloads[0].position), None);
    }
    let folder = OneFile::new();
    fs::write(folder.path(), zstd_frame(b"")).unwrap();
    assert_eq!(reasons(&read(&folder, None)), ["line 1: the file holds no record"]);
}

#[test]
fn a_line_too_long_is_skipped_and_rejected() {
    let folder = OneFile::new();
    let long = vec![b'x'; LINE_BYTES_MAX + 5];
    fs::write(folder.path(), [b"{1}\n", &long[..], b"\n{3}\n"].concat()).unwrap();
    let payloads = read(&folder, None);
    assert_eq!(text(&payloads), "{1}\n{3}\n");
    assert_eq!(reasons(&payloads), ["line 2: the line is longer than 64 MiB"]);
    assert_eq!(payloads.last().unwrap().first_record, 3);
    let at = payloads[0].position.clone();
    assert_eq!(text(&read(&folder, Some(at))), "{3}\n");
}

#[test]
fn another_format_is_one_reject_however_large_and_told_once() {
    let xz = "the file is packed with xz, which is not read: unpack it, or pack it with zstd, gzip or bzip2";
    for (magic, reason) in [
        (&b"\xfd7zXZ\0abc\n"[..], xz),
        (
            b"PK\x03\x04abc\n",
            "the file is a zip archive, which is not read: unpack it, or pack what is in it with zstd, gzip or bzip2",
        ),
        (
            b"SQLite format 3\0\n{}\n{}\n",
            "the file is a SQLite database, which is not read: export its tables, as sqlite3 does with .mode json",
        ),
    ] {
        for bytes in [magic.to_vec(), zstd_frame(magic), [magic, &vec![b'\n'; 200_000]].concat()] {
            let folder = OneFile::new();
            fs::write(folder.path(), &bytes).unwrap();
            let payloads = read(&folder, None);
            assert_eq!((text(&payloads).as_str(), reasons(&payloads)), ("", vec![format!("byte 0: {reason}")]));
            assert!(payloads[0].bytes_read <= 512 << 10, "{} bytes were read", payloads[0].bytes_read);
            let at = payloads[0].position.clone();
            assert_eq!(folder.discover(&at), None);
            folder.append(&bytes);
            let grown = read(&folder, folder.discover(&at).expect("grown"));
            assert_eq!((grown.len(), reasons(&grown)), (1, vec![]), "it is what it was");
        }
    }
}

#[test]
fn what_lies_behind_a_packed_stream_is_reported_once_and_padding_is_not() {
    let one = b"{1}\n{2}\n".as_slice();
    for (name, packed) in [("gzip", gzip_member(one)), ("zstd", zstd_frame(one)), ("bzip2", bzip2_stream(one))] {
        for (behind, expect) in
            [(&b"abc"[..], Some(3)), (b"some text that is longer than any magic", Some(39)), (&[0; 5_000], None)]
        {
            let folder = OneFile::new();
            fs::write(folder.path(), [&packed[..], behind].concat()).unwrap();
            let payloads = read(&folder, None);
            assert_eq!(text(&payloads), "{1}\n{2}\n", "{name}");
            let reason =
                |n| format!("behind line 2: {n} bytes behind the {name} stream were ignored: they are not {name}");
            assert_eq!(reasons(&payloads), expect.map(reason).into_iter().collect::<Vec<_>>(), "{name}");
            assert_eq!(folder.discover(&payloads.last().unwrap().position), None);
        }
    }
}

#[test]
fn zst_blocks_are_read_row_by_row() {
    let block = |rows: &[&str]| {
        let mut block = (rows.len() as u32).to_le_bytes().to_vec();
        let mut offset = 0;
        for row in rows {
            block.extend_from_slice(&(offset as u32).to_le_bytes());
            block.extend_from_slice(&(row.len() as u32).to_le_bytes());
            offset += row.len();
        }
        rows.iter().for_each(|row| block.extend_from_slice(row.as_bytes()));
        let frame = zstd_frame(&block);
        [&(frame.len() as u32).to_le_bytes()[..], &frame].concat()
    };
    let bytes = [block(&["{1}", "{2}"]), block(&["{3}"]), block(&[])].concat();
    let folder = OneFile::new();
    fs::write(folder.path(), &bytes).unwrap();
    assert_eq!((text(&read(&folder, None)).as_str(), reasons(&read(&folder, None)).len()), ("{1}\n{2}\n{3}\n", 0));
    fs::write(folder.path(), &bytes[..bytes.len() - 20]).unwrap();
    let cut = read(&folder, None);
    assert_eq!(reasons(&cut).len(), 1, "{:?}", reasons(&cut));
    assert!(reasons(&cut)[0].contains("the zst_blocks stream is cut off"), "{:?}", reasons(&cut));
}

#[test]
fn utf16_is_read_as_utf8() {
    let both = "{\"ä\":1}\n{\"日\":2}\n";
    for mark in ["\u{feff}", ""] {
        let units = |text: &str| (mark.to_owned() + text).encode_utf16().collect::<Vec<u16>>();
        let little = |text: &str| units(text).iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>();
        let big = |text: &str| units(text).iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<u8>>();
        for bytes in [little(both), big(both), gzip_member(&little(both))] {
            let folder = OneFile::new();
            fs::write(folder.path(), bytes).unwrap();
            let payloads = read(&folder, None);
            assert_eq!((text(&payloads), reasons(&payloads)), (both.to_owned(), vec![]));
            assert_eq!(folder.discover(&payloads[0].position), None);
        }
    }
}

/// Any cut and any flipped bytes: never a panic, never an error; the lines delivered are the first ones of the file.
#[test]
fn damage_yields_a_prefix_and_one_reject() {
    let lines = many_lines(600_000, 3);
    let mut rng = StdRng::seed_from_u64(11);
    for (name, whole) in [("zstd", zstd_frame(&lines)), ("gzip", gzip_member(&lines)), ("bzip2", bzip2_stream(&lines))]
    {
        let mut delivered_most = 0;
        for _ in 0..10 {
            let cut = rng.random_range(10..whole.len());
            let folder = OneFile::new();
            fs::write(folder.path(), &whole[..cut]).unwrap();
            let payloads = read(&folder, None);
            let got = text(&payloads);
            assert!(lines.starts_with(got.as_bytes()), "{name} cut at {cut}");
            assert!(got.is_empty() || got.ends_with('\n') || got.ends_with('}'), "{name} cut at {cut}");
            let reasons = reasons(&payloads);
            assert_eq!(reasons.len(), 1, "{name} cut at {cut}: {reasons:?}");
            assert!(reasons[0].contains(&format!("the {name} stream is")), "{name} cut at {cut}: {reasons:?}");
            let at = payloads.last().unwrap().position.clone();
            assert_eq!(folder.discover(&at), None, "{name} cut at {cut}: rejected once");
            folder.append(&whole[cut..]);
            let rest = read(&folder, folder.discover(&at).expect("grown"));
            assert!([got.as_bytes(), text(&rest).as_bytes()].concat() == lines, "{name} cut at {cut}, then whole");
            delivered_most = delivered_most.max(got.len());
        }
        assert!(delivered_most > lines.len() / 3, "{name} delivers what comes before the damage: {delivered_most}");
        for _ in 0..10 {
            let mut damaged = whole.clone();
            let at = rng.random_range(10..damaged.len());
            damaged[at] ^= 1 << rng.random_range(0..8);
            let folder = OneFile::new();
            fs::write(folder.path(), damaged).unwrap();
            read(&folder, None);
        }
    }
}

#[test]
fn a_line_that_is_being_written_is_left_and_neither_lost_nor_rejected() {
    let folder = OneFile::new();
    folder.append(b"{1}\n{2");
    let first = read_to(&folder, None, Unfinished::Leave);
    assert_eq!((text(&first), reasons(&first)), ("{1}\n".into(), vec![]));
    let at = first[0].position.clone();
    assert_eq!(folder.discover(&at), Some(Some(at.clone())), "something is left");
    assert!(read_to(&folder, Some(at.clone()), Unfinished::Leave).is_empty(), "nothing new");

    folder.append(b"2}\n{3}");
    let second = read_to(&folder, Some(at), Unfinished::Leave);
    assert_eq!((text(&second), reasons(&second)), ("{22}\n".into(), vec![]));
    let last = read(&folder, Some(second[0].position.clone()));
    assert_eq!((text(&last), reasons(&last)), ("{3}".into(), vec![]));
}

#[test]
fn a_packed_file_that_is_being_written_is_left_until_it_has_been_quiet() {
    let all = many_lines(600_000, 5);
    for (name, packed) in [("zstd", zstd_frame(&all)), ("gzip", gzip_member(&all)), ("bzip2", bzip2_stream(&all))] {
        let folder = OneFile::new();
        let (written, rest) = packed.split_at(packed.len() * 2 / 3);
        fs::write(folder.path(), written).unwrap();
        let before = read_to(&folder, None, Unfinished::Leave);
        assert_eq!(reasons(&before), [] as [&str; 0], "{name}");
        let at = Some(before.last().unwrap().position.clone());
        assert_eq!(folder.discover(at.as_ref().unwrap()), Some(at.clone()), "{name}: it is looked at again");
        assert!(read_to(&folder, at.clone(), Unfinished::Leave).is_empty(), "{name}: nothing has come");
        folder.append(rest);
        let after = read_to(&folder, at, Unfinished::Leave);
        assert_eq!(reasons(&after), [] as [&str; 0], "{name}");
        assert!(text(&before) + &text(&after) == String::from_utf8_lossy(&all), "{name}: every line once");
        assert_eq!(folder.discover(&after.last().unwrap().position), None, "{name}: it is read to its end");

        fs::write(folder.path(), written).unwrap();
        fs::File::options().append(true).open(folder.path()).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let quiet = read_to(&folder, None, Unfinished::Leave);
        assert_eq!(reasons(&quiet).len(), 1, "{name}");
        assert!(reasons(&quiet)[0].contains(&format!("the {name} stream is cut off: ")), "{:?}", reasons(&quiet));
        assert_eq!(folder.discover(&quiet.last().unwrap().position), None, "{name}: it is told once");
    }
}

#[test]
fn a_file_that_is_just_being_made_is_nothing_yet() {
    let folder = OneFile::new();
    for beginning in ["", "\u{feff}", "{1"] {
        fs::write(folder.path(), beginning).unwrap();
        assert!(read_to(&folder, None, Unfinished::Leave).is_empty(), "{beginning:?}");
    }
    fs::write(folder.path(), "{1}\n").unwrap();
    assert_eq!(text(&read_to(&folder, None, Unfinished::Leave)), "{1}\n");
}
