//! An agent that is another program: the way to it goes and comes back, and what that leaves out.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{EndReason, SessionState, Snapshot};
use coral_ui::{Attach, AttachTo, Effect, Failure, Link, Options, Peer, SourceEvent};

use crate::fixture;
use crate::harness::Console;

const AGENT: &str = "unix:/run/coral/agent.sock";

fn options() -> Options {
    Options {
        peer: Some(Peer::Agent(AGENT.into())),
        ..Options::default()
    }
}

/// The shop behind an agent, after so many seconds of measuring.
fn live(seconds: u64) -> Console {
    let mut console = Console::open_with(options(), fixture::table());
    console.send(SourceEvent::Link(Link::Up));
    for snapshot in fixture::incident(seconds) {
        console.advance(Duration::from_secs(1));
        console.snapshot(snapshot);
    }
    console
}

/// The shop's numbers so many seconds after the session began.
fn after(seconds: u64) -> Snapshot {
    fixture::incident(seconds).pop().unwrap()
}

fn down() -> SourceEvent {
    SourceEvent::Link(Link::Down {
        failure: Failure {
            code: "agent-unreachable".into(),
            message: format!("{AGENT} cannot be reached: Connection refused"),
            help: "it is tried again by itself".into(),
        },
        retry_in: Duration::from_millis(1_500),
    })
}

