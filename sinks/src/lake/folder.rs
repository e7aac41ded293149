//! Names of the folders that partitions lie in.
//!
//! A folder is named as Hive and Spark do (`day=2026-01-31`, `author=a%2Fb`), for people: readers take a file's partition
//! from the log alone. So a name may be cut. File systems take 255 bytes a name and S3 takes 1,024 a key; values have no
//! limit. A name of more than [`NAME_BYTES_MAX`] bytes keeps its first bytes and ends with `~` and a hash of all of them,
//! and so does a path of more than [`PATH_BYTES_MAX`].

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::lake::columns::PartitionValues;

/// Bytes of one folder's name.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of all folders of one partition.
const PATH_BYTES_MAX: usize = 400;
/// What Hive calls the partition of null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The folders of a partition below `hot/` or `data/`, columns in the order of `columns`; empty for a table without
/// partitions, else with a slash at its end. Not URL-encoded.
pub fn partition_folder<'a>(columns: impl Iterator<Item = &'a str>, values: &PartitionValues) -> String {
    let mut path = String::new();
    for column in columns {
        let value = values.get(column).and_then(Option::as_deref).filter(|value| !value.is_empty());
        let name = format!("{}={}", escaped(column), value.map_or(NULL.to_owned(), escaped));
        path.push_str(&cut(name));
        path.push('/');
    }
    if path.len() > PATH_BYTES_MAX {
        path = format!("{}~{:032x}/", head(&path, NAME_BYTES_MAX).replace('/', "+"), xxh3_128(path.as_bytes()));
    }
    path
}

fn cut(name: String) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name;
    }
    format!("{}~{:016x}", head(&name, NAME_BYTES_MAX - 17), xxh3_64(name.as_bytes()))
}

/// At most `bytes` of `text`, cut between characters and not inside an escape.
fn head(text: &str, bytes: usize) -> &str {
    let mut end = bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    match text[..end].rfind('%') {
        Some(escape) if escape + 3 > end => &text[..escape],
        _ => &text[..end],
    }
}

/// Hive's escapes: control characters and `"#%'*/:=?\{[]^` as `%` and two digits. What Unicode calls a control is
/// escaped too, byte by byte.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || "\"#%'*/:=?\\{[]^".contains(letter) {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(values: &[(&str, Option<&str>)]) -> String {
        let map = values.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        partition_folder(values.iter().map(|(name, _)| *name), &map)
    }

    #[test]
    fn names_are_hives_until_they_are_too_long() {
        assert_eq!(folder(&[]), "");
        assert_eq!(folder(&[("day", Some("2026-01-31")), ("s", None)]), format!("day=2026-01-31/s={NULL}/"));
        assert_eq!(folder(&[("s", Some("a b/c%=d")), ("t", Some(".."))]), "s=a b%2Fc%25%3Dd/t=../");
        assert_eq!(folder(&[("s", Some("\u{0}\n\u{7f}\u{85}"))]), "s=%00%0A%7F%C2%85/");
        assert_eq!(folder(&[("s", Some("日本"))]), "s=日本/");
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        for unit in ["x", "日", "/", "é%"] {
            let (one, two) = (unit.repeat(5000), unit.repeat(5001));
            let (one, two) = (folder(&[("s", Some(&one))]), folder(&[("s", Some(&two))]));
            assert!(one != two && one.len() <= NAME_BYTES_MAX + 1, "{one}");
            assert!(one.starts_with("s=") && one.ends_with('/') && !one.trim_end_matches('/').contains('/'), "{one}");
        }
        let long = "y".repeat(300);
        let columns = ["a", "b", "c", "d", "e"].map(|name| (name, Some(long.as_str())));
        let path = folder(&columns);
        assert!(path.len() <= PATH_BYTES_MAX && path.matches('/').count() == 1, "{path}");
        assert!(folder(&[(&long, Some("v"))]).len() <= NAME_BYTES_MAX + 1);
    }
}
