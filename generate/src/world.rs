//! What all records of a data set share: subreddits, authors, videos, submissions' places, and the clock.

use std::collections::HashSet;

use super::json::base_36;
use super::links::{Links, token};
use super::rng::{Rng, Shapes, Stream, Weighted};
use super::words::{Text, capital, word};

/// 2026-01-01T00:00:00Z in seconds.
pub(crate) const START: u64 = 1_767_225_600;
/// Days that a data set covers.
const DAYS: u64 = 30;
/// Subreddits, the most popular first.
const SUBREDDITS: usize = 5_000;
/// Authors, the most active first.
const AUTHORS: usize = 200_000;
/// Videos, the most linked first.
pub(crate) const VIDEOS: usize = 20_000;
/// The author index of whoever deleted the account or the text.
pub(crate) const DELETED: usize = 1;

/// How busy each hour of a UTC day is, the fourth hour of the night being the quietest.
const HOURS: [u64; 24] =
    [58, 52, 44, 38, 34, 31, 30, 32, 37, 43, 50, 57, 64, 71, 78, 84, 88, 90, 91, 90, 86, 80, 73, 65];

/// See the module.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) text: Text,
    pub(crate) shapes: Shapes,
    pub(crate) links: Links,
    subreddits: Vec<String>,
    authors: Vec<String>,
    videos: Vec<String>,
    subreddit_frequency: Weighted,
    author_frequency: Weighted,
    /// The hours' sums of weights: hour `h` of the month holds `rhythm[h]..rhythm[h + 1]`.
    rhythm: Vec<u64>,
    /// Submissions of each subreddit in order: those of `s` are `threads[starts[s]..starts[s + 1]]`.
    threads: Vec<u32>,
    starts: Vec<u32>,
}

impl World {
    /// The world of `seed` with `submissions` submissions, below 2^32.
    pub(crate) fn new(seed: u64, submissions: u64) -> Self {
        let mut rng = Rng::new(seed, Stream::World, 1);
        let subreddit_frequency = Weighted::zipf(SUBREDDITS, false);
        let (threads, starts) = threads(seed, submissions, &subreddit_frequency);
        World {
            seed,
            text: Text::new(seed),
            shapes: Shapes::new(),
            links: Links::new(VIDEOS),
            subreddits: subreddits(&mut rng),
            authors: authors(&mut rng),
            videos: distinct(VIDEOS, || token(&mut rng, 11)),
            subreddit_frequency,
            author_frequency: Weighted::zipf(AUTHORS, true),
            rhythm: rhythm(),
            threads,
            starts,
        }
    }

    /// An author's name.
    pub(crate) fn author(&self, index: usize) -> &str {
        &self.authors[index]
    }

    /// A subreddit's name.
    pub(crate) fn subreddit(&self, index: usize) -> &str {
        &self.subreddits[index]
    }

    /// A video's id.
    pub(crate) fn video(&self, index: usize) -> &str {
        &self.videos[index]
    }

    pub(crate) fn draw_author(&self, rng: &mut Rng) -> usize {
        self.author_frequency.draw(rng)
    }

    pub(crate) fn draw_subreddit(&self, rng: &mut Rng) -> usize {
        self.subreddit_frequency.draw(rng)
    }

    /// When record `index` of `count` was made: ascending in `index`, denser in busy hours.
    pub(crate) fn created(&self, rng: &mut Rng, index: u64, count: u64) -> u64 {
        let total = u128::from(self.rhythm[self.rhythm.len() - 1]);
        // The record's own slice of the month, in 2^32nds of a unit of weight, and a place inside it.
        let place = (u128::from(index) << 32) + u128::from(rng.below(1 << 32));
        let weight_2_32 = place * total / u128::from(count.max(1));
        let weight = (weight_2_32 >> 32) as u64;
        let hour = self.rhythm.partition_point(|&before| before <= weight) - 1;
        let inside = weight_2_32 - (u128::from(self.rhythm[hour]) << 32);
        let width = u128::from(self.rhythm[hour + 1] - self.rhythm[hour]) << 32;
        START + hour as u64 * 3600 + (inside * 3600 / width) as u64
    }

