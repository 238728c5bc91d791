//! The command line of `coral`, as contract.md fixes it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use coral_model::{BudgetError, DurationError, parse_budget, parse_duration};

use crate::config::Config;
use crate::connection::ConnectionArguments;
use crate::source::local::{self, OpenError};

/// Live latency of the functions of a running process, by eBPF probes that end by themselves.
#[derive(Debug, Parser)]
#[command(name = "coral", version, propagate_version = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the functions of a process, and how each can be probed
    Functions(FunctionsArguments),
    /// Sessions of probes
    #[command(subcommand)]
    Debug(DebugCommand),
    /// List the services of a colony (or of an agent's node) and their replicas
    Services(ServicesArguments),
    /// Requests at a colony that wait for a second person's word
    #[command(subcommand)]
    Approvals(ApprovalsCommand),
    /// Write a session down: one of a colony, as it is or was, or a recording's
    Export(ExportArguments),
    /// Ask a colony's history, in SQL that can only read
    Sql(SqlArguments),
    /// Serve sessions on this node to other programs
    Agent(AgentArguments),
    /// Serve sessions on the replicas of services, on the nodes of many agents
    Colony(ColonyArguments),
    /// Audit logs of agents and colonies
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Certificates for agents, colonies and their clients
    #[command(subcommand)]
    Certs(CertsCommand),
    /// Say whether this machine (and a process) can be probed, and what is missing
    Doctor(DoctorArguments),
    /// Print what a shell needs to complete coral's command line
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Run one query over a copy of a colony's history: what a colony starts for each
    #[command(hide = true)]
    SqlWorker {
        /// The copy
        copy: PathBuf,
    },
    /// Write the manual pages of coral and coral-tui
    #[command(hide = true)]
    Man {
        /// Where to
        directory: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum DebugCommand {
    /// Attach probes to functions and report calls, latency and losses when the session ends
    Attach(Box<AttachArguments>),
    /// Trace whole requests: which function of each took the time
    Trace(Box<TraceArguments>),
    /// List the sessions of an agent
    List(ListArguments),
    /// End sessions of an agent
    Detach(DetachArguments),
    /// Say what a colony's sessions have measured of a function, from its history
    Query(QueryArguments),
}

#[derive(Debug, Args)]
pub(super) struct QueryArguments {
    /// The service
    pub(super) service: String,
    /// A function's name (or its last parts), a glob (main.*) or a regex (/^main\./)
    #[arg(long, value_name = "PATTERN")]
    pub(super) function: Option<String>,
    /// Sessions that measured within that time: 1h, 7d
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1h")]
    pub(super) since: Duration,
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
    /// How to write the result
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Debug, Subcommand)]
pub(super) enum ApprovalsCommand {
    /// List them, and what became of those before
    List {
        #[command(flatten)]
        connection: ConnectionArguments,
    },
    /// Agree: who asks again is let through then, once
    Grant(DecideArguments),
    /// Refuse
    Refuse(DecideArguments),
}

#[derive(Debug, Args)]
pub(super) struct DecideArguments {
    /// The request's name: apr-...
    pub(super) id: String,
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
}

#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    /// The session's name (dbg-...), or a recording's file
    #[arg(value_name = "SESSION|FILE")]
    pub(super) session: String,
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: ExportFormat,
    /// Write it into this new file, or into this directory; never overwrites a file
    #[arg(long, value_name = "PATH")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct SqlArguments {
    /// One query: select, with, describe, show, summarize, explain
    pub(super) query: String,
    /// How many rows at most
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(super) rows: u32,
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
    /// How to write the rows
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct ServicesArguments {
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
    /// How to write the list
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct AgentArguments {
    /// The agent's configuration; without it, every key has its default
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print every key with its default and what it means
    #[arg(long)]
    pub(super) print_config: bool,
    /// Print a unit of systemd that runs the agent without root
    #[arg(long)]
    pub(super) print_unit: bool,
}

#[derive(Debug, Args)]
pub(super) struct ColonyArguments {
    /// The colony's configuration; without it, every key has its default
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print every key with its default and what it means
    #[arg(long)]
    pub(super) print_config: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Only sessions of that service
    pub(super) service: Option<String>,
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
    /// How to write the list
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["session_id", "all"]))]
pub(super) struct DetachArguments {
    /// The service whose sessions are meant
    pub(super) service: Option<String>,
    /// One session
    #[arg(long, value_name = "ID")]
    pub(super) session_id: Option<String>,
    /// All sessions, of the service if one is named
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Check that no record was edited, removed, moved or cut off
    Verify(AuditVerifyArguments),
}

