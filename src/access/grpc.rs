//! Identities of gRPC requests: tell them on the way in, find them in the handlers.

use std::fmt;
use std::sync::Arc;

use coral_model::Diagnostic;
use coral_proto::{ERROR_CODE, ERROR_HELP};
use tonic::codegen::http;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::{Extensions, Request, Status};

use super::{Denied, Gate, Identity, Peer, PeerAddress};

/// An interceptor for every service of a server: refuses who cannot be identified, and puts the
/// [`Identity`] of everybody else into the request's extensions.
///
/// It serves connections of [`Incoming`](super::Incoming); requests that came another way are
/// refused.
#[derive(Clone)]
pub struct Guard {
    gate: Arc<Gate>,
    on_denied: Arc<OnDenied>,
    admitted: Option<&'static str>,
}

/// Which call a request makes.
#[derive(Clone, Debug)]
struct CallPath(String);

/// Notes the call of a request where a [`Guard`] finds it.
pub fn note_path<B>(mut request: http::Request<B>) -> http::Request<B> {
    let path = CallPath(request.uri().path().to_owned());
    request.extensions_mut().insert(path);
    request
}

type OnDenied = dyn Fn(PeerAddress, &Denied) + Send + Sync;

impl Guard {
    /// A guard at that gate. `on_denied` learns of everybody who was refused, for the audit log.
    pub fn new<F>(gate: Arc<Gate>, on_denied: F) -> Self
    where
        F: Fn(PeerAddress, &Denied) + Send + Sync + 'static,
    {
        Self {
            gate,
            on_denied: Arc::new(on_denied),
            admitted: None,
        }
    }

    /// Lets processes of this machine make one call without saying who they are; such a request
    /// has no [`Identity`], and the call has to look at its [`Peer`] itself. Needs [`note_path`].
    #[must_use]
    pub fn admitting(mut self, path: &'static str) -> Self {
        self.admitted = Some(path);
        self
    }

    fn admits(&self, peer: &Peer, request: &Request<()>) -> bool {
        let path = request.extensions().get::<CallPath>();
        let is_admitted = path.is_some_and(|path| Some(path.0.as_str()) == self.admitted);
        let is_local = match peer.address {
            PeerAddress::Unix { .. } => true,
            PeerAddress::Tcp(address) => address.ip().to_canonical().is_loopback(),
            PeerAddress::Colony => false,
        };
        is_admitted && is_local
    }
}

impl Interceptor for Guard {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let peer = peer(request.extensions())?;
        if self.admits(peer, &request) {
            return Ok(request);
        }
        let identity = match token(&request) {
            Err(denied) => Err(denied),
            Ok(token) => self.gate.identify(peer, token),
        };
        match identity {
            Ok(identity) => {
                request.extensions_mut().insert(identity);
                Ok(request)
            }
            Err(denied) => {
                (self.on_denied)(peer.address, &denied);
                Err(denied.into())
            }
        }
    }
}

/// Who asks. Behind a [`Guard`] there is always somebody.
///
/// # Errors
/// If no guard stands before the service.
pub fn identity(extensions: &Extensions) -> Result<&Identity, Status> {
    extensions
        .get()
        .ok_or_else(|| Status::internal("no guard stands before this service"))
}

/// Where a request comes from.
///
/// # Errors
/// If the connection is not one of [`Incoming`](super::Incoming).
pub fn peer(extensions: &Extensions) -> Result<&Peer, Status> {
    extensions
        .get()
        .ok_or_else(|| Status::internal("the connection does not tell its peer"))
}

impl From<Denied> for Status {
    fn from(denied: Denied) -> Self {
        let mut status = match denied {
            Denied::Unidentified { .. } => Self::unauthenticated(denied.to_string()),
            Denied::Forbidden { .. } => Self::permission_denied(denied.to_string()),
        };
        for (key, text) in [(ERROR_CODE, denied.code()), (ERROR_HELP, &denied.help())] {
            // Both are this program's own texts, which headers can hold.
            if let Ok(value) = MetadataValue::try_from(text) {
                status.metadata_mut().insert(key, value);
            }
        }
        status
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guard").finish_non_exhaustive()
    }
}

/// The token that a request carries, if it carries one.
fn token(request: &Request<()>) -> Result<Option<&str>, Denied> {
    let unidentified = |reason| Denied::Unidentified { reason };
    let mut values = request.metadata().get_all("authorization").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(unidentified("two tokens were shown"));
    }
    let text = value.to_str().ok();
    let token = text.and_then(|text| text.strip_prefix("Bearer "));
    token
        .map(Some)
        .ok_or(unidentified("the authorization is no bearer token"))
}
