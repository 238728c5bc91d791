//! Clients that send what nobody should: the agent refuses it with a code, and goes on counting.

use std::process::{Child, Command, Stdio};

use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_client::AgentClient;
use coral_tui::access::{AuthorizedChannel, connect};
use prost::Message;
use tonic::{Code, Status};

use crate::calls::{Call, code_of, seconds, session_on, target};
use crate::common::coral::{Coral, attach_command};
use crate::common::lines::DEADLINE;
use crate::common::session::{assert_records_balance, function, number};
use crate::common::target::Target;
use crate::common::{code, compile, need, rights};
use crate::daemon::{Daemon, ROOMY, Setup};

/// Headers longer than this are refused by clients, and the message is one of them.
const MESSAGE_CHARS_MAX: usize = 2_048;
/// So many messages of each kind for each call.
const MESSAGES: u64 = 40;

/// An agent, a target, and a session on it that clients may speak of.
struct World {
    daemon: Daemon,
    target: Target,
    session_id: String,
}

impl World {
    async fn start() -> Result<Self, String> {
        rights::probes()?;
        let binary = compile::e2e_c(&["-O2"])?;
        let daemon = Daemon::start_with(&Setup {
            loopback_roles: "'admin'",
            keys: &[ROOMY],
            ..Setup::default()
        });
        let target = Target::spawn(&binary);
        let mut client = daemon.client().await;
        let started = client.start_session(session_on(target.pid(), &["outer"]));
        let session_id = started.await.unwrap().into_inner().session_id;
        Ok(Self {
            daemon,
            target,
            session_id,
        })
    }

    async fn channel(&self) -> AuthorizedChannel {
        let endpoint = self.daemon.loopback.parse().unwrap();
        connect(&endpoint, None, None).await.unwrap()
    }

    /// It answers, and what it answers is true.
    async fn assert_counts(mut self) {
        let mut client = self.daemon.client().await;
        let all = wire::EndSessionsRequest {
            all: true,
            ..Default::default()
        };
        client.end_sessions(all).await.unwrap();
        let socket = self.daemon.socket();
        let options = ["--agent", &socket];
        let mut coral = Coral::start(&mut attach_command(self.target.pid(), &["pay"], &options));
        assert!(coral.attached().is_some());
        let truth = self.target.run("pay");
        let document = coral.finish().document();
        let measured = function(&document, "pay");
        assert_eq!(number(&measured["calls"]), truth.functions["pay"].calls);
        assert_eq!(number(&measured["returns"]), truth.functions["pay"].returns);
        assert_records_balance(&document);
        assert_eq!(code::changed(self.target.pid()), Vec::<u64>::new());
        assert_eq!(self.target.quit().code(), Some(0));
    }
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

/// What was refused has a stable code, or is no message at all, which is said before the agent's
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
    assert!(
        status.message().len() < MESSAGE_CHARS_MAX,
        "{what}: {status:?}"
    );
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let world = need!(World::start().await);
    let channel = world.channel().await;
    let mut bytes = Bytes(0x9e37_79b9_7f4a_7c15);
    let whole = wire::StartSessionRequest {
        request_id: "one".into(),
        function_ids: vec![1, 2, 300],
        ..session_on(world.target.pid(), &["hot", "/^pay$/"])
    }
    .encode_to_vec();
    for call in Call::all() {
        for _ in 0..MESSAGES {
            let cut = (bytes.next() as usize) % whole.len();
            let mut flipped = whole.clone();
            flipped[cut] ^= 1 << (bytes.next() % 8);
            for message in [bytes.some(200), whole[..cut].to_vec(), flipped] {
                if let Err(status) = call.make(&channel, message).await {
                    assert_refusal(&call.name, &status);
                }
            }
        }
    }
    world.assert_counts().await;
}

#[tokio::test]
async fn messages_that_are_too_long_are_refused() {
    let world = need!(World::start().await);
    let channel = world.channel().await;
    for call in Call::all() {
        let mut message = vec![0x0a, 0x80, 0x80, 0x80, 0x01];
        message.resize(MESSAGE_BYTES_MAX + 1, b'x');
        let refused = call.make(&channel, message).await.err();
        let code = refused.map(|status| status.code());
        assert_eq!(code, Some(Code::OutOfRange), "{}", call.name);
    }
    world.assert_counts().await;
}

