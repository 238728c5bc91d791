//! The one table of commands. Key dispatch, footer hints, the help screen and the validation of
//! configured keys all read it.

use Command as C;
use Scope as S;

/// Something that a key can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // documented by the table's help texts
pub enum Command {
    QuitNow,
    Down,
    Up,
    PageDown,
    PageUp,
    Top,
    Bottom,
    Open,
    OpenService,
    Refresh,
    OpenSession,
    Repeat,
    ToggleProbe,
    AttachMatching,
    AttachWithOptions,
    Undo,
    SessionFilter,
    Filter,
    NextMatch,
    PreviousMatch,
    Sort,
    ReverseSort,
    Columns,
    PinProbed,
    NextView,
    PreviousView,
    Choose,
    Right,
    Left,
    OpenBelow,
    Zoom,
    ZoomOut,
    ShowLatency,
    ShowReplicas,
    OpenReplica,
    LogScale,
    SelectArea,
    AcceptArea,
    Compare,
    Extend,
    DetachAll,
    Pause,
    StepBack,
    StepForward,
    JumpBack,
    JumpForward,
    Live,
    Mark,
    ShowSource,
    EditSource,
    SourceDown,
    SourceUp,
    SourceClose,
    Copy,
    ExportView,
    ExportSession,
    ShowProcesses,
    ShowFunctions,
    ShowLatencyScreen,
    ShowCalls,
    ShowSessions,
    ShowEvents,
    ShowSql,
    EditQuery,
    RunQuery,
    CancelQuery,
    LeaveQuery,
    CompleteQuery,
    EarlierQuery,
    LaterQuery,
    NextScreen,
    PreviousScreen,
    Palette,
    GoToFunction,
    Views,
    SaveView,
    Help,
    Back,
    Quit,
    Suspend,
    FilterAccept,
    FilterCancel,
    FilterComplete,
    FilterDown,
    FilterUp,
    FindAccept,
    FindCancel,
    FindDown,
    FindUp,
    FindPageDown,
    FindPageUp,
    FormAccept,
    FormCancel,
    FormNext,
    FormPrevious,
    FormChange,
    FormChangeBack,
    Confirm,
    Cancel,
    HelpDown,
    HelpUp,
    HelpClose,
}

impl Command {
    /// Whether it makes no sense in a recording.
    pub(crate) fn concerns_probes(self) -> bool {
        matches!(
            self,
            C::ToggleProbe
                | C::AttachMatching
                | C::AttachWithOptions
                | C::Undo
                | C::SessionFilter
                | C::Repeat
                | C::Extend
                | C::DetachAll
        )
    }
}

/// Where a command's keys work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// At any time, whatever is open.
    Always,
    /// On every screen, while nothing is open above it.
    Screens,
    /// On the process picker.
    Processes,
    /// On the services of a colony.
    Services,
    /// On the functions screen.
    Functions,
    /// On the latency screen.
    Latency,
    /// On the latency screen, while it shows replicas.
    Replicas,
    /// On the calls screen.
    Calls,
    /// On the sessions screen.
    Sessions,
    /// On the events screen.
    Events,
    /// On the SQL screen.
    Sql,
    /// While a query is typed; every other key is text.
    Query,
    /// While a filter is typed; every other key is text.
    Filter,
    /// While commands, functions or views are found, or named, by typing; every other key is text.
    Find,
    /// While a form is filled in; every other key is text.
    Form,
    /// While a question is asked.
    Question,
    /// While source is shown.
    Source,
    /// While the help is shown.
    Help,
}

