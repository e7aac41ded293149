//! The connector: what a person may write in `WITH (connector = 'lake', …)`, checked.
//!
//! ```sql
//! CREATE SINK comments_lake FROM comments
//!     WITH (connector = 'lake', mode = 'current', partition_by = 'day(created_utc)', table = 'reddit/comments');
//! ```
//!
//! `check` is pure; what it returns is all that opening needs.

use std::sync::Arc;
use std::time::Duration;

use catchment_contract::arrow::datatypes::{DataType, Field, Schema};
use catchment_contract::options::nearest;
use catchment_contract::reject::REJECTS;
use catchment_contract::{
    Error, Options, Place, Result, Sink, SinkConnector, SinkContext, SinkSpec, Staged, ViewFacts,
};
use delta_kernel::expressions::ColumnName;

use crate::lake::columns::{PartitionColumn, TableColumns, Transform, can_partition, stored_type};
use crate::lake::sink::LakeSink;
use catchment_store::{Lake, LakeStore};

/// The column of a table of changes that holds an update's epoch.
pub const EPOCH_COLUMN: &str = "_epoch";
/// The column of a table of changes that holds an update's diff.
pub const DIFF_COLUMN: &str = "_diff";

/// What a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The view exactly as of the last commit's epoch.
    Current,
    /// Every row that was ever added; the view never retracts.
    Append,
    /// Every consolidated update, with `_epoch` and `_diff`.
    Changes,
}

impl Mode {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Current => "current",
            Mode::Append => "append",
            Mode::Changes => "changes",
        }
    }
}

/// For how long what readers of older versions need is kept, if `retention` does not say.
const RETENTION_DEFAULT: Duration = Duration::from_secs(600);

/// Makes lake sinks.
#[derive(Clone, Debug, Default)]
pub struct LakeConnector {
    lake: Lake,
}

impl LakeConnector {
    /// A connector whose tables lie in `lake`.
    pub fn new(lake: &Lake) -> Self {
        LakeConnector { lake: lake.clone() }
    }
}

/// A checked lake sink.
#[derive(Clone, Debug)]
pub struct LakeSpec {
    /// The lake that the table lies in.
    pub lake: Lake,
    /// The sink's name: second part of its transaction ids.
    pub sink: String,
    /// The table's path below the lake.
    pub table: String,
    /// What the table holds.
    pub mode: Mode,
    /// Its columns.
    pub columns: TableColumns,
    /// The columns that rows are sorted by within a file, most significant first.
    pub sort: Vec<usize>,
    /// For how long what readers of older versions need is kept.
    pub retention: Duration,
}

impl SinkConnector for LakeConnector {
    fn name(&self) -> &'static str {
        "lake"
    }

    fn check(&self, name: &str, view: &ViewFacts, options: &mut Options) -> Result<Box<dyn SinkSpec>> {
        Ok(Box::new(LakeSpec::check(name, view, options, &self.lake)?))
    }
}

impl LakeSpec {
    /// See [`SinkConnector::check`].
    ///
    /// # Errors
    /// For options that are wrong or do not fit the view.
    pub fn check(name: &str, view: &ViewFacts, options: &mut Options, lake: &Lake) -> Result<Self> {
        let mode_span = options.clone().take("mode").map(|(_, span)| span).unwrap_or_default();
        let mode = match options.take_choice("mode", &["current", "append", "changes"])? {
            "append" => Mode::Append,
            "changes" => Mode::Changes,
            _ => Mode::Current,
        };
        // As a log of what was ever refused, rejects may be appended although a reject goes when its row does.
        if mode == Mode::Append && !view.append_only && view.name != REJECTS {
            let message = format!("{} cannot append: \"{}\" can take rows back", options.owner(), view.name);
            return Err(options.error(mode_span, message).with_hint(
                "write mode = 'current' to keep the rows as they are now, or mode = 'changes' to keep every change",
            ));
        }
        let table = check_table(&view.name, options)?;
        let schema = table_schema(mode, view, options)?;
        let partition = check_partition(&schema, view, options)?;
        let columns = TableColumns::new(&schema, partition)?;
        if columns.in_file.is_empty() {
            return Err(Error::user(format!("{} is partitioned by all of its columns", options.owner()))
                .with_hint("leave one out of partition_by"));
        }
        let sort = sort_columns(&columns, view);
        let retention = take_retention(options)?;
        Ok(LakeSpec { lake: lake.clone(), sink: name.to_owned(), table, mode, columns, sort, retention })
    }

