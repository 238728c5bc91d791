//! Sessions of an agent outlive their clients, and end all the same; asking twice is asking once.

use coral_proto::agent::v1 as wire;
use rustix::process::Signal;

use crate::calls::session_on;
use crate::common::coral::{Coral, attach_command};
use crate::common::lines::eventually;
use crate::common::target::Target;
use crate::common::{code, compile, need, rights};
use crate::daemon::{Daemon, ROOMY, Setup};

#[tokio::test]
async fn a_session_whose_client_was_killed_goes_on_to_the_end_of_its_lease() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let daemon = Daemon::start();
    let mut target = Target::spawn(&binary);
    let socket = daemon.socket();
    let options = ["--agent", &socket, "--duration", "5s"];
    let mut coral = Coral::start(&mut attach_command(target.pid(), &["pay"], &options));
    let attached = coral.attached().unwrap();
    coral.signal(Signal::KILL);
    assert_eq!(coral.wait().status.code(), None);
    let truth = target.run("pay");
    let mut client = daemon.client().await;
    let watch = wire::WatchSessionRequest {
        session_id: attached.session,
        interval: None,
    };
    let mut updates = client.watch_session(watch).await.unwrap().into_inner();
    let (mut status, mut calls) = (None, 0);
    while let Some(update) = updates.message().await.unwrap() {
        status = update.session.map(|session| session.status()).or(status);
        calls = update.functions.last().map_or(calls, |stats| stats.calls);
    }
    assert_eq!(status, Some(wire::SessionStatus::Expired));
    assert_eq!(calls, truth.functions["pay"].calls);
    // The kernel frees links in the background.
    assert!(eventually(|| code::changed(target.pid()).is_empty()));
    assert_eq!(target.run("pay").functions["pay"].calls, calls);
    assert_eq!(target.quit().code(), Some(0));
}

#[tokio::test]
async fn the_same_request_twice_is_one_session() {
    need!(rights::probes());
    let binary = need!(compile::e2e_c(&["-O2"]));
    let daemon = Daemon::start_with(&Setup {
        keys: &[ROOMY],
        ..Setup::default()
    });
    let target = Target::spawn(&binary);
    let mut client = daemon.client().await;
    let request = wire::StartSessionRequest {
        request_id: "one".into(),
        ..session_on(target.pid(), &["pay"])
    };
    // At the same time: one of them starts it, and the other one waits for that.
    let mut other = daemon.client().await;
    let (first, second) = tokio::join!(
        client.start_session(request.clone()),
        other.start_session(request.clone())
    );
    let mut answers = vec![first.unwrap().into_inner(), second.unwrap().into_inner()];
    let again = client.start_session(request.clone()).await.unwrap();
    answers.push(again.into_inner());
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
    // Another name is another session, and no name is none that could be the same.
    for request_id in ["two", "", ""] {
        let request = wire::StartSessionRequest {
            request_id: request_id.to_owned(),
            ..request.clone()
        };
        let answer = client.start_session(request).await.unwrap().into_inner();
        assert!(
            answers
                .iter()
                .all(|one| one.session_id != answer.session_id)
        );
        answers.push(answer);
    }
    let listed = client.list_sessions(wire::ListSessionsRequest::default());
    assert_eq!(listed.await.unwrap().into_inner().sessions.len(), 4);
}
