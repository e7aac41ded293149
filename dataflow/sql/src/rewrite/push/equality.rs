//! Equalities between the two sides of a join become its keys.

use datafusion_common::{DFSchema, NullEquality, Result, ScalarValue};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Join, Operator, when};

/// An equality: an expression of the left side and one of the right.
pub(super) struct Equality {
    pub left: Expr,
    pub right: Expr,
    /// Whether two nulls are equal: `IS NOT DISTINCT FROM`.
    pub nulls_equal: bool,
}

/// `part` as an equality between columns of `left` and of `right`.
pub(super) fn between(part: &Expr, left: &DFSchema, right: &DFSchema) -> Result<Option<Equality>> {
    let Expr::BinaryExpr(BinaryExpr { left: a, op, right: b }) = part else { return Ok(None) };
    let nulls_equal = match op {
        Operator::Eq => false,
        Operator::IsNotDistinctFrom => true,
        _ => return Ok(None),
    };
    let of = |expr: &Expr, schema: &DFSchema| {
        let columns = expr.column_refs();
        !columns.is_empty() && columns.into_iter().all(|column| schema.has_column(column))
    };
    let (a, b) = match () {
        () if of(a, left) && of(b, right) => (a, b),
        () if of(b, left) && of(a, right) => (b, a),
        () => return Ok(None),
    };
    // Keys are compared as they are: values of two types are equal where a common type says so.
    if a.get_type(left)? != b.get_type(right)? {
        return Ok(None);
    }
    Ok(Some(Equality { left: a.as_ref().clone(), right: b.as_ref().clone(), nulls_equal }))
}

/// Makes keys of `join` of the equalities among `conditions`; the others.
pub(super) fn keys(join: &mut Join, conditions: Vec<Expr>) -> Result<Vec<Expr>> {
    let (mut equalities, mut rest) = (Vec::new(), Vec::new());
    for condition in conditions {
        match between(&condition, join.left.schema(), join.right.schema())? {
            Some(equality) => equalities.push(equality),
            None => rest.push(condition),
        }
    }
    if join.on.is_empty() && !equalities.is_empty() && equalities.iter().all(|equality| equality.nulls_equal) {
        join.null_equality = NullEquality::NullEqualsNull;
        join.on = equalities.into_iter().map(|equality| (equality.left, equality.right)).collect();
        return Ok(rest);
    }
    let join_nulls_equal = join.null_equality == NullEquality::NullEqualsNull;
    for Equality { left, right, nulls_equal } in equalities {
        if nulls_equal == join_nulls_equal {
            join.on.push((left, right));
        } else if nulls_equal {
            join.on.extend(never_null(left, right, join)?);
        } else {
            // Two nulls meet as keys, and are told apart here.
            rest.push(left.clone().eq(right.clone()));
            join.on.push((left, right));
        }
    }
    Ok(rest)
}

/// Keys that are equal where `left` and `right` are equal or both null, and never null themselves.
fn never_null(left: Expr, right: Expr, join: &Join) -> Result<[(Expr, Expr); 2]> {
    let stand_in = ScalarValue::new_default(&left.get_type(join.left.schema())?)?;
    let value =
        |expr: &Expr| when(expr.clone().is_not_null(), expr.clone()).otherwise(Expr::Literal(stand_in.clone(), None));
    let values = (value(&left)?, value(&right)?);
    Ok([(left.is_null(), right.is_null()), values])
}
