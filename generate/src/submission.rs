//! Submissions and their lines in a dump.
//!
//! Half are texts, the others link a picture or a page; one in seven links videos, in its address, its title or its
//! text.

use super::comment::FIRST_SUBMISSION_ID;
use super::json::{Json, Style, base_36};
use super::world::World;

/// A submission.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    id: u64,
    created: u64,
    retrieved: u64,
    subreddit: usize,
    author: usize,
    score: i64,
    comments: u64,
    title: String,
    selftext: String,
    url: String,
    domain: String,
    is_self: bool,
    over_18: bool,
    /// Whether title, text or address hold video links.
    pub(crate) linked: bool,
    ascii: bool,
}

/// Submission `index` of `count`.
pub(crate) fn submission(world: &World, index: u64, count: u64) -> Submission {
    let (mut rng, subreddit) = world.submission(index);
    let rng = &mut rng;
    let created = world.created(rng, index, count);
    let id = FIRST_SUBMISSION_ID + index * 3;
    let mut submission = Submission {
        id,
        created,
        retrieved: created + 3 + rng.below(60),
        subreddit,
        author: world.draw_author(rng),
        score: (world.shapes.pareto(rng, 111, 5) + 1).clamp(0, 150_000),
        comments: rng.below(500),
        title: String::new(),
        selftext: String::new(),
        url: String::new(),
        domain: String::new(),
        is_self: rng.chance(500),
        over_18: rng.chance(50),
        linked: false,
        ascii: rng.chance(400),
    };
    world.text.write_about(rng, &world.shapes, [50, 10, 200], &mut submission.title);
    if submission.is_self {
        world.text.write_about(rng, &world.shapes, [250, 20, 1500], &mut submission.selftext);
        submission.url = format!("https://www.reddit.com{}", submission.permalink(world));
        submission.domain = format!("self.{}", world.subreddit(subreddit));
    } else {
        submission.url = format!("https://i.redd.it/{}.jpg", base_36(rng.bits() >> 3));
        submission.domain = "i.redd.it".to_owned();
    }
    if rng.chance(150) {
        link(world, rng, &mut submission);
    }
    submission
}

/// Half of the submissions that link videos do it by their address, the others mostly in their text.
fn link(world: &World, rng: &mut super::rng::Rng, submission: &mut Submission) {
    submission.linked = true;
    let mut links = world.links.some(rng, world);
    if rng.chance(500) {
        submission.url = world.links.address(rng, world);
        submission.domain = if submission.url.contains("youtu.be") { "youtu.be" } else { "youtube.com" }.to_owned();
        submission.is_self = false;
        submission.selftext.clear();
        links.truncate(usize::from(rng.chance(200)));
    }
    if rng.chance(100)
        && let Some(link) = links.pop()
    {
        submission.title.push(' ');
        submission.title.push_str(&link);
    }
    for link in links {
        if !submission.selftext.is_empty() {
            submission.selftext.push_str("\n\n");
        }
        submission.selftext.push_str(&link);
    }
}

impl Submission {
    fn permalink(&self, world: &World) -> String {
        format!("/r/{}/comments/{}/_/", world.subreddit(self.subreddit), base_36(self.id))
    }

    /// Appends the submission's line: 72 fields in alphabetical order, and a line feed.
    pub(crate) fn write(&self, world: &World, out: &mut Vec<u8>) {
        let ascii = self.title.is_ascii() && self.selftext.is_ascii();
        let style = if self.ascii && !ascii { Style::Ascii } else { Style::Utf8 };
        self.write_author(world, out);
        out.raw(r#","created_utc":"#).int(self.created as i64).raw(r#","distinguished":null,"domain":"#);
        out.text(&self.domain, style).raw(r#","edited":false,"gilded":0,"gildings":{},"hidden":false,"id":""#);
        out.base_36(self.id).raw(
            r#"","is_created_from_ads_ui":false,"is_crosspostable":true,"is_meta":false,"is_original_content":false"#,
        );
        out.raw(r#","is_reddit_media_domain":"#).bool(self.domain == "i.redd.it");
        out.raw(r#","is_robot_indexable":true,"is_self":"#).bool(self.is_self);
        out.raw(
            r#","is_video":false,"link_flair_background_color":"","link_flair_richtext":[],"link_flair_text":null"#,
        );
        out.raw(r#","link_flair_text_color":"dark","link_flair_type":"text","locked":false,"media":null"#);
        out.raw(r#","media_embed":{},"media_only":false,"name":"t3_"#).base_36(self.id);
        out.raw(r#"","no_follow":false,"num_comments":"#).int(self.comments as i64);
        out.raw(r#","num_crossposts":0,"over_18":"#).bool(self.over_18);
        out.raw(r#","permalink":"#).text(&self.permalink(world), style);
        out.raw(r#","pinned":false,"pwls":6,"quarantine":false,"retrieved_on":"#).int(self.retrieved as i64);
        out.raw(r#","score":"#).int(self.score).raw(r#","selftext":"#).text(&self.selftext, style);
        self.write_place(world, style, out);
        out.push(b'\n');
    }

    fn write_author(&self, world: &World, out: &mut Vec<u8>) {
        let author = world.author(self.author);
        out.raw(r#"{"all_awardings":[],"allow_live_comments":false,"archived":false,"author":""#).raw(author);
        out.raw(r#"","author_flair_background_color":null,"author_flair_css_class":null,"author_flair_richtext":[]"#);
        out.raw(r#","author_flair_template_id":null,"author_flair_text":null,"author_flair_text_color":null"#);
        out.raw(r#","author_flair_type":"text","author_fullname":"#);
        if author == "[deleted]" {
            out.raw("null");
        } else {
            out.raw(r#""t2_"#).base_36(46_656 + self.author as u64).raw("\"");
        }
        out.raw(r#","author_patreon_flair":false,"author_premium":false,"awarders":[],"can_mod_post":false"#);
        out.raw(r#","category":null,"contest_mode":false"#);
    }

    fn write_place(&self, world: &World, style: Style, out: &mut Vec<u8>) {
        let subreddit = world.subreddit(self.subreddit);
        out.raw(r#","send_replies":true,"spoiler":false,"stickied":false,"subreddit":""#).raw(subreddit);
        out.raw(r#"","subreddit_id":"t5_"#).base_36(1_679_616 + self.subreddit as u64);
        out.raw(r#"","subreddit_name_prefixed":"r/"#).raw(subreddit).raw(r#"","subreddit_subscribers":"#);
        out.int(2_000_000 / (1 + self.subreddit as i64) + 150)
            .raw(r#","subreddit_type":"public","suggested_sort":null"#);
        out.raw(r#","thumbnail":""#).raw(if self.is_self { "self" } else { "default" });
        out.raw(r#"","title":"#).text(&self.title, style);
        out.raw(r#","total_awards_received":0,"treatment_tags":[],"upvote_ratio":0."#).int(51 + self.score % 48);
        out.raw(r#","url":"#).text(&self.url, style).raw(r#","whitelist_status":"all_ads","wls":6}"#);
    }
}
