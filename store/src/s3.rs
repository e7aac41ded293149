//! Opening a bucket.
//!
//! The client itself repeats nothing: how long a failing store is waited for is decided in one place
//! ([`crate::patient`]). Settings come from the `AWS_*` variables, then from the lake's URL.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use catchment_contract::{Error, Result};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{ClientConfigKey, ClientOptions, DynObjectStore, RetryConfig};
use url::Url;

use crate::failure::Refused;

/// How long a connection may take.
const CONNECT_SECONDS: u64 = 5;
/// How long a request and its answer may take: the largest objects are some 64 MiB.
const REQUEST_SECONDS: u64 = 120;
/// How much of a refusal is told.
const REFUSAL_BYTES_MAX: usize = 1000;

/// A bucket's store, and the values that nobody must read.
pub(crate) struct Bucket {
    pub store: Arc<DynObjectStore>,
    pub secrets: Vec<String>,
}

/// Opens the bucket at `root` with `options` from the lake's URL.
///
/// # Errors
/// [`catchment_contract::ErrorKind::Invalid`] for a setting that is unknown or cannot be used.
pub(crate) fn open(root: &Url, options: &[(String, String)]) -> Result<Bucket> {
    let shown = root.as_str().trim_end_matches('/');
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(root.host_str().unwrap_or_default());
    for (key, variable, seconds) in [
        (ClientConfigKey::ConnectTimeout, "AWS_CONNECT_TIMEOUT", CONNECT_SECONDS),
        (ClientConfigKey::Timeout, "AWS_TIMEOUT", REQUEST_SECONDS),
    ] {
        if std::env::var_os(variable).is_none() {
            builder = builder.with_config(AmazonS3ConfigKey::Client(key), format!("{seconds} seconds"));
        }
    }
    for (name, value) in options {
        let key: AmazonS3ConfigKey = name.parse().map_err(|_| {
            Error::user(format!("the lake's URL \"{shown}\" has an unknown setting \"{name}\""))
                .with_hint("write ?region=…, ?endpoint=… or leave it out and set the AWS_* variables")
        })?;
        builder = builder.with_config(key, value);
    }
    use AmazonS3ConfigKey as Key;
    let value = |key: Key| builder.get_config_value(&key);
    let endpoint = value(Key::S3Endpoint).or_else(|| value(Key::Endpoint));
    refuse_login(endpoint.as_deref())?;
    let secrets = [Key::AccessKeyId, Key::SecretAccessKey, Key::Token].into_iter().filter_map(value).collect();
    // An endpoint written with http:// says all that AWS_ALLOW_HTTP would.
    let plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let once = RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, ..RetryConfig::default() };
    builder = builder.with_retry(once).with_http_connector(TellingConnector::default());
    let builder = if plain { builder.with_allow_http(true) } else { builder };
    let store = builder.build().map_err(|error| {
        let cause = crate::failure::told(error, &[]);
        Error::user(format!("cannot use the lake \"{shown}\"")).with_source(cause).with_hint(
            "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION (and AWS_ENDPOINT_URL for other stores than AWS)",
        )
    })?;
    Ok(Bucket { store: Arc::new(store), secrets })
}

/// An endpoint is printed by many layers below us.
fn refuse_login(endpoint: Option<&str>) -> Result<()> {
    let has_login = |url: &Url| !url.username().is_empty() || url.password().is_some() || url.query().is_some();
    if endpoint.and_then(|endpoint| Url::parse(endpoint).ok()).is_none_or(|url| !has_login(&url)) {
        return Ok(());
    }
    Err(Error::user("the object store's endpoint (AWS_ENDPOINT_URL) holds a user name, a password or a query")
        .with_hint("write http://host:port, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"))
}

/// The usual client, which also tells answers that no repetition changes from those that pass.
#[derive(Debug, Default)]
struct TellingConnector(ReqwestConnector);

impl HttpConnector for TellingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Telling(self.0.connect(options)?)))
    }
}

#[derive(Debug)]
struct Telling(HttpClient);

#[async_trait]
impl HttpService for Telling {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.0.execute(request).await?;
        let status = answer.status().as_u16();
        if !is_refusal(status) {
            return Ok(answer);
        }
        let body = answer.into_body().bytes().await?;
        let body = String::from_utf8_lossy(&body[..body.len().min(REFUSAL_BYTES_MAX)]).into_owned();
        // S3's word for an upload that stood still.
        if body.contains("<Code>RequestTimeout</Code>") {
            return Err(HttpError::new(HttpErrorKind::Timeout, std::io::Error::from(std::io::ErrorKind::TimedOut)));
        }
        Err(HttpError::new(HttpErrorKind::Unknown, Refused { status, body }))
    }
}

/// Answers that are final, and that the client does not tell apart from others itself.
fn is_refusal(status: u16) -> bool {
    let known = matches!(status, 304 | 401 | 403 | 404 | 408 | 409 | 412 | 416 | 429);
    !known && matches!(status, 300..=499 | 501 | 505)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_url_are_used_or_refused_by_name() {
        let root: Url = "s3://bucket/lake/".parse().unwrap();
        let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let keys = [option("access_key_id", "AKIAKEY"), option("secret_access_key", "hidden"), option("region", "x")];
        let bucket = open(&root, &keys).unwrap();
        assert!(bucket.secrets.contains(&"AKIAKEY".to_owned()) && bucket.secrets.contains(&"hidden".to_owned()));
        let error = open(&root, &[option("colour", "hidden")]).map(|_| ()).unwrap_err();
        assert!(error.chain().starts_with("the lake's URL \"s3://bucket/lake\" has an unknown setting \"colour\""));
        assert!(!error.chain().contains("hidden"), "{}", error.chain());
        let error = open(&root, &[option("endpoint", "http://u:hidden@host")]).map(|_| ()).unwrap_err();
        assert!(!error.chain().contains("hidden"), "{}", error.chain());
    }

    #[test]
    fn refusals() {
        for status in [200, 206, 304, 403, 404, 409, 412, 429, 500, 502, 503, 504] {
            assert!(!is_refusal(status), "{status}");
        }
        for status in [301, 307, 400, 405, 501] {
            assert!(is_refusal(status), "{status}");
        }
    }
}
