//! The process of a query, as its parent sees it.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use coral_proto::colony::v1::{QuerySqlRequest, QuerySqlResponse};
use prost::Message;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::SqlError;

/// What of a process's errors is read, in bytes.
const ERRORS_BYTES_MAX: u64 = 64 << 10;

/// What a query may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) deadline: Duration,
    pub(super) bytes_max: u64,
}

/// A query to be run in a process of its own.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) copy: PathBuf,
    pub(super) request: QuerySqlRequest,
    pub(super) limits: Limits,
}

/// Its rows, or why there are none.
type Answer = Result<Vec<QuerySqlResponse>, SqlError>;

impl Query {
    /// Starts the query. When what is returned is dropped, it is killed.
    pub(super) fn start(self, answer: oneshot::Sender<Answer>) -> io::Result<PipeWriter> {
        let (cancelled, waits) = io::pipe()?;
        let run = move || {
            // Who does not wait any more needs no answer.
            let _ = answer.send(self.run(&cancelled));
        };
        thread::Builder::new().name("sql".into()).spawn(run)?;
        Ok(waits)
    }

    fn run(&self, cancelled: &PipeReader) -> Answer {
        let mut child = self.spawn().map_err(SqlError::Process)?;
        let read = self.read(&mut child, cancelled);
        // Whatever it does still, nobody looks at it.
        let _ = child.kill();
        let status = child.wait().map_err(SqlError::Process)?;
        let rows = read?;
        if let Some(error) = error_of(&mut child) {
            return Err(error);
        }
        messages(&rows).ok_or_else(|| SqlError::Died {
            why: status.to_string(),
        })
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .arg(&self.copy)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let request = self.request.encode_to_vec();
        let sent = child
            .stdin
            .take()
            .map(|mut input| input.write_all(&request));
        match sent {
            // A process that ended at once says why.
            Some(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
            _ => Ok(child),
        }
    }

    /// Reads what the process writes until it closes its output, its time is over, it has written
    /// too much, or nobody waits.
    fn read(&self, child: &mut Child, cancelled: &PipeReader) -> Result<Vec<u8>, SqlError> {
        let started = Instant::now();
        let mut rows = Vec::new();
        let Some(mut output) = child.stdout.take() else {
            return Ok(rows);
        };
        let mut chunk = [0; 64 << 10];
        loop {
            let Limits {
                deadline,
                bytes_max,
            } = self.limits;
            let left = deadline.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(SqlError::TooLong { deadline });
            }
            match wait(&output, cancelled, left).map_err(SqlError::Process)? {
                Ready::Nothing => continue,
                Ready::Cancelled => {
                    let why = "nobody waits for it".into();
                    return Err(SqlError::Died { why });
                }
                Ready::Output => {}
            }
            let count = output.read(&mut chunk).map_err(SqlError::Process)?;
            if count == 0 {
                return Ok(rows);
            }
            rows.extend_from_slice(&chunk[..count]);
            if rows.len() as u64 > bytes_max {
                return Err(SqlError::TooLarge { bytes_max });
            }
        }
    }
}

/// What the parent has to look at.
enum Ready {
    Nothing,
    Output,
    Cancelled,
}

/// Waits until there is output, or nobody waits any more.
fn wait(output: &ChildStdout, cancelled: &PipeReader, timeout: Duration) -> io::Result<Ready> {
    let mut fds = [
        PollFd::new(output, PollFlags::IN),
        PollFd::new(cancelled, PollFlags::IN),
    ];
    let timeout = Timespec::try_from(timeout).ok();
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(if !fds[1].revents().is_empty() {
        Ready::Cancelled
    } else if !fds[0].revents().is_empty() {
        Ready::Output
    } else {
        Ready::Nothing
    })
}

/// What a process that has ended said of itself; `None` if it said nothing.
fn error_of(child: &mut Child) -> Option<SqlError> {
    let mut said = Vec::new();
    let errors = child.stderr.take()?;
    errors.take(ERRORS_BYTES_MAX).read_to_end(&mut said).ok()?;
    let said = String::from_utf8_lossy(&said);
    let said = said.trim();
    let said = said.rsplit_once("\nhelp: ").map_or(said, |(said, _)| said);
    let coded = said
        .strip_prefix("error[")
        .and_then(|it| it.split_once("]: "));
    let (code, why) = coded.unwrap_or(("", said));
    let why = why.to_owned();
    match code {
        "" if why.is_empty() => None,
        "bad-sql" => Some(SqlError::Refused { why }),
        "sql-too-expensive" => Some(SqlError::TooExpensive { why }),
        _ => Some(SqlError::Died { why }),
    }
}

/// The messages of a result that is whole: an empty one ends it.
fn messages(mut rows: &[u8]) -> Option<Vec<QuerySqlResponse>> {
    let mut messages = Vec::new();
    while !rows.is_empty() {
        messages.push(QuerySqlResponse::decode_length_delimited(&mut rows).ok()?);
    }
    let end = messages.pop()?;
    (end == QuerySqlResponse::default() && !messages.is_empty()).then_some(messages)
}
