//! An agent that takes registrations and can do nothing else.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use coral_proto::agent::v1::{RegisterServiceRequest, RegisterServiceResponse};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

const WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Agent {
    pub(crate) address: SocketAddr,
    registrations: UnboundedReceiver<RegisterServiceRequest>,
    server: JoinHandle<()>,
}

impl Agent {
    /// Gives leases of a second.
    pub(crate) async fn start(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, registrations) = unbounded_channel();
        let served = Server::builder()
            .add_service(Registrations(sender))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async { served.await.unwrap() });
        Self {
            address,
            registrations,
            server,
        }
    }

    pub(crate) async fn registration(&mut self) -> RegisterServiceRequest {
        timeout(WAIT_MAX, self.registrations.recv())
            .await
            .unwrap()
            .unwrap()
    }

    /// Ends it; when this returns, its port is free.
    pub(crate) async fn stop(self) {
        self.server.abort();
        assert!(self.server.await.unwrap_err().is_cancelled());
    }
}

#[derive(Clone)]
struct Registrations(UnboundedSender<RegisterServiceRequest>);

impl NamedService for Registrations {
    const NAME: &'static str = "coral.agent.v1.Agent";
}

impl Service<http::Request<Body>> for Registrations {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let registrations = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(tonic_prost::ProstCodec::default());
            Ok(grpc.unary(registrations, request).await)
        })
    }
}

impl UnaryService<RegisterServiceRequest> for Registrations {
    type Response = RegisterServiceResponse;
    type Future = Ready<Result<Response<RegisterServiceResponse>, Status>>;

    fn call(&mut self, request: Request<RegisterServiceRequest>) -> Self::Future {
        let lease = prost_types::Duration {
            seconds: 1,
            nanos: 0,
        };
        // A test that has seen enough does not listen any longer.
        let _ = self.0.send(request.into_inner());
        ready(Ok(Response::new(RegisterServiceResponse {
            agent_id: "agent-1".to_owned(),
            lease: Some(lease),
        })))
    }
}
