//! Who may come in, over what, what they may do, and the record of what they did.
//!
//! The only room that knows TLS, certificates, tokens and the audit log. Servers bind a
//! [`Listener`] and serve its connections with a [`grpc::Guard`]; clients [`connect`].
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use coral_tui::access::{Gate, Listener, Settings, grpc::Guard};
//! # async fn serve(settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
//! let listener = Listener::bind(&"127.0.0.1:9001".parse()?, &settings).await?;
//! let incoming = listener.incoming(|_address, _error| { /* note the failed handshake */ });
//! let gate = Arc::new(Gate::new(settings)?);
//! let guard = Guard::new(gate, |_address, _denied| { /* note the refusal */ });
//! // Server::builder().add_service(InterceptedService::new(service, guard))
//! //     .serve_with_incoming(incoming); in a handler:
//! // grpc::identity(request.extensions())?.check(Role::Attach, service)?;
//! # Ok(())
//! # }
//! ```
//!
//! **Architecture invariant: nobody is somebody by default.** A listener that others than this
//! machine can reach is opened only with TLS and a way to tell clients apart; and a client that
//! could not be identified has no role.

pub mod audit;
mod back_off;
mod certificate;
pub mod certs;
mod connect;
mod connection;
mod endpoint;
mod error;
mod gate;
pub mod grpc;
mod identity;
mod incoming;
mod listen;
mod listener;
mod outgoing;
mod settings;
mod sha256;
mod socket;
mod tls;

pub use back_off::BackOff;
#[cfg(test)]
pub(crate) use connect::connect_over;
pub use connect::{
    AuthorizedChannel, Bearer, KEEP_ALIVE_EVERY, KEEP_ALIVE_MAX, check_files, connect,
};
pub use connection::{Connection, Peer, PeerAddress};
pub use endpoint::Endpoint;
pub use error::AccessError;
pub use gate::Gate;
pub use identity::{Denied, Identity, Role, Services, Source};
pub use incoming::Incoming;
pub use listen::Listen;
pub use listener::Listener;
pub use outgoing::{Outgoing, read_secret, read_token};
pub use settings::{CertificateGrant, Settings, TokenGrant, UserGrant};
pub use sha256::Sha256;
pub use tls::TlsConfig;
