//! Every format by hand, names, the relation's contract, real files, and damage of all kinds.

mod captions;
mod json;
mod names;
mod tracks;

use std::collections::BTreeMap;
use std::path::PathBuf;

use catchment_contract::arrow::array::{Array, AsArray, RecordBatch};
use catchment_contract::arrow::datatypes::{Float64Type, Int64Type};
use catchment_contract::{Decoded, Payload};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

const ALL: [usize; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

fn decoder(projection: &[usize]) -> TranscriptDecoder {
    TranscriptDecoder::new(projection, Arc::default())
}

fn decode(file: &str, bytes: &[u8]) -> Decoded {
    let payload = Payload {
        partition: file.into(),
        bytes: bytes.to_vec(),
        first_record: 1,
        bytes_read: bytes.len() as u64,
        position: Position(String::new()),
        rejects: vec![],
    };
    decoder(&ALL).decode(&payload)
}

fn text(rows: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let values = rows.column_by_name(column).unwrap().as_string_view();
    values.is_valid(row).then(|| values.value(row).to_owned())
}

fn number(rows: &RecordBatch, column: &str, row: usize) -> Option<f64> {
    let values = rows.column_by_name(column).unwrap().as_primitive::<Float64Type>();
    values.is_valid(row).then(|| values.value(row))
}

/// `start+duration text` of each row, times in seconds, `-` for none.
fn lines(rows: &RecordBatch) -> Vec<String> {
    let time = |value: Option<f64>| value.map_or("-".to_owned(), |value| value.to_string());
    let line = |row| {
        let (start, duration) = (number(rows, "start", row), number(rows, "duration", row));
        format!("{}+{} {}", time(start), time(duration), text(rows, "text", row).unwrap())
    };
    let numbers = rows.column_by_name("segment").unwrap().as_primitive::<Int64Type>();
    assert_eq!(numbers.values().to_vec(), (0..rows.num_rows() as i64).collect::<Vec<_>>());
    (0..rows.num_rows()).map(line).collect()
}

/// Decodes `document` and compares `id language generated` and the rows.
#[track_caller]
fn check(file: &str, document: &str, head: &str, expect: &[&str]) {
    let decoded = decode(file, document.as_bytes());
    assert_eq!((decoded.rejects.as_slice(), decoded.records), ([].as_slice(), 1), "{file}");
    assert!(decoded.tombstones.is_none() && decoded.versions.is_none());
    let rows = &decoded.rows;
    let generated = rows.column_by_name("is_generated").unwrap().as_boolean();
    let generated = if generated.is_valid(0) { generated.value(0).to_string() } else { "-".to_owned() };
    let language = text(rows, "language_code", 0).unwrap_or("-".to_owned());
    assert_eq!(format!("{} {language} {generated}", text(rows, "video_id", 0).unwrap()), head, "{file}");
    assert_eq!(text(rows, "file", 0).as_deref(), Some(file));
    assert_eq!(lines(rows), expect, "{file}");
}

#[track_caller]
fn check_reject(file: &str, document: &str, reason: &str) {
    let decoded = decode(file, document.as_bytes());
    assert_eq!((decoded.rows.num_rows(), decoded.rejects.len(), decoded.records), (0, 1, 1), "{file}");
    let found = &decoded.rejects[0].reason;
    assert!(found.contains(reason), "{file}: {found}");
}

const LIST: &str =
    r#"[{"text":"Hi & hello","start":0.0,"duration":1.54},{"text":"two\nlines","start":1.5,"duration":"4.16"}]"#;
const RAW: &str = r#"{"video_id":"dQw4w9WgXcQ","language":"English (auto-generated)","language_code":"en","is_generated":true,
  "snippets":[{"text":"a","start":1.25,"duration":2.0}]}"#;
const INFO: &str = r#"{"info":{"id":"17O0faOo2L4","title":"Council"},"transcript":[{"text":"bush","duration":3040,"offset":3388799}]}"#;
const CONTENT: &str =
    r#"{"lang":"zh","availableLangs":["zh"],"content":[{"text":"之前","offset":482,"duration":4542}]}"#;
