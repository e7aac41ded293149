//! Functions whose results are bounded, and those behind operators, against a second implementation of each, by hand, over
//! random rows with nulls, characters of several bytes and extremes. What is larger than the bounds is a fault.

use std::sync::Arc;

use catchment_contract::arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StringViewArray};
use catchment_contract::arrow::array::{ListBuilder, StringViewBuilder};
use catchment_contract::arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema, UInt64Type};
use catchment_sql::catalog::Catalog;
use catchment_sql::expr::Expression;
use catchment_sql::functions::{COMPARISONS_MAX, LIST_ELEMENTS_MAX, VALUE_BYTES_MAX};
use datafusion::common::DFSchema;
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::{Expr, col};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// A row's arguments.
#[derive(Clone, Debug)]
struct Row {
    t: Option<String>,
    u: Option<String>,
    v: Option<String>,
    n: Option<i64>,
    m: Option<i64>,
    l: Option<Vec<String>>,
    k: Option<Vec<String>>,
}

/// A result: `None` is null.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Text(String),
    Number(i64),
    Truth(bool),
    List(Vec<Option<String>>),
    Numbers(Vec<i64>),
}

/// A fault.
#[derive(Debug, PartialEq)]
struct Fault;

type Answer = Result<Option<Cell>, Fault>;

impl Row {
    fn random(random: &mut StdRng) -> Row {
        let pieces = ["", "a", "ab", "b", ",", " ", "é", "🔥", "東京", "\u{0}", "x\u{301}", "ÿ"];
        let text = |random: &mut StdRng, most: usize| {
            let length = random.random_range(0..=most);
            let text = (0..length).filter_map(|_| pieces.choose(random).copied()).collect::<String>();
            (random.random_range(0..12) > 0).then_some(text)
        };
        let number = |random: &mut StdRng| match random.random_range(0..12) {
            0 => None,
            1 => [i64::MIN, i64::MAX, -1, 0, 1000, (1 << 22) + 1, 1 << 24].choose(random).copied(),
            _ => Some(random.random_range(-8..20)),
        };
        let list = |random: &mut StdRng| {
            let length = random.random_range(0..6);
            let list = (0..length).map(|_| text(random, 2).unwrap_or_default()).collect();
            (random.random_range(0..12) > 0).then_some(list)
        };
        Row {
            t: text(random, 12),
            u: text(random, 2),
            v: text(random, 3),
            n: number(random),
            m: number(random),
            l: list(random),
            k: list(random),
        }
    }

    fn columns(&self) -> Vec<ArrayRef> {
        let text = |text: &Option<String>| -> ArrayRef { Arc::new(StringViewArray::from(vec![text.as_deref()])) };
        let number = |number: Option<i64>| -> ArrayRef { Arc::new(Int64Array::from(vec![number])) };
        let (l, k) = (list(&self.l), list(&self.k));
        vec![text(&self.t), text(&self.u), text(&self.v), number(self.n), number(self.m), l, k]
    }
}

fn list(values: &Option<Vec<String>>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringViewBuilder::new());
    match values {
        Some(values) => {
            values.iter().for_each(|value| builder.values().append_value(value));
            builder.append(true);
        }
        None => builder.append(false),
    }
    Arc::new(builder.finish())
}

fn schema() -> DFSchema {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8View, true)));
    let text = DataType::Utf8View;
    let kinds = [text.clone(), text.clone(), text, DataType::Int64, DataType::Int64, list.clone(), list];
    let fields = ["t", "u", "v", "n", "m", "l", "k"].into_iter().zip(kinds);
    let fields: Vec<Field> = fields.map(|(name, kind)| Field::new(name, kind, true)).collect();
    DFSchema::try_from(Schema::new(fields)).expect("names are unique")
}

/// The only value of a column.
fn cell(array: &ArrayRef) -> Option<Cell> {
    let array = catchment_engine::flatten(array);
    if array.is_null(0) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Utf8View => Cell::Text(array.as_string_view().value(0).to_string()),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(0).to_string()),
        DataType::Boolean => Cell::Truth(array.as_boolean().value(0)),
        DataType::Int32 => Cell::Number(array.as_primitive::<Int32Type>().value(0).into()),
        DataType::Int64 => Cell::Number(array.as_primitive::<Int64Type>().value(0)),
        DataType::UInt64 => Cell::Number(array.as_primitive::<UInt64Type>().value(0) as i64),
        DataType::List(_) => of_list(array.as_list::<i32>()),
        other => panic!("a result of the type {other}"),
    })
}

