//! WebVTT, SRT, SBV, ASS, LRC, XML and plain text: one line an input.

use super::*;

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

/// Decodes captions named after a video and compares their rows.
#[track_caller]
fn rows(extension: &str, document: &str, expect: &[&str]) {
    let decoded = decode(&format!("dQw4w9WgXcQ.en.{extension}"), document.as_bytes());
    assert_eq!(decoded.rejects, [], "{document:?}");
    assert_eq!(lines(&decoded.rows), expect, "{document:?}");
}

#[test]
fn webvtt_as_tools_and_people_leave_it() {
    let one = &["1+1 one"][..];
    let two = &["1+1 one", "2+1 two"][..];
    for (document, expect) in [
        // The header: no empty line behind it, text in it, behind an empty line, or missing.
        ("WEBVTT\n00:01.000 --> 00:02.000\none\n\n00:02.000 --> 00:03.000\ntwo", two),
        ("WEBVTT - some text: here\nKind: captions\n00:01.000 --> 00:02.000\none", one),
        ("WEBVTT Kind: captions; Language: en\n\n00:01.000 --> 00:02.000\none", one),
        ("WEBVTT\n\nKind: captions\nLanguage: en\n\n00:01.000 --> 00:02.000\none", one),
        ("\n\n  WEBVTT\n\n00:01.000 --> 00:02.000\none", one),
        ("webvtt\n\n00:01.000 --> 00:02.000\none", one),
        ("Kind: captions\nLanguage: en\n\n00:01.000 --> 00:02.000\none", one),
        ("[info] writing\nWEBVTT\nKind: captions\n\n00:01.000 --> 00:02.000\none", one),
        ("WEBVTT\n1\n00:01.000 --> 00:02.000\none\n2\n00:02.000 --> 00:03.000\ntwo", two),
        // Blocks that are no captions.
        ("WEBVTT\n\nNOTE\nx\n00:09.000 --> 00:10.000\n\n00:01.000 --> 00:02.000\none", one),
        ("WEBVTT\n\nSTYLE\n::cue(c) { }\n\nREGION\nid:a\n\n00:01.000 --> 00:02.000\none\n\nNOTE end", one),
        ("WEBVTT\nREGION: id=a width=40%\n\n00:01.000 --> 00:02.000 region:a\none", one),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\none\n\nNOTE a: b\nc\n\n00:02.000 --> 00:03.000\ntwo", two),
        // Line ends.
        ("WEBVTT\rKind: captions\r\r00:01.000 --> 00:02.000\rone\r\r00:02.000 --> 00:03.000\rtwo\r", two),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\u{2028}one\u{2029}\u{85}", one),
        ("WEBVTT\r\n\n00:01.000 --> 00:02.000\r\none\r\r00:02.000 --> 00:03.000\ntwo", two),
        // Empty lines inside captions, and captions that touch.
        ("WEBVTT\n\n00:01.000 --> 00:02.000 line:79%\n\none\n\n00:02.000 --> 00:03.000\ntwo", two),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n\none\n00:02.000 --> 00:03.000\ntwo", two),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\none\n00:02.000 --> 00:03.000\ntwo", two),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\none\n\nmore\n\n00:02.000 --> 00:03.000\n\n", &["1+1 one\nmore"]),
        // Names of captions.
        ("WEBVTT\n\nfirst - a\n00:01.000 --> 00:02.000\none\n\n- b --\n00:02.000 --> 00:03.000\ntwo", two),
        ("WEBVTT\n\n1\n\n00:01.000 --> 00:02.000\none\n\n2\n\n00:02.000 --> 00:03.000\ntwo", two),
        // Times.
        ("WEBVTT\n\n0:01.000 --> 0:00:02.000\none", one),
        ("WEBVTT\n\n00:00:01,000 --> 00:00:02,000\none", one),
        ("WEBVTT\n\n00:01.0000004 --> 00:02.0000001\none", one),
        ("WEBVTT\n\n00:00:01:000 --> 00:00:02:000\none", one),
        ("WEBVTT\n\n00:02.000 --> 00:01.000\none", &["2+- one"]),
        ("WEBVTT\n\n-00:01.000 --> 00:01.000\none", &["-1+2 one"]),
        ("WEBVTT\n\n100:00:01.000-->100:00:02.000 align:start\none", &["360001+1 one"]),
        ("WEBVTT\n\n00:01.000 --&gt; 00:02.000\none", one),
        ("```vtt\nWEBVTT\n\n00:01.000 --> 00:02.000\none\n```\n", one),
        // Segments of a stream, put together.
        (
            "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\n00:01.000 --> 00:02.000\none\n\nWEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:990000\n\n00:01.000 --> 00:02.000\ntwo",
            two,
        ),
        (
            "WEBVTT\n\n00:01.000 --> 00:02.000\none\nWEBVTT\nKind: captions\n\nLanguage: en\n\n00:02.000 --> 00:03.000\ntwo",
            two,
        ),
        // Text.
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n<c.colorE5E5E5><b>o</b>n</c>e", one),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n<v.first Ann B>one</v>", one),
        (
            "WEBVTT\n\n00:01.000 --> 00:02.000\na --> b & c < d &lt;e&gt; f&nbsp;g\u{a0}h",
            &["1+1 a --> b & c < d <e> f\u{a0}g\u{a0}h"],
        ),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\n9:00 - 10:00", &["1+1 9:00 - 10:00"]),
        ("\u{feff}WEBVTT\n\n00:01.000 --> 00:02.000\n\u{200e}one", &["1+1 \u{200e}one"]),
    ] {
        rows("vtt", document, expect);
    }
    check_reject(
        "dQw4w9WgXcQ.vtt",
        "WEBVTT\n\nhello\n\nworld",
        "a WebVTT without a line of times, though line 3 is text",
    );
    check_reject("dQw4w9WgXcQ.vtt", "hello\nworld", "plain text in a file named .vtt");
}