/// A message, and the stable code that it is refused with; empty where it is served.
struct Absurd(&'static str, Vec<u8>, &'static str);

const ESCAPES: &str = "a\u{1b}[2J\n\u{7}\u{202e}\0b";

fn session(change: impl FnOnce(&mut wire::StartSessionRequest), pid: u32) -> Vec<u8> {
    let mut request = session_on(pid, &["hot"]);
    change(&mut request);
    request.encode_to_vec()
}

fn settings(change: impl FnOnce(&mut wire::SessionSettings), pid: u32) -> Vec<u8> {
    session(|it| change(it.settings.as_mut().unwrap()), pid)
}

fn absurd_durations(pid: u32) -> Vec<Absurd> {
    let mut rows = Vec::new();
    for duration in [
        seconds(-1),
        seconds(i64::MAX),
        seconds(i64::MIN),
        nanos(-1),
        nanos(i32::MAX),
    ] {
        let code = "wire-out-of-range";
        for message in [
            settings(|it| it.duration = duration, pid),
            settings(|it| it.min_duration = duration, pid),
            settings(|it| it.max_duration = duration, pid),
            settings(|it| it.slow = duration, pid),
        ] {
            rows.push(Absurd("StartSession", message, code));
        }
        let attach = wire::AttachUprobeRequest {
            function_name: "hot".into(),
            pid,
            duration,
            ..Default::default()
        };
        rows.push(Absurd("AttachUprobe", attach.encode_to_vec(), code));
    }
    for duration in [seconds(0), seconds(601), seconds(300_000_000_000)] {
        let message = settings(|it| it.duration = duration, pid);
        rows.push(Absurd("StartSession", message, "over-limit"));
    }
    let none_between = |it: &mut wire::SessionSettings| {
        it.min_duration = seconds(2);
        it.max_duration = seconds(1);
    };
    rows.push(Absurd(
        "StartSession",
        settings(none_between, pid),
        "bad-durations",
    ));
    for percent in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
        let budget = |it: &mut wire::SessionSettings| {
            it.no_budget = false;
            it.budget_percent = Some(percent);
        };
        rows.push(Absurd(
            "StartSession",
            settings(budget, pid),
            "wire-out-of-range",
        ));
    }
    rows
}

fn nanos(nanos: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds: 0, nanos })
}

fn absurd_patterns(pid: u32) -> Vec<Absurd> {
    let nested = format!("/{}x{}/", "(".repeat(10_000), ")".repeat(10_000));
    let mut rows = Vec::new();
    for (pattern, code) in [
        ("", "bad-pattern"),
        ("/(/", "bad-pattern"),
        ("/a{99999}{99999}/", "bad-pattern"),
        (&nested, "bad-pattern"),
        (&"*".repeat(100_000), "bad-pattern"),
        (&"x".repeat(500_000), "no-such-function"),
        (&"\u{1b}".repeat(100_000), "no-such-function"),
        (ESCAPES, "no-such-function"),
    ] {
        let message = session(|it| it.patterns = vec![pattern.to_owned()], pid);
        rows.push(Absurd("StartSession", message, code));
        let attach = wire::AttachUprobeRequest {
            function_name: pattern.to_owned(),
            pid,
            ..Default::default()
        };
        rows.push(Absurd("AttachUprobe", attach.encode_to_vec(), code));
    }
    let many = session(|it| it.patterns = vec!["*".to_owned(); 100_000], pid);
    rows.push(Absurd("StartSession", many, "over-limit"));
    let every = wire::AttachUprobeRequest {
        function_name: "*".to_owned(),
        pid,
        ..Default::default()
    };
    rows.push(Absurd(
        "AttachUprobe",
        every.encode_to_vec(),
        "ambiguous-function",
    ));
    for (pattern, code) in [
        ("(", "bad-pattern"),
        ("a{99999}{99999}", "bad-pattern"),
        (&"(".repeat(100_000), "bad-pattern"),
        ("(a*)*(a*)*(a*)*b", ""),
    ] {
        let list = wire::ListFunctionsRequest {
            target: target(pid),
            pattern: pattern.to_owned(),
            ..Default::default()
        };
        rows.push(Absurd("ListFunctions", list.encode_to_vec(), code));
    }
    rows
}

