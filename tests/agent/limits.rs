//! Limits of the configuration, as clients meet them.

use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_client::AgentClient;
use coral_tui::access::AuthorizedChannel;
use tonic::{Code, Status};

use crate::calls::{code_of, seconds, session_on};
use crate::common::target::Target;
use crate::common::{code, compile, need, rights};
use crate::daemon::{Daemon, Setup};

type Client = AgentClient<AuthorizedChannel>;

/// An agent whose `debug` has those keys, and a target.
fn start(debug: &str, flags: &[&str]) -> Result<(Daemon, Target), String> {
    rights::probes()?;
    let binary = compile::e2e_c(flags)?;
    let daemon = Daemon::start_with(&Setup {
        keys: &[&format!("debug: {{{debug}}}")],
        ..Setup::default()
    });
    Ok((daemon, Target::spawn(&binary)))
}

/// Ends a session; how many calls of a function its last update tells.
pub(crate) async fn final_calls(client: &mut Client, session_id: &str, function: &str) -> u64 {
    let watch = wire::WatchSessionRequest {
        session_id: session_id.to_owned(),
        interval: None,
    };
    let mut updates = client.watch_session(watch).await.unwrap().into_inner();
    end(client, session_id).await;
    let (mut place, mut calls) = (None, None);
    while let Some(update) = updates.message().await.unwrap() {
        for stats in update.functions {
            if stats.name == function {
                place = Some(stats.place);
            }
            if Some(stats.place) == place {
                calls = Some(stats.calls);
            }
        }
    }
    calls.unwrap()
}

async fn end(client: &mut Client, session_id: &str) {
    let end = wire::EndSessionsRequest {
        session_id: session_id.to_owned(),
        ..Default::default()
    };
    assert_eq!(
        client
            .end_sessions(end)
            .await
            .unwrap()
            .into_inner()
            .sessions
            .len(),
        1
    );
}

/// A request is refused with that status, that code and that text, and leaves no probe.
fn assert_refused(target: &Target, refused: &Status, code: Code, name: &str, says: &str) {
    assert_eq!(
        (refused.code(), code_of(refused)),
        (code, name),
        "{refused:?}"
    );
    assert!(refused.message().contains(says), "{refused:?}");
    let probes = code::changed(target.pid());
    assert_eq!(probes, Vec::<u64>::new(), "{refused:?}");
}

#[tokio::test]
async fn no_more_sessions_than_max_concurrent_sessions() {
    let (daemon, target) = need!(start(
        "limits: {max_memory_mb: 4096, max_concurrent_sessions: 2}",
        &["-O2"]
    ));
    let mut client = daemon.client().await;
    let request = session_on(target.pid(), &["pay"]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let started = client.start_session(request.clone()).await.unwrap();
        ids.push(started.into_inner().session_id);
    }
    let refused = client.start_session(request.clone()).await.unwrap_err();
    assert_eq!(code_of(&refused), "over-limit");
    assert!(
        refused.message().contains("max_concurrent_sessions is 2"),
        "{refused:?}"
    );
    let attach = wire::AttachUprobeRequest {
        function_name: "pay".into(),
        pid: target.pid(),
        ..Default::default()
    };
    let refused = client.attach_uprobe(attach).await.unwrap_err();
    assert_eq!(code_of(&refused), "over-limit");
    end(&mut client, &ids[0]).await;
    let started = client.start_session(request).await.unwrap();
    for id in [&ids[1], &started.into_inner().session_id] {
        end(&mut client, id).await;
    }
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
}

