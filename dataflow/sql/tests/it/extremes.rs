//! Every scalar function, cast and operator on extreme values: whatever a row holds, it becomes a row or a reject.
//!
//! For each function, argument types that it accepts are drawn at random, some arguments constant, and the call is evaluated
//! over rows of extreme values. No panic may escape, the result of a row may not depend on the rows beside it, what the
//! function table calls infallible may not fail, and no call may take long. `EXTREMES_ROUNDS=n` draws n times as many calls,
//! `EXTREMES_SEED=n` others; with `EXTREMES_SHOW` each is printed before it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use catchment_contract::arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, IntervalMonthDayNanoArray,
    ListArray, StringViewArray, TimestampMicrosecondArray,
};
use catchment_contract::arrow::datatypes::{DataType, Field, Int64Type, IntervalMonthDayNano, Schema};
use catchment_contract::arrow::util::display::{ArrayFormatter, FormatOptions};
use catchment_contract::{Run, WRITABLE_MICROS};
use catchment_engine::Updates;
use catchment_sql::catalog::Catalog;
use catchment_sql::expr::Expression;
use catchment_sql::stage::{Stage, run_with_faults};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::{Expr, Operator, ScalarUDF, binary_expr, cast, col, lit, try_cast};
use datafusion_optimizer::analyzer::type_coercion::TypeCoercionRewriter;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// A call may take so long in a build without optimisation, on a busy machine.
const TIME_MAX: Duration = Duration::from_secs(20);

const TEXTS: [&str; 34] = [
    "",
    "a",
    "é",
    " ",
    "day",
    "hour",
    "month",
    "century",
    "bogus",
    "2024-01-01",
    "2024-01-01T10:00:00Z",
    "99999999999-01-01",
    "%Y-%m-%d",
    "%Q",
    "%",
    "%999999999d",
    "%+%+%+",
    "UTC",
    "+25:00",
    "Europe/Berlin",
    "(a+)+$",
    "[",
    "a{1000}{1000}{1000}",
    "\\",
    "$1",
    "g",
    "hex",
    "base64",
    "NaN",
    "9223372036854775808",
    "-1",
    "1e309",
    "\0",
    "😀😀",
];
const NUMBERS: [i64; 14] =
    [0, 1, -1, 2, 3, 7, 100, 3_000_000_000, 1_000_000_000_000, i64::MAX, i64::MIN, i64::MAX - 1, -100, 1_048_577];
const FLOATS: [f64; 12] =
    [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 1.5, -2.5, 1e18, 5e-324, 9.3e18];
