//! Outlets behind TLS: a front that ends it, for servers that know nothing of it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::certificates::certificates;

/// Where TLS is spoken for a server, until this is dropped.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    certificates: TempDir,
    serving: tokio::task::JoinHandle<()>,
}

impl Front {
    /// Before that server, with a certificate for this machine whose CA nobody knows yet.
    pub(crate) async fn of(server: SocketAddr) -> Self {
        let certificates = certificates();
        let acceptor = TlsAcceptor::from(Arc::new(config(certificates.path())));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that trusts nobody here goes away.
                    let mut client = acceptor.accept(client).await?;
                    let mut server = TcpStream::connect(server).await?;
                    copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self {
            address,
            certificates,
            serving,
        }
    }

    /// The CA of its certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.certificates.path().join("ca.pem")
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn config(directory: &Path) -> ServerConfig {
    let pem = |name| fs::read(directory.join(name)).unwrap();
    let chain = CertificateDer::pem_slice_iter(&pem("colony.pem"))
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(&pem("colony-key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