#[tokio::test]
async fn no_more_functions_than_max_functions_per_session() {
    let (daemon, mut target) = need!(start("limits: {max_functions_per_session: 2}", &["-O2"]));
    let mut client = daemon.client().await;
    let refused = client.start_session(session_on(target.pid(), &["hot", "calm", "spare"]));
    let refused = refused.await.unwrap_err();
    let says = "max_functions_per_session is 2, and 3 functions";
    assert_refused(
        &target,
        &refused,
        Code::ResourceExhausted,
        "over-limit",
        says,
    );
    // Nor by adding them one by one, whatever room was asked for.
    let request = wire::StartSessionRequest {
        room: 100,
        ..session_on(target.pid(), &["pay"])
    };
    let id = client
        .start_session(request)
        .await
        .unwrap()
        .into_inner()
        .session_id;
    let ids = function_ids(&mut client, &target, "^(hot|calm)$").await;
    let [hot, calm] = ids[..] else {
        panic!("{ids:?}");
    };
    let add = |function_id| wire::AddFunctionsRequest {
        session_id: id.clone(),
        function_ids: vec![function_id],
    };
    client.add_functions(add(hot)).await.unwrap();
    let refused = client.add_functions(add(calm)).await.unwrap_err();
    assert_eq!(code_of(&refused), "over-limit");
    // What is removed makes room.
    let remove = wire::RemoveFunctionsRequest {
        session_id: id.clone(),
        function_ids: vec![hot],
    };
    client.remove_functions(remove).await.unwrap();
    client.add_functions(add(calm)).await.unwrap();
    let truth = target.run("pay");
    let calls = final_calls(&mut client, &id, "pay").await;
    assert_eq!(calls, truth.functions["pay"].calls);
}

async fn function_ids(client: &mut Client, target: &Target, pattern: &str) -> Vec<u32> {
    let list = wire::ListFunctionsRequest {
        target: crate::calls::target(target.pid()),
        pattern: pattern.to_owned(),
        ..Default::default()
    };
    let listed = client.list_functions(list).await.unwrap().into_inner();
    assert_eq!(listed.next_page_token, "");
    listed
        .functions
        .iter()
        .map(|function| function.id)
        .collect()
}

/// Functions that are added find the room that was asked for beside those that patterns mean. There
/// are many of them, because a session has some room in any case.
#[tokio::test]
async fn room_is_for_functions_that_come_later() {
    const COUNT: usize = 100;
    need!(rights::probes());
    let mut text = String::from("#include <stdio.h>\n");
    let mut body = String::new();
    for name in ["early", "late"] {
        for number in 0..COUNT {
            text += &format!("int {name}_{number}(int x) {{ return x + {number}; }}\n");
            body += &format!("sum += {name}_{number}(sum);\n");
        }
    }
    text += &format!(
        "int main(void) {{\n\
         char line[64];\n\
         int sum = 0;\n\
         puts(\"ready\");\n\
         fflush(stdout);\n\
         while (fgets(line, sizeof line, stdin)) {{\n{body}\
         printf(\"{{\\\"sum\\\": %d}}\\n\", sum);\nfflush(stdout);\n}}\n\
         return 0;\n}}\n"
    );
    let mut target = Target::spawn(&need!(compile::c_texts(&[&text], &["-g", "-O0"])));
    let daemon = Daemon::start();
    let mut client = daemon.client().await;
    let request = wire::StartSessionRequest {
        room: COUNT as u32,
        ..session_on(target.pid(), &["early_*"])
    };
    let started = client.start_session(request).await.unwrap().into_inner();
    assert_eq!(started.attached.unwrap().function_ids.len(), COUNT);
    let add = wire::AddFunctionsRequest {
        session_id: started.session_id.clone(),
        function_ids: function_ids(&mut client, &target, "^late_").await,
    };
    let added = client.add_functions(add).await.unwrap().into_inner();
    assert_eq!(added.attached.unwrap().function_ids.len(), COUNT);
    for _ in 0..3 {
        target.ask::<serde_json::Value>("again");
    }
    let last = format!("late_{}", COUNT - 1);
    let calls = final_calls(&mut client, &started.session_id, &last).await;
    assert_eq!(calls, 3);
}

