//! What every event does to the state. Synchronous, total, and without I/O: what has to be done
//! outside is returned as effects.

mod attach;
mod calls;
mod code;
mod find;
mod frames;
mod latency;
mod link;
mod mouse;
mod navigate;
mod probes;
mod replicas;
mod services;
mod source;
mod sql;
mod time;
mod views;
mod visit;

use std::time::Duration;

use coral_model::FunctionId;
use crossterm::event::{KeyEvent, KeyEventKind};
use ratatui::layout::Rect;

use crate::command_line;
use crate::commands::{Command, Scope};
use crate::event::{Effect, Event, Level, OpenTarget};
use crate::export;
use crate::functions::ColumnSet;
use crate::key::Key;
use crate::state::{Overlay, Phase, Screen, State};
use crate::typed_filter;
pub(crate) use find::places;
pub(crate) use probes::{cost_words, expected_cost};

/// While the picker is on the screen, processes are listed again this often.
const PROCESSES_EVERY: Duration = Duration::from_secs(2);

/// While the sessions are on the screen, those of others are listed again this often.
const HISTORY_EVERY: Duration = Duration::from_secs(5);

/// How long a frame of what turns is shown, in milliseconds.
pub(crate) const SPINNER_MS: u128 = 250;

/// Lines that source scrolls by.
const SOURCE_LINES: i32 = 5;

/// Lines that the help scrolls by.
const HELP_LINES: i16 = 3;

/// Rows that a page key moves by in what is found.
const FIND_PAGE: isize = 10;

/// Takes an event in, and returns what is to be done because of it.
pub fn update(state: &mut State, event: Event) -> Vec<Effect> {
    // A tick changes what is drawn only sometimes, and says so itself.
    state.dirty |= !matches!(event, Event::Tick { .. });
    let visited = state.visited();
    let mut effects = take(state, event);
    if let Some(session) = visited.filter(|id| Some(id) != state.visited().as_ref()) {
        effects.push(Effect::CloseSession { session });
    }
    crate::latency::refresh(state);
    match state.screen {
        Screen::Events => state.notices.seen(),
        Screen::Calls => calls::follow(state),
        Screen::Functions | Screen::Latency => state.follow_replicas(),
        _ => {}
    }
    effects
}

fn take(state: &mut State, event: Event) -> Vec<Effect> {
    match event {
        Event::Key(key) => on_key(state, key),
        Event::Mouse(event) => mouse::mouse(state, event),
        Event::Paste(text) => {
            paste(state, &text);
            Vec::new()
        }
        Event::Resize { columns, rows } => {
            state.area = Rect::new(0, 0, columns, rows);
            Vec::new()
        }
        Event::Source(event) => source::report(state, event),
        Event::Tick { now } => tick(state, now),
    }
}

fn tick(state: &mut State, now: Duration) -> Vec<Effect> {
    let second_has_passed = state.now.as_secs() != now.as_secs();
    let before = state.now;
    state.now = now;
    time::tick(state, before);
    if let Some(running) = &state.sql.running {
        let frame = |at: Duration| at.saturating_sub(running.since).as_millis() / SPINNER_MS;
        state.dirty |= state.screen == Screen::Sql && frame(before) != frame(now);
    }
    state.dirty |= second_has_passed | state.notices.expire(now) | state.functions.has_work();
    state.functions.work(&state.measurements);
    state.dirty |= state.functions.follow_numbers(&state.measurements, now);
    find::work(state);
    attach::work(state);
    let is_due = |asked_at: Option<Duration>, every| {
        asked_at.is_none_or(|asked_at| now.saturating_sub(asked_at) >= every)
    };
    if state.screen == Screen::Sessions && is_due(state.sessions.asked_at, HISTORY_EVERY) {
        return visit::list(state);
    }
    if state.screen != Screen::Processes || state.options.replay {
        return Vec::new();
    }
    if !is_due(state.processes_asked_at, PROCESSES_EVERY) {
        return Vec::new();
    }
    state.processes_asked_at = Some(now);
    vec![Effect::ListProcesses]
}

