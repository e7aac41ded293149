//! Which document of each key is current, and which one stands behind it.
//!
//! A key has at most two champions: the best document that carries a version and the best that carries none. The one that
//! arrived later is the *winner*; the other, the *rival*, is kept because a winner of its own sort that arrived earlier may
//! still replace the winner. Taking the best of a set is commutative, associative and idempotent, so the outcome does not
//! depend on order, cut or repetition of arrivals. Rivals are rare and live in a table of their own.

use std::collections::HashMap;

use smallvec::smallvec;

use super::pieces::{Moved, Place, Places};

/// In place of a version; a real version of this value counts as the next one.
const NO_VERSION: i64 = i64::MIN;

/// When a document came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub version: Option<i64>,
    pub arrival: u64,
}

/// The rows that an arrival brings.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rows {
    /// None: it is a tombstone.
    None,
    /// One.
    One(Place),
}

/// A document: 24 bytes.
#[derive(Clone, Copy, Debug)]
struct Champion {
    version: i64,
    arrival: u64,
    /// Its row; [`NONE`]; or, in piece [`LIST`], the number of a list of rows.
    at: Place,
}

/// A document as others see it.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// That of [`Champion`].
    pub version: i64,
    pub arrival: u64,
    pub rows: Places,
}

/// A key that no arrival was offered to yet.
const VACANT: Place = Place { piece: u32::MAX, row: 0 };
/// A document without rows.
const NONE: Place = Place { piece: u32::MAX, row: 1 };
/// The piece number of lists.
const LIST: u32 = u32::MAX - 1;

/// The champions of all keys; see the module's documentation.
pub(super) struct Champions {
    whole_payload: bool,
    winners: Vec<Champion>,
    rivals: HashMap<u32, Champion>,
    /// Rows of documents with several.
    lists: Vec<Vec<Place>>,
    free_lists: Vec<u32>,
}

impl Champions {
    pub(super) fn new(whole_payload: bool) -> Self {
        Champions {
            whole_payload,
            winners: Vec::new(),
            rivals: HashMap::new(),
            lists: Vec::new(),
            free_lists: Vec::new(),
        }
    }

    /// Makes room for keys below `keys`.
    pub(super) fn resize(&mut self, keys: usize) {
        self.winners.resize(keys, Champion::vacant());
    }

    /// Takes note of an arrival.
    pub(super) fn offer(&mut self, key: u32, when: Arrival, rows: Rows) {
        let at = match rows {
            Rows::None => NONE,
            Rows::One(place) => place,
        };
        let version = when.version.map_or(NO_VERSION, |version| version.max(NO_VERSION + 1));
        let new = Champion { version, arrival: when.arrival, at };
        let winner = self.winners[key as usize];
        if winner.at == VACANT {
            self.winners[key as usize] = new;
        } else if self.is_same_document(&winner, &new) {
            self.winners[key as usize] = self.extended(winner, new);
        } else if let Some(rival) = self.rivals.get(&key).copied()
            && self.is_same_document(&rival, &new)
        {
            let rival = self.extended(rival, new);
            self.rivals.insert(key, rival);
        } else if winner.is_versioned() == new.is_versioned() {
            if self.order(&new) > self.order(&winner) {
                self.release(winner);
                self.winners[key as usize] = new;
            }
        } else {
            match self.rivals.get(&key).copied() {
                Some(rival) if self.order(&new) <= self.order(&rival) => {}
                Some(rival) => {
                    self.release(rival);
                    self.rivals.insert(key, new);
                }
                None => drop(self.rivals.insert(key, new)),
            }
        }
        self.settle(key);
    }

    /// Lets the rival step in front if it arrived later.
    fn settle(&mut self, key: u32) {
        if self.rivals.is_empty() {
            return;
        }
        if let Some(rival) = self.rivals.get_mut(&key)
            && rival.arrival > self.winners[key as usize].arrival
        {
            std::mem::swap(rival, &mut self.winners[key as usize]);
        }
    }

    fn is_same_document(&self, one: &Champion, other: &Champion) -> bool {
        if self.whole_payload { one.arrival >> 32 == other.arrival >> 32 } else { one.arrival == other.arrival }
    }

