//! Identities of gRPC requests: tell them on the way in, find them in the handlers.

use std::fmt;
use std::sync::Arc;

use coral_model::{Diagnostic, Escaped};
use coral_proto::{ERROR_CODE, ERROR_HELP, ON_BEHALF_OF};
use tonic::codegen::http;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::{Extensions, Request, Status};

use super::{Denied, Gate, Identity, Peer, PeerAddress, Source};

/// The name of whom a colony asks for is in every list of sessions.
const NAME_CHARS_MAX: usize = 100;

/// An interceptor for every service of a server: refuses who cannot be identified, and puts the
/// [`Identity`] of everybody else into the request's extensions.
///
/// It serves a [`Connection`](super::Connection), which tells its peer; requests that came another
/// way are refused.
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
            Ok(mut identity) => {
                name_person(&mut identity, &request);
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

/// A colony says for whom it asks, and is the only one that is believed.
fn name_person(identity: &mut Identity, request: &Request<()>) {
    let person = request.metadata().get(ON_BEHALF_OF);
    let person = person.and_then(|person| person.to_str().ok());
    if let (Source::Colony, Some(person)) = (identity.source, person) {
        let person: String = person.chars().take(NAME_CHARS_MAX).collect();
        identity.name = format!("{} (colony)", Escaped(&person));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{Role, Settings};
    use super::*;

    /// Whom a guard finds behind a request from there, which says for whom it is.
    fn found(address: PeerAddress, person: &'static str) -> Identity {
        let gate = Gate::new(Settings {
            allow_loopback: BTreeSet::from([Role::Read]),
            colony: BTreeSet::from([Role::Attach]),
            ..Settings::default()
        });
        let mut guard = Guard::new(Arc::new(gate.unwrap()), |_, _| {});
        let mut request = Request::new(());
        request.extensions_mut().insert(Peer {
            address,
            certificate: None,
        });
        let metadata = request.metadata_mut();
        metadata.insert(ON_BEHALF_OF, MetadataValue::from_static(person));
        let request = guard.call(request).unwrap();
        identity(request.extensions()).unwrap().clone()
    }

    #[test]
    fn only_a_colony_is_believed_for_whom_it_asks() {
        let of_colony = found(PeerAddress::Colony, "ann");
        assert_eq!(of_colony.name, "ann (colony)");
        assert_eq!(of_colony.roles, BTreeSet::from([Role::Attach]));
        assert_eq!(of_colony.source, Source::Colony);
        let of_tcp = found(PeerAddress::Tcp(([127, 0, 0, 1], 1).into()), "ann");
        assert_eq!(of_tcp.name, "loopback");
        assert_eq!(of_tcp.source, Source::Loopback);
        let uid = rustix::process::geteuid().as_raw();
        let of_socket = found(PeerAddress::Unix { uid, pid: None }, "ann");
        assert_eq!(of_socket.name, format!("uid:{uid}"));
    }

    #[test]
    fn a_long_name_is_cut() {
        let long: &'static str = Box::leak("n".repeat(1_000).into_boxed_str());
        let name = found(PeerAddress::Colony, long).name;
        assert_eq!(name, format!("{} (colony)", "n".repeat(NAME_CHARS_MAX)));
    }
}