const JSON3: &str = r#"{"wireMagic":"pb3","events":[{"tStartMs":0,"dDurationMs":9000,"id":1,"wpWinPosId":1},
  {"tStartMs":160,"dDurationMs":4200,"segs":[{"utf8":"we're","acAsrConf":0},{"utf8":" no","tOffsetMs":320,"acAsrConf":0}]},
  {"tStartMs":2000,"dDurationMs":10,"aAppend":1,"segs":[{"utf8":"\n"}]},
  {"tStartMs":2010,"segs":[{"utf8":"strangers"}]}]}"#;
const SRV1: &str = r#"<?xml version="1.0" encoding="utf-8" ?><transcript><text start="0" dur="1.54">Hey &amp;amp; it&amp;#39;s</text><text start="1.54" dur="4.16">this is &lt;i>not&lt;/i> it</text><text start="5" dur="0.5"></text></transcript>"#;
const SRV2: &str = r#"<timedtext><text t="1500" d="500">two</text></timedtext>"#;
const SRV3: &str = r#"<?xml version="1.0" encoding="utf-8" ?><timedtext format="3"><head><ws id="0"/></head><body><w t="0" id="1"/><p t="160" d="4200" w="1"><s ac="0">we&#39;re</s><s t="320" ac="0"> no</s></p><p t="2000" d="10" w="1" a="1">
</p><p t="2010" d="990">plain</p></body></timedtext>"#;
const TTML: &str = r#"<?xml version="1.0"?><tt xmlns="http://www.w3.org/ns/ttml" xml:lang="pt-BR"><body><div>
  <p begin="00:00:01.500" end="00:00:02.250">one<br/>two</p><p begin="2500ms" dur="0.5s"> a
  <span>b</span></p></div></body></tt>"#;
const VTT: &str = "WEBVTT\nKind: captions\nLanguage: en\n\nSTYLE\n::cue { color: red }\n\nNOTE\nnot --> this\n\nfirst\n00:00.000 --> 00:01.500 align:start position:0%\n<v Bob>Hi &amp; <b>hello</b>\n- 1 < 2\n\n01:00:01.000 --> 01:00:02.000\nbye&nbsp;now";
const ROLLING: &str = "WEBVTT\nKind: captions\nLanguage: en\n\n00:00:00.000 --> 00:00:02.119 align:start position:0%\n \nthere's<00:00:00.210><c> no</c><00:00:00.359><c> denying</c>\n\n00:00:02.119 --> 00:00:02.129 align:start position:0%\nthere's no denying\n \n\n00:00:02.129 --> 00:00:05.360 align:start position:0%\nthere's no denying\nyeah\n\n00:00:05.360 --> 00:00:05.370\nyeah\n \n\n00:00:05.370 --> 00:00:06.000\nyeah\nyeah\n\n00:00:06.000 --> 00:00:06.010\nyeah\n \n";
const SRT: &str = "\u{feff}1\r\n00:00:01,000 --> 00:00:02,500\r\n<i>Hey</i> {\\an8}you\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\n2001\r\n\r\nafter a gap\r\n3\r\n00:00:05,000 --> 00:00:06,000\r\nend";
const SRT_ROLLING: &str = "1\n00:00:00,000 --> 00:00:02,119\none two\n\n2\n00:00:02,119 --> 00:00:02,129\none two\n\n3\n00:00:02,129 --> 00:00:05,000\none two\nthree four\n\n4\n00:00:05,000 --> 00:00:05,010\nthree four\n";
const WHISPER: &str = r#"{"text":"a b","segments":[{"id":0,"start":0.5,"end":1.75,"text":" a b"}],"language":"de"}"#;

/// All documents that are transcripts, for damage.
const DOCUMENTS: [&str; 14] =
    [LIST, RAW, INFO, CONTENT, JSON3, SRV1, SRV2, SRV3, TTML, VTT, ROLLING, SRT, SRT_ROLLING, WHISPER];

