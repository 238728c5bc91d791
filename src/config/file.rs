//! The file's shape, and from its text to a configuration.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use coral_model::{Redaction, RedactionError, RedactionRule};
use coral_ui::{Keymap, KeymapError};
use serde::Deserialize;
use toml::Spanned;

use super::{Config, ConfigError, Console, Profile, Session};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConfigFile {
    console: Console,
    session: Session,
    keys: BTreeMap<String, Spanned<Keys>>,
    redaction: Vec<Spanned<RedactionRule>>,
    profiles: BTreeMap<String, Spanned<Profile>>,
}

/// The keys of a command.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a key such as \"Space\", or a list of keys"
)]
enum Keys {
    One(String),
    Many(Vec<String>),
}

impl Config {
    /// Reads the text of a file; paths in it are relative to the file.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let refuse = |span, why: &str| ConfigError::at(path, text, span, why);
        let file: ConfigFile =
            toml::from_str(text).map_err(|error| ConfigError::of_toml(path, text, &error))?;
        let mut console = file.console;
        let theme = std::mem::take(&mut console.theme);
        let folder = path.parent().unwrap_or(Path::new(""));
        console.set_theme(&theme, folder);
        Ok(Self {
            keymap: keymap(&file.keys).map_err(|(span, why)| refuse(span, &why))?,
            redaction: redaction(file.redaction).map_err(|(span, why)| refuse(span, &why))?,
            profiles: profiles(file.profiles, folder).map_err(|(span, why)| refuse(span, &why))?,
            console,
            session: file.session,
        })
    }
}

/// Why, and where.
type Mistake = (Option<Range<usize>>, String);

fn keymap(keys: &BTreeMap<String, Spanned<Keys>>) -> Result<Keymap, Mistake> {
    let overrides: Vec<(String, Vec<String>)> = keys
        .iter()
        .map(|(name, keys)| (name.clone(), keys.get_ref().names()))
        .collect();
    Keymap::new(&overrides).map_err(|error| {
        let is_configured = |name: &&str| keys.contains_key(*name);
        let culprit = match &error {
            KeymapError::UnknownCommand(name) => Some(name.as_str()),
            KeymapError::Key(key) => overrides
                .iter()
                .find(|(_, names)| names.contains(&key.0))
                .map(|(name, _)| name.as_str()),
            KeymapError::Duplicate { first, second, .. } => {
                [*second, *first].into_iter().find(is_configured)
            }
            KeymapError::NoWayOut => Some("quit-now"),
        };
        let span = culprit.and_then(|name| keys.get(name)).map(Spanned::span);
        let hint = match error {
            KeymapError::UnknownCommand(_) => "; `coral-tui --print-keys` names them all",
            _ => "",
        };
        (span, format!("{error}{hint}"))
    })
}

fn redaction(rules: Vec<Spanned<RedactionRule>>) -> Result<Vec<RedactionRule>, Mistake> {
    let spans: Vec<Range<usize>> = rules.iter().map(Spanned::span).collect();
    let rules: Vec<RedactionRule> = rules.into_iter().map(Spanned::into_inner).collect();
    match Redaction::with_rules(&rules) {
        Ok(_) => Ok(rules),
        Err(mut error) => {
            let place = match &mut error {
                RedactionError::Pattern { rule, why, .. } => {
                    // The lines before the last draw the pattern.
                    *why = why.lines().last().unwrap_or_default().to_owned();
                    *rule
                }
                RedactionError::Empty(rule) | RedactionError::Ambiguous(rule) => *rule,
                RedactionError::TooMany => spans.len(),
            };
            let span = place.checked_sub(1).and_then(|index| spans.get(index));
            Err((span.cloned(), error.to_string()))
        }
    }
}

fn profiles(
    profiles: BTreeMap<String, Spanned<Profile>>,
    folder: &Path,
) -> Result<BTreeMap<String, Profile>, Mistake> {
    let checked = profiles.into_iter().map(|(name, profile)| {
        if let Some(why) = profile.get_ref().mistake() {
            return Err((Some(profile.span()), format!("profile `{name}`: {why}")));
        }
        Ok((name, profile.into_inner().in_folder(folder)))
    });
    checked.collect()
}

impl Keys {
    fn names(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name.clone()],
            Self::Many(names) => names.clone(),
        }
    }
}
