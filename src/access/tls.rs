//! Certificates and keys, from files to what rustls works with. TLS 1.3 only.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, version};
use serde::Deserialize;

use super::AccessError;

/// Larger files hold no certificate.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What HTTP/2 is called where the protocol is agreed on.
pub(super) const ALPN: &[u8] = b"h2";

/// Where systems keep the CAs that they trust; the first that is there counts.
const SYSTEM_AUTHORITIES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The PEM files of one end of a TLS connection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The CA that vouches for the other end. A server without one asks for no certificates.
    pub ca: Option<PathBuf>,
    /// The own certificate, followed by those between it and the CA. A server needs one.
    pub certificate: Option<PathBuf>,
    /// The own certificate's key, readable by its owner alone.
    pub key: Option<PathBuf>,
}

/// What a server does where a client shows no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WithoutCertificate {
    /// Refuses the connection.
    Refuse,
    /// Goes on: the client may say by other means who it is.
    GoOn,
}

impl TlsConfig {
    pub(super) fn server(
        &self,
        without_certificate: WithoutCertificate,
    ) -> Result<Arc<ServerConfig>, AccessError> {
        let (chain, key) = self.own()?.ok_or_else(|| {
            AccessError::Tls("a server needs a `certificate` and its `key`".into())
        })?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| of_rustls(&error))?;
        let builder = match self.authorities()? {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
                let verifier = match without_certificate {
                    WithoutCertificate::Refuse => verifier,
                    WithoutCertificate::GoOn => verifier.allow_unauthenticated(),
                };
                let verifier = verifier
                    .build()
                    .map_err(|error| AccessError::Tls(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| of_rustls(&error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }

    /// What a client works with; `None` without a CA.
    pub(super) fn client(&self) -> Result<Option<Arc<ClientConfig>>, AccessError> {
        let Some(roots) = self.authorities()? else {
            return Ok(None);
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&version::TLS13])
            .map_err(|error| of_rustls(&error))?
            .with_root_certificates(roots);
        let mut config = match self.own()? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| of_rustls(&error))?,
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Some(Arc::new(config)))
    }

    fn own(&self) -> Result<Option<Own>, AccessError> {
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some((
                certificates("certificate", certificate)?,
                private_key(key)?,
            ))),
            _ => Err(AccessError::Tls(
                "`certificate` and `key` belong together, and one is missing".into(),
            )),
        }
    }

    fn authorities(&self) -> Result<Option<RootCertStore>, AccessError> {
        let Some(path) = &self.ca else {
            return Ok(None);
        };
        roots_of(path).map(Some)
    }
}

/// What a client works with who is not known by a certificate. Without a CA, those that the system
/// trusts vouch for servers, if it has any.
pub(super) fn client_of(
    ca: Option<&Path>,
    protocols: &[&[u8]],
) -> Result<Arc<ClientConfig>, AccessError> {
    let roots = match ca {
        Some(path) => roots_of(path)?,
        None => system_roots()?,
    };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| of_rustls(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    Ok(Arc::new(config))
}

fn roots_of(path: &Path) -> Result<RootCertStore, AccessError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("CA", path)? {
        roots
            .add(certificate)
            .map_err(|error| of_file("CA", path, error.to_string()))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, AccessError> {
    let mut roots = RootCertStore::empty();
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let usual = || {
        SYSTEM_AUTHORITIES
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists())
    };
    if let Some(path) = named.or_else(usual) {
        // Old ones that are not understood vouch for nobody.
        roots.add_parsable_certificates(certificates("CA", &path)?);
    }
    Ok(roots)
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let pem = read(what, path, &open(what, path)?)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(of_file(what, path, "it holds no certificate".into()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(of_file(what, path, error.to_string())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, AccessError> {
    let pem = read_private("key", path)?;
    // The parser's error may quote what it read, and a key is not to be shown.
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| of_file("key", path, "it holds no private key".into()))
}

/// What a file holds that others than its owner may not read.
pub(super) fn read_private(what: &'static str, path: &Path) -> Result<Vec<u8>, AccessError> {
    let file = open(what, path)?;
    let metadata = file.metadata();
    let mode = metadata
        .map_err(|error| of_file(what, path, error.to_string()))?
        .mode()
        & 0o777;
    if mode & 0o077 != 0 {
        return Err(AccessError::KeyExposed {
            what,
            path: path.to_owned(),
            mode,
        });
    }
    read(what, path, &file)
}

fn open(what: &'static str, path: &Path) -> Result<File, AccessError> {
    File::open(path).map_err(|error| of_file(what, path, error.to_string()))
}

fn read(what: &'static str, path: &Path, file: &File) -> Result<Vec<u8>, AccessError> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| of_file(what, path, error.to_string()))?;
    Ok(bytes)
}

fn of_file(what: &'static str, path: &Path, why: String) -> AccessError {
    AccessError::File {
        what,
        path: path.to_owned(),
        why,
    }
}

fn of_rustls(error: &rustls::Error) -> AccessError {
    AccessError::Tls(error.to_string())
}
