//! The services of a colony with their replicas, and its agents.

use std::time::Duration;

use coral_model::{AgentSummary, ProcessSummary, Service, ServiceReplica, format_bytes};
use ratatui::layout::Rect;

use crate::canvas::{Canvas, inset, row};
use crate::commands::Command;
use crate::draw::filter_line;
use crate::draw::functions::cut_off;
use crate::layout::ListPane;
use crate::services::{ServiceRow, trouble_of};
use crate::state::State;
use crate::table::{self, Column, Columns, MARGIN, draw_empty, draw_rows, number, word};
use crate::text::{Cut, fit, plural, width};
use crate::theme::Meaning;

/// A build-id is told from the others by so many characters.
const BUILD: usize = 8;

/// What the columns of words need at least.
const NAME_MIN: u16 = 14;
const STATE_MIN: u16 = 24;

type Spans = Vec<(String, Meaning)>;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Pid,
    State,
    Build,
    Language,
    Memory,
    Ports,
    Container,
    User,
}

pub(super) fn draw(canvas: &mut Canvas<'_>, state: &State, body: Rect) {
    let pane = ListPane::services(state, body);
    let list = &state.services;
    draw_title(canvas, state, pane.title);
    let services = list
        .rows()
        .iter()
        .filter(|row| matches!(row, ServiceRow::Service { .. }));
    let found = format!("{} match ", services.count());
    filter_line::draw(canvas, &list.filter, pane.filter, &found);
    if list.rows().is_empty() {
        let (message, help) = empty(state);
        return draw_empty(canvas, pane.rows, &message, &help);
    }
    let columns = columns(body.width);
    columns.draw_head(canvas, pane.head, "service");
    let rows = list.rows();
    draw_rows(
        canvas,
        pane.rows,
        &list.selection,
        rows.len(),
        |canvas, index, place| match rows[index] {
            ServiceRow::Service { service, is_open } => {
                draw_service(
                    canvas,
                    state,
                    &columns,
                    place,
                    &list.services()[service],
                    is_open,
                );
            }
            ServiceRow::Replica {
                service,
                replica,
                is_last,
            } => {
                let replica = &list.services()[service].replicas[replica];
                draw_replica(canvas, state, &columns, place, replica, is_last);
            }
            ServiceRow::Agents { is_open } => draw_agents(canvas, state, &columns, place, is_open),
            ServiceRow::Agent { agent, is_last } => {
                draw_agent(
                    canvas,
                    state,
                    &columns,
                    place,
                    &list.agents()[agent],
                    is_last,
                );
            }
        },
    );
    draw_detail(canvas, state, pane.detail);
}

fn draw_title(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let list = &state.services;
    let replicas: usize = list
        .services()
        .iter()
        .map(|service| service.replicas.len())
        .sum();
    let counts = format!(
        "  {} with {}",
        list.services().len(),
        plural(replicas, "replica"),
    );
    let sort = format!("sort: {}", list.sort.name());
    let left = [
        ("Services", Meaning::Title),
        (counts.as_str(), Meaning::Dim),
    ];
    canvas.title(area, &left, &[(sort, Meaning::Dim)]);
}

fn empty(state: &State) -> (String, String) {
    let list = &state.services;
    if list.listed_at.is_none() {
        if state.is_cut_off() {
            return cut_off(state);
        }
        return ("Listing services".into(), "This takes a moment.".into());
    }
    if list.filter.is_active() {
        let help = format!("Press {} to clear it.", state.key(Command::Back));
        return ("No service matches the filter.".into(), help);
    }
    (
        "No agent has connected to this colony yet.".into(),
        "An agent connects with `colony:` in its configuration (`coral agent --config`).".into(),
    )
}

fn columns(width: u16) -> Columns<Kind> {
    let rest = [
        word(Kind::Build, "build", BUILD as u16),
        word(Kind::Language, "language", 8),
        number(Kind::Memory, "memory", 8),
        word(Kind::Ports, "ports", 12),
        word(Kind::Container, "container", 12),
        word(Kind::User, "user", 10),
    ];
    let pid = number(Kind::Pid, "pid", 8);
    let (name_min, state_min) = (NAME_MIN.max(width / 5), STATE_MIN.max(width / 4));
    let all = [&[pid, word(Kind::State, "state", state_min)][..], &rest].concat();
    let mut fitting = Columns::fit(width, name_min, &all);
    // Reasons are long: they get what no other column needs.
    let spare = fitting.first_width.saturating_sub(name_min);
    if let Some(state) = fitting
        .others
        .iter_mut()
        .find(|column| column.kind == Kind::State)
    {
        state.width += spare;
        fitting.first_width -= spare;
    }
    fitting
}

