//! JSON: forms, names and units of times, and what is no transcript.

use super::*;

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
    check("talk.json", WHISPER, "talk de -", &["0.5+1.25 a b"]);
    check("x.json", r#"{"video_id":"dQw4w9WgXcQ","transcript":"all"}"#, "dQw4w9WgXcQ - -", &["-+- all"]);
    check("x.json", r#"{"dQw4w9WgXcQ":{"title":"t","transcript":"all"}}"#, "dQw4w9WgXcQ - -", &["-+- all"]);
    check("talk.json", &WHISPER.replace("\"de\"", "\"german\""), "talk de -", &["0.5+1.25 a b"]);
    let named = RAW.replace("\"language_code\":\"en\",\"is_generated\":true,", "");
    check("any.json", &named, "dQw4w9WgXcQ en true", &["1.25+2 a"]);
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
fn what_stands_beside_transcripts_is_passed_over() {
    for (file, document) in [
        ("dQw4w9WgXcQ.info.json", r#"{"id":"dQw4w9WgXcQ","formats":[],"title":"t"}"#),
        ("c.json", r#"{"id":"UC1","_type":"playlist","entries":[]}"#),
    ] {
        let decoded = decode(file, document.as_bytes());
        assert_eq!((decoded.rows.num_rows(), decoded.records, decoded.passed_over), (0, 0, 1), "{file}");
        assert_eq!(decoded.rejects, [], "{file}");
    }
}

#[test]
fn other_things_say_what_they_seem_to_be() {
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

/// Decodes JSON named after a video and compares its rows.
#[track_caller]
fn rows(document: &str, expect: &[&str]) {
    let decoded = decode("dQw4w9WgXcQ.json", document.as_bytes());
    assert_eq!(decoded.rejects, [], "{document}");
    assert_eq!(lines(&decoded.rows), expect, "{document}");
    assert_eq!(text(&decoded.rows, "video_id", 0).as_deref(), Some("dQw4w9WgXcQ"), "{document}");
}

#[test]
fn whole_seconds_are_no_milliseconds() {
    let far = r#"[{"text":"one here is","start":1,"duration":3},{"text":"two","start":3600,"duration":2}]"#;
    rows(far, &["1+3 one here is", "3600+2 two"]);
    let slow = r#"[{"text":"slide one with words","start":0,"duration":120},{"text":"slide two with words","start":120,"duration":240}]"#;
    rows(slow, &["0+120 slide one with words", "120+240 slide two with words"]);
    let chapters = r#"[{"text":"Go","start":0},{"text":"Demo","start":75},{"text":"End","start":310}]"#;
    rows(chapters, &["0+- Go", "75+- Demo", "310+- End"]);
    let words = r#"[{"text":"hello","start":0,"duration":480},{"text":"world","start":480,"duration":300}]"#;
    rows(words, &["0+0.48 hello", "0.48+0.3 world"]);
}

#[test]
fn names_and_units_of_times() {
    let expect = &["1.5+1 a"];
    for segment in [
        r#"{"text":"a","start":1.5,"duration":1}"#,
        r#"{"text":"a","startTime":1.5,"endTime":2.5}"#,
        r#"{"text":"a","start_time":"1.5","end_time":"2.5"}"#,
        r#"{"text":"a","start_ms":1500,"end_ms":2500}"#,
        r#"{"text":"a","startMs":"1500","endMs":"2500"}"#,
        r#"{"text":"a","startMs":1500,"durationMs":1000}"#,
        r#"{"text":"a","startTimeMs":1500,"endTimeMs":2500}"#,
        r#"{"text":"a","startSeconds":1.5,"durationSeconds":1}"#,
        r#"{"text":"a","start_sec":1.5,"end_sec":2.5}"#,
        r#"{"text":"a","startInMs":1500,"endInMs":2500}"#,
        r#"{"text":"a","startInSeconds":1.5,"endInSeconds":2.5}"#,
        r#"{"text":" a","start_s":1.5,"end_s":2.5}"#,
        r#"{"text":"a","begin":1.5,"end":2.5}"#,
        r#"{"text":"a","from":1.5,"to":2.5}"#,
        r#"{"text":"a","timestamp":[1.5,2.5]}"#,
        r#"{"text":"a","timestamps":{"from":"00:00:01,500","to":"00:00:02,500"},"offsets":{"from":1500,"to":2500}}"#,
        r#"{"text":"a","timestamp":"0:01.5","duration":"1s"}"#,
        r#"{"text":"a","start":"00:00:01,500","end":"00:00:02,500"}"#,
        r#"{"text":"a","time":1.5,"dur":1}"#,
        r#"{"text":"a","offset":1500,"duration":1000}"#,
        r#"{"text":"a","offset":1.5,"duration":1}"#,
        r#"{"text":"a","start":1500,"end":2500}"#,
        r#"{"text":"a","start":1500,"duration":1000}"#,
        r#"{"utf8":"a","tStartMs":1500,"dDurationMs":1000}"#,
        r#"{"caption":"a","startMs":1500,"duration":1000}"#,
        r#"{"line":"a","start":{"seconds":"1","nanos":500000000},"end":{"seconds":2,"nanos":500000000}}"#,
        r#"{"snippet":{"runs":[{"text":"a"}]},"startMs":"1500","endMs":"2500"}"#,
        r#"{"transcriptSegmentRenderer":{"snippet":{"runs":[{"text":"a"}]},"startMs":"1500","endMs":"2500"}}"#,
        r#"{"cue":{"simpleText":"a"},"startOffsetMs":"1500","durationMs":"1000"}"#,
        r#"{"content":"a","start":1.5,"end":2.5,"text":null,"confidence":0.9}"#,
        r#"{"text":"a","start":"1500ms","end":"2500ms"}"#,
        r#"{"text":"a","Start_Time":1.5,"Duration":1.0}"#,
    ] {
        match segment.contains("\"text\":null") {
            true => rows(&format!("[{segment}]"), &["1.5+1 "]),
            false => rows(&format!("[{segment}]"), expect),
        }
    }
    // Starts alone.
    rows(r#"[{"text":"a","time":1.5}]"#, &["1.5+- a"]);
    rows(r#"[{"text":"a","timestamp":"0:05"}]"#, &["5+- a"]);
    rows(r#"[{"text":"a","offset":1500}]"#, &["1.5+- a"]);
    rows(r#"[{"text":"a","start":"0:05","duration":1}]"#, &["5+1 a"]);
    rows(r#"[{"text":"a","start":3,"end":2}]"#, &["3+- a"]);
    rows(r#"[{"text":"a","start":-0.5,"duration":1}]"#, &["-0.5+1 a"]);
    rows(r#"[{"text":"a"},{"text":"b"}]"#, &["-+- a", "-+- b"]);
}

#[test]
fn units_of_whole_numbers() {
    let list = |name: &str, segments: &[(u64, u64)], length: usize| {
        let text = "x".repeat(length);
        let segment = |(start, duration): &(u64, u64)| {
            format!("{{\"text\":\"{text}\",\"{name}\":{start},\"duration\":{duration}}}")
        };
        format!("[{}]", segments.iter().map(segment).collect::<Vec<_>>().join(","))
    };
    let starts = |name: &str, segments: &[(u64, u64)], length: usize| {
        let decoded = decode("dQw4w9WgXcQ.json", list(name, segments, length).as_bytes());
        (0..segments.len())
            .map(|row| (number(&decoded.rows, "start", row).unwrap(), number(&decoded.rows, "duration", row).unwrap()))
            .collect::<Vec<_>>()
    };
    for name in ["start", "offset", "time", "begin"] {
        assert_eq!(starts(name, &[(0, 3), (3, 4), (7, 2)], 40), [(0.0, 3.0), (3.0, 4.0), (7.0, 2.0)], "{name}");
        assert_eq!(
            starts(name, &[(0, 3000), (3000, 4000), (7000, 2000)], 40),
            [(0.0, 3.0), (3.0, 4.0), (7.0, 2.0)],
            "{name}"
        );
        // Words of a quarter of a second, and paragraphs of two minutes.
        assert_eq!(starts(name, &[(0, 200), (250, 200), (500, 200)], 4)[1], (0.25, 0.2), "{name}");
        assert_eq!(starts(name, &[(0, 110), (120, 110), (240, 120)], 1500)[1], (120.0, 110.0), "{name}");
        assert_eq!(starts(name, &[(5, 2)], 10), [(5.0, 2.0)], "{name}");
        assert_eq!(starts(name, &[(17119, 4080)], 10), [(17.119, 4.08)], "{name}");
    }
    // Starts and durations of different units.
    assert_eq!(starts("start", &[(0, 3000), (3, 4000), (7, 2000)], 40)[1], (3.0, 4.0));
    assert_eq!(starts("offset", &[(0, 3), (3000, 4), (7000, 2)], 40)[1], (3.0, 4.0));
}

#[test]
fn where_programs_put_the_list() {
    let list = r#"[{"text":"a","start":1.5,"duration":1}]"#;
    for document in [
        format!(r#"{{"transcript":{list}}}"#),
        format!(r#"{{"data":{{"transcript":{list}}}}}"#),
        format!(r#"{{"data":{list}}}"#),
        format!(r#"{{"results":[{{"segments":{list}}}]}}"#),
        format!(r#"{{"items":{list},"kind":"x"}}"#),
        format!(r#"{{"captions":{{"en":{list}}}}}"#),
        format!(r#"{{"success":true,"error":null,"result":{{"captions":{list}}}}}"#),
        format!(r#"{{"en":{list}}}"#),
        format!(r#"{{"dQw4w9WgXcQ":{list}}}"#),
        format!(r#"[{{"dQw4w9WgXcQ":{list}}},["abcdefghij0"]]"#),
        format!(r#"{{"videos":[{{"video_id":"dQw4w9WgXcQ","transcript":{list}}}]}}"#),
        format!(r#"{{"url":"https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=1","transcripts":[{list}]}}"#),
        format!(r#"{{"transcript":"a","timestamps":{list}}}"#),
        r#"{"results":{"channels":[{"alternatives":[{"transcript":"a","words":[{"word":"a","start":1.5,"end":2.5}]}]}]}}"#.to_owned(),
        r#"{"text":"a","chunks":[{"timestamp":[1.5,2.5],"text":"a"}]}"#.to_owned(),
        r#"{"transcription":[{"timestamps":{"from":"00:00:01,500","to":"00:00:02,500"},"offsets":{"from":1500,"to":2500},"text":"a"}],"result":{"language":"en"}}"#.to_owned(),
        r#"{"responseContext":{},"actions":[{"panel":{"content":{"body":{"transcriptSegmentListRenderer":{"initialSegments":[{"transcriptSectionHeaderRenderer":{"snippet":{"simpleText":"Intro"}}},{"transcriptSegmentRenderer":{"startMs":"1500","endMs":"2500","snippet":{"runs":[{"text":"a"}]}}}]}}}}}]}"#.to_owned(),
        r#"{"wireMagic":"pb3","events":[{"tStartMs":1500,"dDurationMs":1000,"segs":[{"utf8":"a"}]}]}"#.to_owned(),
        "{\"text\":\"a\",\"start\":1.5,\"duration\":1}\n".to_owned() + "{\"text\":\"\",\"start\":1.5,\"duration\":1}",
        r#"[{"text":"a","start":1.5,"duration":1,"x":NaN},]"#.to_owned(),
        "\u{feff})]}'\n".to_owned() + list,
        r#"{"video_id":"dQw4w9WgXcQ","transcript":"1\n00:00:01,500 --> 00:00:02,500\na\n"}"#.to_owned(),
        r#"[{"text":["a"],"start":1.5,"duration":1}]"#.to_owned(),
    ] {
        let decoded = decode("dQw4w9WgXcQ.json", document.as_bytes());
        assert_eq!(decoded.rejects, [], "{document}");
        assert_eq!(lines(&decoded.rows)[0], "1.5+1 a", "{document}");
        assert_eq!(text(&decoded.rows, "video_id", 0).as_deref(), Some("dQw4w9WgXcQ"), "{document}");
    }
    rows(r#"{"events":[{"segs":[{"utf8":"a"}]},{"tStartMs":2000,"segs":[{"utf8":"b"},{}]}]}"#, &["0+- a", "2+- b"]);
    rows(
        r#"[{"text":"it&amp;#39;s &amp;amp; so","start":1,"duration":1},{"text":"&lt;","start":2,"duration":1}]"#,
        &["1+1 it's & so", "2+1 <"],
    );
    rows(r#"[{"text":"it&#39;s","start":1,"duration":1}]"#, &["1+1 it's"]);
    rows(r#"[{"text":"use &nbsp; or &lt;","start":1,"duration":1}]"#, &["1+1 use &nbsp; or &lt;"]);
}

#[test]
fn times_are_never_lost_in_silence() {
    for (document, reason) in [
        (r#"[{"text":"a","start":"soon"}]"#, "segment 1 of the transcript has start = \"soon\", which is not a time"),
        (r#"[{"text":"a","time":"2 days ago","author":"b"}]"#, "time = \"2 days ago\", which is not a time"),
        (r#"[{"text":"a","start":true}]"#, "start = true, which is not a time"),
        (r#"[{"text":"a","timePosition":12}]"#, "the fields text, timePosition, none of which is known as their time"),
        (r#"[{"text":"a","at":"0:05"}]"#, "the fields at, text, none of which is known as their time"),
        (r#"[{"text":"a","timestamp":1700000000}]"#, "no time within one, but perhaps a date"),
        (r#"[{"text":5,"start":1}]"#, "objects without text"),
        (r#"[{"text":"a","start":1},{"start":2}]"#, "segment 2 of the transcript is not an object with a text"),
        (r#"[{"text":"a","start":1},7]"#, "segment 2 of the transcript is not an object with a text"),
        (r#"{"events":[{"tStartMs":"soon","segs":[{"utf8":"a"}]}]}"#, "event 1 of the json3 has tStartMs = \"soon\""),
        (r#"{"detail":"Not found"}"#, "an error object instead of a transcript: Not found"),
        (r#"{"error":{"code":404}}"#, r#"an error object instead of a transcript: {"code":404}"#),
        ("{\"replayChatItemAction\":{}}\n{\"replayChatItemAction\":{}}", "JSON lines"),
        (r#"{"replayChatItemAction":{}}"#, "a live chat"),
        ("[1, 2]", "a JSON list of plain values"),
        ("{} trailing", "damaged"),
        ("null", "plain text in a file named .json"),
        (r#"{"id":"dQw4w9WgXcQ","subtitles":{"en":[{"ext":"json3"}]}}"#, "the fields id, subtitles: no known form"),
        ("text,start\nhi,1\n", "a table whose values are parted by ','"),
    ] {
        check_reject("dQw4w9WgXcQ.json", document, reason);
    }
}
