//! Several tracks of one video, and transcripts that remove theirs.

use super::*;

#[test]
fn a_transcript_without_segments_removes_its_key() {
    let raw = RAW.replace(r#"{"text":"a","start":1.25,"duration":2.0}"#, "");
    for (file, document, tracks) in [
        // Nothing says how it was made: it stands for either.
        ("dQw4w9WgXcQ.en.json", "[]", &[None, Some("generated")][..]),
        ("dQw4w9WgXcQ.en.vtt", "WEBVTT\n\nNOTE nothing", &[None, Some("generated")]),
        ("dQw4w9WgXcQ.en-orig.vtt", "WEBVTT", &[Some("orig")]),
        ("x.en.json", &raw, &[Some("generated")]),
        ("x.en.json", &raw.replace("true", "false"), &[None]),
    ] {
        let decoded = decode(file, document.as_bytes());
        assert_eq!((decoded.rows.num_rows(), decoded.records, decoded.rejects.len()), (tracks.len(), 1, 0), "{file}");
        assert!(decoded.tombstones.unwrap().iter().all(|flag| flag == Some(true)));
        for (row, track) in tracks.iter().enumerate() {
            assert_eq!(text(&decoded.rows, "video_id", row).as_deref(), Some("dQw4w9WgXcQ"));
            assert_eq!(text(&decoded.rows, "language_code", row).as_deref(), Some("en"));
            assert_eq!(text(&decoded.rows, "track", row).as_deref(), *track);
        }
    }
}

/// `id language track generated text` of each row.
fn heads(file: &str, document: &str) -> Vec<String> {
    let decoded = decode(file, document.as_bytes());
    assert_eq!(decoded.rejects, [], "{file}");
    let rows = &decoded.rows;
    let generated = rows.column_by_name("is_generated").unwrap().as_boolean();
    let head = |row| {
        let part = |column| text(rows, column, row).unwrap_or("-".to_owned());
        let generated = if generated.is_valid(row) { generated.value(row).to_string() } else { "-".to_owned() };
        [part("video_id"), part("language_code"), part("track"), generated, part("text")].join(" ")
    };
    (0..rows.num_rows()).map(head).collect()
}

#[test]
fn tracks_of_one_language_have_keys_of_their_own() {
    let vtt = "WEBVTT\nLanguage: en\n\n00:01.000 --> 00:02.000\na";
    let timed = "WEBVTT\nLanguage: en\n\n00:01.000 --> 00:02.000\na<00:01.500><c> b</c>";
    let srt = "1\n00:00:01,000 --> 00:00:02,000\na";
    let raw = |code: &str, generated: bool| {
        format!(
            r#"{{"video_id":"dQw4w9WgXcQ","language_code":"{code}","is_generated":{generated},"snippets":[{{"text":"a","start":1,"duration":1}}]}}"#
        )
    };
    for (file, document, expect) in [
        ("dQw4w9WgXcQ.en.vtt", vtt, "dQw4w9WgXcQ en - - a"),
        ("dQw4w9WgXcQ.en-orig.vtt", timed, "dQw4w9WgXcQ en orig true a b"),
        ("dQw4w9WgXcQ.en.vtt", timed, "dQw4w9WgXcQ en generated true a b"),
        ("dQw4w9WgXcQ.en-nP7-2PuUl7o.vtt", vtt, "dQw4w9WgXcQ en nP7-2PuUl7o - a"),
        ("T [dQw4w9WgXcQ].en-_Vs3ac6A-w8.vtt", vtt, "dQw4w9WgXcQ en _Vs3ac6A-w8 - a"),
        ("dQw4w9WgXcQ.en-eEY6OEpap-_.srt", srt, "dQw4w9WgXcQ en eEY6OEpap-_ - a"),
        ("dQw4w9WgXcQ.zh-Hans-en-ehkg1hFWq8A.srt", srt, "dQw4w9WgXcQ zh-Hans en-ehkg1hFWq8A - a"),
        ("dQw4w9WgXcQ.de-en.srt", srt, "dQw4w9WgXcQ de en - a"),
        ("dQw4w9WgXcQ.a.en.srt", srt, "dQw4w9WgXcQ en generated true a"),
        ("dQw4w9WgXcQ.en.auto.srt", srt, "dQw4w9WgXcQ en generated true a"),
        ("dQw4w9WgXcQ.en.sdh.srt", srt, "dQw4w9WgXcQ en sdh - a"),
        ("dQw4w9WgXcQ_en_auto.srt", srt, "dQw4w9WgXcQ en generated true a"),
        ("x.json", &raw("en", true), "dQw4w9WgXcQ en generated true a"),
        ("x.json", &raw("en", false), "dQw4w9WgXcQ en - false a"),
        ("x.json", &raw("en-orig", true), "dQw4w9WgXcQ en orig true a"),
        ("x.json", &raw("a.en", false), "dQw4w9WgXcQ en - false a"),
        (
            "x.json",
            r#"{"video_id":"dQw4w9WgXcQ","languageCode":"en","kind":"asr","transcript":[{"text":"a","start":1}]}"#,
            "dQw4w9WgXcQ en generated true a",
        ),
        (
            "x.json",
            r#"{"videoId":"dQw4w9WgXcQ","lang":"en","track":"Director","transcript":[{"text":"a","start":1}]}"#,
            "dQw4w9WgXcQ en Director - a",
        ),
    ] {
        assert_eq!(heads(file, document), [expect], "{file}");
    }
}

#[test]
fn a_document_of_several_tracks_needs_no_ids() {
    let list = r#"[{"text":"a","start":1}]"#;
    let both = format!(r#"{{"en":{list},"de":{list},"fr":null}}"#);
    assert_eq!(heads("dQw4w9WgXcQ.json", &both), ["dQw4w9WgXcQ de - - a", "dQw4w9WgXcQ en - - a"]);
    let videos = format!(r#"{{"dQw4w9WgXcQ":{list},"9bZkp7q19f0":{list}}}"#);
    assert_eq!(heads("all.json", &videos), ["9bZkp7q19f0 - - - a", "dQw4w9WgXcQ - - - a"]);
    let unnamed = format!(r#"[{{"segments":{list}}},{{"segments":{list}}}]"#);
    check_reject("dQw4w9WgXcQ.json", &unnamed, "several transcripts in one document without video ids or languages");
}
