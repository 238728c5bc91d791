//! What comes in and what goes out: the closed sets of events and effects.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{
    AgentSummary, ExpectedCost, FunctionId, FunctionTable, Limits, ProcessSummary, Service,
    SessionId, SessionSettings, SessionSummary, Snapshot, SqlResult, SqlSchema, Target,
};
use crossterm::event::{KeyEvent, MouseEvent};

use crate::saved_view::SavedView;

/// Everything that can happen to the console.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed. Releases are ignored.
    Key(KeyEvent),
    /// The mouse was clicked or its wheel turned.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has another size.
    Resize {
        /// In cells.
        columns: u16,
        /// In cells.
        rows: u16,
    },
    /// Time has passed.
    Tick {
        /// The time since the console started, on the monotonic clock.
        now: Duration,
    },
    /// The source has something to say.
    Source(SourceEvent),
}

/// What a source of measurements reports.
#[derive(Clone, Debug)]
pub enum SourceEvent {
    /// The answer to [`Effect::ListProcesses`].
    Processes(Arc<[ProcessSummary]>),
    /// The same answer from a colony.
    Services {
        /// Its services.
        services: Arc<[Service]>,
        /// Its agents, also those that know no service.
        agents: Arc<[AgentSummary]>,
    },
    /// The answer to [`Effect::ListHistory`]: the sessions of everybody, newest first.
    History(Arc<[SessionSummary]>),
    /// The answer to [`Effect::OpenSession`]; of a live session, snapshots follow.
    SessionOpened(Box<OpenedSession>),
    /// What a session that was opened so has measured by now; its last numbers are final.
    Visited(Arc<Snapshot>),
    /// Nothing more will be heard of a session that was opened so.
    VisitLost {
        /// Which.
        session: SessionId,
        /// Why, as a clause.
        why: String,
    },
    /// A session of the history cannot be opened.
    SessionNotOpened {
        /// Which.
        session: SessionId,
        /// Why.
        failure: Failure,
    },
    /// The answer to [`Effect::ReadSqlSchema`]; it may also come by itself, from a source that has a
    /// history.
    SqlSchema(Arc<SqlSchema>),
    /// The answer to a query.
    SqlRows {
        /// The query's number.
        query: u64,
        /// Its rows.
        result: Arc<SqlResult>,
    },
    /// A query gave nothing.
    SqlFailed {
        /// The query's number.
        query: u64,
        /// Why.
        failure: Failure,
    },
    /// A process or a service is being opened: its symbols are read.
    Opening(OpenTarget),
    /// The functions of the process that is being opened come piece by piece.
    Reading {
        /// So many have come.
        functions: u64,
        /// Of so many.
        total: u64,
    },
    /// The functions of the opened process, or more of them: ids stay valid.
    Functions {
        /// The process.
        target: Target,
        /// Its functions so far.
        table: Arc<FunctionTable>,
        /// Whether these are all, with their plans.
        complete: bool,
    },
    /// The process cannot be opened.
    OpenFailed(Failure),
    /// Attaching would cost more than its budget; nothing was attached.
    Costly {
        /// What was asked for.
        attach: Box<Attach>,
        /// What it would cost.
        expected: ExpectedCost,
    },
    /// The answer to [`Effect::FindCallees`].
    Callees {
        /// The function that was asked about.
        function: FunctionId,
        /// What it calls, as far as its code tells.
        callees: Vec<FunctionId>,
    },
    /// Probes are live.
    Attached {
        /// On these functions.
        functions: Vec<FunctionId>,
        /// The others of the same request: why, a notice of the session says.
        left_out: Vec<FunctionId>,
        /// How many probe sites these are.
        probes: u32,
    },
    /// Functions could not be probed.
    AttachFailed {
        /// Which: all of a request.
        functions: Vec<FunctionId>,
        /// Why.
        failure: Failure,
    },
    /// Probes are gone from these functions.
    Detached {
        /// Which.
        functions: Vec<FunctionId>,
    },
    /// What the session has measured by now.
    Snapshot(Arc<Snapshot>),
    /// The session is over; these numbers are final.
    SessionEnded(Arc<Snapshot>),
    /// A session is over, and its last numbers have not come and never will.
    SessionLost {
        /// Which.
        session: SessionId,
        /// Why, as a clause.
        why: String,
    },
    /// Whether the agent can be reached that all of this comes from.
    Link(Link),
    /// What the agent allows.
    Limits(Limits),
    /// A whole recording: when each snapshot was taken, ascending, since its beginning.
    Recorded(Vec<(Duration, Arc<Snapshot>)>),
    /// An export was written.
    Exported {
        /// Where it is.
        path: String,
        /// The command line that prints the same numbers, where there is one.
        command: Option<String>,
        /// How many rows are not in it because the view has more than an export holds.
        rows_left_out: usize,
    },
    /// An export could not be written.
    ExportFailed(Failure),
    /// Lines of a source file.
    SourceText {
        /// The file that was asked for.
        file: String,
        /// The number of the first line, from 1.
        first_line: u32,
        /// The lines as they are in the file.
        lines: Vec<String>,
    },
    /// A source file cannot be shown.
    SourceFailed {
        /// The file that was asked for.
        file: String,
        /// Why.
        failure: Failure,
    },
    /// The process under observation has ended.
    TargetExited,
    /// Something worth knowing.
    Notice(Notice),
}

