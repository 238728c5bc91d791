//! Everything that the console knows. Changed by [`update`](crate::update), read by
//! [`draw`](crate::draw).

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use coral_model::{ExpectedCost, FunctionId, SessionId, SessionSettings, SessionState, Snapshot};
use ratatui::layout::Rect;

use crate::attach_form::AttachForm;
use crate::calls::CallsScreen;
use crate::command_finder::CommandFinder;
use crate::commands::{Command, Scope};
use crate::event::{Attach, Effect, Level, Notice, OpenTarget};
use crate::filter_input::FilterInput;
use crate::function_finder::FunctionFinder;
use crate::functions::FunctionList;
use crate::latency::{LatencyScreen, View};
use crate::link::LinkState;
use crate::measurements::{Measurements, Session};
use crate::notices::Notices;
use crate::options::{Options, Peer, Start};
use crate::processes::ProcessList;
use crate::replicas::ReplicaList;
use crate::services::ServiceList;
use crate::session_list::SessionList;
use crate::source_view::SourceView;
use crate::sql::SqlScreen;
use crate::theme::Theme;
use crate::timeline::Timeline;
use crate::view_finder::ViewFinder;
use crate::visit::Visit;

/// What is shown between header and footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// The process picker.
    Processes,
    /// The functions, with the selected one's latency where there is room.
    Functions,
    /// The selected function's latency.
    Latency,
    /// The call tree, slow calls, and calls in flight.
    Calls,
    /// Sessions, live and ended.
    Sessions,
    /// What happened and what was refused.
    Events,
    /// Queries over the history, where the source has one.
    Sql,
}

/// All screens, in the order of their tabs.
static SCREENS: [Screen; 7] = Screen::ALL;

impl Screen {
    /// All screens, in the order of their tabs.
    pub const ALL: [Self; 7] = [
        Self::Processes,
        Self::Functions,
        Self::Latency,
        Self::Calls,
        Self::Sessions,
        Self::Events,
        Self::Sql,
    ];

    /// The name on its tab.
    pub fn name(self) -> &'static str {
        self.scope().title()
    }

    /// Where keys work while it is in front.
    pub(crate) fn scope(self) -> Scope {
        match self {
            Self::Processes => Scope::Processes,
            Self::Functions => Scope::Functions,
            Self::Latency => Scope::Latency,
            Self::Calls => Scope::Calls,
            Self::Sessions => Scope::Sessions,
            Self::Events => Scope::Events,
            Self::Sql => Scope::Sql,
        }
    }
}

/// How far the console has come with a process or a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    NoTarget,
    Opening { what: Option<OpenTarget> },
    Open,
    Exited,
}

/// What lies above the screen and takes all keys.
#[derive(Debug)]
pub(crate) enum Overlay {
    Help {
        scroll: u16,
    },
    /// The source of a function.
    Source(SourceView),
    /// Attaching to much waits for a yes.
    Question(Question),
    /// Attaching with options.
    Attach(Box<AttachForm>),
    /// Changing the filter of a session.
    SessionFilter(SessionFilter),
    /// The palette.
    Commands(CommandFinder),
    /// Going to a function.
    Functions(Box<FunctionFinder>),
    /// Views of the functions.
    Views(ViewFinder),
    /// A view's name is typed.
    SaveView(FilterInput),
}

impl Overlay {
    /// Whether it is about functions by their numbers.
    pub(crate) fn names_functions(&self) -> bool {
        matches!(
            self,
            Self::Question(_) | Self::Attach(_) | Self::Functions(_)
        )
    }
}

/// What is asked before it is done.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) attach: Attach,
    /// What it would cost, where that is over the budget.
    pub(crate) expected: Option<ExpectedCost>,
    /// When it was asked.
    pub(crate) asked_at: Duration,
}

/// The filter of a session while it is changed.
#[derive(Debug)]
pub(crate) struct SessionFilter {
    pub(crate) session: SessionId,
    pub(crate) input: FilterInput,
    /// What was wrong when it was to be used.
    pub(crate) error: Option<String>,
}