fn draw_service(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    service: &Service,
    is_open: bool,
) {
    let troubled = service
        .replicas
        .iter()
        .filter(|it| state.services.trouble(it).is_some())
        .count();
    let meaning = match troubled == service.replicas.len() {
        true => Meaning::Dim,
        false => Meaning::Text,
    };
    draw_fold(canvas, place, is_open);
    canvas.foreign(columns.first(place), &service.name, Cut::End, meaning);
    let place = words_place(columns, place);
    let words = service_words(service, troubled);
    let columns = |spans: &Spans| spans.iter().map(|(text, _)| width(text)).sum::<u16>();
    let fitting = words.iter().find(|spans| columns(spans) <= place.width);
    if let Some(spans) = fitting.or(words.last()) {
        canvas.spans(place, spans);
    }
}

/// How the replicas of a service are, in as many words as there may be room for, the most first.
fn service_words(service: &Service, troubled: usize) -> [Spans; 2] {
    let replicas = plural(service.replicas.len(), "replica");
    let agents = plural(service.agent_count(), "agent");
    let builds = match service.build_count() {
        0 | 1 => String::new(),
        builds => format!(", {builds} builds"),
    };
    let words = |known: String, trouble: &str| {
        let mut spans = vec![(known + &builds, Meaning::Number)];
        if troubled > 0 {
            spans.push((format!(", {troubled} {trouble}"), Meaning::Warning));
        }
        spans
    };
    [
        words(format!("{replicas} on {agents}"), "cannot be probed"),
        words(replicas, "troubled"),
    ]
}

/// Where a row that is no process says how it is: from the column of states on.
fn words_place(columns: &Columns<Kind>, place: Rect) -> Rect {
    let state = columns
        .places(place)
        .find(|(column, _)| column.kind == Kind::State);
    state.map_or_else(Rect::default, |(_, cell)| Rect {
        width: place.right().saturating_sub(cell.x),
        ..cell
    })
}

/// Whether a row is folded, as a sign of its own shape.
fn draw_fold(canvas: &mut Canvas<'_>, place: Rect, is_open: bool) {
    let glyphs = canvas.glyphs;
    let sign = if is_open { glyphs.open } else { glyphs.folded };
    canvas.text(inset(place, 1), sign, Meaning::Rule);
}

/// Writes the line that leads to a row below another one; returns what is left for its name.
fn draw_branch(canvas: &mut Canvas<'_>, place: Rect, is_last: bool) -> Rect {
    let glyphs = canvas.glyphs;
    let branch = if is_last {
        glyphs.last_branch
    } else {
        glyphs.branch
    };
    let rest = canvas.text(place, branch, Meaning::Rule);
    inset(rest, 1)
}

fn draw_replica(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    replica: &ServiceReplica,
    is_last: bool,
) {
    let trouble = state.services.trouble(replica);
    if trouble.is_some() {
        canvas.text(inset(place, 1), canvas.glyphs.unprobeable, Meaning::Error);
    }
    let (name, text) = match trouble {
        None => (Meaning::Text, Meaning::Number),
        Some(_) => (Meaning::Dim, Meaning::Dim),
    };
    let rest = draw_branch(canvas, columns.first(place), is_last);
    canvas.foreign(rest, &replica.agent_id, Cut::Middle, name);
    for (column, cell) in columns.places(place) {
        match (column.kind, &trouble) {
            (Kind::State, Some(trouble)) => {
                canvas.foreign(cell, trouble, Cut::End, Meaning::Warning);
            }
            (Kind::State, None) => {
                canvas.text(cell, "can be probed", Meaning::Dim);
            }
            (Kind::Build, _) => {
                let build = replica.build_id.as_deref().unwrap_or_default();
                let short = build.get(..BUILD).unwrap_or(build);
                canvas.foreign(cell, short, Cut::End, Meaning::Dim);
            }
            _ => draw_value(canvas, column, cell, &replica.process, text),
        }
    }
}

fn draw_value(
    canvas: &mut Canvas<'_>,
    column: Column<Kind>,
    cell: Rect,
    process: &ProcessSummary,
    meaning: Meaning,
) {
    let value = match column.kind {
        Kind::Pid => process.pid.to_string(),
        Kind::Language => process
            .language
            .map_or("", |language| language.name())
            .into(),
        Kind::Memory => format_bytes(process.resident_bytes),
        Kind::Ports => {
            let ports: Vec<String> = process.ports.iter().take(9).map(u16::to_string).collect();
            ports.join(" ")
        }
        Kind::Container => process.container.clone().unwrap_or_default(),
        Kind::User => process.user.clone(),
        Kind::State | Kind::Build => return,
    };
    let fitted = fit(&value, usize::from(cell.width), Cut::End, canvas.glyphs);
    table::write(canvas, cell, &fitted, column.right, meaning);
}

