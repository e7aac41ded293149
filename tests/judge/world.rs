//! Random tables and what happens to them: inserts, updates and deletes, cut into epochs.

use std::collections::BTreeMap;

use catchment_contract::Replace;
use catchment_contract::arrow::array::{Array, RecordBatch};
use catchment_contract::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use rand::Rng;
use rand::rngs::StdRng;

use super::common::history::{Arrival, EpochInput, Row, State, null_of};
use super::common::instant;
use super::sql::Type;

/// A source of a random job.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<(String, Type)>,
    /// Whether the first column is its key; rows replace one another then.
    pub keyed: bool,
}

/// 2024-01-01, a Monday, in days since 1970.
const FIRST_DAY: i32 = 19_723;
const DAY_MICROSECONDS: i64 = 86_400_000_000;

impl Table {
    /// A table of one to four columns, besides its key if it has one.
    pub fn random(name: &str, random: &mut StdRng) -> Table {
        let keyed = random.random_bool(0.5);
        let mut columns = Vec::new();
        if keyed {
            columns.push(("id".to_string(), Type::Int));
        }
        for number in 0..random.random_range(1 + usize::from(!keyed)..5) {
            columns.push((format!("c{number}"), Type::ALL[random.random_range(0..Type::ALL.len())]));
        }
        Table { name: name.to_string(), columns, keyed }
    }

    /// Its `CREATE SOURCE` statement.
    pub fn source(&self) -> String {
        let mut parts: Vec<String> =
            self.columns.iter().map(|(name, data_type)| format!("{name} {}", data_type.name())).collect();
        if self.keyed {
            parts.push("PRIMARY KEY (id)".to_string());
        }
        let (name, parts) = (&self.name, parts.join(", "));
        format!("CREATE SOURCE {name} ({parts}) WITH (connector = 'table', kind = 'declared')")
    }

    /// The table without rows.
    pub fn state(&self) -> State {
        let replace = if self.keyed { Replace::Row } else { Replace::Never };
        State::new(self.schema(), if self.keyed { vec![0] } else { vec![] }, replace)
    }

    fn schema(&self) -> SchemaRef {
        let field = |(index, (name, data_type)): (usize, &(String, Type))| {
            Field::new(name, arrow_type(*data_type), !(self.keyed && index == 0))
        };
        std::sync::Arc::new(Schema::new(self.columns.iter().enumerate().map(field).collect::<Vec<_>>()))
    }

    fn row(&self, random: &mut StdRng) -> Row {
        let values = self.columns.iter().enumerate().map(|(index, (_, data_type))| {
            if self.keyed && index == 0 {
                return ScalarValue::Int64(Some(random.random_range(0..6)));
            }
            let value = value(*data_type, random);
            if random.random_bool(0.2) { null_of(&value.data_type()) } else { value }
        });
        values.collect()
    }

    /// Statements that make the table in DuckDB with the rows `rows`.
    pub fn in_duckdb(&self, rows: &RecordBatch) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|(name, data_type)| format!("{name} {}", data_type.name())).collect();
        let mut text = format!("CREATE OR REPLACE TABLE {} ({});\n", self.name, columns.join(", "));
        let lines: Vec<String> = (0..rows.num_rows())
            .map(|row| {
                let cells = rows.columns().iter().zip(&self.columns);
                let cells = cells.map(|(column, (_, data_type))| literal(column, row, *data_type));
                format!("({})", cells.collect::<Vec<_>>().join(", "))
            })
            .collect();
        if !lines.is_empty() {
            text += &format!("INSERT INTO {} VALUES {};\n", self.name, lines.join(", "));
        }
        text
    }
}

/// The Arrow type of a column.
pub fn arrow_type(data_type: Type) -> DataType {
    match data_type {
        Type::Int => DataType::Int64,
        Type::Float => DataType::Float64,
        Type::Text => DataType::Utf8View,
        Type::Bool => DataType::Boolean,
        Type::Time => instant(),
        Type::Date => DataType::Date32,
        Type::Decimal => DataType::Decimal128(38, 0),
    }
}

/// Texts of rows and of literals.
pub const TEXTS: [&str; 10] = ["", "a", "b", "ab", "A", " a ", "7", "12", "é", "a b"];

fn value(data_type: Type, random: &mut StdRng) -> ScalarValue {
    match data_type {
        Type::Int => ScalarValue::Int64(Some(random.random_range(-3..4))),
        Type::Float => {
            let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0];
            let plain = f64::from(random.random_range(-6..7)) / 2.0;
            ScalarValue::Float64(Some(if random.random_bool(0.1) { special[random.random_range(0..4)] } else { plain }))
        }
        Type::Text => ScalarValue::Utf8View(Some(TEXTS[random.random_range(0..TEXTS.len())].to_string())),
        Type::Bool => ScalarValue::Boolean(Some(random.random_bool(0.5))),
        Type::Time => {
            let hours = random.random_range(0..120);
            let at = i64::from(FIRST_DAY) * DAY_MICROSECONDS + hours * 3_600_000_000 + i64::from(hours % 3 == 0);
            ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into()))
        }
        Type::Date => ScalarValue::Date32(Some(FIRST_DAY + random.random_range(0..5))),
        Type::Decimal => ScalarValue::Decimal128(Some(random.random_range(-3..4)), 38, 0),
    }
}

/// The value of `column` at `row` as DuckDB reads it.
fn literal(column: &dyn Array, row: usize, data_type: Type) -> String {
    let value = ScalarValue::try_from_array(column, row).expect("a row of the column");
    match value {
        value if value.is_null() => "NULL".to_string(),
        ScalarValue::Int64(Some(number)) => number.to_string(),
        ScalarValue::Decimal128(Some(number), _, 0) => number.to_string(),
        ScalarValue::Float64(Some(number)) => format!("'{number}'::DOUBLE"),
        ScalarValue::Utf8View(Some(text)) => format!("'{}'", text.replace('\'', "''")),
        ScalarValue::Boolean(Some(truth)) => truth.to_string(),
        ScalarValue::TimestampMicrosecond(Some(at), _) => format!("make_timestamp({at})"),
        ScalarValue::Date32(Some(day)) => format!("DATE '1970-01-01' + {day}"),
        other => panic!("{data_type:?} is not {other:?}"),
    }
}

/// A random history of `tables`.
pub fn history(tables: &[Table], random: &mut StdRng) -> Vec<EpochInput> {
    let mut states: BTreeMap<String, State> = tables.iter().map(|table| (table.name.clone(), table.state())).collect();
    let mut payload = 0;
    (0..random.random_range(1..5))
        .map(|_| {
            let mut input = EpochInput::new();
            for table in tables {
                let state = states.get_mut(&table.name).expect("one a table");
                let mut arrivals = Vec::new();
                for _ in 0..random.random_range(0..9) {
                    payload += 1;
                    let known = state.rows();
                    let leaves = !table.keyed && !known.is_empty() && random.random_bool(0.35);
                    let row =
                        if leaves { known[random.random_range(0..known.len())].clone() } else { table.row(random) };
                    let tombstone = table.keyed && random.random_bool(0.2);
                    let diff = if leaves { -1 } else { 1 };
                    arrivals.push(Arrival { row, version: None, tombstone, diff, payload });
                    state.apply(&arrivals[arrivals.len() - 1..]);
                }
                input.insert(table.name.clone(), arrivals);
            }
            input
        })
        .collect()
}
