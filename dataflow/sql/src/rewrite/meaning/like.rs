//! `LIKE … ESCAPE`: the pattern with backslashes, which are the only escape that DataFusion knows.

use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::{Expr, Like};

/// `like`, which has an escape of its own, with backslashes instead.
pub(super) fn with_backslashes(like: Like) -> Result<Like> {
    let Some(escape) = like.escape_char else { return Ok(like) };
    let pattern = match like.pattern.as_ref() {
        Expr::Cast(cast) => cast.expr.as_ref(),
        other => other,
    };
    let Expr::Literal(value, _) = pattern else {
        return plan_err!("LIKE with ESCAPE '{escape}' needs a pattern that is a text; write one, or use backslashes");
    };
    let text = value.try_as_str().flatten().map(|text| translated(text, escape));
    let pattern = Box::new(Expr::Literal(ScalarValue::Utf8View(text), None));
    Ok(Like { pattern, escape_char: None, ..like })
}

fn translated(pattern: &str, escape: char) -> String {
    let mut made = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            _ if character == escape => {
                made.push('\\');
                made.push(characters.next().unwrap_or(escape));
            }
            '\\' => made.push_str("\\\\"),
            other => made.push(other),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_backslashes() {
        assert_eq!(translated("100!%%", '!'), "100\\%%");
        assert_eq!(translated("a!!b", '!'), "a\\!b");
        assert_eq!(translated("a\\b", '!'), "a\\\\b");
    }
}