fn absurd_targets() -> Vec<Absurd> {
    let pids = [
        (vec![u32::MAX], "no-such-process"),
        (vec![i32::MAX as u32], "no-such-process"),
        (vec![0, 0], "no-such-process"),
        (Vec::new(), "usage"),
        ((1..=100).collect(), "over-limit"),
    ];
    let mut targets: Vec<_> = pids
        .into_iter()
        .map(|(pids, code)| (target_of(pids, String::new()), code))
        .collect();
    for service_name in [ESCAPES.to_owned(), "y".repeat(500_000)] {
        let pids = Vec::new();
        targets.push((target_of(pids, service_name), "no-such-process"));
    }
    let mut rows = Vec::new();
    for (target, code) in targets {
        let target = Some(target);
        let start = session(|it| it.target.clone_from(&target), 0);
        rows.push(Absurd("StartSession", start, code));
        let callees = wire::ListCalleesRequest {
            target: target.clone(),
            function_id: 0,
        };
        rows.push(Absurd("ListCallees", callees.encode_to_vec(), code));
        let list = wire::ListFunctionsRequest {
            target,
            ..Default::default()
        };
        rows.push(Absurd("ListFunctions", list.encode_to_vec(), code));
    }
    rows
}

fn target_of(pids: Vec<u32>, service_name: String) -> wire::TargetRef {
    wire::TargetRef {
        pids,
        service_name,
        ..wire::TargetRef::default()
    }
}

fn absurd_traces(pid: u32, session_id: &str) -> Vec<Absurd> {
    let traced = |root: &str, path: &str, functions_max| {
        let trace = wire::TraceRequest {
            root: root.to_owned(),
            path: path.to_owned(),
            functions_max,
        };
        let change = |it: &mut wire::StartSessionRequest| {
            it.patterns.clear();
            it.trace = Some(trace);
        };
        session(change, pid)
    };
    let traces = wire::DownloadTracesRequest {
        session_id: session_id.to_owned(),
        width: u32::MAX,
    };
    let long = "/x".repeat(200_000);
    vec![
        Absurd("StartSession", traced("", "", 0), "no-http-server"),
        Absurd("StartSession", traced(ESCAPES, "", 0), "no-such-function"),
        Absurd("StartSession", traced(&long, &long, 0), "no-such-function"),
        Absurd("StartSession", traced("*", "", 0), "ambiguous-function"),
        Absurd("StartSession", traced("outer", &long, 0), "not-probeable"),
        Absurd("StartSession", traced("outer", "", u32::MAX), ""),
        Absurd("DownloadTraces", traces.encode_to_vec(), "no-traces"),
    ]
}

fn absurd_numbers(pid: u32) -> Vec<Absurd> {
    let list = |page_token: &str, page_size| {
        wire::ListFunctionsRequest {
            target: target(pid),
            page_token: page_token.to_owned(),
            page_size,
            ..Default::default()
        }
        .encode_to_vec()
    };
    let callees = wire::ListCalleesRequest {
        target: target(pid),
        function_id: u32::MAX,
    };
    let ids = |ids: Vec<u32>| {
        session(
            |it| {
                it.patterns.clear();
                it.function_ids = ids;
            },
            pid,
        )
    };
    vec![
        Absurd("ListFunctions", list("-1", 0), "usage"),
        Absurd("ListFunctions", list("99999999999", 0), "usage"),
        Absurd("ListFunctions", list(ESCAPES, 0), "usage"),
        Absurd("ListFunctions", list("4294967295", 0), ""),
        Absurd("ListFunctions", list("", u32::MAX), ""),
        Absurd("ListCallees", callees.encode_to_vec(), "no-such-function"),
        Absurd("StartSession", ids(vec![u32::MAX]), "no-such-function"),
        Absurd(
            "StartSession",
            ids((0..200_000).collect()),
            "no-such-function",
        ),
        Absurd("StartSession", ids(Vec::new()), "no-function"),
        Absurd("StartSession", session(|it| it.room = u32::MAX, pid), ""),
        Absurd(
            "StartSession",
            settings(|it| it.sample_rate = u32::MAX, pid),
            "",
        ),
    ]
}

