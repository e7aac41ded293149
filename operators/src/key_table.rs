//! Distinct keys, each with a small dense number.
//!
//! Keys are kept once, as the bytes of arrow's row encoding, in one arena: every type and nulls in one form, equal keys
//! have equal bytes, and bytes compare as the keys do. A hash only finds the bucket; equality is that of the bytes. Both
//! zeros of a float are one key and so are all NaNs ([`canonical`]): what comes out is 0.0 and one NaN.
//!
//! **Numbers** are dense and reused: after [`KeyTable::remove`] a number may come back for another key, so whoever keeps
//! something beside it clears that first. The arena is rewritten when more than half of it belongs to removed keys.
//!
//! **Cost** of a key: its bytes, 20 for span and hash, about 7 in the table. Runs of equal rows and dictionary columns
//! are encoded and looked up once a run or a used dictionary value.

use std::cmp::Ordering;
use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use catchment_contract::arrow::compute::partition;
use catchment_contract::arrow::datatypes::{DataType, UInt32Type};
use catchment_contract::arrow::row::{RowConverter, SortField};
use catchment_contract::hash::{canonical, hash_keys};
use catchment_engine::flatten;
use catchment_engine::updates::take_rows;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

const ENCODABLE: &str = "the planner lets only types with a row encoding be keys, and columns have the declared types";

/// The arena is left alone below this size.
const ARENA_DEAD_BYTES_MIN: usize = 1 << 16;

/// Rows looked at to decide whether a batch has runs.
const SAMPLE_ROWS: usize = 512;

/// Distinct keys and their numbers; see the module's documentation.
pub(crate) struct KeyTable {
    converter: RowConverter,
    table: HashTable<u32>,
    hashes: Vec<u64>,
    starts: Vec<u64>,
    lens: Vec<u32>,
    arena: Vec<u8>,
    dead_bytes: usize,
    free: Vec<u32>,
    /// Numbers given out since somebody asked for them last, where asked for.
    fresh: Option<Vec<u32>>,
    /// The first eight bytes of each key as a number, where asked for.
    prefixes: Option<Vec<u64>>,
    /// Whether floats are told apart by their bits.
    keeps_bits: bool,
    /// All ones; under test fewer, so that hashes collide.
    hash_mask: u64,
}

/// The type of a column's values, whatever its encoding.
pub(crate) fn flat_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => flat_type(values),
        other => other.clone(),
    }
}

impl KeyTable {
    /// A table for keys of the types `types`, in ascending order with nulls first.
    pub(crate) fn new(types: &[DataType]) -> Self {
        Self::with_fields(types.iter().map(|data_type| SortField::new(flat_type(data_type))).collect())
    }

    /// A table whose bytes compare as `fields` say.
    pub(crate) fn with_fields(fields: Vec<SortField>) -> Self {
        KeyTable {
            converter: RowConverter::new(fields).expect(ENCODABLE),
            table: HashTable::new(),
            hashes: Vec::new(),
            starts: Vec::new(),
            lens: Vec::new(),
            arena: Vec::new(),
            dead_bytes: 0,
            free: Vec::new(),
            fresh: None,
            prefixes: None,
            keeps_bits: false,
            hash_mask: u64::MAX,
        }
    }

    /// The same table with hashes that tell only `2^bits` keys apart.
    #[cfg(test)]
    pub(crate) fn with_hash_bits(mut self, bits: u32) -> Self {
        self.hash_mask = (1 << bits) - 1;
        self
    }

    /// The same table for rows that are to come out as they came in: floats are told apart by their bits.
    pub(crate) fn of_rows(mut self) -> Self {
        self.keeps_bits = true;
        self
    }

    /// The same table with what [`KeyTable::compare`] needs: eight bytes more a key.
    pub(crate) fn with_comparison(mut self) -> Self {
        self.prefixes = Some(Vec::new());
        self
    }

    /// The order of two keys. Most are told apart by their first bytes, which lie together.
    #[inline]
    pub(crate) fn compare(&self, one: u32, other: u32) -> Ordering {
        let by_prefix = match &self.prefixes {
            Some(prefixes) => prefixes[one as usize].cmp(&prefixes[other as usize]),
            None => Ordering::Equal,
        };
        by_prefix.then_with(|| self.bytes(one).cmp(self.bytes(other)))
    }

    /// One more than the greatest number given out so far.
    pub(crate) fn bound(&self) -> usize {
        self.hashes.len()
    }

    /// The bytes of key `id`.
    #[inline]
    pub(crate) fn bytes(&self, id: u32) -> &[u8] {
        let start = self.starts[id as usize] as usize;
        &self.arena[start..start + self.lens[id as usize] as usize]
    }

