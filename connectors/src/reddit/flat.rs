//! The common line, by hand: one record, with no other inside.
//!
//! [`walk`](crate::json::walk) reads what is simple of it. What a field means is told as in a [scan](super::scan), which reads
//! whatever is not said to be flat here: containers of records, `{kind, data}` objects, snapshots.

use serde::de::DeserializeSeed;

use super::plan::Key;
use super::scan::{MetaFields, Node, Wrap};
use crate::json::cell::{Cell, Type};
use crate::json::parser;
use crate::json::value::Value;
use crate::json::walk::{Order, Token, Walk};

impl<'a> Node<'_, 'a> {
    /// Scans `text` if it is a flat record. `None`, with rows that are to be forgotten, if it is not, or no JSON.
    pub(super) fn flat(mut self, text: &'a str, order: &mut Order) -> Option<()> {
        let mut walk = Walk::new(text);
        walk.begin(order)?;
        self.text = self.plan.text.then_some(text);
        let row = self.begin();
        let (mut known, mut unknown) = (false, false);
        loop {
            let key = walk.name(self.plan.names(), order)?;
            let (token, text) = walk.value()?;
            match key {
                Some(Key::Slot(slot)) => {
                    let cell = self.cell(usize::from(slot), token, text)?;
                    self.found.sheet.put(row, usize::from(slot), cell);
                }
                Some(Key::Known) => known = true,
                None => unknown = true,
                Some(key) => self.told(row, key, token, text)?,
            }
            if walk.take(b',').is_none() {
                break;
            }
        }
        walk.take(b'}')?;
        if !walk.is_done() {
            return None;
        }
        let clues = &mut self.found.rows[row].clues;
        clues.known |= known;
        clues.unknown |= unknown;
        self.end(row, Wrap::default());
        Some(())
    }

    /// A value of the field that belongs to `slot`.
    #[inline]
    fn cell(&mut self, slot: usize, token: Token<'a>, text: &'a str) -> Option<Cell<'a>> {
        let slot = &self.plan.slots[slot];
        Some(match (&slot.ty, token) {
            (_, Token::Null) => Cell::Null,
            (Type::Any, _) => Cell::Bool(true),
            (ty @ (Type::Json | Type::Decimal { .. }), _) | (ty, Token::Other) => {
                let value = Value { ty, arena: &mut self.found.sheet.arena, pick: slot.pick };
                value.deserialize(&mut parser(text)).ok()?
            }
            (_, Token::Bool(value)) => Cell::Bool(value),
            (_, Token::Int(value)) => Cell::Int(value),
            (_, Token::Str(value)) => Cell::Str(value),
        })
    }

    /// A field that says what the object is, or goes to a slot under another name.
    fn told(&mut self, row: usize, key: Key, token: Token<'a>, text: &'a str) -> Option<()> {
        let some = token != Token::Null;
        match key {
            Key::Slot(_) | Key::Known | Key::Around => {}
            Key::Alias(slot) => {
                let cell = self.cell(usize::from(slot), token, text)?;
                self.found.sheet.fill(row, usize::from(slot), cell);
            }
            Key::Post | Key::Reply | Key::Foreign => self.found.rows[row].clues.add(key, some),
            // A comment without replies has an empty string there.
            Key::Container | Key::Replies if token != Token::Other => {}
            Key::Meta => {
                self.found.rows[row].clues.add(key, some);
                if let Some(slot) = self.plan.meta.filter(|_| some) {
                    self.found.sheet.put(row, slot, Cell::Str(text));
                }
                if token == Token::Other {
                    MetaFields { node: self, row }.deserialize(&mut parser(text)).ok()?;
                }
            }
            Key::Kind | Key::Container | Key::Thread | Key::Replies | Key::FetchedAt => return None,
        }
        Some(())
    }
}
