//! The configuration of the agent: `agent.yaml`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use coral_model::{Limits, SessionSettings};
use serde::Deserialize;

use super::{ConfigError, UplinkConfig, paths, values};
use crate::access::Settings;
use crate::access::audit::AuditSettings;

/// Where privileged requests are written down if nothing else is said.
const AUDIT_LOG: &str = "/var/lib/coral/audit.jsonl";

/// The file with every key, its default and what it means.
pub const AGENT_YAML: &str = include_str!("agent.yaml");

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    agent: AgentConfig,
}

/// How the agent of a node behaves.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// Under which name others know it; empty for the host's name.
    pub id: String,
    /// Where it listens: `unix:PATH` or `HOST:PORT`.
    pub listen: Vec<String>,
    /// Sessions.
    pub debug: DebugConfig,
    /// Services that do not make themselves known.
    pub services: Vec<ServiceRule>,
    /// Who may do what.
    pub access: Settings,
    /// Where privileged requests are written down; where there is `null`, they are not.
    pub audit: Option<AuditSettings>,
    /// The colony that it belongs to, if it belongs to one.
    pub colony: Option<UplinkConfig>,
}

/// What sessions may.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DebugConfig {
    /// Whether sessions can be started at all.
    pub enabled: bool,
    /// The servers of applications that link the SDK.
    pub sdk_api: SdkApi,
    /// What is over one of these is refused with its name.
    pub limits: LimitsConfig,
    /// What probes may cost if nothing else is asked for, in percent of a core.
    #[serde(with = "values::budget_percent")]
    pub budget_percent: Option<f64>,
    /// Whether executables without DWARF are refused.
    pub require_dwarf: bool,
}

/// How applications that link the SDK are asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SdkApi {
    /// Where an application's server is looked for that does not say.
    pub listen_addr: String,
    /// Where an application that runs Coral's SDK for Go answers over HTTP.
    pub http_addr: String,
    /// How long it may take to answer.
    #[serde(with = "values::lease")]
    pub timeout: Duration,
}

/// The agent's limits, by the names of the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)] // see `coral_model::Limits`
pub struct LimitsConfig {
    pub max_concurrent_sessions: usize,
    #[serde(with = "values::lease")]
    pub max_session_duration: Duration,
    pub max_functions_per_session: usize,
    pub max_events_per_second: u32,
    pub max_memory_mb: u64,
}

/// Which processes are a service; all that is given has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceRule {
    /// The service's name.
    pub name: String,
    /// The name or the path of its executable; `*` stands for anything.
    pub executable: Option<String>,
    /// A port that it listens on.
    pub port: Option<u16>,
    /// How its container's id begins.
    pub container: Option<String>,
}

impl AgentConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or a key or a value is not one that is known: where, and what would
    /// be.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            super::read(path).map_err(|error| ConfigError::unreadable(path, &error).of_agent())?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let file: File =
            serde_saphyr::from_str(text).map_err(|error| ConfigError::of_yaml(path, &error))?;
        let mut config = file.agent;
        paths::relative_to(path, config.paths());
        let refuse = |why: String| Err(ConfigError::at(path, text, None, &why).of_agent());
        for rule in &config.services {
            if rule.name.is_empty() {
                return refuse("a service needs a `name`".into());
            }
            if rule.executable.is_none() && rule.port.is_none() && rule.container.is_none() {
                let name = &rule.name;
                return refuse(format!(
                    "the service `{name}` needs an `executable`, a `port` or a `container`"
                ));
            }
        }
        if let Some(Err(why)) = config.colony.as_ref().map(UplinkConfig::check) {
            return refuse(why);
        }
        Ok(config)
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = paths::of_access(&mut self.access);
        paths.extend(paths::of_audit(&mut self.audit));
        paths.extend(self.colony.iter_mut().flat_map(UplinkConfig::paths));
        paths
    }

    /// The limits of its sessions.
    pub fn limits(&self) -> Limits {
        let limits = &self.debug.limits;
        Limits {
            sessions: limits.max_concurrent_sessions,
            functions_per_session: limits.max_functions_per_session,
            duration: limits.max_session_duration,
            records_per_s: limits.max_events_per_second,
            memory_bytes: limits.max_memory_mb << 20,
        }
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            id: String::new(),
            listen: vec!["unix:/run/coral/agent.sock".into(), "127.0.0.1:9001".into()],
            debug: DebugConfig::default(),
            services: Vec::new(),
            access: Settings::default(),
            audit: Some(AuditSettings::at(AUDIT_LOG)),
            colony: None,
        }
    }
}

