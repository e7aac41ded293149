//! Profiles of the stock client: which cluster, and how its servers are talked to.
//!
//! `fluvio profile` keeps them in one TOML file, `~/.fluvio/config` or the one that `FLV_PROFILE_PATH` names. This is what
//! is read of it; anything else in it is passed over:
//!
//! | key | holds |
//! |---|---|
//! | `current_profile` | name of the profile that is used when none is named |
//! | `profile.NAME.cluster` | name of the profile's cluster |
//! | `cluster.NAME.endpoint` (or `addr`) | the controller's `host:port` |
//! | `cluster.NAME.use_spu_local_address` | whether leaders are reached at their local address; false if missing |
//! | `cluster.NAME.tls.tls_policy` | `disabled` (if missing), `anonymous`, `verified` |
//! | `cluster.NAME.tls.tls_source` | with `verified`: `inline` or `files` |
//! | `cluster.NAME.tls.certs` | `domain`, and `key`, `cert`, `ca_cert` as PEM text or as paths of such files |

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use catchment_contract::error::clause;
use catchment_contract::{Error, ErrorKind, Result};
use serde::Deserialize;

/// The stock client's file, in the home folder.
const FILE: &str = ".fluvio/config";
/// Names another file.
const VARIABLE: &str = "FLV_PROFILE_PATH";

/// Profiles by their names.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Profiles {
    current_profile: Option<String>,
    #[serde(default)]
    profile: BTreeMap<String, Profile>,
    #[serde(default)]
    cluster: BTreeMap<String, ClusterProfile>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    cluster: String,
}

/// A cluster as the stock client is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ClusterProfile {
    /// The controller's `host:port`.
    #[serde(alias = "addr")]
    pub(super) endpoint: String,
    /// Whether leaders are reached at their local address, as where ports are forwarded.
    #[serde(default)]
    pub(super) use_spu_local_address: bool,
    /// How its servers are talked to.
    #[serde(default)]
    pub(super) tls: TlsPolicy,
}

impl ClusterProfile {
    /// A cluster that is talked to in the clear.
    pub(super) fn new(endpoint: &str) -> Self {
        ClusterProfile { endpoint: endpoint.to_owned(), use_spu_local_address: false, tls: TlsPolicy::Disabled }
    }
}

/// Whether and how connections are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(tag = "tls_policy")]
pub(super) enum TlsPolicy {
    /// In the clear.
    #[default]
    #[serde(rename = "disabled", alias = "disable")]
    Disabled,
    /// Encrypted, to whoever answers.
    #[serde(rename = "anonymous")]
    Anonymous,
    /// Encrypted, and both sides show a certificate.
    #[serde(rename = "verified", alias = "verify")]
    Verified(TlsSource),
}

/// Where certificates are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "tls_source", content = "certs")]
pub(super) enum TlsSource {
    /// In the profile.
    #[serde(rename = "inline")]
    Inline(TlsCerts),
    /// In files that the profile names.
    #[serde(rename = "files", alias = "file")]
    Files(TlsPaths),
}

/// PEM text.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(super) struct TlsCerts {
    /// What the server's certificate must be for.
    pub(super) domain: String,
    /// Our private key.
    pub(super) key: String,
    /// Our certificate.
    pub(super) cert: String,
    /// The certificate of the authority that signed the server's.
    pub(super) ca_cert: String,
}

impl fmt::Debug for TlsCerts {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsCerts").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// The same as paths.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct TlsPaths {
    pub(super) domain: String,
    pub(super) key: PathBuf,
    pub(super) cert: PathBuf,
    pub(super) ca_cert: PathBuf,
}

