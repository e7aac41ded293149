use catchment_contract::arrow::array::{DictionaryArray, Int64Array, UInt32Array};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::{Expr, col, lit};

use catchment_contract::arrow::datatypes::{Field, Schema};

use super::*;

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<StringViewArray>())
}

/// The texts `values[key]`, null for a null key.
fn dictionary(values: &[Option<&str>], keys: &[Option<u32>]) -> ArrayRef {
    let keys: UInt32Array = keys.iter().copied().collect();
    Arc::new(DictionaryArray::<UInt32Type>::new(keys, texts(values)))
}

fn updates(columns: Vec<ArrayRef>) -> Updates {
    let len = columns[0].len();
    Updates::new(len, columns, Run::One(3), Run::Each((1..=len as i64).collect::<Vec<_>>().into()))
}

fn compiled(expr: &Expr) -> Expression {
    let fields = vec![Field::new("t", DataType::Utf8View, true), Field::new("n", DataType::Int64, true)];
    let schema = DFSchema::try_from(Schema::new(fields)).unwrap();
    Expression::compile(expr, &schema, &ExecutionProps::new()).unwrap()
}

/// A constant as the planner coerces it for a column of views.
fn view(text: &str) -> Expr {
    Expr::Literal(ScalarValue::Utf8View(Some(text.to_string())), None)
}

/// Rows of `t`, encoded in every way that an edge may have.
fn encodings() -> Vec<ArrayRef> {
    vec![
        texts(&[Some("a"), None, Some("b"), Some("a"), Some("")]),
        dictionary(&[Some("a"), Some("b"), Some("")], &[Some(0), None, Some(1), Some(0), Some(2)]),
        dictionary(&[None, Some("b"), Some("a"), Some("")], &[Some(2), Some(0), Some(1), Some(2), Some(3)]),
        // More values than rows: evaluated row by row.
        dictionary(
            &[Some("q"), Some("r"), Some("s"), Some("b"), Some("a"), Some(""), Some("u")],
            &[Some(4), None, Some(3), Some(4), Some(5)],
        ),
    ]
}

fn numbers() -> ArrayRef {
    Arc::new(Int64Array::from(vec![Some(1), Some(2), None, Some(0), Some(5)]))
}

fn shown(updates: &Updates) -> Vec<String> {
    let names: Vec<String> = (0..updates.columns().len()).map(|n| n.to_string()).collect();
    (0..updates.len())
        .map(|row| format!("{} {}", updates.diffs().at(row), row_text(&names, &updates.slice(row, 1))))
        .collect()
}

fn check(stages: &[Stage], expect: &[&str]) {
    for text in encodings() {
        let made = run(stages, updates(vec![text.clone(), numbers()])).unwrap();
        assert_eq!(shown(&made), expect, "{:?}", text.data_type());
    }
}

#[test]
fn filters_and_projections_do_not_see_encodings() {
    check(&[Stage::Filter(compiled(&col("t").eq(view("a"))))], &[r#"1 {"0":"a","1":1}"#, r#"4 {"0":"a","1":0}"#]);
    check(&[Stage::Filter(compiled(&col("t").is_null()))], &[r#"2 {"0":null,"1":2}"#]);
    check(
        &[Stage::Filter(compiled(&col("t").not_eq(view("a")).and(col("n").gt(lit(3i64)))))],
        &[r#"5 {"0":"","1":5}"#],
    );
    let both = compiled(&col("t").is_null().or(col("n").is_null()));
    let constant = Expression::constant(ScalarValue::Utf8View(Some("c".into())));
    check(
        &[Stage::Filter(both), Stage::Project(vec![constant, compiled(&col("t")), compiled(&col("t").is_null())])],
        &[r#"2 {"0":"c","1":null,"2":true}"#, r#"3 {"0":"c","1":"b","2":false}"#],
    );
}

#[test]
fn a_projection_of_a_dictionary_is_computed_by_value() {
    let cast = compiled(&datafusion_expr::cast(col("t"), DataType::Utf8));
    let text = dictionary(&[Some("a"), Some("b")], &[Some(0), Some(1), Some(0)]);
    let made = cast.evaluate(&[text], 3).unwrap();
    assert_eq!(made.data_type(), &DataType::Utf8, "spread over the rows");
    let upper = compiled(&datafusion_functions::string::expr_fn::upper(col("t")));
    let text = dictionary(&[Some("a"), Some("b")], &[Some(0), Some(1), Some(0)]);
    let made = upper.evaluate(&[text], 3).unwrap();
    assert!(matches!(made.data_type(), DataType::Dictionary(_, _)), "still a dictionary: {:?}", made.data_type());
}

#[test]
fn sets_know_sqls_nulls() {
    let set = |keys: &[Option<&str>], rule| Stage::InSet(KeySet::new(vec![0], &[texts(keys)], keys.len(), rule));
    let (a, null) = (Some("a"), None);
    let all = [
        r#"1 {"0":"a","1":1}"#,
        r#"2 {"0":null,"1":2}"#,
        r#"3 {"0":"b","1":null}"#,
        r#"4 {"0":"a","1":0}"#,
        r#"5 {"0":"","1":5}"#,
    ];
    check(&[set(&[a, null], SetRule::In)], &[all[0], all[3]]);
    check(&[set(&[a, null], SetRule::NotExists)], &[all[1], all[2], all[4]]);
    check(&[set(&[a, null], SetRule::NotIn)], &[]);
    check(&[set(&[a], SetRule::NotIn)], &[all[2], all[4]]);
    check(&[set(&[], SetRule::NotIn)], &all);
    check(&[set(&[], SetRule::In)], &[]);
}

#[test]
fn only_the_rows_that_fail_become_faults() {
    let stages = [Stage::Project(vec![compiled(&(lit(10i64) / col("n")))])];
    let names = ["t".to_string(), "n".to_string()];
    for text in encodings() {
        let Transformed { updates, faults } = run_with_faults(&stages, "v", &names, updates(vec![text, numbers()]));
        assert_eq!(shown(&updates), [r#"1 {"0":10}"#, r#"2 {"0":5}"#, r#"3 {"0":null}"#, r#"5 {"0":2}"#]);
        let faults = faults.unwrap();
        assert_eq!(
            shown(&faults),
            [r#"4 {"0":"v","1":null,"2":null,"3":"{\"t\":\"a\",\"n\":0}","4":"divide by zero error"}"#]
        );
        assert_eq!(faults.epochs().at(0), 3);
    }
}

#[test]
fn a_value_that_no_row_has_faults_nobody() {
    let number = compiled(&datafusion_expr::cast(col("t"), DataType::Int64));
    let text = dictionary(&[Some("1"), Some("x")], &[Some(0), Some(0), Some(0)]);
    let made = run_with_faults(&[Stage::Project(vec![number])], "v", &["t".to_string()], updates(vec![text]));
    assert!(made.faults.is_none());
    assert_eq!(shown(&made.updates), [r#"1 {"0":1}"#, r#"2 {"0":1}"#, r#"3 {"0":1}"#]);
}
