//! The main job: it checks, shares what can be shared, reads only what it needs, and gives the right rows.

use std::sync::Arc;

use catchment_sql::graph::Op;
use catchment_sql::{Format, Job, check, explain};
use datafusion::common::ScalarValue;

use crate::common;
use crate::common::history::{Arrival, EpochInput, Ran, null_of, run};

const PULSE: &str = include_str!("../../../../examples/pulse.sql");

fn pulse() -> Job {
    check(PULSE, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()))
}

#[test]
fn views_and_sinks_are_what_the_file_says() {
    let text = pulse().describe();
    for line in [
        "source transcripts: reads 2 of 7 columns: video_id, language_code",
        "view activity_hourly (subreddit, hour, comments, score, authors): key (subreddit, hour), can retract",
        "view video_buzz (video_id, mentions, score, subreddits, last_mention): key (video_id), can retract",
        "view alerts (subreddit, hour, comments, usual, spread, deviations, hours): key (subreddit, hour), can retract",
        "view trending_terms (subreddit, day, rank, term, uses): key (subreddit, day, term), can retract",
    ] {
        assert!(text.lines().any(|known| known == line), "{line}\n{text}");
    }
    let outputs: Vec<String> = pulse().outputs().map(str::to_string).collect();
    let relations =
        ["comment_rows", "activity_hourly", "mentions", "video_buzz", "trending_terms", "alerts", "rejects"];
    assert_eq!(outputs, relations);
}

#[test]
fn each_stage_is_built_once_and_stop_words_are_a_set() {
    let job = pulse();
    let count = |wanted: fn(&Op) -> bool| job.graph.nodes.iter().filter(|node| wanted(&node.op)).count();
    assert_eq!(count(|op| matches!(op, Op::Source(_))), 3);
    assert_eq!(count(|op| matches!(op, Op::Union)), 1, "mentions is shared by its sink and video_buzz");
    assert_eq!(count(|op| matches!(op, Op::Join(_))), 1);
    assert_eq!(count(|op| matches!(op, Op::Constant(_))), 0, "the stop words are a set inside a transform");
    assert_eq!(count(|op| matches!(op, Op::TopGroups(_))), 1, "{}", explain(&job, None, Format::Text).expect("text"));
    assert_eq!(count(|op| matches!(op, Op::Aggregate(_))), 2);
    assert_eq!(count(|op| matches!(op, Op::Window(_))), 1, "one state for all three figures of an hour");
    let text = explain(&job, Some("alerts"), Format::Text).expect("a view");
    assert!(text.contains("of each (subreddit) by hour, from 168 h before to 1 h before"), "{text}");
    let text = explain(&job, Some("trending_terms"), Format::Text).expect("a view");
    assert!(text.contains("encoded words(body)") && text.contains("not in a set of 50 rows"), "{text}");
    let (_, operators) = text.split_once("\ndataflow\n").expect("operators follow the plans");
    assert!(!operators.contains("Join"), "{text}");
    let drawn = explain(&job, None, Format::Mermaid).expect("a chart");
    assert!(drawn.starts_with("flowchart LR\n") && drawn.contains("Join: mentions ⋉ transcripts"), "{drawn}");
    let error = explain(&job, Some("trending_term"), Format::Text).expect_err("no such view").chain();
    assert_eq!(error, "the job has no relation \"trending_term\"; did you mean \"trending_terms\"?");
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8View(Some(value.to_string()))
}

fn number(value: i64) -> ScalarValue {
    ScalarValue::Int64(Some(value))
}

/// A comment of 2026-01-01, `minute` minutes after midnight.
fn comment(id: &str, minute: i64, score: i64, body: &str, payload: u64) -> Arrival {
    let at = ScalarValue::TimestampMicrosecond(Some(1_767_225_600_000_000 + minute * 60_000_000), Some("UTC".into()));
    let edited = null_of(&common::instant());
    let row =
        vec![text(id), text("rust"), text("ann"), at, number(score), edited, text(body), text("t3_x"), text("t3_x")];
    Arrival { row, version: None, tombstone: false, diff: 1, payload }
}

fn segment(video: &str, payload: u64) -> Arrival {
    let float = ScalarValue::Float64(Some(0.5));
    let row =
        vec![text(video), text("en"), ScalarValue::Boolean(Some(false)), number(0), float.clone(), float, text("hi")];
    Arrival { row, version: None, tombstone: false, diff: 1, payload }
}

