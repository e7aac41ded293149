//! The columns that a job declares for a source, as Arrow types.
//!
//! Names of types are those of standard SQL and its usual dialects. Text is `Utf8View`, every instant
//! `Timestamp(Microsecond, "UTC")`: the types that flow.

use std::sync::Arc;

use catchment_contract::arrow::datatypes::{DataType, Field, Schema};
use catchment_contract::{Declaration, Error, Result};
use datafusion_sql::sqlparser::ast::{ArrayElemTypeDef, DataType as SqlType, ExactNumberInfo};

use crate::catalog::timestamp_type;
use crate::statement::{ColumnText, ColumnsText};
use crate::text::Text;

const TYPES: &str = "types are BOOLEAN, SMALLINT, INTEGER, BIGINT, REAL, DOUBLE, DECIMAL(p, s), TEXT, DATE, TIMESTAMP and \
                     arrays of these such as TEXT[]";

/// What `declared` says, for a connector. A column without a type has the type `Null`.
///
/// # Errors
/// For a type that no column can have, and for a key column that is not declared.
pub fn declaration(declared: &ColumnsText, text: &Text) -> Result<Declaration> {
    let ColumnsText { columns, key } = declared;
    for name in key {
        if !columns.iter().any(|column| column.name.text == name.text) {
            let message = format!("the primary key names \"{}\", which is no column of the source", name.text);
            return Err(text.error(name.place, message, "declare it with its type, or take it out of the key"));
        }
    }
    let fields = columns.iter().map(|column| field(column, key.iter().any(|name| name.text == column.name.text), text));
    let fields = fields.collect::<Result<Vec<Field>>>()?;
    Ok(Declaration {
        columns: (!fields.is_empty()).then(|| Arc::new(Schema::new(fields))),
        primary_key: key.iter().map(|name| name.text.clone()).collect(),
    })
}

fn field(column: &ColumnText, is_key: bool, text: &Text) -> Result<Field> {
    let data_type = match &column.data_type {
        None => DataType::Null,
        Some(sql) => arrow_type(sql).ok_or_else(|| unknown_type(column, sql, text))?,
    };
    Ok(Field::new(&column.name.text, data_type, !is_key))
}

fn unknown_type(column: &ColumnText, sql: &SqlType, text: &Text) -> Error {
    text.error(column.name.place, format!("column \"{}\" cannot have the type {sql}", column.name.text), TYPES)
}

/// An error for a column that needs a type and has none.
pub fn untyped(column: &ColumnText, text: &Text) -> Error {
    let message = format!("column \"{}\" needs a type", column.name.text);
    text.error(column.name.place, message, format!("write {} TEXT, for example; {TYPES}", column.name.text))
}

fn arrow_type(sql: &SqlType) -> Option<DataType> {
    Some(match sql {
        SqlType::Boolean | SqlType::Bool => DataType::Boolean,
        SqlType::TinyInt(_) => DataType::Int8,
        SqlType::SmallInt(_) | SqlType::Int2(_) | SqlType::Int16 => DataType::Int16,
        SqlType::Int(_) | SqlType::Integer(_) | SqlType::Int4(_) | SqlType::Int32 => DataType::Int32,
        SqlType::BigInt(_) | SqlType::Int8(_) | SqlType::Int64 => DataType::Int64,
        SqlType::BigIntUnsigned(_) | SqlType::UInt64 => DataType::UInt64,
        SqlType::Real | SqlType::Float4 | SqlType::Float32 => DataType::Float32,
        SqlType::Float(_) | SqlType::Double(_) | SqlType::DoublePrecision | SqlType::Float8 | SqlType::Float64 => {
            DataType::Float64
        }
        SqlType::Decimal(info) | SqlType::Numeric(info) | SqlType::Dec(info) => decimal(info)?,
        SqlType::Text
        | SqlType::Varchar(_)
        | SqlType::CharacterVarying(_)
        | SqlType::Char(_)
        | SqlType::Character(_)
        | SqlType::String(_)
        | SqlType::Uuid
        | SqlType::JSON => DataType::Utf8View,
        SqlType::Date => DataType::Date32,
        SqlType::Timestamp(..) | SqlType::Datetime(_) => timestamp_type(),
        SqlType::Array(
            ArrayElemTypeDef::SquareBracket(item, _)
            | ArrayElemTypeDef::AngleBracket(item)
            | ArrayElemTypeDef::Parenthesis(item),
        ) => DataType::List(Arc::new(Field::new_list_field(arrow_type(item)?, true))),
        _ => return None,
    })
}

/// `DECIMAL(p, s)`; without figures as many digits as fit, ten of them after the point.
fn decimal(info: &ExactNumberInfo) -> Option<DataType> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (38, 10),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    let fits = (1..=38).contains(&precision) && (0..=i64::try_from(precision).ok()?).contains(&scale);
    fits.then_some(DataType::Decimal128(precision as u8, scale as i8))
}
