//! Functions come and go in a running session: those that stay lose no hit by it, and those that
//! cannot come are named.
#![allow(clippy::unwrap_used)] // all of this is tests

mod common;

use std::sync::Arc;

use common::need;
use common::target::Target;
use common::{code, compile, rights};
use coral_model::{FunctionId, Limits, SessionSettings};
use coral_tui::agent::{Agent, AttachRequest, Watched};
use coral_tui::source::{local, select};

/// How often a function leaves and comes back.
const ROUNDS: usize = 20;

#[test]
fn who_stays_loses_and_doubles_nothing() {
    need!(rights::probes());
    let mut target = Target::spawn(&need!(compile::e2e_c(&["-O2"])));
    let watched = watched(&target);
    let [hot, spare] = ["hot", "spare"].map(|name| ids(&watched, name));
    // Of both from the beginning: they share a link, which one leaves.
    let request = AttachRequest {
        room: 8,
        settings: SessionSettings {
            budget_percent: None,
            ..SessionSettings::default()
        },
        ..AttachRequest::new([&hot[..], &spare].concat(), "a test".into())
    };
    let (session, _) = Agent::new(Limits::default())
        .attach(watched, &request)
        .unwrap();
    target.run("begin_storm");
    for _ in 0..ROUNDS {
        session.remove(spare.clone()).unwrap();
        session.add(spare.clone()).unwrap();
    }
    let truth = target.run("end_storm").functions["hot"];
    let snapshot = session.detach();
    let [measured, other] = [0, 1].map(|place| &snapshot.functions[place]);
    assert_eq!(measured.name, "hot");
    assert_eq!([measured.calls, measured.returns], [truth.calls; 2]);
    assert_eq!([measured.unwound, measured.unmatched_exits], [0, 0]);
    assert!(
        (1..truth.calls).contains(&other.calls),
        "{} of {}",
        other.calls,
        truth.calls
    );
    assert!(snapshot.accounting.is_balanced());
    assert_eq!(code::changed(target.pid()), Vec::<u64>::new());
    assert_eq!(target.quit().code(), Some(0));
}

/// What another agent probes is refused, to begin with and later; either way the session says so.
#[test]
fn who_is_left_out_is_told_once() {
    need!(rights::probes());
    let target = Target::spawn(&need!(compile::e2e_c(&["-O2"])));
    let watched = watched(&target);
    let [hot, calm, spare] = ["hot", "calm", "spare"].map(|name| ids(&watched, name));
    let attach = |functions: &[&[FunctionId]]| {
        let request = AttachRequest {
            room: 8,
            ..AttachRequest::new(functions.concat(), "a test".into())
        };
        let agent = Agent::new(Limits::default());
        agent.attach(Arc::clone(&watched), &request).unwrap()
    };
    let (other, _) = attach(&[&calm, &spare]);
    let (session, attached) = attach(&[&hot, &calm]);
    assert_eq!(attached.functions, hot);
    let added = session.add([&hot[..], &spare].concat()).unwrap();
    assert_eq!(added.functions, hot);
    let snapshot = session.detach();
    let [first, later] = &snapshot.notices[..] else {
        panic!("{:#?}", snapshot.notices);
    };
    assert!(first.text.starts_with("calm is left out: "), "{first:?}");
    assert!(later.text.starts_with("spare is left out: "), "{later:?}");
    assert!(first.at <= later.at && later.at <= snapshot.session.elapsed);
    other.detach();
    assert_eq!(target.quit().code(), Some(0));
}

fn watched(target: &Target) -> Arc<Watched> {
    let opened = local::open(target.pid(), &[]).unwrap();
    Arc::new(Watched {
        symbols: opened.symbols.completed(),
        ..opened
    })
}

fn ids(watched: &Watched, name: &str) -> Vec<FunctionId> {
    select(watched.table(), &[name.to_owned()]).unwrap()
}