/// The way to an agent that is another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// It answers.
    Up,
    /// It does not.
    Down {
        /// Why.
        failure: Failure,
        /// When it is tried again.
        retry_in: Duration,
    },
}

/// What went wrong, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code, such as `no-such-process`.
    pub code: String,
    /// What went wrong and why.
    pub message: String,
    /// The next step.
    pub help: String,
}

impl<E: coral_model::Diagnostic> From<&E> for Failure {
    fn from(error: &E) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            help: error.help(),
        }
    }
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something was done.
    Info,
    /// Something is not as one would expect.
    Warning,
    /// Something failed or was refused.
    Error,
}

impl Level {
    /// The word on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A message to the person at the keyboard; kept on the events screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// The stable code, of failures.
    pub code: Option<String>,
    /// What happened, and why.
    pub message: String,
    /// The next step; empty where there is none.
    pub help: String,
}

impl From<Failure> for Notice {
    fn from(failure: Failure) -> Self {
        Self {
            level: Level::Error,
            code: Some(failure.code),
            message: failure.message,
            help: failure.help,
        }
    }
}

/// What the console asks the rest of the program to do. Nothing here waits for an answer: answers
/// come back as events.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// List the processes of this node, or the services of the colony.
    ListProcesses,
    /// Open a process or a service; whatever is attached to another one is detached.
    Open(OpenTarget),
    /// List the sessions of everybody, live and past.
    ListHistory,
    /// Open a session that was not started here: its numbers, and while it is live those that come.
    OpenSession {
        /// Which.
        session: SessionId,
    },
    /// A session that was opened so is not looked at any more; it goes on.
    CloseSession {
        /// Which.
        session: SessionId,
    },
    /// Find out which tables the history has.
    ReadSqlSchema,
    /// Run a query over the history; what ran before was given up.
    RunSql {
        /// Names it in the answer.
        query: u64,
        /// The query.
        sql: String,
    },
    /// Give a query up: nobody waits for its answer any more.
    CancelSql {
        /// Its number.
        query: u64,
    },
    /// Attach to functions of the opened process.
    Attach(Attach),
    /// Find out what a function calls.
    FindCallees {
        /// Which.
        function: FunctionId,
    },
    /// Let only calls with such arguments make records from now on; `None` for all.
    SetFilter {
        /// Of which session.
        session: SessionId,
        /// The filter.
        filter: Option<Expression>,
    },
    /// Detach from functions.
    Detach {
        /// Which.
        functions: Vec<FunctionId>,
    },
    /// Detach from everything, at once.
    DetachAll,
    /// Extend the live session's lease.
    Extend {
        /// By how much.
        by: Duration,
    },
    /// Write what a screen shows to a file.
    ExportView(ViewExport),
    /// Write a session to a file.
    ExportSession(Arc<Snapshot>),
    /// Keep a view of the functions for the next time.
    SaveView(SavedView),
    /// Read the lines of a source file around one.
    ReadSource {
        /// The file, as the target's debug information names it.
        file: String,
        /// The line, from 1.
        line: u32,
    },
    /// Open a source file in the user's editor.
    Edit {
        /// The file, as the target's debug information names it.
        file: String,
        /// The line, from 1.
        line: u32,
    },
    /// Put text on the clipboard. It holds no character that could act on a terminal.
    Copy(String),
    /// Leave the terminal to the shell until the program is continued.
    Suspend,
    /// End the program, and with it every probe.
    Quit,
}

/// A session that was not started here.
#[derive(Clone, Debug)]
pub struct OpenedSession {
    /// The session.
    pub session: SessionId,
    /// What it measures, as its snapshots name it.
    pub target: Target,
    /// Its functions, by the ids that its snapshots use.
    pub table: Arc<FunctionTable>,
    /// What is kept of it: when each snapshot was taken, ascending, since its beginning. Of a live
    /// session, the newest one.
    pub moments: Vec<(Duration, Arc<Snapshot>)>,
}

/// What is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenTarget {
    /// A process of this node, or of the agent's.
    Process(
        /// Its process id.
        u32,
    ),
    /// All replicas of a service of the colony.
    Service(
        /// Its name.
        String,
    ),
}

/// What to attach to, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Attach {
    /// The functions.
    pub functions: Vec<FunctionId>,
    /// What a session is asked to do that is started by this.
    pub settings: SessionSettings,
    /// Which session measures them.
    pub session: AttachTo,
    /// Whether somebody has agreed to what it costs.
    pub is_confirmed: bool,
}

/// Which session functions are attached in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachTo {
    /// The newest one that is live; a new one, if there is none.
    Newest,
    /// A new one. Functions that others measure leave them.
    New,
}

/// What a screen shows, as a table of plain values with units in the column names.
///
/// Text in it is as it came from the target: the writer neutralises it for its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewExport {
    /// The screen, for the file's name.
    pub view: &'static str,
    /// The command line that prints the same numbers, where there is one.
    pub command: Option<String>,
    /// The names of the columns.
    pub columns: Vec<Cow<'static, str>>,
    /// The rows; a value that was not measured is empty.
    pub rows: Vec<Vec<String>>,
    /// How many rows were left out because the view has more than an export holds.
    pub rows_left_out: usize,
}
