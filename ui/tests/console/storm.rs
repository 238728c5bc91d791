//! Whatever comes in, in whatever order: nothing panics, `Ctrl-C` quits, and only moving moves
//! the selection.

use std::sync::Arc;
use std::time::Duration;

use coral_model::Snapshot;
use coral_ui::{COMMANDS, Effect, Event, Options, SourceEvent, Start};
use crossterm::event::{MouseButton, MouseEventKind};
use proptest::prelude::*;

use crate::everywhere;
use crate::fixture;
use crate::harness::Console;

/// Something that happens.
#[derive(Clone, Debug)]
enum Happening {
    Key(String),
    Mouse(MouseEventKind, u16, u16),
    Paste(String),
    Resize(u16, u16),
    Pass(u64),
    /// The snapshot of that second.
    Snapshot(usize),
    Ended(usize),
    Exited,
}

fn any_key() -> impl Strategy<Value = String> {
    let keys = COMMANDS.iter().flat_map(|info| info.keys);
    // Those end the program, which has no state to go on with.
    let keys = keys.filter(|key| !["q", "Ctrl-Z", "Ctrl-C"].contains(key));
    let mut keys: Vec<String> = keys.map(|key| (*key).to_owned()).collect();
    keys.push("Backspace".into());
    prop::sample::select(keys)
}

fn any_mouse() -> impl Strategy<Value = Happening> {
    let kinds = [
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Drag(MouseButton::Left),
        MouseEventKind::Up(MouseButton::Left),
        MouseEventKind::Down(MouseButton::Right),
        MouseEventKind::ScrollDown,
        MouseEventKind::ScrollUp,
        MouseEventKind::Moved,
    ];
    let kinds = prop::sample::select(kinds.to_vec());
    (kinds, 0u16..200, 0u16..60).prop_map(|(kind, x, y)| Happening::Mouse(kind, x, y))
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        12 => any_key().prop_map(Happening::Key),
        3 => any_mouse(),
        1 => any::<String>().prop_map(Happening::Paste),
        1 => (0u16..=200, 0u16..=60).prop_map(|(columns, rows)| Happening::Resize(columns, rows)),
        1 => (0u64..20_000).prop_map(Happening::Pass),
        2 => (0usize..30).prop_map(Happening::Snapshot),
        1 => (0usize..30).prop_map(Happening::Ended),
        1 => Just(Happening::Exited),
    ]
}

/// Lets it happen; the size is what the terminal has afterwards.
fn happen(console: &mut Console, recording: &[Snapshot], size: &mut (u16, u16), it: Happening) {
    let _ = match it {
        Happening::Key(key) => console.press(&key),
        Happening::Mouse(kind, column, row) => console.mouse(kind, column, row),
        Happening::Paste(text) => console.event(Event::Paste(text)),
        Happening::Resize(columns, rows) => {
            *size = (columns, rows);
            console.resize(columns, rows);
            Vec::new()
        }
        Happening::Pass(ms) => console.advance(Duration::from_millis(ms)),
        Happening::Snapshot(second) => {
            console.send(SourceEvent::Snapshot(Arc::new(recording[second].clone())))
        }
        Happening::Ended(second) => {
            let mut snapshot = fixture::ended();
            snapshot.functions.clone_from(&recording[second].functions);
            console.send(SourceEvent::SessionEnded(Arc::new(snapshot)))
        }
        Happening::Exited => console.send(SourceEvent::TargetExited),
    };
}

/// On a recording, or on something live.
fn console(recording: &[Snapshot], replay: bool) -> Console {
    let mut console = Console::new(Options {
        start: Start::Source,
        replay,
        ..Options::default()
    });
    console.send(SourceEvent::Functions {
        target: fixture::target(),
        table: everywhere::shop(),
        complete: true,
    });
    console.send(SourceEvent::Processes(fixture::processes()));
    if replay {
        let moments = (0u64..).map(Duration::from_secs);
        let moments = moments.zip(recording.iter().cloned().map(Arc::new));
        console.send(SourceEvent::Recorded(moments.collect()));
    }
    console
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_storm_is_survived_and_can_be_left(
        storm in prop::collection::vec(any_happening(), 1..80),
        replay: bool,
    ) {
        let recording = everywhere::recording();
        let mut console = console(&recording, replay);
        let mut size = (120, 40);
        for it in storm {
            happen(&mut console, &recording, &mut size, it);
            console.buffer(size.0, size.1);
            prop_assert_eq!(console.press("Ctrl-C"), [Effect::Quit]);
        }
        console.settle();
        console.buffer(160, 48);
    }
}

/// Where rows are selected: the keys that lead there, and how far one can go down. Before one has
/// moved, the first row is selected, whatever it is.
const LISTS: [(&str, u8); 6] = [
    ("2", 20),
    ("2 / m a i n Enter", 10),
    ("4", 7),
    ("4 v v", 3),
    ("4 v v v", 5),
    ("4 v v v v", 1),
];

/// The text of the selected row without its numbers.
fn selected(console: &mut Console) -> String {
    let text = console.text(119, 60);
    let row = text.lines().find(|line| line.starts_with('▌'));
    let row = row.unwrap_or_else(|| panic!("nothing is selected: {text}"));
    let name = row.split_whitespace().find(|word| word.contains('.'));
    name.unwrap_or_else(|| panic!("no name: {row}")).to_owned()
}

fn not_a_move() -> impl Strategy<Value = Happening> {
    let keys = [
        "s", "S", "c", "P", "x", "m", "p", "[", "]", "{", "}", "L", "?", "6",
    ];
    prop_oneof![
        3 => prop::sample::select(keys.to_vec()).prop_map(|key| Happening::Key(key.into())),
        2 => (0usize..30).prop_map(Happening::Snapshot),
        1 => (0u64..3_000).prop_map(Happening::Pass),
        1 => (0u16..=200, 0u16..=60).prop_map(|(columns, rows)| Happening::Resize(columns, rows)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn only_moving_moves_the_selection(
        list in 0..LISTS.len(),
        down in any::<u8>(),
        storm in prop::collection::vec(not_a_move(), 1..30),
    ) {
        let recording = everywhere::recording();
        let mut console = console(&recording, false);
        console.snapshot(recording[29].clone());
        let (keys, rows) = LISTS[list];
        console.press(keys);
        console.settle();
        for _ in 0..=down % rows {
            console.press("j");
        }
        let before = selected(&mut console);
        let screen = keys.split(' ').next().unwrap_or_default();
        for it in storm {
            happen(&mut console, &recording, &mut (80, 24), it);
            console.settle();
            let mut back = console.press("Esc");
            back.extend(console.press(screen));
            prop_assert_eq!(back, []);
            prop_assert_eq!(&selected(&mut console), &before);
        }
    }
}
