//! Made-up data in the real formats: for trying a job without data of one's own, for tests, and for measuring.
//!
//! # A month of Reddit
//!
//! [`reddit`] writes, deterministically by seed,
//!
//! ```text
//! OUT/reddit/RC_2026-01.zst              comments, 44 fields and about 1 KB each, `created_utc` ascending over 30 days
//! OUT/reddit/RS_2026-01.zst              submissions, 5 % as many, 72 fields and about 1.8 KB each
//! OUT/transcripts/ID.json, ID.en.vtt     transcripts of up to 2,000 of the 20,000 videos
//! OUT/changes/RC_2026-01_changes.zst     what a second reading found 36 hours after each comment
//! OUT/changes/batches/0001.ndjson, …     the same lines as plain files of so many lines each, if asked for
//! ```
//!
//! Subreddits (5,000), authors (200,000), videos (20,000) and words (50,000) follow Zipf's law; lengths are about
//! log-normal, scores about Pareto. Two comments in a hundred and one submission in seven link videos, in twenty forms.
//! One body in five or so holds something outside ASCII, and two in five of these lines are written in ASCII with
//! `\uXXXX`, as older dumps are.
//!
//! **Changes.** One comment in ten changes after it was first read: it is edited, or deleted or removed, or restored;
//! and one in a hundred is new. A changed comment keeps its `id` and carries a later `retrieved_on`. The file is
//! ordered by `retrieved_on`, so that the last line of an id is also its newest. It lies outside `reddit/` so that
//! `reddit/RC_*` is the first reading alone; to bring the changes in, move or link the file there and run the job
//! again:
//!
//! ```text
//! catchment generate reddit --records 100000 --seed 7 --out month
//! catchment run pulse.sql --until idle --set reddit=month/reddit --set transcripts=month/transcripts
//! ln month/changes/RC_2026-01_changes.zst month/reddit/
//! catchment run pulse.sql --until idle --set reddit=month/reddit --set transcripts=month/transcripts
//! ```
//!
//! # The sample
//!
//! [`sample`] writes the small sample that ships with the project, `examples/data`.

pub use files::Written;
pub use reddit::{RedditOptions, Summary, reddit};
pub use sample::sample;
pub use words::STOP_WORDS;

mod reddit;
mod sample;

mod comment;
mod submission;
mod transcripts;

mod links;
mod words;
mod world;

mod files;
mod json;
mod rng;

#[cfg(test)]
mod tests;