/// The head of the agents: how many there are, and how many of them are of no use now.
fn draw_agents(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    is_open: bool,
) {
    let agents = state.services.agents();
    let cut_off = agents.iter().filter(|agent| !agent.is_connected).count();
    let cannot = agents
        .iter()
        .filter(|agent| agent.is_connected && !agent.can_debug)
        .count();
    draw_fold(canvas, place, is_open);
    canvas.text(columns.first(place), "agents", Meaning::Title);
    let mut spans = vec![(plural(agents.len(), "agent"), Meaning::Number)];
    for (count, what) in [(cut_off, "cut off"), (cannot, "cannot probe")] {
        if count > 0 {
            spans.push((format!(", {count} {what}"), Meaning::Warning));
        }
    }
    canvas.spans(words_place(columns, place), &spans);
}

fn draw_agent(
    canvas: &mut Canvas<'_>,
    state: &State,
    columns: &Columns<Kind>,
    place: Rect,
    agent: &AgentSummary,
    is_last: bool,
) {
    let is_usable = trouble_of(agent).is_none();
    let (marker, marked, name) = match (agent.is_connected, is_usable) {
        (false, _) => (canvas.glyphs.ended, Meaning::Warning, Meaning::Dim),
        (true, false) => (canvas.glyphs.unprobeable, Meaning::Error, Meaning::Dim),
        (true, true) => (canvas.glyphs.probed, Meaning::Live, Meaning::Text),
    };
    canvas.text(inset(place, 1), marker, marked);
    let rest = draw_branch(canvas, columns.first(place), is_last);
    canvas.foreign(rest, &agent.agent_id, Cut::Middle, name);
    let (text, meaning) = agent_state(state, agent);
    let place = words_place(columns, place);
    canvas.foreign(place, &text, Cut::End, meaning);
}

/// How an agent is, in words.
fn agent_state(state: &State, agent: &AgentSummary) -> (String, Meaning) {
    if !agent.is_connected {
        let since = heard_ago(state, agent);
        let since = since.map_or_else(String::new, |ago| format!(", heard of {} ago", age(ago)));
        return (format!("cut off{since}"), Meaning::Warning);
    }
    match &agent.lacks {
        _ if agent.can_debug => {
            let sessions = plural(agent.sessions as usize, "session");
            (format!("can probe, {sessions}"), Meaning::Dim)
        }
        Some(lacks) => (format!("cannot probe: {lacks}"), Meaning::Error),
        None => ("cannot probe".into(), Meaning::Error),
    }
}

/// How long ago an agent was heard of by now.
fn heard_ago(state: &State, agent: &AgentSummary) -> Option<Duration> {
    let listed_at = state.services.listed_at?;
    Some(agent.heard_ago? + state.now.saturating_sub(listed_at))
}

/// `41 s`, `7 min`, `3 h`, `2 d`.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// What is selected in full: what it is, and what to do about it.
fn draw_detail(canvas: &mut Canvas<'_>, state: &State, area: Rect) {
    let list = &state.services;
    let area = inset(area, MARGIN);
    let opens = format!("{} reads its functions", state.key(Command::OpenService));
    let (fact, help, meaning) = match list.selected() {
        Some(ServiceRow::Service { service, .. }) => {
            let service = &list.services()[service];
            (format!("known by {}", service.source), opens, Meaning::Dim)
        }
        Some(ServiceRow::Replica {
            service, replica, ..
        }) => {
            let replica = &list.services()[service].replicas[replica];
            let command = replica.process.command.clone();
            match list.trouble(replica) {
                Some(trouble) => (
                    command,
                    format!("cannot be probed: {trouble}"),
                    Meaning::Warning,
                ),
                None => (command, opens, Meaning::Dim),
            }
        }
        Some(ServiceRow::Agent { agent, .. }) => {
            let agent = &list.agents()[agent];
            let fact = format!(
                "{}  coral {}  kernel {}",
                agent.host, agent.version, agent.kernel
            );
            (
                fact,
                agent.help.clone().unwrap_or_default(),
                Meaning::Warning,
            )
        }
        Some(ServiceRow::Agents { .. }) | None => return,
    };
    canvas.foreign(row(area, 0), &fact, Cut::End, Meaning::Dim);
    canvas.foreign(row(area, 1), &help, Cut::End, meaning);
}
