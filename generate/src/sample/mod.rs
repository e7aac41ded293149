//! The sample that ships with the project: a few hundred records of three days in January and February 2026, invented,
//! in the real formats.
//!
//! | file | holds |
//! |---|---|
//! | `reddit/RC_2026-01.zst` | comments of 30 and 31 January; zstd with a window of 2 GiB, as the real dumps |
//! | `reddit/RC_2026-01_late.gz` | comments of these days that came late, in an older shape: text times, `\/` and `\uXXXX` |
//! | `reddit/RC_2026-02` | plain; comments of 1 February, then later versions of some before, and one line cut short |
//! | `reddit/RS_2026-01.zst` | submissions |
//! | `transcripts/` | eight videos in seven forms |
//!
//! Of the later versions four are edits, three deletions, one a removal; one is older than what the first file holds
//! and must change nothing. On 1 February at 16:00 a subreddit has an hour of 18 comments, which is one for `alerts`.

mod text;

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result};

use super::files::{compressor, make_folder, write};
use super::json::{Json, Style, base_36};
use super::rng::{Rng, Stream};
use super::transcripts::{Form, Segment, Transcript};
use text::{TOPICS, Topic};

/// 2026-01-30T00:00:00Z in seconds.
const START: u64 = 1_769_731_200;
const DAY: u64 = 86_400;
const FIRST_COMMENT: u64 = 50_400_000_000;
const FIRST_SUBMISSION: u64 = 3_780_000_000;
/// Comments of the first two days, and of all three.
const COMMENTS_JANUARY: u64 = 210;
const COMMENTS: u64 = 300;
const SUBMISSIONS: u64 = 30;
/// Comments of the one hour in which a subreddit has much more to say than usual.
const RUSH: Range<u64> = 260..278;
/// The window of the real dumps: 2 GiB.
const WINDOW_LOG: u32 = 31;

/// The videos, and how each one's transcript is saved, if it has one. The ids are invented.
const VIDEOS: [(&str, Option<Form>); 11] = [
    ("smplRye_001", Some(Form::Raw)),
    ("smplBird_02", Some(Form::List)),
    ("-smplRack03", Some(Form::Rolling)),
    ("_smplFont04", Some(Form::Vtt)),
    ("smplTea-005", Some(Form::Srt)),
    ("smplLoaf006", Some(Form::Json3)),
    ("smplNest007", Some(Form::Srv3)),
    ("smplDisk008", Some(Form::Raw)),
    ("smplNone009", None),
    ("smplNone010", None),
    ("smplNone011", None),
];

/// How the sample's people link a video.
const LINKS: [&str; 12] = [
    "https://www.youtube.com/watch?v={}",
    "https://youtu.be/{}?si=Ab3dEf6hIj9kLm2n",
    "[this video](https://www.youtube.com/watch?v={})",
    "https://www.youtube.com/shorts/{}",
    "https://m.youtube.com/watch?app=desktop&v={}",
    "https://www.youtube.com/watch?v={}&amp;t=42s",
    "(https://youtu.be/{}?t=17)",
    "http://www.youtube.com/watch?feature=player_embedded&amp;v={}",
    "https://www.youtube.com/live/{}?feature=share",
    "https://www.youtube-nocookie.com/embed/{}",
    "https://music.youtube.com/watch?v={}&list=RDAMVM{}",
    "https://www.youtube.com/embed/{}?rel=0",
];

/// Writes the sample into `out`, over what is there.
///
/// # Errors
/// A file that cannot be written.
pub fn sample(out: &Path) -> Result<()> {
    for folder in ["reddit", "transcripts/captions"] {
        make_folder(&out.join(folder))?;
    }
    for (name, content) in files()? {
        write(&out.join(name), &content)?;
    }
    Ok(())
}

/// The sample's files, compressed where they are, by their path below the sample's folder.
pub(super) fn files() -> Result<Vec<(String, Vec<u8>)>> {
    let comments: Vec<Comment> = (0..COMMENTS).map(comment).collect();
    let (january, february) = comments.split_at(COMMENTS_JANUARY as usize);
    let (late, first): (Vec<&Comment>, Vec<&Comment>) = january.iter().partition(|comment| comment.number % 9 == 4);
    let mut files = vec![
        ("reddit/RC_2026-01.zst".to_owned(), zst(&lines(first, Shape::Today))?),
        ("reddit/RC_2026-01_late.gz".to_owned(), gz(&lines(late, Shape::Old))?),
        ("reddit/RC_2026-02".to_owned(), plain(february, january)),
        ("reddit/RS_2026-01.zst".to_owned(), zst(&submissions())?),
    ];
    for (at, (video, form)) in VIDEOS.into_iter().enumerate() {
        if let Some(form) = form {
            let (name, content) = transcript(at, video).file(form);
            let folder = if name.ends_with(".json") { "transcripts" } else { "transcripts/captions" };
            files.push((format!("{folder}/{name}"), content));
        }
    }
    Ok(files)
}

