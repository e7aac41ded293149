//! Rejects that are alike: the first ones of a partition are kept, the others are counted.
//!
//! A small file can hold a thousand million bad records. Two rejects are alike if they are of one partition and their
//! reasons are of one [`kind`]: equal but for numbers and quoted text. [`ALIKE_MAX`] of them are kept. Beyond that, a row
//! says how many more there are when their number reaches 1, 2, 4, 8, …: so `rejects` only grows, a reader sees the right
//! order of magnitude there, and the exact number is in the source's account. What is kept depends on the records and their
//! order alone, not on how they were cut into payloads and runs. The counts are part of the checkpoint
//! ([`SourceState::alike`](crate::checkpoint::SourceState)).
//!
//! Bounds: of one partition at most [`KINDS_MAX`] kinds are told apart, the others are of one kind more; so at most 65
//! thousand rejects of a partition are kept.

use std::collections::BTreeMap;

use catchment_contract::Reject;

/// Rejects of one partition and one kind that are kept.
pub const ALIKE_MAX: u64 = 1000;

/// Kinds of reasons of one partition that are told apart.
pub const KINDS_MAX: usize = 64;

/// The kind of all reasons beyond [`KINDS_MAX`] kinds.
const OTHER: &str = "other reasons";

/// A kind's name is not longer.
const KIND_BYTES_MAX: usize = 200;

/// Rejects of one payload, as far as any of them can be kept.
#[derive(Default)]
pub(super) struct Rejects {
    /// The first ones of each kind, in record order.
    first: Vec<(String, Reject)>,
    /// How many more there are, by kind.
    more: BTreeMap<String, u64>,
    /// How many there are in all.
    pub count: u64,
}

/// How many rejects a partition had, by kind.
pub(super) type Alike = BTreeMap<String, u64>;

impl Rejects {
    /// Drops those that are not kept whatever came before.
    pub fn new(rejects: Vec<Reject>) -> Self {
        let count = rejects.len() as u64;
        let mut seen = BTreeMap::<String, u64>::new();
        let (mut first, mut more) = (Vec::new(), BTreeMap::<String, u64>::new());
        for reject in rejects {
            let kind = kind(&reject.reason);
            let nth = seen.entry(kind.clone()).or_default();
            *nth += 1;
            match *nth <= ALIKE_MAX {
                true => first.push((kind, reject)),
                false => *more.entry(kind).or_default() += 1,
            }
        }
        Rejects { first, more, count }
    }

    /// About what they take in memory.
    pub fn bytes(&self) -> usize {
        let texts = |reject: &Reject| reject.raw.as_ref().map_or(0, String::len) + reject.position.len();
        self.first.iter().map(|(kind, reject)| size_of_val(reject) + texts(reject) + 2 * kind.len()).sum()
    }

    /// The rejects to keep after those that `alike` has counted, which is moved on.
    pub fn keep(self, alike: &mut Alike) -> Vec<Reject> {
        let mut before = Alike::new();
        let mut note = |alike: &mut Alike, kind: String, count: u64| {
            let known = alike.contains_key(&kind) || alike.len() < KINDS_MAX;
            let kind = if known { kind } else { OTHER.to_owned() };
            let now = alike.entry(kind.clone()).or_default();
            before.entry(kind).or_insert(*now);
            *now += count;
            *now
        };
        let mut kept = Vec::with_capacity(self.first.len());
        for (kind, reject) in self.first {
            if note(alike, kind, 1) <= ALIKE_MAX {
                kept.push(reject);
            }
        }
        for (kind, count) in self.more {
            note(alike, kind, count);
        }
        for (kind, before) in before {
            let beyond = |count: u64| count.saturating_sub(ALIKE_MAX);
            kept.extend(counted(&kind, beyond(before), beyond(alike[&kind])));
        }
        kept
    }
}

/// The rows that say how many more there are, when their number has grown from `before` to `now`.
fn counted(kind: &str, before: u64, now: u64) -> impl Iterator<Item = Reject> {
    let marks = std::iter::successors(Some(1_u64), |mark| mark.checked_mul(2));
    marks.skip_while(move |mark| *mark <= before).take_while(move |mark| *mark <= now).map(move |mark| Reject {
        position: format!("after the first {ALIKE_MAX}"),
        raw: None,
        reason: format!("at least {mark} more of this partition, counted and not kept, like: {kind}"),
    })
}

/// A reason without what differs between records: `#` for each number, `"…"` for each quoted text.
fn kind(reason: &str) -> String {
    let mut kind = String::new();
    let mut rest = reason.chars().peekable();
    while let Some(next) = rest.next() {
        if next.is_ascii_digit() {
            while rest.next_if(char::is_ascii_digit).is_some() {}
            kind.push('#');
        } else if next == '"' && rest.clone().any(|other| other == '"') {
            while rest.next().is_some_and(|other| other != '"') {}
            kind.push_str("\"…\"");
        } else {
            kind.push(next);
        }
        if kind.len() >= KIND_BYTES_MAX {
            break;
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_leave_out_what_differs() {
        let check = |reason: &str, expect: &str| assert_eq!(kind(reason), expect);
        check("not a JSON object: expected value at column 17", "not a JSON object: expected value at column #");
        check("no \"id\" in \"a, 12\"", "no \"…\" in \"…\"");
        check("an open \"quote", "an open \"quote");
        check("", "");
        assert!(kind(&"é".repeat(1000)).len() <= KIND_BYTES_MAX + 4);
    }

    fn rejects(reasons: impl Iterator<Item = String>) -> Vec<Reject> {
        reasons.map(|reason| Reject::new("line", None, reason)).collect()
    }

    /// However rejects are cut into payloads, the same are kept.
    #[test]
    fn cuts_do_not_matter() {
        let all = rejects((0..20_000).map(|number| match number % 7 {
            0..5 => format!("bad {number}"),
            5 => format!("worse: \"{number}\""),
            _ => format!("kind {}", "x".repeat(number % 100)),
        }));
        let keep = |cut: usize| {
            let mut alike = Alike::new();
            let mut kept: Vec<Reject> = Vec::new();
            for payload in all.chunks(cut) {
                kept.extend(Rejects::new(payload.to_vec()).keep(&mut alike));
            }
            kept.sort_by(|one, two| (&one.position, &one.reason).cmp(&(&two.position, &two.reason)));
            (kept, alike)
        };
        let (kept, alike) = keep(all.len());
        assert_eq!(alike.values().sum::<u64>(), 20_000);
        assert!(alike.len() <= KINDS_MAX + 1 && alike.contains_key(OTHER));
        assert!(kept.len() < 6000, "{}", kept.len());
        for cut in [1, 10, 999, 1000, 1001, 5000] {
            assert!(keep(cut) == (kept.clone(), alike.clone()), "payloads of {cut}");
        }
    }
}
