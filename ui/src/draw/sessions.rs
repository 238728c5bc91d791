//! Sessions: the live ones with their countdown, the ended ones with the reason.

use coral_model::{SessionSettings, SessionState, format_bytes, format_count, format_duration};
use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::draw::header::clock;
use crate::layout::ListPane;
use crate::measurements::Session;
use crate::state::State;
use crate::table::{self, Column, Columns, MARGIN, draw_empty, draw_rows, number, word};
use crate::text::Cut;
use crate::theme::Meaning;

#[derive(Clone, Copy)]
enum Kind {
    State,
    Countdown,
    Functions,
    Probes,
    Hits,
    HitsPerS,
    Lost,
    Cost,
}

const COLUMNS: &[Column<Kind>] = &[
    word(Kind::Countdown, "lease", 16),
    number(Kind::Hits, "hits", 6),
    number(Kind::Lost, "lost", 6),
    number(Kind::Probes, "probes", 6),
    number(Kind::HitsPerS, "hits/s", 6),
    number(Kind::Functions, "functions", 9),
    number(Kind::Cost, "cost", 15),
    word(Kind::State, "state", 22),
];

/// Columns of a number of hits with its cause; three of them fit into 80.
const CAUSE: u16 = 25;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, body: Rect) {
    let pane = ListPane::sessions(body);
    let sessions: Vec<&Session> = state.measurements.sessions().collect();
    let live = sessions
        .iter()
        .filter(|session| session.is_active())
        .count();
    let count = format!("  {live} live, {} ended", sessions.len() - live);
    canvas.title(
        pane.title,
        &[("Sessions", Meaning::Title), (&count, Meaning::Dim)],
        &[(history(state), Meaning::Dim)],
    );
    if sessions.is_empty() {
        let help = format!(
            "Probe a function with {} on the functions screen: that starts one.",
            state.key(Command::ToggleProbe)
        );
        return draw_empty(canvas, pane.rows, "There is no session yet.", &help);
    }
    let columns = Columns::fit(body.width, 18, COLUMNS);
    columns.draw_head(canvas, pane.head, "session");
    draw_rows(
        canvas,
        pane.rows,
        &state.sessions,
        sessions.len(),
        |canvas, index, place| {
            draw_row(canvas, state, &columns, place, sessions[index]);
        },
    );
    if let Some(session) = sessions.get(state.sessions.index()) {
        draw_detail(canvas, pane.detail, session);
    }
}

fn draw_row(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    session: &Session,
) {
    let (marker, meaning) = if session.is_active() {
        (canvas.glyphs.probed, Meaning::Live)
    } else {
        (canvas.glyphs.ended, Meaning::Ended)
    };
    canvas.text(inset(place, 1), marker, meaning);
    let info = &session.snapshot.session;
    canvas.foreign(columns.first(place), &info.id.0, Cut::Middle, Meaning::Text);
    for (column, cell) in columns.places(place) {
        if matches!(column.kind, Kind::Countdown) && session.is_active() {
            draw_countdown(canvas, state, cell, session);
            continue;
        }
        let (text, meaning) = value(state, column.kind, session);
        table::write(canvas, cell, &text, column.right, meaning);
    }
}

/// How far back the screens can go, and what that takes.
fn history(state: &State) -> String {
    let timeline = &state.timeline;
    let reaches_back = timeline.end().saturating_sub(timeline.start());
    let bytes = format_bytes(timeline.bytes() as u64);
    format!("{} of history, {bytes}", clock(reaches_back))
}

fn value(state: &State, kind: Kind, session: &Session) -> (String, Meaning) {
    let snapshot = &session.snapshot;
    let number = |text: String| (text, Meaning::Number);
    match kind {
        Kind::Countdown | Kind::State => match snapshot.session.state {
            SessionState::Active if state.stale_for(session).is_some() => {
                ("not heard of".into(), Meaning::Warning)
            }
            SessionState::Active => ("measuring".into(), Meaning::Live),
            SessionState::Ended(reason) => (reason.name().into(), Meaning::Ended),
        },
        Kind::Functions => number(snapshot.functions.len().to_string()),
        Kind::Probes => number(snapshot.session.probes.to_string()),
        Kind::Hits => number(format_count(snapshot.accounting.hits as f64)),
        Kind::HitsPerS => number(format_count(snapshot.overhead.hits_per_s)),
        Kind::Lost => match session.lost() {
            0 => number("0".into()),
            lost => (format_count(lost as f64), Meaning::Warning),
        },
        Kind::Cost => match snapshot.overhead.cpu_percent {
            Some(percent) => number(format!("{percent:.1} % of a core")),
            None => ("not calibrated".into(), Meaning::NotMeasured),
        },
    }
}

