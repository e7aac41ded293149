//! Stages without state, fused: what a transform node does to a run of updates.
//!
//! A run is evaluated as a whole. If that fails, it is halved until the failing rows stand alone: those become rows of the
//! rejects relation with their diffs, so that retracting a row retracts its fault, and all others pass. A fault depends on
//! its row alone. A panic of a function is a fault like any other.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use catchment_contract::Run;
use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, StringViewArray, new_null_array};
use catchment_contract::arrow::datatypes::{DataType, UInt32Type};
use catchment_contract::arrow::util::display::{ArrayFormatter, FormatOptions};
use catchment_contract::hash::hash_key_rows;
use catchment_contract::panics;
use catchment_engine::{Updates, flatten};
use catchment_operators::transform::{Transformed, unnest};
use datafusion_common::Result;

use crate::expr::{Expression, Mask, values_with_null};
use crate::fault::reason;
use crate::identity::digest;

/// One step of a transform.
#[derive(Clone, Debug)]
pub enum Stage {
    /// Keeps the rows for which the expression is true.
    Filter(Expression),
    /// Computes the columns anew.
    Project(Vec<Expression>),
    /// Repeats each row for the values of a list column, which they replace.
    Unnest {
        /// The list.
        column: usize,
        /// Whether a null or empty list yields one row with a null.
        preserve_nulls: bool,
    },
    /// Keeps the rows whose key is in a constant set, or those whose key is not.
    InSet(KeySet),
}

/// A constant set of keys that rows are compared with: what is left of a semi or anti join with constants.
#[derive(Clone, Debug)]
pub struct KeySet {
    /// The columns that are looked up.
    pub columns: Vec<usize>,
    /// Identities ([`hash_key_rows`]) of the keys without nulls.
    keys: Arc<HashSet<u128, BuildHasherDefault<Identity>>>,
    /// Whether some key of the set has a null.
    has_null: bool,
    /// How many rows the set was made of.
    rows: usize,
    /// Which rows are kept.
    pub rule: SetRule,
}

/// The hash of an identity is its lower half: it is a hash already.
#[derive(Clone, Copy, Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, identity: u128) {
        self.0 = identity as u64;
    }
}

/// Which rows a [`KeySet`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetRule {
    /// `IN`, `EXISTS`: keys in the set. A null is in no set.
    In,
    /// `NOT EXISTS`: keys not in the set, nulls among them.
    NotExists,
    /// `NOT IN`: as SQL has it, a null on either side makes the answer unknown, unless the set is empty.
    NotIn,
}

impl KeySet {
    /// The rows of `keys` as a set for the columns `columns`.
    pub fn new(columns: Vec<usize>, keys: &[ArrayRef], rows: usize, rule: SetRule) -> Self {
        let flat: Vec<ArrayRef> = keys.iter().map(flatten).collect();
        let lanes = hash_key_rows(&flat, rows);
        let null = |row: usize| flat.iter().any(|column| column.is_null(row));
        let set = (0..rows).filter(|row| !null(*row)).map(|row| lanes.identity(row)).collect();
        KeySet { columns, keys: Arc::new(set), has_null: (0..rows).any(null), rows, rule }
    }

    /// How many rows the set was made of.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// All that the set holds, in short.
    pub(crate) fn digest(&self) -> String {
        let mut keys: Vec<u128> = self.keys.iter().copied().collect();
        keys.sort_unstable();
        let null = if self.has_null { "null" } else { "" };
        digest(&keys.iter().fold(null.to_string(), |text, key| text + &format!(" {key:032x}")))
    }

    fn keeps(&self, identity: u128, is_null: bool) -> bool {
        let found = !is_null && self.keys.contains(&identity);
        match self.rule {
            SetRule::In => found,
            SetRule::NotExists => !found,
            SetRule::NotIn => self.rows == 0 || !(found || is_null || self.has_null),
        }
    }

    fn answers(&self, columns: &[ArrayRef], len: usize) -> Vec<bool> {
        let lanes = hash_key_rows(columns, len);
        let is_null = |row| columns.iter().any(|column| column.is_null(row));
        (0..len).map(|row| self.keeps(lanes.identity(row), is_null(row))).collect()
    }

    /// Which rows are kept; of a dictionary each value is looked up once.
    fn mask(&self, updates: &Updates) -> Result<Mask> {
        if let [only] = self.columns.as_slice()
            && let Some(dictionary) = updates.column(*only).as_dictionary_opt::<UInt32Type>()
            && dictionary.values().len() <= updates.len()
        {
            let (values, keys) = values_with_null(dictionary)?;
            let len = values.len();
            return Ok(Mask::ByKey(self.answers(&[values], len), keys));
        }
        Ok(Mask::ByRow(self.answers(&updates.project_flat(&self.columns), updates.len())))
    }
}

