//! Comments: what one is, what becomes of it, and its line in a dump.
//!
//! Comment `index` of `count` is drawn from its own generator, so that it can be drawn again when its later version is
//! due. One comment in each block of ten changes after it was first read ([`versions`]), and one in a hundred was
//! missed by the first reading and is found later ([`late`]).

use super::json::{Json, Style};
use super::rng::{Rng, Stream};
use super::world::{DELETED, World};

/// The first comment's id; the ids between two comments belong to what a data set leaves out.
const FIRST_ID: u64 = 50_065_000_000;
const ID_STEP: u64 = 7;
/// Ids of submissions: those of the month, and those before it that comments still answer to.
pub(crate) const FIRST_SUBMISSION_ID: u64 = 3_750_000_000;
/// The second reading comes 36 hours after a record was made.
const SECOND_READING_SECONDS: u64 = 36 * 3600;
/// Median, least and greatest length of a body.
const BODY_BYTES: [u32; 3] = [128, 24, 460];

/// A version of a comment.
#[derive(Clone, Debug)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    pub(crate) created: u64,
    pub(crate) retrieved: u64,
    pub(crate) body: String,
    /// Whether `body` holds video links.
    pub(crate) linked: bool,
    subreddit: usize,
    author: usize,
    score: i64,
    controversial: bool,
    thread: u64,
    parent: Option<u64>,
    edited: Option<u64>,
    edited_as_float: bool,
    flair: Option<u64>,
    submitter: bool,
    /// This line is written in ASCII if anything in its body is not.
    ascii: bool,
}

/// What happened to a comment between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The author changed the body.
    Edited,
    /// The author deleted it, or a moderator removed it.
    Gone,
    /// It was gone at the first reading and is back.
    Restored,
}

/// Comment `index` of `count` as the first reading saw it.
pub(crate) fn first(world: &World, index: u64, count: u64) -> Comment {
    let mut rng = Rng::new(world.seed, Stream::Comment, index);
    let created = world.created(&mut rng, index, count);
    let mut comment = draw(world, &mut rng, created, index, count);
    comment.id = FIRST_ID + index * ID_STEP;
    comment.retrieved = created + 3 + rng.below(60);
    comment
}

/// The comment that the first reading missed after comment `index`, if one was: one in a hundred.
pub(crate) fn late(world: &World, index: u64, count: u64) -> Option<Comment> {
    if index % 100 != 50.min(count - 1) {
        return None;
    }
    let mut clock = Rng::new(world.seed, Stream::Comment, index);
    let mut rng = Rng::new(world.seed, Stream::Late, index);
    let created = world.created(&mut clock, index, count) + rng.below(7200);
    let mut comment = draw(world, &mut rng, created, index, count);
    comment.id = FIRST_ID + index * ID_STEP + 3;
    comment.retrieved = created + SECOND_READING_SECONDS + rng.below(3600);
    Some(comment)
}

/// Whether comment `index` has later versions: one in each block of ten.
pub(crate) fn changes(seed: u64, index: u64) -> bool {
    // The high bit keeps the blocks' generators apart from the comments'.
    Rng::new(seed, Stream::Change, (index / 10) | 1 << 63).below(10) == index % 10
}

/// The later versions of comment `index`, one or two, by ascending `retrieved`.
///
/// Of 1,000 comments that change, about 600 are edited, 370 go, and 30 are edited and then go; but a comment that was
/// gone at the first reading is restored.
pub(crate) fn versions(world: &World, index: u64, base: &Comment) -> Vec<(Change, Comment)> {
    let mut rng = Rng::new(world.seed, Stream::Change, index);
    let mut next = base.clone();
    next.retrieved = base.created + SECOND_READING_SECONDS + rng.below(3600);
    next.score += rng.below(44) as i64 - 3;
    if base.author == DELETED {
        restore(world, &mut rng, &mut next);
        return vec![(Change::Restored, next)];
    }
    match rng.below(1000) {
        0..600 => {
            edit(world, &mut rng, &mut next);
            vec![(Change::Edited, next)]
        }
        600..970 => {
            remove(&mut rng, &mut next);
            vec![(Change::Gone, next)]
        }
        _ => {
            edit(world, &mut rng, &mut next);
            let mut last = next.clone();
            last.retrieved += 1 + rng.below(7200);
            remove(&mut rng, &mut last);
            vec![(Change::Edited, next), (Change::Gone, last)]
        }
    }
}

