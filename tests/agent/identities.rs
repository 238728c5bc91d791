//! Every call by every kind of identity.

use std::path::Path;

use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_client::AgentClient;
use coral_tui::access::{AuthorizedChannel, Endpoint, TlsConfig, connect};
use prost::Message;
use serde_json::Value;
use tonic::Code;

use self::Expected::{Empty, Hidden, Refused, Served};
use crate::calls::{Answer, Call, code_of, session_on, target};
use crate::certificates::{certificates, files, issue};
use crate::common::lines::eventually;
use crate::common::target::Target;
use crate::common::{compile, need, rights};
use crate::daemon::{Daemon, ROOMY, Setup};

/// What a call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// What was asked for.
    Served,
    /// A list without what may not be seen.
    Empty,
    /// That there is nothing of that name, where there is.
    Hidden,
    /// That a role is missing.
    Refused,
}

/// A call of somebody without any role and of a reader, and what the audit log calls it where it is
/// privileged. Who has all roles but admin is served; who cannot be identified is never answered.
#[rustfmt::skip]
const CALLS: [(&str, Expected, Expected, &str); 21] = [
    // call               no role  a reader  privileged
    ("AttachUprobe",      Refused, Refused,  "uprobe.attach"),
    ("DetachUprobe",      Empty,   Refused,  "session.end"),
    ("GetCapabilities",   Served,  Served,   ""),
    ("ListServices",      Empty,   Served,   ""),
    ("ListProcesses",     Empty,   Served,   ""),
    ("ListFunctions",     Refused, Served,   ""),
    ("ListCallees",       Refused, Served,   ""),
    ("StartSession",      Refused, Refused,  "session.start"),
    ("WatchSession",      Hidden,  Served,   ""),
    ("ListSessions",      Empty,   Served,   ""),
    ("AddFunctions",      Hidden,  Refused,  "session.add"),
    ("RemoveFunctions",   Hidden,  Refused,  "session.remove"),
    ("UpdateFilter",      Hidden,  Refused,  "session.filter"),
    ("ExtendSession",     Hidden,  Refused,  "session.extend"),
    ("EndSessions",       Hidden,  Refused,  "session.end"),
    // The session reads what calls receive, which a reader may not see.
    ("DownloadRecording", Hidden,  Refused,  "session.download"),
    ("DownloadTraces",    Hidden,  Refused,  "session.download"),
    // For the agent's colony and for admins: not even all other roles do.
    ("ListJournals",      Refused, Refused,  "journal.list"),
    ("ReadJournal",       Refused, Refused,  "journal.read"),
    ("AcknowledgeJournal",Refused, Refused,  "journal.acknowledge"),
    // No identity is asked for: a process makes itself known, and no other.
    ("RegisterService",   Served,  Served,   ""),
];

const ALL_ROLES: &str = "'debug:read', 'debug:attach', 'debug:detach', 'debug:capture'";

/// An agent that is reached by TLS, a process on its node, and a session on that.
struct World {
    daemon: Daemon,
    target: Target,
    session_id: String,
    function_ids: Vec<u32>,
}

impl World {
    fn start(folder: &Path, binary: &Path, more: &str) -> Self {
        let file = |name: &str| folder.join(name).display().to_string();
        let access = format!(
            ", tls: {{ca: '{}', certificate: '{}', key: '{}'}}, certificates: [\
             {{name: nobody, roles: [], services: ['*']}}, \
             {{name: all, roles: [{ALL_ROLES}], services: ['*']}}, \
             {{name: ann, roles: [{ALL_ROLES}], services: [ledger]}}]{more}",
            file("ca.pem"),
            file("agent.pem"),
            file("agent-key.pem")
        );
        let daemon = Daemon::start_with(&Setup {
            loopback_roles: "",
            access: &access,
            keys: &[
                ROOMY,
                "services: [{name: ledger, executable: '*/program-of-ledger'}]",
            ],
            ..Setup::default()
        });
        Self {
            daemon,
            target: Target::spawn(binary),
            session_id: String::new(),
            function_ids: Vec::new(),
        }
    }

