//! The console on the shipped recording, without a terminal.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{Language, ProcessSummary};
use coral_tui::recording::Recording;
use coral_ui::{Event, Options, SourceEvent, Start, State, draw, update};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

/// A console that gets what was recorded as if it were measured now.
pub(crate) struct Console<'a> {
    state: State,
    recording: &'a Recording,
    /// How many snapshots it has got.
    taken: usize,
    size: (u16, u16),
}

impl<'a> Console<'a> {
    /// On the functions of the recording, before anything was measured.
    pub(crate) fn open(recording: &'a Recording, options: Options, size: (u16, u16)) -> Self {
        let (state, _) = State::new(Options {
            start: Start::Source,
            ..options
        });
        let mut console = Self {
            state,
            recording,
            taken: 0,
            size,
        };
        let (columns, rows) = size;
        update(&mut console.state, Event::Resize { columns, rows });
        console.send(SourceEvent::Processes(processes(recording)));
        console.send(SourceEvent::Functions {
            target: recording.target().clone(),
            table: Arc::clone(recording.table()),
            complete: true,
        });
        console
    }

    /// Takes in what was recorded until then. The last two snapshots are left out: after them the
    /// session is no more.
    pub(crate) fn play(&mut self, until: Duration) {
        let frames = self.recording.frames();
        let frames = &frames[..frames.len() - 2];
        while let Some((at, snapshot)) = frames.get(self.taken).filter(|(at, _)| *at <= until) {
            update(&mut self.state, Event::Tick { now: *at });
            self.send(SourceEvent::Snapshot(Arc::clone(snapshot)));
            self.taken += 1;
        }
        self.settle();
    }

    /// Presses keys; a new line is Enter.
    pub(crate) fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            let code = match key {
                '\n' => KeyCode::Enter,
                key => KeyCode::Char(key),
            };
            let key = KeyEvent::new(code, KeyModifiers::NONE);
            update(&mut self.state, Event::Key(key));
            self.settle();
        }
    }

    pub(crate) fn screen(&self) -> Buffer {
        let (columns, rows) = self.size;
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        let frame = terminal.draw(|frame| draw(frame, &self.state)).unwrap();
        frame.buffer.clone()
    }

    fn send(&mut self, event: SourceEvent) {
        update(&mut self.state, Event::Source(event));
    }

    /// Lets the screens finish what they put off.
    fn settle(&mut self) {
        let frames = self.recording.frames();
        let now = frames[self.taken.saturating_sub(1)].0;
        while self.state.has_work() {
            update(&mut self.state, Event::Tick { now });
        }
    }
}

/// The recorded process, and others as there are beside it.
fn processes(recording: &Recording) -> Arc<[ProcessSummary]> {
    let target = recording.target();
    let process = |pid, name: &str, language, ports: &[u16], mib: u64| ProcessSummary {
        pid,
        start_ticks: 1,
        user: "app".into(),
        name: name.into(),
        command: format!("/srv/{name}"),
        language,
        ports: ports.to_vec(),
        container: None,
        resident_bytes: mib << 20,
        refusal: None,
    };
    let language = Some(target.language);
    let mut worker = process(977, "reports", None, &[], 340);
    worker.refusal = Some("runs generated code that no symbols describe".into());
    Arc::new([
        process(target.pid, &target.service, language, &[8080], 4),
        process(1201, "search", Some(Language::Go), &[7700], 96),
        process(1310, "imageproxy", Some(Language::Cpp), &[8443], 51),
        worker,
    ])
}
