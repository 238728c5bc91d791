//! The section `colony` of `agent.yaml`: which colony the agent belongs to.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;

use crate::access::{Endpoint, Role, TlsConfig};

/// Where journals are kept if nothing else is said.
const SPOOL: &str = "/var/lib/coral/spool";
const SPOOL_MB: u64 = 256;
/// With less, not even what has to stay finds room.
const SPOOL_MB_MIN: u64 = 16;

/// The colony of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UplinkConfig {
    /// Where it is.
    pub url: Endpoint,
    /// The CA that vouches for it.
    pub ca: Option<PathBuf>,
    /// The agent's certificate, which has its name.
    pub cert: Option<PathBuf>,
    /// The certificate's key.
    pub key: Option<PathBuf>,
    /// The agent's token, where it has no certificate.
    pub token_file: Option<PathBuf>,
    /// What the colony may do on this node.
    #[serde(default = "roles")]
    pub roles: BTreeSet<Role>,
    /// What its sessions measure, until the colony has stored it.
    #[serde(default)]
    pub spool: SpoolConfig,
}

/// A folder for journals.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoolConfig {
    /// The folder.
    pub path: PathBuf,
    /// What all journals together may take on the disk, in MiB.
    pub max_mb: u64,
}

impl UplinkConfig {
    /// How the colony is reached by TLS.
    pub fn tls(&self) -> TlsConfig {
        TlsConfig {
            ca: self.ca.clone(),
            certificate: self.cert.clone(),
            key: self.key.clone(),
        }
    }

    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        let files = [
            &mut self.ca,
            &mut self.cert,
            &mut self.key,
            &mut self.token_file,
        ];
        let files = files.into_iter().flatten();
        files.chain([&mut self.spool.path]).collect()
    }

    /// What contradicts itself.
    ///
    /// # Errors
    /// The reason, as a sentence.
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.roles.is_subset(&roles()) {
            return Err("a colony is no `admin` of a node".into());
        }
        if matches!(self.url, Endpoint::Tcp { is_tls: true, .. }) && self.ca.is_none() {
            return Err(format!("the colony at {} needs a `ca`", self.url));
        }
        if self.spool.max_mb < SPOOL_MB_MIN {
            let max_mb = self.spool.max_mb;
            return Err(format!("`max_mb: {max_mb}` is less than {SPOOL_MB_MIN}"));
        }
        Ok(())
    }
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self {
            path: SPOOL.into(),
            max_mb: SPOOL_MB,
        }
    }
}

/// What a colony may do at most, and does if nothing else is said.
fn roles() -> BTreeSet<Role> {
    BTreeSet::from([Role::Read, Role::Attach, Role::Detach, Role::Capture])
}