    /// A session of root, which traces and reads what calls receive, and no other.
    async fn renew_session(&mut self) {
        let mut root = self.daemon.client().await;
        let all = wire::EndSessionsRequest {
            all: true,
            ..wire::EndSessionsRequest::default()
        };
        root.end_sessions(all).await.unwrap();
        let mut request = session_on(self.target.pid(), &[]);
        request.settings.as_mut().unwrap().capture_args = true;
        request.trace = Some(wire::TraceRequest {
            root: "outer".into(),
            ..Default::default()
        });
        let started = root.start_session(request).await.unwrap().into_inner();
        self.session_id = started.session_id;
        let outer = wire::ListFunctionsRequest {
            target: target(self.target.pid()),
            pattern: "^outer$".into(),
            ..Default::default()
        };
        let listed = root.list_functions(outer).await.unwrap().into_inner();
        self.function_ids = listed.functions.iter().map(|it| it.id).collect();
    }

    async fn connect(&self, tls: &TlsConfig) -> Result<AuthorizedChannel, String> {
        let port = self.daemon.loopback.rsplit(':').next().unwrap();
        let endpoint: Endpoint = format!("https://localhost:{port}").parse().unwrap();
        let connected = connect(&endpoint, Some(tls), None).await;
        connected.map_err(|error| error.to_string())
    }

    /// A message that asks for what there is.
    fn message(&self, call: &str) -> Vec<u8> {
        let (target, session_id) = (target(self.target.pid()), self.session_id.clone());
        let function_ids = self.function_ids.clone();
        match call {
            "AttachUprobe" => wire::AttachUprobeRequest {
                function_name: "calm".into(),
                pid: self.target.pid(),
                ..Default::default()
            }
            .encode_to_vec(),
            "DetachUprobe" => wire::DetachUprobeRequest { session_id }.encode_to_vec(),
            "GetCapabilities" | "ListServices" | "ListProcesses" | "ListSessions" => Vec::new(),
            "ListFunctions" => wire::ListFunctionsRequest {
                target,
                ..Default::default()
            }
            .encode_to_vec(),
            "ListCallees" => wire::ListCalleesRequest {
                target,
                function_id: function_ids[0],
            }
            .encode_to_vec(),
            "StartSession" => session_on(self.target.pid(), &["calm"]).encode_to_vec(),
            "WatchSession" => wire::WatchSessionRequest {
                session_id,
                interval: None,
            }
            .encode_to_vec(),
            "AddFunctions" => wire::AddFunctionsRequest {
                session_id,
                function_ids,
            }
            .encode_to_vec(),
            "RemoveFunctions" => wire::RemoveFunctionsRequest {
                session_id,
                function_ids,
            }
            .encode_to_vec(),
            "UpdateFilter" => wire::UpdateFilterRequest {
                session_id,
                filter: String::new(),
            }
            .encode_to_vec(),
            "ExtendSession" => wire::ExtendSessionRequest {
                session_id,
                by: crate::calls::seconds(1),
            }
            .encode_to_vec(),
            "EndSessions" => wire::EndSessionsRequest {
                session_id,
                ..Default::default()
            }
            .encode_to_vec(),
            "DownloadRecording" => wire::DownloadRecordingRequest { session_id }.encode_to_vec(),
            "DownloadTraces" => wire::DownloadTracesRequest {
                session_id,
                width: 0,
            }
            .encode_to_vec(),
            "ListJournals" => Vec::new(),
            "ReadJournal" => wire::ReadJournalRequest {
                session_id,
                ..Default::default()
            }
            .encode_to_vec(),
            "AcknowledgeJournal" => wire::AcknowledgeJournalRequest {
                session_id,
                ..Default::default()
            }
            .encode_to_vec(),
            "RegisterService" => wire::RegisterServiceRequest {
                name: "bank".into(),
                pid: std::process::id(),
                ..Default::default()
            }
            .encode_to_vec(),
            _ => panic!("{call} has no message here, and its row in the table may be missing"),
        }
    }

    /// How often somebody was refused that, as far as it is written down.
    fn refusals(&self, name: &str, action: &str) -> usize {
        let text = self.daemon.audit_text();
        let records = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let is_it = |record: &Value| {
            let said = record["who"]["name"].as_str().unwrap_or_default();
            said == name && record["action"] == action && record["outcome"] == "refused"
        };
        records.filter(is_it).count()
    }
}

