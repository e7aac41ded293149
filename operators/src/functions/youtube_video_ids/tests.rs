//! `youtube_video_ids` against cases by hand, the reference expression over texts as they are generated for comparisons,
//! and real links.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use catchment_contract::arrow::array::AsArray;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use regex::Regex;

use super::*;

const REFERENCE: &str = r#"(?:youtube\.com/(?:watch\?(?:[^\s)"']*&)?v=|shorts/|embed/)|youtu\.be/)([A-Za-z0-9_-]{11})"#;
const A: &str = "dQw4w9WgXcQ";
const B: &str = "-_aB3456789";

fn lists(list: &ListArray) -> Vec<Option<Vec<String>>> {
    let one = |values: ArrayRef| values.as_string_view().iter().flatten().map(str::to_owned).collect();
    (0..list.len()).map(|row| list.is_valid(row).then(|| one(list.value(row)))).collect()
}

fn ids_of(text: &str) -> Vec<String> {
    lists(&youtube_video_ids(&StringViewArray::from(vec![text])).unwrap()).remove(0).unwrap()
}

/// The reference's ids, each once.
fn reference(expression: &Regex, text: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for found in expression.captures_iter(text) {
        let id = found[1].to_owned();
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    assert_eq!(ids_of(text), expect, "{text:?}");
}

#[test]
fn paths() {
    check("https://youtu.be/dQw4w9WgXcQ", &[A]);
    check("youtu.be/dQw4w9WgXcQ?t=42", &[A]);
    check("Youtu.be/dQw4w9WgXcQ", &[A]);
    check("HTTPS://YOUTU.BE/dQw4w9WgXcQ", &[A]);
    check("https://youtu.be//dQw4w9WgXcQ", &[A]);
    check("https://www.youtube.com/shorts/dQw4w9WgXcQ?feature=share", &[A]);
    check("https://youtube.com/live/dQw4w9WgXcQ?si=abc", &[A]);
    check("<iframe src=\"https://www.youtube.com/embed/dQw4w9WgXcQ?rel=0\">", &[A]);
    check("http://www.youtube.com/v/dQw4w9WgXcQ&amp;hl=en", &[A]);
    check("http://www.youtube.com/e/dQw4w9WgXcQ", &[A]);
    check("https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ", &[A]);
    check("https://youtube.googleapis.com/v/dQw4w9WgXcQ", &[A]);
    check("https://img.youtube.com/vi/dQw4w9WgXcQ/0.jpg", &[A]);
    check("https://www.youtube.com/watch/dQw4w9WgXcQ", &[A]);
    check("https://www.youtube.com/v/EXAMPLE", &[]);
    check("https://www.youtube.com/@somechannel", &[]);
    check("https://www.youtube.com/user/abcdefghijk", &[]);
    check("https://www.youtube.com/c/abcdefghijk", &[]);
}

#[test]
fn arguments() {
    check("https://www.youtube.com/watch?v=dQw4w9WgXcQ", &[A]);
    check("http://m.youtube.com/watch?app=desktop&v=dQw4w9WgXcQ", &[A]);
    check("https://music.youtube.com/watch?v=dQw4w9WgXcQ&list=RDAMVM", &[A]);
    check("https://gaming.youtube.com/watch?v=dQw4w9WgXcQ", &[A]);
    check("http://uk.youtube.co.uk/watch?v=dQw4w9WgXcQ", &[A]);
    check("http://www.youtube.com/watch?feature=player_embedded&amp;v=dQw4w9WgXcQ#!", &[A]);
    check("http://www.youtube.com/watch?nomobile=1&amp;amp;v=dQw4w9WgXcQ", &[A]);
    check("https://www.youtube.com/watch?feature=youtu.be&v=dQw4w9WgXcQ", &[A]);
    check("http://www.youtube.com/watch_popup?v=dQw4w9WgXcQ&vq=large", &[A]);
    check("http://www.youtube.com/watch#!v=dQw4w9WgXcQ&feature=related", &[A]);
    check("http://m.youtube.com/#/watch?v=dQw4w9WgXcQ", &[A]);
    check("http://www.youtube.com/user/someone#p/u/1/dQw4w9WgXcQ", &[A]);
    check("http://www.youtube.com/user/XboxAhoy?blend=2&amp;ob=1#p/c/64FC76A45DE92CD5/3/-_aB3456789", &[B]);
    check("http://www.youtube.com/user/someone#p/u", &[]);
    check("http://www.youtube.com/watch_videos?video_ids=dQw4w9WgXcQ,-_aB3456789", &[A, B]);
    check("http://www.youtube.com/my_videos_edit?ns=1&amp;video_id=dQw4w9WgXcQ", &[A]);
    check("https://www.youtube.com/watch?v=dQw4w9WgXcQ&v=-_aB3456789", &[A, B]);
    check("http://www.youtube.com/playlist?list=PLCF0EBED79047907A", &[]);
    check("http://www.youtube.com/watch?", &[]);
    check("http://www.youtube.com/watch?v=short", &[]);
    check("http://www.youtube.com/results?search_query=dQw4w9WgXcQ", &[]);
}

#[test]
fn links_in_links() {
    check("https://www.youtube.com/attribution_link?a=x&u=%2Fwatch%3Fv%3DdQw4w9WgXcQ%26feature%3Dshare", &[A]);
    check("https://www.youtube.com/attribution_link?a=x&u=/watch?v=dQw4w9WgXcQ", &[A]);
    check("https://www.youtube.com/oembed?url=http%3A//www.youtube.com/watch?v%3DdQw4w9WgXcQ&format=json", &[A]);
    check("http://www.google.com/url?q=https%3A%2F%2Fwww.youtube.com%2Fwatch%3Fv%3DdQw4w9WgXcQ&sa=X", &[A]);
    check("http://www.stumbleupon.com/su/1JbdkK/www.youtube.com/watch%253Fv%253DdQw4w9WgXcQ", &[A]);
    check("https://l.example/?u=https%3A%2F%2Fyoutu.be%2FdQw4w9WgXcQ", &[A]);
    check(
        "http://doubler.example/?a=http%3A%2F%2Fyoutu.be%2FdQw4w9WgXcQ&b=http%3A%2F%2Fyoutu.be%2F-_aB3456789",
        &[A, B],
    );
    check("http://m.youtube.com/watch?v=dQw4w9WgXcQ&desktop_uri=%2Fwatch%3Fv%3DdQw4w9WgXcQ", &[A]);
    check("[this](https://www.youtube.com/watch?v=dQw4w9WgXcQ) and [that](https://youtu.be/-_aB3456789?t=3)", &[A, B]);
    check("[https://youtu.be/dQw4w9WgXcQ](https://youtu.be/dQw4w9WgXcQ)", &[A]);
    check("https://youtu.be/dQw4w9WgXcQ,https://youtu.be/-_aB3456789", &[A, B]);
    check(r"https://youtu.be/\-\_aB3456789", &[B]);
    check(r"https://www.youtube.com/watch?v=\-\_aB3456789", &[B]);
    check("http://www.youtuberepeater.com/watch?v=dQw4w9WgXcQ", &[A]);
}

#[test]
fn an_id_has_eleven_characters() {
    check("https://youtu.be/dQw4w9WgXcQmore", &[A]);
    check("https://www.youtube.com/watch?v=dQw4w9WgXcQmore", &[A]);
    check("https://www.youtube.com/shorts/dQw4w9WgXcQmore", &[A]);
    check("https://www.youtube.com/live/dQw4w9WgXcQmore", &[]);
    check("http://www.youtubeonrepeat.com/watch?v=dQw4w9WgXcQmore", &[]);
    check("https://www.youtube.com/embed/videoseries?list=PLx", &[]);
    check("https://www.youtube.com/embed/live_stream?channel=UCx", &[]);
    check("https://youtu.be/dQw4w9WgXc", &[]);
    check("https://youtu.be/dQw4w9W\u{e9}gXcQ", &[]);
}

#[test]
fn no_link_no_id() {
    check("", &[]);
    check("youtube", &[]);
    check("I watch youtube and/embed/dQw4w9WgXcQ", &[]);
    check("see youtube/watch?v=dQw4w9WgXcQ", &[]);
    check("youtube.com, then v=dQw4w9WgXcQ", &[]);
    check("http://example.com/watch?v=dQw4w9WgXcQ", &[]);
    check("http://pitchfork.example/tv/youtube/13-music-videos/", &[]);
}

#[test]
fn null_gives_null_and_ids_are_distinct_in_each_text() {
    let many =
        (0..200).map(|n| format!("https://youtu.be/{:011} youtu.be/{:011}\n", n % 90, n % 70)).collect::<String>();
    let texts =
        [None, Some("youtu.be/dQw4w9WgXcQ youtu.be/dQw4w9WgXcQ"), Some("none here, but long enough"), Some(&many)];
    let found = lists(&youtube_video_ids(&StringViewArray::from_iter(texts)).unwrap());
    assert_eq!(found[..3], [None, Some(vec![A.to_owned()]), Some(vec![])]);
    assert_eq!(found[3], Some((0..90).map(|n| format!("{n:011}")).collect()));
}

/// A slice, a filter's result and a column of several buffers give what the whole column gave.
#[test]
fn rows_are_found_wherever_their_bytes_lie() {
    let texts = (0..500).map(|n| match n % 7 {
        0 => format!("text {n} with a link https://youtu.be/{n:011}"),
        _ => format!("text {n} without any link at all, which is common"),
    });
    let mut builder = catchment_contract::arrow::array::StringViewBuilder::new().with_fixed_block_size(512);
    texts.for_each(|text| builder.append_value(text));
    let column = builder.finish();
    assert!(column.data_buffers().len() > 10);
    let expect = |row: usize| Some(if row.is_multiple_of(7) { vec![format!("{row:011}")] } else { vec![] });
    assert_eq!(lists(&youtube_video_ids(&column).unwrap()), (0..500).map(expect).collect::<Vec<_>>());
    let few = column.slice(140, 3);
    assert_eq!(lists(&youtube_video_ids(&few).unwrap()), (140..143).map(expect).collect::<Vec<_>>());
}

/// Texts and links as the generator of the comparisons with other systems makes them.
#[test]
fn generated_texts_give_what_the_reference_gives() {
    let seed = 7;
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let expression = Regex::new(REFERENCE).unwrap();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let words =
        ["the", "watch", "v", "caf\u{e9}", "\u{1f525}", "\"quoted\"", "(so)", ".\n\n", "\t", "\n> ", "youtube", "be/"];
    for round in 0..5_000 {
        let mut text = String::new();
        for _ in 0..random.random_range(0..12) {
            let id = (0..random.random_range(9..14)).map(|_| char::from(*alphabet.choose(&mut random).unwrap()));
            let id = id.collect::<String>();
            let link = match random.random_range(0..12) {
                0 => format!("https://www.youtube.com/watch?v={id}&t=34s"),
                1 => format!("https://www.youtube.com/watch?v={id}"),
                2 => format!("https://youtu.be/{id}?si=abcdefghijklmnop"),
                3 => format!("https://youtu.be/{id}"),
                4 => format!("https://www.youtube.com/shorts/{id}"),
                5 => format!("https://www.youtube.com/embed/{id}?rel=0"),
                6 => format!("https://m.youtube.com/watch?app=desktop&v={id}"),
                7 => format!("[this video](https://www.youtube.com/watch?v={id})"),
                8 => format!("[here](https://youtu.be/{id}?t=61)"),
                _ => (*words.choose(&mut random).unwrap()).to_owned(),
            };
            text.push_str(&link);
            text.push(if random.random_range(0..4) == 0 { '\n' } else { ' ' });
        }
        let cut =
            (0..=text.len()).rev().filter(|at| text.is_char_boundary(*at)).nth(random.random_range(0..3)).unwrap_or(0);
        let text = &text[..cut];
        assert_eq!(ids_of(text), reference(&expression, text), "seed {seed}, round {round}: {text:?}");
    }
}

/// Fragments of links in any order: never a panic, and everything that the reference finds but players and earlier `v=`.
#[test]
fn fragments_in_any_order_give_at_least_what_the_reference_gives() {
    let seed = 99;
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let expression = Regex::new(REFERENCE).unwrap();
    let pieces = [
        "youtu.be/",
        "youtube.com/",
        "watch?",
        "v=",
        "&",
        "&amp;",
        "embed/",
        "shorts/",
        "dQw4w9WgXcQ",
        "-_aB3456789",
        " ",
        ")",
        "%3F",
        "%",
        "%2",
        "\\",
        "\\_",
        "#p/u/",
        "/",
        "?",
        "video_ids=",
        ",",
        "youtube",
        "YOUTU",
        "\u{e9}",
        ".",
        "abc",
        "]",
        "\"",
    ];
    for round in 0..20_000 {
        let text =
            (0..random.random_range(0..30)).filter_map(|_| pieces.choose(&mut random).copied()).collect::<String>();
        let found = ids_of(&text).into_iter().collect::<BTreeSet<_>>();
        let expect = reference(&expression, &text).into_iter().collect::<BTreeSet<_>>();
        assert!(expect.is_subset(&found), "seed {seed}, round {round}: {text:?}: {expect:?} not in {found:?}");
    }
}

/// A link of a megabyte with a host every few bytes takes linear time (this would take hours if each host read to its end).
#[test]
fn a_long_link_of_many_hosts_is_read_once() {
    let text = format!("{}watch?v=dQw4w9WgXcQ", "youtube.com/".repeat(100_000));
    check(&text, &[A]);
    check(&"youtu".repeat(200_000), &[]);
    check(&format!("youtube.com/{}", "#p/".repeat(3_000)), &[]);
}

fn shared(file: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/join").join(file);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: {} is not there", path.display());
    }
    text
}