const INSTANTS: [i64; 9] = [
    0,
    1_704_067_200_000_001,
    i64::MAX,
    i64::MIN,
    9_300_000_000_000_000,
    -62_135_596_800_000_000,
    253_402_300_799_999_999,
    -9_223_372_036_854_775,
    9_223_372_036_854_775,
];
const DAYS: [i32; 7] = [0, 19_723, i32::MAX, i32::MIN, -719_162, 2_932_896, 106_751_991];

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let rows = 40;
    let some = |row: usize| row % 9 != 8;
    let decimals =
        [0i128, 1, -1, 10i128.pow(37), -(10i128.pow(37)), 99_999_999_999_999_999_999_999_999_999_999_999_999];
    let intervals = [(0, 1, 0), (i32::MAX, 0, 0), (0, i32::MIN, 0), (1, 1, i64::MAX), (0, 0, 0), (0, 0, 1)];
    let number = |row: usize| some(row).then(|| NUMBERS[row % NUMBERS.len()]);
    let text = |row: usize| some(row).then(|| TEXTS[row % TEXTS.len()].to_string());
    let long = |row: usize| match row % 3 {
        0 => Some("aé ".repeat(5_000)),
        1 => text(row * 7),
        _ => text(row * 5 + 3),
    };
    let lists = (0..rows).map(|row| some(row).then(|| (0..row % 4).map(|n| number(row + n)).collect::<Vec<_>>()));
    let texts = (0..rows).map(|row| some(row).then(|| (0..row % 4).map(|n| text(row * 3 + n)).collect::<Vec<_>>()));
    let mut builder =
        catchment_contract::arrow::array::ListBuilder::new(catchment_contract::arrow::array::StringViewBuilder::new());
    texts.for_each(|list| builder.append_option(list));
    let span = |row: usize| {
        let (months, days, nanoseconds) = intervals[row % intervals.len()];
        some(row).then(|| IntervalMonthDayNano::new(months, days, nanoseconds))
    };
    vec![
        ("n", Arc::new((0..rows).map(number).collect::<Int64Array>())),
        ("m", Arc::new((0..rows).map(|row| number(row * 5 + 2)).collect::<Int64Array>())),
        ("x", Arc::new((0..rows).map(|row| some(row).then(|| FLOATS[row % 12])).collect::<Float64Array>())),
        ("t", Arc::new((0..rows).map(text).collect::<StringViewArray>())),
        ("u", Arc::new((0..rows).map(long).collect::<StringViewArray>())),
        ("b", Arc::new((0..rows).map(|row| some(row).then_some(row % 2 == 0)).collect::<BooleanArray>())),
        (
            "at",
            Arc::new(
                (0..rows)
                    .map(|row| some(row).then(|| INSTANTS[row % 9]))
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            ),
        ),
        ("d", Arc::new((0..rows).map(|row| some(row).then(|| DAYS[row % 7])).collect::<Date32Array>())),
        (
            "c",
            Arc::new(
                (0..rows)
                    .map(|row| some(row).then(|| decimals[row % 6]))
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(38, 10)
                    .expect("it fits"),
            ),
        ),
        ("i", Arc::new((0..rows).map(span).collect::<IntervalMonthDayNanoArray>())),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
        ("k", Arc::new(builder.finish())),
    ]
}

struct Bench {
    schema: DFSchema,
    names: Vec<String>,
    updates: Updates,
    /// Rows whose times are of the years 1 to 9999.
    usual: Vec<u32>,
    props: ExecutionProps,
    random: StdRng,
    found: Vec<String>,
    /// How many calls were evaluated.
    calls: usize,
    /// Why calls failed, by what was called.
    failed: BTreeMap<String, BTreeSet<String>>,
}

impl Bench {
    fn new() -> Bench {
        let columns = columns();
        let fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
        let schema = DFSchema::try_from(Schema::new(fields.collect::<Vec<_>>())).expect("names are unique");
        let names = columns.iter().map(|(name, _)| name.to_string()).collect();
        let rows = columns[0].1.len();
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let usual = |row: &usize| {
            let (at, day) = (INSTANTS[row % INSTANTS.len()], DAYS[row % DAYS.len()]);
            WRITABLE_MICROS.contains(&at) && WRITABLE_MICROS.contains(&i64::from(day).saturating_mul(86_400_000_000))
        };
        let usual = (0..rows).filter(usual).map(|row| row as u32).collect();
        let updates = Updates::new(rows, columns, Run::One(1), Run::One(1));
        let config_options = Some(Catalog::new().config().clone());
        let props = ExecutionProps { config_options, ..ExecutionProps::default() };
        let random = StdRng::seed_from_u64(variable("EXTREMES_SEED").unwrap_or(1));
        let (found, failed) = (Vec::new(), BTreeMap::new());
        Bench { schema, names, updates, usual, props, random, found, calls: 0, failed }
    }

    /// A column, or a constant that some column holds.
    fn argument(&mut self) -> Expr {
        if self.random.random_bool(0.65) {
            return col(self.names.choose(&mut self.random).expect("some").as_str());
        }
        match self.random.random_range(0..8) {
            0..3 => lit(ScalarValue::Utf8View(TEXTS.choose(&mut self.random).map(|text| text.to_string()))),
            3..5 => lit(*NUMBERS.choose(&mut self.random).expect("some")),
            5 => lit(*FLOATS.choose(&mut self.random).expect("some")),
            6 => lit(ScalarValue::Utf8View(None)),
            _ => lit(self.random.random_range(0..4i64)),
        }
    }

