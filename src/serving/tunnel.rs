//! A connection inside of a gRPC stream of bytes. Agents dial their colony, and are still the
//! servers of their own calls: what the stream of `AgentLink` carries is the connection.

use std::io;
use std::time::Duration;

use coral_proto::colony::v1::{OpenLinkRequest, OpenLinkResponse};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Channel, Endpoint, Error};
use tonic::{Status, Streaming};
use tower::service_fn;

use crate::access::{Connection, KEEP_ALIVE_EVERY, KEEP_ALIVE_MAX, Peer, PeerAddress};

/// Bytes in one message, and those that wait on either way in.
pub const CHUNK_BYTES_MAX: usize = 64 << 10;
/// Messages that wait for the stream: room for the channels that are given to the ends.
pub const CHUNKS_MAX: usize = 4;
/// How long the other side has to take what is on its way after this side has ended.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// The end of a tunnel, whichever side has brought it about.
#[derive(Debug)]
pub struct Ended(JoinHandle<Option<Status>>);

impl Ended {
    /// Waits for it. The status is there where the stream has failed.
    pub async fn wait(self) -> Option<Status> {
        // The task neither panics nor is it aborted.
        self.0.await.unwrap_or_default()
    }
}

/// The agent's end, as a connection to serve. The first message has been read before.
pub fn agent_end(
    incoming: Streaming<OpenLinkResponse>,
    outgoing: mpsc::Sender<OpenLinkRequest>,
) -> (Connection, Ended) {
    let peer = Peer {
        address: PeerAddress::Colony,
        certificate: None,
    };
    let message = |data| OpenLinkRequest {
        greeting: None,
        data,
    };
    let (bytes, ended) = open(incoming, |message| message.data, outgoing, message);
    (Connection::inside_of(bytes, peer), ended)
}

/// The colony's end, as a channel to the agent. It does not connect again: once the link has ended,
/// every call fails. The first message has been read before.
///
/// # Errors
/// If the link has ended already.
pub async fn colony_end(
    incoming: Streaming<OpenLinkRequest>,
    outgoing: mpsc::Sender<Result<OpenLinkResponse, Status>>,
) -> Result<(Channel, Ended), Error> {
    let message = |data| {
        Ok(OpenLinkResponse {
            welcome: None,
            data,
        })
    };
    let (bytes, ended) = open(incoming, |message| message.data, outgoing, message);
    Ok((channel(bytes).await?, ended))
}

async fn channel(bytes: DuplexStream) -> Result<Channel, Error> {
    let mut bytes = Some(bytes);
    let connector = service_fn(move |_| {
        let bytes = bytes.take().map(TokioIo::new);
        async move {
            bytes.ok_or_else(|| io::Error::new(io::ErrorKind::BrokenPipe, "the link has ended"))
        }
    });
    // A name for the requests' headers; nobody looks it up.
    Endpoint::from_static("http://agent")
        .http2_keep_alive_interval(KEEP_ALIVE_EVERY)
        .keep_alive_timeout(KEEP_ALIVE_MAX)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
}

/// One end of a tunnel: what is written to the bytes leaves as messages, and what comes in messages
/// can be read from them.
fn open<I, O>(
    incoming: impl Stream<Item = Result<I, Status>> + Send + Unpin + 'static,
    data_of: fn(I) -> Vec<u8>,
    outgoing: mpsc::Sender<O>,
    message_of: fn(Vec<u8>) -> O,
) -> (DuplexStream, Ended)
where
    I: Send + 'static,
    O: Send + 'static,
{
    let (ours, theirs) = duplex(CHUNK_BYTES_MAX);
    let (reader, writer) = split(theirs);
    let carried = tokio::spawn(async move {
        // What was sent before the end arrives; the other side answers the end with its own.
        let sending = async {
            send(reader, outgoing, message_of).await;
            sleep(CLOSE_MAX).await;
        };
        tokio::select! {
            biased;
            status = receive(incoming, data_of, writer) => status,
            () = sending => None,
        }
    });
    (ours, Ended(carried))
}

/// Until the stream has ended, with its status if it has failed, or nobody reads any more.
async fn receive<I>(
    mut incoming: impl Stream<Item = Result<I, Status>> + Unpin,
    data_of: fn(I) -> Vec<u8>,
    mut to: WriteHalf<DuplexStream>,
) -> Option<Status> {
    while let Some(message) = incoming.next().await {
        let data = match message {
            Ok(message) => data_of(message),
            Err(status) => return Some(status),
        };
        if to.write_all(&data).await.is_err() {
            break;
        }
    }
    None
}

/// Until nobody writes any more, or the stream is gone.
async fn send<O>(
    mut from: ReadHalf<DuplexStream>,
    outgoing: mpsc::Sender<O>,
    message_of: fn(Vec<u8>) -> O,
) {
    let mut chunk = vec![0; CHUNK_BYTES_MAX];
    loop {
        let length = tokio::select! {
            biased;
            read = from.read(&mut chunk) => read.unwrap_or_default(),
            () = outgoing.closed() => 0,
        };
        if length == 0 {
            return;
        }
        let message = message_of(chunk[..length].to_vec());
        if outgoing.send(message).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
