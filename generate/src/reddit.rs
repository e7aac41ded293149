//! `catchment generate reddit`: a month of comments and submissions, transcripts, and what changed later.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Serialize;

use super::comment::{self, Change, Comment};
use super::files::{Batches, Dump, Written, make_folder, refuse_existing, write};
use super::rng::{Rng, Stream};
use super::submission::submission;
use super::transcripts::transcript;
use super::world::{VIDEOS, World};

/// What to generate.
#[derive(Clone, Debug)]
pub struct RedditOptions {
    /// Comments in the first dump: 1 to 10^10.
    pub records: u64,
    /// The same seed and options give the same bytes, on every platform.
    pub seed: u64,
    /// Where the folders `reddit`, `transcripts` and `changes` are made; none of them may exist.
    pub out: PathBuf,
    /// Log 2 of the compressed dumps' window in bytes: 10 to 31. Real dumps have 31, which decoders refuse by default
    /// and which takes up to 2 GiB of memory on both sides; 27 is the most that every decoder accepts.
    pub window_log: u32,
    /// Also write the changes as plain files of so many lines each, below `changes/batches`.
    pub change_batch_lines: Option<u64>,
}

impl RedditOptions {
    /// `records` comments into `out`, with a window of 2^27 bytes and without batches.
    pub fn new(records: u64, seed: u64, out: impl Into<PathBuf>) -> Self {
        RedditOptions { records, seed, out: out.into(), window_log: 27, change_batch_lines: None }
    }

    fn check(&self) -> Result<()> {
        if !(1..=10_000_000_000).contains(&self.records) {
            bail!("cannot generate {} records; name a number from 1 to 10000000000", self.records);
        }
        if !(10..=31).contains(&self.window_log) {
            bail!("cannot compress with a window of 2^{} bytes; name a number from 10 to 31", self.window_log);
        }
        if self.change_batch_lines == Some(0) {
            bail!("cannot write batches of 0 lines; name a number from 1");
        }
        refuse_existing(&self.out, &["reddit", "transcripts", "changes"])
    }
}

/// What was generated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// Comments of the first dump.
    pub comments: u64,
    /// Comments of the first dump whose body links videos.
    pub comments_with_links: u64,
    /// Submissions.
    pub submissions: u64,
    /// Submissions that link videos in title, text or address.
    pub submissions_with_links: u64,
    /// Videos with a transcript, a file each.
    pub transcripts: u64,
    /// Comments of the first dump that have a later version. A few of them have two.
    pub comments_changed: u64,
    /// Later versions with another body.
    pub edits: u64,
    /// Later versions that are deleted or removed.
    pub deletions: u64,
    /// Later versions of comments that were gone at first.
    pub restorations: u64,
    /// Comments that only the later file has.
    pub new_comments: u64,
    /// Plain files of changes below `changes/batches`.
    pub batches: u64,
    /// The compressed files.
    pub files: Vec<Written>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { comments, submissions, transcripts, edits, deletions, restorations, new_comments, .. } = self;
        writeln!(f, "{comments} comments, {} of them with video links", self.comments_with_links)?;
        writeln!(f, "{submissions} submissions, {} of them with video links", self.submissions_with_links)?;
        writeln!(f, "{transcripts} transcripts")?;
        writeln!(
            f,
            "later: {edits} edits, {deletions} deletions and {restorations} restorations of {} comments, {new_comments} new comments",
            self.comments_changed
        )?;
        for Written { path, lines, raw_bytes, bytes } in &self.files {
            writeln!(f, "  {path}: {lines} lines, {} MB, {} MB compressed", megabytes(*raw_bytes), megabytes(*bytes))?;
        }
        if self.batches > 0 {
            writeln!(f, "  changes/batches: {} files", self.batches)?;
        }
        Ok(())
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{}", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// Generates a data set; see the [module](super).
///
/// Takes memory for the window (two files are open at once), about 30 MB for names and words, four bytes a submission,
/// and 32 bytes for each change of the 36 hours that separate the two readings.
///
/// # Errors
/// An option out of its range, a folder that exists, or a file that cannot be written; each names it.
pub fn reddit(options: &RedditOptions) -> Result<Summary> {
    options.check()?;
    for folder in ["reddit", "transcripts", "changes"] {
        make_folder(&options.out.join(folder))?;
    }
    let world = World::new(options.seed, comment::submissions(options.records));
    let mut summary = comments(&world, options)?;
    submissions(&world, options, &mut summary)?;
    transcripts(&world, options, &mut summary)?;
    Ok(summary)
}

/// The two files of comments, written side by side: what is due to change waits in [`Later`] until its time.
fn comments(world: &World, options: &RedditOptions) -> Result<Summary> {
    let count = options.records;
    let mut dump = Dump::create(&options.out, "reddit/RC_2026-01.zst", options.window_log)?;
    let mut later = Later::create(world, options)?;
    let mut comments_with_links = 0;
    for index in 0..count {
        let comment = comment::first(world, index, count);
        later.write_until(comment.created)?;
        comments_with_links += u64::from(comment.linked);
        dump.line(|out| comment.write(world, out))?;
        later.expect(index, &comment);
    }
    later.write_until(u64::MAX)?;
    let Later { dump: later_dump, batches, comments_changed, edits, deletions, restorations, new_comments, .. } = later;
    Ok(Summary {
        seed: options.seed,
        comments: count,
        comments_with_links,
        submissions: 0,
        submissions_with_links: 0,
        transcripts: 0,
        comments_changed,
        edits,
        deletions,
        restorations,
        new_comments,
        batches: batches.map_or(Ok(0), Batches::finish)?,
        files: vec![dump.finish()?, later_dump.finish()?],
    })
}