#[test]
fn rolling_captions_without_the_blanks_that_editors_strip() {
    let expect = &["0+2.119 there's no denying", "2.129+3.231 yeah", "5.37+0.63 yeah"];
    rows("vtt", &ROLLING.replace("\n \n", "\n\n"), expect);
    rows("vtt", &ROLLING.replace("\n \n", "\n\n").replace('\n', "\r\n"), expect);
    rows("vtt", &ROLLING.replace("Language: en\n\n", "Language: en\n"), expect);
}

#[test]
fn srt_as_tools_and_people_leave_it() {
    let two = &["1+1 one", "2+1 two"][..];
    let one = &["1+1 one"][..];
    for (document, expect) in [
        ("\u{feff}1\n00:00:01,000 --> 00:00:02,000\none\n\n2\n00:00:02,000 --> 00:00:03,000\ntwo", two),
        // Numbers: with an empty line behind, missing, doubled, in other digits, touching the text.
        ("1\n\n00:00:01,000 --> 00:00:02,000\none\n\n2\n\n00:00:02,000 --> 00:00:03,000\ntwo", two),
        ("1\n\n\n00:00:01,000 --> 00:00:02,000\n\none\n\n2\n \n00:00:02,000 --> 00:00:03,000\n\ntwo\n\n", two),
        ("00:00:01,000 --> 00:00:02,000\none\n\n00:00:02,000 --> 00:00:03,000\ntwo", two),
        ("7\n00:00:01,000 --> 00:00:02,000\none\n7\n00:00:02,000 --> 00:00:03,000\ntwo", two),
        ("\u{661}\n00:00:01,000 --> 00:00:02,000\none\n\n\u{662}\n00:00:02,000 --> 00:00:03,000\ntwo", two),
        ("1\n00:00:01,000 --> 00:00:02,000\none\n\n2\n", one),
        ("#1\n00:00:01,000 --> 00:00:02,000\none\n\n#2\n00:00:02,000 --> 00:00:03,000\ntwo", two),
        ("1.\n00:00:01,000 --> 00:00:02,000\none\n2.\n00:00:02,000 --> 00:00:03,000\ntwo", two),
        (
            "1\n00:00:01,000 --> 00:00:02,000\none\n1999.\n00:00:02,000 --> 00:00:03,000\ntwo",
            &["1+1 one\n1999.", "2+1 two"],
        ),
        ("00:00:01,000 --> 00:00:02,000\none\n1999\n00:00:02,000 --> 00:00:03,000\ntwo", &["1+1 one\n1999", "2+1 two"]),
        ("1\n00:00:01,000 --> 00:00:02,000\none\n\n1999\n\nmore\n", &["1+1 one\n1999\nmore"]),
        // Arrows and blanks.
        ("1\n00:00:01,000 -> 00:00:02,000\none\n\n2\n00:00:02,000 -> 00:00:03,000\ntwo", two),
        ("1\n00:00:01,000 \u{2013}> 00:00:02,000\none", one),
        ("1\n00:00:01,000 \u{2014}> 00:00:02,000\none", one),
        ("1\n00:00:01,000-->00:00:02,000\none", one),
        ("1\n00:00:01,000 - 00:00:02,000\none\n\n2\n00:00:02,000 - 00:00:03,000\ntwo", two),
        ("1\n00: 00: 01,000 --> 00: 00: 02,000\none", one),
        ("1\n00: 00: 01, 000 -> 00: 00: 02, 000\none", one),
        ("1\n00:00:01:000 --> 00:00:02:000\none", one),
        ("1\n00:00:01.000 --> 00:00:02.000\none", one),
        ("1\n0:0:1 --> 0:0:2\none", one),
        ("1\n00:00:01,000 --> 00:00:02,000 X1:63 X2:223 Y1:43 Y2:58\none", one),
        ("1\n\u{ff10}\u{ff10}\u{ff1a}\u{ff10}\u{ff11}\u{ff0c}\u{ff10} --> 00:00:02,000\none", one),
        (
            "1\n00:00:04,560.0000000000009 --> 00:00:07,925\na\n\n2\n00:01:00,481.7421875 --> 00:01:04,777.74609375\nb",
            &["4.56+3.365 a", "60.481742+4.296004 b"],
        ),
        ("1\n00:00:02,000 --> 00:00:01,000\none", &["2+- one"]),
        // Text.
        (
            "1\n00:00:01,000 --> 00:00:02,000\nList<String> a<b and c>d <i>x</i> {\\an8}y {b}",
            &["1+1 List<String> a<b and c>d x y {b}"],
        ),
        ("1\n00:00:01,000 --> 00:00:02,000\n<font color=\"#fff\">a</font><br>b<BR/>c", &["1+1 a\nb\nc"]),
        ("1\n00:00:01,000 --> 00:00:02,000\nit&#39;s &amp;amp; AT&T", &["1+1 it's &amp; AT&T"]),
        ("1\n00:00:01,000 --> 00:00:02,000\n9:00 - 10:00\nmap a --> b", &["1+1 9:00 - 10:00\nmap a --> b"]),
        ("1\n00:00:01,000 --> 00:00:02,000\n\n\n2\n00:00:02,000 --> 00:00:03,000\ntwo", &["2+1 two"]),
        ("Subtitles by somebody\n\n1\n00:00:01,000 --> 00:00:02,000\none", one),
    ] {
        rows("srt", document, expect);
    }
    check_reject("dQw4w9WgXcQ.sub", "{25}{50}one\n{50}{75}two\n", "MicroDVD, whose times are frames");
    check_reject("dQw4w9WgXcQ.txt", "[10][20]one\n", "MPL2");
    check_reject("dQw4w9WgXcQ.srt", "1\n00:00:01,000 / 00:00:02,000\na", "line 2 holds two times");
    check_reject("dQw4w9WgXcQ.txt", "00:00:01,000 bis: 00:00:02,000 --> x\na", "line 1 of the SRT has no times");
}

