//! `SIMILAR TO`: patterns of the SQL standard as regular expressions.

use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::{BinaryExpr, Expr, Like, Operator};

/// `like`, which is a `SIMILAR TO`, as a match with a regular expression.
pub(super) fn matched(like: Like) -> Result<Expr> {
    let Like { negated, expr, pattern, escape_char, .. } = like;
    let pattern = match pattern.as_ref() {
        Expr::Cast(cast) => cast.expr.as_ref(),
        other => other,
    };
    let text = match pattern {
        Expr::Literal(ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text), _) => text,
        // A pattern of no type is null.
        Expr::Literal(ScalarValue::Null, _) => &None,
        _ => {
            return plan_err!("SIMILAR TO needs a text as its pattern; write one, or use a regular expression: x ~ y");
        }
    };
    let regex = text.as_ref().map(|text| regular(text, escape_char.unwrap_or('\\')));
    let op = if negated { Operator::RegexNotMatch } else { Operator::RegexMatch };
    let regex = Expr::Literal(ScalarValue::Utf8View(regex), None);
    Ok(Expr::BinaryExpr(BinaryExpr::new(expr, op, Box::new(regex))))
}

/// The regular expression that matches what `pattern` matches: `%` is any text, `_` any character, `| * + ? {m,n} ( ) [ ]`
/// are as in regular expressions, and everything else, also `. ^ $`, is itself.
fn regular(pattern: &str, escape: char) -> String {
    let mut regex = String::from("^(?s:");
    let mut in_brackets = false;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            _ if character == escape => regex.push_str(&literal(characters.next().unwrap_or(escape))),
            ']' => {
                in_brackets = false;
                regex.push(']');
            }
            '[' if !in_brackets => {
                in_brackets = true;
                regex.push('[');
            }
            '[' if characters.as_str().starts_with(':') => {
                // A class of characters, `[:alpha:]`, is called the same.
                regex.push('[');
                let class = characters.as_str();
                let end = class.find(":]").map_or(class.len(), |end| end + 2);
                regex.push_str(&class[..end]);
                characters = class[end..].chars();
            }
            '[' | '&' | '~' => regex.push_str(&literal(character)),
            _ if in_brackets => regex.push(character),
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '(' => regex.push_str("(?:"),
            '|' | '*' | '+' | '?' | '{' | '}' | ')' => regex.push(character),
            other => regex.push_str(&literal(other)),
        }
    }
    regex.push_str(")$");
    regex
}

fn literal(character: char) -> String {
    match character.is_alphanumeric()
        || character.is_whitespace()
        || !character.is_ascii()
        || matches!(character, '_' | ',')
    {
        true => character.to_string(),
        false => format!("\\{character}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_regular_expressions_of_the_whole_text() {
        let check = |pattern: &str, expect: &str| assert_eq!(regular(pattern, '\\'), expect, "{pattern}");
        check("fox", "^(?s:fox)$");
        check("%fo_%", "^(?s:.*fo..*)$");
        check("(a|b)+c.", "^(?s:(?:a|b)+c\\.)$");
        check("[a-c%]_", "^(?s:[a-c%].)$");
        check("[[:alpha:]_]+", "^(?s:[[:alpha:]_]+)$");
        check("100\\%", "^(?s:100\\%)$");
        check("a{2,3}^$", "^(?s:a{2,3}\\^\\$)$");
        assert_eq!(regular("1!_!!", '!'), "^(?s:1_\\!)$");
    }
}
