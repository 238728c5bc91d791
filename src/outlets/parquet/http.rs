//! The requests of object storage over this program's own connections and TLS.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::http::Uri;
use object_store::client::{
    ClientConfigKey, ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind,
    HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use tokio::time::timeout;

use crate::access::{Endpoint, Outgoing};

/// How long a request and the head of its answer may take: objects are some 10 MB.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// Makes clients for object storage.
#[derive(Debug)]
pub(super) struct Connector {
    outgoing: Outgoing,
}

impl Connector {
    pub(super) fn over(outgoing: Outgoing) -> Self {
        Self { outgoing }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let is_plain_allowed = options.get_config_value(&ClientConfigKey::AllowHttp);
        Ok(HttpClient::new(Client {
            outgoing: self.outgoing.clone(),
            is_plain_allowed: is_plain_allowed.as_deref() == Some("true"),
        }))
    }
}

/// Makes each request over a connection of its own: there are few of them in an hour.
#[derive(Debug)]
struct Client {
    outgoing: Outgoing,
    is_plain_allowed: bool,
}

#[tonic::async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answered = timeout(ANSWER_MAX, self.send(request)).await;
        answered.map_err(|error| HttpError::new(HttpErrorKind::Timeout, error))?
    }
}

impl Client {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (endpoint, host) = self.server(request.uri())?;
        request.headers_mut().entry(HOST).or_insert(host);
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
        let connected = self.outgoing.dial(endpoint).await;
        let stream = connected.map_err(|error| HttpError::new(HttpErrorKind::Connect, error))?;
        let handshake = http1::handshake(stream).await;
        let (mut sender, connection) =
            handshake.map_err(|error| HttpError::new(HttpErrorKind::Connect, error))?;
        // It ends with the request; why it failed is told by that.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| HttpError::new(HttpErrorKind::Request, error))?;
        Ok(answer.map(|body| {
            let body = body.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error));
            HttpResponseBody::new(body)
        }))
    }

    /// Where a request goes to, and how its server is called there.
    fn server(&self, uri: &Uri) -> Result<(Endpoint, HeaderValue), HttpError> {
        let refuse = |why: &str| HttpError::new(HttpErrorKind::Unknown, std::io::Error::other(why));
        let authority = uri
            .authority()
            .ok_or_else(|| refuse("the address has no host"))?;
        let is_tls = uri.scheme_str() == Some("https");
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority
            .port_u16()
            .unwrap_or(if is_tls { 443 } else { 80 });
        let endpoint = Endpoint::Tcp { host, port, is_tls };
        if !is_tls && !self.is_plain_allowed && !endpoint.is_local() {
            return Err(refuse(
                "without TLS anybody between could read: AWS_ALLOW_HTTP allows it",
            ));
        }
        let name = authority
            .as_str()
            .rsplit_once('@')
            .map_or(authority.as_str(), |it| it.1);
        let name = HeaderValue::from_str(name).map_err(|_| refuse("the address is none"))?;
        Ok((endpoint, name))
    }
}
