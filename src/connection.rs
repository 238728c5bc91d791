//! How both programs are told where an agent or a colony is, and who they are there.

use std::path::PathBuf;

use clap::Args;

use crate::access::{AccessError, AuthorizedChannel, Endpoint, TlsConfig, connect};
use crate::source::remote::{RemoteAgent, RemoteError};

/// Where an agent listens if nothing else is said.
const USUAL_AGENT: &str = "unix:/run/coral/agent.sock";

/// How to reach an agent or a colony.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConnectionArguments {
    /// The agent: unix:/run/coral/agent.sock, 127.0.0.1:9001, https://node7:9001
    #[arg(long, value_name = "ADDRESS", env = "CORAL_AGENT")]
    agent: Option<String>,
    /// The colony, for all replicas of a service: https://colony:9000, unix:/run/coral/colony.sock
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CORAL_COLONY",
        conflicts_with = "agent"
    )]
    colony: Option<String>,
    /// The CA of its certificate
    #[arg(long, value_name = "FILE")]
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

/// An agent or a colony, and what it takes to connect to it, again and again.
#[derive(Clone, Debug)]
pub(crate) struct AgentAddress {
    /// Where it is.
    pub(crate) endpoint: Endpoint,
    /// Whether it is a colony.
    pub(crate) is_colony: bool,
    tls: Option<TlsConfig>,
    token: Option<String>,
}

impl ConnectionArguments {
    /// Whether an agent or a colony is named, here or by the environment.
    pub(crate) fn is_remote(&self) -> bool {
        self.agent.is_some() || self.colony.is_some()
    }

    /// Whether a colony is named.
    pub(crate) fn is_colony(&self) -> bool {
        self.colony.is_some()
    }

    /// The same without an agent or a colony that is named.
    pub(crate) fn forget(&mut self) {
        (self.agent, self.colony) = (None, None);
    }

    /// Where the agent or the colony is.
    ///
    /// # Errors
    /// If that is no address.
    pub(crate) fn address(&self) -> Result<AgentAddress, AccessError> {
        let is_given = self.ca.is_some() || self.cert.is_some() || self.key.is_some();
        let named = self.colony.as_deref().or(self.agent.as_deref());
        Ok(AgentAddress {
            endpoint: named.unwrap_or(USUAL_AGENT).parse()?,
            is_colony: self.is_colony(),
            tls: is_given.then(|| TlsConfig {
                ca: self.ca.clone(),
                certificate: self.cert.clone(),
                key: self.key.clone(),
            }),
            token: self.token.clone(),
        })
    }

    /// Connects to the agent or the colony.
    ///
    /// # Errors
    /// If it cannot be reached, or what is needed for that cannot be used.
    pub(crate) async fn connect(&self) -> Result<RemoteAgent, RemoteError> {
        self.address()?.connect().await
    }
}

impl AgentAddress {
    /// Connects to the agent or the colony.
    ///
    /// # Errors
    /// If it cannot be reached, or what is needed for that cannot be used.
    pub(crate) async fn connect(&self) -> Result<RemoteAgent, RemoteError> {
        let channel = self.channel().await?;
        Ok(if self.is_colony {
            RemoteAgent::colony_over(channel)
        } else {
            RemoteAgent::over(channel)
        })
    }

    /// Connects, for calls that only a colony has.
    ///
    /// # Errors
    /// As for [`Self::connect`].
    pub(crate) async fn channel(&self) -> Result<AuthorizedChannel, AccessError> {
        connect(&self.endpoint, self.tls.as_ref(), self.token.as_deref()).await
    }
}
