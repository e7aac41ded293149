//! `NOT IN` where nulls may be.
//!
//! `x NOT IN (…)` is true if there is no value to compare with; else if x is not null, no value is, and none is x.

use catchment_contract::Result;
use catchment_contract::arrow::datatypes::{Field, Schema};
use catchment_operators::join::JoinKind;
use datafusion_common::DFSchema;
use datafusion_expr::{Join, col};

use super::super::{Flow, Lowering, columns_of};
use super::Sides;
use crate::expr::Expression;
use crate::stage::Stage;

impl Lowering<'_> {
    /// The first pair of `sides`' keys is what `NOT IN` compares; the others say which rows of the right side are meant.
    pub(super) fn not_in(&mut self, join: &Join, mut sides: Sides) -> Result<Flow> {
        sides.left = self.settled(sides.left)?;
        sides.right = self.settled(sides.right)?;
        let width = sides.left_width;
        sides.left_width = sides.left.columns.len();
        let all = sides.left.columns.clone();
        let label = sides.left.label.clone();
        let (value, member) = (sides.left_key[0], sides.right_key[0]);
        let is_null = self.null_test(&sides.left, value, true)?;
        let is_known = self.null_test(&sides.left, value, false)?;
        let is_null_member = self.null_test(&sides.right, member, true)?;
        let meant = |sides: &Sides, left: Flow, right: Flow| Sides {
            left,
            left_key: sides.left_key[1..].to_vec(),
            right,
            right_key: sides.right_key[1..].to_vec(),
            ..*sides
        };
        let absent = self.present(JoinKind::LeftAnti, sides.clone(), false, all.clone())?;
        let nulls = sides.right.clone().filter(Stage::Filter(is_null_member));
        let open = self.present(JoinKind::LeftAnti, meant(&sides, absent, nulls), false, all.clone())?;
        let open = self.settled(open)?;
        let known = open.clone().filter(Stage::Filter(is_known));
        let unknown = open.filter(Stage::Filter(is_null));
        let right = sides.right.clone();
        let of_nothing = self.present(JoinKind::LeftAnti, meant(&sides, unknown, right), false, all.clone())?;
        let flow = self.together(vec![known, of_nothing], all, &label)?;
        let places: Vec<usize> = (0..width).collect();
        let mut flow = flow.pick(&places);
        flow.columns = columns_of(&join.schema);
        flow.key = sides.left.key.filter(|key| key.iter().all(|column| *column < width));
        Ok(flow)
    }

    /// Whether the column `column` of `flow` is null, or is not.
    fn null_test(&self, flow: &Flow, column: usize, is_null: bool) -> Result<Expression> {
        let field = Field::new("value", flow.columns[column].data_type.clone(), true);
        let schema = DFSchema::try_from(Schema::new(vec![field])).map_err(|error| self.planning(&error))?;
        let test = if is_null { col("value").is_null() } else { col("value").is_not_null() };
        Ok(self.compile(&test, &schema)?.through(&[column]))
    }
}
