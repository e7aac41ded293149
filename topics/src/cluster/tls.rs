//! Encrypted connections as the stock client's profiles configure them.
//!
//! `disabled`: none. `anonymous`: encrypted, the server is not verified. `verified`: the server proves that it is the
//! profile's domain to the profile's authority, and we show the profile's certificate. A storage unit is the domain
//! with the unit's name before it, as the stock client has it.

use std::sync::Arc;

use catchment_contract::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::cluster::failure::Failure;
use crate::cluster::profile::{TlsCerts, TlsPolicy, TlsSource};

/// How a cluster's servers are talked to.
#[derive(Clone, Debug)]
pub(super) enum Tls {
    /// In the clear.
    Disabled,
    /// Encrypted.
    Enabled {
        /// Certificates and what is verified.
        config: Arc<ClientConfig>,
        /// The domain that servers must prove; `None` if nothing is verified.
        domain: Option<String>,
    },
}

/// How one server is talked to.
#[derive(Clone, Debug)]
pub(super) enum Secured {
    /// In the clear.
    No,
    /// Encrypted, to a server of this name.
    Yes(Arc<ClientConfig>, ServerName<'static>),
}

impl Tls {
    /// The policy of a profile, its certificates read.
    ///
    /// # Errors
    /// If a file cannot be read, or holds no certificate or key.
    pub(super) fn new(policy: &TlsPolicy) -> Result<Tls> {
        match policy {
            TlsPolicy::Disabled => Ok(Tls::Disabled),
            TlsPolicy::Anonymous => Ok(Tls::Enabled { config: Arc::new(anonymous()?), domain: None }),
            TlsPolicy::Verified(TlsSource::Inline(certs)) => Tls::verified(certs, "in the Fluvio profile"),
            TlsPolicy::Verified(TlsSource::Files(paths)) => {
                let read = |path: &std::path::Path| {
                    std::fs::read_to_string(path)
                        .map_err(|error| Error::io(format!("read \"{}\" of the Fluvio profile", path.display()), error))
                };
                let certs = TlsCerts {
                    domain: paths.domain.clone(),
                    key: read(&paths.key)?,
                    cert: read(&paths.cert)?,
                    ca_cert: read(&paths.ca_cert)?,
                };
                Tls::verified(&certs, "in the files that the Fluvio profile names")
            }
        }
    }

    fn verified(certs: &TlsCerts, place: &str) -> Result<Tls> {
        let wrong = |what: &str, why: String| {
            Error::user(format!("cannot use the {what} {place}: {why}"))
                .with_hint("it is PEM text, as fluvio profile add writes it")
        };
        let chain = |what: &str, text: &str| -> Result<Vec<CertificateDer<'static>>> {
            let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
            match read {
                Ok(chain) if !chain.is_empty() => Ok(chain),
                Ok(_) => Err(wrong(what, "it holds no certificate".into())),
                Err(error) => Err(wrong(what, error.to_string())),
            }
        };
        let mut roots = RootCertStore::empty();
        for root in chain("authority's certificate", &certs.ca_cert)? {
            roots.add(root).map_err(|error| wrong("authority's certificate", error.to_string()))?;
        }
        let own = chain("client's certificate", &certs.cert)?;
        let key = PrivateKeyDer::from_pem_slice(certs.key.as_bytes())
            .map_err(|error| wrong("client's key", error.to_string()))?;
        let config = builder()?
            .with_root_certificates(roots)
            .with_client_auth_cert(own, key)
            .map_err(|error| wrong("client's certificate and key", error.to_string()))?;
        Ok(Tls::Enabled { config: Arc::new(config), domain: Some(certs.domain.clone()) })
    }

    /// The controller at an address.
    pub(super) fn controller(&self, address: &str) -> Result<Secured, Failure> {
        self.server(address, None)
    }

    /// A storage unit of a name at an address.
    pub(super) fn storage(&self, address: &str, name: &str) -> Result<Secured, Failure> {
        self.server(address, Some(name))
    }

    fn server(&self, address: &str, unit: Option<&str>) -> Result<Secured, Failure> {
        let Tls::Enabled { config, domain } = self else { return Ok(Secured::No) };
        let name = match (domain, unit) {
            (Some(domain), Some(unit)) => format!("{unit}.{domain}"),
            (Some(domain), None) => domain.clone(),
            // Not verified: any name that a handshake may carry will do.
            (None, _) => {
                address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']).to_string()
            }
        };
        let name = ServerName::try_from(name).map_err(|error| Failure::Tls { source: error.into() })?;
        Ok(Secured::Yes(config.clone(), name))
    }
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::bug("the TLS library knows no protocol version").with_source(error))
}

fn anonymous() -> Result<ClientConfig> {
    let verifier = Unverified { provider: ring::default_provider() };
    Ok(builder()?.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

/// Takes any certificate, but checks that the server holds its key.
#[derive(Debug)]
struct Unverified {
    provider: CryptoProvider,
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
