//! The services of a colony: a tree of them and their replicas, and what can be done with each.

use std::time::Duration;

use coral_model::Target;
use coral_ui::{Effect, Link, OpenTarget, Options, Peer, Screen, SourceEvent};

use crate::harness::Console;
use crate::screens::check_at;
use crate::{colony, fixture};

fn options() -> Options {
    Options {
        peer: Some(Peer::Colony("https://colony:9000".into())),
        ..Options::default()
    }
}

fn console() -> Console {
    let mut console = Console::new(options());
    console.send(SourceEvent::Link(Link::Up));
    console.send(colony::listing());
    console
}

/// The row that is selected.
fn selected(console: &mut Console) -> String {
    let text = console.text(100, 40);
    let row = text.lines().find(|line| line.starts_with('\u{258c}'));
    row.unwrap_or_else(|| panic!("nothing is selected: {text}"))
        .to_owned()
}

#[test]
fn services_stand_with_their_replicas_and_agents() {
    let mut console = console();
    for size in [(60, 20), (80, 24), (160, 48)] {
        check_at("services", &mut console, size);
    }
    let text = console.text(100, 40);
    for words in [
        "1 Services",
        "4 replicas on 3 agents, 2 builds, 1 cannot be probed",
        "the capability CAP_BPF",
        "its agent is cut off",
        "4 agents, 1 cut off, 1 cannot probe",
    ] {
        assert!(text.contains(words), "without {words:?}: {text}");
    }
    console.advance(Duration::from_secs(9));
    let text = console.text(100, 40);
    assert!(text.contains("cut off, heard of 50 s ago"), "{text}");
}

#[test]
fn a_service_is_opened_on_all_replicas_and_only_once() {
    let mut console = console();
    let service = || OpenTarget::Service("checkout".into());
    assert!(selected(&mut console).contains("checkout"));
    let list = "coral functions --colony https://colony:9000 checkout";
    assert_eq!(console.press("y"), [Effect::Copy(list.into())]);
    console.press("Esc");
    assert_eq!(
        console.press("j j Enter"),
        [Effect::Open(service())],
        "from a replica too"
    );
    assert_eq!(console.state.screen(), Screen::Functions);
    let text = console.text(100, 40);
    assert!(text.contains("OPENING checkout"), "{text}");
    assert!(text.contains("Reading the symbols of checkout"), "{text}");
    console.send(SourceEvent::Opening(service()));
    console.send(SourceEvent::Functions {
        target: Target {
            pid: 0,
            ..fixture::target()
        },
        table: fixture::table(),
        complete: true,
    });
    let text = console.text(140, 40);
    assert!(text.contains("checkout on 4 replicas (3 agents)"), "{text}");
    assert_eq!(
        console.press("1 Enter"),
        [Effect::ListProcesses],
        "it is open already"
    );
    assert_eq!(console.state.screen(), Screen::Functions);
    let copied = console.press("y");
    let [Effect::Copy(command)] = &copied[..] else {
        panic!("{copied:?}");
    };
    let begin = "coral debug attach --colony https://colony:9000 checkout --function ";
    assert!(command.starts_with(begin), "{command}");
}

#[test]
fn what_cannot_be_probed_is_refused_with_the_reason() {
    let mut console = console();
    console.press("/");
    console.type_text("auth");
    assert_eq!(console.press("Enter Enter"), []);
    let text = console.text(100, 40);
    assert!(
        text.contains("No replica of auth can be probed: its agent is cut off"),
        "{text}"
    );
    console.press("Esc Esc G");
    assert_eq!(console.press("Enter"), [], "an agent has no functions");
    assert!(console.text(100, 40).contains("is an agent"));
}

#[test]
fn trees_fold_and_the_selection_stays_with_its_row() {
    let mut console = console();
    console.press("j j");
    assert!(selected(&mut console).contains("4301"));
    console.send(colony::listing());
    assert!(
        selected(&mut console).contains("4301"),
        "a new listing changes nothing"
    );
    console.press("h");
    assert!(selected(&mut console).contains("checkout"));
    console.press("Left");
    assert!(!console.text(100, 40).contains("4301"));
    console.send(colony::listing());
    assert!(!console.text(100, 40).contains("4301"), "it stays folded");
    console.press("l");
    assert!(console.text(100, 40).contains("4301"));
    console.press("s s");
    assert!(selected(&mut console).contains("checkout"));
}

#[test]
fn before_anything_is_listed_it_says_why() {
    let mut console = Console::new(options());
    let text = console.text(100, 30);
    assert!(text.contains("The colony does not answer."), "{text}");
    console.send(SourceEvent::Link(Link::Up));
    assert!(console.text(100, 30).contains("Listing services"));
    console.send(SourceEvent::Services {
        services: [].into(),
        agents: [].into(),
    });
    let text = console.text(100, 30);
    assert!(
        text.contains("No agent has connected to this colony yet."),
        "{text}"
    );
    assert_eq!(
        console.advance(Duration::from_secs(2)),
        [Effect::ListProcesses]
    );
}
