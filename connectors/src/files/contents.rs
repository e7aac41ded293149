//! Known contents: whether a file that has a new name, or new content under its name, is one that was read before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read};

use catchment_contract::{Position, Result};
use xxhash_rust::xxh3::xxh3_64;

use super::content_hash::ContentHash;
use super::find::Found;
use super::position::{Cut, FilePosition, HEAD_BYTES, hash_of, head};

/// How many known files that begin alike are compared with one file.
const CANDIDATES_MAX: usize = 16;

/// What is known of a file's content.
#[derive(Debug, Default)]
pub(super) struct Same {
    /// The position of the file that had this content, or the beginning of it.
    pub from: Option<FilePosition>,
    /// Another file that is new has the same content and is read first.
    pub duplicate: bool,
}

/// The contents of the files that were read.
pub(super) struct Contents {
    /// By the hash of their first bytes, and how many those are.
    known: HashMap<(u64, u64), Vec<FilePosition>>,
    /// The lengths of those first bytes.
    heads: BTreeSet<u64>,
    /// Files that are new, by size.
    new: HashMap<u64, SameSize>,
}

/// New files of one size.
enum SameSize {
    /// One, which nobody needed to look into.
    One(Found),
    /// Several, by the hash of their first bytes, with the hash of their content once it is needed.
    Several(HashMap<u64, Vec<(Found, Option<u128>)>>),
}

impl Contents {
    /// The contents that `known` positions tell.
    ///
    /// # Errors
    /// If one is not a position of a file source.
    pub(super) fn of(known: &BTreeMap<String, Position>) -> Result<Self> {
        let mut made = Contents { known: HashMap::new(), heads: BTreeSet::new(), new: HashMap::new() };
        for (id, position) in known {
            let position = FilePosition::decode(position, id)?;
            if position.file.bytes > 0 && position.file.hash.is_some() {
                let head = position.file.bytes.min(HEAD_BYTES);
                made.heads.insert(head);
                made.known.entry((head, position.file.head)).or_default().push(position);
            }
        }
        // The longest first: of a log that was read twice, the later reading knows more.
        made.known.values_mut().for_each(|same| same.sort_by_key(|position| std::cmp::Reverse(position.file.bytes)));
        Ok(made)
    }

    /// What is known of `file`, which is remembered from now on. One that cannot be read is unknown.
    pub(super) fn look_up(&mut self, file: &Found) -> Same {
        self.try_look_up(file).unwrap_or_default()
    }

    fn try_look_up(&mut self, file: &Found) -> io::Result<Same> {
        if file.stamp.bytes == 0 {
            return Ok(Same::default());
        }
        if !self.known.is_empty()
            && let Some(from) = self.known_as(file)?
        {
            return Ok(Same { from: Some(from), duplicate: false });
        }
        Ok(Same { from: None, duplicate: self.is_duplicate(file)? })
    }

    fn known_as(&self, file: &Found) -> io::Result<Option<FilePosition>> {
        let mut opened = File::open(&file.path)?;
        let mut head = Vec::with_capacity(HEAD_BYTES as usize);
        (&mut opened).take(HEAD_BYTES).read_to_end(&mut head)?;
        for length in self.heads.iter().rev().filter(|length| **length <= head.len() as u64) {
            let key = (*length, xxh3_64(&head[..*length as usize]));
            for position in self.known.get(&key).into_iter().flatten().take(CANDIDATES_MAX) {
                let bytes = position.file.bytes;
                let whole = bytes == file.stamp.bytes;
                let may_grow = matches!(position.cut, Cut::Lines | Cut::Values);
                if bytes <= file.stamp.bytes && (whole || may_grow) && position.is_prefix_of(&mut opened, true)? {
                    return Ok(Some(position.clone()));
                }
            }
        }
        Ok(None)
    }

    /// Whether another new file has the content of `file`, which is remembered else.
    fn is_duplicate(&mut self, file: &Found) -> io::Result<bool> {
        let Some(alike) = self.new.get_mut(&file.stamp.bytes) else {
            self.new.insert(file.stamp.bytes, SameSize::One(file.clone()));
            return Ok(false);
        };
        if let SameSize::One(one) = alike {
            let head = head(&mut File::open(&one.path)?, one.stamp.bytes)?;
            *alike = SameSize::Several(HashMap::from([(head, vec![(one.clone(), None)])]));
        }
        let SameSize::Several(by_head) = alike else { return Ok(false) };
        let mut opened = File::open(&file.path)?;
        let others = by_head.entry(head(&mut opened, file.stamp.bytes)?).or_default();
        let mut hash = None;
        for (other, known) in others.iter_mut() {
            let of = |file: &mut File, bytes| hash_of(file, 0, bytes, ContentHash::new());
            let other = match known {
                Some(known) => *known,
                None => *known.insert(of(&mut File::open(&other.path)?, other.stamp.bytes)?),
            };
            let this = match hash {
                Some(hash) => hash,
                None => *hash.insert(of(&mut opened, file.stamp.bytes)?),
            };
            if other == this {
                return Ok(true);
            }
        }
        others.push((file.clone(), hash));
        Ok(false)
    }
}