/// The console's state.
#[derive(Debug)]
pub struct State {
    pub(crate) options: Options,
    /// The theme in the terminal's colours.
    pub(crate) theme: Theme,
    pub(crate) now: Duration,
    pub(crate) area: Rect,
    pub(crate) screen: Screen,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) phase: Phase,
    /// What was opened last.
    pub(crate) opened: Option<OpenTarget>,
    /// How many functions of the process that is being opened have come, and of how many.
    pub(crate) reading: Option<(u64, u64)>,
    /// The way to the agent, where that is another program.
    pub(crate) link: LinkState,
    pub(crate) processes: ProcessList,
    /// What a colony has listed instead of processes.
    pub(crate) services: ServiceList,
    /// When the processes were asked for, while there is no answer yet.
    pub(crate) processes_asked_at: Option<Duration>,
    pub(crate) functions: FunctionList,
    /// Functions that are being attached to.
    pub(crate) attaching: HashSet<FunctionId>,
    /// What was attached to last.
    pub(crate) last_attached: Option<Attach>,
    /// What was detached last, to be attached again.
    pub(crate) detached: Vec<Attach>,
    /// What is shown: the newest numbers, or those of the time that the timeline stands at.
    pub(crate) measurements: Measurements,
    pub(crate) timeline: Timeline,
    pub(crate) latency: LatencyScreen,
    pub(crate) replicas: ReplicaList,
    pub(crate) calls: CallsScreen,
    pub(crate) sessions: SessionList,
    /// The session that is on the screens, if it was not started here.
    pub(crate) visit: Option<Visit>,
    pub(crate) notices: Notices,
    pub(crate) sql: SqlScreen,
    pub(crate) log_scale: bool,
    pub(crate) dirty: bool,
}

impl State {
    /// The state to start with, and what to do first.
    pub fn new(options: Options) -> (Self, Vec<Effect>) {
        let opened = match &options.start {
            Start::Picker | Start::Source => None,
            Start::Process(pid) => Some(OpenTarget::Process(*pid)),
            Start::Service(name) => Some(OpenTarget::Service(name.clone())),
        };
        let (screen, phase, effect) = match (&options.start, &opened) {
            (Start::Picker, _) => (
                Screen::Processes,
                Phase::NoTarget,
                Some(Effect::ListProcesses),
            ),
            (_, what) => {
                let phase = Phase::Opening { what: what.clone() };
                (Screen::Functions, phase, what.clone().map(Effect::Open))
            }
        };
        let mut state = Self {
            theme: options.theme.clone().adapted_to(options.colors),
            now: Duration::ZERO,
            area: Rect::new(0, 0, 80, 24),
            screen,
            overlay: None,
            phase,
            opened,
            reading: None,
            link: LinkState::default(),
            processes: ProcessList::default(),
            services: ServiceList::default(),
            processes_asked_at: Some(Duration::ZERO),
            functions: FunctionList::default(),
            attaching: HashSet::new(),
            last_attached: None,
            detached: Vec::new(),
            measurements: Measurements::default(),
            timeline: Timeline::new(options.record_memory_bytes),
            latency: LatencyScreen::default(),
            replicas: ReplicaList::default(),
            calls: CallsScreen::default(),
            sessions: SessionList::default(),
            visit: None,
            notices: Notices::default(),
            sql: SqlScreen::default(),
            log_scale: false,
            dirty: true,
            options,
        };
        if let Some(reason) = state.options.reason.clone() {
            state.notify(Level::Warning, reason, "");
        }
        (state, effect.into_iter().collect())
    }

    /// From now on everything looks like this.
    pub fn set_theme(&mut self, theme: Theme) {
        self.theme = theme.adapted_to(self.options.colors);
        self.dirty = true;
    }

    /// Whether there is work that was put off to stay responsive: send another
    /// [`Event::Tick`](crate::Event::Tick) as soon as no input is waiting.
    pub fn has_work(&self) -> bool {
        let above = match &self.overlay {
            Some(Overlay::Functions(finder)) => finder.has_work(),
            Some(Overlay::Attach(form)) => form.has_work(),
            _ => false,
        };
        above || self.functions.has_work()
    }

