//! Every call of the colony by every kind of identity.

use coral_proto::agent::v1 as agent;
use coral_proto::colony::v1 as wire;
use coral_proto::colony::v1::debug_service_client::DebugServiceClient;
use coral_tui::access::{AuthorizedChannel, Sha256, connect};
use prost::Message;
use tonic::{Code, Status};

use self::Expected::{Empty, Hidden, Refused, Served, Unknown};
use crate::calls::{Answer, Call, code_of};
use crate::common::target::Target;
use crate::common::{compile, need, rights};
use crate::world::{World, runtime};

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
    /// That there is nothing of that name or kind, which is true.
    Unknown,
}

/// A call of somebody who has all roles, but for another service; of a reader; and of somebody who
/// has all roles but admin. Who cannot be identified is never answered.
#[rustfmt::skip]
const CALLS: [(&str, [Expected; 3]); 24] = [
    // call               another  a reader all roles
    ("AttachUprobe",      [Refused, Refused, Served]),
    ("DetachUprobe",      [Empty,   Refused, Served]),
    ("ListDebugSessions", [Empty,   Served,  Served]),
    // A program without an HTTP server has no requests.
    ("TraceRequestPath",  [Refused, Refused, Unknown]),
    ("GetCapabilities",   [Served,  Served,  Served]),
    ("ListServices",      [Empty,   Served,  Served]),
    ("ListFunctions",     [Refused, Served,  Served]),
    ("ListCallees",       [Refused, Served,  Served]),
    ("StartSession",      [Refused, Refused, Served]),
    ("WatchSession",      [Hidden,  Served,  Served]),
    ("ListSessions",      [Empty,   Served,  Served]),
    ("AddFunctions",      [Hidden,  Refused, Served]),
    ("RemoveFunctions",   [Hidden,  Refused, Empty]),
    ("UpdateFilter",      [Hidden,  Refused, Empty]),
    ("ExtendSession",     [Hidden,  Refused, Served]),
    ("EndSessions",       [Hidden,  Refused, Served]),
    // The session reads what calls receive, which a reader may not see.
    ("DownloadTraces",    [Hidden,  Refused, Served]),
    ("ListAgents",        [Served,  Served,  Served]),
    ("ListHistory",       [Empty,   Served,  Served]),
    ("QueryHistory",      [Refused, Served,  Served]),
    // Rows are of all services, and hold what calls receive.
    ("QuerySql",          [Refused, Refused, Served]),
    ("ExportSession",     [Hidden,  Refused, Served]),
    ("ListApprovals",     [Empty,   Empty,   Empty]),
    ("DecideApproval",    [Unknown, Unknown, Unknown]),
];

/// Who the columns are, with their roles, and one more.
const WHO: [(&str, &str, &str); 4] = [
    ("another", ALL_ROLES, "bank"),
    ("reader", "'debug:read'", "'*'"),
    ("all", ALL_ROLES, "'*'"),
    // Who has started no session.
    ("colleague", ALL_ROLES, "'*'"),
];
const ALL_ROLES: &str = "'debug:read', 'debug:attach', 'debug:detach', 'debug:capture'";

/// A colony that is reached over the loopback, with a session on a replica.
struct Colony {
    world: World,
    target: Target,
    loopback: String,
    session_id: String,
    function_ids: Vec<u32>,
}

impl Colony {
    fn start() -> Result<Self, String> {
        rights::probes()?;
        let binary = compile::e2e_c(&["-O2"])?;
        let mut world = World::bare();
        world.listen.push("127.0.0.1:0".into());
        let grants = WHO.map(|(name, roles, services)| {
            let sha256 = Sha256::of(name.as_bytes());
            format!(
                "{{name: {name}, sha256: {sha256}, roles: [{roles}], services: [{services}], \
                 expires_at: 2099-01-01T00:00:00Z}}"
            )
        });
        let (grants, history) = (grants.join(", "), world.history.display().to_string());
        world.start_colony_with(&format!(
            "    access: {{tokens: [{grants}]}}\n    debug: {{storage: {{path: '{history}'}}}}\n"
        ));
        let colony = world.colony.as_mut().unwrap();
        let line = colony.await_line("listening: 127.0.0.1:");
        let (_, loopback) = line.split_once(": ").unwrap();
        let loopback = format!("http://{loopback}");
        world.add_agent(&binary);
        let target = world.replica(0);
        world.await_replicas(1);
        Ok(Self {
            world,
            target,
            loopback,
            session_id: String::new(),
            function_ids: Vec::new(),
        })
    }

    /// A session of somebody who has all roles but admin, which traces and reads what calls receive,
    /// and no other.
    async fn renew_session(&mut self) {
        let mut root = self.world.client().await;
        let all = agent::EndSessionsRequest {
            all: true,
            ..Default::default()
        };
        root.end_sessions(all).await.unwrap();
        let mut request = start_session("outer");
        request.settings.as_mut().unwrap().capture_args = true;
        request.trace = Some(agent::TraceRequest {
            root: "outer".into(),
            ..Default::default()
        });
        let mut all = DebugServiceClient::new(self.connect(Some("all")).await);
        let started = all.start_session(request).await.unwrap().into_inner();
        self.session_id = started.session_id;
        let outer = agent::ListFunctionsRequest {
            target: shop(),
            pattern: "^outer$".into(),
            ..Default::default()
        };
        let listed = root.list_functions(outer).await.unwrap().into_inner();
        self.function_ids = listed.functions.iter().map(|it| it.id).collect();
    }