    /// Evaluates `expr` if its types fit; whether they did.
    fn evaluate(&mut self, what: &str, expr: Expr) -> bool {
        let Ok(coerced) = expr.clone().rewrite(&mut TypeCoercionRewriter::new(&self.schema)) else { return false };
        // What plans and fails to compile is refused when a job is checked.
        let compiled =
            catchment_contract::panics::caught(|| Expression::compile(&coerced.data, &self.schema, &self.props));
        let compiled = match compiled {
            Ok(Ok(compiled)) => compiled,
            Ok(Err(_)) => return false,
            Err(panic) => {
                self.found.push(format!("{expr}: compiling panics: {panic}"));
                return true;
            }
        };
        let fallible = compiled.fallible();
        self.calls += 1;
        if std::env::var_os("EXTREMES_SHOW").is_some() {
            eprintln!("{expr}");
        }
        let stages = [Stage::Project(vec![compiled])];
        let start = Instant::now();
        let whole = self.run(&stages, &self.updates);
        if start.elapsed() > TIME_MAX {
            self.found.push(format!("{expr}: takes {:?}", start.elapsed()));
        }
        let mut single = Vec::new();
        for row in 0..self.updates.len() {
            single.extend(self.run(&stages, &self.updates.slice(row, 1)));
        }
        let mut sorted = whole.clone();
        sorted.sort();
        single.sort();
        if sorted != single {
            let (only, other): (Vec<_>, Vec<_>) = (without(&sorted, &single), without(&single, &sorted));
            self.found.push(format!("{expr}: a row's result depends on others\n  {only:.300?}\n  {other:.300?}"));
        }
        if whole.iter().any(|row| row.contains("should have been simplified")) {
            return false;
        }
        let faults = whole.iter().filter(|row| row.starts_with("fault")).count();
        if faults > 0 {
            let reasons =
                whole.iter().filter(|row| row.starts_with("fault")).filter_map(|row| row.rsplit(" | ").next());
            self.failed.entry(what.to_string()).or_default().extend(reasons.map(str::to_string));
            let usual = self.updates.take(&self.usual);
            let rows = if fallible { Vec::new() } else { self.run(&stages, &usual) };
            if let Some(row) = rows.iter().find(|row| row.starts_with("fault")) {
                self.found.push(format!("{expr}: is called infallible: {row:.300}"));
            }
        }
        if let Some(row) = whole.iter().find(|row| row.contains("a function failed on this row")) {
            println!("{expr}: {}", row.chars().rev().take(160).collect::<Vec<_>>().iter().rev().collect::<String>());
        }
        true
    }

    /// The rows and faults, as texts.
    fn run(&self, stages: &[Stage], updates: &Updates) -> Vec<String> {
        let ran = run_with_faults(stages, "v", &self.names, updates.clone());
        let mut rows = texts("row", &ran.updates);
        rows.extend(ran.faults.iter().flat_map(|faults| texts("fault", faults)));
        rows
    }

    fn finish(mut self, calls_min: usize) {
        self.found.sort();
        println!("{} calls, {} kinds of calls failed for some row", self.calls, self.failed.len());
        for (what, reasons) in &self.failed {
            println!("{what}: {:.300}", reasons.iter().take(4).cloned().collect::<Vec<_>>().join("; "));
        }
        assert!(self.calls >= calls_min, "only {} calls fit", self.calls);
        assert!(self.found.is_empty(), "{} findings\n{}", self.found.len(), self.found.join("\n"));
    }
}

fn without(these: &[String], those: &[String]) -> Vec<String> {
    these.iter().filter(|row| !those.contains(row)).take(2).cloned().collect()
}

