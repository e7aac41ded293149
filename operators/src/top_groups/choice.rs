//! Choosing the first groups of a partition.

use std::cmp::Ordering;

use super::counts::Counts;
use super::plan::{Plan, Scores, Values};
use crate::key_table::KeyTable;
use crate::lanes::Lane;

/// A group that is among the first, with its aggregates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// The number of its other keys.
    pub group: u32,
    /// Its aggregates.
    pub values: Values,
}

/// What a partition shows, packed: groups in order, and all their aggregates in one lane.
#[derive(Default)]
pub(super) struct Shown {
    groups: Box<[u32]>,
    values: Lane,
}

impl Shown {
    pub(super) fn pack(chosen: &[Chosen]) -> Self {
        let mut values = Lane::default();
        values.resize(chosen.iter().map(|one| one.values.len()).sum());
        for (slot, value) in chosen.iter().flat_map(|one| &one.values).enumerate() {
            values.set(slot, *value);
        }
        Shown { groups: chosen.iter().map(|one| one.group).collect(), values }
    }

    /// The groups with `width` aggregates each.
    pub(super) fn unpack(&self, width: usize) -> Vec<Chosen> {
        let chosen = |(index, group): (usize, &u32)| Chosen {
            group: *group,
            values: (index * width..(index + 1) * width).map(|slot| self.values.at(slot)).collect(),
        };
        self.groups.iter().enumerate().map(chosen).collect()
    }
}

/// A group on the way to be chosen.
#[derive(Clone, Copy)]
struct Candidate {
    /// The first thing to rank by; the less, the nearer to the front.
    score: i128,
    group: u32,
    slot: u32,
}

/// One choice: the first `kept` groups of `counts`.
pub(super) struct Choice<'a> {
    pub plan: &'a Plan,
    pub keys: &'a KeyTable,
    pub counts: &'a Counts,
    pub kept: usize,
}

impl Choice<'_> {
    /// The first groups now, where `old` were the first before and the groups in `changed`, `touched` of them with repeats,
    /// may have changed since.
    pub(super) fn choose(&self, old: &[Chosen], changed: impl Iterator<Item = u32>, touched: usize) -> Vec<Chosen> {
        let Some(last) = old.last().filter(|_| old.len() == self.kept) else {
            return self.scan();
        };
        if self.counts.len() <= 2 * (touched + self.kept) {
            return self.scan();
        }
        let boundary = self.plan.scores(&last.values);
        let boundary_score = first(&boundary);
        let mut groups: Vec<u32> = old.iter().map(|one| one.group).collect();
        groups.extend(changed.filter(|group| {
            self.counts.find(*group).is_some_and(|slot| self.plan.score(self.counts, slot) <= boundary_score)
        }));
        groups.sort_unstable();
        groups.dedup();
        let present = |group: u32| {
            let slot = self.counts.find(group)?;
            (self.counts.rows(slot) > 0).then(|| self.candidate(slot, group))
        };
        let mut candidates: Vec<Candidate> = groups.into_iter().filter_map(present).collect();
        candidates.sort_unstable_by(|one, other| self.compare(one, other));
        candidates.truncate(self.kept);
        let is_certain = candidates.len() == self.kept
            && candidates.last().is_some_and(|new| {
                let by_scores = self.scores(new).cmp(&boundary);
                by_scores.then_with(|| self.keys.compare(new.group, last.group)).is_le()
            });
        if is_certain { self.finish(candidates) } else { self.scan() }
    }

    /// The first groups of the whole table.
    pub(super) fn scan(&self) -> Vec<Chosen> {
        let mut best: Vec<Candidate> = Vec::new();
        if self.kept == 0 {
            return Vec::new();
        }
        let room = 2 * self.kept + 16;
        // Set once there are enough: nothing that ranks behind it can be chosen.
        let mut worst: Option<(i128, u32)> = None;
        for (slot, group) in self.counts.present() {
            if let Some((score, other)) = worst {
                let mine = self.plan.score(self.counts, slot);
                if mine > score {
                    continue;
                }
                if mine == score && self.plan.order.len() < 2 && self.keys.compare(group, other).is_gt() {
                    continue;
                }
            }
            best.push(self.candidate(slot, group));
            if best.len() >= room {
                best.select_nth_unstable_by(self.kept - 1, |one, other| self.compare(one, other));
                best.truncate(self.kept);
                worst = best.last().map(|last| (last.score, last.group));
            }
        }
        best.sort_unstable_by(|one, other| self.compare(one, other));
        best.truncate(self.kept);
        self.finish(best)
    }

    fn candidate(&self, slot: usize, group: u32) -> Candidate {
        Candidate { score: self.plan.score(self.counts, slot), group, slot: slot as u32 }
    }

    /// All things to rank by beside the keys.
    fn scores(&self, candidate: &Candidate) -> Scores {
        self.plan.scores(&self.plan.values(self.counts, candidate.slot as usize))
    }

    fn compare(&self, one: &Candidate, other: &Candidate) -> Ordering {
        let by_score = one.score.cmp(&other.score);
        let by_scores = || match self.plan.order.len() {
            0 | 1 => Ordering::Equal,
            _ => self.scores(one).cmp(&self.scores(other)),
        };
        by_score.then_with(by_scores).then_with(|| self.keys.compare(one.group, other.group))
    }

    fn finish(&self, candidates: Vec<Candidate>) -> Vec<Chosen> {
        let chosen =
            |one: Candidate| Chosen { group: one.group, values: self.plan.values(self.counts, one.slot as usize) };
        candidates.into_iter().map(chosen).collect()
    }
}

fn first(scores: &[i128]) -> i128 {
    scores.first().copied().unwrap_or(0)
}
