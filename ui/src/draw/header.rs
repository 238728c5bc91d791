//! The header: the target, the state as a word, the rates, the losses, the cost; and the tabs.

mod replicas;

use std::time::Duration;

use coral_model::{SessionState, escape, format_count};
use ratatui::layout::{Position, Rect};

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::event::OpenTarget;
use crate::state::{Phase, Screen, State};
use crate::text::{Cut, fit, width};
use crate::theme::Meaning;
use crate::timeline;
use crate::visit::Visit;

/// Below this width the numbers are written as short as can be.
const NARROW: u16 = 60;

/// Columns that the target's name and what is known of it, or the name alone, keep at least.
const TARGET: u16 = 44;
const NAME: u16 = 20;

/// Below this width only the shown screen's tab has its name.
const NAMED_TABS: u16 = 76;

pub(crate) fn draw(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let first = row(area, 0);
    let mut right = state_words(state, area.width);
    right.extend(countdown(state).map(|left| (format!("  {left} left"), Meaning::Countdown)));
    let rest = draw_right(canvas, first, &right);
    draw_target(canvas, state, rest);
    let numbers = numbers(state, area.width < NARROW);
    if area.height == 2 {
        draw_right(canvas, row(area, 1), &numbers);
    } else {
        canvas.spans(inset(row(area, 1), 1), &numbers);
    }
    draw_tabs(canvas, state, tab_row(area));
}

/// The tab at a position of the header.
pub(crate) fn tab_at(state: &State, header: Rect, position: Position) -> Option<Screen> {
    let row = tab_row(header);
    tabs(state, row.width)
        .into_iter()
        .find(|(_, x, text)| {
            let place = Rect::new(row.x.saturating_add(*x), row.y, width(text), 1);
            place.contains(position)
        })
        .map(|(screen, ..)| screen)
}

fn tab_row(header: Rect) -> Rect {
    row(header, usize::from(header.height.saturating_sub(1)))
}

/// Writes at the right, and returns what is left of the row, with a space between.
fn draw_right(canvas: &mut Canvas<'_>, row: Rect, spans: &[(String, Meaning)]) -> Rect {
    let used: u16 = spans.iter().map(|(text, _)| width(text)).sum::<u16>() + 1;
    let start = row.width.saturating_sub(used);
    canvas.spans(inset(row, start), spans);
    Rect {
        width: start.saturating_sub(1),
        ..row
    }
}

fn draw_target(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let area = inset(area, 1);
    let Some(target) = &state.functions.target else {
        let rest = canvas.text(area, "coral", Meaning::Target);
        let rest = canvas.text(rest, "  no process", Meaning::Dim);
        canvas.text(rest, &agent(state, rest.width), Meaning::Dim);
        return;
    };
    if let Some(words) = replicas::words(state) {
        return replicas::draw(canvas, area, &target.service, &words);
    }
    let pid = if area.width < 40 { "" } else { "pid " };
    // A service that is not measured yet has no process of its own.
    let pid = match target.pid {
        0 => String::new(),
        number => format!("  {pid}{number}"),
    };
    let mut facts = format!("{pid}  {}", target.language.name());
    facts += &agent(state, area.width.saturating_sub(width(&facts) + NAME));
    let room = usize::from(area.width.saturating_sub(width(&facts)));
    let name = fit(&target.service, room, Cut::End, canvas.glyphs);
    let rest = canvas.text(area, &name, Meaning::Target);
    canvas.text(rest, &facts, Meaning::Dim);
}

/// Where the target is, if that is with an agent and there is room for it.
fn agent(state: &State, room: u16) -> String {
    // Where the way to it is spoken of, it is named there.
    let peer = state.peer().filter(|_| !state.is_cut_off());
    let text = peer.map_or_else(String::new, |peer| {
        format!("  {} {}", peer.kind(), escape(peer.address()))
    });
    if width(&text) <= room {
        text
    } else {
        String::new()
    }
}

/// The state in words: that of the link first, where nothing comes over it.
fn state_words(state: &State, columns: u16) -> Vec<(String, Meaning)> {
    let link = link_words(state, columns).map(|words| (words, Meaning::Warning));
    let is_elsewhere = state.visit.is_some()
        || state.measurements.opened().is_some()
        || time_word(state).is_some();
    match link {
        Some(link) if is_elsewhere => vec![link, ("  ".into(), Meaning::Rule), state_word(state)],
        Some(link) => vec![link],
        None => vec![state_word(state)],
    }
}