    /// Appends to `ids` the number of each of the `rows` keys in `columns`. `hashes` are those of `columns`, if they
    /// travelled.
    pub(crate) fn intern(&mut self, columns: &[ArrayRef], rows: usize, hashes: Option<&[u64]>, ids: &mut Vec<u32>) {
        if rows == 0 {
            return;
        }
        if columns.is_empty() {
            let id = self.intern_bytes(&[], 0);
            ids.resize(ids.len() + rows, id);
            return;
        }
        ids.reserve(rows);
        if let Some(ends) = run_ends(columns, rows) {
            return self.intern_runs(columns, &ends, hashes, ids);
        }
        match columns {
            [column] if is_worthy_dictionary(column) => self.intern_dictionary(column, ids),
            _ => self.intern_flat(columns, rows, hashes, ids),
        }
    }

    fn intern_flat(&mut self, columns: &[ArrayRef], rows: usize, hashes: Option<&[u64]>, ids: &mut Vec<u32>) {
        let computed;
        let hashes = match hashes {
            Some(hashes) => hashes,
            None => {
                computed = hash_keys(columns, rows);
                &computed
            }
        };
        let mut flat: Vec<ArrayRef> = columns.iter().map(flatten).collect();
        if !self.keeps_bits {
            flat.iter_mut().for_each(|column| *column = canonical(column));
        }
        let encoded = self.converter.convert_columns(&flat).expect(ENCODABLE);
        for (row, hash) in encoded.iter().zip(hashes) {
            ids.push(self.intern_bytes(row.data(), *hash));
        }
    }

    fn intern_runs(&mut self, columns: &[ArrayRef], ends: &[u32], hashes: Option<&[u64]>, ids: &mut Vec<u32>) {
        let starts: Vec<u32> = std::iter::once(0).chain(ends.iter().copied()).take(ends.len()).collect();
        let hashes: Option<Vec<u64>> =
            hashes.map(|hashes| starts.iter().map(|start| hashes[*start as usize]).collect());
        let positions = UInt32Array::from(starts);
        let firsts: Vec<ArrayRef> = columns.iter().map(|column| take_rows(column, &positions)).collect();
        let mut run_ids = Vec::with_capacity(ends.len());
        self.intern_flat(&firsts, ends.len(), hashes.as_deref(), &mut run_ids);
        let from = ids.len();
        for (id, end) in run_ids.into_iter().zip(ends) {
            ids.resize(from + *end as usize, id);
        }
    }

    /// Looks up each value that is used, once.
    fn intern_dictionary(&mut self, column: &ArrayRef, ids: &mut Vec<u32>) {
        const UNSEEN: u32 = u32::MAX;
        let dictionary = column.as_dictionary::<UInt32Type>();
        let keys = dictionary.keys();
        let mut place = vec![UNSEEN; dictionary.values().len() + 1];
        let mut used: Vec<Option<u32>> = Vec::new();
        let null = dictionary.values().len();
        let key_of = |row: usize| if keys.is_null(row) { null } else { keys.value(row) as usize };
        for row in 0..keys.len() {
            let key = key_of(row);
            if place[key] == UNSEEN {
                place[key] = used.len() as u32;
                used.push((key != null).then_some(key as u32));
            }
        }
        let values = take_rows(dictionary.values(), &UInt32Array::from(used));
        let mut value_ids = Vec::with_capacity(values.len());
        self.intern_flat(std::slice::from_ref(&values), values.len(), None, &mut value_ids);
        ids.extend((0..keys.len()).map(|row| value_ids[place[key_of(row)] as usize]));
    }

    /// The number of the key with these bytes and this hash.
    pub(crate) fn intern_bytes(&mut self, key: &[u8], hash: u64) -> u32 {
        // Low bits of a key hash are equal among the keys of one worker: the table takes its buckets from the others.
        let hash = hash.rotate_left(32) & self.hash_mask;
        let KeyTable { table, hashes, starts, lens, arena, .. } = self;
        let same = |id: &u32| {
            let id = *id as usize;
            let start = starts[id] as usize;
            hashes[id] == hash && arena[start..start + lens[id] as usize] == *key
        };
        let vacant = match table.entry(hash, same, |id| hashes[*id as usize]) {
            Entry::Occupied(found) => return *found.get(),
            Entry::Vacant(vacant) => vacant,
        };
        let id = self.free.pop().unwrap_or(hashes.len() as u32);
        vacant.insert(id);
        put(hashes, id, hash);
        put(starts, id, arena.len() as u64);
        put(lens, id, key.len() as u32);
        arena.extend_from_slice(key);
        if let Some(prefixes) = &mut self.prefixes {
            put(prefixes, id, prefix(key));
        }
        if let Some(fresh) = &mut self.fresh {
            fresh.push(id);
        }
        id
    }