#[test]
fn sbv_ass_and_lrc() {
    rows("sbv", "0:00:01.000,0:00:02.000\none[br]more\n\n0:00:02.000,0:00:03.000\ntwo", &["1+1 one\nmore", "2+1 two"]);
    let ass = "[Script Info]\nTitle: A talk\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\nComment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,no\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\i1}one{\\i0}, still\\Nmore\n";
    rows("ass", ass, &["1+1 one, still\nmore"]);
    assert_eq!(text(&decode("dQw4w9WgXcQ.ass", ass.as_bytes()).rows, "title", 0).as_deref(), Some("A talk"));
    check_reject("x.ass", "[Script Info]\n[Events]\nDialogue: 0,soon,0:00:02.00,,,,,,,a", "line 3 of the ASS");
    rows("lrc", "[ti:A talk]\n[by:x]\n[00:01.00]one\n[00:02.00]two\n[00:03.5]\n", &["1+1 one", "2+1.5 two"]);
    rows("lrc", "[00:01.00][00:03.00]again\n[00:02.00]two", &["1+1 again", "2+1 two", "3+- again"]);
    rows("lrc", "[offset:+500]\n[00:01.00]one", &["0.5+- one"]);
}

#[test]
fn text_copied_from_the_transcript_panel() {
    let expect = &["0+5 welcome back", "5+67 and so\non", "72+- end"];
    rows("txt", "0:00\nwelcome back\n0:05\nand so\non\n1:12\nend\n", expect);
    rows("txt", "0:00 welcome back\n0:05 and so\non\n1:12 - end\n", expect);
    rows("txt", "[00:00] welcome back\n[00:05] and so\non\n[01:12] end\n", expect);
    rows("txt", "(0:00) welcome back\n(0:05) and so\non\n(1:12) end\n", expect);
    rows("txt", "10:30am is when we met\nand then we left", &["-+- 10:30am is when we met\nand then we left"]);
    rows("txt", "[Music] hey\n10:30\nso\nit\nwas", &["-+- [Music] hey\n10:30\nso\nit\nwas"]);
}

