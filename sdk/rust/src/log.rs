//! The library's log: lines on the standard error, or the application's own way.

use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// How grave a line of the log is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What does not work and will not by itself.
    Error,
    /// What does not work now.
    #[default]
    Warn,
    /// What an operator wants to know: registrations and sessions.
    Info,
    /// What explains the rest.
    Debug,
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        })
    }
}

type Callback = dyn Fn(LogLevel, &str) + Send + Sync;

/// Where the log goes: to the standard error unless the application gives a function.
#[derive(Clone, Default)]
pub struct LogSink(Option<Arc<Callback>>);

impl LogSink {
    /// Lets the application log by itself. The function runs on the background thread.
    pub fn new(callback: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(callback)))
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "LogSink::new(..)",
            None => "LogSink::default()",
        })
    }
}

/// Writes to a sink what is grave enough. Used on the background thread alone: a pipe that nobody
/// reads must not stop the application.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    level: LogLevel,
    sink: LogSink,
}

impl Log {
    pub(crate) fn new(level: LogLevel, sink: LogSink) -> Self {
        Self { level, sink }
    }

    pub(crate) fn write(&self, level: LogLevel, message: &str) {
        if level > self.level {
            return;
        }
        match &self.sink.0 {
            // The application's function may panic; its monitoring goes on.
            Some(callback) => drop(catch_unwind(AssertUnwindSafe(|| callback(level, message)))),
            // Without a standard error there is nobody to tell.
            None => drop(writeln!(io::stderr(), "coral-sdk {level} {message}")),
        }
    }
}

/// Text from outside as it may stand in a log: on one line, without control characters, bounded.
pub(crate) fn escaped(text: &str) -> String {
    const CHARS_MAX: usize = 500;
    let shown = text.chars().take(CHARS_MAX);
    shown.flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_is_not_grave_enough_is_not_logged() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let sink = LogSink::new(move |level, line: &str| {
            kept.lock().unwrap().push((level, line.to_owned()));
        });
        let log = Log::new(LogLevel::Warn, sink);
        log.write(LogLevel::Error, "a");
        log.write(LogLevel::Warn, "b");
        log.write(LogLevel::Info, "c");
        let expected = [
            (LogLevel::Error, "a".to_owned()),
            (LogLevel::Warn, "b".to_owned()),
        ];
        assert_eq!(*lines.lock().unwrap(), expected);
    }

    #[test]
    fn a_panic_of_the_applications_own_function_stays_there() {
        let log = Log::new(LogLevel::Info, LogSink::new(|_, _| panic!("planted")));
        log.write(LogLevel::Info, "a line");
    }

    #[test]
    fn text_from_outside_stays_on_its_line() {
        assert_eq!(escaped("a\u{1b}[2J\nb\u{202e}"), "a\\u{1b}[2J\\nb\\u{202e}");
        assert_eq!(escaped(&"a".repeat(10_000)).len(), 500);
    }
}