    /// [`LakeSpec::retention`] in milliseconds.
    pub fn retention_ms(&self) -> i64 {
        i64::try_from(self.retention.as_millis()).unwrap_or(i64::MAX)
    }

    /// The columns whose least and greatest values the log keeps: at most 32, numbers and times first of all, and of
    /// strings those that rows are sorted by and those among the first four columns (later ones tend to be long). Names
    /// are escaped as Delta reads them.
    pub fn stats_columns(&self) -> Vec<String> {
        let wanted = |index: &usize| {
            let kind = self.columns.stored.field(*index).data_type();
            let is_text = kind == &DataType::Utf8View;
            !kind.is_nested() && kind != &DataType::Binary && (!is_text || *index < 4 || self.sort.contains(index))
        };
        let columns = self.columns.in_file.iter().copied().filter(wanted).take(32);
        columns.map(|index| ColumnName::new([self.columns.stored.field(index).name()]).to_string()).collect()
    }

    /// Opens the sink in `lake` instead of its own; see [`SinkSpec::open`].
    ///
    /// # Errors
    /// As [`SinkSpec::open`].
    pub fn open_in(&self, lake: LakeStore, context: &SinkContext, last: Option<(u64, &Staged)>) -> Result<LakeSink> {
        LakeSink::open(self.clone(), lake, context, last)
    }
}

impl SinkSpec for LakeSpec {
    fn describe(&self) -> String {
        let mut text = format!("{}, mode {}", self.target(), self.mode.name());
        let by: Vec<String> = self
            .columns
            .partition
            .iter()
            .map(|column| {
                let source = self.columns.stored.field(column.source).name();
                match column.transform {
                    Transform::Column => source.clone(),
                    Transform::Day => format!("day({source})"),
                }
            })
            .collect();
        if !by.is_empty() {
            text.push_str(", partitioned by ");
            text.push_str(&by.join(", "));
        }
        text
    }

    fn target(&self) -> String {
        format!("lake table \"{}\"", self.table)
    }

    fn open(&self, context: &SinkContext, last: Option<(u64, &Staged)>) -> Result<Box<dyn Sink>> {
        let lake = self.lake.open()?;
        Ok(Box::new(self.open_in(lake, context, last)?))
    }

    fn can_begin_anew(&self) -> bool {
        // Of changes, readers have seen the epochs that would be written anew as others.
        self.mode != Mode::Changes
    }
}

/// The table's path: parts of letters, digits, `_`, `-` and `.`, none of which begins with `_` or `.` or holds `=`.
fn check_table(view: &str, options: &mut Options) -> Result<String> {
    let (table, span) = options.take("table").unwrap_or_else(|| (view.to_owned(), Place::default()));
    let good = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['_', '.'])
            && part.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'))
    };
    if table.len() <= 512 && table.split('/').all(good) {
        return Ok(table);
    }
    Err(options.error(span, format!("{} cannot use \"{table}\" as the path of a table", options.owner())).with_hint(
        "write table = '…' with letters, digits, '_', '-' and '.', folders separated by '/', none beginning with '_' or '.'",
    ))
}

/// The option `retention`: a whole number of minutes, hours or days, such as `10 minutes`, at least one minute.
fn take_retention(options: &mut Options) -> Result<Duration> {
    let Some((text, span)) = options.take("retention") else {
        return Ok(RETENTION_DEFAULT);
    };
    let parse = || {
        let (count, unit) = text.trim().split_once(char::is_whitespace)?;
        let unit_s = match unit.trim().trim_end_matches('s') {
            "minute" | "min" => 60,
            "hour" => 3_600,
            "day" => 86_400,
            _ => return None,
        };
        let seconds = count.parse::<u64>().ok().filter(|count| (1..=5_000_000).contains(count))? * unit_s;
        Some(Duration::from_secs(seconds))
    };
    parse().ok_or_else(|| {
        options
            .error(span, format!("option \"retention\" of {} cannot be '{text}'", options.owner()))
            .with_hint("write how long a query may take, in minutes, hours or days: retention = '10 minutes'")
    })
}

