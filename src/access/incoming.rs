//! The connections of a listener, as the stream that tonic serves.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;

use super::connection::{Connection, Peer, PeerAddress};
use super::listener::{Listener, Socket};

/// Who has not finished the handshake by then is refused.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// More clients at once wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 256;
/// Connections that are ready and not yet served.
const READY_MAX: usize = 16;
/// How long to wait where no connection can be accepted: file descriptors come back with time.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The connections of a listener; for `tonic`'s `serve_with_incoming`. Dropping it closes the
/// listener and removes a unix socket's file.
#[derive(Debug)]
pub struct Incoming {
    ready: mpsc::Receiver<Connection>,
    accepting: JoinHandle<()>,
}

impl Listener {
    /// The connections, each with its handshake done: a slow client holds up nobody.
    ///
    /// `on_refused` learns of those whose handshake failed, with the reason.
    pub fn incoming<F>(self, on_refused: F) -> Incoming
    where
        F: Fn(PeerAddress, &io::Error) + Send + Sync + 'static,
    {
        let (sender, ready) = mpsc::channel(READY_MAX);
        let accepting = tokio::spawn(accept_all(self.socket, sender, Arc::new(on_refused)));
        Incoming { ready, accepting }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Connection>>> {
        self.ready.poll_recv(context).map(|ready| ready.map(Ok))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type OnRefused = dyn Fn(PeerAddress, &io::Error) + Send + Sync;

async fn accept_all(socket: Socket, ready: mpsc::Sender<Connection>, on_refused: Arc<OnRefused>) {
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept(&socket), if handshakes.len() < HANDSHAKES_MAX => match accepted {
                Ok(accepted) => {
                    let on_refused = Arc::clone(&on_refused);
                    handshakes.spawn(finish(accepted, ready.clone(), on_refused));
                }
                Err(_) => sleep(RETRY_AFTER).await,
            },
            Some(_) = handshakes.join_next() => {}
        }
    }
}

/// A connection before its handshake.
enum Accepted {
    Unix(UnixStream, PeerAddress),
    Tcp(TcpStream, PeerAddress),
    Tls(TcpStream, PeerAddress, Arc<ServerConfig>),
}

async fn accept(socket: &Socket) -> io::Result<Accepted> {
    match socket {
        Socket::Unix { listener, .. } => accept_unix(listener).await,
        Socket::Tcp(listener, tls) => {
            let (stream, address) = accept_tcp(listener).await?;
            Ok(match tls {
                None => Accepted::Tcp(stream, address),
                Some(tls) => Accepted::Tls(stream, address, Arc::clone(tls)),
            })
        }
    }
}

async fn accept_unix(listener: &UnixListener) -> io::Result<Accepted> {
    let (stream, _) = listener.accept().await?;
    let credentials = stream.peer_cred()?;
    let address = PeerAddress::Unix {
        uid: credentials.uid(),
        pid: credentials.pid(),
    };
    Ok(Accepted::Unix(stream, address))
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<(TcpStream, PeerAddress)> {
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, PeerAddress::Tcp(address)))
}

/// Does the handshake and hands the connection on.
async fn finish(accepted: Accepted, ready: mpsc::Sender<Connection>, on_refused: Arc<OnRefused>) {
    let plain = |address| Peer {
        address,
        certificate: None,
    };
    let connection = match accepted {
        Accepted::Unix(stream, address) => Connection::new(stream, plain(address)),
        Accepted::Tcp(stream, address) => Connection::new(stream, plain(address)),
        Accepted::Tls(stream, address, tls) => match handshake(stream, address, tls).await {
            Ok(connection) => connection,
            Err(error) => return on_refused(address, &error),
        },
    };
    // A server that has stopped takes no connection.
    let _ = ready.send(connection).await;
}

async fn handshake(
    stream: TcpStream,
    address: PeerAddress,
    tls: Arc<ServerConfig>,
) -> io::Result<Connection> {
    let stream = timeout(HANDSHAKE_MAX, TlsAcceptor::from(tls).accept(stream))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long"))??;
    let (_, session) = stream.get_ref();
    let certificate = session
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|certificate| certificate.clone().into_owned());
    let peer = Peer {
        address,
        certificate,
    };
    Ok(Connection::new(stream, peer))
}
