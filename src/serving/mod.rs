//! What the servers of this program have in common, the agent and the colony: where they listen,
//! who is let in, what is written down, and how sessions and errors are sent.

mod audit;
pub(crate) mod claims;
mod error;
pub(crate) mod functions;
mod owner;
pub(crate) mod pages;
pub(crate) mod status;
pub mod tunnel;
pub(crate) mod uprobe;
pub(crate) mod watching;

use std::fs;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use coral_proto::DESCRIPTORS;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tower::util::MapRequestLayer;

use crate::access::audit::AuditSettings;
use crate::access::grpc::{Guard, note_path};
use crate::access::{AccessError, Connection, Gate, Listen, Listener, Settings};
pub(crate) use audit::Audit;
pub use error::ServeError;
pub(crate) use owner::{Owner, requested_by};

/// How many requests of one connection are served at the same time.
const REQUESTS_MAX: usize = 64;
/// How often a quiet connection is tried, and how long an answer may take: half-open ones end.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(20);
const KEEP_ALIVE_MAX: Duration = Duration::from_secs(10);
/// How long clients have to take what is on its way when the server ends.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// A server that listens, and serves nothing yet.
#[derive(Debug)]
pub(crate) struct Opened {
    listeners: Vec<Listener>,
    gate: Arc<Gate>,
    audit: Arc<Audit>,
}

impl Opened {
    /// Opens the places to listen at and the audit log.
    ///
    /// # Errors
    /// If one of them cannot be opened, or the settings of access contradict themselves.
    pub(crate) async fn open(
        listen: &[String],
        access: &Settings,
        audit: Option<&AuditSettings>,
    ) -> Result<Self, ServeError> {
        let mut listeners = Vec::new();
        for listen in listen {
            let listen: Listen = listen.parse()?;
            make_folder(&listen)?;
            listeners.push(Listener::bind(&listen, access).await?);
        }
        Ok(Self {
            listeners,
            gate: Arc::new(Gate::new(access.clone())?),
            audit: Arc::new(Audit::open(audit)?),
        })
    }

    /// Where it listens.
    pub(crate) fn places(&self) -> Vec<Listen> {
        let listeners = self.listeners.iter();
        listeners
            .map(|listener| listener.listen().clone())
            .collect()
    }

    /// What is written down of what is asked for.
    pub(crate) fn audit(&self) -> Arc<Audit> {
        Arc::clone(&self.audit)
    }

    /// A guard of this server; everybody that it refuses is written down.
    pub(crate) fn guard(&self) -> Guard {
        let audit = Arc::clone(&self.audit);
        Guard::new(Arc::clone(&self.gate), move |address, denied| {
            audit.refused(address, denied.reason());
        })
    }

    /// Serves until `ended`; then clients have a moment to take what is on its way. `routes` lead
    /// to services behind the guard, which have these names.
    pub(crate) async fn serve(
        self,
        routes: Routes,
        guard: Guard,
        names: &[&str],
        ended: impl Future<Output = ()>,
    ) {
        let (health, health_service) = tonic_health::server::health_reporter();
        for name in names {
            let status = ServingStatus::Serving;
            health.set_service_status(*name, status).await;
        }
        let routes = routes.add_service(InterceptedService::new(health_service, guard.clone()));
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .build_v1();
        // The descriptors are those that this program was built with; a test reads them.
        let routes = match reflection {
            Ok(reflection) => routes.add_service(InterceptedService::new(reflection, guard)),
            Err(_) => routes,
        };
        let (closing, closed) = watch::channel(false);
        let mut serving = JoinSet::new();
        for listener in self.listeners {
            let (audit, routes) = (Arc::clone(&self.audit), routes.clone());
            serving.spawn(serve_one(listener, audit, routes, closed.clone()));
        }
        ended.await;
        // Who watches gets the final numbers, and the connection's end after them.
        closing.send_replace(true);
        let all_ended = async { while serving.join_next().await.is_some() {} };
        let _ = timeout(CLOSE_MAX, all_ended).await;
        serving.shutdown().await;
    }
}

async fn serve_one(
    listener: Listener,
    audit: Arc<Audit>,
    routes: Routes,
    closed: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let incoming =
        listener.incoming(move |address, error| audit.refused(address, error.to_string()));
    serve_incoming(incoming, routes, closed).await
}

/// Serves connections as they come in, until it is closed.
///
/// # Errors
/// If no more of them can come in.
pub(crate) async fn serve_incoming(
    incoming: impl Stream<Item = io::Result<Connection>>,
    routes: Routes,
    mut closed: watch::Receiver<bool>,
) -> Result<(), tonic::transport::Error> {
    let closed = async move {
        // It is closed as well where nobody can say so any more.
        let _ = closed.wait_for(|is_closed| *is_closed).await;
    };
    Server::builder()
        .concurrency_limit_per_connection(REQUESTS_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_MAX))
        .layer(MapRequestLayer::new(note_path::<Body>))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, closed)
        .await
}

/// `/run/coral` is gone after every start of the machine.
fn make_folder(listen: &Listen) -> Result<(), ServeError> {
    let Listen::Unix(path) = listen else {
        return Ok(());
    };
    let made = path.parent().map_or(Ok(()), fs::create_dir_all);
    Ok(made.map_err(|error| AccessError::Listen {
        listen: listen.clone(),
        error,
    })?)
}
