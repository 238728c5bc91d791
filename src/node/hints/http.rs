//! Applications that run Coral's SDK for Go, over HTTP and JSON.
//!
//! `GET /debug/capabilities` says whose process it is, `GET /debug/functions?limit=&offset=` lists
//! functions in pages that can be megabytes long.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use super::{HintError, Told};

/// Functions that are asked for at a time.
const PAGE_FUNCTIONS: usize = 2_000;
/// A page that is longer is not read.
const BODY_BYTES_MAX: usize = 16 << 20;

#[derive(Deserialize)]
struct Capabilities {
    /// The id in the application's own process namespace, as text.
    process_id: String,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    functions: Vec<Function>,
    #[serde(default)]
    has_more: bool,
}

#[derive(Deserialize)]
struct Function {
    #[serde(alias = "Name")]
    name: String,
    #[serde(alias = "Offset")]
    offset: u64,
}

/// Reads an application's list.
pub(super) async fn ask(address: &str, pid: u32) -> Result<Told, HintError> {
    let capabilities: Capabilities = get(address, "/debug/capabilities").await?;
    if capabilities.process_id != pid.to_string() {
        let other = coral_model::escape(&capabilities.process_id);
        return Err(HintError::NoAnswer(format!(
            "process {other} answers there"
        )));
    }
    let mut told = Told::default();
    let mut asked = 0;
    loop {
        let path = format!("/debug/functions?limit={PAGE_FUNCTIONS}&offset={asked}");
        let page: Page = get(address, &path).await?;
        let is_last = !page.has_more;
        asked += page.functions.len();
        if page.functions.is_empty() && !is_last {
            return Err(HintError::Wrong("its pages lead nowhere".into()));
        }
        for function in page.functions {
            told.add(function.name, function.offset)?;
        }
        if is_last {
            return Ok(told);
        }
    }
}

async fn get<T: DeserializeOwned>(address: &str, path: &str) -> Result<T, HintError> {
    let body = body(address, path).await?;
    serde_json::from_slice(&body)
        .map_err(|error| HintError::NoAnswer(format!("{path} is not as expected: {error}")))
}

/// A body over a connection of its own: the list is read once in a process's life.
async fn body(address: &str, path: &str) -> Result<Bytes, HintError> {
    let failed = |error: &dyn std::error::Error| HintError::NoAnswer(error.to_string());
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| failed(&error))?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| failed(&error))?;
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(header::HOST, address)
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| failed(&error))?;
    if answer.status() != StatusCode::OK {
        return Err(HintError::NoAnswer(format!("{path}: {}", answer.status())));
    }
    let body = Limited::new(answer.into_body(), BODY_BYTES_MAX)
        .collect()
        .await;
    body.map(|body| body.to_bytes())
        .map_err(|error| HintError::NoAnswer(format!("{path}: {error}")))
}
