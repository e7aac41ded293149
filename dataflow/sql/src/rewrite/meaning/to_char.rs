//! Patterns of `to_char`: PostgreSQL's as those of `strftime`, by which times are written.

use datafusion_common::{Result, ScalarValue, plan_err};
use datafusion_expr::Expr;

/// What PostgreSQL calls a part of a time, and what `strftime` calls it; what begins like another stands first.
const PARTS: [(&str, &str); 18] = [
    ("IYYY", "%G"),
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("HH", "%I"),
    ("MI", "%M"),
    ("SS", "%S"),
    ("MS", "%3f"),
    ("US", "%6f"),
    ("MM", "%m"),
    ("Mon", "%b"),
    ("DDD", "%j"),
    ("DD", "%d"),
    ("Dy", "%a"),
    ("IW", "%V"),
    ("ID", "%u"),
    ("AM", "%p"),
];

/// `pattern`, the second argument of `to_char`, as one of `strftime`; as it is if it is one, or no constant.
pub(super) fn pattern(pattern: Expr) -> Result<Expr> {
    Ok(match pattern {
        Expr::Literal(ScalarValue::Utf8(Some(text)), metadata) => {
            Expr::Literal(ScalarValue::Utf8(Some(translated(&text)?)), metadata)
        }
        Expr::Literal(ScalarValue::Utf8View(Some(text)), metadata) => {
            Expr::Literal(ScalarValue::Utf8View(Some(translated(&text)?)), metadata)
        }
        Expr::Cast(mut cast) => {
            cast.expr = Box::new(self::pattern(*cast.expr)?);
            Expr::Cast(cast)
        }
        other => other,
    })
}

fn translated(text: &str) -> Result<String> {
    if text.contains('%') {
        return Ok(text.to_string());
    }
    let (mut made, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        if let Some((part, as_is)) = PARTS.iter().find(|(part, _)| rest.starts_with(part)) {
            made.push_str(as_is);
            rest = &rest[part.len()..];
        } else if let Some((quoted, behind)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            made.push_str(quoted);
            rest = behind;
        } else if first.is_alphabetic() {
            return plan_err!(
                "to_char does not know \"{rest}\" in the pattern '{text}'; write one of strftime's: '%Y-%m-%d %H:%M:%S'"
            );
        } else {
            made.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_both_kinds_are_known() {
        let check = |text: &str, expect: &str| assert_eq!(translated(text).expect(text), expect);
        check("YYYY-MM-DD HH24:MI:SS.MS", "%Y-%m-%d %H:%M:%S.%3f");
        check("DD Mon YY, HH12:MI AM", "%d %b %y, %I:%M %p");
        check("YYYY\"T\"MM", "%YT%m");
        check("IYYY-IW", "%G-%V");
        check("%Y at %H", "%Y at %H");
        assert!(translated("YYYY-Q").is_err_and(|error| error.message().contains("does not know \"Q\"")));
    }
}