fn header(console: &mut Console, columns: u16) -> String {
    let text = console.text(columns, 40);
    text.lines().take(2).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_header_says_how_the_way_to_the_agent_is() {
    let mut console = Console::new(options());
    let mut headers = Vec::new();
    let mut see = |console: &mut Console, what: &str| {
        for columns in [140, 80, 44] {
            headers.push(format!(
                "{what}, {columns}:\n{}\n",
                header(console, columns)
            ));
        }
    };
    see(&mut console, "connecting");
    console.send(down());
    see(&mut console, "never reached");
    let mut console = live(3);
    see(&mut console, "up");
    console.send(down());
    console.advance(Duration::from_secs(1));
    see(&mut console, "down");
    console.advance(Duration::from_secs(1));
    see(&mut console, "trying");
    console.press("p");
    see(&mut console, "down and paused");
    insta::assert_snapshot!("link_header", headers.join("\n"));
}

#[test]
fn while_it_is_down_numbers_stay_and_are_called_stale() {
    let mut console = live(3);
    console.send(down());
    console.advance(Duration::from_secs(3));
    insta::assert_snapshot!("link_down", console.screen(140, 30));
    console.press("5");
    let text = console.text(140, 30);
    assert!(text.contains("not heard of"), "{text}");
    let text = {
        console.press("6");
        console.text(140, 30)
    };
    assert!(text.contains("cannot be reached"), "{text}");
}

#[test]
fn the_time_without_data_is_a_gap_in_every_picture() {
    let mut console = live(6);
    console.send(down());
    console.advance(Duration::from_secs(6));
    console.send(SourceEvent::Link(Link::Up));
    for seconds in 12..=16 {
        console.snapshot(after(seconds));
        console.advance(Duration::from_secs(1));
    }
    console.press("3 g v");
    insta::assert_snapshot!("link_gap_heatmap", console.screen(120, 30));
    console.press("v");
    insta::assert_snapshot!("link_gap_lines", console.text(120, 30));
    console.press("6");
    let text = console.text(120, 30);
    let gap = "No data from 03:12:15 to 03:12:21: the link was down";
    assert!(text.contains(gap), "{text}");
    assert!(
        text.contains("The agent answers again, after 6 s"),
        "{text}"
    );
}

#[test]
fn a_pause_within_a_gap_says_that_there_is_no_data() {
    let mut console = live(6);
    console.advance(Duration::from_secs(12));
    console.snapshot(after(19));
    console.press("{");
    let header = header(&mut console, 140);
    assert!(header.contains("PAUSED -00:10 NO DATA"), "{header}");
    console.press("[");
    let header = self::header(&mut console, 140);
    assert!(!header.contains("NO DATA"), "{header}");
}

#[test]
fn a_silent_agent_leaves_a_gap_as_well() {
    let mut console = live(3);
    console.advance(Duration::from_secs(4));
    assert!(header(&mut console, 140).contains("STALE for 4 s"));
    console.snapshot(after(7));
    let text = console.text(120, 30);
    let gap = "No data from 03:12:12 to 03:12:16: the agent sent nothing";
    assert!(text.contains(gap), "{text}");
}

#[test]
fn a_session_that_is_lost_has_ended_and_can_be_attached_again() {
    let mut console = live(3);
    let lost = after(3);
    console.send(down());
    console.advance(Duration::from_secs(2));
    console.send(SourceEvent::Link(Link::Up));
    console.send(SourceEvent::SessionLost {
        session: lost.session.id.clone(),
        why: "the agent started anew".into(),
    });
    let text = console.text(140, 30);
    let told = "is over: the agent started anew; its numbers are those of 03:12:12";
    assert!(
        text.contains(told) && text.contains("ENDED failed"),
        "{text}"
    );
    let effects = console.press("u");
    let [
        Effect::Attach(Attach {
            functions,
            session: AttachTo::New,
            ..
        }),
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!(functions.len(), lost.functions.len());
    // A session that has ended by itself is not ended again.
    let mut ended = after(3);
    ended.session.state = SessionState::Ended(EndReason::Detached);
    let id = ended.session.id.clone();
    console.send(SourceEvent::SessionEnded(Arc::new(ended)));
    let why = "the agent started anew".into();
    console.send(SourceEvent::SessionLost { session: id, why });
    assert!(console.text(140, 30).contains("ENDED detached"));
}

#[test]
fn what_cannot_be_told_to_detach_is_not_said_to() {
    let mut console = live(3);
    console.send(down());
    assert_eq!(console.press("D"), [Effect::DetachAll]);
    let text = console.text(140, 30);
    assert!(text.contains("The agent does not answer"), "{text}");
    assert!(!text.contains("Detaching everything"), "{text}");
}

/// The functions of the shop come anew, with other numbers than before.
fn renumber(console: &mut Console) {
    let mut target = fixture::target();
    target.start_ticks += 1;
    console.send(SourceEvent::Functions {
        target,
        table: fixture::table(),
        complete: true,
    });
}

#[test]
fn what_was_detached_is_not_attached_by_numbers_of_other_functions() {
    let mut console = live(3);
    console.press("D");
    renumber(&mut console);
    assert_eq!(console.press("u"), [], "what was detached before");
    let session = after(3).session.id;
    let why = "the colony numbers functions otherwise".into();
    console.send(SourceEvent::SessionLost { session, why });
    assert_eq!(console.press("u"), [], "what is lost afterwards");
    assert!(console.text(140, 30).contains("Nothing was detached"));
}

#[test]
fn a_question_about_numbers_of_other_functions_is_withdrawn() {
    let mut console = live(1);
    let functions = after(1).functions.iter().map(|stats| stats.id).collect();
    let attach = Attach {
        functions,
        settings: options().settings,
        session: AttachTo::New,
        is_confirmed: false,
    };
    let expected = coral_model::ExpectedCost {
        hits_per_s: 1e6,
        cpu_percent: Some(90.0),
        dearest: None,
        counted: Duration::from_secs(1),
        is_at_least: false,
    };
    console.send(SourceEvent::Costly {
        attach: Box::new(attach),
        expected,
    });
    console.advance(Duration::from_secs(2));
    renumber(&mut console);
    let effects = console.press("y");
    assert!(matches!(effects[..], [Effect::Copy(_)]), "{effects:?}");
}

#[test]
fn functions_are_told_to_come_piece_by_piece() {
    let mut console = Console::new(Options {
        start: coral_ui::Start::Process(4242),
        ..options()
    });
    assert!(console.text(120, 30).contains("The agent does not answer."));
    console.send(SourceEvent::Link(Link::Up));
    console.send(SourceEvent::Reading {
        functions: 20_000,
        total: 77_657,
    });
    let text = console.text(120, 30);
    assert!(
        text.contains("20,000 of 77,657 functions have come."),
        "{text}"
    );
}

#[test]
fn commands_name_the_agent() {
    let mut console = live(1);
    let effects = console.press("y");
    let [Effect::Copy(command)] = &effects[..] else {
        panic!("{effects:?}");
    };
    let expected = format!("coral debug attach --agent {AGENT} --pid 4242 --function ");
    assert!(command.starts_with(&expected), "{command}");
}

#[test]
fn processes_are_listed_as_soon_as_the_agent_answers() {
    let mut console = Console::new(options());
    assert!(console.text(120, 30).contains("The agent does not answer."));
    let effects = console.send(SourceEvent::Link(Link::Up));
    assert_eq!(effects, [Effect::ListProcesses]);
}