/// How the way to the agent is, as far as there is room to say it, unless it is as it should be.
fn link_words(state: &State, columns: u16) -> Option<String> {
    let peer = state.peer()?;
    let (kind, address) = (peer.kind(), escape(peer.address()));
    let words = state.link.words(state.now)?;
    let short = words.split(',').next().unwrap_or_default();
    let texts = [
        format!("{kind} {address}: {words}"),
        format!("{kind}: {words}"),
        format!("{kind}: {short}"),
    ];
    let fits = |text: &String| width(text) + TARGET <= columns;
    let shortest = || {
        let is_down = state.link.is_down();
        if is_down {
            format!("{kind} down")
        } else {
            "connecting".into()
        }
    };
    Some(texts.into_iter().find(fits).unwrap_or_else(shortest))
}

/// The state as a word, never as a colour alone.
fn state_word(state: &State) -> (String, Meaning) {
    let glyphs = &state.options.glyphs;
    if let Some(visit) = &state.visit {
        return visit_word(state, visit);
    }
    if state.measurements.opened().is_some() {
        return ("PAST SESSION".into(), Meaning::Replay);
    }
    if let Some(word) = time_word(state) {
        return (word, Meaning::Replay);
    }
    match &state.phase {
        Phase::NoTarget => return ("NO TARGET".into(), Meaning::Dim),
        Phase::Opening { what } => {
            let what = match what {
                None => String::new(),
                Some(OpenTarget::Process(pid)) => format!(" {pid}"),
                Some(OpenTarget::Service(name)) => {
                    format!(" {}", fit(name, usize::from(NAME), Cut::Middle, glyphs))
                }
            };
            return (format!("OPENING{what}{}", glyphs.ellipsis), Meaning::Busy);
        }
        Phase::Exited => return ("TARGET EXITED".into(), Meaning::Ended),
        Phase::Open => {}
    }
    if !state.attaching.is_empty() {
        return (format!("ATTACHING{}", glyphs.ellipsis), Meaning::Busy);
    }
    let Some(session) = state.measurements.current() else {
        return ("READY".into(), Meaning::Busy);
    };
    match (session.snapshot.session.state, state.stale_for(session)) {
        (SessionState::Ended(reason), _) => (format!("ENDED {}", reason.name()), Meaning::Ended),
        (SessionState::Active, Some(age)) => {
            (format!("STALE for {} s", age.as_secs()), Meaning::Warning)
        }
        (SessionState::Active, None) => (format!("{} LIVE", glyphs.probed), Meaning::Live),
    }
}

/// That the session is not this console's own: one of the past, or somebody's who measures now.
fn visit_word(state: &State, visit: &Visit) -> (String, Meaning) {
    let time = time_word(state).map_or_else(String::new, |word| format!(" {word}"));
    if visit.is_past {
        return (format!("PAST SESSION{time}"), Meaning::Replay);
    }
    let glyphs = &state.options.glyphs;
    let who = fit(&visit.requested_by, usize::from(NAME), Cut::End, glyphs);
    let is_active = state.is_live();
    let word = if is_active { "LIVE" } else { "ENDED" };
    (format!("WATCHING {who}: {word}{time}"), Meaning::Replay)
}

/// Where in time the screens are, unless that is now.
fn time_word(state: &State) -> Option<String> {
    let timeline = &state.timeline;
    let at = timeline.at(state.now);
    let is_paused = matches!(timeline.position(), timeline::Position::Paused { .. });
    if state.options.replay {
        let place = |at: Duration| clock(at.saturating_sub(timeline.start()));
        let paused = if is_paused { "PAUSED " } else { "" };
        return Some(format!(
            "REPLAY {paused}{}/{}",
            place(at),
            place(timeline.end())
        ));
    }
    is_paused.then(|| {
        let no_data = if timeline.is_in_gap(state.now) {
            " NO DATA"
        } else {
            ""
        };
        let back = clock(timeline.end().saturating_sub(at));
        format!("PAUSED -{back}{no_data}")
    })
}

/// How long the lease that ends first still runs.
fn countdown(state: &State) -> Option<String> {
    let left = state
        .measurements
        .active()
        .map(|session| session.remaining(state.now))
        .min()?;
    (!state.options.replay).then(|| clock(left))
}

