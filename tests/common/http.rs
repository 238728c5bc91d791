//! The HTTP service under test, and the truth it tells.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde::Deserialize;

use super::lines::{DEADLINE, Lines};

/// What the service knows of its completed calls. `tests/targets/README.md` has the details.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct ServiceTruth {
    /// Requests by path.
    pub(crate) paths: BTreeMap<String, u64>,
    /// Calls by function.
    pub(crate) functions: BTreeMap<String, u64>,
    /// Those of them that returned an error.
    pub(crate) failed: BTreeMap<String, u64>,
}

/// A running service. Dropping it ends it.
pub(crate) struct Service {
    child: Child,
    answers: Lines,
    pub(crate) port: u16,
}

impl Service {
    /// Starts that binary and waits until it listens.
    pub(crate) fn spawn(binary: &Path) -> Self {
        Self::start(&mut Command::new(binary))
    }

    /// Starts a command, which has the binary and its arguments.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = Lines::of(child.stdout.take().unwrap());
        let ready = answers.next().expect("the service starts").unwrap();
        let port = ready.strip_prefix("ready ").unwrap().parse().unwrap();
        Self {
            child,
            answers,
            port,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The status and the body of the answer to a GET request.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        request(self.port, &format!("GET {path}"))
    }

    /// What it answers to a line of its input.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        writeln!(self.child.stdin.as_ref().unwrap(), "{line}").unwrap();
        self.answers.next().expect("the service answers").unwrap()
    }

    /// The truth, while no request is under way.
    pub(crate) fn truth(&mut self) -> ServiceTruth {
        let line = self.ask("truth");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Ends it as a user of it would, and returns its status.
    pub(crate) fn quit(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.answers.drain().expect("the service ends");
        self.child.wait().unwrap()
    }
}

/// The status and the body of the answer to a request without a body, such as `GET /`.
pub(crate) fn request(port: u16, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // Without HTTP/1.1 the answer ends with the connection.
    write!(stream, "{request} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
