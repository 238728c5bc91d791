//! The example as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use coral_proto::sdk::v1::runtime_monitoring_client::RuntimeMonitoringClient;
use tonic::transport::{Channel, Endpoint};

/// Nobody listens there.
pub(crate) const NO_AGENT: &str = "127.0.0.1:1";
const WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Checkout {
    child: Child,
    log: Receiver<String>,
    pub(crate) exe: PathBuf,
    pub(crate) port: u16,
    /// Where its SDK answers.
    pub(crate) sdk_addr: String,
}

impl Checkout {
    pub(crate) fn start(agent_addr: &str, sdk_listen_addr: &str) -> Self {
        let exe = Path::new(env!("CARGO_BIN_EXE_coral-example-checkout"));
        Self::start_from(exe, agent_addr, sdk_listen_addr)
    }

    pub(crate) fn start_from(exe: &Path, agent_addr: &str, sdk_listen_addr: &str) -> Self {
        let mut child = Command::new(exe)
            .args(["0", agent_addr, sdk_listen_addr])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut serving = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut serving).unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        thread::spawn(move || {
            for line in stderr.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        let port = serving
            .split(['t', ','])
            .rev()
            .nth(1)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let mut checkout = Self {
            child,
            log,
            exe: exe.to_owned(),
            port,
            sdk_addr: String::new(),
        };
        checkout.sdk_addr = checkout.wait_for("INFO answering on ");
        checkout
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line of the log; returns what is behind `text`.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        loop {
            let line = self
                .log
                .recv_timeout(WAIT_MAX)
                .unwrap_or_else(|_| panic!("no {text:?}"));
            if let Some((_, rest)) = line.split_once(text) {
                return rest.to_owned();
            }
        }
    }

    pub(crate) async fn client(&self) -> RuntimeMonitoringClient<Channel> {
        let url = match self.sdk_addr.strip_prefix("unix:") {
            Some(_) => self.sdk_addr.clone(),
            None => format!("http://{}", self.sdk_addr),
        };
        let endpoint = Endpoint::from_shared(url).unwrap().timeout(WAIT_MAX);
        let channel = endpoint.connect().await.unwrap();
        RuntimeMonitoringClient::new(channel)
            .max_decoding_message_size(coral_proto::MESSAGE_BYTES_MAX)
    }

    /// The body of the answer of the application itself.
    pub(crate) fn http(&self, method_and_path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
        write!(
            stream,
            "{method_and_path} HTTP/1.1\r\nhost: checkout\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