#[tokio::test]
async fn no_longer_than_max_session_duration() {
    let (daemon, target) = need!(start("limits: {max_session_duration: 30s}", &["-O2"]));
    let mut client = daemon.client().await;
    let mut request = session_on(target.pid(), &["pay"]);
    let refused = client.start_session(request.clone()).await.unwrap_err();
    let says = "max_session_duration, 30";
    assert_refused(
        &target,
        &refused,
        Code::ResourceExhausted,
        "over-limit",
        says,
    );
    request.settings.as_mut().unwrap().duration = seconds(20);
    let id = client
        .start_session(request)
        .await
        .unwrap()
        .into_inner()
        .session_id;
    for _ in 0..3 {
        let extend = wire::ExtendSessionRequest {
            session_id: id.clone(),
            by: seconds(300),
        };
        let extended = client.extend_session(extend).await.unwrap().into_inner();
        let remaining = extended.remaining.unwrap().seconds;
        assert!((20..=30).contains(&remaining), "{remaining}");
    }
    end(&mut client, &id).await;
}

#[tokio::test]
async fn no_more_memory_than_max_memory() {
    let (daemon, target) = need!(start("limits: {max_memory_mb: 1}", &["-O2"]));
    let mut client = daemon.client().await;
    let refused = client.start_session(session_on(target.pid(), &["pay"]));
    let refused = refused.await.unwrap_err();
    assert_refused(
        &target,
        &refused,
        Code::ResourceExhausted,
        "over-limit",
        "max_memory is 1",
    );
}

#[tokio::test]
async fn no_session_where_they_are_disabled() {
    let (daemon, target) = need!(start("enabled: false", &["-O2"]));
    let mut client = daemon.client().await;
    let refused = client.start_session(session_on(target.pid(), &["pay"]));
    let refused = refused.await.unwrap_err();
    let (code, name) = (Code::FailedPrecondition, "sessions-disabled");
    assert_refused(&target, &refused, code, name, "disabled");
    let attach = wire::AttachUprobeRequest {
        function_name: "pay".into(),
        pid: target.pid(),
        ..Default::default()
    };
    let refused = client.attach_uprobe(attach).await.unwrap_err();
    assert_refused(&target, &refused, code, name, "disabled");
    let capabilities = client.get_capabilities(wire::GetCapabilitiesRequest {});
    assert!(!capabilities.await.unwrap().into_inner().can_debug_uprobes);
}

#[tokio::test]
async fn no_session_without_debug_information_where_it_is_required() {
    let (daemon, stripped) = need!(start("require_dwarf: true", &["-O2", "-s", "-rdynamic"]));
    let mut client = daemon.client().await;
    let refused = client.start_session(session_on(stripped.pid(), &["pay"]));
    let refused = refused.await.unwrap_err();
    assert_refused(
        &stripped,
        &refused,
        Code::FailedPrecondition,
        "no-dwarf",
        "DWARF",
    );
    let mut whole = Target::spawn(&need!(compile::e2e_c(&["-O2"])));
    let started = client
        .start_session(session_on(whole.pid(), &["pay"]))
        .await;
    let truth = whole.run("pay");
    let id = started.unwrap().into_inner().session_id;
    let calls = final_calls(&mut client, &id, "pay").await;
    assert_eq!(calls, truth.functions["pay"].calls);
}

/// Two clients on one function share its probes' sites, and each counts from its own beginning.
#[tokio::test]
async fn two_clients_on_one_function_both_count_exactly() {
    let (daemon, mut target) = need!(start("limits: {}", &["-O2"]));
    let (mut first, mut second) = (daemon.client().await, daemon.client().await);
    let request = session_on(target.pid(), &["pay"]);
    let first_id = first
        .start_session(request.clone())
        .await
        .unwrap()
        .into_inner()
        .session_id;
    let sites = code::changed(target.pid());
    let once = target.run("pay").functions["pay"].calls;
    let second_id = second
        .start_session(request)
        .await
        .unwrap()
        .into_inner()
        .session_id;
    assert_eq!(code::changed(target.pid()), sites, "the same sites");
    target.run("pay");
    assert_eq!(final_calls(&mut first, &first_id, "pay").await, 2 * once);
    assert_eq!(code::changed(target.pid()), sites, "one still needs them");
    target.run("pay");
    assert_eq!(final_calls(&mut second, &second_id, "pay").await, 2 * once);
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
}