    /// What decides among documents of one sort.
    fn order(&self, champion: &Champion) -> (i64, u64) {
        let arrival = if self.whole_payload { champion.arrival >> 32 } else { champion.arrival };
        (champion.version, arrival)
    }

    /// `document` with the row of `part`, which belongs to it. (A document of one row that comes again changes nothing; the
    /// rows of a larger one come once each.)
    fn extended(&mut self, document: Champion, part: Champion) -> Champion {
        if !self.whole_payload || part.at == NONE {
            return document;
        }
        let version = document.version.max(part.version);
        let at = match document.at {
            NONE => part.at,
            Place { piece: LIST, row: list } => {
                self.lists[list as usize].push(part.at);
                document.at
            }
            first => self.new_list(vec![first, part.at]),
        };
        Champion { version, arrival: document.arrival, at }
    }

    fn new_list(&mut self, places: Vec<Place>) -> Place {
        let list = match self.free_lists.pop() {
            Some(list) => {
                self.lists[list as usize] = places;
                list
            }
            None => {
                self.lists.push(places);
                self.lists.len() as u32 - 1
            }
        };
        Place { piece: LIST, row: list }
    }

    fn release(&mut self, champion: Champion) {
        if champion.at.piece == LIST {
            self.lists[champion.at.row as usize] = Vec::new();
            self.free_lists.push(champion.at.row);
        }
    }

    /// The rows of the current document.
    pub(super) fn current(&self, key: u32) -> Places {
        self.rows(&self.winners[key as usize])
    }

    /// The rows of the winner and of the rival.
    pub(super) fn rows_of(&self, key: u32) -> (Places, Places) {
        let rival = self.rivals.get(&key).map(|rival| self.rows(rival)).unwrap_or_default();
        (self.current(key), rival)
    }

    /// The winner and the rival of a key.
    pub(super) fn documents(&self, key: u32) -> (Option<Document>, Option<Document>) {
        let document = |it: &Champion| Document { version: it.version, arrival: it.arrival, rows: self.rows(it) };
        let winner = Some(&self.winners[key as usize]).filter(|winner| winner.at != VACANT);
        (winner.map(document), self.rivals.get(&key).map(document))
    }

    /// Gives a key that has none the documents that it had.
    pub(super) fn restore(&mut self, key: u32, winner: Document, rival: Option<Document>) {
        let mut champion = |Document { version, arrival, rows }: Document| {
            let at = match rows.as_slice() {
                [] => NONE,
                [place] => *place,
                places => self.new_list(places.to_vec()),
            };
            Champion { version, arrival, at }
        };
        let (winner, rival) = (champion(winner), rival.map(champion));
        self.winners[key as usize] = winner;
        if let Some(rival) = rival {
            self.rivals.insert(key, rival);
        }
    }

    /// Takes the documents of a key.
    pub(super) fn forget(&mut self, key: u32) {
        let winner = std::mem::replace(&mut self.winners[key as usize], Champion::vacant());
        self.release(winner);
        if let Some(rival) = self.rivals.remove(&key) {
            self.release(rival);
        }
    }

    /// Bytes that so many keys take.
    pub(super) fn memory(&self, keys: usize) -> usize {
        (keys + 2 * self.rivals.len()) * size_of::<Champion>() + self.lists.len() * size_of::<Vec<Place>>()
    }

    fn rows(&self, champion: &Champion) -> Places {
        match champion.at {
            VACANT | NONE => Places::new(),
            Place { piece: LIST, row } => self.lists[row as usize].as_slice().into(),
            place => smallvec![place],
        }
    }

    /// Follows rows that were moved to another piece.
    pub(super) fn relocate(&mut self, moved: &Moved) {
        for key in moved.owners() {
            let Champions { winners, rivals, lists, .. } = self;
            for champion in std::iter::once(&mut winners[key as usize]).chain(rivals.get_mut(&key)) {
                match champion.at {
                    VACANT | NONE => {}
                    Place { piece: LIST, row } => {
                        lists[row as usize].iter_mut().for_each(|place| *place = moved.new_place(*place));
                    }
                    place => champion.at = moved.new_place(place),
                }
            }
        }
    }
}

impl Champion {
    fn vacant() -> Self {
        Champion { version: NO_VERSION, arrival: 0, at: VACANT }
    }

    fn is_versioned(&self) -> bool {
        self.version != NO_VERSION
    }
}