#[derive(Debug, Args)]
pub(super) struct AuditVerifyArguments {
    /// The log; files that were set aside as full are found beside it
    pub(super) file: PathBuf,
    /// The log's anchor; without it, records that were cut off the end are not missed
    #[arg(long, value_name = "FILE")]
    pub(super) anchor: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum CertsCommand {
    /// Make a CA, and certificates of an agent, a colony and clients, to try things out
    Init(CertsInitArguments),
}

#[derive(Debug, Args)]
pub(super) struct CertsInitArguments {
    /// Where to; nothing is overwritten
    pub(super) directory: PathBuf,
    /// The agent's name
    #[arg(long, default_value = "agent")]
    pub(super) name: String,
    /// A name or an address of the machines of agent and colony, besides this one's loopback
    #[arg(long)]
    pub(super) host: Vec<String>,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Tables for people
    #[default]
    Text,
    /// One JSON document
    Json,
    /// Comma-separated values, a line per function
    Csv,
}

/// How trees are written, which no table can hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum DocumentFormat {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
}

impl From<DocumentFormat> for Format {
    fn from(format: DocumentFormat) -> Self {
        match format {
            DocumentFormat::Text => Self::Text,
            DocumentFormat::Json => Self::Json,
        }
    }
}

/// How a session is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportFormat {
    /// Tables for people
    #[default]
    Text,
    /// One JSON document
    Json,
    /// Comma-separated values, a line per function
    Csv,
    /// A recording to replay: only while it is measured, see `coral debug attach --record`
    Recording,
    /// Its traces: only while they are measured, see `coral debug trace`
    Trace,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("process").required(true).args(["service", "pid"]))]