impl Scope {
    /// The title of its part of the help.
    pub fn title(self) -> &'static str {
        match self {
            S::Always => "Always",
            S::Screens => "Every screen",
            S::Processes => "Processes",
            S::Services => "Services",
            S::Functions => "Functions",
            S::Latency => "Latency",
            S::Replicas => "Replicas",
            S::Calls => "Calls",
            S::Sessions => "Sessions",
            S::Events => "Events",
            S::Sql => "SQL",
            S::Query => "While typing a query",
            S::Filter => "While typing a filter",
            S::Find => "While finding or naming something",
            S::Form => "While a form is filled in",
            S::Question => "While a question is asked",
            S::Source => "Source",
            S::Help => "Help",
        }
    }

    /// All scopes whose keys work when this one is in front, itself first.
    pub fn active(self) -> &'static [Self] {
        match self {
            S::Always => &[S::Always],
            S::Screens => &[S::Screens, S::Always],
            S::Processes => &[S::Processes, S::Screens, S::Always],
            S::Services => &[S::Services, S::Screens, S::Always],
            S::Functions => &[S::Functions, S::Screens, S::Always],
            S::Latency => &[S::Latency, S::Screens, S::Always],
            S::Replicas => &[S::Replicas, S::Screens, S::Always],
            S::Calls => &[S::Calls, S::Screens, S::Always],
            S::Sessions => &[S::Sessions, S::Screens, S::Always],
            S::Events => &[S::Events, S::Screens, S::Always],
            S::Sql => &[S::Sql, S::Screens, S::Always],
            S::Query => &[S::Query, S::Always],
            S::Filter => &[S::Filter, S::Always],
            S::Find => &[S::Find, S::Always],
            S::Form => &[S::Form, S::Always],
            S::Question => &[S::Question, S::Always],
            S::Source => &[S::Source, S::Always],
            S::Help => &[S::Help, S::Always],
        }
    }

    /// All scopes that can be in front, and `Screens` and `Always`, in the order of the help.
    pub const ALL: [Self; 18] = [
        S::Processes,
        S::Services,
        S::Functions,
        S::Latency,
        S::Replicas,
        S::Calls,
        S::Sessions,
        S::Events,
        S::Sql,
        S::Screens,
        S::Query,
        S::Filter,
        S::Find,
        S::Form,
        S::Question,
        S::Source,
        S::Help,
        S::Always,
    ];
}

/// A line of the table.
#[derive(Clone, Copy, Debug)]
pub struct CommandInfo {
    /// Which command.
    pub command: Command,
    /// Its name in configuration files.
    pub name: &'static str,
    /// Its keys, if nothing else is configured.
    pub keys: &'static [&'static str],
    /// Where they work.
    pub scopes: &'static [Scope],
    /// What the footer says it does; empty for what the footer leaves to the help.
    pub hint: &'static str,
    /// What the help says it does.
    pub help: &'static str,
}

const fn line(
    command: Command,
    name: &'static str,
    keys: &'static [&'static str],
    scopes: &'static [Scope],
    hint: &'static str,
    help: &'static str,
) -> CommandInfo {
    CommandInfo {
        command,
        name,
        keys,
        scopes,
        hint,
        help,
    }
}

const MEASURED: &[Scope] = &[S::Functions, S::Latency];
/// Where a function can be probed.
const PROBED: &[Scope] = &[S::Functions, S::Latency, S::Replicas];
/// Where a function is selected.
const WITH_SOURCE: &[Scope] = &[S::Functions, S::Latency, S::Replicas, S::Calls];
const SOURCE_OR_SCREENS: &[Scope] = &[S::Source, S::Functions, S::Latency, S::Calls];
const FILTERED: &[Scope] = &[
    S::Processes,
    S::Services,
    S::Functions,
    S::Replicas,
    S::Calls,
];
const MATCHED: &[Scope] = &[S::Functions, S::Calls];
/// Where one screen has several views.
const VIEWED: &[Scope] = &[S::Latency, S::Replicas, S::Calls];
const SIDEWAYS: &[Scope] = &[S::Services, S::Latency, S::Calls, S::Sql];
const QUERIED: &[Scope] = &[S::Query, S::Sql];