impl Default for DebugConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            sdk_api: SdkApi::default(),
            limits: LimitsConfig::default(),
            budget_percent: Some(SessionSettings::DEFAULT_BUDGET_PERCENT),
            require_dwarf: false,
        }
    }
}

impl Default for SdkApi {
    fn default() -> Self {
        Self {
            listen_addr: "127.0.0.1:9092".into(),
            http_addr: "127.0.0.1:9002".into(),
            timeout: Duration::from_secs(5),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            max_concurrent_sessions: limits.sessions,
            max_session_duration: limits.duration,
            max_functions_per_session: limits.functions_per_session,
            max_events_per_second: limits.records_per_s,
            max_memory_mb: limits.memory_bytes >> 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;

    fn parse(text: &str) -> Result<AgentConfig, String> {
        AgentConfig::parse(Path::new("agent.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_printed_file_means_the_defaults() {
        assert_eq!(parse(AGENT_YAML), Ok(AgentConfig::default()));
        assert_eq!(parse("agent: {}"), Ok(AgentConfig::default()));
    }

    #[test]
    fn what_is_written_counts() {
        let text = "
agent:
    id: node-7
    listen: [unix:/tmp/a.sock]
    debug:
        limits: {max_concurrent_sessions: 2, max_session_duration: 30s, max_memory_mb: 64}
        budget_percent: none
    services:
        - {name: shop, executable: /srv/*/shop, port: 8080}
";
        let config = parse(text).unwrap();
        assert_eq!(config.id, "node-7");
        assert_eq!(config.limits().sessions, 2);
        assert_eq!(config.limits().duration, Duration::from_secs(30));
        assert_eq!(config.limits().memory_bytes, 64 << 20);
        assert_eq!(config.debug.budget_percent, None);
        assert_eq!(config.services[0].port, Some(8080));
    }

    #[test]
    fn a_colony_may_not_do_everything() {
        let text = "
agent:
    colony: {url: 'https://c:9000', ca: ca.pem, cert: a.pem, key: a-key.pem, spool: {max_mb: 64}}
";
        let colony = parse(text).unwrap().colony.unwrap();
        assert_eq!(colony.url.to_string(), "https://c:9000");
        assert_eq!(colony.roles.len(), 4);
        assert!(!colony.roles.contains(&Role::Admin));
        assert_eq!(colony.spool.max_mb, 64);
        assert_eq!(colony.spool.path, Path::new("/var/lib/coral/spool"));
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let text = "
agent:
    access: {tls: {ca: ca.pem, certificate: /a.pem, key: a-key.pem}}
    audit: {path: audit.jsonl}
    colony: {url: 'https://c:9000', ca: ca.pem, token_file: ../token}
";
        let path = Path::new("/etc/coral/agent.yaml");
        let config = AgentConfig::parse(path, text).unwrap();
        let tls = config.access.tls.unwrap();
        assert_eq!(tls.ca.unwrap(), Path::new("/etc/coral/ca.pem"));
        assert_eq!(tls.certificate.unwrap(), Path::new("/a.pem"));
        let audit = config.audit.unwrap();
        assert_eq!(audit.path, Path::new("/etc/coral/audit.jsonl"));
        let colony = config.colony.unwrap();
        assert_eq!(colony.ca.unwrap(), Path::new("/etc/coral/ca.pem"));
        let token = colony.token_file.unwrap();
        assert_eq!(token, Path::new("/etc/coral/../token"));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, place, what) in [
            ("agent:\n    idd: x\n", "agent.yaml:2:", "idd"),
            (
                "agent:\n    debug:\n        enabled: maybe\n",
                "agent.yaml:3:",
                "invalid boolean",
            ),
            ("agent:\n    listen: [\n", "agent.yaml:", ""),
            (
                "agent:\n    colony: {url: 'unix:/c.sock', roles: [admin]}\n",
                "agent.yaml:",
                "no `admin`",
            ),
            (
                "agent:\n    colony: {url: 'https://c:9000'}\n",
                "agent.yaml:",
                "needs a `ca`",
            ),
            (
                "agent:\n    colony: {url: 'unix:/c.sock', spool: {max_mb: 1}}\n",
                "agent.yaml:",
                "less than 16",
            ),
            (
                "agent:\n    services: [{name: a}]\n",
                "agent.yaml:",
                "`a` needs an `executable`",
            ),
            (
                "agent:\n    debug:\n        limits: {max_session_duration: soon}\n",
                "agent.yaml:3:",
                "soon",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.starts_with(place) && error.contains(what),
                "{text}: {error}"
            );
        }
    }
}