pub(super) struct FunctionsArguments {
    /// The process
    #[arg(long)]
    pub(super) pid: Option<u32>,
    /// A process of a program of that name
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<String>,
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
    /// Only functions of that name, glob (main.*) or regex (/^main\./)
    pub(super) pattern: Option<String>,
    /// Also the functions of mapped libraries whose path contains this; `*` means all
    #[arg(long, value_name = "PART")]
    pub(super) library: Vec<String>,
    /// Also where such functions were inlined; as CSV these alone
    #[arg(long, requires = "pattern")]
    pub(super) inlined: bool,
    /// How to write the list
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// The processes of a session.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true).args(["service", "pid"]))]
pub(super) struct TargetArguments {
    /// All processes of a program of that name
    pub(super) service: Option<String>,
    /// The process; several of one program are measured together
    #[arg(long)]
    pub(super) pid: Vec<u32>,
    /// Also look in mapped libraries whose path contains this; `*` means all
    #[arg(long, value_name = "PART")]
    pub(super) library: Vec<String>,
}

impl TargetArguments {
    /// The ids of the processes.
    pub(super) fn pids(&self) -> Result<Vec<u32>, OpenError> {
        match &self.service {
            Some(service) => local::processes_of(service),
            None => Ok(self.pid.clone()),
        }
    }
}

/// What a session may, where it is not as configured.
#[derive(Debug, Args)]
pub(super) struct SessionArguments {
    /// How long the probes stay, at most 600s [default: 60s, or what is configured]
    #[arg(long, value_parser = duration)]
    duration: Option<Duration>,
    /// What the probes may cost, in percent of a core, before the dearest are detached; `none`
    /// for no limit [default: 10, or what is configured]
    #[arg(long, value_name = "PERCENT", value_parser = budget)]
    budget: Option<Budget>,
    /// Where a second person has to agree, wait for that
    #[arg(long)]
    pub(super) wait: bool,
}

impl SessionArguments {
    /// What is configured, or said here instead.
    pub(super) fn over(&self, mut config: Config) -> Config {
        if let Some(lease) = self.duration {
            config.session.lease = lease;
        }
        if let Some(Budget(percent)) = self.budget {
            config.session.budget_percent = percent;
        }
        config
    }
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("start").required(true).args(["path", "root"]))]
pub(super) struct TraceArguments {
    #[command(flatten)]
    pub(super) target: TargetArguments,
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
    /// Trace requests of this HTTP path (Go's net/http); `/api/*` means all that begin so
    #[arg(
        long,
        value_name = "PATH",
        value_parser = http_path
    )]
    pub(super) path: Option<String>,
    /// Trace the calls of this function
    #[arg(long, value_name = "FUNCTION")]
    pub(super) root: Option<String>,
    #[command(flatten)]
    pub(super) session: SessionArguments,
    /// How many functions on the path are probed at most
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub(super) max_functions: usize,
    /// How to write the result
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: DocumentFormat,
    /// Write the result into this directory instead of stdout; never overwrites a file
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct AttachArguments {
    #[command(flatten)]
    pub(super) target: TargetArguments,
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,
    /// A function's name (or its last parts), a glob (main.*) or a regex (/^main\./)
    #[arg(long = "function", value_name = "PATTERN", required = true)]
    pub(super) functions: Vec<String>,
    #[command(flatten)]
    pub(super) session: SessionArguments,
    /// Record one single call in N (counters and histograms always hold all calls)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) sample_rate: u32,
    /// Record only single calls that took at least this long
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(super) min_duration: Option<Duration>,
    /// Record only single calls that took at most this long
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(super) max_duration: Option<Duration>,
    /// Record only calls with such arguments: amount > 100 and user == "u_1"
    #[arg(long, value_name = "EXPR")]
    pub(super) filter: Option<String>,
    /// Read the arguments of recorded calls (secrets are hidden by rule)
    #[arg(long)]
    pub(super) capture_args: bool,
    /// Read what recorded calls return
    #[arg(long)]
    pub(super) capture_return: bool,
    /// Record every call that took at least this long, sampled or not
    #[arg(long, value_name = "D", value_parser = duration)]
    pub(super) slow: Option<Duration>,
    /// Show every level of a function that calls itself, instead of one
    #[arg(long)]
    pub(super) show_recursion: bool,
    /// Count calls of such functions where they were inlined, too
    #[arg(long)]
    pub(super) inlined: bool,
    /// Measure children that the process forks too, while they run the same program
    #[arg(long)]
    pub(super) follow_forks: bool,
    /// Go on when the process replaces its program (exec)
    #[arg(long)]
    pub(super) follow_exec: bool,
    /// Catch returns by the kernel's return probes: cheaper, but a C++ exception or a Rust panic
    /// through a probed frame ENDS THE TARGET; never used on Go
    #[arg(long)]
    pub(super) fast_returns: bool,
    /// Record the session into this new file, to play it with `coral-tui --replay`
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// How to write the result
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Write the result into this directory instead of stdout; never overwrites a file
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct DoctorArguments {
    /// Also look at this process
    #[arg(long)]
    pub(super) pid: Option<u32>,
    /// How to write the report
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

/// What probes may cost, in percent of a core; without a limit, `None`.
#[derive(Clone, Copy, Debug)]
struct Budget(Option<f64>);

fn budget(text: &str) -> Result<Budget, BudgetError> {
    parse_budget(text).map(Budget)
}

fn http_path(text: &str) -> Result<String, &'static str> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err("a path of a request begins with `/`")
    }
}

fn duration(text: &str) -> Result<Duration, DurationError> {
    parse_duration(text)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