/// The lease as a bar that empties, and as time.
fn draw_countdown(canvas: &mut Canvas<'_>, state: &State, cell: Rect, session: &Session) {
    let remaining = session.remaining(state.now);
    let info = &session.snapshot.session;
    let lease = (info.elapsed + info.remaining)
        .as_secs_f64()
        .max(f64::EPSILON);
    let cells = 10.0;
    let full = (remaining.as_secs_f64() / lease * cells)
        .ceil()
        .clamp(0.0, cells) as usize;
    let left = canvas.glyphs.bars[8].repeat(full);
    let gone = canvas.glyphs.left.repeat(cells as usize - full);
    let time = format!(" {}", clock(remaining));
    canvas.spans(
        cell,
        &[
            (left, Meaning::Countdown),
            (gone, Meaning::Rule),
            (time, Meaning::Number),
        ],
    );
}

/// Which single calls the session records: numbers hold all of them.
fn recorded(settings: &SessionSettings) -> String {
    let mut text = match settings.sample_rate {
        0 | 1 => "every call is recorded".to_owned(),
        rate => format!("1 in {rate} calls is recorded"),
    };
    if !settings.min.is_zero() {
        text += &format!(" that took {} or more", format_duration(settings.min));
    }
    if let Some(max) = settings.max {
        text += &format!(" that took {} or less", format_duration(max));
    }
    if let Some(filter) = &settings.filter {
        text += &format!(" where {filter}");
    }
    text += match (settings.capture.arguments, settings.capture.results) {
        (true, true) => ", with arguments and results",
        (true, false) => ", with arguments",
        (false, true) => ", with results",
        (false, false) => "",
    };
    match settings.budget_percent {
        Some(budget) => text + &format!("; budget {budget} % of a core"),
        None => text + "; no budget",
    }
}

/// Where every hit of the session went.
fn draw_detail(canvas: &mut Canvas<'_>, area: Rect, session: &Session) {
    let area = inset(area, MARGIN);
    let info = &session.snapshot.session;
    let accounting = &session.snapshot.accounting;
    let began = format!(
        "{} ({}) by {}, began {} UTC, measured for {}",
        info.target.service,
        info.target.pid,
        info.requested_by,
        info.started_at.strftime("%H:%M:%S"),
        format_duration(info.elapsed),
    );
    canvas.foreign(row(area, 1), &began, Cut::End, Meaning::Dim);
    let records = recorded(&info.settings);
    canvas.foreign(row(area, 2), &records, Cut::End, Meaning::Dim);
    let hits = format!("{} hits, of which", format_count(accounting.hits as f64));
    canvas.text(row(area, 3), &hits, Meaning::Text);
    let causes = [
        (accounting.aggregated, "aggregated", false),
        (accounting.events_stored, "stored as records", false),
        (accounting.sampled_out, "sampled out", false),
        (accounting.filtered_out, "filtered out", false),
        (accounting.throttled, "throttled", true),
        (accounting.ring_full, "lost: ring full", true),
        (accounting.map_full, "lost: map full", true),
        (accounting.unmatched_exits, "exits without entry", false),
    ];
    let per_row = usize::from((area.width / CAUSE).max(1));
    for (index, (count, cause, is_loss)) in causes.into_iter().enumerate() {
        let place = inset(
            row(area, 4 + index / per_row),
            CAUSE * (index % per_row) as u16,
        );
        let meaning = match (count, is_loss) {
            (0, _) => Meaning::Dim,
            (_, true) => Meaning::Warning,
            (_, false) => Meaning::Number,
        };
        let rest = canvas.text(
            place,
            &format!("{:>5} ", format_count(count as f64)),
            meaning,
        );
        canvas.text(rest, cause, Meaning::Dim);
    }
}
