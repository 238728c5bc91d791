//! The calls of a server as its definitions list them, made with bytes of any kind.

use std::time::Duration;

use coral_proto::{DESCRIPTORS, ERROR_CODE, MESSAGE_BYTES_MAX};
use coral_tui::access::AuthorizedChannel;
use prost::Message;
use prost::bytes::{Buf, BufMut, Bytes};
use prost_types::FileDescriptorSet;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status, Streaming};

/// Longer no answer takes, unless something hangs.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// A call of a service.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    path: PathAndQuery,
    is_stream: bool,
}

impl Call {
    /// All of a service in a package.
    pub(crate) fn all_of(package: &str, service: &str) -> Vec<Self> {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        let services = files
            .iter()
            .filter(|file| file.package() == package)
            .flat_map(|file| &file.service);
        let methods = services.filter(|it| it.name() == service);
        let calls: Vec<Self> = methods
            .flat_map(|service| &service.method)
            .map(|method| Self {
                name: method.name().to_owned(),
                path: format!("/{package}.{service}/{}", method.name())
                    .parse()
                    .unwrap(),
                is_stream: method.server_streaming(),
            })
            .collect();
        assert!(!calls.is_empty());
        calls
    }

    /// Makes it with those bytes as its message.
    pub(crate) async fn make(
        &self,
        channel: &AuthorizedChannel,
        bytes: Vec<u8>,
    ) -> Result<Answer, Status> {
        let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let ready = grpc.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(Bytes::from(bytes));
        request.set_timeout(ANSWER_MAX);
        let answered = grpc
            .server_streaming(request, self.path.clone(), Raw)
            .await?;
        let mut stream = answered.into_inner();
        // A stream may have nothing to say for long; that it has begun is its answer.
        let first = match self.is_stream {
            true => None,
            false => stream.message().await?,
        };
        Ok(Answer {
            first,
            _stream: stream,
        })
    }
}

/// What a call was answered; a stream goes on until this is dropped.
pub(crate) struct Answer {
    first: Option<Bytes>,
    _stream: Streaming<Bytes>,
}

impl Answer {
    /// Whether a message came, and nothing is in it: no field has another value than its default.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.as_ref().is_some_and(Bytes::is_empty)
    }

    /// The message.
    pub(crate) fn message<M: Message + Default>(&self) -> M {
        M::decode(self.first.clone().unwrap()).unwrap()
    }
}

/// The stable code that a server has put into a refusal; empty where there is none.
pub(crate) fn code_of(status: &Status) -> &str {
    let code = status.metadata().get(ERROR_CODE);
    code.and_then(|code| code.to_str().ok()).unwrap_or_default()
}

/// Bytes as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, bytes: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(bytes);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