    /// The numbers given out since the last call; none of those before the first one.
    pub(crate) fn take_fresh(&mut self) -> Vec<u32> {
        self.fresh.replace(Vec::new()).unwrap_or_default()
    }

    /// The hash of key `id`.
    pub(crate) fn hash(&self, id: u32) -> u64 {
        self.hashes[id as usize].rotate_right(32)
    }

    /// Whether `id`, below the bound, is the number of a key that is not empty.
    pub(crate) fn is_used(&self, id: u32) -> bool {
        self.lens[id as usize] > 0
    }

    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes that its keys take in memory; what was made room for and is free does not count.
    pub(crate) fn memory(&self) -> usize {
        const BESIDE: usize = 2 * size_of::<u64>() + size_of::<u32>() + 7;
        let prefix = if self.prefixes.is_some() { size_of::<u64>() } else { 0 };
        self.arena.len() + self.len() * (BESIDE + prefix)
    }

    /// Forgets key `id`, which is in the table; the number may be given to another key from now on.
    pub(crate) fn remove(&mut self, id: u32) {
        if let Ok(found) = self.table.find_entry(self.hashes[id as usize], |other| *other == id) {
            found.remove();
            self.dead_bytes += self.lens[id as usize] as usize;
            self.lens[id as usize] = 0;
            self.free.push(id);
        }
        if self.dead_bytes > ARENA_DEAD_BYTES_MIN && self.dead_bytes > self.arena.len() / 2 {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let mut arena = Vec::with_capacity(self.arena.len() - self.dead_bytes);
        for (start, len) in self.starts.iter_mut().zip(&self.lens) {
            let from = *start as usize;
            // A freed number has length 0 and keeps a start within the arena.
            *start = arena.len() as u64;
            arena.extend_from_slice(&self.arena[from..from + *len as usize]);
        }
        self.arena = arena;
        self.dead_bytes = 0;
    }

    /// The keys `ids` as columns, each distinct one decoded once.
    pub(crate) fn columns_of_repeated(&self, ids: &[u32]) -> Vec<ArrayRef> {
        const UNSEEN: u32 = u32::MAX;
        let mut place = vec![UNSEEN; self.bound()];
        let mut distinct = Vec::new();
        let places: UInt32Array = ids
            .iter()
            .map(|id| {
                let place = &mut place[*id as usize];
                if *place == UNSEEN {
                    *place = distinct.len() as u32;
                    distinct.push(*id);
                }
                Some(*place)
            })
            .collect();
        self.columns(&distinct).iter().map(|column| take_rows(column, &places)).collect()
    }

    /// The keys `ids` as columns; none for keys of no columns.
    pub(crate) fn columns(&self, ids: &[u32]) -> Vec<ArrayRef> {
        let parser = self.converter.parser();
        let rows = ids.iter().map(|id| parser.parse(self.bytes(*id)));
        self.converter.convert_rows(rows).expect("the bytes are those that the converter made")
    }
}

/// Sets the value beside `id`, which is at most one past the end.
#[inline]
fn put<T>(values: &mut Vec<T>, id: u32, value: T) {
    match values.get_mut(id as usize) {
        Some(old) => *old = value,
        None => values.push(value),
    }
}

/// Eight bytes as a number that orders as they do; a shorter key is padded, so equal prefixes decide nothing.
fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

/// Whether to look up the values instead of the rows.
fn is_worthy_dictionary(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Dictionary(key, _) if **key == DataType::UInt32 => {
            column.as_dictionary::<UInt32Type>().values().len() <= 4 * column.len()
        }
        _ => false,
    }
}

/// Where runs of equal rows end, if they are four rows long on average. A run may be followed by one of the same key.
fn run_ends(columns: &[ArrayRef], rows: usize) -> Option<Vec<u32>> {
    let comparable: Vec<ArrayRef> = columns.iter().map(comparable).collect();
    let sample: Vec<ArrayRef> = comparable.iter().map(|column| column.slice(0, rows.min(SAMPLE_ROWS))).collect();
    // Types that cannot be compared have no runs.
    let sampled = partition(&sample).ok()?.len();
    if sampled * 4 > rows.min(SAMPLE_ROWS) {
        return None;
    }
    let ranges = partition(&comparable).ok()?.ranges();
    (ranges.len() * 4 <= rows).then(|| ranges.into_iter().map(|range| range.end as u32).collect())
}

/// What tells neighbours apart most cheaply: a dictionary's keys. Equal values under different keys end a run early, which
/// does no harm.
fn comparable(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Dictionary(key, _) if **key == DataType::UInt32 => {
            Arc::new(column.as_dictionary::<UInt32Type>().keys().clone())
        }
        _ => column.clone(),
    }
}

#[cfg(test)]
mod tests;
