//! The configuration of the colony: `colony.yaml`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use coral_model::Limits;
use serde::Deserialize;

use super::{ConfigError, ExportConfig, paths, values};
use crate::access::audit::AuditSettings;
use crate::access::{Services, Settings};

/// Where privileged requests are written down if nothing else is said.
const AUDIT_LOG: &str = "/var/lib/coral/colony-audit.jsonl";
/// Where the history lies if nothing else is said.
const HISTORY: &str = "/var/lib/coral/history.duckdb";
const HOUR: Duration = Duration::from_secs(3_600);

/// The file with every key, its default and what it means.
pub const COLONY_YAML: &str = include_str!("colony.yaml");

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    colony: ColonyConfig,
}

/// How the colony behaves.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColonyConfig {
    /// Under which name others know it; empty for the host's name.
    pub id: String,
    /// Where it listens: `unix:PATH` or `HOST:PORT`.
    pub listen: Vec<String>,
    /// Sessions.
    pub debug: ColonyDebug,
    /// An agent of which nothing is heard for so long counts as lost.
    #[serde(with = "values::period")]
    pub agent_lease: Duration,
    /// Who may do what.
    pub access: Settings,
    /// Where privileged requests are written down; where there is `null`, they are not.
    pub audit: Option<AuditSettings>,
}

/// What sessions may, and what is kept of them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColonyDebug {
    /// Whether sessions can be started at all.
    pub enabled: bool,
    /// Their lengths and their number.
    pub sessions: ColonySessions,
    /// What is kept of them.
    pub storage: Storage,
    /// Where that goes besides.
    pub export: ExportConfig,
    /// What assistants may do by themselves.
    pub ai: Ai,
    /// Services whose sessions need the word of a second person.
    pub production: Services,
    /// How long a request waits for that word.
    #[serde(with = "values::period")]
    pub approval_timeout: Duration,
}

/// The lengths and the number of sessions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColonySessions {
    /// A session's length if nothing else is asked for.
    #[serde(with = "values::lease")]
    pub default_duration: Duration,
    /// The longest; agents have a limit of their own.
    #[serde(with = "values::lease")]
    pub max_duration: Duration,
    /// Sessions at the same time.
    pub max_concurrent: usize,
    /// Sessions that are over are forgotten after that time, where there is no history.
    #[serde(with = "values::period")]
    pub auto_cleanup_after: Duration,
}

/// What is kept of sessions, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// The history's file; `null` for none.
    pub path: Option<PathBuf>,
    /// How long single calls are kept.
    #[serde(with = "values::period")]
    pub events_retention: Duration,
    /// How long sessions with their numbers are kept.
    #[serde(with = "values::period")]
    pub sessions_retention: Duration,
}

/// What assistants may do by themselves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ai {
    /// Whether they may attach probes.
    pub auto_attach_probes: bool,
    /// To how many functions for one question.
    pub max_probes_per_query: usize,
}

impl ColonyConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or a key or a value is not one that is known: where, and what would
    /// be.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            super::read(path).map_err(|error| ConfigError::unreadable(path, &error).of_colony())?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut file: File = serde_saphyr::from_str(text)
            .map_err(|error| ConfigError::of_yaml(path, &error).of_colony())?;
        paths::relative_to(path, file.colony.paths());
        let debug = &file.colony.debug;
        if debug.storage.path.is_none() && debug.export != ExportConfig::default() {
            let why = "`export` sends what the history holds, and `storage.path` is null";
            return Err(ConfigError::at(path, text, None, why).of_colony());
        }
        Ok(file.colony)
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let mut paths = paths::of_access(&mut self.access);
        paths.extend(paths::of_audit(&mut self.audit));
        paths.extend(&mut self.debug.storage.path);
        paths.extend(self.debug.export.paths());
        paths
    }
}

impl Default for ColonyConfig {
    fn default() -> Self {
        Self {
            id: String::new(),
            listen: vec![
                "unix:/run/coral/colony.sock".into(),
                "127.0.0.1:9000".into(),
            ],
            debug: ColonyDebug::default(),
            agent_lease: Duration::from_secs(10),
            access: Settings::default(),
            audit: Some(AuditSettings::at(AUDIT_LOG)),
        }
    }
}

impl Default for ColonyDebug {
    fn default() -> Self {
        Self {
            enabled: true,
            sessions: ColonySessions::default(),
            storage: Storage::default(),
            export: ExportConfig::default(),
            ai: Ai::default(),
            production: Services::default(),
            approval_timeout: Duration::from_secs(600),
        }
    }
}

impl Default for ColonySessions {
    fn default() -> Self {
        Self {
            default_duration: Limits::DEFAULT_DURATION,
            max_duration: Limits::default().duration,
            max_concurrent: 100,
            auto_cleanup_after: 24 * HOUR,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            path: Some(HISTORY.into()),
            events_retention: 24 * HOUR,
            sessions_retention: 7 * 24 * HOUR,
        }
    }
}

impl Default for Ai {
    fn default() -> Self {
        Self {
            auto_attach_probes: true,
            max_probes_per_query: 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ColonyConfig, String> {
        ColonyConfig::parse(Path::new("colony.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_printed_file_means_the_defaults() {
        assert_eq!(parse(COLONY_YAML), Ok(ColonyConfig::default()));
        assert_eq!(parse("colony: {}"), Ok(ColonyConfig::default()));
    }

    #[test]
    fn the_documented_keys_are_read() {
        let text = "
colony:
    debug:
        enabled: true
        sessions: {default_duration: 30s, max_duration: 300s, auto_cleanup_after: 24h}
        storage: {path: null, events_retention: 24h, sessions_retention: 7d}
        ai: {auto_attach_probes: false, max_probes_per_query: 2}
        production: [checkout, \"pay-*\"]
";
        let config = parse(text).unwrap();
        let sessions = &config.debug.sessions;
        assert_eq!(sessions.default_duration, Duration::from_secs(30));
        assert_eq!(config.debug.storage.path, None);
        assert_eq!(config.debug.storage.sessions_retention, 7 * 24 * HOUR);
        assert!(config.debug.production.contain("pay-eu"));
    }

    #[test]
    fn the_history_can_go_elsewhere_where_there_is_one() {
        let text = |path: &str| {
            format!(
                "colony:\n    debug:\n        storage: {{path: {path}}}\n        export:\n            \
                 otlp: {{endpoint: 'http://collector:4317', spans: false}}\n            \
                 parquet: {{url: 's3://bucket/coral', every: 10m}}\n"
            )
        };
        let export = parse(&text("/srv/history")).unwrap().debug.export;
        let otlp = export.otlp.unwrap();
        assert_eq!(otlp.endpoint.to_string(), "http://collector:4317");
        assert!(otlp.metrics && !otlp.spans);
        assert_eq!(export.parquet.unwrap().every, Duration::from_secs(600));
        let error = parse(&text("null")).unwrap_err();
        assert!(error.contains("`storage.path` is null"), "{error}");
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = parse("colony:\n    idd: x\n").unwrap_err();
        assert!(
            error.starts_with("colony.yaml:2:") && error.contains("idd"),
            "{error}"
        );
    }
}
