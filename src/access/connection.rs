//! A connection of any kind, and who is at its other end.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// A connection to a client or a server: TCP, TLS, a unix socket, or bytes inside of another one.
pub struct Connection {
    stream: Box<dyn Stream>,
    peer: Peer,
}

/// Who is at the other end, as far as the connection itself tells. It lies in the extensions of
/// every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: PeerAddress,
    /// The certificate that the peer has proven to own; the CA's signature has been verified.
    pub certificate: Option<CertificateDer<'static>>,
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// A process of this machine; the kernel vouches for its user.
    Unix {
        /// The user that it ran as when it connected.
        uid: u32,
        /// Its process id, if the kernel told.
        pid: Option<i32>,
    },
    /// An address.
    Tcp(SocketAddr),
    /// The colony of this agent, over the link that the agent has opened itself.
    Colony,
}

impl Connection {
    pub(super) fn new(stream: impl Stream + 'static, peer: Peer) -> Self {
        Self {
            stream: Box::new(stream),
            peer,
        }
    }

    /// A connection that something else carries, whose peer is known already.
    pub(crate) fn inside_of<T>(stream: T, peer: Peer) -> Self
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::new(stream, peer)
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix {
                uid,
                pid: Some(pid),
            } => write!(out, "unix:uid={uid},pid={pid}"),
            Self::Unix { uid, pid: None } => write!(out, "unix:uid={uid}"),
            Self::Tcp(address) => write!(out, "{address}"),
            Self::Colony => out.write_str("colony"),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Connection({})", self.peer.address)
    }
}

/// What bytes go through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
