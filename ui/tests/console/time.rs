//! Pause, steps, jumps and marks, over something live and over a recording.

use std::sync::Arc;
use std::time::Duration;

use coral_model::Snapshot;
use coral_ui::{Effect, Options, SourceEvent, Start};

use crate::fixture;
use crate::harness::Console;

/// The shop when it had so many hits.
fn shop(hits: u64) -> Snapshot {
    let mut snapshot = fixture::snapshot();
    snapshot.overhead.hits_per_s = hits as f64;
    snapshot
}

/// Seven moments, a second apart; in second n there were n hits a second.
fn live() -> Console {
    let mut console = Console::open();
    for hits in 1..=7 {
        console.advance(Duration::from_secs(1));
        console.snapshot(shop(hits));
    }
    console
}

fn shows(console: &mut Console, hits: u64, word: &str) {
    let text = console.text(140, 40);
    let header = text.lines().take(2).collect::<Vec<_>>().join("\n");
    let rate = format!(" {hits} hits/s");
    assert!(
        header.contains(&rate) && header.contains(word),
        "{rate}, {word}: {header}"
    );
}

#[test]
fn a_pause_freezes_the_picture_and_not_the_recording() {
    let mut console = live();
    shows(&mut console, 7, "LIVE");
    console.press("p");
    console.advance(Duration::from_secs(3));
    console.snapshot(shop(8));
    shows(&mut console, 7, "PAUSED -00:03");
    console.press("[ [");
    shows(&mut console, 5, "PAUSED -00:05");
    console.press("]");
    shows(&mut console, 6, "PAUSED -00:04");
    console.press("{");
    shows(&mut console, 1, "PAUSED -00:09");
    console.press("}");
    shows(&mut console, 8, "PAUSED -00:00");
    console.press("{ p");
    shows(&mut console, 8, "LIVE");
    console.press("[ L");
    shows(&mut console, 8, "LIVE");
}

#[test]
fn acting_goes_back_to_what_is_now() {
    let mut console = live();
    console.press("{");
    shows(&mut console, 1, "PAUSED");
    let effects = console.press("D");
    assert!(effects.contains(&Effect::DetachAll), "{effects:?}");
    shows(&mut console, 7, "LIVE");
}

#[test]
fn a_recording_plays_by_itself_and_stops_where_it_is_told_to() {
    let mut console = Console::new(Options {
        start: Start::Source,
        replay: true,
        ..Options::default()
    });
    console.send(SourceEvent::Functions {
        target: fixture::target(),
        table: fixture::table(),
        complete: true,
    });
    let moments = (1..=7).map(|hits| (Duration::from_secs(hits), Arc::new(shop(hits))));
    console.send(SourceEvent::Recorded(moments.collect()));
    console.settle();
    shows(&mut console, 1, "REPLAY 00:00/00:06");
    console.advance(Duration::from_secs(2));
    shows(&mut console, 3, "REPLAY 00:02/00:06");
    console.press("p");
    console.advance(Duration::from_secs(2));
    shows(&mut console, 3, "REPLAY PAUSED 00:02/00:06");
    console.press("] p");
    console.advance(Duration::from_secs(1));
    shows(&mut console, 5, "REPLAY 00:04/00:06");
    console.press("L");
    shows(&mut console, 7, "REPLAY PAUSED 00:06/00:06");
}

#[test]
fn news_of_a_session_are_told_once() {
    let mut console = live();
    let mut news = shop(8);
    news.notices.push(coral_model::SessionNotice {
        at: Duration::from_secs(8),
        text: "main.priceOf was detached: it cost too much".into(),
    });
    for _ in 0..3 {
        console.snapshot(news.clone());
    }
    console.press("6");
    let text = console.text(120, 40);
    assert!(text.contains("Events  1, the newest first"), "{text}");
    assert!(text.contains("main.priceOf was detached"), "{text}");
}