fn on_key(state: &mut State, event: KeyEvent) -> Vec<Effect> {
    if event.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let scope = state.scope();
    match state.options.keymap.command(scope, Key::from(event)) {
        Some(Command::FormChange | Command::FormChangeBack) if attach::takes_text(state) => {
            attach::type_key(state, event);
            Vec::new()
        }
        Some(command) => run(state, command),
        None if scope == Scope::Form => {
            attach::type_key(state, event);
            Vec::new()
        }
        None if scope == Scope::Filter => {
            if filter_input(state).type_key(event) {
                filter_changed(state);
            }
            Vec::new()
        }
        None if scope == Scope::Query => {
            state.sql.input.type_key(event);
            Vec::new()
        }
        None if scope == Scope::Find => {
            find::edit(state, |input| input.type_key(event));
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// Does what a command says.
fn run(state: &mut State, command: Command) -> Vec<Effect> {
    if visit::is_not_for(state, command) {
        return visit::refuse(state);
    }
    if matches!(command, Command::Open | Command::OpenService) {
        // What is opened takes the place of what was open here.
        state.leave();
    }
    if command.concerns_probes() {
        // What is done now is done to what is now.
        time::live(state);
    }
    match command {
        Command::QuitNow => return vec![Effect::Quit],
        Command::Quit => return quit(state),
        Command::Suspend => return vec![Effect::Suspend],
        Command::Open => return probes::open(state),
        Command::OpenService => return services::open(state),
        Command::Refresh => return vec![Effect::ListProcesses],
        Command::OpenSession => return visit::open(state),
        Command::Repeat => return probes::repeat(state),
        Command::ToggleProbe => return probes::toggle(state),
        Command::AttachMatching => return probes::attach_matching(state),
        Command::AttachWithOptions => return attach::open(state),
        Command::SessionFilter => return attach::open_filter(state),
        Command::Undo => return probes::undo(state),
        Command::FormAccept => return attach::accept(state),
        Command::FormNext => attach::move_by(state, 1),
        Command::FormPrevious => attach::move_by(state, -1),
        Command::FormChange => return attach::change(state, true),
        Command::FormChangeBack => return attach::change(state, false),
        Command::Confirm => return probes::confirm(state),
        Command::Extend => return probes::extend(state),
        Command::DetachAll => return probes::detach_all(state),
        Command::Pause => time::pause(state),
        Command::StepBack => time::step(state, -1),
        Command::StepForward => time::step(state, 1),
        Command::JumpBack => time::jump(state, false),
        Command::JumpForward => time::jump(state, true),
        Command::Live => time::live(state),
        Command::Mark => time::mark(state),
        Command::ShowSource => return code::show(state),
        Command::EditSource => return code::edit(state),
        Command::SourceDown => code::scroll(state, SOURCE_LINES),
        Command::SourceUp => code::scroll(state, -SOURCE_LINES),
        Command::ShowReplicas => replicas::show(state),
        Command::OpenReplica => replicas::open(state),
        Command::Copy => return copy(state),
        Command::ExportView => return export_view(state),
        Command::ExportSession => return export_session(state),
        Command::Down if latency::has_cursor(state) => latency::move_cursor(state, 0, -1),
        Command::Up if latency::has_cursor(state) => latency::move_cursor(state, 0, 1),
        Command::Down | Command::FilterDown => navigate::move_by(state, 1),
        Command::Up | Command::FilterUp => navigate::move_by(state, -1),
        Command::PageDown => navigate::move_pages(state, 1),
        Command::PageUp => navigate::move_pages(state, -1),
        Command::Top => navigate::go_to_top(state),
        Command::Bottom => navigate::move_by(state, isize::MAX),
        Command::Filter => filter_input(state).editing = true,
        Command::FilterAccept => filter_input(state).editing = false,
        Command::FilterCancel => clear_filter(state),
        Command::FilterComplete => complete_field(state),
        Command::NextMatch => navigate::go_to_match(state, true),
        Command::PreviousMatch => navigate::go_to_match(state, false),
        Command::Sort => sort(state),
        Command::ReverseSort => {
            let (sort, reversed) = (state.functions.sort(), state.functions.is_reversed());
            state
                .functions
                .sort_by(sort, !reversed, &state.measurements);
        }
        Command::Columns => {
            state.functions.columns = match state.functions.columns {
                ColumnSet::Measured => ColumnSet::Code,
                ColumnSet::Code => ColumnSet::Measured,
            };
        }
        Command::PinProbed => state.functions.toggle_pinned(&state.measurements),
        Command::LogScale => latency::toggle_scale(state),
        Command::NextView => next_view(state, true),
        Command::PreviousView => next_view(state, false),
        Command::Left => sideways(state, false),
        Command::Right => sideways(state, true),
        Command::SelectArea => latency::select_area(state),
        Command::AcceptArea => latency::accept_area(state),
        Command::Compare => latency::compare(state),
        Command::Choose => calls::choose(state),
        Command::OpenBelow => calls::open_below(state),
        Command::Zoom => calls::zoom(state),
        Command::ZoomOut => calls::zoom_out(state),
        Command::ShowProcesses => return show(state, Screen::Processes),
        Command::ShowFunctions => return show(state, Screen::Functions),
        Command::ShowLatency | Command::ShowLatencyScreen => return show(state, Screen::Latency),
        Command::ShowCalls => return show(state, Screen::Calls),
        Command::ShowSessions => return show(state, Screen::Sessions),
        Command::ShowEvents => return show(state, Screen::Events),
        Command::ShowSql => return sql::show(state),
        Command::EditQuery => state.sql.input.editing = true,
        Command::RunQuery => return sql::run(state),
        Command::CancelQuery => return sql::cancel(state),
        Command::LeaveQuery => return sql::leave_line(state),
        Command::CompleteQuery => sql::complete(state),
        Command::EarlierQuery => state.sql.recall(true),
        Command::LaterQuery => state.sql.recall(false),
        Command::NextScreen => return show(state, state.neighbour(true)),
        Command::PreviousScreen => return show(state, state.neighbour(false)),
        Command::Help => state.overlay = Some(Overlay::Help { scroll: 0 }),
        Command::HelpDown => scroll_help(state, HELP_LINES),
        Command::HelpUp => scroll_help(state, -HELP_LINES),
        Command::HelpClose
        | Command::SourceClose
        | Command::Cancel
        | Command::FormCancel
        | Command::FindCancel => {
            state.overlay = None;
        }
        Command::Palette => find::open_palette(state),
        Command::GoToFunction => find::open_functions(state),
        Command::Views => views::open(state),
        Command::SaveView => views::ask_name(state),
        Command::FindAccept => return find::accept(state),
        Command::FindDown => find::move_by(state, 1),
        Command::FindUp => find::move_by(state, -1),
        Command::FindPageDown => find::move_by(state, FIND_PAGE),
        Command::FindPageUp => find::move_by(state, -FIND_PAGE),
        Command::Back => return back(state),
    }
    Vec::new()
}

/// Brings a screen to the front.
fn show(state: &mut State, screen: Screen) -> Vec<Effect> {
    if screen == Screen::Sql {
        return sql::show(state);
    }
    state.screen = screen;
    if screen == Screen::Sessions {
        return visit::list(state);
    }
    if screen != Screen::Processes || state.options.replay {
        return Vec::new();
    }
    state.processes_asked_at = Some(state.now);
    vec![Effect::ListProcesses]
}

/// Shows the next view of the screen in front, or the one before.
fn next_view(state: &mut State, forward: bool) {
    match state.screen {
        Screen::Calls => {
            let views = crate::calls::View::ALL.len();
            calls::show_view(state, if forward { 1 } else { views - 1 });
        }
        _ => {
            let has_replicas = state.has_replicas();
            let view = state.latency.view.neighbour(forward, has_replicas);
            latency::show_view(state, view);
        }
    }
}

fn sideways(state: &mut State, right: bool) {
    match state.screen {
        Screen::Sql => state.sql.sideways(right),
        Screen::Processes => services::sideways(state, right),
        Screen::Calls => calls::sideways(state, right),
        _ => latency::move_cursor(state, if right { 1 } else { -1 }, 0),
    }
}

/// The screen that the others lead back to.
fn home(state: &State) -> Screen {
    if state.phase == Phase::NoTarget {
        Screen::Processes
    } else {
        Screen::Functions
    }
}

fn quit(state: &mut State) -> Vec<Effect> {
    if matches!(state.screen, Screen::Processes | Screen::Functions) {
        if state.leave() {
            return Vec::new();
        }
        return vec![Effect::Quit];
    }
    let home = home(state);
    show(state, home)
}

fn back(state: &mut State) -> Vec<Effect> {
    if state.screen == Screen::Sql && state.sql.running.is_some() {
        return sql::cancel(state);
    }
    let filtered = match state.screen {
        Screen::Processes if state.lists_services() => state.services.filter.is_active(),
        Screen::Processes => state.processes.filter.is_active(),
        Screen::Functions => state.functions.filter.is_active(),
        Screen::Calls => state.calls.search.is_active(),
        Screen::Latency if state.shows_replicas() => state.replicas.filter.is_active(),
        _ => false,
    };
    if state.notices.dismiss() {
        return Vec::new();
    }
    let is_taken = match state.screen {
        Screen::Latency => state.latency.clear_brush() || replicas::back(state),
        Screen::Calls => calls::back(state),
        _ => false,
    };
    if is_taken {
        return Vec::new();
    }
    if filtered {
        clear_filter(state);
        return Vec::new();
    }
    let home = home(state);
    if state.screen != home || !state.leave() {
        state.screen = home;
    }
    Vec::new()
}

/// The filter of the screen in front; elsewhere that of the functions, where it does no harm.
fn filter_input(state: &mut State) -> &mut crate::filter_input::FilterInput {
    match state.screen {
        Screen::Processes if state.lists_services() => &mut state.services.filter,
        Screen::Processes => &mut state.processes.filter,
        Screen::Calls => &mut state.calls.search,
        Screen::Latency if state.shows_replicas() => &mut state.replicas.filter,
        _ => &mut state.functions.filter,
    }
}

fn clear_filter(state: &mut State) {
    filter_input(state).clear();
    filter_changed(state);
}

fn filter_changed(state: &mut State) {
    match state.screen {
        Screen::Processes if state.lists_services() => state.services.arrange(),
        Screen::Processes => state.processes.arrange(),
        Screen::Calls => state.calls.find_matches(&state.functions.table),
        Screen::Latency if state.shows_replicas() => state.follow_replicas(),
        _ => state.functions.filter_changed(&state.measurements),
    }
}

/// Completes the name of a field of the typed filter.
fn complete_field(state: &mut State) {
    if state.screen != Screen::Functions {
        return;
    }
    let (before, _) = state.functions.filter.around_caret();
    if let Some(rest) = typed_filter::complete(&before)
        && state.functions.filter.insert(&rest)
    {
        filter_changed(state);
    }
}

fn paste(state: &mut State, text: &str) {
    match state.scope() {
        Scope::Query => {
            state.sql.input.insert(text);
        }
        Scope::Filter if filter_input(state).insert(text) => filter_changed(state),
        Scope::Find => find::edit(state, |input| input.insert(text)),
        Scope::Form => attach::paste(state, text),
        _ => {}
    }
}

fn sort(state: &mut State) {
    match state.screen {
        Screen::Processes if state.lists_services() => {
            state.services.sort = state.services.sort.next();
            state.services.arrange();
        }
        Screen::Processes => {
            state.processes.sort = state.processes.sort.next();
            state.processes.arrange();
        }
        Screen::Calls => calls::sort(state),
        Screen::Latency if state.shows_replicas() => {
            state.replicas.sort = state.replicas.sort.next();
        }
        _ => {
            let sort = state.functions.sort().next();
            state.functions.sort_by(sort, false, &state.measurements);
        }
    }
}

fn scroll_help(state: &mut State, lines: i16) {
    if let Some(Overlay::Help { scroll }) = &mut state.overlay {
        *scroll = scroll.saturating_add_signed(lines).min(200);
    }
}

fn copy(state: &mut State) -> Vec<Effect> {
    let command = match state.screen {
        Screen::Processes => {
            let listed = if state.lists_services() {
                services::selected(state).map(OpenTarget::Service)
            } else {
                let process = state.processes.selected();
                process.map(|process| OpenTarget::Process(process.pid))
            };
            listed.and_then(|what| command_line::functions_of(state.peer(), &what))
        }
        Screen::Sql => {
            let table = state.sql.result.as_ref();
            table.and_then(|table| command_line::sql(state.peer(), &table.sql))
        }
        _ => measuring_command(state),
    };
    let Some(command) = command else {
        let help = "select a function whose name needs no escaping, and press the key again";
        state.notify(
            Level::Warning,
            "There is nothing to copy a command line for",
            help,
        );
        return Vec::new();
    };
    state.notify(Level::Info, format!("Copied: {command}"), "");
    vec![Effect::Copy(command)]
}

/// The command line that measures what is probed, or else the selected function.
pub(crate) fn measuring_command(state: &State) -> Option<String> {
    let target = state.functions.target.as_ref()?;
    let mut ids = state.measurements.attached();
    if ids.is_empty() {
        ids.extend(state.functions.selection.id());
    }
    let names = ids
        .iter()
        .filter_map(|&id| state.functions.table.get(id))
        .map(|function| function.name);
    let settings = state.current_settings();
    command_line::attach(state.peer(), target, names, &settings)
}

/// The command line that attaches to what was just attached.
fn attaching_command(state: &State, functions: &[FunctionId]) -> Option<String> {
    let target = state.functions.target.as_ref()?;
    let functions = functions
        .iter()
        .filter_map(|&id| state.functions.table.get(id));
    let asked = state.last_attached.as_ref();
    let settings = asked.map_or_else(|| state.current_settings(), |asked| asked.settings.clone());
    let names = functions.map(|function| function.name);
    command_line::attach(state.peer(), target, names, &settings)
}

fn export_view(state: &mut State) -> Vec<Effect> {
    vec![Effect::ExportView(export::view(state))]
}

fn export_session(state: &mut State) -> Vec<Effect> {
    let selected = state
        .sessions
        .selection
        .id()
        .filter(|_| state.screen == Screen::Sessions)
        .and_then(|id| state.own_measurements().get(&id));
    match selected.or_else(|| state.measurements.current()) {
        Some(session) => vec![Effect::ExportSession(session.snapshot.clone())],
        None => {
            let help = format!(
                "probe a function with {} first",
                state.key(Command::ToggleProbe)
            );
            state.notify(Level::Warning, "There is no session to export yet", help);
            Vec::new()
        }
    }
}