fn outcome(answer: &Result<Answer, tonic::Status>) -> Result<Expected, String> {
    match answer {
        Ok(answer) if answer.is_empty() => Ok(Empty),
        Ok(_) => Ok(Served),
        Err(status) => match (status.code(), code_of(status)) {
            (Code::PermissionDenied, "permission-denied") => Ok(Refused),
            (Code::NotFound, "no-such-session") => Ok(Hidden),
            _ => Err(format!("{status:?}")),
        },
    }
}

/// What is served may be an answer that says no more than that it is done.
fn is_as_expected(call: &str, expected: Expected, outcome: Expected) -> bool {
    let says_nothing = ["RemoveFunctions", "UpdateFilter"].contains(&call);
    expected == outcome || (expected == Served && outcome == Empty && says_nothing)
}

#[tokio::test]
async fn every_call_is_answered_by_the_roles_of_who_makes_it() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let folder = certificates();
    let path = folder.path();
    let mut world = World::start(path, &binary, "");
    let calls = Call::all();
    let [nobody, all] = ["nobody", "all"].map(|name| issue(path, name, 2999));
    let reader = files(path, "client-read");
    for (name, tls) in [("nobody", nobody), ("client-read", reader), ("all", all)] {
        let mut refused = Vec::new();
        for call in &calls {
            let row = CALLS.iter().find(|(name, ..)| *name == call.name);
            let &(_, no_role, read, action) =
                row.unwrap_or_else(|| panic!("{} has no row in the table", call.name));
            let expected = match name {
                "nobody" => no_role,
                "client-read" => read,
                _ if action.starts_with("journal.") => Refused,
                _ => Served,
            };
            world.renew_session().await;
            let channel = world.connect(&tls).await.unwrap();
            let answer = call.make(&channel, world.message(&call.name)).await;
            let outcome = outcome(&answer).unwrap_or_else(|error| {
                panic!("{name}, {}: {error}", call.name);
            });
            assert!(
                is_as_expected(&call.name, expected, outcome),
                "{name}, {}: {outcome:?} for {expected:?}",
                call.name
            );
            if expected != Served && !action.is_empty() {
                refused.push(action);
            }
        }
        for action in &refused {
            let expected = refused.iter().filter(|it| *it == action).count();
            let is_noted = eventually(|| world.refusals(name, action) == expected);
            assert!(is_noted, "{name}, {action}: {}", world.daemon.audit_text());
        }
        assert_eq!(refused.len() == 3, name == "all", "{name}: {refused:?}");
    }
    verify_audit(&world.daemon);
}

#[tokio::test]
async fn who_cannot_be_identified_is_never_answered() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let (folder, foreign) = (certificates(), certificates());
    let path = folder.path();
    let mut world = World::start(path, &binary, "");
    world.renew_session().await;
    let strangers = [
        ("no certificate", without_certificate(path)),
        (
            "another CA's",
            TlsConfig {
                ca: Some(path.join("ca.pem")),
                ..files(foreign.path(), "client-admin")
            },
        ),
        ("expired", issue(path, "all", 2020)),
    ];
    let mut attempts = 0;
    for (what, tls) in &strangers {
        for call in Call::all() {
            attempts += 1;
            // TLS 1.3 refuses a client after its handshake, so with its first request.
            let Ok(channel) = world.connect(tls).await else {
                continue;
            };
            match call.make(&channel, world.message(&call.name)).await {
                Ok(_) => panic!("{what}, {}: was answered", call.name),
                Err(status) => assert!(
                    code_of(&status).is_empty() && status.code() != Code::Unimplemented,
                    "{what}, {}: {status:?}",
                    call.name
                ),
            }
        }
    }
    assert!(eventually(|| world.refusals("", "connect") >= attempts));
    assert_untouched(&world).await;
}

