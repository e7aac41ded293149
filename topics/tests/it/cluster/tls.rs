//! Encrypted connections as profiles configure them.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use catchment_topics::cluster::ClusterOptions;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::peer::{Peer, TOPIC, UNIT};
use super::{connect, numbered, options};

const DOMAIN: &str = "fluvio.local";

/// An authority, and certificates that it signed.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    root: RootCertStore,
}

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "a test's authority");
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let mut root = RootCertStore::empty();
    root.add(certificate.der().clone()).unwrap();
    Authority { pem: certificate.pem(), root, issuer: Issuer::new(params, key) }
}

impl Authority {
    fn sign(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        (CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A server for `names`, which asks clients for a certificate of this authority.
    fn server(&self, names: &[&str], ask: bool) -> Peer {
        let (certificate, key) = self.sign(names);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = match ask {
            false => builder.with_no_client_auth(),
            true => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.root.clone()), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let peer = Peer::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), Some(Arc::new(config)));
        peer.state().append(&numbered(0, 3, catchment_topics::batch::Producer::NONE, -1));
        peer
    }
}

/// What comes of a connection with a profile: the partition's end, or why there is none.
fn run(folder: &Path, endpoint: &str, tls: &str) -> String {
    let path = folder.join("config");
    let profile = format!(
        "version = \"2.0\"\ncurrent_profile = \"test\"\n[profile.test]\ncluster = \"test\"\n[cluster.test]\n\
         endpoint = \"{endpoint}\"\n[cluster.test.tls]\n{tls}\n"
    );
    std::fs::write(&path, profile).unwrap();
    let options = ClusterOptions {
        profiles_file: Some(path),
        connect_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(1),
        ..options(endpoint)
    };
    match connect(options).and_then(|broker| Ok(broker.partition(TOPIC, 0)?.bounds()?.end)) {
        Ok(end) => format!("the end is {end}"),
        Err(error) => error.chain(),
    }
}

fn files(authority: &Authority, folder: &Path) -> String {
    let (certificate, key) = authority.sign(&["client"]);
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    format!(
        "tls_policy = \"verified\"\ntls_source = \"files\"\n[cluster.test.tls.certs]\ndomain = \"{DOMAIN}\"\n\
         key = \"{}\"\ncert = \"{}\"\nca_cert = \"{}\"",
        write("client.key", key.serialize_pem()),
        write("client.crt", certificate.pem()),
        write("ca.crt", authority.pem.clone())
    )
}

/// The controller is the domain, the storage unit its name within: as the stock client has it.
fn names() -> [String; 2] {
    [DOMAIN.to_string(), format!("{UNIT}.{DOMAIN}")]
}

#[test]
fn a_verified_profile_with_files_connects_and_reads() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
    let names = names();
    let peer = authority.server(&[&names[0], &names[1]], true);
    let outcome = run(folder.path(), &peer.controller.to_string(), &files(&authority, folder.path()));
    assert!(outcome.contains("the end is 3"), "{outcome}");
}

#[test]
fn a_verified_profile_with_inline_certificates_connects_and_reads() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
    let names = names();
    let peer = authority.server(&[&names[0], &names[1]], true);
    let (certificate, key) = authority.sign(&["client"]);
    let tls = format!(
        "tls_policy = \"verified\"\ntls_source = \"inline\"\n[cluster.test.tls.certs]\ndomain = \"{DOMAIN}\"\n\
         key = \"\"\"\n{}\"\"\"\ncert = \"\"\"\n{}\"\"\"\nca_cert = \"\"\"\n{}\"\"\"",
        key.serialize_pem(),
        certificate.pem(),
        authority.pem
    );
    let outcome = run(folder.path(), &peer.controller.to_string(), &tls);
    assert!(outcome.contains("the end is 3"), "{outcome}");
}

#[test]
fn an_anonymous_profile_takes_any_certificate() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
    let peer = authority.server(&["somebody.else"], false);
    let outcome = run(folder.path(), &peer.controller.to_string(), "tls_policy = \"anonymous\"");
    assert!(outcome.contains("the end is 3"), "{outcome}");
}

#[test]
fn another_authority_or_another_domain_is_refused() {
    let (folder, one, other) = (tempfile::tempdir().unwrap(), authority(), authority());
    let names = names();
    let files = files(&one, folder.path());
    for peer in [other.server(&[&names[0], &names[1]], false), one.server(&["somebody.else"], false)] {
        let outcome = run(folder.path(), &peer.controller.to_string(), &files);
        assert!(outcome.contains("no encrypted connection could be agreed on: invalid peer certificate"), "{outcome}");
        assert!(outcome.contains("; check the certificates and the domain in the Fluvio profile"), "{outcome}");
    }
}

#[test]
fn a_server_in_the_clear_is_told_from_one_with_tls() {
    let folder = tempfile::tempdir().unwrap();
    let peer = Peer::start();
    let outcome = run(folder.path(), &peer.controller.to_string(), "tls_policy = \"anonymous\"");
    assert!(outcome.contains("could not agree on an encrypted connection within 1.0 s"), "{outcome}");
    assert!(
        outcome.contains("; if the server speaks no TLS, use a Fluvio profile whose tls_policy is \"disabled\""),
        "{outcome}"
    );
}

#[test]
fn a_missing_certificate_file_is_named() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
    let tls = files(&authority, folder.path());
    std::fs::remove_file(folder.path().join("client.key")).unwrap();
    let outcome = run(folder.path(), "localhost:1", &tls);
    let file = folder.path().join("client.key");
    let expect = format!("cannot read \"{}\" of the Fluvio profile: no such file or folder", file.display());
    assert!(outcome.contains(&expect), "{outcome}");
}