/// What `stages` make of `updates`.
///
/// # Errors
/// If some row cannot be computed.
pub fn run(stages: &[Stage], updates: Updates) -> Result<Updates> {
    let mut updates = updates.without_key_hashes();
    for stage in stages {
        if updates.is_empty() {
            return Ok(Updates::default());
        }
        updates = match stage {
            Stage::Filter(condition) => keep(&updates, &condition.matches(updates.columns(), updates.len())?),
            Stage::InSet(set) => keep(&updates, &set.mask(&updates)?),
            Stage::Unnest { column, preserve_nulls } => unnest(updates, *column, *preserve_nulls),
            Stage::Project(columns) => {
                let len = updates.len();
                let computed: Result<Vec<ArrayRef>> =
                    columns.iter().map(|column| column.evaluate(updates.columns(), len)).collect();
                updates.with_columns(computed?)
            }
        };
    }
    Ok(updates)
}

fn keep(updates: &Updates, mask: &Mask) -> Updates {
    let rows = mask.rows();
    if rows.len() == updates.len() { updates.clone() } else { updates.take(&rows) }
}

/// What `stages` of the view `view` make of `updates`, with the faults of rows that cannot be computed. `columns` are the
/// input's names, for the faults.
pub fn run_with_faults(stages: &[Stage], view: &str, columns: &[String], updates: Updates) -> Transformed {
    match attempt(stages, updates.clone()) {
        Ok(updates) => Transformed { updates, faults: None },
        Err(_) => {
            let (mut passed, mut faults) = (Vec::new(), Vec::new());
            let all = piece(&updates, 0, updates.len());
            halve(stages, view, columns, all, &mut passed, &mut faults);
            let faults = (!faults.is_empty()).then(|| Updates::concat(&faults));
            Transformed { updates: Updates::concat(&passed), faults }
        }
    }
}

fn halve(
    stages: &[Stage],
    view: &str,
    columns: &[String],
    updates: Updates,
    passed: &mut Vec<Updates>,
    faults: &mut Vec<Updates>,
) {
    match attempt(stages, updates.clone()) {
        Ok(updates) if updates.is_empty() => {}
        Ok(updates) => passed.push(updates),
        Err(reason) if updates.len() == 1 => faults.push(fault(view, columns, &updates, &reason)),
        Err(_) => {
            let half = updates.len() / 2;
            halve(stages, view, columns, piece(&updates, 0, half), passed, faults);
            halve(stages, view, columns, piece(&updates, half, updates.len() - half), passed, faults);
        }
    }
}

/// What `stages` make of `updates`, or why they cannot, a panic included.
fn attempt(stages: &[Stage], updates: Updates) -> std::result::Result<Updates, String> {
    match panics::caught(|| run(stages, updates)) {
        Ok(outcome) => outcome.map_err(|error| reason(&error)),
        Err(panic) => Err(format!("a function failed on this row's values: {panic}")),
    }
}

/// `len` updates from `offset` on. A slice of lists still refers to the values of all rows, and a function of those values
/// would fail for the sake of another row: here each list column holds the values of its own rows only. Nor does a row that
/// stands alone keep what lies under its nulls, which some functions compute too.
fn piece(updates: &Updates, offset: usize, len: usize) -> Updates {
    let piece = updates.slice(offset, len);
    if len == 1 && piece.columns().iter().any(|column| column.is_null(0)) {
        let clean = |column: &ArrayRef| match column.is_null(0) {
            true => new_null_array(column.data_type(), 1),
            false => column.clone(),
        };
        let columns = piece.columns().iter().map(clean).collect();
        return piece.with_columns(columns).take(&[0]);
    }
    if !piece.columns().iter().any(|column| column.data_type().is_nested()) {
        return piece;
    }
    piece.take(&(0..len as u32).collect::<Vec<_>>())
}

/// The rejects row for the only row of `updates`.
fn fault(view: &str, columns: &[String], updates: &Updates, reason: &str) -> Updates {
    let text = |text: &str| -> ArrayRef { Arc::new(StringViewArray::from(vec![text])) };
    let null = new_null_array(&DataType::Utf8View, 1);
    let reject = catchment_contract::Reject::new("", Some(row_text(columns, updates).as_bytes()), reason);
    let raw = reject.raw.unwrap_or_default();
    let row = vec![text(view), null.clone(), null, text(&raw), text(&reject.reason)];
    Updates::new(1, row, Run::One(updates.epochs().at(0)), Run::One(updates.diffs().at(0)))
}

/// A row as a person reads it, close to JSON: `{"id":"x","score":null}`.
fn row_text(columns: &[String], updates: &Updates) -> String {
    let options = FormatOptions::default();
    let parts: Vec<String> = columns
        .iter()
        .zip(updates.columns())
        .map(|(name, column)| {
            let column = flatten(column);
            let value = match ArrayFormatter::try_new(&column, &options) {
                _ if column.is_null(0) => "null".to_string(),
                Err(_) => "\"?\"".to_string(),
                Ok(formatter) => match column.data_type() {
                    kind if kind.is_numeric() || *kind == DataType::Boolean => formatter.value(0).to_string(),
                    _ => format!("{:?}", formatter.value(0).to_string()),
                },
            };
            format!("{name:?}:{value}")
        })
        .collect();
    format!("{{{}}}", parts.join(","))
}

#[cfg(test)]
mod tests;