fn of_list(list: &ListArray) -> Cell {
    let items = list.value(0);
    match items.data_type() {
        DataType::Int64 => Cell::Numbers(items.as_primitive::<Int64Type>().values().to_vec()),
        DataType::Utf8 => Cell::List(items.as_string::<i32>().iter().map(|item| item.map(str::to_string)).collect()),
        _ => Cell::List(items.as_string_view().iter().map(|item| item.map(str::to_string)).collect()),
    }
}

/// Compares the function `name` of the columns `args` with `naive` on random rows.
fn compare(name: &str, args: &[&str], naive: impl Fn(&Row) -> Answer) {
    let seed = 20_261_201;
    println!("{name}: seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let function = Catalog::new().get_function_meta(name).expect("it is in the table");
    let call = Expr::ScalarFunction(ScalarFunction::new_udf(function, args.iter().map(|arg| col(*arg)).collect()));
    let expression = Expression::compile(&call, &schema(), &ExecutionProps::new()).expect("the arguments fit");
    for round in 0..1_500 {
        let row = Row::random(&mut random);
        let found = match expression.evaluate(&row.columns(), 1) {
            Ok(array) => Ok(cell(&array)),
            Err(_) => Err(Fault),
        };
        let expected = naive(&row);
        if found != expected {
            let short = |answer: &Answer| format!("{answer:?}").chars().take(300).collect::<String>();
            panic!("{name}, seed {seed}, round {round}: {row:?}\nis {}\nnot {}", short(&found), short(&expected));
        }
    }
}

fn text(text: String) -> Answer {
    Ok(Some(Cell::Text(text)))
}

/// `text` filled up to `length` characters by `fill`, at the front or the end.
fn padded(text_: &str, length: i64, fill: &str, front: bool) -> Answer {
    if length > (VALUE_BYTES_MAX / 4) as i64 {
        return Err(Fault);
    }
    let length = length.max(0) as usize;
    let characters: Vec<char> = text_.chars().collect();
    let mut padding = String::new();
    let missing = length.saturating_sub(characters.len());
    while !fill.is_empty() && padding.chars().count() < missing {
        let at = padding.chars().count() % fill.chars().count();
        padding.push(fill.chars().nth(at).expect("it is not empty"));
    }
    let kept: String = characters.into_iter().take(length).collect();
    text(if front { padding + &kept } else { kept + &padding })
}

#[test]
fn pads() {
    for (name, front) in [("lpad", true), ("rpad", false)] {
        compare(name, &["t", "n", "u"], |row| match (&row.t, row.n, &row.u) {
            (Some(t), Some(n), Some(u)) => padded(t, n, u, front),
            _ => Ok(None),
        });
        compare(name, &["t", "n"], |row| match (&row.t, row.n) {
            (Some(t), Some(n)) => padded(t, n, " ", front),
            _ => Ok(None),
        });
    }
}

#[test]
fn repeats_and_replaces() {
    compare("repeat", &["t", "n"], |row| match (&row.t, row.n) {
        (Some(t), Some(n)) if t.len() as i128 * i128::from(n.max(0)) > i128::from(VALUE_BYTES_MAX) => Err(Fault),
        (Some(t), Some(n)) => text((0..n.max(0)).take_while(|_| !t.is_empty()).fold(String::new(), |all, _| all + t)),
        _ => Ok(None),
    });
    compare("replace", &["t", "u", "v"], |row| match (&row.t, &row.u, &row.v) {
        (Some(t), Some(u), Some(_)) if u.is_empty() => text(t.clone()),
        (Some(t), Some(u), Some(v)) => {
            let (mut made, mut rest) = (String::new(), t.as_str());
            while let Some(first) = rest.chars().next() {
                match rest.strip_prefix(u.as_str()) {
                    Some(behind) => {
                        made += v;
                        rest = behind;
                    }
                    None => {
                        made.push(first);
                        rest = &rest[first.len_utf8()..];
                    }
                }
            }
            text(made)
        }
        _ => Ok(None),
    });
}

#[test]
fn texts_and_lists() {
    compare("array_to_string", &["l", "u"], |row| match (&row.l, &row.u) {
        (Some(l), Some(u)) => {
            let mut made = String::new();
            for (place, item) in l.iter().enumerate() {
                made += if place > 0 { u } else { "" };
                made += item;
            }
            text(made)
        }
        _ => Ok(None),
    });
    compare("string_to_array", &["t", "u"], |row| {
        let Some(t) = &row.t else { return Ok(None) };
        let parts: Vec<String> = match &row.u {
            _ if t.is_empty() => Vec::new(),
            None => t.chars().map(String::from).collect(),
            Some(u) if u.is_empty() => vec![t.clone()],
            Some(u) => {
                let (mut parts, mut rest) = (vec![String::new()], t.as_str());
                while let Some(first) = rest.chars().next() {
                    match rest.strip_prefix(u.as_str()) {
                        Some(behind) => {
                            parts.push(String::new());
                            rest = behind;
                        }
                        None => {
                            parts.last_mut().expect("there is one").push(first);
                            rest = &rest[first.len_utf8()..];
                        }
                    }
                }
                parts
            }
        };
        Ok(Some(Cell::List(parts.into_iter().map(Some).collect())))
    });
    compare("array_repeat", &["t", "n"], |row| match row.n {
        Some(n) if n > LIST_ELEMENTS_MAX as i64 => Err(Fault),
        Some(n) => Ok(Some(Cell::List((0..n.max(0)).map(|_| row.t.clone()).collect()))),
        None => Ok(None),
    });
}

/// The numbers from `start` by `step` to `stop`, which is among them or not.
fn series(start: i64, stop: i64, step: i64, closed: bool) -> Answer {
    let (start, stop, step) = (i128::from(start), i128::from(stop), i128::from(step));
    let is_in = |at: i128| if step > 0 { at < stop } else { at > stop } || closed && at == stop;
    let (mut at, mut numbers) = (start, Vec::new());
    while is_in(at) {
        numbers.push(at as i64);
        at += step;
        if numbers.len() as u64 > LIST_ELEMENTS_MAX {
            return Err(Fault);
        }
    }
    Ok(Some(Cell::Numbers(numbers)))
}

#[test]
fn series_of_numbers() {
    for (name, closed) in [("range", false), ("generate_series", true)] {
        compare(name, &["n", "m"], |row| match (row.n, row.m) {
            (Some(n), Some(m)) => series(n, m, 1, closed),
            _ => Ok(None),
        });
    }
}

#[test]
fn distances_and_pairs() {
    compare("levenshtein", &["t", "u"], |row| {
        let (Some(t), Some(u)) = (&row.t, &row.u) else { return Ok(None) };
        if (t.len() * u.len()) as u64 > COMPARISONS_MAX {
            return Err(Fault);
        }
        let (t, u): (Vec<char>, Vec<char>) = (t.chars().collect(), u.chars().collect());
        Ok(Some(Cell::Number(edits(&t, &u) as i64)))
    });
    compare("array_has_any", &["l", "k"], |row| match (&row.l, &row.k) {
        (Some(l), Some(k)) => Ok(Some(Cell::Truth(k.iter().any(|item| l.contains(item))))),
        _ => Ok(None),
    });
    compare("array_has_all", &["l", "k"], |row| match (&row.l, &row.k) {
        (Some(l), Some(k)) => Ok(Some(Cell::Truth(k.iter().all(|item| l.contains(item))))),
        _ => Ok(None),
    });
}

/// By the definition: insert, leave out, or put in another's place.
fn edits(t: &[char], u: &[char]) -> usize {
    let mut known = vec![vec![0; u.len() + 1]; t.len() + 1];
    for (i, j) in (0..=t.len()).flat_map(|i| (0..=u.len()).map(move |j| (i, j))) {
        known[i][j] = match (i, j) {
            (0, _) => j,
            (_, 0) => i,
            _ => {
                let other = known[i - 1][j - 1] + usize::from(t[i - 1] != u[j - 1]);
                other.min(known[i - 1][j] + 1).min(known[i][j - 1] + 1)
            }
        };
    }
    known[t.len()][u.len()]
}