/// The columns of the table: the view's, and those that a table of changes has.
fn table_schema(mode: Mode, view: &ViewFacts, options: &Options) -> Result<Schema> {
    let mut fields: Vec<Field> = view.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
    if mode == Mode::Changes {
        fields.push(Field::new(EPOCH_COLUMN, DataType::Int64, true));
        fields.push(Field::new(DIFF_COLUMN, DataType::Int64, true));
    }
    for (index, field) in fields.iter().enumerate() {
        let same = |other: &Field| other.name().eq_ignore_ascii_case(field.name());
        if fields[..index].iter().any(same) {
            let name = field.name();
            return Err(Error::user(format!("{} would have two columns named \"{name}\"", options.owner()))
                .with_hint("the names of a table's columns must differ in more than case: rename one in the view"));
        }
        if field.name().is_empty() || field.name().contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '=']) {
            return Err(Error::user(format!(
                "column \"{}\" of \"{}\" has a name that a lake table cannot hold",
                field.name(),
                view.name
            ))
            .with_hint("name it in the view with letters, digits and '_': … AS name"));
        }
    }
    Ok(Schema::new(fields))
}

fn check_partition(schema: &Schema, view: &ViewFacts, options: &mut Options) -> Result<Vec<PartitionColumn>> {
    let Some((text, span)) = options.take("partition_by") else {
        return Ok(Vec::new());
    };
    let mut columns: Vec<PartitionColumn> = Vec::new();
    for item in text.split(',').map(str::trim) {
        let column = partition_column(item, schema, view).map_err(|error| {
            let message = error.to_string();
            let placed = options.error(span, format!("partition_by of {}: {message}", options.owner()));
            match error.hint() {
                Some(hint) => placed.with_hint(hint),
                None => placed,
            }
        })?;
        if columns.iter().any(|other| other.name == column.name) {
            return Err(
                options.error(span, format!("partition_by of {} names \"{}\" twice", options.owner(), column.name))
            );
        }
        columns.push(column);
    }
    Ok(columns)
}

fn partition_column(item: &str, schema: &Schema, view: &ViewFacts) -> Result<PartitionColumn> {
    let call = item.strip_suffix(')').and_then(|inner| inner.split_once('('));
    let (transform, name) = match call {
        None => (Transform::Column, item),
        Some((function, name)) if function.trim().eq_ignore_ascii_case("day") => (Transform::Day, name.trim()),
        Some((function, _)) => {
            return Err(Error::user(format!("unknown partition function \"{}\"", function.trim()))
                .with_hint("write a column's name or day(column)"));
        }
    };
    let found = schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name));
    let Some(source) = found else {
        let error = Error::user(format!("\"{}\" has no column \"{name}\"", view.name));
        let names = schema.fields().iter().map(|field| field.name().as_str());
        return Err(match nearest(name, names.clone()) {
            Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
            None => error.with_hint(format!("its columns are {}", names.collect::<Vec<_>>().join(", "))),
        });
    };
    let field = schema.field(source);
    let stored = stored_type(field.data_type()).map_err(Error::user)?;
    match transform {
        Transform::Column if can_partition(&stored) => {
            Ok(PartitionColumn { name: field.name().clone(), source, transform })
        }
        Transform::Column => Err(Error::user(format!(
            "column \"{}\" of type {} cannot be a partition column",
            field.name(),
            field.data_type()
        ))
        .with_hint(match stored {
            DataType::Timestamp(_, _) => format!("write day({})", field.name()),
            _ => "choose a column of strings, integers, dates or booleans".to_owned(),
        })),
        Transform::Day if !matches!(stored, DataType::Timestamp(_, _) | DataType::Date32) => Err(Error::user(format!(
            "day({}) needs a time or a date, and the column has type {}",
            field.name(),
            field.data_type()
        ))
        .with_hint(format!("write partition_by = '{}'", field.name()))),
        Transform::Day if schema.fields().iter().any(|field| field.name().eq_ignore_ascii_case("day")) => {
            Err(Error::user("day(…) adds a column \"day\", and the view has one already")
                .with_hint("write partition_by = 'day', or rename the view's column"))
        }
        Transform::Day => Ok(PartitionColumn { name: "day".to_owned(), source, transform }),
    }
}

/// The key's columns if it is known, else the first three; of those, what can be compared and is in the files.
fn sort_columns(columns: &TableColumns, view: &ViewFacts) -> Vec<usize> {
    let wanted = view.key.clone().unwrap_or_else(|| (0..columns.stored.fields().len().min(3)).collect());
    let sortable =
        |index: &usize| columns.in_file.contains(index) && !columns.stored.field(*index).data_type().is_nested();
    wanted.into_iter().filter(sortable).collect()
}

/// The sinks of this module.
pub(crate) fn connector(lake: &Lake) -> Arc<dyn SinkConnector> {
    Arc::new(LakeConnector::new(lake))
}
