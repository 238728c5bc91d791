//! How the replicas of a service are, in the place where else one process stands.

use coral_model::{Snapshot, escape};
use ratatui::layout::Rect;

use super::NAME;
use crate::canvas::Canvas;
use crate::event::OpenTarget;
use crate::replicas::ReplicaCounts;
use crate::state::State;
use crate::text::{Cut, fit, plural, width};
use crate::theme::Meaning;

/// Columns that the agent of the only replica that is shown may take.
const ONLY: usize = 16;

type Spans = Vec<(String, Meaning)>;

/// A service, and how its replicas are; the least of that is always said.
pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, service: &str, words: &[Spans]) {
    let columns = |spans: &Spans| spans.iter().map(|(text, _)| width(text)).sum::<u16>();
    let name = columns_of(service).min(NAME);
    let fits = |spans: &&Spans| columns(spans) + name <= area.width;
    let Some(spans) = words.iter().find(fits).or(words.last()) else {
        return;
    };
    let room = usize::from(area.width.saturating_sub(columns(spans)));
    let name = fit(service, room, Cut::End, canvas.glyphs);
    let rest = canvas.text(area, &name, Meaning::Target);
    canvas.spans(rest, spans);
}

fn columns_of(text: &str) -> u16 {
    width(&escape(text))
}

/// How the replicas of the service are, in as many words as there may be room for, the most first;
/// nothing without replicas.
pub(super) fn words(state: &State) -> Option<Vec<Spans>> {
    let snapshot = state
        .current_snapshot()
        .filter(|it| !it.replicas.is_empty());
    let Some(snapshot) = snapshot else {
        return listed(state);
    };
    if let Some(only) = state.only_replica() {
        let agent = fit(&only.agent_id, ONLY, Cut::Middle, &state.options.glyphs);
        let of = format!(" of {}", snapshot.replicas.len());
        let alone = format!("  {agent} {} alone", only.pid);
        let spans = |text: String| vec![(text, Meaning::Replay)];
        return Some(vec![spans(alone.clone() + &of), spans(alone)]);
    }
    let counts = ReplicaCounts::of(snapshot);
    let on = format!(" on {}", plural(counts.all, "replica"));
    let agents = format!(" ({})", plural(counts.agents, "agent"));
    let trouble = trouble_words(state, snapshot, &counts);
    let measured = format!("  {} of {}", counts.measured(), counts.all);
    let is_complete = counts.measured() == counts.all;
    let dim = |text: String| (text, Meaning::Dim);
    let warning = |text: String| (text, Meaning::Warning);
    if is_complete {
        return Some(vec![vec![dim(on.clone() + &agents)], vec![dim(on)]]);
    }
    Some(vec![
        vec![
            dim(on + &agents),
            warning(format!("{measured} measured{trouble}")),
        ],
        vec![warning(format!("{measured} measured{trouble}"))],
        vec![warning(format!("{measured} measured"))],
        vec![warning(measured)],
    ])
}

/// How many replicas the colony has listed of a service that is not measured yet.
fn listed(state: &State) -> Option<Vec<Spans>> {
    let Some(OpenTarget::Service(name)) = &state.opened else {
        return None;
    };
    let service = state.services.service(name)?;
    let on = format!(" on {}", plural(service.replicas.len(), "replica"));
    let agents = format!(" ({})", plural(service.agent_count(), "agent"));
    let spans = |text: String| vec![(text, Meaning::Dim)];
    Some(vec![spans(on.clone() + &agents), spans(on)])
}

/// What is not measured, and since when nothing is heard of it.
fn trouble_words(state: &State, snapshot: &Snapshot, counts: &ReplicaCounts) -> String {
    let mut words = String::new();
    if counts.silent > 0 {
        words += &format!(", {} silent", counts.silent);
        if let Some(age) = state.longest_silence(snapshot) {
            words += &format!(" {} s", age.as_secs());
        }
    }
    if counts.refused > 0 {
        words += &format!(", {} refused", counts.refused);
    }
    words
}
