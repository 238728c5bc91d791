//! Ways to servers that are not coral's: collectors and object stores.

use std::io;
use std::path::Path;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tonic::transport::Channel;
use tower::service_fn;

use super::connect::{CONNECT_MAX, KEEP_ALIVE_EVERY, KEEP_ALIVE_MAX, dial};
use super::{AccessError, Connection, Endpoint, tls};

/// How servers of others are reached: as their address says, with TLS or without.
#[derive(Clone, Debug)]
pub struct Outgoing {
    tls: Arc<ClientConfig>,
}

impl Outgoing {
    /// For gRPC. Without a CA, those that this system trusts vouch for servers.
    ///
    /// # Errors
    /// If the CA's file, or the system's, cannot be used.
    pub fn of_grpc(ca: Option<&Path>) -> Result<Self, AccessError> {
        let tls = tls::client_of(ca, &[tls::ALPN])?;
        Ok(Self { tls })
    }

    /// For HTTP/1.1.
    ///
    /// # Errors
    /// As for [`Self::of_grpc`].
    pub fn of_http(ca: Option<&Path>) -> Result<Self, AccessError> {
        let tls = tls::client_of(ca, &[])?;
        Ok(Self { tls })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// If nobody who proves to be that server is there.
    pub async fn dial(&self, endpoint: Endpoint) -> io::Result<TokioIo<Connection>> {
        let is_tls = matches!(endpoint, Endpoint::Tcp { is_tls: true, .. });
        let dialled = dial(endpoint, is_tls.then(|| Arc::clone(&self.tls)));
        dialled.await.map(TokioIo::new)
    }

    /// A channel that connects when it is used, and again after failures.
    ///
    /// # Errors
    /// If the address is none.
    pub fn channel(&self, endpoint: &Endpoint) -> Result<Channel, AccessError> {
        let outgoing = self.clone();
        let to = endpoint.clone();
        Ok(super::connect::origin(endpoint)?
            .connect_timeout(CONNECT_MAX)
            .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
            .keep_alive_timeout(KEEP_ALIVE_MAX)
            .connect_with_connector_lazy(service_fn(move |_| {
                let (outgoing, to) = (outgoing.clone(), to.clone());
                async move { outgoing.dial(to).await }
            })))
    }
}

/// What a file holds that its owner alone may read.
///
/// # Errors
/// If others may, or it cannot be read.
pub fn read_secret(what: &'static str, path: &Path) -> Result<String, AccessError> {
    let bytes = tls::read_private(what, path)?;
    String::from_utf8(bytes).map_err(|_| AccessError::File {
        what,
        path: path.to_owned(),
        why: "it is no text".to_owned(),
    })
}

/// The token in a file, which nobody but its owner may read.
///
/// # Errors
/// If it cannot be read, or others may.
pub fn read_token(path: &Path) -> Result<String, AccessError> {
    match read_secret("token", path) {
        Ok(token) => Ok(token.trim().to_owned()),
        Err(AccessError::File { path, why, .. }) => Err(AccessError::TokenFile { path, why }),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use coral_model::Diagnostic;

    use super::*;

    #[test]
    fn a_token_is_read_that_nobody_else_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert_eq!(read_token(&path).unwrap_err().code(), "bad-token");
        fs::write(&path, " a-token\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read_token(&path).unwrap_err().code(), "key-exposed");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_token(&path).unwrap(), "a-token");
    }
}