/// Every URL of the collected shapes whose id a simple expression found gives that id, and those whose id it missed but
/// that carry one give it too.
#[test]
fn real_url_shapes() {
    let Some(forms) = shared("youtube_url_forms.csv") else { return };
    let (mut same, mut more) = (0, BTreeSet::new());
    for line in forms.lines().skip(1) {
        let (before, id) = line.rsplit_once(',').unwrap();
        let found = ids_of(before.rsplit_once(",http").map_or(before, |(_, url)| url));
        match id {
            "" => more.extend(found),
            _ => {
                assert_eq!(found.first().map(String::as_str), Some(id), "{before}");
                same += 1;
            }
        }
    }
    println!("{same} the same, {} more: {more:?}", more.len());
    assert_eq!(same, 272);
    for id in [
        "MGr2zf_x8IU",
        "BNV_9HCLUlE",
        "RLlDqNu4YlQ",
        "rnkOkraJXK4",
        "4l8JiQrDGcg",
        "AKdf7kjbu1s",
        "A5c0X4MW_zE",
        "h_msORjkXkI",
    ] {
        assert!(more.contains(id), "{id}");
    }
}

/// The pairs that a regular expression found in real posts. Ours may have more, never fewer but for the reasons below.
#[test]
fn real_posts() {
    let (Some(posts), Some(pairs)) =
        (shared("reddit_posts_with_youtube_links.csv"), shared("expected_post_video_pairs.csv"))
    else {
        return;
    };
    let mut expect = BTreeMap::<String, BTreeSet<String>>::new();
    for line in pairs.lines().skip(1) {
        let mut cells = line.split(',');
        let (post, id) = (cells.next().unwrap(), cells.next().unwrap());
        expect.entry(post.to_owned()).or_default().insert(id.to_owned());
    }
    let mut missing = Vec::new();
    let mut more = 0;
    let records = csv(&posts);
    let header = &records[0];
    let column = |name: &str| header.iter().position(|cell| cell == name).unwrap();
    let (name, title, selftext, url) = (column("name"), column("title"), column("selftext"), column("url"));
    for record in &records[1..] {
        let found = ids_of(&format!("{}\n{}\n{}", record[title], record[selftext], record[url]));
        let wanted = expect.remove(&record[name]).unwrap_or_default();
        more += found.iter().filter(|id| !wanted.contains(*id)).count();
        missing.extend(wanted.into_iter().filter(|id| !found.contains(id)).map(|id| (record[name].clone(), id)));
    }
    println!("{more} more, {} missing: {missing:?}", missing.len());
    assert!(missing.is_empty(), "{missing:?}");
    assert!(expect.is_empty(), "posts not read: {expect:?}");
}

/// Records of cells, quoted ones with doubled quotes and line ends inside.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            '\r' if !quoted => {}
            c => cell.push(c),
        }
    }
    records
}
