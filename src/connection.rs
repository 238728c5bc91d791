//! How both programs are told where an agent is, and who they are there.

use std::path::PathBuf;

use clap::Args;

use crate::access::{AccessError, Endpoint, TlsConfig};
use crate::source::remote::{RemoteAgent, RemoteError};

/// Where an agent listens if nothing else is said.
const USUAL_AGENT: &str = "unix:/run/coral/agent.sock";

/// How to reach an agent.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConnectionArguments {
    /// The agent: unix:/run/coral/agent.sock, 127.0.0.1:9001, https://node7:9001
    #[arg(long, value_name = "ADDRESS", env = "CORAL_AGENT")]
    pub(crate) agent: Option<String>,
    /// The CA of its certificate
    #[arg(long, value_name = "FILE", requires = "agent")]
    ca: Option<PathBuf>,
    /// The own certificate
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The own certificate's key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// A token
    #[arg(
        long,
        value_name = "TOKEN",
        env = "CORAL_TOKEN",
        hide_env_values = true
    )]
    token: Option<String>,
}

/// An agent, and what it takes to connect to it, again and again.
#[derive(Clone, Debug)]
pub(crate) struct AgentAddress {
    /// Where it is.
    pub(crate) endpoint: Endpoint,
    tls: Option<TlsConfig>,
    token: Option<String>,
}

impl ConnectionArguments {
    /// Where the agent is.
    ///
    /// # Errors
    /// If that is no address.
    pub(crate) fn address(&self) -> Result<AgentAddress, AccessError> {
        let is_given = self.ca.is_some() || self.cert.is_some() || self.key.is_some();
        Ok(AgentAddress {
            endpoint: self.agent.as_deref().unwrap_or(USUAL_AGENT).parse()?,
            tls: is_given.then(|| TlsConfig {
                ca: self.ca.clone(),
                certificate: self.cert.clone(),
                key: self.key.clone(),
            }),
            token: self.token.clone(),
        })
    }

    /// Connects to the agent.
    ///
    /// # Errors
    /// If it cannot be reached, or what is needed for that cannot be used.
    pub(crate) async fn connect(&self) -> Result<RemoteAgent, RemoteError> {
        self.address()?.connect().await
    }
}

impl AgentAddress {
    /// Connects to the agent.
    ///
    /// # Errors
    /// If it cannot be reached, or what is needed for that cannot be used.
    pub(crate) async fn connect(&self) -> Result<RemoteAgent, RemoteError> {
        RemoteAgent::connect(&self.endpoint, self.tls.as_ref(), self.token.as_deref()).await
    }
}
