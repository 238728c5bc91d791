//! Clients that do not read what they have asked for, and clients that ask for nonsense: nobody
//! else notices.

use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1 as agent;
use coral_proto::colony::v1::debug_service_client::DebugServiceClient;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tower::service_fn;

use crate::asking::{attach, pay, session_of};
use crate::calls::{Call, code_of};
use crate::common::lines::DEADLINE;
use crate::common::session::{function, number};
use crate::common::target::Target;
use crate::common::{compile, need, rights};
use crate::world::{World, runtime};

/// Clients that do not read.
const SLOW: usize = 20;
/// Updates that one who reads is told meanwhile.
const UPDATES: usize = 60;
/// Updates that may wait for one who does not: some messages, and what is on its way.
const WAITING_MAX: usize = 10;
/// What all of them together may cost the colony.
const MEMORY_MAX: u64 = 32 << 20;
/// A client takes so many bytes that it has not read, and no more.
const WINDOW: u32 = 1 << 10;

/// A colony, an agent, and a replica.
fn start() -> Result<(World, Target), String> {
    rights::probes()?;
    let binary = compile::e2e_c(&["-O2"])?;
    let world = World::start(1, &binary);
    let target = world.replica(0);
    world.await_replicas(1);
    Ok((world, target))
}

#[test]
fn who_does_not_read_costs_little_and_holds_nobody_up() {
    let (world, mut target) = need!(start());
    let coral = attach(&world);
    let session = session_of(&world);
    let colony = world.colony.as_ref().unwrap().pid();
    let mut calls = 0;
    runtime().block_on(async {
        let mut slow = Vec::new();
        for _ in 0..SLOW {
            slow.push(watch(&world, &session).await);
        }
        let mut reader = watch(&world, &session).await;
        let before = resident_bytes(colony);
        for _ in 0..UPDATES {
            calls += pay(&mut target, 1);
            read_until(&mut reader, calls).await;
        }
        let grown = resident_bytes(colony).saturating_sub(before);
        assert!(grown < MEMORY_MAX, "{grown} bytes");
        // What they were not told is told as one.
        for late in &mut slow {
            let updates = read_until(late, calls).await;
            assert!(updates <= WAITING_MAX, "{updates} updates have waited");
        }
    });
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), calls);
}

/// Watches a session over a connection of its own, as fast as that can be.
async fn watch(world: &World, session: &str) -> Streaming<agent::SessionUpdate> {
    let request = agent::WatchSessionRequest {
        session_id: session.to_owned(),
        interval: Some(prost_types::Duration {
            seconds: 0,
            nanos: 1,
        }),
    };
    let watched = narrow(world).await.watch_session(request).await;
    watched.unwrap().into_inner()
}

async fn narrow(world: &World) -> DebugServiceClient<Channel> {
    let socket = world.path("colony.sock");
    let dial = move |_| {
        let socket = socket.clone();
        async { UnixStream::connect(socket).await.map(TokioIo::new) }
    };
    let channel = Endpoint::from_static("http://localhost")
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .connect_with_connector(service_fn(dial))
        .await;
    DebugServiceClient::new(channel.unwrap())
}

/// Reads updates until one says that there were so many calls of `pay`; how many it took.
async fn read_until(updates: &mut Streaming<agent::SessionUpdate>, calls: u64) -> usize {
    for count in 1.. {
        let update = timeout(DEADLINE, updates.message()).await;
        let update = update.expect("who reads is told").unwrap();
        let functions = update.expect("it goes on").functions;
        if functions.iter().any(|it| it.calls == calls) {
            return count;
        }
    }
    unreachable!("it is told, or it takes too long");
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib << 10
}

/// Bytes that look random and are the same every time.
struct Bytes(u64);

impl Bytes {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn some(&mut self, len_max: u64) -> Vec<u8> {
        let len = self.next() % len_max;
        (0..len).map(|_| (self.next() >> 24) as u8).collect()
    }
}

/// So many messages of each kind for each call.
const MESSAGES: u64 = 40;

#[test]
fn bytes_that_are_no_message_are_refused() {
    let (world, mut target) = need!(start());
    let whole = agent::StartSessionRequest {
        request_id: "one".into(),
        function_ids: vec![1, 2, 300],
        patterns: vec!["hot".into(), "/^pay$/".into()],
        target: Some(agent::TargetRef {
            service_name: "shop".into(),
            ..agent::TargetRef::default()
        }),
        settings: Some(agent::SessionSettings::default()),
        ..agent::StartSessionRequest::default()
    };
    let whole = whole.encode_to_vec();
    let mut bytes = Bytes(0x9e37_79b9_7f4a_7c15);
    runtime().block_on(async {
        let channel = world.channel().await;
        for call in Call::all_of("coral.colony.v1", "DebugService") {
            for _ in 0..MESSAGES {
                let cut = (bytes.next() as usize) % whole.len();
                let mut flipped = whole.clone();
                flipped[cut] ^= 1 << (bytes.next() % 8);
                for message in [bytes.some(200), whole[..cut].to_vec(), flipped] {
                    let answer = timeout(DEADLINE, call.make(&channel, message)).await;
                    if let Err(status) = answer.expect("every call is answered") {
                        assert_refusal(&call.name, &status);
                    }
                }
            }
            let mut long = vec![0x0a, 0x80, 0x80, 0x80, 0x01];
            long.resize(MESSAGE_BYTES_MAX + 1, b'x');
            let refused = call.make(&channel, long).await.err();
            let code = refused.map(|status| status.code());
            assert_eq!(code, Some(Code::OutOfRange), "{}", call.name);
        }
        let all = agent::EndSessionsRequest {
            all: true,
            ..agent::EndSessionsRequest::default()
        };
        world.client().await.end_sessions(all).await.unwrap();
    });
    let coral = attach(&world);
    let calls = pay(&mut target, 1);
    let document = coral.finish().document();
    assert_eq!(number(&function(&document, "pay")["calls"]), calls);
}

/// What was refused has a stable code, or is no message at all, which is said before the colony's
/// own code sees it.
fn assert_refusal(what: &str, status: &Status) {
    let is_undecodable =
        status.code() == Code::Internal && status.message().contains("failed to decode");
    let code = code_of(status);
    let is_stable = |c: char| c.is_ascii_lowercase() || c == '-';
    let has_code = !code.is_empty() && code.chars().all(is_stable);
    assert!(is_undecodable || has_code, "{what}: {status:?}");
    assert!(
        !status.message().contains(char::is_control),
        "{what}: {status:?}"
    );
}