fn edit(world: &World, rng: &mut Rng, comment: &mut Comment) {
    comment.edited = Some(comment.created + 60 + rng.below(SECOND_READING_SECONDS - 60));
    match rng.below(10) {
        // A correction: the body anew.
        0..3 => {
            comment.body.clear();
            comment.linked = false;
            world.text.write_about(rng, &world.shapes, BODY_BYTES, &mut comment.body);
        }
        _ => {
            comment.body.push_str("\n\nEdit: ");
            world.text.write_about(rng, &world.shapes, [60, 20, 200], &mut comment.body);
        }
    }
    if rng.chance(50) {
        link(world, rng, comment);
    }
}

fn remove(rng: &mut Rng, comment: &mut Comment) {
    comment.author = DELETED;
    comment.flair = None;
    comment.linked = false;
    comment.body.clear();
    comment.body.push_str(if rng.chance(700) { "[deleted]" } else { "[removed]" });
}

fn restore(world: &World, rng: &mut Rng, comment: &mut Comment) {
    while comment.author == DELETED {
        comment.author = world.draw_author(rng);
    }
    comment.body.clear();
    world.text.write_about(rng, &world.shapes, BODY_BYTES, &mut comment.body);
}

fn draw(world: &World, rng: &mut Rng, created: u64, index: u64, count: u64) -> Comment {
    let subreddit = world.draw_subreddit(rng);
    let author = world.draw_author(rng);
    let controversial = rng.chance(30);
    let mut comment = Comment {
        id: 0,
        created,
        retrieved: 0,
        body: String::with_capacity(256),
        linked: false,
        subreddit,
        author,
        score: score(world, rng),
        controversial,
        thread: thread(world, rng, subreddit, index, count),
        parent: rng.chance(500).then(|| earlier(rng, index)).flatten(),
        edited: rng.chance(30).then(|| created + 60 + rng.below(80_000)),
        edited_as_float: rng.chance(200),
        flair: rng.chance(200).then_some(author as u64 % 97),
        submitter: rng.chance(100),
        ascii: rng.chance(400),
    };
    if author == DELETED {
        remove(rng, &mut comment);
        return comment;
    }
    world.text.write_about(rng, &world.shapes, BODY_BYTES, &mut comment.body);
    if rng.chance(20) {
        link(world, rng, &mut comment);
    }
    comment
}

/// Puts links in front of the body or behind it.
fn link(world: &World, rng: &mut Rng, comment: &mut Comment) {
    comment.linked = true;
    let links = world.links.some(rng, world).join(if rng.chance(500) { " " } else { "\n\n" });
    if rng.chance(500) {
        comment.body.push(' ');
        comment.body.push_str(&links);
    } else {
        comment.body = format!("{links}\n{}", comment.body);
    }
}

/// Most comments score a few points, few score thousands, one in twelve is voted down.
fn score(world: &World, rng: &mut Rng) -> i64 {
    let down = if rng.chance(80) { 1 + rng.below(29) as i64 } else { 0 };
    (world.shapes.pareto(rng, 83, 2) + 1 - down).clamp(-500, 60_000)
}

/// The submission that a comment belongs to; one from before the month when its subreddit has none yet.
fn thread(world: &World, rng: &mut Rng, subreddit: usize, index: u64, count: u64) -> u64 {
    let progress = (u128::from(index) * u128::from(submissions(count)) / u128::from(count)) as u64 + 1;
    match world.thread(rng, subreddit, progress) {
        Some(submission) => FIRST_SUBMISSION_ID + submission * 3,
        None => FIRST_SUBMISSION_ID - 1 - subreddit as u64 * 100 - rng.below(100),
    }
}

