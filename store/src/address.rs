//! Where a lake lies, as a person wrote it, and how it is shown.
//!
//! A URL may hold credentials (`s3://key:secret@bucket/prefix`, `?secret_access_key=…`). They are used and never shown:
//! an address prints without them, and so do errors about a text that is no address.

use std::fmt;
use std::path::PathBuf;

use catchment_contract::{Error, Result};
use url::Url;

const FORMS: &str = "give a folder, file:///path or s3://bucket/prefix";

/// Where a lake lies.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A local folder, as it was written.
    Folder(PathBuf),
    /// A prefix in a bucket.
    Bucket {
        /// `s3://bucket/prefix/`, without credentials or options.
        root: Url,
        /// Options by name, from the user part and the query: credentials among them.
        options: Vec<(String, String)>,
    },
}

impl Address {
    /// What `text` says, without looking at disk or network.
    ///
    /// # Errors
    /// [`catchment_contract::ErrorKind::Invalid`] for a URL that is not understood; without its secrets.
    pub fn parse(text: &str) -> Result<Address> {
        match text.split_once("://") {
            None => Ok(Address::Folder(PathBuf::from(text))),
            Some(("file", _)) => {
                let folder = parse_url(text)?.to_file_path().map_err(|()| {
                    Error::user(format!("\"{}\" does not name a local folder", redacted(text)))
                        .with_hint("write file:///path/to/lake with three slashes")
                })?;
                Ok(Address::Folder(folder))
            }
            Some(("s3" | "s3a", _)) => bucket(text),
            Some((scheme, _)) => {
                let text = redacted(text);
                Err(Error::user(format!("a lake cannot lie at \"{text}\": unknown scheme \"{scheme}\""))
                    .with_hint(FORMS))
            }
        }
    }
}

fn parse_url(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| {
        Error::user(format!("\"{}\" is not a URL", redacted(text))).with_source(error).with_hint(FORMS)
    })
}

fn bucket(text: &str) -> Result<Address> {
    let mut root = parse_url(text)?;
    if root.host_str().is_none_or(str::is_empty) {
        return Err(
            Error::user(format!("\"{}\" names no bucket", redacted(text))).with_hint("write s3://bucket/prefix")
        );
    }
    let decoded = |text: &str| {
        url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B")).as_bytes())
            .next()
            .map_or_else(String::new, |(_, value)| value.into_owned())
    };
    let mut options: Vec<(String, String)> = Vec::new();
    if !root.username().is_empty() {
        options.push(("access_key_id".into(), decoded(root.username())));
    }
    if let Some(secret) = root.password() {
        options.push(("secret_access_key".into(), decoded(secret)));
    }
    options.extend(root.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())));
    let stripped = root.set_username("").and_then(|()| root.set_password(None));
    stripped.map_err(|()| Error::user(format!("a lake cannot lie at \"{}\"", redacted(text))).with_hint(FORMS))?;
    root.set_query(None);
    root.set_fragment(None);
    if !root.path().ends_with('/') {
        root.set_path(&format!("{}/", root.path()));
    }
    Ok(Address::Bucket { root, options })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Folder(folder) => write!(f, "{}", folder.display()),
            Address::Bucket { root, .. } => f.write_str(root.as_str().trim_end_matches('/')),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// A text with the user parts of its URLs and the values in their queries replaced by `***`.
///
/// ```
/// use catchment_store::redacted;
///
/// assert_eq!(redacted("at s3://AKIA:s3cr/t@bucket/lake?token=x&region=y"), "at s3://***@bucket/lake?token=***&region=***");
/// assert_eq!(redacted("data/lake"), "data/lake");
/// ```
pub fn redacted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '<' | '>'));
        let (url, tail) = after.split_at(end.unwrap_or(after.len()));
        shown.push_str(&without_secrets(url));
        rest = tail;
    }
    shown + rest
}

/// What follows `://` in a URL. A secret may hold a slash that should have been escaped: the user part ends at the last
/// `@` before the query.
fn without_secrets(url: &str) -> String {
    let (place, query) = url.split_once('?').map_or((url, None), |(place, query)| (place, Some(query)));
    let mut shown = match place.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => place.to_owned(),
    };
    if let Some(query) = query {
        let hidden = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}=***"),
            None => "***".to_owned(),
        });
        shown.push('?');
        shown.push_str(&hidden.collect::<Vec<_>>().join("&"));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_how_they_are_shown() {
        let cases = [
            ("lake", "lake"),
            ("./some lake", "./some lake"),
            ("file:///var/lake", "/var/lake"),
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("s3a://key:secret@bucket/a", "s3a://bucket/a"),
            ("s3://bucket/a?access_key_id=key&secret_access_key=secret", "s3://bucket/a"),
        ];
        for (text, shown) in cases {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown, "{text}");
            assert!(!format!("{address:?}").contains("secret"), "{address:?}");
        }
    }

    #[test]
    fn credentials_in_a_url_are_options() {
        let Address::Bucket { root, options } =
            Address::parse("s3://AKIA%2F1:a+b%2Fc@bucket/p?endpoint=http%3A%2F%2Fhost%3A9000").unwrap()
        else {
            panic!("a bucket");
        };
        assert_eq!(root.as_str(), "s3://bucket/p/");
        let given: Vec<(&str, &str)> = options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let want = [("access_key_id", "AKIA/1"), ("secret_access_key", "a+b/c"), ("endpoint", "http://host:9000")];
        assert_eq!(given, want);
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_secrets() {
        for text in [
            "s3://key:hidden@",
            "s3://key:hid/den@bucket/x",
            "gs://key:hidden@bucket",
            "file://key:hidden@host/x?token=hidden",
            "https://host/x?sig=hidden",
            "s3://key:hidden@[bucket/x",
        ] {
            if let Err(error) = Address::parse(text) {
                let shown = format!("{} {error:?}", error.chain());
                assert!(!shown.contains("hid"), "{shown}");
            } else {
                let shown = format!("{} {:?}", Address::parse(text).unwrap(), Address::parse(text).unwrap());
                assert!(!shown.contains("hid"), "{shown}");
            }
        }
        assert_eq!(
            Address::parse("gs://bucket").unwrap_err().chain(),
            "a lake cannot lie at \"gs://bucket\": unknown scheme \"gs\"; give a folder, file:///path or s3://bucket/prefix"
        );
    }
}