/// A later version that is not due yet, ordered by when it is read and then by its comment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    retrieved: u64,
    index: u64,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The comment's version of this number.
    Version(u8),
    /// The comment that the first reading missed.
    Late,
}

/// The second reading: the file of changes, in the order in which it read them.
///
/// Only the time and the number of a change are kept; its comment is drawn again when it is due.
struct Later<'w> {
    world: &'w World,
    count: u64,
    due: BinaryHeap<Reverse<Due>>,
    dump: Dump,
    batches: Option<Batches>,
    line: Vec<u8>,
    comments_changed: u64,
    edits: u64,
    deletions: u64,
    restorations: u64,
    new_comments: u64,
}

impl<'w> Later<'w> {
    fn create(world: &'w World, options: &RedditOptions) -> Result<Self> {
        let batches =
            options.change_batch_lines.map(|lines| Batches::create(options.out.join("changes/batches"), lines));
        Ok(Later {
            world,
            count: options.records,
            due: BinaryHeap::new(),
            dump: Dump::create(&options.out, "changes/RC_2026-01_changes.zst", options.window_log)?,
            batches: batches.transpose()?,
            line: Vec::new(),
            comments_changed: 0,
            edits: 0,
            deletions: 0,
            restorations: 0,
            new_comments: 0,
        })
    }

    /// Notes what the second reading will find about comment `index`.
    fn expect(&mut self, index: u64, comment: &Comment) {
        if comment::changes(self.world.seed, index) {
            self.comments_changed += 1;
            for (number, (_, version)) in comment::versions(self.world, index, comment).iter().enumerate() {
                let due = Due { retrieved: version.retrieved, index, what: What::Version(number as u8) };
                self.due.push(Reverse(due));
            }
        }
        if let Some(late) = comment::late(self.world, index, self.count) {
            self.due.push(Reverse(Due { retrieved: late.retrieved, index, what: What::Late }));
        }
    }

    /// Writes everything that was read before `time`.
    fn write_until(&mut self, time: u64) -> Result<()> {
        while let Some(Reverse(due)) = self.due.peek().copied()
            && due.retrieved < time
        {
            self.due.pop();
            if let Some(comment) = self.draw(due) {
                self.write(&comment)?;
            }
        }
        Ok(())
    }

    fn draw(&mut self, Due { index, what, .. }: Due) -> Option<Comment> {
        match what {
            What::Late => {
                self.new_comments += 1;
                comment::late(self.world, index, self.count)
            }
            What::Version(number) => {
                let base = comment::first(self.world, index, self.count);
                let (change, comment) = comment::versions(self.world, index, &base).into_iter().nth(number.into())?;
                match change {
                    Change::Edited => self.edits += 1,
                    Change::Gone => self.deletions += 1,
                    Change::Restored => self.restorations += 1,
                }
                Some(comment)
            }
        }
    }

    fn write(&mut self, comment: &Comment) -> Result<()> {
        self.line.clear();
        comment.write(self.world, &mut self.line);
        if let Some(batches) = &mut self.batches {
            batches.line(&self.line)?;
        }
        let line = &self.line;
        self.dump.line(|out| out.extend_from_slice(line))
    }
}

fn submissions(world: &World, options: &RedditOptions, summary: &mut Summary) -> Result<()> {
    let count = comment::submissions(options.records);
    let mut dump = Dump::create(&options.out, "reddit/RS_2026-01.zst", options.window_log)?;
    for index in 0..count {
        let submission = submission(world, index, count);
        summary.submissions_with_links += u64::from(submission.linked);
        dump.line(|out| submission.write(world, out))?;
    }
    summary.submissions = count;
    summary.files.push(dump.finish()?);
    Ok(())
}

/// One video in ten has a transcript, 2,000 of 20,000, half of them among the 2,000 most linked; fewer beside fewer
/// than 100,000 comments.
fn transcripts(world: &World, options: &RedditOptions, summary: &mut Summary) -> Result<()> {
    let count = (options.records / 50).clamp(20, VIDEOS as u64 / 10);
    let mut rng = Rng::new(world.seed, Stream::World, 2);
    let mut chosen = BTreeSet::new();
    while (chosen.len() as u64) < count {
        let popular = (chosen.len() as u64) < count / 2;
        chosen.insert(rng.below(if popular { 2_000.min(2 * count) } else { VIDEOS as u64 }) as usize);
    }
    for video in chosen {
        let (transcript, form) = transcript(world, video);
        let (name, content) = transcript.file(form);
        write(&options.out.join("transcripts").join(name), &content)?;
        summary.transcripts += 1;
    }
    Ok(())
}
