//! What names tell.

use super::super::name::FileName;

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
    check("dQw4w9WgXcQ/en.vtt", id, Some("en"));
    check("dQw4w9WgXcQ/pt-BR.auto.vtt", id, Some("pt-BR"));
    check("dQw4w9WgXcQ/German.srt", id, Some("de"));
    check("dQw4w9WgXcQ.en (1).vtt", id, Some("en"));
    check("dQw4w9WgXcQ (12).vtt", id, None);
    check("dQw4w9WgXcQ.eng.srt", id, Some("eng"));
    check("[English (auto-generated)] A talk [DownSub.com].srt", None, Some("en"));
    check("[Live] A talk.srt", None, None);
    check("en.vtt", None, None);
    check("dQw4w9WgXcQ/captions.en.vtt", id, Some("en"));
    check("dot-product/english/captions.srt", None, Some("en"));
    check("transcripts.json", None, None);
    check("Transcripts.json", None, None);
    check("auto_rolling_macbookair2020.en.vtt", None, Some("en"));
    check("manual_yt-dlp.en.vtt", None, Some("en"));
    check("\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}.json", None, None);
    check("", None, None);
    check(".json", None, None);
    check("dQw4w9WgXcQ.en-orig.vtt", id, Some("en"));
    check("dQw4w9WgXcQ.en.srv3", id, Some("en"));
    check("title [dQw4w9WgXcQ].en.vtt", id, Some("en"));
    check("title [dQw4w9WgXcQ].en-_uU-hN8qIrs.vtt", id, Some("en"));
    check("dQw4w9WgXcQ-en-US.srt", id, Some("en-US"));
    check("dQw4w9WgXcQ_en-nP7-2PuUl7o.vtt", id, Some("en"));
    check("dQw4w9WgXcQ (English).srt", id, Some("en"));
    check("dQw4w9WgXcQ.en.vtt.srt", id, Some("en"));
    check("en_dQw4w9WgXcQ.srt", id, Some("en"));
    check("dQw4w9WgXcQ.zh-Hans-en-ehkg1hFWq8A.vtt", id, Some("zh-Hans"));
    check("A-talk.of 2020-dQw4w9WgXcQ.live_chat.json", id, None);
    check("so-called life.vtt", None, None);
    // Folders that are words, and one that is an id.
    check("transcripts/a.en.vtt", None, Some("en"));
    check("JavaScripts/a.en.vtt", None, Some("en"));
    check("podcast2023/a.en.vtt", None, Some("en"));
    check("season01ep2/a.en.vtt", None, Some("en"));
    check("MyTranscrip/a.en.vtt", None, Some("en"));
    check("my_captions/a.en.vtt", None, Some("en"));
    check("2020-01-01x/a.en.vtt", None, Some("en"));
    check("9bZkp7q19f0/a.en.vtt", Some("9bZkp7q19f0"), Some("en"));
    assert_eq!(FileName::of("a/b.en.vtt").path, "a/b");
    assert_eq!(FileName::of("a/lecture/en.vtt").path, "a/lecture");
}