impl Profiles {
    /// What the stock client's file holds, or `file` instead of it; no profiles if there is none.
    ///
    /// # Errors
    /// [`catchment_contract::Fault::User`] if it is not such a file: to go on without it could mean to talk in the clear
    /// where encryption was asked for.
    pub(super) fn load(file: Option<&Path>) -> Result<Profiles> {
        let Some(path) = file.map(Path::to_owned).or_else(default_file) else { return Ok(Profiles::default()) };
        match fs::read_to_string(&path) {
            Ok(text) => Profiles::parse(&text, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Profiles::default()),
            Err(error) => Err(Error::io(format!("read the Fluvio profiles in \"{}\"", path.display()), error)),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Profiles> {
        toml::from_str(text).map_err(|error| {
            // The parser's own text shows lines of the file, which may hold a key.
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let place = line.map_or(String::new(), |line| format!(", line {line}"));
            let why = clause(error.message());
            Error::user(format!("cannot read the Fluvio profiles in \"{}\"{place}: {why}", path.display()))
                .with_hint(format!("mend the file, or name another one in {VARIABLE}"))
        })
    }

    /// The cluster of the profile `name`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such profile, or not its cluster.
    pub(super) fn named(&self, name: &str) -> Result<&ClusterProfile> {
        let missing = |what: String| Error::user(what).with_kind(ErrorKind::NotFound);
        let profile = self.profile.get(name).ok_or_else(|| {
            missing(format!("there is no Fluvio profile \"{name}\""))
                .with_hint(format!("fluvio profile list shows those in ~/{FILE}, or in the file that {VARIABLE} names"))
        })?;
        self.cluster.get(&profile.cluster).ok_or_else(|| {
            missing(format!("the cluster \"{}\" of the Fluvio profile \"{name}\" is not described", profile.cluster))
                .with_hint("write the profile again with fluvio profile add")
        })
    }

    /// The cluster of the current profile, if there is one.
    pub(super) fn current(&self) -> Option<&ClusterProfile> {
        self.named(self.current_profile.as_deref()?).ok()
    }
}

/// Where the stock client keeps its profiles; nowhere for a user without a home.
fn default_file() -> Option<PathBuf> {
    match env::var_os(VARIABLE) {
        Some(path) => Some(path.into()),
        None => Some(env::home_dir()?.join(FILE)),
    }
}

#[cfg(test)]
mod tests {
    use catchment_contract::Fault;

    use super::*;

    fn parse(text: &str) -> Result<Profiles> {
        Profiles::parse(text, Path::new("config"))
    }

    /// As the stock client writes it.
    const STOCK: &str = r#"
version = "2.0"
current_profile = "cloud"

[profile.local]
cluster = "near"

[profile.cloud]
cluster = "far"
topic = "orders"
partition = 3

[profile.lost]
cluster = "gone"

[cluster.near]
endpoint = "localhost:9003"
use_spu_local_address = true

[cluster.near.tls]
tls_policy = "anonymous"

[cluster.near.metadata.installation]
type = "local"

[cluster.far]
addr = "fluvio.example:9003"

[cluster.far.tls]
tls_policy = "verified"
tls_source = "files"

[cluster.far.tls.certs]
domain = "fluvio.example"
key = "/certs/key"
cert = "/certs/cert"
ca_cert = "/certs/ca"

[cluster.plain]
endpoint = "localhost:1"
"#;

    #[test]
    fn profiles_are_read_as_the_stock_client_writes_them() {
        let profiles = parse(STOCK).unwrap();
        let near = profiles.named("local").unwrap();
        assert_eq!(near.endpoint, "localhost:9003");
        assert!(near.use_spu_local_address);
        assert_eq!(near.tls, TlsPolicy::Anonymous);
        let far = profiles.current().unwrap();
        assert_eq!(far.endpoint, "fluvio.example:9003");
        let TlsPolicy::Verified(TlsSource::Files(paths)) = &far.tls else { panic!("{far:?}") };
        assert_eq!((paths.domain.as_str(), paths.ca_cert.as_path()), ("fluvio.example", Path::new("/certs/ca")));
        assert_eq!(profiles.cluster["plain"], ClusterProfile::new("localhost:1"));
        assert!(!profiles.cluster["plain"].use_spu_local_address);
    }

    #[test]
    fn what_is_missing_is_named() {
        let profiles = parse(STOCK).unwrap();
        let error = profiles.named("other").unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::NotFound, "there is no Fluvio profile \"other\"")
        );
        let error = profiles.named("lost").unwrap_err();
        assert_eq!(error.to_string(), "the cluster \"gone\" of the Fluvio profile \"lost\" is not described");
        assert!(parse("").unwrap().current().is_none());
        assert!(Profiles::load(Some(Path::new("/no/such/file"))).unwrap().current().is_none());
    }

    #[test]
    fn a_broken_file_is_refused_by_line_and_shows_no_key() {
        let text = "current_profile = \"a\"\n[cluster.a]\nendpoint = 3\n[cluster.a.tls]\nkey = \"SECRET\"\n";
        let error = parse(text).unwrap_err();
        assert_eq!(error.fault(), Fault::User);
        assert!(
            error.chain().starts_with("cannot read the Fluvio profiles in \"config\", line 3: "),
            "{}",
            error.chain()
        );
        let error = parse("[cluster.a]\nendpoint = \"SECRET\nb = 1").unwrap_err();
        assert!(!error.chain().contains("SECRET"), "{}", error.chain());
        let certs = TlsCerts { domain: "d".into(), key: "SECRET".into(), cert: String::new(), ca_cert: String::new() };
        assert_eq!(format!("{certs:?}"), "TlsCerts { domain: \"d\", .. }");
    }
}