/// Submissions beside `comments` comments: 5 %.
pub(crate) fn submissions(comments: u64) -> u64 {
    comments.div_ceil(20)
}

fn earlier(rng: &mut Rng, index: u64) -> Option<u64> {
    (index > 0).then(|| FIRST_ID + (index - 1 - rng.below(index.min(5_000))) * ID_STEP)
}

impl Comment {
    /// Appends the comment's line: 44 fields in alphabetical order, and a line feed.
    pub(crate) fn write(&self, world: &World, out: &mut Vec<u8>) {
        let style = if self.ascii && !self.body.is_ascii() { Style::Ascii } else { Style::Utf8 };
        self.write_author(world, out);
        out.raw(r#","body":"#).text(&self.body, style);
        out.raw(r#","can_gild":false,"collapsed":"#).bool(self.score < -4);
        out.raw(r#","collapsed_because_crowd_control":null,"collapsed_reason":null,"controversiality":"#);
        out.int(i64::from(self.controversial)).raw(r#","created_utc":"#).int(self.created as i64);
        out.raw(r#","distinguished":null,"edited":"#);
        match self.edited {
            None => out.raw("false"),
            Some(at) => out.int(at as i64).raw(if self.edited_as_float { ".0" } else { "" }),
        };
        out.raw(r#","gilded":0,"gildings":{},"id":""#).base_36(self.id);
        out.raw(r#"","is_submitter":"#).bool(self.submitter);
        self.write_place(world, out);
        out.raw(r#","total_awards_received":0,"treatment_tags":[]}"#);
        out.push(b'\n');
    }

    fn write_author(&self, world: &World, out: &mut Vec<u8>) {
        out.raw(r#"{"all_awardings":[],"archived":false,"associated_award":null,"author":""#);
        out.raw(world.author(self.author)).raw(r#"","author_flair_background_color":"#);
        out.raw(if self.flair.is_some() { r#""""# } else { "null" });
        out.raw(r#","author_flair_css_class":null,"author_flair_richtext":[],"author_flair_template_id":null"#);
        match self.flair {
            Some(flair) => out
                .raw(r#","author_flair_text":"Member of team "#)
                .int(flair as i64)
                .raw(r#"","author_flair_text_color":"dark""#),
            None => out.raw(r#","author_flair_text":null,"author_flair_text_color":null"#),
        };
        out.raw(r#","author_flair_type":"text","author_fullname":"#);
        if self.author == DELETED {
            out.raw("null");
        } else {
            out.raw(r#""t2_"#).base_36(46_656 + self.author as u64).raw("\"");
        }
        out.raw(r#","author_patreon_flair":false,"author_premium":"#).bool(self.author % 50 == 7);
    }

    fn write_place(&self, world: &World, out: &mut Vec<u8>) {
        let subreddit = world.subreddit(self.subreddit);
        out.raw(r#","link_id":"t3_"#).base_36(self.thread);
        out.raw(r#"","locked":false,"name":"t1_"#).base_36(self.id).raw(r#"","no_follow":true,"parent_id":""#);
        match self.parent {
            Some(comment) => out.raw("t1_").base_36(comment),
            None => out.raw("t3_").base_36(self.thread),
        };
        out.raw(r#"","permalink":"/r/"#).raw(subreddit).raw("/comments/").base_36(self.thread).raw("/_/");
        out.base_36(self.id).raw(r#"/","retrieved_on":"#).int(self.retrieved as i64);
        out.raw(r#","score":"#).int(self.score).raw(r#","score_hidden":false,"send_replies":true,"stickied":false"#);
        out.raw(r#","subreddit":""#).raw(subreddit).raw(r#"","subreddit_id":"t5_"#);
        out.base_36(1_679_616 + self.subreddit as u64).raw(r#"","subreddit_name_prefixed":"r/"#).raw(subreddit);
        out.raw(r#"","subreddit_type":"public""#);
    }
}