/// The rows of `updates`; long values by their hash.
fn texts(kind: &str, updates: &Updates) -> Vec<String> {
    let row = |row: usize| {
        let cells = updates.columns().iter().map(|column| {
            let column = catchment_engine::flatten(column);
            let options = FormatOptions::default().with_null("NULL");
            let text =
                ArrayFormatter::try_new(&column, &options).map_or("?".to_string(), |it| it.value(row).to_string());
            match text.len() {
                0..400 => text,
                length => {
                    format!("{length} bytes, {:x}", BuildHasherDefault::<DefaultHasher>::default().hash_one(&text))
                }
            }
        });
        format!("{kind}: {}", cells.collect::<Vec<_>>().join(" | "))
    };
    (0..updates.len()).map(row).collect()
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn functions() -> Vec<Arc<ScalarUDF>> {
    let catalog = Catalog::new();
    let mut names: Vec<String> = catalog.function_names().map(str::to_string).collect();
    names.sort();
    names.dedup();
    let functions =
        names.iter().filter_map(|name| catalog.get_function_meta(name).filter(|known| known.name() == name));
    functions.filter(|function| function.signature().volatility == datafusion_expr::Volatility::Immutable).collect()
}

#[test]
fn every_function_makes_rows_or_rejects_of_extreme_values() {
    let mut bench = Bench::new();
    let rounds = variable("EXTREMES_ROUNDS").unwrap_or(1) as usize;
    let mut unfit = Vec::new();
    for function in functions() {
        let (mut fits, wanted) = (0, 6 * rounds);
        for _ in 0..400 * rounds {
            if fits == wanted {
                break;
            }
            let mut args: Vec<Expr> = (0..bench.random.random_range(0..5)).map(|_| bench.argument()).collect();
            if function.name().contains("array")
                && let Some(first) = args.first_mut()
            {
                *first = col(["l", "k"][bench.random.random_range(0..2)]);
            }
            let call = Expr::ScalarFunction(ScalarFunction::new_udf(function.clone(), args));
            fits += usize::from(bench.evaluate(function.name(), call));
        }
        if fits == 0 {
            unfit.push(function.name().to_string());
        }
    }
    println!("no arguments fit {}", unfit.join(", "));
    assert!(unfit.len() < 30, "{unfit:?}");
    bench.finish(800 * rounds);
}

#[test]
fn every_cast_makes_rows_or_rejects_of_extreme_values() {
    let mut bench = Bench::new();
    let mut types: Vec<DataType> = bench.updates.columns().iter().map(|column| column.data_type().clone()).collect();
    types.extend([
        DataType::Int8,
        DataType::Int32,
        DataType::UInt64,
        DataType::Float32,
        DataType::Decimal128(10, 2),
        DataType::Utf8,
        DataType::Date64,
        DataType::Timestamp(catchment_contract::arrow::datatypes::TimeUnit::Nanosecond, None),
        DataType::Timestamp(catchment_contract::arrow::datatypes::TimeUnit::Second, None),
    ]);
    for name in bench.names.clone() {
        for data_type in &types {
            bench.evaluate("cast", cast(col(name.as_str()), data_type.clone()));
            bench.evaluate("try_cast", try_cast(col(name.as_str()), data_type.clone()));
        }
    }
    bench.finish(250);
}

#[test]
fn every_operator_makes_rows_or_rejects_of_extreme_values() {
    use Operator::*;
    let mut bench = Bench::new();
    let operators = [
        Plus,
        Minus,
        Multiply,
        Divide,
        Modulo,
        Eq,
        NotEq,
        Lt,
        LtEq,
        Gt,
        GtEq,
        IsDistinctFrom,
        StringConcat,
        RegexMatch,
        RegexIMatch,
        RegexNotMatch,
        LikeMatch,
        BitwiseAnd,
        BitwiseOr,
        BitwiseXor,
        BitwiseShiftLeft,
        BitwiseShiftRight,
    ];
    for operator in operators {
        for left in bench.names.clone() {
            for right in bench.names.clone() {
                // A regular expression of 15,000 letters takes an unoptimised build minutes.
                if right == "u" && matches!(operator, RegexMatch | RegexIMatch | RegexNotMatch) {
                    continue;
                }
                let expr = binary_expr(col(left.as_str()), operator, col(right.as_str()));
                bench.evaluate(&operator.to_string(), expr);
            }
        }
    }
    for name in bench.names.clone() {
        bench.evaluate("-", Expr::Negative(Box::new(col(name.as_str()))));
    }
    bench.finish(400);
}
