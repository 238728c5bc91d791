//! Connections by names of the user's own.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::access::Endpoint;

/// An agent or a colony, and who one is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Where the colony is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colony: Option<String>,
    /// Where the agent is, instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The CA of its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The own certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// The own certificate's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The file that holds a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
}

impl Profile {
    /// Why it cannot be used.
    pub(super) fn mistake(&self) -> Option<String> {
        let address = match (&self.colony, &self.agent) {
            (Some(_), Some(_)) => return Some("it names both a colony and an agent".into()),
            (None, None) => return Some("it names neither a `colony` nor an `agent`".into()),
            (Some(address), None) | (None, Some(address)) => address,
        };
        if self.cert.is_some() != self.key.is_some() {
            return Some("`cert` and `key` go together".into());
        }
        let parsed = address.parse::<Endpoint>();
        parsed.err().map(|error| error.to_string())
    }

    /// The same with paths that do not depend on where a program runs.
    pub(super) fn in_folder(self, folder: &Path) -> Self {
        let in_folder = |path: Option<PathBuf>| path.map(|path| folder.join(path));
        Self {
            ca: in_folder(self.ca),
            cert: in_folder(self.cert),
            key: in_folder(self.key),
            token_file: in_folder(self.token_file),
            ..self
        }
    }
}
