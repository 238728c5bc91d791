//! How both programs are told where an agent or a colony is, and who they are there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use coral_model::{Escaped, ExitStatus};

use crate::access::{AccessError, AuthorizedChannel, Endpoint, TlsConfig, connect, read_token};
use crate::config::{Config, ConfigError, Profile};
use crate::failure::Failure;
use crate::source::remote::{RemoteAgent, RemoteError};

/// Where an agent listens if nothing else is said.
const USUAL_AGENT: &str = "unix:/run/coral/agent.sock";

/// How to reach an agent or a colony.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ConnectionArguments {
    /// The agent: unix:/run/coral/agent.sock, 127.0.0.1:9001, https://node7:9001
    /// [env: CORAL_AGENT]
    #[arg(long, value_name = "ADDRESS", group = "peer")]
    agent: Option<String>,
    /// The colony, for all replicas of a service: https://colony:9000, unix:/run/coral/colony.sock
    /// [env: CORAL_COLONY]
    #[arg(long, value_name = "ADDRESS", group = "peer")]
    colony: Option<String>,
    /// The agent or the colony of that name in the configuration [env: CORAL_PROFILE]
    #[arg(long, value_name = "NAME", group = "peer")]
    profile: Option<String>,
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
    /// Read this configuration instead of $XDG_CONFIG_HOME/coral/config.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whether what the environment names does not count.
    #[arg(skip)]
    is_alone: bool,
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
    /// What is configured.
    ///
    /// # Errors
    /// If the file cannot be read, or says something that means nothing.
    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref())
    }

    /// Whether an agent or a colony is named, here or by the environment.
    pub(crate) fn is_remote(&self) -> bool {
        self.named().is_some()
    }

    /// The option of the command line that names an agent or a colony.
    pub(crate) fn option(&self) -> Option<&'static str> {
        let given = [
            ("--agent", &self.agent),
            ("--colony", &self.colony),
            ("--profile", &self.profile),
        ];
        let mut given = given.into_iter().filter(|(_, value)| value.is_some());
        given.next().map(|(option, _)| option)
    }

    /// Lets what the environment names not count.
    pub(crate) fn forget_environment(&mut self) {
        self.is_alone = true;
    }

    /// Where the agent or the colony is, and who one is there.
    ///
    /// # Errors
    /// If there is no such profile, or what it or the command line says cannot be used.
    pub(crate) fn address(&self) -> Result<AgentAddress, Failure> {
        // A mistake in it is told wherever the address comes from.
        let mut profiles = self.config()?.profiles;
        let mut profile = match self.named() {
            None => Profile {
                agent: Some(USUAL_AGENT.into()),
                ..Profile::default()
            },
            Some(Named::Agent(agent)) => Profile {
                agent: Some(agent),
                ..Profile::default()
            },
            Some(Named::Colony(colony)) => Profile {
                colony: Some(colony),
                ..Profile::default()
            },
            Some(Named::Profile(name)) => take_profile(&mut profiles, &name)?,
        };
        if let Some(ca) = &self.ca {
            profile.ca = Some(ca.clone());
        }
        if self.cert.is_some() {
            (profile.cert, profile.key) = (self.cert.clone(), self.key.clone());
        }
        let token = match (&self.token, &profile.token_file) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(path)) => Some(read_token(path)?),
            (None, None) => None,
        };
        let has_tls = profile.ca.is_some() || profile.cert.is_some();
        let named = profile.colony.as_deref().or(profile.agent.as_deref());
        Ok(AgentAddress {
            endpoint: named.unwrap_or(USUAL_AGENT).parse()?,
            is_colony: profile.colony.is_some(),
            tls: has_tls.then(|| TlsConfig {
                ca: profile.ca.clone(),
                certificate: profile.cert.clone(),
                key: profile.key.clone(),
            }),
            token,
        })
    }

    /// Connects to the agent or the colony.
    ///
    /// # Errors
    /// If it cannot be reached, or what is needed for that cannot be used.
    pub(crate) async fn connect(&self) -> Result<RemoteAgent, Failure> {
        Ok(self.address()?.connect().await?)
    }

    /// What is named: the command line wins, and one environment variable over the next.
    fn named(&self) -> Option<Named> {
        let of_environment = |name| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.filter(|_| !self.is_alone && self.option().is_none())
        };
        let or = |given: &Option<String>, name| given.clone().or_else(|| of_environment(name));
        None.or_else(|| or(&self.profile, "CORAL_PROFILE").map(Named::Profile))
            .or_else(|| or(&self.colony, "CORAL_COLONY").map(Named::Colony))
            .or_else(|| or(&self.agent, "CORAL_AGENT").map(Named::Agent))
    }
}

fn take_profile(profiles: &mut BTreeMap<String, Profile>, name: &str) -> Result<Profile, Failure> {
    profiles.remove(name).ok_or_else(|| {
        let known: Vec<String> = profiles.keys().map(|name| format!("`{name}`")).collect();
        let help = match known.as_slice() {
            [] => "write [profiles.NAME] in the configuration: `coral-tui --print-config`".into(),
            known => format!("the configuration has {}", known.join(", ")),
        };
        let message = format!("the configuration has no profile `{}`", Escaped(name));
        Failure::new("no-such-profile", message, help, ExitStatus::Usage)
    })
}

/// What an agent or a colony is named by.
enum Named {
    Agent(String),
    Colony(String),
    Profile(String),
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
