//! What a user has configured: `config.toml`, read once when a program starts.
//!
//! Both programs read the same file, and refuse it with the place of the first mistake. `Display`
//! of a [`Config`] is the file that means the same, with an explanation of every key.

mod agent;
mod colony;
mod error;
mod export;
mod file;
mod paths;
mod print;
mod profile;
#[cfg(test)]
mod tests;
mod uplink;
mod values;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use coral_model::{Limits, Redaction, RedactionRule, SessionSettings};
use coral_ui::{Keymap, Options};
use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;
use serde::{Deserialize, Serialize};

pub use agent::{AGENT_YAML, AgentConfig, DebugConfig, LimitsConfig, SdkApi, ServiceRule};
pub use colony::{Ai, COLONY_YAML, ColonyConfig, ColonyDebug, ColonySessions, Storage};
pub use error::ConfigError;
pub use export::{ExportConfig, ObjectsUrl, OtlpConfig, ParquetConfig};
pub use profile::Profile;
pub use uplink::{SpoolConfig, UplinkConfig};

/// Larger files are no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The full-screen console.
    pub console: Console,
    /// Sessions of both programs.
    pub session: Session,
    /// The keys of the console.
    pub keymap: Keymap,
    /// Agents and colonies by names of the user's own.
    pub profiles: BTreeMap<String, Profile>,
    /// Rules that hide values, behind the ones that are compiled in; they have been compiled once.
    redaction: Vec<RedactionRule>,
}

/// How the console looks and behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// `auto`, the name of a theme that is compiled in, or a theme's file.
    #[serde(deserialize_with = "values::theme")]
    pub theme: String,
    /// Whether the mouse is used; if not, the terminal selects text with it as ever.
    pub mouse: bool,
    /// The colours that the terminal has.
    #[serde(deserialize_with = "values::word")]
    pub colors: ColorChoice,
    /// The characters that the terminal has.
    #[serde(deserialize_with = "values::word")]
    pub glyphs: GlyphChoice,
    /// What was measured is kept in about so much memory at most, in MiB.
    #[serde(deserialize_with = "values::record_memory_mib")]
    pub record_memory_mib: usize,
}

/// What a session may, if nothing else is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// How long probes stay.
    #[serde(with = "values::lease")]
    pub lease: Duration,
    /// What probes may cost, in percent of a core; `None` for no limit.
    #[serde(with = "values::budget_percent")]
    pub budget_percent: Option<f64>,
}

/// The colours to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorChoice {
    /// Those that the environment tells of.
    #[default]
    Auto,
    /// None: bold, underlined and reversed only.
    None,
    /// The sixteen of ANSI.
    #[serde(rename = "16")]
    Ansi16,
    /// The 256 of xterm.
    #[serde(rename = "256")]
    Ansi256,
    /// 24 bits.
    True,
}

/// The characters to draw with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GlyphChoice {
    /// Those that the locale tells of.
    #[default]
    Auto,
    /// Boxes, blocks and arrows.
    Unicode,
    /// Nothing beyond ASCII.
    Ascii,
}

impl Config {
    /// Reads the file that was named, else the user's own if there is one.
    ///
    /// # Errors
    /// If a file cannot be read, or says something that means nothing.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = named.map(Path::to_owned).or_else(user_path) else {
            return Ok(Self::default());
        };
        match read(&path) {
            Ok(text) => Self::parse(&path, &text),
            // Nor is there one where the home is somebody else's and cannot be looked into.
            Err(_) if named.is_none() && !path.exists() => Ok(Self::default()),
            Err(error) => Err(ConfigError::unreadable(&path, &error)),
        }
    }

    /// The rules by which values are hidden.
    pub fn redaction(&self) -> Redaction {
        Redaction::with_rules(&self.redaction).expect("rules are compiled when they are read")
    }
}

impl Console {
    /// Sets the theme; a file's path is relative to a folder.
    pub fn set_theme(&mut self, theme: &str, folder: &Path) {
        self.theme = if values::is_theme_name(theme) {
            theme.to_owned()
        } else {
            folder.join(theme).display().to_string()
        };
    }
}

impl Default for Console {
    fn default() -> Self {
        Self {
            theme: "auto".into(),
            mouse: true,
            colors: ColorChoice::default(),
            glyphs: GlyphChoice::default(),
            record_memory_mib: Options::RECORD_MEMORY_BYTES >> 20,
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            lease: Limits::DEFAULT_DURATION,
            budget_percent: Some(SessionSettings::DEFAULT_BUDGET_PERCENT),
        }
    }
}

/// Where the user's own file is, if there is one: `$XDG_CONFIG_HOME/coral/config.toml`.
fn user_path() -> Option<PathBuf> {
    let folders = Xdg::new().ok()?;
    Some(folders.config_dir().join("coral/config.toml"))
}

/// The folder for what programs of this user keep, if there is one: `$XDG_STATE_HOME`.
pub fn state_folder() -> Option<PathBuf> {
    let folder = Xdg::new().ok()?.state_dir()?;
    // A home that is relative would be another one in every folder.
    folder.is_absolute().then_some(folder)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}