#[derive(Clone)]
struct Comment {
    number: u64,
    created: u64,
    retrieved: u64,
    topic: &'static Topic,
    author: String,
    body: String,
    score: i64,
    thread: u64,
    edited: Option<u64>,
}

/// Which years' shape a line has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Today,
    Old,
}

fn comment(number: u64) -> Comment {
    let rng = &mut Rng::new(0, Stream::Sample, number);
    let rush = RUSH.contains(&number);
    let usual = rng.below(15).min(rng.below(15)) as usize / 3;
    let topic = &TOPICS[if rush { 0 } else { usual }];
    let (day, place, places) = if number < COMMENTS_JANUARY {
        (0, number, COMMENTS_JANUARY / 2)
    } else {
        (2, number - COMMENTS_JANUARY, COMMENTS - COMMENTS_JANUARY)
    };
    // From six in the morning to midnight.
    let apart = 18 * 3600 / places;
    let since_six = match rush {
        true => 10 * 3600 + (number - RUSH.start) * 190,
        false => place % places * apart,
    };
    let created = START + (day + place / places) * DAY + 6 * 3600 + since_six + rng.below(300);
    let mut body = topic.comment(rng);
    if number % 7 == 3 {
        let video = VIDEOS[rng.below(12).min(rng.below(11)) as usize % VIDEOS.len()].0;
        body = format!("{body} {}", LINKS[(number / 7) as usize % LINKS.len()].replace("{}", video));
    }
    let mut author = match rng.below(24) {
        0 => "AutoModerator".to_owned(),
        person => format!("sample_reader_{person:02}"),
    };
    if number % 61 == 30 {
        (author, body) = ("[deleted]".to_owned(), "[removed]".to_owned());
    }
    Comment {
        number,
        created,
        retrieved: created + 5 + rng.below(50),
        topic,
        author,
        body,
        score: rng.below(40) as i64 - 4 + if rng.chance(50) { 900 } else { 0 },
        thread: FIRST_SUBMISSION + (number / 10 + rng.below(3)) % SUBMISSIONS,
        edited: (number % 23 == 5).then_some(created + 600),
    }
}

/// The plain file: February, a line cut short in its middle, and later versions of January's comments.
fn plain(february: &[Comment], january: &[Comment]) -> Vec<u8> {
    let (before, after) = february.split_at(february.len() / 2);
    let mut out = lines(before.iter().collect(), Shape::Today);
    out.raw("{\"author\":\"sample_reader_09\",\"body\":\"this line was cut short while it was wri\n");
    out.extend(lines(after.iter().collect(), Shape::Today));
    let mut again = |number: usize, change: &dyn Fn(&mut Comment)| {
        let mut version = january[number].clone();
        version.retrieved = version.created + 36 * 3600;
        change(&mut version);
        out.extend(lines(vec![&version], Shape::Today));
    };
    let edit = |version: &mut Comment| {
        version.edited = Some(version.created + 4000);
        version.score += 7;
    };
    again(12, &|version| {
        edit(version);
        version.body += "\n\nEdit: here it is: https://youtu.be/smplRye_001";
    });
    again(40, &|version| {
        edit(version);
        version.body += "\n\nEdit: spelling";
    });
    again(101, &|version| {
        edit(version);
        version.body = "I was wrong about the kettle.".to_owned();
    });
    // This one linked a video before.
    again(150, &|version| {
        edit(version);
        version.body = "Never mind, the link was dead.".to_owned();
    });
    for number in [24, 77, 160] {
        again(number, &|version| (version.author, version.body) = ("[deleted]".to_owned(), "[deleted]".to_owned()));
    }
    again(133, &|version| (version.author, version.body) = ("[deleted]".to_owned(), "[removed]".to_owned()));
    again(50, &|version| {
        version.retrieved = version.created + 1;
        version.score = 1;
        version.body = "this version is older than the one before and must not be seen".to_owned();
    });
    out
}

fn lines(comments: Vec<&Comment>, shape: Shape) -> Vec<u8> {
    let mut out = Vec::new();
    for comment in comments {
        comment.write(shape, &mut out);
    }
    out
}