fn absurd_filters(pid: u32, session_id: &str) -> Vec<Absurd> {
    let mut rows = Vec::new();
    for filter in [
        "a >".to_owned(),
        ESCAPES.to_owned(),
        "(".repeat(1_000_000),
        format!("{}a == 1", "not ".repeat(900)),
        "a == 1 and ".repeat(50_000),
    ] {
        let update = wire::UpdateFilterRequest {
            session_id: session_id.to_owned(),
            filter: filter.clone(),
        };
        rows.push(Absurd("UpdateFilter", update.encode_to_vec(), "bad-filter"));
        let config = wire::UprobeConfig {
            filter: filter.clone(),
            ..Default::default()
        };
        rows.push(Absurd(
            "AttachUprobe",
            attach_with(config, pid),
            "bad-filter",
        ));
        let start = settings(|it| it.filter = filter, pid);
        rows.push(Absurd("StartSession", start, "bad-filter"));
    }
    for (name, value) in [
        (ESCAPES, "1"),
        ("", ""),
        ("x == 1 or x", "2"),
        ("no_such", "\"\\"),
    ] {
        let filters = [(name.to_owned(), value.to_owned())].into();
        let config = wire::UprobeConfig {
            filters,
            ..Default::default()
        };
        rows.push(Absurd(
            "AttachUprobe",
            attach_with(config, pid),
            "bad-filter",
        ));
    }
    let filters = (0..50_000).map(|number| (format!("a{number}"), "1".to_owned()));
    let config = wire::UprobeConfig {
        filters: filters.collect(),
        ..Default::default()
    };
    rows.push(Absurd(
        "AttachUprobe",
        attach_with(config, pid),
        "bad-filter",
    ));
    rows
}

fn attach_with(config: wire::UprobeConfig, pid: u32) -> Vec<u8> {
    wire::AttachUprobeRequest {
        function_name: "hot".into(),
        pid,
        config: Some(config),
        ..Default::default()
    }
    .encode_to_vec()
}

fn absurd_sessions(session_id: &str) -> Vec<Absurd> {
    let watch = |session_id: &str, interval| {
        wire::WatchSessionRequest {
            session_id: session_id.to_owned(),
            interval,
        }
        .encode_to_vec()
    };
    let extend = |by| {
        wire::ExtendSessionRequest {
            session_id: session_id.to_owned(),
            by,
        }
        .encode_to_vec()
    };
    let add = |function_ids| {
        wire::AddFunctionsRequest {
            session_id: session_id.to_owned(),
            function_ids,
        }
        .encode_to_vec()
    };
    let remove = wire::RemoveFunctionsRequest {
        session_id: session_id.to_owned(),
        function_ids: vec![u32::MAX; 1_000],
    };
    vec![
        Absurd("WatchSession", watch(ESCAPES, None), "no-such-session"),
        Absurd(
            "WatchSession",
            watch(&"z".repeat(900_000), None),
            "no-such-session",
        ),
        Absurd(
            "WatchSession",
            watch(session_id, seconds(-1)),
            "wire-out-of-range",
        ),
        Absurd(
            "WatchSession",
            watch(session_id, seconds(300_000_000_000)),
            "",
        ),
        Absurd("ExtendSession", extend(seconds(-1)), "wire-out-of-range"),
        Absurd("ExtendSession", extend(seconds(300_000_000_000)), ""),
        Absurd("AddFunctions", add(vec![u32::MAX]), "no-such-function"),
        Absurd("AddFunctions", add((0..200_000).collect()), "over-limit"),
        Absurd("RemoveFunctions", remove.encode_to_vec(), ""),
    ]
}