    async fn connect(&self, token: Option<&str>) -> AuthorizedChannel {
        let endpoint = self.loopback.parse().unwrap();
        connect(&endpoint, None, token).await.unwrap()
    }

    /// A message that asks for what there is.
    fn message(&self, call: &str) -> Vec<u8> {
        let (session_id, function_ids) = (self.session_id.clone(), self.function_ids.clone());
        match call {
            "AttachUprobe" => wire::AttachUprobeRequest {
                service_name: "shop".into(),
                function_name: "calm".into(),
                ..Default::default()
            }
            .encode_to_vec(),
            "GetCapabilities" | "ListServices" | "ListSessions" | "ListDebugSessions"
            | "ListAgents" | "ListApprovals" | "ListHistory" => Vec::new(),
            "TraceRequestPath" => wire::TraceRequestPathRequest {
                service_name: "shop".into(),
                http_path: "/".into(),
                ..Default::default()
            }
            .encode_to_vec(),
            "ListFunctions" => agent::ListFunctionsRequest {
                target: shop(),
                ..Default::default()
            }
            .encode_to_vec(),
            "ListCallees" => agent::ListCalleesRequest {
                target: shop(),
                function_id: function_ids[0],
            }
            .encode_to_vec(),
            "StartSession" => start_session("calm").encode_to_vec(),
            "AddFunctions" | "RemoveFunctions" => agent::AddFunctionsRequest {
                session_id,
                function_ids,
            }
            .encode_to_vec(),
            "ExtendSession" => agent::ExtendSessionRequest {
                session_id,
                by: seconds(1),
            }
            .encode_to_vec(),
            "QueryHistory" => wire::QueryHistoryRequest {
                service_name: "shop".into(),
                since: seconds(3_600),
                ..Default::default()
            }
            .encode_to_vec(),
            "QuerySql" => wire::QuerySqlRequest {
                sql: "select count(*) from uprobe_events".into(),
                ..Default::default()
            }
            .encode_to_vec(),
            // The name of a session, and nothing else that is needed.
            _ => wire::DetachUprobeRequest { session_id }.encode_to_vec(),
        }
    }
}

fn shop() -> Option<agent::TargetRef> {
    Some(agent::TargetRef {
        service_name: "shop".into(),
        ..Default::default()
    })
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn start_session(pattern: &str) -> agent::StartSessionRequest {
    agent::StartSessionRequest {
        target: shop(),
        patterns: vec![pattern.into()],
        settings: Some(agent::SessionSettings {
            duration: seconds(300),
            no_budget: true,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn outcome(answer: &Result<Answer, Status>) -> Result<Expected, String> {
    match answer {
        Ok(answer) if answer.is_empty() => Ok(Empty),
        Ok(_) => Ok(Served),
        Err(status) => match (status.code(), code_of(status)) {
            (Code::PermissionDenied, "permission-denied") => Ok(Refused),
            (Code::NotFound, "no-such-session") => Ok(Hidden),
            (_, "no-such-approval" | "no-http-server") => Ok(Unknown),
            _ => Err(format!("{status:?}")),
        },
    }
}

#[test]
fn every_call_is_answered_by_the_roles_of_who_makes_it() {
    let colony = need!(Colony::start());
    runtime().block_on(check_all(colony));
}

async fn check_all(mut colony: Colony) {
    for call in Call::all_of("coral.colony.v1", "DebugService") {
        let row = CALLS.iter().find(|(name, _)| *name == call.name);
        let (_, expected) = row.unwrap_or_else(|| panic!("{} has no row", call.name));
        colony.renew_session().await;
        let nobody = colony.connect(None).await;
        let refused = call.make(&nobody, colony.message(&call.name)).await.err();
        let code = refused.map(|status| status.code());
        assert_eq!(code, Some(Code::Unauthenticated), "{}", call.name);
        for ((name, ..), expected) in WHO.into_iter().zip(expected) {
            let channel = colony.connect(Some(name)).await;
            let answer = call.make(&channel, colony.message(&call.name)).await;
            assert_eq!(outcome(&answer), Ok(*expected), "{name}, {}", call.name);
        }
    }
    assert!(colony.target.run("pay").functions["pay"].calls > 0);
    colony.renew_session().await;
    for call in ["AddFunctions", "UpdateFilter", "ExtendSession"] {
        let calls = Call::all_of("coral.colony.v1", "DebugService");
        let call = calls.into_iter().find(|it| it.name == call).unwrap();
        let channel = colony.connect(Some("colleague")).await;
        let refused = call.make(&channel, colony.message(&call.name)).await.err();
        assert_eq!(
            code_of(&refused.unwrap()),
            "not-your-session",
            "{}",
            call.name
        );
    }
}