/// Who asks for all sessions to end means those of their services.
#[tokio::test]
async fn all_sessions_are_those_that_one_may_end() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let folder = certificates();
    let mut world = World::start(folder.path(), &binary, "");
    world.renew_session().await;
    let program = folder.path().join("program-of-ledger");
    std::fs::copy(&binary, &program).unwrap();
    let ledger = Target::spawn(&program);
    let mut root = world.daemon.client().await;
    let started = root.start_session(session_on(ledger.pid(), &["pay"])).await;
    let of_ledger = started.unwrap().into_inner().session_id;
    let ann = world.connect(&issue(folder.path(), "ann", 2999)).await;
    let mut ann = AgentClient::new(ann.unwrap());
    // That of another service is none for her.
    let other = wire::EndSessionsRequest {
        session_id: world.session_id.clone(),
        ..Default::default()
    };
    let hidden = ann.end_sessions(other).await.unwrap_err();
    assert_eq!(code_of(&hidden), "no-such-session");
    assert!(eventually(|| world.refusals("ann", "session.end") == 1));
    let all = wire::EndSessionsRequest {
        all: true,
        ..Default::default()
    };
    let ended = ann.end_sessions(all).await.unwrap().into_inner();
    let ids: Vec<_> = ended.sessions.iter().map(|it| &it.session_id).collect();
    assert_eq!(ids, [&of_ledger]);
    assert_untouched(&world).await;
}

/// A request that is longer than a record can be is refused and written down like any other.
#[tokio::test]
async fn nobody_is_too_long_winded_for_the_audit_log() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let folder = certificates();
    let world = World::start(folder.path(), &binary, "");
    let reader = world.connect(&files(folder.path(), "client-read")).await;
    // In a record each of these takes six bytes.
    let pattern = "\u{1}".repeat(1_000_000);
    let request = session_on(world.target.pid(), &[&pattern]);
    let mut reader = AgentClient::new(reader.unwrap());
    let refused = reader.start_session(request).await.unwrap_err();
    assert_eq!(code_of(&refused), "permission-denied");
    assert!(eventually(|| world
        .refusals("client-read", "session.start")
        == 1));
    verify_audit(&world.daemon);
}

/// Where tokens are known, a client without a certificate gets as far as the first request.
#[tokio::test]
async fn who_shows_nothing_may_only_say_that_it_is_a_service() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let folder = certificates();
    let token = format!(
        ", tokens: [{{name: ann, sha256: '{}', roles: [admin], services: ['*'], \
         expires_at: '2999-01-01T00:00:00Z'}}]",
        "ab".repeat(32)
    );
    let mut world = World::start(folder.path(), &binary, &token);
    world.renew_session().await;
    let channel = world
        .connect(&without_certificate(folder.path()))
        .await
        .unwrap();
    for call in Call::all() {
        let answer = call.make(&channel, world.message(&call.name)).await;
        match answer {
            Ok(_) => assert_eq!(call.name, "RegisterService"),
            Err(status) => {
                assert_eq!(status.code(), Code::Unauthenticated, "{}", call.name);
                assert_eq!(code_of(&status), "unauthenticated", "{}", call.name);
            }
        }
    }
    let refused = Call::all().len() - 1;
    assert!(eventually(|| world.refusals("", "connect") == refused));
    assert_untouched(&world).await;
}

fn without_certificate(folder: &Path) -> TlsConfig {
    TlsConfig {
        ca: Some(folder.join("ca.pem")),
        certificate: None,
        key: None,
    }
}

/// The only session is root's, and its probes are those that it began with.
async fn assert_untouched(world: &World) {
    let mut root = world.daemon.client().await;
    let listed = root.list_sessions(wire::ListSessionsRequest::default());
    let sessions = listed.await.unwrap().into_inner().sessions;
    let [session] = &sessions[..] else {
        panic!("{sessions:#?}");
    };
    assert_eq!(session.session_id, world.session_id);
    assert_eq!(session.status(), wire::SessionStatus::Active);
    assert!(session.probes > 0);
    verify_audit(&world.daemon);
}

fn verify_audit(daemon: &Daemon) {
    let verified = daemon.run(&["audit", "verify", &daemon.audit().display().to_string()]);
    assert_eq!(verified.status.code(), Some(0), "{verified:#?}");
}
