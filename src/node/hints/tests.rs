//! Applications whose SDK says what it likes, and when it likes.

use std::future;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coral_model::{FunctionId, SymbolSource};
use coral_proto::sdk::v1 as wire;
use coral_proto::sdk::v1::runtime_monitoring_server::{RuntimeMonitoring, RuntimeMonitoringServer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::*;
use crate::source::local;

const TIME_MAX: Duration = Duration::from_millis(500);

/// How an application answers.
#[derive(Clone, Debug)]
enum Mode {
    /// With these functions, as those of this build.
    List(Vec<(String, u64)>, String),
    /// With more and more functions.
    Endless,
    /// With the same page again and again.
    Circle,
    /// Never.
    Slow,
}

#[tonic::async_trait]
impl RuntimeMonitoring for Mode {
    async fn list_functions(
        &self,
        request: Request<wire::ListFunctionsRequest>,
    ) -> Result<Response<wire::ListFunctionsResponse>, Status> {
        let info = |(name, offset): (String, u64)| wire::FunctionInfo {
            name,
            offset,
            ..wire::FunctionInfo::default()
        };
        let page: u64 = request.into_inner().page_token.parse().unwrap_or_default();
        let (functions, next, build_id) = match self.clone() {
            Self::List(functions, build_id) => (functions, String::new(), build_id),
            Self::Endless => {
                let long = "x".repeat(4_000);
                let of_page = (0..200).map(|at| (format!("{page}.{at}.{long}"), 1));
                (of_page.collect(), (page + 1).to_string(), String::new())
            }
            Self::Circle => (vec![("f".into(), 1)], "1".into(), String::new()),
            Self::Slow => future::pending().await,
        };
        Ok(Response::new(wire::ListFunctionsResponse {
            functions: functions.into_iter().map(info).collect(),
            next_page_token: next,
            binary: Some(wire::Binary {
                build_id,
                ..wire::Binary::default()
            }),
        }))
    }

    async fn get_function_offset(
        &self,
        _request: Request<wire::GetFunctionOffsetRequest>,
    ) -> Result<Response<wire::GetFunctionOffsetResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn notify_debug_session(
        &self,
        _request: Request<wire::NotifyDebugSessionRequest>,
    ) -> Result<Response<wire::NotifyDebugSessionResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}

/// A process that waits, and exports functions beside some that have no name. Ended when dropped.
struct Bash {
    child: Child,
    watched: Watched,
}

impl Bash {
    fn start() -> Self {
        let mut command = Command::new("bash");
        let child = command
            .args(["-c", "read"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let is_there = || {
            local::open(child.id(), &[])
                .ok()
                .filter(|it| it.table().len() > 1_000)
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        let watched = loop {
            // Between fork and exec it is this test.
            match is_there() {
                Some(watched) if watched.target.exe.contains("bash") => break watched,
                _ => assert!(Instant::now() < deadline, "bash does not start"),
            }
        };
        Self { child, watched }
    }

    /// A function that was found in this way, with its name and where it begins in the file.
    fn function(&self, source: SymbolSource) -> (FunctionId, String, u64) {
        let mut functions = self.watched.table().iter();
        let found = functions
            .find(|function| function.source == source)
            .unwrap();
        let image = self.watched.symbols.image(0).unwrap();
        (
            found.id,
            found.name.to_owned(),
            image.file_offset(found.address).unwrap(),
        )
    }

    fn build_id(&self) -> String {
        self.watched.table().modules()[0]
            .build_id
            .clone()
            .unwrap_or_default()
    }
}

impl Drop for Bash {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn serve(mode: Mode) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, connections) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = sender.send(Ok::<_, std::io::Error>(stream)).await;
        }
    });
    let server = Server::builder().add_service(RuntimeMonitoringServer::new(mode));
    tokio::spawn(server.serve_with_incoming(ReceiverStream::new(connections)));
    address
}

fn hints(timeout: Duration) -> Hints {
    Hints::new(SdkApi {
        timeout,
        ..SdkApi::default()
    })
}

async fn asked(mode: Mode, bash: &Bash, timeout: Duration) -> Result<Verified, HintError> {
    let source = Source::Grpc(serve(mode).await);
    hints(timeout).names(&source, &bash.watched).await
}