#[test]
fn ttml_of_other_makers() {
    let tt = |attributes: &str, body: &str| {
        format!(
            "<tt xmlns=\"http://www.w3.org/ns/ttml\" xmlns:ttp=\"http://www.w3.org/ns/ttml#parameter\" {attributes}><body>{body}</body></tt>"
        )
    };
    for (attributes, body, expect) in [
        ("", "<div><p begin=\"1s\" end=\"2s\">one</p></div>", &["1+1 one"][..]),
        ("ttp:tickRate=\"10000000\"", "<div><p begin=\"10000000t\" end=\"20000000t\">one</p></div>", &["1+1 one"]),
        ("ttp:frameRate=\"25\"", "<div><p begin=\"00:00:01:00\" end=\"00:00:01:05\">one</p></div>", &["1+0.2 one"]),
        ("", "<div begin=\"10s\"><p begin=\"1s\" dur=\"1s\">one</p></div>", &["11+1 one"]),
        ("", "<div begin=\"1s\" end=\"2s\"><p>one</p></div>", &["1+1 one"]),
        (
            "",
            "<div><p><span begin=\"1s\" end=\"1.5s\">o</span><span begin=\"1.5s\" end=\"2s\">ne</span></p></div>",
            &["1+1 one"],
        ),
        (
            "",
            "<div><p begin=\"1s\" end=\"2s\"><span begin=\"0s\" end=\"1s\">one</span><br/><span>more</span></p></div>",
            &["1+1 one\nmore"],
        ),
        ("", "<div><p begin=\"2s\" end=\"1s\">a &amp; b & c &nbsp;d &eacute;</p></div>", &["2+- a & b & c d é"]),
        ("", "<div><p begin=\"1\" end=\"2\">one</p></div>", &["1+1 one"]),
    ] {
        rows("ttml", &tt(attributes, body), expect);
    }
    rows(
        "dfxp",
        "<tt:tt xmlns:tt=\"http://www.w3.org/ns/ttml\"><tt:body><tt:div><tt:p begin=\"00:00:01.000\" end=\"00:00:02.000\">a<tt:br/>b</tt:p></tt:div></tt:body></tt:tt>",
        &["1+1 a\nb"],
    );
    check_reject("x.ttml", &tt("", "<p begin=\"soon\">a</p>"), "a time that cannot be read");
    check_reject("x.xml", "<transcript_list><track/></transcript_list>", "a list of a video's caption tracks");
}