    /// A submission of `subreddit` that a comment may answer to, when `progress` of all submissions exist: one of the
    /// 50 latest, or `None` when the subreddit has none yet.
    pub(crate) fn thread(&self, rng: &mut Rng, subreddit: usize, progress: u64) -> Option<u64> {
        let all = &self.threads[self.starts[subreddit] as usize..self.starts[subreddit + 1] as usize];
        let born = all.partition_point(|&submission| u64::from(submission) < progress);
        let recent = &all[born.saturating_sub(50)..born];
        (!recent.is_empty()).then(|| u64::from(rng.pick(recent)))
    }
}

/// The subreddit that submission `index` belongs to: the first draw of its generator.
pub(crate) fn submission_rng(seed: u64, index: u64, frequency: &Weighted) -> (Rng, usize) {
    let mut rng = Rng::new(seed, Stream::Submission, index);
    let subreddit = frequency.draw(&mut rng);
    (rng, subreddit)
}

impl World {
    /// Submission `index`'s generator after its first draw, and its subreddit.
    pub(crate) fn submission(&self, index: u64) -> (Rng, usize) {
        submission_rng(self.seed, index, &self.subreddit_frequency)
    }
}

fn threads(seed: u64, submissions: u64, frequency: &Weighted) -> (Vec<u32>, Vec<u32>) {
    let of: Vec<usize> = (0..submissions).map(|index| submission_rng(seed, index, frequency).1).collect();
    let mut starts = vec![0u32; SUBREDDITS + 1];
    for &subreddit in &of {
        starts[subreddit + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut next = starts.clone();
    let mut threads = vec![0u32; of.len()];
    for (submission, &subreddit) in of.iter().enumerate() {
        threads[next[subreddit] as usize] = submission as u32;
        next[subreddit] += 1;
    }
    (threads, starts)
}

fn distinct(count: usize, mut make: impl FnMut() -> String) -> Vec<String> {
    let mut seen = HashSet::with_capacity(count);
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let name = make();
        if seen.insert(name.clone()) {
            all.push(name);
        }
    }
    all
}

fn subreddits(rng: &mut Rng) -> Vec<String> {
    distinct(SUBREDDITS, || {
        let tail = 1 + rng.below(2);
        let name = capital(word(rng, 1)) + &capital(word(rng, tail));
        match rng.below(10) {
            0 => format!("Ask{name}"),
            1 => name.to_lowercase(),
            2 => format!("{name}_{}", 10 + rng.below(90)),
            _ => name,
        }
    })
}

fn authors(rng: &mut Rng) -> Vec<String> {
    let mut all = Vec::with_capacity(AUTHORS);
    all.push("AutoModerator".to_owned());
    all.push("[deleted]".to_owned());
    for index in all.len()..AUTHORS {
        let separator = rng.pick(&["-", "_", ""]);
        // The index in the name keeps the names apart.
        all.push(format!("{}{separator}{}", capital(word(rng, 2)), base_36(46_656 + index as u64 * 7)));
    }
    all
}

fn rhythm() -> Vec<u64> {
    let mut sums = vec![0];
    let mut sum = 0;
    for day in 0..DAYS {
        // 2026-01-01 is a Thursday; weekends see an eighth more.
        let weekend = matches!(day % 7, 2 | 3);
        for hour in HOURS {
            sum += hour * if weekend { 9 } else { 8 };
            sums.push(sum);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_ascends_within_the_month_and_follows_the_day() {
        let world = World::new(3, 10);
        let mut rng = Rng::new(3, Stream::Sample, 0);
        let times: Vec<u64> = (0..50_000).map(|index| world.created(&mut rng, index, 50_000)).collect();
        assert!(times.is_sorted());
        assert!(times[0] >= START && times[times.len() - 1] < START + DAYS * 86_400);
        let at = |hour| times.iter().filter(|&&time| (time - START) / 3600 % 24 == hour).count();
        assert!(at(18) > 2 * at(6), "{} comments at 18 h, {} at 6 h", at(18), at(6));
    }

    #[test]
    fn threads_belong_to_their_subreddit_and_exist_already() {
        let world = World::new(3, 500);
        let mut rng = Rng::new(3, Stream::Sample, 1);
        let mut found = 0;
        for _ in 0..1000 {
            let subreddit = world.draw_subreddit(&mut rng);
            if let Some(submission) = world.thread(&mut rng, subreddit, 250) {
                found += 1;
                assert!(submission < 250);
                assert_eq!(world.submission(submission).1, subreddit);
            }
        }
        assert!(found > 300, "{found} comments found a thread");
    }
}