fn ran(workers: usize) -> Ran {
    let video = "https://youtu.be/dQw4w9WgXcQ";
    let first = vec![
        comment("a", 1, 3, &format!("The fox saw {video} and {video}"), 1),
        comment("b", 61, 4, "fox and hound", 2),
    ];
    let mut deleted = comment("b", 61, 4, "", 4);
    deleted.tombstone = true;
    let history = vec![
        EpochInput::from([("comments".to_string(), first)]),
        EpochInput::from([("transcripts".to_string(), vec![segment("dQw4w9WgXcQ", 3)])]),
        EpochInput::from([("comments".to_string(), vec![deleted, comment("a", 1, 9, "edited: fox", 5)])]),
    ];
    run(Arc::new(pulse()), history, workers, 11)
}

#[test]
fn its_tables_follow_edits_and_deletions() {
    for workers in [1, 2] {
        let ran = ran(workers);
        let rows = |name: &str, epoch| ran.at(name, epoch).into_keys().collect::<Vec<String>>();
        assert_eq!(
            rows("activity_hourly", 1),
            ["rust | 2026-01-01T00:00:00Z | 1 | 3 | 1", "rust | 2026-01-01T01:00:00Z | 1 | 4 | 1"]
        );
        assert_eq!(rows("activity_hourly", 3), ["rust | 2026-01-01T00:00:00Z | 1 | 9 | 1"]);
        assert_eq!(rows("mentions", 1), ["comment | a | rust | 3 | 2026-01-01T00:01:00Z | dQw4w9WgXcQ"]);
        assert_eq!(rows("video_buzz", 1), Vec::<String>::new());
        assert_eq!(rows("video_buzz", 2), ["dQw4w9WgXcQ | 1 | 3 | 1 | 2026-01-01T00:01:00Z"]);
        assert_eq!(rows("video_buzz", 3), Vec::<String>::new());
        let terms = rows("trending_terms", 1);
        assert_eq!(terms.len(), 7, "fox, hound, saw, and the words of the link twice: {terms:?}");
        assert!(terms.contains(&"rust | 2026-01-01 | 1 | dqw | 2".to_string()), "{terms:?}");
        assert_eq!(
            rows("trending_terms", 3),
            ["rust | 2026-01-01 | 1 | edited | 1", "rust | 2026-01-01 | 2 | fox | 1"]
        );
        assert_eq!(rows("comment_rows", 3).len(), 1);
        assert_eq!(rows("rejects", 3), Vec::<String>::new());
    }
}

/// An hour stands out against the days before it, and no longer once its comments are gone; the hours before it count.
#[test]
fn alerts_compare_an_hour_with_its_trailing_week() {
    let mut comments: Vec<Arrival> = Vec::new();
    let mut write = |hour: i64, number: usize| {
        for _ in 0..number {
            let id = comments.len() + 1;
            comments.push(comment(&format!("c{id}"), hour * 60, 1, "text", id as u64));
        }
    };
    // One comment and three by turns: usual is 2, its deviation 1. The first burst has too few hours before it.
    (0..40).for_each(|hour| write(hour, 1 + 2 * (hour as usize % 2)));
    write(20, 30);
    write(41, 12);
    write(42, 9);
    let retracted = comments.iter().rev().skip(9).take(4).enumerate().map(|(at, arrival)| {
        let payload = 1_000 + at as u64;
        Arrival { tombstone: true, payload, ..arrival.clone() }
    });
    let epochs = [comments.clone(), retracted.collect()];
    let history = epochs.map(|comments| EpochInput::from([("comments".to_string(), comments)]));
    for workers in [1, 2] {
        let ran = run(Arc::new(pulse()), history.to_vec(), workers, 3);
        let rows = |epoch| ran.at("alerts", epoch).into_keys().collect::<Vec<String>>();
        // Of 40 hours: 19 times 1, once 31, 20 times 3; half lie at their median, half at a distance of 2.
        assert_eq!(
            rows(1),
            ["rust | 2026-01-02T17:00:00Z | 12 | 3.0 | 1.4826 | 6.070416835289357 | 40"],
            "{workers} workers"
        );
        assert_eq!(rows(2), Vec::<String>::new(), "eight comments are within six deviations");
    }
}