fn why(asked: Result<Verified, HintError>) -> String {
    match asked {
        Err(HintError::Wrong(why)) => format!("wrong: {why}"),
        Err(HintError::NoAnswer(why)) => format!("no answer: {why}"),
        Ok(verified) => panic!("{verified:?}"),
    }
}

#[tokio::test]
async fn what_is_true_names_what_has_no_name() {
    let bash = Bash::start();
    let (_, known, known_at) = bash.function(SymbolSource::Dynsym);
    let (nameless, old_name, at) = bash.function(SymbolSource::EhFrame);
    let list = vec![
        (known, known_at),
        ("secret::name".into(), at),
        ("nowhere".into(), at + 1),
        ("x".repeat(64 << 10), at),
        (String::new(), at),
    ];
    let mode = Mode::List(list, bash.build_id());
    let verified = asked(mode, &bash, Duration::from_secs(10)).await.unwrap();
    assert_eq!(verified.agreed, 1);
    assert_eq!(verified.names, [(nameless, "secret::name".to_owned())]);
    let named = bash.watched.symbols.with_names(&verified.names);
    let function = named.table().get(nameless).unwrap();
    assert_eq!(
        (function.name, function.source),
        ("secret::name", SymbolSource::Sdk)
    );
    let before = bash.watched.table().get(nameless).unwrap();
    assert_eq!(
        (before.name, before.address),
        (&*old_name, function.address)
    );
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let bash = Bash::start();
    let (_, known, at) = bash.function(SymbolSource::Dynsym);
    let (_, _, other_at) = bash.function(SymbolSource::EhFrame);
    let build = bash.build_id();
    for (mode, expected) in [
        (
            Mode::List(vec![(known.clone(), at + 1)], build.clone()),
            "wrong: it says that ",
        ),
        // Another function begins there.
        (
            Mode::List(vec![(known.clone(), other_at)], build.clone()),
            "wrong: it says that ",
        ),
        (
            Mode::List(vec![(known.clone(), 0)], build.clone()),
            "wrong: it says that ",
        ),
        (
            Mode::List(vec![(known.clone(), u64::MAX)], build),
            "wrong: it says that ",
        ),
        (
            Mode::List(vec![(known, at)], "c0ffee".into()),
            "wrong: it says that it is build c0ffee",
        ),
        (Mode::Endless, "wrong: its list does not end"),
        (Mode::Circle, "wrong: its pages lead nowhere"),
    ] {
        let why = why(asked(mode.clone(), &bash, Duration::from_secs(60)).await);
        assert!(why.starts_with(expected), "{mode:?}: {why}");
    }
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let bash = Bash::start();
    let half_open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    for address in [
        serve(Mode::Slow).await,
        half_open.local_addr().unwrap().to_string(),
        closed.to_string(),
        "unix:/nonexistent/sdk.sock".into(),
        "no address".into(),
    ] {
        let began = Instant::now();
        let asked = hints(TIME_MAX)
            .names(&Source::Grpc(address.clone()), &bash.watched)
            .await;
        let why = why(asked);
        assert!(why.starts_with("no answer: "), "{address}: {why}");
        assert!(
            began.elapsed() < TIME_MAX * 4,
            "{address}: {:?}",
            began.elapsed()
        );
    }
    let elsewhere = Source::Grpc("https://192.0.2.1:9".into());
    let asked = hints(TIME_MAX).names(&elsewhere, &bash.watched).await;
    assert_eq!(why(asked), "wrong: its address is not on this node");
}

#[test]
fn names_that_are_none_are_left_out_and_lists_are_bounded() {
    let mut told = Told::default();
    told.add(String::new(), 1).unwrap();
    told.add("x".repeat(64 << 10), 2).unwrap();
    assert_eq!(told.hints.len(), 0);
    let name = "x".repeat(NAME_BYTES_MAX);
    let ended = (0..=FUNCTIONS_MAX).find_map(|_| told.add(name.clone(), 0).err());
    assert_eq!(
        ended,
        Some(HintError::Wrong("its list does not end".into()))
    );
    assert_eq!(told.hints.len(), NAMES_BYTES_MAX / NAME_BYTES_MAX + 1);
}