#[tokio::test]
async fn values_that_cannot_be_meant_are_refused_with_a_code() {
    let world = need!(World::start().await);
    let (pid, id) = (world.target.pid(), world.session_id.as_str());
    let groups = [
        absurd_durations(pid),
        absurd_patterns(pid),
        absurd_targets(),
        absurd_numbers(pid),
        absurd_filters(pid, id),
        absurd_sessions(id),
        absurd_traces(pid, id),
    ];
    let mut client = world.daemon.client().await;
    for (number, Absurd(call, message, expected)) in groups.into_iter().flatten().enumerate() {
        let start: String = format!("{:?}", String::from_utf8_lossy(&message));
        let what = format!("{number}: {call} {:.300}", start);
        let answer = Call::of_name(call)
            .make(&world.channel().await, message)
            .await;
        match answer {
            Ok(answer) => {
                assert_eq!(expected, "", "{what} is served");
                if call == "StartSession" {
                    let started: wire::StartSessionResponse = answer.message();
                    let end = wire::EndSessionsRequest {
                        session_id: started.session_id,
                        ..Default::default()
                    };
                    client.end_sessions(end).await.unwrap();
                }
            }
            Err(status) => {
                assert_refusal(&what, &status);
                assert_eq!(code_of(&status), expected, "{what}: {status:?}");
            }
        }
    }
    let listed = client.list_sessions(wire::ListSessionsRequest::default());
    assert_eq!(listed.await.unwrap().into_inner().sessions.len(), 1);
    world.assert_counts().await;
}

#[tokio::test]
async fn names_that_clients_give_themselves_are_short_and_plain() {
    let world = need!(World::start().await);
    let mut client = AgentClient::new(world.channel().await);
    for requested_by in [ESCAPES.to_owned(), "\u{1b}".repeat(1_000_000)] {
        let request = wire::StartSessionRequest {
            requested_by,
            ..session_on(world.target.pid(), &["hot"])
        };
        client.start_session(request).await.unwrap();
    }
    let listed = client.list_sessions(wire::ListSessionsRequest::default());
    for session in listed.await.unwrap().into_inner().sessions {
        let name = session.requested_by;
        assert!(name.len() < MESSAGE_CHARS_MAX, "{name}");
        assert!(!name.contains(char::is_control), "{name:?}");
    }
    world.assert_counts().await;
}

/// A process that is named twice is one process, and its calls are counted once.
#[tokio::test]
async fn a_process_that_is_named_twice_is_counted_once() {
    let mut world = need!(World::start().await);
    let pid = world.target.pid();
    let mut client = world.daemon.client().await;
    let mut request = session_on(pid, &["pay"]);
    request.target.as_mut().unwrap().pids = vec![pid, pid, pid];
    let started = client.start_session(request).await.unwrap().into_inner();
    let truth = world.target.run("pay");
    let calls = crate::limits::final_calls(&mut client, &started.session_id, "pay").await;
    assert_eq!(calls, truth.functions["pay"].calls);
    world.assert_counts().await;
}

/// Who asks for an update in ten thousand years is told of the end when it comes.
#[tokio::test]
async fn the_end_of_a_session_waits_for_no_interval() {
    let world = need!(World::start().await);
    let mut client = world.daemon.client().await;
    let request = wire::WatchSessionRequest {
        session_id: world.session_id.clone(),
        interval: seconds(300_000_000_000),
    };
    let mut updates = client.watch_session(request).await.unwrap().into_inner();
    assert!(updates.message().await.unwrap().unwrap().is_whole);
    let end = wire::EndSessionsRequest {
        session_id: world.session_id.clone(),
        ..Default::default()
    };
    client.end_sessions(end).await.unwrap();
    let rest = async {
        let mut last = None;
        while let Some(update) = updates.message().await.unwrap() {
            last = update.session.or(last);
        }
        last.unwrap().status()
    };
    let status = tokio::time::timeout(DEADLINE, rest).await.unwrap();
    assert_eq!(status, wire::SessionStatus::Detached);
    world.assert_counts().await;
}

/// Processes whose command lines together are longer than a message may be.
#[tokio::test]
async fn a_list_of_processes_fits_into_a_message() {
    let world = need!(World::start().await);
    // A command line is listed up to 4 KiB.
    let long = "w".repeat(5_000);
    let mut children: Vec<Child> = (0..300)
        .map(|_| {
            let mut shell = Command::new("sh");
            // It ends with its input.
            shell.args(["-c", "read line", &long]);
            shell.stdin(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut client = world.daemon.client().await;
    let listed = client.list_processes(wire::ListProcessesRequest {}).await;
    let processes = listed.unwrap().into_inner().processes;
    for child in &mut children {
        assert!(processes.iter().any(|process| process.pid == child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
    world.assert_counts().await;
}
