//! Sessions: the live ones with their countdown, the ended ones with the reason, and those of
//! everybody else.

mod listed;

use coral_model::{
    SessionSettings, SessionState, SessionSummary, format_bytes, format_count, format_duration,
};
use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::draw::header::clock;
use crate::layout::ListPane;
use crate::measurements::Session;
use crate::session_list::SessionRow;
use crate::state::State;
use crate::table::{self, Column, Columns, MARGIN, draw_empty, draw_rows, number, word};
use crate::text::{Cut, fit};
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
    Who,
    Service,
    Replicas,
    Began,
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

/// Where the sessions are those of everybody: whose they are comes first.
const SHARED: &[Column<Kind>] = &[
    word(Kind::Countdown, "lease", 16),
    word(Kind::Who, "who", 10),
    word(Kind::Service, "service", 12),
    number(Kind::Replicas, "replicas", 8),
    word(Kind::Began, "began (UTC)", 11),
    number(Kind::Hits, "hits", 6),
    number(Kind::Lost, "lost", 6),
    number(Kind::Functions, "functions", 9),
    number(Kind::HitsPerS, "hits/s", 6),
    number(Kind::Probes, "probes", 6),
    number(Kind::Cost, "cost", 15),
    word(Kind::State, "state", 22),
];

/// Columns of a number of hits with its cause; three of them fit into 80.
const CAUSE: u16 = 25;

/// When a session began: of a past one the day matters too.
const BEGAN: &str = "%m-%d %H:%M";

/// Columns that a session's name may take in the title.
const ID: usize = 24;

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, body: Rect) {
    let pane = ListPane::sessions(body);
    let sessions = state.session_rows();
    draw_title(canvas, state, pane.title, &sessions);
    if sessions.is_empty() {
        let help = format!(
            "Probe a function with {} on the functions screen: that starts one.",
            state.key(Command::ToggleProbe)
        );
        return draw_empty(canvas, pane.rows, "There is no session yet.", &help);
    }
    let columns = if state.options.has_history {
        SHARED
    } else {
        COLUMNS
    };
    let columns = Columns::fit(body.width, 18, columns);
    columns.draw_head(canvas, pane.head, "session");
    draw_rows(
        canvas,
        pane.rows,
        &state.sessions.selection,
        sessions.len(),
        |canvas, index, place| match sessions[index] {
            SessionRow::Own(session) => draw_row(canvas, state, &columns, place, session),
            SessionRow::Listed(summary) => draw_listed(canvas, state, &columns, place, summary),
        },
    );
    match sessions.get(state.sessions.selection.index()) {
        Some(SessionRow::Own(session)) => draw_detail(canvas, pane.detail, session),
        Some(SessionRow::Listed(summary)) => listed::draw(canvas, state, pane.detail, summary),
        None => {}
    }
}

fn draw_title(canvas: &mut Canvas<'_>, state: &State, area: Rect, sessions: &[SessionRow<'_>]) {
    let live = sessions
        .iter()
        .filter(|session| session.is_active())
        .count();
    let count = format!("  {live} live, {} ended", sessions.len() - live);
    let right = match &state.sessions.opening {
        Some(id) => {
            let id = fit(&id.0, ID, Cut::Middle, canvas.glyphs);
            (
                format!("opening {id}{}", canvas.glyphs.ellipsis),
                Meaning::Busy,
            )
        }
        None => (history(state), Meaning::Dim),
    };
    let left = [("Sessions", Meaning::Title), (count.as_str(), Meaning::Dim)];
    canvas.title(area, &left, &[right]);
}

/// A session of the history: its numbers are not here.
fn draw_listed(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    summary: &SessionSummary,
) {
    let is_visited = state.visited().as_ref() == Some(&summary.id);
    let is_active = summary.state == SessionState::Active;
    let (marker, meaning) = match is_active {
        true => (canvas.glyphs.attaching, Meaning::Live),
        false => (canvas.glyphs.ended, Meaning::Ended),
    };
    canvas.text(inset(place, 1), marker, meaning);
    let name = if is_visited {
        Meaning::Replay
    } else {
        Meaning::Text
    };
    canvas.foreign(columns.first(place), &summary.id.0, Cut::Middle, name);
    for (column, cell) in columns.places(place) {
        let (text, meaning) = listed::value(canvas, column.kind, summary);
        let text = fit(&text, usize::from(cell.width), Cut::End, canvas.glyphs);
        table::write(canvas, cell, &text, column.right, meaning);
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
        let text = fit(&text, usize::from(cell.width), Cut::End, canvas.glyphs);
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
        Kind::Who => (snapshot.session.requested_by.clone(), Meaning::Dim),
        Kind::Service => (snapshot.session.target.service.clone(), Meaning::Dim),
        Kind::Replicas => number(snapshot.replicas.len().max(1).to_string()),
        Kind::Began => (
            snapshot.session.started_at.strftime(BEGAN).to_string(),
            Meaning::Dim,
        ),
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
