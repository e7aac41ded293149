//! Text to JSON values, as lenient as is safe.

use serde_json::{Deserializer, Value};

use crate::json::mend::mend;

/// The value of a document; of several, one behind the other, their list, and true.
///
/// # Errors
/// Where the text is no JSON.
pub(super) fn values(text: &str) -> Result<(Value, bool), String> {
    // What YouTube and others put before JSON so that no browser runs it.
    let text = text.strip_prefix(")]}'").unwrap_or(text);
    let strict = parse(text);
    let Err(error) = strict else { return strict };
    let Some(mended) = mend(text) else { return Err(error) };
    // Values one behind the other are mended to a list of them.
    let is_list = mended.starts_with('[') && !text.trim_start().starts_with('[');
    match parse(&mended)? {
        (Value::Array(values), _) if is_list && !values.iter().all(is_container) => Err(error),
        (value, _) => Ok((value, is_list)),
    }
}

fn parse(text: &str) -> Result<(Value, bool), String> {
    let mut values = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<Value>() {
        values.push(value.map_err(|error| format!("the JSON is damaged or cut off: {error}"))?);
    }
    // Plain values one behind the other are text.
    let is_list = values.len() > 1;
    if is_list && !values.iter().all(is_container) {
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

fn is_container(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_nearly_json() {
        let check = |text: &str, expect: Value, is_list: bool| {
            assert_eq!(values(text), Ok((expect, is_list)), "{text}");
        };
        check("{}\n{}\n", json!([{}, {}]), true);
        check("{}\n{\"a\":NaN,}\n", json!([{}, {"a": null}]), true);
        check(")]}'\n[]", json!([]), false);
        check(r#"[{"a":NaN,"b":-Infinity,},]"#, json!([{"a": null, "b": null}]), false);
        check("[{'text': \"it's\", 'b': None}]", json!([{"text": "it's", "b": null}]), false);
        for damaged in ["[] x", "{", "", "[1", "7 8"] {
            assert!(values(damaged).is_err(), "{damaged}");
        }
    }
}
