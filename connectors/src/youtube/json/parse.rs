//! Text to JSON values, as lenient as is safe.

use serde_json::{Deserializer, Value};

/// The value of a document; of several, one behind the other, their list, and true.
///
/// # Errors
/// Where the text is no JSON.
pub(super) fn values(text: &str) -> Result<(Value, bool), String> {
    // What YouTube and others put before JSON so that no browser runs it.
    let text = text.strip_prefix(")]}'").unwrap_or(text);
    let strict = parse(text);
    let Err(error) = strict else { return strict };
    match mended(text).map(|mended| parse(&mended)) {
        Some(Ok(found)) => Ok(found),
        _ => Err(error),
    }
}

fn parse(text: &str) -> Result<(Value, bool), String> {
    let mut values = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<Value>() {
        values.push(value.map_err(|error| format!("the JSON is damaged or cut off: {error}"))?);
    }
    // Plain values one behind the other are text.
    let is_list = values.len() > 1;
    if is_list && !values.iter().all(|value| value.is_object() || value.is_array()) {
        return Err("the JSON is damaged: something stands behind its end".to_owned());
    }
    match values.pop() {
        Some(last) if !is_list => Ok((last, false)),
        Some(last) => {
            values.push(last);
            Ok((Value::Array(values), true))
        }
        None => Err("the JSON is damaged or cut off: it holds no value".to_owned()),
    }
}

/// The text with null for numbers that JSON does not have, and without commas before the end of a list or object; `None` if
/// there are none of them.
fn mended(text: &str) -> Option<String> {
    const WORDS: [&str; 5] = ["NaN", "-Infinity", "Infinity", "-NaN", "undefined"];
    let bytes = text.as_bytes();
    let (mut mended, mut from, mut at, mut in_string) = (String::new(), 0, 0, false);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let word = || WORDS.iter().find(|word| rest.starts_with(word.as_bytes()));
        match bytes[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b',' if matches!(rest[1..].trim_ascii_start().first(), Some(b']' | b'}')) => {
                mended.push_str(&text[from..at]);
                from = at + 1;
            }
            b'N' | b'-' | b'I' | b'u' => {
                if let Some(word) = word() {
                    mended.push_str(&text[from..at]);
                    mended.push_str("null");
                    from = at + word.len();
                    at = from - 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    (from > 0).then(|| mended + &text[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mended() {
        for (text, expect) in [
            (r#"[{"a":NaN,"b":-Infinity,},]"#, Some(r#"[{"a":null,"b":null}]"#)),
            (r#"{"a":"NaN,] \" Infinity","b":Infinity}"#, Some(r#"{"a":"NaN,] \" Infinity","b":null}"#)),
            (r#"{"a":-1}"#, None),
            ("é,", None),
        ] {
            assert_eq!(mended(text).as_deref(), expect, "{text}");
        }
        assert_eq!(values("{}\n{}\n").unwrap(), (serde_json::json!([{}, {}]), true));
        assert_eq!(values(")]}'\n[]").unwrap(), (serde_json::json!([]), false));
        assert!(values("[] x").is_err() && values("{").is_err());
    }
}
