use coral_proto::colony::v1::agent_link_client::AgentLinkClient;
use coral_proto::colony::v1::agent_link_server::{AgentLink, AgentLinkServer};
use coral_proto::colony::v1::{Greeting, Welcome};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;

type Chunk = Result<Vec<u8>, Status>;

/// Two ends whose messages reach each other.
fn tunnel() -> ((DuplexStream, Ended), (DuplexStream, Ended)) {
    let (to_right, at_right) = mpsc::channel::<Chunk>(1);
    let (to_left, at_left) = mpsc::channel::<Chunk>(1);
    let end = |incoming, outgoing| open(ReceiverStream::new(incoming), |data| data, outgoing, Ok);
    (end(at_left, to_right), end(at_right, to_left))
}

#[tokio::test]
async fn what_goes_in_comes_out_and_the_end_comes_after_it() {
    let ((left, left_ended), (mut right, right_ended)) = tunnel();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    right.write_all(b"hello").await.unwrap();
    let (mut reader, mut writer) = split(left);
    let writing = {
        let sent = sent.clone();
        tokio::spawn(async move {
            writer.write_all(&sent).await.unwrap();
            writer.shutdown().await.unwrap();
        })
    };
    let mut come = Vec::new();
    right.read_to_end(&mut come).await.unwrap();
    assert!(come == sent, "{} bytes of {}", come.len(), sent.len());
    writing.await.unwrap();
    // Neither side can go on without the other.
    come.clear();
    reader.read_to_end(&mut come).await.unwrap();
    assert_eq!(come, b"hello");
    assert!(right.write_all(b"more").await.is_err());
    assert!(left_ended.wait().await.is_none());
    assert!(right_ended.wait().await.is_none());
}

#[tokio::test]
async fn who_does_not_read_stops_who_writes() {
    let ((mut left, _left_ended), (_right, _right_ended)) = tunnel();
    let mut written = 0;
    loop {
        tokio::select! {
            biased;
            length = left.write(&[0; CHUNK_BYTES_MAX]) => written += length.unwrap(),
            () = async { for _ in 0..1_000 { yield_now().await } } => break,
        }
    }
    // In each buffer of bytes, in the channel between them, and in the hands of either side.
    assert_eq!(written, 5 * CHUNK_BYTES_MAX);
}

#[tokio::test]
async fn a_failed_stream_ends_the_connection_and_says_why() {
    let (sender, incoming) = mpsc::channel::<Chunk>(1);
    let (outgoing, _sent) = mpsc::channel::<Chunk>(1);
    let (mut bytes, ended) = open(ReceiverStream::new(incoming), |data| data, outgoing, Ok);
    sender.send(Ok(b"some".to_vec())).await.unwrap();
    let failure = Status::unavailable("gone");
    sender.send(Err(failure)).await.unwrap();
    let mut come = Vec::new();
    bytes.read_to_end(&mut come).await.unwrap();
    assert_eq!(come, b"some");
    assert_eq!(
        ended.wait().await.map(|status| status.code()),
        Some(Code::Unavailable)
    );
    assert!(bytes.write_all(&[0; 2 * CHUNK_BYTES_MAX]).await.is_err());
}

/// A colony that hands out the channel to its first agent.
struct Colony(std::sync::Mutex<Option<oneshot::Sender<(Channel, Ended)>>>);

#[tonic::async_trait]
impl AgentLink for Colony {
    type OpenLinkStream = ReceiverStream<Result<OpenLinkResponse, Status>>;

    async fn open_link(
        &self,
        request: Request<Streaming<OpenLinkRequest>>,
    ) -> Result<Response<Self::OpenLinkStream>, Status> {
        let mut incoming = request.into_inner();
        let first = incoming.message().await?.unwrap();
        assert_eq!(first.greeting.unwrap().agent_id, "node-7");
        let (outgoing, messages) = mpsc::channel(CHUNKS_MAX);
        let welcome = OpenLinkResponse {
            welcome: Some(Welcome::default()),
            data: Vec::new(),
        };
        outgoing.send(Ok(welcome)).await.unwrap();
        let sender = self.0.lock().unwrap().take().unwrap();
        tokio::spawn(async move {
            sender
                .send(colony_end(incoming, outgoing).await.unwrap())
                .unwrap();
        });
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

/// The agent's side of a new link.
async fn dial(colony: std::net::SocketAddr) -> (Connection, Ended) {
    let endpoint = Endpoint::from_shared(format!("http://{colony}")).unwrap();
    let mut client = AgentLinkClient::new(endpoint.connect().await.unwrap());
    let (outgoing, messages) = mpsc::channel(CHUNKS_MAX);
    let greeting = OpenLinkRequest {
        greeting: Some(Greeting {
            agent_id: "node-7".into(),
            ..Greeting::default()
        }),
        data: Vec::new(),
    };
    outgoing.send(greeting).await.unwrap();
    let opened = client.open_link(ReceiverStream::new(messages)).await;
    let mut incoming = opened.unwrap().into_inner();
    let first = incoming.message().await.unwrap().unwrap();
    assert_eq!(first.welcome, Some(Welcome::default()));
    agent_end(incoming, outgoing)
}

#[tokio::test]
async fn the_colony_calls_the_agent_that_has_dialled_it() {
    let (sender, linked) = oneshot::channel();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let colony = AgentLinkServer::new(Colony(Some(sender).into()));
    tokio::spawn(
        Server::builder()
            .add_service(colony)
            .serve_with_incoming(incoming),
    );

    let (connection, agent_ended) = dial(address).await;
    let (_health, service) = tonic_health::server::health_reporter();
    let connections = tokio_stream::once(Ok::<_, io::Error>(connection));
    let served = Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(connections.chain(tokio_stream::pending()), async move {
            agent_ended.wait().await;
        });
    let served = tokio::spawn(served);

    let (channel, colony_ended) = linked.await.unwrap();
    let mut client = HealthClient::new(channel);
    let answer = client.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.into_inner().status, 1);
    drop(client);
    assert!(colony_ended.wait().await.is_none());
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_channel_whose_agent_is_gone_fails_and_does_not_connect_again() {
    let (sender, linked) = oneshot::channel();
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap();
    let colony = AgentLinkServer::new(Colony(Some(sender).into()));
    tokio::spawn(
        Server::builder()
            .add_service(colony)
            .serve_with_incoming(incoming),
    );

    let (connection, agent_ended) = dial(address).await;
    let (channel, colony_ended) = linked.await.unwrap();
    drop(connection);
    assert!(agent_ended.wait().await.is_none());
    assert!(colony_ended.wait().await.is_none());
    let mut client = HealthClient::new(channel);
    for _ in 0..2 {
        let refused = client.check(HealthCheckRequest::default()).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    }
}
