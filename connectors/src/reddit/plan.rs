//! What one projection needs of a record: which JSON fields go to which slot of a row, and how columns are made of slots.
//!
//! The lookup of a field's name runs for every field of every record, wanted or not: it is a perfect hash over the first
//! and last eight bytes and the length, found when the plan is made, and one comparison.

use super::columns::{Column, Kind, META, Made, RETRIEVED, Type};

/// Bits of the lookup table's index: 1,024 entries for some 80 names.
const LOOKUP_BITS: u32 = 10;

/// How many seeds are tried: a seed fits with a chance of a few per cent.
const SEEDS_MAX: u64 = 100_000;

/// What a field's name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Not wanted.
    Skip,
    /// Goes to this slot.
    Slot(u8),
    /// `kind` of a `{kind, data}` object.
    Kind,
    /// `data`, `listing` or `children`: records inside, and the object around them is none.
    Container,
    /// `replies`: records inside beside the record itself.
    Replies,
    /// `fetched_at` of a snapshot.
    FetchedAt,
    /// `_meta`: more fields of the same record.
    Meta,
}

const SPECIAL: [(&str, Key); 7] = [
    ("kind", Key::Kind),
    ("data", Key::Container),
    ("listing", Key::Container),
    ("children", Key::Container),
    ("replies", Key::Replies),
    ("fetched_at", Key::FetchedAt),
    ("_meta", Key::Meta),
];

/// A field that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub field: &'static str,
    pub ty: Type,
    /// Read from `_meta` too.
    pub meta: bool,
}

/// What one projection needs.
#[derive(Debug)]
pub(super) struct Plan {
    pub kind: Kind,
    pub slots: Vec<Slot>,
    /// The projected columns, each with its field's slot.
    pub columns: Vec<(&'static Column, usize)>,
    seed: u64,
    names: Vec<(&'static str, Key)>,
}

impl Plan {
    /// Slot of `id`.
    pub(super) const ID: usize = 0;
    /// Slot of `name`.
    pub(super) const NAME: usize = 1;
    /// Slot of `title`: only submissions have it.
    pub(super) const TITLE: usize = 2;
    /// Slot of `body`: only comments have it.
    pub(super) const BODY: usize = 3;
    /// First slot of those of [`RETRIEVED`].
    pub(super) const RETRIEVED: usize = 4;

    /// Slot of the snapshot's `fetched_at`, which no record has itself.
    pub(super) fn fetched(&self) -> usize {
        Self::RETRIEVED + RETRIEVED.len()
    }

    /// Slots that say when a record was fetched.
    pub(super) fn retrieved(&self) -> std::ops::RangeInclusive<usize> {
        Self::RETRIEVED..=self.fetched()
    }

    /// A plan for the columns `projection` of `kind`.
    pub(super) fn new(kind: Kind, projection: &[usize]) -> Self {
        let slot = |field, ty| Slot { field, ty, meta: META.contains(&field) };
        let mut slots = vec![slot("id", Type::Text), slot("name", Type::Text)];
        slots.extend(["title", "body"].map(|field| slot(field, Type::Any)));
        slots.extend(RETRIEVED.map(|field| slot(field, Type::Time)));
        slots.push(slot("fetched_at", Type::Time));
        let mut columns = Vec::with_capacity(projection.len());
        for column in projection.iter().map(|index| &kind.columns()[*index]) {
            let known = slots.iter().position(|slot| slot.field == column.field);
            let at = known.unwrap_or_else(|| {
                slots.push(slot(column.field, column.ty));
                slots.len() - 1
            });
            if column.made == Made::Same {
                slots[at].ty = column.ty;
            }
            columns.push((column, at));
        }
        let fields = slots.iter().enumerate().map(|(index, slot)| (slot.field, Key::Slot(index as u8)));
        let special = |field: &str| SPECIAL.iter().any(|(name, _)| *name == field);
        let wanted: Vec<_> = fields.filter(|(field, _)| !special(field)).chain(SPECIAL).collect();
        let (seed, names) = perfect_hash(&wanted);
        Plan { kind, slots, columns, seed, names }
    }

    /// What the field `name` means.
    #[inline]
    pub(super) fn key(&self, name: &str) -> Key {
        let (known, key) = self.names[bucket(self.seed, name)];
        if known == name { key } else { Key::Skip }
    }
}

/// A seed under which no two names share a bucket, and the buckets.
fn perfect_hash(wanted: &[(&'static str, Key)]) -> (u64, Vec<(&'static str, Key)>) {
    (0..SEEDS_MAX)
        .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
        .find_map(|seed| {
            let mut names = vec![("", Key::Skip); 1 << LOOKUP_BITS];
            for (name, key) in wanted {
                let entry = &mut names[bucket(seed, name)];
                if !entry.0.is_empty() {
                    return None;
                }
                *entry = (name, *key);
            }
            Some((seed, names))
        })
        .expect("the names are ours, distinct, and a test finds a seed for all of them together")
}

#[inline]
fn bucket(seed: u64, name: &str) -> usize {
    let bytes = name.as_bytes();
    let len = bytes.len();
    let (head, tail) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(head), Some(tail)) => (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail))),
            _ => (bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
        },
    };
    let mixed = (head ^ tail.rotate_left(29) ^ len as u64).wrapping_mul(seed);
    (mixed >> (64 - LOOKUP_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_every_projection_is_found_and_no_other() {
        for kind in [Kind::Comments, Kind::Submissions] {
            let all: Vec<usize> = (0..kind.columns().len()).collect();
            for projection in [vec![], vec![0], all.clone(), all.iter().rev().copied().collect()] {
                let plan = Plan::new(kind, &projection);
                for (index, slot) in plan.slots.iter().enumerate().filter(|(index, _)| *index != plan.fetched()) {
                    assert_eq!(plan.key(slot.field), Key::Slot(index as u8));
                }
                for (name, key) in SPECIAL {
                    assert_eq!(plan.key(name), key);
                }
                for other in ["", "i", "idd", "Body", "all_awardings", "author_flair_richtext", "kinds", "dat"] {
                    assert_eq!(plan.key(other), Key::Skip, "{other}");
                }
            }
            for one in all {
                let plan = Plan::new(kind, &[one]);
                assert_eq!(plan.slots[plan.columns[0].1].field, kind.columns()[one].field);
            }
        }
    }

    #[test]
    fn fixed_slots_are_where_they_are_said_to_be() {
        let plan = Plan::new(Kind::Comments, &[]);
        let at = |slot: usize| plan.slots[slot].field;
        assert_eq!((at(Plan::ID), at(Plan::NAME), at(Plan::TITLE), at(Plan::BODY)), ("id", "name", "title", "body"));
        assert_eq!(at(Plan::RETRIEVED), RETRIEVED[0]);
    }
}
