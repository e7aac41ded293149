//! Milliseconds or seconds? What names of fields do not tell, the document does.
//!
//! Clock times are seconds. All other starts and ends of a document have one unit and all durations one, and the first of
//! these tells it:
//! 1. how far apart starts are, or how long segments last, in the middle of all: captions are shown for some seconds, so
//!    below 30 it is seconds, from 1000 on milliseconds; of two segments alone the durations tell, as one pause may be long;
//! 2. fractions: seconds;
//! 3. how much text comes in that time: people speak some 15 characters a second, and never 60; but where there are starts
//!    alone, as of chapters, it is the name that tells;
//! 4. a unit in the name of the other field;
//! 5. the name: `offset` is in milliseconds, everything else in seconds.

use super::fields::{START, Time, Unit};
use super::segments::Raw;

/// Captions last less than this in seconds, and hardly one less than the other in milliseconds.
const SURELY_SECONDS: f64 = 30.0;
const SURELY_MILLIS: f64 = 1000.0;

/// How fast people speak, within a factor of three either way.
const CHARACTERS_PER_SECOND: f64 = 15.0;

/// How fast nobody speaks. How slowly, there is no telling.
const CHARACTERS_PER_SECOND_MAX: f64 = 60.0;

/// The units of starts and ends, and of durations, where their names do not tell.
pub(super) fn units(raws: &[Raw]) -> (Unit, Unit) {
    let unknown = |time: Option<Time>| time.filter(|time| time.unit.is_none()).map(|time| time.value);
    let durations: Vec<f64> =
        raws.iter().filter_map(|raw| unknown(raw.duration)).filter(|value| *value > 0.0).collect();
    let lengths =
        raws.iter().filter_map(|raw| Some(unknown(raw.end)? - unknown(raw.start)?)).filter(|value| *value > 0.0);
    let starts: Vec<f64> = raws.iter().filter_map(|raw| unknown(raw.start)).collect();
    let gaps = starts.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0);
    let apart: Vec<f64> = if raws.iter().any(|raw| raw.end.is_some()) { lengths.collect() } else { gaps.collect() };
    let has_fraction = |values: &[f64]| values.iter().any(|value| value.fract() != 0.0);
    let characters = raws.iter().map(|raw| raw.text.chars().count()).sum::<usize>() as f64;
    let by_size = |values: &[f64]| unit_of(values, has_fraction(values), characters / raws.len().max(1) as f64);
    let is_offset = raws.iter().any(|raw| START.get(raw.rank).is_some_and(|name| name.starts_with("offset")));
    let by_name = if is_offset && !has_fraction(&starts) { Unit::Millis } else { Unit::Seconds };
    let (of_starts, of_durations) = (by_size(&apart), by_size(&durations));
    let is_alone = durations.is_empty() && raws.iter().all(|raw| raw.end.is_none());
    let of_starts = of_starts.filter(|_| !is_alone || is_offset || !is_between(&apart));
    // A name with a unit tells that of its neighbour without one.
    let named = |time: fn(&Raw) -> Option<Time>| raws.iter().find_map(|raw| time(raw)?.unit);
    let starts = if apart.len() > 1 { of_starts.or(of_durations) } else { of_durations.or(of_starts) };
    let starts = starts.or_else(|| named(|raw| raw.duration)).unwrap_or(by_name);
    (starts, of_durations.or(named(|raw| raw.start)).unwrap_or(starts))
}

/// Whether the middle one of these times could be seconds or milliseconds.
fn is_between(values: &[f64]) -> bool {
    middle(values).is_some_and(|middle| (SURELY_SECONDS..SURELY_MILLIS).contains(&middle))
}

fn middle(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

/// The unit of times of which the middle one belongs to `characters` characters.
fn unit_of(values: &[f64], has_fraction: bool, characters: f64) -> Option<Unit> {
    let middle = middle(values)?;
    if middle < SURELY_SECONDS || (has_fraction && middle < SURELY_MILLIS) {
        return Some(Unit::Seconds);
    }
    if middle >= SURELY_MILLIS {
        return Some(Unit::Millis);
    }
    if characters / (middle / 1000.0) > CHARACTERS_PER_SECOND_MAX {
        return Some(Unit::Seconds);
    }
    let off = |seconds: f64| (characters / seconds / CHARACTERS_PER_SECOND).ln().abs();
    Some(if off(middle) <= off(middle / 1000.0) { Unit::Seconds } else { Unit::Millis })
}
