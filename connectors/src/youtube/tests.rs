//! Every format by hand, names, the relation's contract, real files, and damage of all kinds.

use std::collections::BTreeMap;
use std::path::PathBuf;

use catchment_contract::arrow::array::{Array, AsArray, RecordBatch};
use catchment_contract::arrow::datatypes::{Float64Type, Int64Type};
use catchment_contract::{Decoded, Payload};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::name::FileName;
use super::*;

const ALL: [usize; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

fn decode(file: &str, bytes: &[u8]) -> Decoded {
    let payload = Payload {
        partition: file.into(),
        bytes: bytes.to_vec(),
        first_record: 1,
        bytes_read: bytes.len() as u64,
        position: Position(String::new()),
        rejects: vec![],
    };
    TranscriptDecoder::new(&ALL).decode(&payload)
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
fn json_forms() {
    check("dQw4w9WgXcQ.json", LIST, "dQw4w9WgXcQ - -", &["0+1.54 Hi & hello", "1.5+4.16 two\nlines"]);
    check("any.json", RAW, "dQw4w9WgXcQ en true", &["1.25+2 a"]);
    check("uoa_zzz.json", INFO, "17O0faOo2L4 - -", &["3388.799+3.04 bush"]);
    check("supadata_Fh5HeQN5kI8.json", CONTENT, "Fh5HeQN5kI8 zh -", &["0.482+4.542 之前"]);
    let list = "\u{feff}[{\"lang\":\"en\",\"text\":\"x\",\"offset\":17119,\"duration\":4080}]";
    check("supadata_NnVW9epLlTM.json", list, "NnVW9epLlTM en -", &["17.119+4.08 x"]);
    let seconds = r#"[{"text":"x","offset":1.5,"duration":2}]"#;
    check("dQw4w9WgXcQ.json", seconds, "dQw4w9WgXcQ - -", &["1.5+2 x"]);
    check("dQw4w9WgXcQ.en.json3", JSON3, "dQw4w9WgXcQ en true", &["0.16+4.2 we're no", "2.01+- strangers"]);
    check("talk.json", WHISPER, "talk de -", &["0.5+1.25  a b"]);
    check("x.json", r#"{"video_id":"dQw4w9WgXcQ","transcript":"all"}"#, "dQw4w9WgXcQ - -", &["-+- all"]);
    let rows = decode("uoa.json", INFO.as_bytes()).rows;
    assert_eq!(text(&rows, "title", 0).as_deref(), Some("Council"));
    let rows = decode("raw.json", RAW.as_bytes()).rows;
    assert_eq!(text(&rows, "language", 0).as_deref(), Some("English (auto-generated)"));
}

#[test]
fn a_list_of_raw_forms_is_several_transcripts() {
    let two = format!("[{RAW},{}]", RAW.replace("\"en\"", "\"de\""));
    let decoded = decode("all.json", two.as_bytes());
    assert_eq!((decoded.rows.num_rows(), decoded.records, decoded.rejects.len()), (2, 1, 0));
    let codes = (0..2).map(|row| text(&decoded.rows, "language_code", row).unwrap()).collect::<Vec<_>>();
    assert_eq!(codes, ["en", "de"]);
}

#[test]
fn xml_forms() {
    check("dQw4w9WgXcQ.en.srv1", SRV1, "dQw4w9WgXcQ en -", &["0+1.54 Hey & it's", "1.54+4.16 this is not it"]);
    check("dQw4w9WgXcQ.srv2", SRV2, "dQw4w9WgXcQ - -", &["1.5+0.5 two"]);
    check("dQw4w9WgXcQ.en.srv3", SRV3, "dQw4w9WgXcQ en true", &["0.16+4.2 we're no", "2.01+0.99 plain"]);
    check("dQw4w9WgXcQ.ttml", TTML, "dQw4w9WgXcQ pt-BR -", &["1.5+0.75 one\ntwo", "2.5+0.5 a b"]);
}

#[test]
fn webvtt() {
    let expect = ["0+1.5 Hi & hello\n- 1 < 2", "3601+1 bye\u{a0}now"];
    check("Title [dQw4w9WgXcQ].de.vtt", VTT, "dQw4w9WgXcQ en -", &expect);
    let expect = ["0+2.119 there's no denying", "2.129+3.231 yeah", "5.37+0.63 yeah"];
    check("dQw4w9WgXcQ.vtt", ROLLING, "dQw4w9WgXcQ en true", &expect);
    // Lines that are broken anew while they roll, and shown in part before they are spoken.
    let broken = "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nwelcome<00:00:00.480><c> back</c>\n\n00:00:02.000 --> 00:00:02.010\nwelcome back\nchannel\n\n00:00:02.010 --> 00:00:04.480\nchannel<00:00:02.400><c> today</c><00:00:02.960><c> we</c>\n\n00:00:04.480 --> 00:00:04.490\ntoday we\nabout\n\n00:00:04.490 --> 00:00:07.000\nabout<00:00:05.200><c> &amp;</c><00:00:05.800><c> speed</c>\n";
    let expect = ["0+2 welcome back", "2.01+2.47 channel today we", "4.49+2.51 about & speed"];
    check("dQw4w9WgXcQ.vtt", broken, "dQw4w9WgXcQ - true", &expect);
    let with_id = VTT.replace("Language: en", "Language: fr\nVideo: 0XbJppR51-w");
    check("2016.hash.vtt", &with_id, "0XbJppR51-w fr -", &["0+1.5 Hi & hello\n- 1 < 2", "3601+1 bye\u{a0}now"]);
    check(
        "dQw4w9WgXcQ.vtt",
        &VTT.replace('\n', "\r\n"),
        "dQw4w9WgXcQ en -",
        &["0+1.5 Hi & hello\n- 1 < 2", "3601+1 bye\u{a0}now"],
    );
}

#[test]
fn srt() {
    let expect = ["1+1.5 Hey you", "3+1 2001\nafter a gap", "5+1 end"];
    check("-_aB3456789.en.srt", SRT, "-_aB3456789 en -", &expect);
    check("dQw4w9WgXcQ.en.srt", SRT_ROLLING, "dQw4w9WgXcQ en true", &["0+2.119 one two", "2.129+2.871 three four"]);
    check("2016/eola-preview/hindi/auto_generated.srt", SRT, "2016/eola-preview/hindi/auto_generated hi true", &expect);
}

#[test]
fn plain_text_needs_a_name_that_is_an_id() {
    check("transcripts/-UcCMjQab4w.txt", "The first\nchallenge\n", "-UcCMjQab4w - -", &["-+- The first\nchallenge"]);
    check("dQw4w9WgXcQ.en.txt", "[Music] hey", "dQw4w9WgXcQ en -", &["-+- [Music] hey"]);
    check_reject(
        "video_url.txt",
        "https://youtu.be/kjBOesZCoqc",
        "plain text in a file that is not named after a video",
    );
    check("A talk [dQw4w9WgXcQ].txt", "hey", "dQw4w9WgXcQ - -", &["-+- hey"]);
    check_reject("A talk [dQw4w9WgXcQ].description", "About this video", "plain text");
    check_reject("notes on dQw4w9WgXcQ.txt", "text", "plain text");
    check_reject("dQw4w9WgXcQ.txt", "a\u{0}b", "U+0000");
}

#[test]
fn utf_16_is_read() {
    let mut bytes = vec![0xff, 0xfe];
    bytes.extend(LIST.encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(decode("dQw4w9WgXcQ.json", &bytes).rows.num_rows(), 2);
    assert_eq!(decode("dQw4w9WgXcQ.json", &bytes[..bytes.len() - 1]).rejects[0].reason, "the text is damaged UTF-16");
    assert!(decode("dQw4w9WgXcQ.srt", b"1\n\xe9").rejects[0].reason.starts_with("not UTF-8 text: byte 2"));
}

#[test]
fn other_things_say_what_they_seem_to_be() {
    check_reject(
        "dQw4w9WgXcQ.info.json",
        r#"{"id":"dQw4w9WgXcQ","formats":[],"title":"t"}"#,
        "info JSON of video dQw4w9WgXcQ",
    );
    check_reject("c.json", r#"{"id":"UC1","_type":"playlist","entries":[]}"#, "info JSON of the list or channel UC1");
    check_reject(
        "e.json",
        r#"{"error": "VPN not available"}"#,
        "an error object instead of a transcript: VPN not available",
    );
    let status =
        r#"{"responseContext":{},"playabilityStatus":{"status":"ERROR","reason":"This video is unavailable"}}"#;
    check_reject("p.json", status, "player response of YouTube's (status ERROR, This video is unavailable)");
    check_reject("m.json", r#"{"dQw4w9WgXcQ":{"title":"t"}}"#, "metadata of 1 videos by id");
    check_reject("v.jsonl", "{\"id\":1}\n{\"id\":2}\n", "JSON lines");
    check_reject("t.json", r#"[["Hey",1.0,2.0]]"#, "a JSON list of lists");
    check_reject("t.json", r#"[{"dir":"a","video_id":"b"}]"#, "objects without text (dir, video_id)");
    check_reject("t.json", r#"{"input":"a"}"#, "the fields input: no known form");
    check_reject("t.json", "[{\"text\":\"a\"", "damaged or cut off");
    check_reject(
        "dQw4w9WgXcQ.json",
        r#"[{"text":"a","start":"soon"}]"#,
        "segment 1 of the transcript has start = \"soon\"",
    );
    check_reject("w.html", "<!DOCTYPE html><script>var ytInitialData = {}</script>", "a watch page");
    check_reject("c.html", "<!doctype html><form action=\"https://consent.youtube.com/save\">", "a consent page");
    check_reject("r.html", "<html><div class=\"g-recaptcha\">", "a captcha page");
    check_reject("h.html", "<html><title>502 Bad Gateway</title>", "a page (HTML) with the title \"502 Bad Gateway\"");
    check_reject("f.xml", "<rss><channel/></rss>", "the root \"rss\"");
    check_reject("f.xml", "<transcript><text start=\"0\">a", "cut off inside <text>");
    check_reject("f.vtt", "WEBVTT\n\n00:00 -> x\n\n00:aa --> 00:02.000\nx", "line 5 of the WebVTT");
    check_reject("f.json", " \n", "the document is empty");
    check_reject("list.json", "[]", "no segments, and no video id");
}

#[test]
fn a_transcript_without_segments_removes_its_key() {
    for (file, document) in [
        ("dQw4w9WgXcQ.en.json", "[]"),
        ("dQw4w9WgXcQ.en.vtt", "WEBVTT\n\nNOTE nothing"),
        ("x.en.json", &RAW.replace(r#"{"text":"a","start":1.25,"duration":2.0}"#, "")),
    ] {
        let decoded = decode(file, document.as_bytes());
        assert_eq!((decoded.rows.num_rows(), decoded.records, decoded.rejects.len()), (1, 1, 0), "{file}");
        assert_eq!(decoded.tombstones.unwrap().iter().collect::<Vec<_>>(), [Some(true)]);
        assert_eq!(text(&decoded.rows, "video_id", 0).as_deref(), Some("dQw4w9WgXcQ"));
        assert_eq!(text(&decoded.rows, "language_code", 0).as_deref(), Some("en"));
    }
}

#[test]
fn names() {
    let check = |path: &str, id: Option<&str>, language: Option<&str>| {
        let name = FileName::of(path);
        assert_eq!((name.id.as_deref(), name.language.as_deref()), (id, language), "{path}");
    };
    let id = Some("dQw4w9WgXcQ");
    check("dQw4w9WgXcQ.json", id, None);
    check("a/b/dQw4w9WgXcQ.en.vtt.gz", id, Some("en"));
    check("dQw4w9WgXcQ.zh-Hans.json3.zst", id, Some("zh-Hans"));
    check("dQw4w9WgXcQ.a.en.srt", id, Some("en"));
    check("dQw4w9WgXcQ_en.srt", id, Some("en"));
    check("dQw4w9WgXcQ_transcript.json", id, None);
    check("supadata_7MxU1yOTeTw_raw.EMPTY.json", Some("7MxU1yOTeTw"), None);
    check("uoa_dlz52--UjDw.json", Some("dlz52--UjDw"), None);
    check("supadata_-_aB3456789.json", Some("-_aB3456789"), None);
    check("-wGtxJ8opa8.txt", Some("-wGtxJ8opa8"), None);
    check("_ePSezu33vw.txt", Some("_ePSezu33vw"), None);
    check("A talk [2020] [dQw4w9WgXcQ].pt-BR.vtt", id, Some("pt-BR"));
    check("My Title-dQw4w9WgXcQ.en.vtt", id, Some("en"));
    check("dQw4w9WgXcQ/en.vtt", id, None);
    check("dQw4w9WgXcQ/captions.en.vtt", id, Some("en"));
    check("dot-product/english/captions.srt", None, Some("en"));
    check("transcripts.json", None, None);
    check("Transcripts.json", None, None);
    check("auto_rolling_macbookair2020.en.vtt", None, Some("en"));
    check("manual_yt-dlp.en.vtt", None, Some("en"));
    check("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}.json", None, None);
    check("", None, None);
    check(".json", None, None);
    assert_eq!(FileName::of("a/b.en.vtt").path, "a/b");
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
    let rows = TranscriptDecoder::new(&[6, 0]).decode(&payload(vec![])).rows;
    let names = rows.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    assert_eq!((names, rows.num_rows()), (vec!["text".to_owned(), "video_id".to_owned()], 2));
    let rows = TranscriptDecoder::new(&[]).decode(&payload(vec![])).rows;
    assert_eq!((rows.num_columns(), rows.num_rows()), (0, 2));
    let damaged = vec![catchment_contract::Reject::new("byte 7", None, "cut off")];
    let decoded = TranscriptDecoder::new(&ALL).decode(&payload(damaged.clone()));
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
        assert_eq!(decoded.records, 1, "{}", partition.id);
        assert_eq!(decoded.rows.num_rows() == 0, decoded.rejects.len() == 1, "{}", partition.id);
        let folder = partition.id.split('/').next().unwrap().to_owned();
        let extension = partition.id.rsplit('.').next().unwrap();
        let count = counts.entry(format!("{folder} {extension}")).or_default();
        count.0 += u64::from(decoded.rejects.is_empty());
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
            ("info_json json", 0, 0, 2),
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
