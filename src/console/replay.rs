//! Feeds a recording to the same screens.

use std::sync::Arc;

use coral_ui::{Effect, SourceEvent};
use tokio::sync::mpsc;

use super::event_loop::Backend;
use super::{exports, source_files, views};
use crate::recording::Recording;

/// Reports that may wait for the screens.
const REPORTS_MAX: usize = 64;

/// The handle that the loop holds.
pub(super) struct Replay {
    reports: mpsc::Sender<SourceEvent>,
}

impl Replay {
    /// Begins to feed.
    pub(super) fn start(recording: Recording) -> (Self, mpsc::Receiver<SourceEvent>) {
        let (reports, to_screens) = mpsc::channel(REPORTS_MAX);
        let handle = Self {
            reports: reports.clone(),
        };
        tokio::spawn(play(recording, reports));
        (handle, to_screens)
    }
}

impl Backend for Replay {
    fn perform(&mut self, effect: Effect) -> Option<Effect> {
        let reports = self.reports.clone();
        let export = move |write: Box<dyn FnOnce() -> SourceEvent + Send>| {
            // A closed channel means that nobody waits for the report.
            tokio::task::spawn_blocking(move || drop(reports.blocking_send(write())));
        };
        match effect {
            Effect::ExportView(view) => export(Box::new(move || exports::view(&view))),
            Effect::ExportSession(snapshot) => {
                export(Box::new(move || exports::session(&snapshot)));
            }
            Effect::SaveView(view) => export(Box::new(move || views::save(&view))),
            Effect::ReadSource { file, line } => {
                export(Box::new(move || source_files::read(&file, line)));
            }
            Effect::Quit | Effect::Suspend | Effect::Copy(_) | Effect::Edit { .. } => {
                return Some(effect);
            }
            // The screens refuse everything else on a recording, and say so.
            _ => {}
        }
        None
    }
}

async fn play(recording: Recording, reports: mpsc::Sender<SourceEvent>) {
    let functions = SourceEvent::Functions {
        target: recording.target().clone(),
        table: Arc::clone(recording.table()),
        complete: true,
    };
    if reports.send(functions).await.is_err() {
        return;
    }
    // The screens play it: only they know where in time they are. If they are gone, nobody does.
    let _ = reports
        .send(SourceEvent::Recorded(recording.frames().to_vec()))
        .await;
}