#[test]
fn utf_16_is_read() {
    let mut bytes = vec![0xff, 0xfe];
    bytes.extend(LIST.encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(decode("dQw4w9WgXcQ.json", &bytes).rows.num_rows(), 2);
    assert_eq!(decode("dQw4w9WgXcQ.json", &bytes[..bytes.len() - 1]).rejects[0].reason, "the text is damaged UTF-16");
    assert!(decode("dQw4w9WgXcQ.srt", b"1\n\xe9").rejects[0].reason.starts_with("not UTF-8 text: byte 2"));
}

#[test]
fn only_what_is_asked_for_is_built() {
    let payload = |rejects| Payload {
        partition: "dQw4w9WgXcQ.json".into(),
        bytes: LIST.into(),
        first_record: 1,
        bytes_read: 0,
        position: Position(String::new()),
        rejects,
    };
    let rows = decoder(&[7, 0]).decode(&payload(vec![])).rows;
    let names = rows.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    assert_eq!((names, rows.num_rows()), (vec!["text".to_owned(), "video_id".to_owned()], 2));
    let rows = decoder(&[]).decode(&payload(vec![])).rows;
    assert_eq!((rows.num_columns(), rows.num_rows()), (0, 2));
    let damaged = vec![catchment_contract::Reject::new("byte 7", None, "cut off")];
    let decoded = decoder(&ALL).decode(&payload(damaged.clone()));
    assert_eq!((decoded.rows.num_rows(), decoded.records, decoded.rejects), (0, 1, damaged));
}

/// Cuts and flipped bytes in every format: no panic, and rows or exactly one reject.
#[test]
fn damage_gives_rows_or_one_reject() {
    let seed = 42;
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    for document in DOCUMENTS {
        for round in 0..1_500 {
            let mut bytes = document.as_bytes().to_vec();
            if random.random_range(0..2) == 0 {
                bytes.truncate(random.random_range(0..=bytes.len()));
            }
            for _ in 0..random.random_range(0..4) {
                if !bytes.is_empty() {
                    let place = random.random_range(0..bytes.len());
                    bytes[place] = if random.random_range(0..2) == 0 {
                        random.random()
                    } else {
                        b"<>&;:\"\n-,[]{}0"[random.random_range(0..14)]
                    };
                }
            }
            let file = ["dQw4w9WgXcQ.en.vtt", "x", "", "\u{e9}/\u{e9}.\u{e9}", ".en.json"][round % 5];
            let decoded = decode(file, &bytes);
            assert_eq!(decoded.records, 1, "{:?}", String::from_utf8_lossy(&bytes));
            assert_eq!(
                decoded.rows.num_rows() == 0,
                decoded.rejects.len() == 1,
                "{:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }
}

/// Words of all formats in any order: no panic, and rows or exactly one reject.
#[test]
fn word_salad_gives_rows_or_one_reject() {
    const WORDS: [&str; 64] = [
        "WEBVTT",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        " ",
        "-->",
        "->",
        "\u{2013}>",
        "--&gt;",
        "00:00:01,000",
        "00:01.5",
        "-0:01",
        "1",
        "2",
        "\u{661}",
        "NOTE",
        "STYLE",
        "Language: en",
        "X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:900000",
        "<c>",
        "</c>",
        "<00:01.000>",
        "<v A>",
        "<b",
        "&amp;",
        "&#39;",
        "&#x110000;",
        "&",
        "{\\an8}",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"text\":",
        "\"start\":",
        "\"offset\":1500",
        "\"timestamp\":[1,2]",
        "\"segs\":",
        "\"events\":",
        "\"data\":",
        "\"transcripts\":",
        "null",
        "NaN",
        "1e400",
        "-1",
        "true",
        "<tt>",
        "<p begin=\"1s\">",
        "</p>",
        "<timedtext>",
        "<br/>",
        "[00:01.00]",
        "[ti:x]",
        "[Script Info]",
        "Dialogue: 0,",
        "0:00:01.000,0:00:02.000",
        "\u{feff}",
        "\0",
        "\u{e9}",
        "a word",
    ];
    let seed = 7;
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    for round in 0..15_000 {
        // A format's own beginning, so that its reader is reached, then anything.
        let mut document = ["", "WEBVTT\n\n", "1\n", "{", "[{", "<timedtext>", "<tt>", "[Script Info]\n", "[00:01.00]"]
            [round % 9]
            .to_owned();
        (0..random.random_range(1..24)).for_each(|_| document.push_str(WORDS[random.random_range(0..WORDS.len())]));
        let decoded = decode("dQw4w9WgXcQ.en.vtt", document.as_bytes());
        assert_eq!((decoded.records, decoded.rows.num_rows() == 0), (1, decoded.rejects.len() == 1), "{document:?}");
    }
}

/// What would take a long time or much memory if something were looked at once for each part of it.
#[test]
fn large_and_repetitive_documents_stay_linear() {
    let many = |part: &str| part.repeat(400_000 / part.len());
    for document in [
        format!("WEBVTT\n\n00:01.000 --> 00:02.000\n{}", many("x<b>")),
        format!("WEBVTT\n\n00:01.000 --> 00:02.000\n{}", many("<")),
        format!("WEBVTT\n\n00:01.000 --> 00:02.000\n{}", many("&")),
        format!("WEBVTT\n\n{}", many("00:01.000 --> 00:01.010\na\nb<00:01.000>\nc\n\n")),
        format!("1\n00:01.000 --> 00:01.010\n{0}\n2\n00:01.010 --> 00:01.020\n{0}", many("line\n")),
        format!("1\n00:01.000 --> 00:02.000\na\n{}", many("2\n\n\n")),
        format!("{}text", many("[00:01.00]")),
        many("[00:01.00]a\n"),
        many("9"),
        format!("[{}]", vec!["{\"text\":\"&amp;#39;\",\"start\":1}"; 10_000].join(",")),
        format!("[{}1]", many("1 , ")),
        format!("{}[]{}", "{\"transcripts\":".repeat(100), "}".repeat(100)),
        many("["),
        many("{\"a\":"),
        many("<a>"),
        format!("<timedtext><body>{}</body></timedtext>", many("<p t=\"1\" d=\"1\">a</p>")),
    ] {
        let decoded = decode("dQw4w9WgXcQ.en.vtt", document.as_bytes());
        assert_eq!((decoded.records, decoded.rows.num_rows() == 0), (1, decoded.rejects.len() == 1));
    }
}

/// Every real file, by folder: documents with rows, rows, and rejects with their reasons.
#[test]
fn real_files() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/youtube");
    if !root.is_dir() {
        println!("skipped: {} is not there", root.display());
        return;
    }
    let mut options = Options::new("source \"transcripts\"");
    options.insert("path", root.to_str().unwrap(), Default::default());
    let source = YoutubeConnector::new(&Environment::system())
        .check("transcripts", &Declaration::default(), &mut options)
        .unwrap();
    options.finish().unwrap();
    let decoder = source.decoder(&ALL);
    let mut counts = BTreeMap::<String, (u64, usize, usize)>::new();
    let mut keys = BTreeMap::<(String, Option<String>), String>::new();
    for partition in source.discover(&BTreeMap::new()).unwrap() {
        let mut reader = source.open(&partition, Unfinished::Take).unwrap();
        let payload = reader.next().unwrap().unwrap();
        assert!(reader.next().unwrap().is_none());
        let decoded = decoder.decode(&payload);
        assert_eq!(decoded.records + decoded.passed_over, 1, "{}", partition.id);
        let nothing = decoded.rejects.len() as u64 + decoded.passed_over;
        assert_eq!(decoded.rows.num_rows() == 0, nothing == 1, "{}", partition.id);
        let folder = partition.id.split('/').next().unwrap().to_owned();
        let extension = partition.id.rsplit('.').next().unwrap();
        let count = counts.entry(format!("{folder} {extension}")).or_default();
        count.0 += decoded.records - decoded.rejects.len() as u64;
        count.1 += decoded.rows.num_rows();
        count.2 += decoded.rejects.len();
        for reject in &decoded.rejects {
            println!("{}: {}", partition.id, reject.reason);
        }
        if decoded.rows.num_rows() > 0 {
            let key = (text(&decoded.rows, "video_id", 0).unwrap(), text(&decoded.rows, "language_code", 0));
            let other = keys.insert(key.clone(), partition.id.clone());
            assert_eq!(other, None, "{key:?} is also {}", partition.id);
        }
    }
    println!("{counts:#?}");
    let found = counts.iter().map(|(name, (documents, rows, rejects))| (name.as_str(), *documents, *rows, *rejects));
    // Rows as an independent count of elements and cues has them: 23,108 list elements; 31,530 SRT cues, 470 of them
    // without text; 10,646 WebVTT cues, 4 without text and 403 that show the line before for 10 ms.
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            ("info_json json", 0, 0, 0),
            ("json_offset_ms json", 11, 23_108, 3),
            ("liveoverflow jsonl", 0, 0, 1),
            ("liveoverflow txt", 168, 168, 0),
            ("srt json", 0, 0, 95),
            ("srt srt", 96, 31_060, 0),
            ("srt txt", 0, 0, 18),
            ("transcript_api_fixtures static", 1, 3, 6),
            ("vtt vtt", 35, 10_239, 0),
        ]
    );
}
