//! One record's cells: as tools wrote them, settled to what their columns hold.
//!
//! - Empty strings, and the words that exports write for nothing (`nan`, `None`, `null`), are null but in text columns.
//! - `parent_id` and `link_id` get their prefix where it is missing. A number is an id in base 10, as one of Pushshift's
//!   interfaces gave them; a `parent_id` that is null there is that of a top-level comment, whose parent is its submission.
//! - A field that nobody reads costs no record, whatever it holds.

use super::columns::Kind;
use super::judge::bare;
use super::plan::Plan;
use crate::json::cell::{Arena, Cell, Type};
use crate::json::sheet::Sheet;

/// Digits that make a text a number in base 10 rather than an id: ids in base 36 are shorter.
const BASE_10_DIGITS: usize = 9;

/// Words for nothing are not longer, with blanks around them.
const NOTHING_BYTES_MAX: usize = 8;

/// Settles the cells of the record in `row`, or says what is wrong with one.
pub(super) fn settle(plan: &Plan, sheet: &mut Sheet<'_>, row: usize) -> Result<(), String> {
    if plan.kind == Kind::Comments {
        link_and_parent(plan, sheet, row);
    }
    // A name that is no full name is another thing's.
    if sheet.str(row, Plan::NAME).is_none_or(|name| bare(name).len() == name.len()) {
        sheet.put(row, Plan::NAME, Cell::Missing);
    }
    for (index, slot) in plan.slots.iter().enumerate() {
        let cell = sheet.cell(row, index);
        if cell == Cell::Missing {
            continue;
        }
        if slot.ty != Type::Text && cell.str(&sheet.arena.text).is_some_and(is_nothing) && slot.ty != Type::Json {
            sheet.put(row, index, Cell::Null);
            continue;
        }
        if let Err(what) = sheet.settle(row, index, &slot.ty) {
            if slot.wanted {
                return Err(format!("field \"{}\" is {what}", slot.field));
            }
            sheet.put(row, index, Cell::Null);
        }
    }
    Ok(())
}

/// Whether a text is what exports write where there is nothing.
pub(super) fn is_nothing(text: &str) -> bool {
    text.len() <= NOTHING_BYTES_MAX
        && matches!(text.trim(), "" | "nan" | "NaN" | "None" | "none" | "null" | "NULL" | "NA" | "N/A" | "NaT" | "<NA>")
}

/// The latest time at which the record was fetched, in microseconds.
pub(super) fn version(plan: &Plan, sheet: &Sheet<'_>, row: usize) -> Option<i64> {
    let time = |slot| match sheet.cell(row, slot) {
        Cell::Int(time) => Some(time),
        _ => None,
    };
    plan.retrieved().filter_map(time).max()
}

fn link_and_parent(plan: &Plan, sheet: &mut Sheet<'_>, row: usize) {
    let (link, parent) = (&plan.slots[Plan::LINK], &plan.slots[Plan::PARENT]);
    if link.wanted || parent.wanted {
        prefix(sheet, row, Plan::LINK, |_| "t3_");
    }
    if !parent.wanted {
        return;
    }
    if sheet.cell(row, Plan::PARENT) == Cell::Null && sheet.str(row, Plan::LINK).is_some() {
        sheet.put(row, Plan::PARENT, sheet.cell(row, Plan::LINK));
    }
    if sheet.str(row, Plan::PARENT).is_some_and(|parent| bare(parent).len() < parent.len()) {
        return;
    }
    let link = sheet.str(row, Plan::LINK).map(|link| bare(link).to_owned());
    prefix(sheet, row, Plan::PARENT, |id| if link.as_deref() == Some(id) { "t3_" } else { "t1_" });
}

/// Gives the id in `slot` its prefix, if it has none.
fn prefix(sheet: &mut Sheet<'_>, row: usize, slot: usize, prefix: impl Fn(&str) -> &'static str) {
    let id = match sheet.cell(row, slot) {
        Cell::Int(number) => u64::try_from(number).ok().map(base36),
        Cell::Float(number) if number >= 0.0 && number.fract() == 0.0 => Some(base36(number as u64)),
        _ => match sheet.str(row, slot) {
            Some(text) if text.len() != bare(text).len() => return,
            Some(text) if is_base_10(text) => text.parse().ok().map(base36),
            Some("") => return sheet.put(row, slot, Cell::Null),
            text => text.map(str::to_owned),
        },
    };
    if let Some(id) = id {
        let name = format!("{}{id}", prefix(&id));
        let cell = sheet.arena.keep(&name);
        sheet.put(row, slot, cell);
    }
}

fn is_base_10(text: &str) -> bool {
    text.len() >= BASE_10_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
        if number == 0 {
            digits.reverse();
            return digits.into_iter().map(char::from).collect();
        }
    }
}

/// The string at `path` inside the JSON text of `cell`.
pub(super) fn inside<'a>(cell: Cell<'a>, path: &[&str], arena: &mut Arena<'a>) -> Cell<'a> {
    let found = cell.str(&arena.text).and_then(|text| {
        let value = sonic_rs::get(text, path).ok()?;
        sonic_rs::from_str::<String>(value.as_raw_str()).ok()
    });
    found.map_or(Cell::Null, |text| arena.keep(&text))
}
