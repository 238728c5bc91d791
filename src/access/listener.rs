//! An open server socket: the one place that decides whether it may be opened at all.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};

use super::socket::{self, SocketFile};
use super::tls::WithoutCertificate;
use super::{AccessError, Listen, Settings};

/// An open server socket. [`Listener::incoming`] gives its connections.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
    listen: Listen,
}

#[derive(Debug)]
pub(super) enum Socket {
    Unix {
        listener: UnixListener,
        /// The file goes with the socket.
        _file: SocketFile,
    },
    Tcp(TcpListener, Option<Arc<ServerConfig>>),
}

impl Listener {
    /// Opens a place to listen at. Must be called within a tokio runtime.
    ///
    /// A unix socket has mode 0600, or 0660 for the configured group; that of a dead server is
    /// replaced, that of a live one is not.
    ///
    /// # Errors
    /// If other machines can reach it and the settings have no TLS, or neither a CA for clients'
    /// certificates nor tokens; if a certificate or a key cannot be used; if it cannot be opened.
    pub async fn bind(listen: &Listen, settings: &Settings) -> Result<Self, AccessError> {
        match listen {
            Listen::Unix(path) => {
                let (listener, file) = socket::bind(path, settings.socket_group).await?;
                Ok(Self {
                    socket: Socket::Unix {
                        listener,
                        _file: file,
                    },
                    listen: listen.clone(),
                })
            }
            Listen::Tcp(address) => Self::bind_tcp(listen, *address, settings).await,
        }
    }

    async fn bind_tcp(
        listen: &Listen,
        address: SocketAddr,
        settings: &Settings,
    ) -> Result<Self, AccessError> {
        let tls = protection(listen, settings)?;
        let fail = |error| AccessError::Listen {
            listen: listen.clone(),
            error,
        };
        let socket = TcpListener::bind(address).await.map_err(fail)?;
        let listen = Listen::Tcp(socket.local_addr().map_err(fail)?);
        Ok(Self {
            socket: Socket::Tcp(socket, tls),
            listen,
        })
    }

    /// Where it listens; a port that was asked for as 0 is the one that was found.
    pub fn listen(&self) -> &Listen {
        &self.listen
    }
}

/// The TLS of a TCP listener; none where it is not configured and not needed.
fn protection(
    listen: &Listen,
    settings: &Settings,
) -> Result<Option<Arc<ServerConfig>>, AccessError> {
    let unprotected = |missing| AccessError::Unprotected {
        listen: listen.clone(),
        missing,
    };
    let has_tokens = !settings.tokens.is_empty();
    let Some(tls) = &settings.tls else {
        return if listen.is_local() {
            Ok(None)
        } else {
            Err(unprotected("no TLS is configured"))
        };
    };
    if !listen.is_local() && tls.ca.is_none() && !has_tokens {
        return Err(unprotected(
            "neither a CA for clients' certificates nor tokens are configured",
        ));
    }
    let goes_by_address = listen.is_local() && !settings.allow_loopback.is_empty();
    let without_certificate = if has_tokens || goes_by_address {
        WithoutCertificate::GoOn
    } else {
        WithoutCertificate::Refuse
    };
    tls.server(without_certificate).map(Some)
}