/// `01:05`, rounded up: `00:00` is over.
pub(super) fn clock(duration: Duration) -> String {
    let seconds = duration.as_millis().div_ceil(1_000);
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// Hits, losses, probes and cost of the live sessions, or of the last one.
fn numbers(state: &State, narrow: bool) -> Vec<(String, Meaning)> {
    let glyphs = &state.options.glyphs;
    let separator = glyphs.vertical;
    let sessions: Vec<_> = match state.measurements.active().next() {
        Some(_) => state.measurements.active().collect(),
        None => state.measurements.current().into_iter().collect(),
    };
    if sessions.is_empty() {
        let none = glyphs.not_measured;
        return vec![(
            format!(
                "{none} hits/s {separator} {none} lost {separator} no probes {separator} no cost"
            ),
            Meaning::NotMeasured,
        )];
    }
    let sum = |value: fn(&crate::measurements::Session) -> f64| {
        sessions.iter().map(|session| value(session)).sum::<f64>()
    };
    let hits_per_s = sum(|session| session.snapshot.overhead.hits_per_s);
    let lost = sum(|session| session.lost() as f64);
    let probes = sum(|session| f64::from(session.snapshot.session.probes));
    let cost = sessions
        .iter()
        .map(|session| session.snapshot.overhead.cpu_percent)
        .sum::<Option<f64>>();
    let live = sessions.iter().any(|session| session.is_active());
    let losses = if lost > 0.0 {
        // Counts hold all calls; what is missing are single calls, or durations.
        let durations = sum(|session| session.snapshot.accounting.map_full as f64);
        let what = match (narrow, durations > 0.0) {
            (true, _) => "LOST",
            (false, true) => "LOST",
            (false, false) => "records LOST",
        };
        (format!("{} {what}", format_count(lost)), Meaning::Warning)
    } else {
        ("0 lost".into(), Meaning::Number)
    };
    let between = || match narrow {
        true => ("  ".to_owned(), Meaning::Rule),
        false => (format!(" {separator} "), Meaning::Rule),
    };
    let were = if live || narrow { "" } else { "were " };
    let per_second = if narrow { "/s" } else { " hits/s" };
    let is_stale = sessions
        .iter()
        .any(|session| state.stale_for(session).is_some());
    let mut numbers = Vec::new();
    if is_stale {
        numbers.push(("stale: ".to_owned(), Meaning::Warning));
    }
    numbers.extend([
        (
            format!("{}{per_second}", format_count(hits_per_s)),
            Meaning::Number,
        ),
        between(),
        losses,
        between(),
        (
            format!("{were}{} probes", format_count(probes)),
            Meaning::Number,
        ),
        between(),
        match cost {
            Some(percent) if narrow => (format!("{percent:.1} %"), Meaning::Number),
            Some(percent) => (format!("{percent:.1} % of a core"), Meaning::Number),
            None if narrow => ("cost ?".into(), Meaning::Dim),
            None => ("cost not calibrated".into(), Meaning::Dim),
        },
    ]);
    numbers
}

fn draw_tabs(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    for (screen, x, text) in tabs(state, area.width) {
        let meaning = if screen == state.screen {
            Meaning::TabActive
        } else if text.ends_with('!') {
            Meaning::Warning
        } else {
            Meaning::Tab
        };
        canvas.text(inset(area, x), &text, meaning);
    }
}

/// The tabs, where each begins, and what it says.
fn tabs(state: &State, width_available: u16) -> Vec<(Screen, u16, String)> {
    let mut x = 1;
    let mut tabs = Vec::new();
    for &screen in state.screens() {
        let key = state.key(tab_command(screen));
        let mut text = if screen == state.screen || width_available >= NAMED_TABS {
            format!("{key} {}", state.name_of_tab(screen))
        } else {
            key
        };
        let unseen = state.notices.unseen();
        if screen == Screen::Events && state.screen != Screen::Events && unseen > 0 {
            text += &format!(" {unseen}!");
        }
        let next = x + width(&text) + 2;
        tabs.push((screen, x, text));
        x = next;
    }
    tabs
}

fn tab_command(screen: Screen) -> Command {
    match screen {
        Screen::Processes => Command::ShowProcesses,
        Screen::Functions => Command::ShowFunctions,
        Screen::Latency => Command::ShowLatencyScreen,
        Screen::Calls => Command::ShowCalls,
        Screen::Sessions => Command::ShowSessions,
        Screen::Events => Command::ShowEvents,
        Screen::Sql => Command::ShowSql,
    }
}
