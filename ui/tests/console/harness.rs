//! A console without a terminal: keys in, effects and rendered screens out.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{FunctionTable, Snapshot, Target};
use coral_ui::{Effect, Event, Options, SourceEvent, Start, State, draw, update};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use crate::fixture;

pub(crate) struct Console {
    pub(crate) state: State,
    now: Duration,
}

impl Console {
    pub(crate) fn new(options: Options) -> Self {
        let (state, _) = State::new(options);
        Self {
            state,
            now: Duration::ZERO,
        }
    }

    /// On the shop's functions, nothing probed yet.
    pub(crate) fn open() -> Self {
        Self::open_with(Options::default(), fixture::table())
    }

    pub(crate) fn open_with(options: Options, table: Arc<FunctionTable>) -> Self {
        Self::open_on(options, fixture::target(), table)
    }

    pub(crate) fn open_on(options: Options, target: Target, table: Arc<FunctionTable>) -> Self {
        let mut console = Self::new(Options {
            start: Start::Process(4242),
            ..options
        });
        console.send(SourceEvent::Functions {
            target,
            table,
            complete: true,
        });
        console.settle();
        console
    }

    /// On the shop's functions, three of them probed, the first one selected.
    pub(crate) fn live() -> Self {
        let mut console = Self::open();
        console.send(SourceEvent::Snapshot(Arc::new(fixture::snapshot())));
        console
    }

    /// On the latency screen, after 40 seconds with an incident from the 24th on; the time before
    /// it is marked.
    pub(crate) fn incident(options: Options) -> Self {
        let mut console = Self::open_with(options, fixture::table());
        console.play(fixture::incident(40));
        console.press("3 g");
        console
    }

    /// Takes in the snapshots of an incident, one each second, and marks the last moment before it.
    pub(crate) fn play(&mut self, incident: Vec<Snapshot>) {
        for snapshot in incident {
            self.advance(Duration::from_secs(1));
            let elapsed = snapshot.session.elapsed;
            self.snapshot(snapshot);
            if elapsed == Duration::from_secs(23) {
                self.press("m");
            }
        }
    }

    pub(crate) fn event(&mut self, event: Event) -> Vec<Effect> {
        update(&mut self.state, event)
    }

    pub(crate) fn send(&mut self, event: SourceEvent) -> Vec<Effect> {
        self.event(Event::Source(event))
    }

    pub(crate) fn snapshot(&mut self, snapshot: Snapshot) {
        self.send(SourceEvent::Snapshot(Arc::new(snapshot)));
    }

    pub(crate) fn advance(&mut self, by: Duration) -> Vec<Effect> {
        self.now += by;
        self.event(Event::Tick { now: self.now })
    }

    /// Does all the work that was put off; returns in how many pieces.
    pub(crate) fn settle(&mut self) -> usize {
        let mut pieces = 0;
        while self.state.has_work() {
            self.advance(Duration::ZERO);
            pieces += 1;
        }
        pieces
    }

    /// Presses keys, written with spaces between: `j Space Ctrl-C`.
    pub(crate) fn press(&mut self, keys: &str) -> Vec<Effect> {
        keys.split_whitespace()
            .flat_map(|key| self.event(Event::Key(parse(key))))
            .collect()
    }

    /// Types text, and lets it take effect.
    pub(crate) fn type_text(&mut self, text: &str) {
        for character in text.chars() {
            let key = KeyEvent::new(KeyCode::Char(character), KeyModifiers::NONE);
            self.event(Event::Key(key));
        }
        self.settle();
    }

    /// Does something with the mouse.
    pub(crate) fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) -> Vec<Effect> {
        self.event(Event::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers: KeyModifiers::NONE,
        }))
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        self.event(Event::Resize { columns, rows });
    }

    pub(crate) fn buffer(&mut self, columns: u16, rows: u16) -> Buffer {
        self.resize(columns, rows);
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        let frame = terminal.draw(|frame| draw(frame, &self.state)).unwrap();
        frame.buffer.clone()
    }

    /// The screen's text, line by line.
    pub(crate) fn text(&mut self, columns: u16, rows: u16) -> String {
        lines(&self.buffer(columns, rows), |buffer, position| {
            buffer[position].symbol().to_owned()
        })
    }

    /// The screen's text, its styles as a letter for each cell, and what the letters mean.
    pub(crate) fn screen(&mut self, columns: u16, rows: u16) -> String {
        let buffer = self.buffer(columns, rows);
        let mut legend: Vec<String> = Vec::new();
        let letters = lines(&buffer, |buffer, position| {
            let style = describe(buffer, position);
            if style.is_empty() {
                return " ".into();
            }
            let index = legend
                .iter()
                .position(|known| *known == style)
                .unwrap_or_else(|| {
                    legend.push(style);
                    legend.len() - 1
                });
            char::from(b'a' + index as u8).to_string()
        });
        let text = lines(&buffer, |buffer, position| {
            buffer[position].symbol().to_owned()
        });
        let mut screen = format!("{text}\n{letters}\n");
        for (index, style) in legend.iter().enumerate() {
            writeln!(screen, "{}: {style}", char::from(b'a' + index as u8)).unwrap();
        }
        screen
    }
}

fn lines(buffer: &Buffer, mut cell: impl FnMut(&Buffer, (u16, u16)) -> String) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let line: String = (0..buffer.area.width)
            .map(|x| cell(buffer, (x, y)))
            .collect();
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    text
}

fn describe(buffer: &Buffer, position: (u16, u16)) -> String {
    let cell = &buffer[position];
    let mut words = Vec::new();
    for (prefix, color) in [("", cell.fg), ("on ", cell.bg)] {
        if color != Color::Reset {
            words.push(format!("{prefix}{color}"));
        }
    }
    if cell.modifier != Modifier::empty() {
        words.push(format!("{:?}", cell.modifier).to_lowercase());
    }
    words.join(" ")
}

fn parse(key: &str) -> KeyEvent {
    let (key, modifiers) = match key.strip_prefix("Ctrl-") {
        Some(key) => (key, KeyModifiers::CONTROL),
        None => (key, KeyModifiers::NONE),
    };
    let code = match key {
        "Space" => KeyCode::Char(' '),
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" => KeyCode::Tab,
        "Shift-Tab" => KeyCode::BackTab,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "PgDn" => KeyCode::PageDown,
        "PgUp" => KeyCode::PageUp,
        "Backspace" => KeyCode::Backspace,
        _ => KeyCode::Char(
            key.to_lowercase()
                .chars()
                .next()
                .filter(|_| modifiers != KeyModifiers::NONE)
                .or(key.chars().next())
                .unwrap(),
        ),
    };
    KeyEvent::new(code, modifiers)
}
