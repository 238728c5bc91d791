//! A client's way to a server.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use coral_proto::ON_BEHALF_OF;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tower::service_fn;

use super::connection::{Connection, Peer, PeerAddress};
use super::{AccessError, Endpoint, TlsConfig, read_token};

/// A server that does not answer by then is not reached.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Longer names are cut.
const NAME_CHARS_MAX: usize = 100;
/// How often a connection is tried: a half-open one ends within the sum of this and the next.
pub const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
/// How long the answer to such a try may take.
pub const KEEP_ALIVE_MAX: Duration = Duration::from_secs(5);

/// A channel whose requests carry the client's token, if it has one.
pub type AuthorizedChannel = InterceptedService<Channel, Bearer>;

/// Puts into requests who makes them: a token, and for whom a colony asks.
#[derive(Clone, Default)]
pub struct Bearer {
    token: Option<MetadataValue<Ascii>>,
    on_behalf_of: Option<MetadataValue<Ascii>>,
}

/// Connects to a server. The channel connects again by itself.
///
/// A server of TLS 1.3 looks at the client's certificate after the handshake: one that it refuses
/// fails the first request.
///
/// # Errors
/// If TLS is missing where the way leaves this machine, a file or the token cannot be used, or
/// nobody who proves to be that server answers within 10 s.
pub async fn connect(
    endpoint: &Endpoint,
    tls: Option<&TlsConfig>,
    token: Option<&str>,
) -> Result<AuthorizedChannel, AccessError> {
    let tls = client_tls(endpoint, tls)?;
    let to = endpoint.clone();
    connect_over(endpoint, token, move || dial(to.clone(), tls.clone())).await
}

/// Whether the files can be used that [`connect`] would be called with.
///
/// # Errors
/// As for [`connect`], before anything is dialled.
pub fn check_files(
    endpoint: &Endpoint,
    tls: &TlsConfig,
    token_file: Option<&Path>,
) -> Result<(), AccessError> {
    client_tls(endpoint, Some(tls))?;
    let token = token_file.map(read_token).transpose()?;
    Bearer::new(token.as_deref()).map(drop)
}

/// As [`connect`], over connections to that server that something else makes.
///
/// # Errors
/// As for [`connect`].
pub(crate) async fn connect_over<F>(
    endpoint: &Endpoint,
    token: Option<&str>,
    dial: impl Fn() -> F + Send + 'static,
) -> Result<AuthorizedChannel, AccessError>
where
    F: Future<Output = io::Result<Connection>> + Send + 'static,
{
    let bearer = Bearer::new(token)?;
    let unreachable = |error: &tonic::transport::Error| AccessError::Unreachable {
        endpoint: endpoint.clone(),
        why: innermost(error).to_string(),
        kind: innermost(error).downcast_ref().map(io::Error::kind),
    };
    let connector = service_fn(move |_| {
        let dialled = dial();
        async move { dialled.await.map(TokioIo::new) }
    });
    let channel = origin(endpoint)?
        .connect_timeout(CONNECT_MAX)
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_MAX)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
        .map_err(|error| unreachable(&error))?;
    Ok(InterceptedService::new(channel, bearer))
}

/// What requests of a channel name as their server.
pub(super) fn origin(endpoint: &Endpoint) -> Result<tonic::transport::Endpoint, AccessError> {
    let origin = match endpoint {
        Endpoint::Unix(_) => "http://localhost".to_owned(),
        // The connector has done TLS; tonic is not to do it again.
        Endpoint::Tcp { .. } => endpoint.to_string().replacen("https", "http", 1),
    };
    Channel::from_shared(origin).map_err(|_| AccessError::BadEndpoint {
        text: endpoint.to_string(),
        why: "it is no URI",
    })
}

impl Bearer {
    /// Requests of a colony for somebody who has proven to it who they are.
    pub fn on_behalf_of(name: &str) -> Self {
        // Headers hold ASCII.
        let name: String = name.escape_default().take(NAME_CHARS_MAX).collect();
        Self {
            token: None,
            on_behalf_of: name.parse().ok(),
        }
    }

    fn new(token: Option<&str>) -> Result<Self, AccessError> {
        let Some(token) = token else {
            return Ok(Self::default());
        };
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .map_err(|_| AccessError::Token)?;
        value.set_sensitive(true);
        Ok(Self {
            token: Some(value),
            on_behalf_of: None,
        })
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        if let Some(token) = &self.token {
            metadata.insert("authorization", token.clone());
        }
        if let Some(name) = &self.on_behalf_of {
            metadata.insert(ON_BEHALF_OF, name.clone());
        }
        Ok(request)
    }
}

fn client_tls(
    endpoint: &Endpoint,
    tls: Option<&TlsConfig>,
) -> Result<Option<Arc<ClientConfig>>, AccessError> {
    if !matches!(endpoint, Endpoint::Tcp { is_tls: true, .. }) {
        return if endpoint.is_local() {
            Ok(None)
        } else {
            Err(AccessError::Insecure {
                endpoint: endpoint.clone(),
            })
        };
    }
    match tls.map(TlsConfig::client).transpose()?.flatten() {
        Some(config) => Ok(Some(config)),
        None => Err(AccessError::NoAuthority {
            endpoint: endpoint.clone(),
        }),
    }
}

pub(super) async fn dial(
    endpoint: Endpoint,
    tls: Option<Arc<ClientConfig>>,
) -> io::Result<Connection> {
    Ok(match endpoint {
        Endpoint::Unix(path) => Connection::new(UnixStream::connect(path).await?, unknown()),
        Endpoint::Tcp { host, port, .. } => {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            match tls {
                None => Connection::new(stream, unknown()),
                Some(tls) => {
                    let name = ServerName::try_from(host).map_err(io::Error::other)?;
                    let stream = TlsConnector::from(tls).connect(name, stream).await?;
                    Connection::new(stream, unknown())
                }
            }
        }
    })
}

/// A client does not ask its connection who the server is: TLS has seen to that.
fn unknown() -> Peer {
    Peer {
        address: PeerAddress::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)),
        certificate: None,
    }
}

/// The reason at the end of a chain of errors that each say that there is one.
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().map_or(error, innermost)
}