    /// Whether the screen is out of date; drawing is up to the caller from here.
    pub fn take_redraw(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// The screen that is shown.
    pub fn screen(&self) -> Screen {
        self.screen
    }

    /// Where keys work now.
    pub(crate) fn scope(&self) -> Scope {
        let editing = match self.screen {
            Screen::Processes if self.lists_services() => self.services.filter.editing,
            Screen::Processes => self.processes.filter.editing,
            Screen::Functions => self.functions.filter.editing,
            Screen::Calls => self.calls.search.editing,
            Screen::Latency if self.shows_replicas() => self.replicas.filter.editing,
            _ => false,
        };
        match &self.overlay {
            Some(Overlay::Help { .. }) => Scope::Help,
            Some(Overlay::Source(_)) => Scope::Source,
            Some(Overlay::Question(_)) => Scope::Question,
            Some(Overlay::Attach(_) | Overlay::SessionFilter(_)) => Scope::Form,
            Some(
                Overlay::Commands(_)
                | Overlay::Functions(_)
                | Overlay::Views(_)
                | Overlay::SaveView(_),
            ) => Scope::Find,
            None if editing => Scope::Filter,
            None if self.screen == Screen::Sql && self.sql.input.editing => Scope::Query,
            None => self.screen_scope(),
        }
    }

    /// Where keys work while nothing is open above the screen.
    pub(crate) fn screen_scope(&self) -> Scope {
        match self.screen {
            Screen::Processes if self.lists_services() => Scope::Services,
            _ if self.shows_replicas() => Scope::Replicas,
            screen => screen.scope(),
        }
    }

    /// The screens that there are here, in the order of their tabs.
    pub(crate) fn screens(&self) -> &'static [Screen] {
        let screens = Screen::ALL.len() - usize::from(!self.options.has_history);
        &SCREENS[..screens]
    }

    /// The screen that is so many tabs further, round and round.
    pub(crate) fn neighbour(&self, forward: bool) -> Screen {
        let screens = self.screens();
        let step = if forward { 1 } else { screens.len() - 1 };
        screens[(self.screen as usize + step) % screens.len()]
    }

    /// The name on a screen's tab here.
    pub(crate) fn name_of_tab(&self, screen: Screen) -> &'static str {
        match screen {
            Screen::Processes if self.lists_services() => Scope::Services.title(),
            screen => screen.name(),
        }
    }

    /// Whether the first screen lists services instead of processes.
    pub(crate) fn lists_services(&self) -> bool {
        matches!(self.peer(), Some(Peer::Colony(_))) || self.services.listed_at.is_some()
    }

    /// Whether the replicas are on the whole screen.
    pub(crate) fn shows_replicas(&self) -> bool {
        self.screen == Screen::Latency && self.latency.view == View::Replicas
    }

    /// The key of a command, as it is written.
    pub(crate) fn key(&self, command: Command) -> String {
        self.options.keymap.key(command)
    }

    /// Tells the person at the keyboard something of our own.
    pub(crate) fn notify(
        &mut self,
        level: Level,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let notice = Notice {
            level,
            code: None,
            message: message.into(),
            help: help.into(),
        };
        self.notices.push(notice, self.now);
    }

    /// What is known of the session that the header speaks of.
    pub(crate) fn current_snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.measurements.current().map(|session| &session.snapshot)
    }

    /// What the session that the header speaks of is asked to do; what a new one would be, where
    /// there is none.
    pub(crate) fn current_settings(&self) -> SessionSettings {
        match self.current_snapshot() {
            Some(snapshot) => snapshot.session.settings.clone(),
            None => self.options.settings.clone(),
        }
    }

    /// The function that the screen in front has selected.
    pub(crate) fn function_in_front(&self) -> Option<FunctionId> {
        match self.screen {
            Screen::Calls => self.calls.selected_function(),
            _ => self.functions.selection.id(),
        }
    }

    /// A function's name; its number while the table does not hold it.
    pub(crate) fn name_of(&self, function: FunctionId) -> Cow<'_, str> {
        match self.functions.table.get(function) {
            Some(known) => Cow::Borrowed(known.name),
            None => Cow::Owned(format!("function {}", function.0)),
        }
    }

    /// The agent or colony that everything comes from, where that is another program.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.options.peer.as_ref()
    }

    /// Whether everything comes from somebody who does not answer now.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.peer().is_some() && !self.link.is_up()
    }

    /// How old a session's numbers are, if they should be newer.
    pub(crate) fn stale_for(&self, session: &Session) -> Option<Duration> {
        let age = self.now.saturating_sub(session.received_at);
        let is_cut_off = session.is_active() && self.is_cut_off();
        is_cut_off
            .then_some(age)
            .or_else(|| session.stale_for(self.now))
    }

    /// Whether numbers come in.
    pub(crate) fn is_live(&self) -> bool {
        self.measurements
            .current()
            .is_some_and(|session| session.snapshot.session.state == SessionState::Active)
    }
}