/// All commands. The footer shows hints in this order, those of the front scope first.
#[rustfmt::skip] // a table is read by its columns
pub const COMMANDS: &[CommandInfo] = &[
    line(C::Open, "open", &["Enter"], &[S::Processes], "open", "open the selected process"),
    line(C::OpenService, "open-service", &["Enter"], &[S::Services], "open", "open the selected service on all of its replicas"),
    line(C::OpenReplica, "open-replica", &["Enter"], &[S::Replicas], "alone", "show the latency of the selected replica alone"),
    line(C::NextView, "next-view", &["v"], VIEWED, "view", "the next view: heatmap, compare, replicas; flame, slow, trace"),
    line(C::PreviousView, "previous-view", &["V"], VIEWED, "", "the view before"),
    line(C::Choose, "choose", &["Enter"], &[S::Calls], "open", "open or fold; zoom in; go to the function; show the call"),
    line(C::Right, "right", &["l", "Right"], SIDEWAYS, "", "to the right; open, or go to the first callee; columns"),
    line(C::Left, "left", &["h", "Left"], SIDEWAYS, "", "to the left; fold, or go to the caller"),
    line(C::OpenBelow, "open-below", &["*"], &[S::Calls], "", "open everything below"),
    line(C::Zoom, "zoom", &["z"], &[S::Calls], "zoom", "show the selected path or call as wide as the screen"),
    line(C::ZoomOut, "zoom-out", &["Z"], &[S::Calls], "", "show all of the flame or the trace"),
    line(C::ToggleProbe, "toggle-probe", &["Space"], PROBED, "probe on/off", "attach to the selected function, or detach from it"),
    line(C::Filter, "filter", &["/"], FILTERED, "filter", "filter: 'exact ^start end$ !not; p99 > 10ms and name = a.*"),
    line(C::ShowLatency, "show-latency", &["Enter"], &[S::Functions], "latency", "show the selected function's latency on the whole screen"),
    line(C::ShowReplicas, "show-replicas", &["R"], MEASURED, "replicas", "a row for each replica: find the odd one out"),
    line(C::AttachMatching, "attach-matching", &["A"], &[S::Functions], "attach all", "attach to every function that the filter shows"),
    line(C::AttachWithOptions, "attach-with-options", &["a"], WITH_SOURCE, "options", "attach with options: to which, how long, what is recorded"),
    line(C::Sort, "sort", &["s"], FILTERED, "sort", "sort by the next column"),
    line(C::ReverseSort, "reverse-sort", &["S"], &[S::Functions], "", "turn the order round"),
    line(C::Columns, "columns", &["c"], &[S::Functions], "columns", "columns of numbers, or about the code"),
    line(C::PinProbed, "pin-probed", &["P"], &[S::Functions], "", "keep probed functions at the top, or among the others"),
    line(C::NextMatch, "next-match", &["n"], MATCHED, "", "go to the next match, also of a cleared filter"),
    line(C::PreviousMatch, "previous-match", &["N"], MATCHED, "", "go to the previous match"),
    line(C::OpenSession, "open-session", &["Enter"], &[S::Sessions], "look at it", "show this session on all screens, or what is open here again"),
    line(C::Repeat, "repeat-session", &["r"], &[S::Sessions], "repeat", "attach to the functions of the selected session again"),
    line(C::EditQuery, "edit-query", &["Enter", "/", "i"], &[S::Sql], "query", "go on typing the query"),
    line(C::RunQuery, "run-query", &["Enter"], &[S::Query], "run", "run the query that is typed"),
    line(C::CompleteQuery, "complete-query", &["Tab"], &[S::Query], "complete", "complete the name of a table or a column"),
    line(C::EarlierQuery, "earlier-query", &["Up", "Ctrl-P"], &[S::Query], "earlier", "the query before"),
    line(C::LaterQuery, "later-query", &["Down", "Ctrl-N"], &[S::Query], "", "the query after it"),
    line(C::CancelQuery, "cancel-query", &["Ctrl-K"], QUERIED, "give up", "give up the query that runs"),
    line(C::LeaveQuery, "leave-query", &["Esc"], &[S::Query], "rows", "go to the rows; give up what runs"),
    line(C::SelectArea, "select-area", &["b"], &[S::Latency], "select", "select an area of the heatmap from the cursor on"),
    line(C::AcceptArea, "accept-area", &["Enter"], &[S::Latency], "", "list the calls of the selected area; Esc clears it"),
    line(C::Compare, "compare", &["M"], MEASURED, "compare", "compare with the mark; again: the next pair"),
    line(C::LogScale, "log-scale", &["x"], MEASURED, "log/linear", "linear or logarithmic scale of the picture"),
    line(C::Refresh, "refresh", &["r"], &[S::Processes, S::Services], "refresh", "list the processes or services again"),
    line(C::Down, "down", &["j", "Down"], &[S::Screens], "", "one row down"),
    line(C::Up, "up", &["k", "Up"], &[S::Screens], "", "one row up"),
    line(C::PageDown, "page-down", &["PgDn", "Ctrl-F"], &[S::Screens], "", "one page down"),
    line(C::PageUp, "page-up", &["PgUp", "Ctrl-B"], &[S::Screens], "", "one page up"),
    line(C::Top, "top", &["g", "Home"], &[S::Screens], "", "to the first row"),
    line(C::Bottom, "bottom", &["G", "End"], &[S::Screens], "", "to the last row"),
    line(C::DetachAll, "detach-all", &["D"], &[S::Screens], "detach all", "detach everything, at once"),
    line(C::Extend, "extend", &["+"], &[S::Screens], "more time", "extend the session's lease"),
    line(C::SessionFilter, "session-filter", &["F"], &[S::Screens], "", "record only calls with such arguments, in the live session"),
    line(C::Undo, "undo", &["u"], &[S::Screens], "", "attach again to what was detached last"),
    line(C::Pause, "pause", &["p"], &[S::Screens], "pause", "stop at this moment, or go on; recording goes on"),
    line(C::StepBack, "step-back", &["["], &[S::Screens], "", "the moment before"),
    line(C::StepForward, "step-forward", &["]"], &[S::Screens], "", "the next moment"),
    line(C::JumpBack, "jump-back", &["{"], &[S::Screens], "", "ten seconds back"),
    line(C::JumpForward, "jump-forward", &["}"], &[S::Screens], "", "ten seconds on"),
    line(C::Live, "live", &["L"], &[S::Screens], "", "the newest moment; the end of a recording"),
    line(C::Mark, "mark", &["m"], &[S::Screens], "", "mark this moment"),
    line(C::Copy, "copy", &["y"], &[S::Screens], "copy command", "copy the command line that measures the same"),
    line(C::ExportView, "export-view", &["e"], &[S::Screens], "export", "export what this screen shows"),
    line(C::ExportSession, "export-session", &["E"], &[S::Screens], "", "export the whole session"),
    line(C::ShowProcesses, "show-processes", &["1"], &[S::Screens], "", "processes"),
    line(C::ShowFunctions, "show-functions", &["2"], &[S::Screens], "", "functions"),
    line(C::ShowLatencyScreen, "show-latency-screen", &["3"], &[S::Screens], "", "latency"),
    line(C::ShowCalls, "show-calls", &["4"], &[S::Screens], "", "calls: tree, flame, slow, in flight"),
    line(C::ShowSessions, "show-sessions", &["5"], &[S::Screens], "", "sessions"),
    line(C::ShowEvents, "show-events", &["6"], &[S::Screens], "", "events and notices"),
    line(C::ShowSql, "show-sql", &["7"], &[S::Screens], "", "SQL over the history, where there is one"),
    line(C::NextScreen, "next-screen", &["Tab"], &[S::Screens], "", "the next screen"),
    line(C::PreviousScreen, "previous-screen", &["Shift-Tab"], &[S::Screens], "", "the previous screen"),
    line(C::Palette, "palette", &[":"], &[S::Screens], "commands", "find any command by its name or what it does"),
    line(C::GoToFunction, "go-to-function", &["Ctrl-P", "@"], &[S::Screens], "", "find any function by a few letters of its name"),
    line(C::Views, "views", &["'"], &[S::Screens], "", "find a saved view of the functions: filter, order, columns"),
    line(C::SaveView, "save-view", &["W"], &[S::Functions], "", "save filter, order and columns under a name"),
    line(C::Help, "help", &["?"], &[S::Screens], "help", "this help"),
    line(C::Back, "back", &["Esc"], &[S::Screens], "", "dismiss the notice, clear the filter, or go back; never quits"),
    line(C::Quit, "quit", &["q"], &[S::Screens], "quit", "back, or quit on the functions and processes screens"),
    line(C::Suspend, "suspend", &["Ctrl-Z"], &[S::Screens], "", "suspend the program; probes stay within their lease"),
    line(C::FilterAccept, "filter-accept", &["Enter"], &[S::Filter], "keep", "keep the filter and go to the rows"),
    line(C::FilterCancel, "filter-cancel", &["Esc"], &[S::Filter], "clear", "clear the filter"),
    line(C::FilterComplete, "filter-complete", &["Tab"], &[S::Filter], "", "complete the name of a field in a typed filter"),
    line(C::FilterDown, "filter-down", &["Down"], &[S::Filter], "", "one row down"),
    line(C::FilterUp, "filter-up", &["Up"], &[S::Filter], "", "one row up"),
    line(C::FindAccept, "find-accept", &["Enter"], &[S::Find], "take it", "run the command, go to the function, show or save the view"),
    line(C::FindCancel, "find-cancel", &["Esc"], &[S::Find], "close", "close without doing anything"),
    line(C::FindDown, "find-down", &["Down", "Ctrl-N"], &[S::Find], "next", "one row down"),
    line(C::FindUp, "find-up", &["Up", "Ctrl-P"], &[S::Find], "previous", "one row up"),
    line(C::FindPageDown, "find-page-down", &["PgDn"], &[S::Find], "", "ten rows down"),
    line(C::FindPageUp, "find-page-up", &["PgUp"], &[S::Find], "", "ten rows up"),
    line(C::FormAccept, "form-accept", &["Enter"], &[S::Form], "do it", "do what is filled in"),
    line(C::FormCancel, "form-cancel", &["Esc"], &[S::Form], "cancel", "close the form without doing anything"),
    line(C::FormNext, "form-next", &["Tab", "Down"], &[S::Form], "next line", "the next line"),
    line(C::FormPrevious, "form-previous", &["Shift-Tab", "Up"], &[S::Form], "", "the line before"),
    line(C::FormChange, "form-change", &["Right", "Space"], &[S::Form], "change", "the next choice; in a line of text, the key itself"),
    line(C::FormChangeBack, "form-change-back", &["Left"], &[S::Form], "", "the choice before; in a line of text, the key itself"),
    line(C::Confirm, "confirm", &["y", "Enter"], &[S::Question], "yes", "yes"),
    line(C::Cancel, "cancel", &["n", "Esc", "q"], &[S::Question], "no", "no"),
    line(C::ShowSource, "show-source", &["w"], WITH_SOURCE, "", "show the source around where the selected function begins"),
    line(C::EditSource, "edit-source", &["o"], SOURCE_OR_SCREENS, "", "open it in your editor (VISUAL, EDITOR)"),
    line(C::SourceDown, "source-down", &["j", "Down", "PgDn"], &[S::Source], "down", "scroll down"),
    line(C::SourceUp, "source-up", &["k", "Up", "PgUp"], &[S::Source], "up", "scroll up"),
    line(C::SourceClose, "source-close", &["Esc", "q", "w"], &[S::Source], "close", "close the source"),
    line(C::HelpDown, "help-down", &["j", "Down", "PgDn"], &[S::Help], "down", "scroll down"),
    line(C::HelpUp, "help-up", &["k", "Up", "PgUp"], &[S::Help], "up", "scroll up"),
    line(C::HelpClose, "help-close", &["Esc", "q", "?"], &[S::Help], "close", "close the help"),
    line(C::QuitNow, "quit-now", &["Ctrl-C"], &[S::Always], "", "quit at once; every probe is detached"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_name_of_its_own_a_key_and_a_help_text() {
        for (index, info) in COMMANDS.iter().enumerate() {
            assert!(!info.keys.is_empty(), "{}", info.name);
            assert!(!info.help.is_empty(), "{}", info.name);
            assert!(!info.scopes.is_empty(), "{}", info.name);
            for other in &COMMANDS[index + 1..] {
                assert_ne!(info.name, other.name);
                assert_ne!(info.command, other.command, "{}", info.name);
            }
        }
    }
}
