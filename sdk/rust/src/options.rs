//! What an application may choose.

use std::time::Duration;

use crate::Error;
use crate::log::{LogLevel, LogSink};

const TEXT_BYTES_MAX: usize = 255;

/// How an application is registered, and where it answers.
///
/// ```
/// let options = coral_sdk::Options {
///     port: 8080,
///     health_endpoint: "/health".into(),
///     ..Default::default()
/// };
/// assert_eq!(options.agent_addr, "127.0.0.1:9001");
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The port that the application itself serves; 0 if it serves none.
    pub port: u16,
    /// Where the application tells whether it is well, such as `/health`; empty if nowhere.
    pub health_endpoint: String,
    /// The agent of this node: `IP:PORT` or `unix:/path`.
    pub agent_addr: String,
    /// Where the agent may ask: `IP:PORT` on the loopback interface (port 0 takes a free one), or
    /// `unix:/path`, whose rights follow the process's umask.
    pub sdk_listen_addr: String,
    /// What is logged: this level and graver ones.
    pub log_level: LogLevel,
    /// Where the log goes.
    pub log: LogSink,
    /// For how long the list of functions stays in memory after the last question.
    pub index_retention: Duration,
    /// Read the program anew on SIGHUP. A handler of the application's own that is installed before
    /// this library's is called as ever; without one, the process outlives the signal from then on.
    pub refresh_on_sighup: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            health_endpoint: String::new(),
            agent_addr: "127.0.0.1:9001".to_owned(),
            sdk_listen_addr: "127.0.0.1:9092".to_owned(),
            log_level: LogLevel::default(),
            log: LogSink::default(),
            index_retention: Duration::from_secs(60),
            refresh_on_sighup: true,
        }
    }
}

/// Refuses text that a list of services could not show.
pub(crate) fn check_text(what: &'static str, value: &str) -> Result<(), Error> {
    let reason = if value.len() > TEXT_BYTES_MAX {
        "it is too long"
    } else if value.chars().any(char::is_control) {
        "it holds control characters"
    } else {
        return Ok(());
    };
    Err(Error::InvalidText {
        what,
        value: value.chars().take(TEXT_BYTES_MAX).collect(),
        reason,
    })
}