impl Comment {
    fn write(&self, shape: Shape, out: &mut Vec<u8>) {
        let Comment { number, created, retrieved, topic, author, body, score, thread, edited } = self;
        let (old, id) = (shape == Shape::Old, FIRST_COMMENT + number);
        let style = if old { Style::Ascii } else { Style::Utf8 };
        out.raw(r#"{"all_awardings":[],"archived":false,"author":""#).raw(author);
        out.raw(r#"","author_flair_text":null,"author_premium":false,"body":"#).text(body, style);
        out.raw(r#","can_gild":true,"collapsed":false,"collapsed_reason":null,"controversiality":0,"created_utc":"#);
        out.raw(if old { "\"" } else { "" }).int(*created as i64).raw(if old { "\"" } else { "" });
        out.raw(r#","distinguished":null,"edited":"#);
        match edited {
            Some(at) => out.int(*at as i64).raw(if old { ".0" } else { "" }),
            None => out.raw("false"),
        };
        out.raw(r#","gilded":0,"gildings":{},"id":""#).base_36(id).raw(r#"","is_submitter":false,"link_id":"t3_"#);
        out.base_36(*thread).raw(r#"","locked":false,"name":"t1_"#).base_36(id).raw(r#"","no_follow":true"#);
        out.raw(r#","parent_id":"t3_"#).base_36(*thread).raw(r#"","permalink":"#);
        let (thread, subreddit) = (base_36(*thread), topic.subreddit);
        out.text(&format!("/r/{subreddit}/comments/{thread}/_/{}/", base_36(id)), style);
        out.raw(r#","retrieved_on":"#).int(*retrieved as i64).raw(r#","score":"#).int(*score);
        out.raw(r#","send_replies":true,"stickied":false,"subreddit":""#).raw(subreddit);
        out.raw(r#"","subreddit_id":"t5_"#).raw(topic.id).raw(r#"","subreddit_name_prefixed":"#);
        out.text(&format!("r/{subreddit}"), style).raw(r#","subreddit_type":"public","total_awards_received":0}"#);
        out.push(b'\n');
    }
}

fn submissions() -> Vec<u8> {
    let mut out = Vec::new();
    for number in 0..SUBMISSIONS {
        let rng = &mut Rng::new(0, Stream::Sample, 1_000_000 + number);
        let topic = &TOPICS[number as usize % TOPICS.len()];
        let (id, subreddit) = (base_36(FIRST_SUBMISSION + number), topic.subreddit);
        let created = START + number * 2 * DAY / SUBMISSIONS;
        let permalink = format!("/r/{subreddit}/comments/{id}/_/");
        let video = VIDEOS[number as usize % VIDEOS.len()].0;
        let (mut selftext, mut url) = (topic.comment(rng), format!("https://www.reddit.com{permalink}"));
        match number % 5 {
            1 => (selftext, url) = (String::new(), format!("https://www.youtube.com/watch?v={video}")),
            3 => {
                selftext =
                    format!("{selftext}\n\nhttps://youtu.be/{video} and again https://www.youtube.com/embed/{video}")
            }
            _ => (),
        }
        out.raw(r#"{"archived":false,"author":"sample_writer_"#).int(rng.below(8) as i64);
        out.raw(r#"","created_utc":"#).int(created as i64).raw(r#","domain":""#);
        out.raw(if number % 5 == 1 { "youtube.com" } else { "self" }).raw(r#"","edited":false,"gilded":0,"id":""#);
        out.raw(&id).raw(r#"","is_self":"#).bool(number % 5 != 1).raw(r#","link_flair_text":null,"locked":false"#);
        out.raw(r#","name":"t3_"#).raw(&id).raw(r#"","num_comments":10,"over_18":false,"permalink":"#);
        out.text(&permalink, Style::Utf8).raw(r#","retrieved_on":"#).int(created as i64 + 30).raw(r#","score":"#);
        out.int(rng.below(300) as i64).raw(r#","selftext":"#).text(&selftext, Style::Utf8).raw(r#","spoiler":false"#);
        out.raw(r#","stickied":false,"subreddit":""#).raw(subreddit).raw(r#"","subreddit_id":"t5_"#).raw(topic.id);
        out.raw(r#"","subreddit_type":"public","title":"#);
        out.text(&topic.title(rng), Style::Utf8)
            .raw(r#","upvote_ratio":0.9,"url":"#)
            .text(&url, Style::Utf8)
            .raw("}\n");
    }
    out
}

fn transcript(at: usize, video: &str) -> Transcript {
    let rng = &mut Rng::new(0, Stream::Sample, 2_000_000 + at as u64);
    let mut start_ms = 480;
    let mut segments = Vec::new();
    for text in TOPICS[at % TOPICS.len()].spoken(rng) {
        let duration_ms = 1500 + rng.below(2500);
        segments.push(Segment { start_ms, duration_ms, text });
        start_ms += duration_ms;
    }
    Transcript { video: video.to_owned(), language: "en", generated: at.is_multiple_of(2), segments }
}

fn zst(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = compressor(Vec::new(), WINDOW_LOG).context("cannot compress the sample")?;
    encoder.write_all(content).context("cannot compress the sample")?;
    encoder.finish().context("cannot compress the sample")
}

fn gz(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::GzBuilder::new().write(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).context("cannot compress the sample")?;
    encoder.finish().context("cannot compress the sample")
}

#[cfg(test)]
mod tests;
