//! Who may do what, as a server's configuration says it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;

use super::{AccessError, Role, Services, Sha256, TlsConfig};

/// Who may do what. With the defaults, root and the server's own user are admins over a unix
/// socket, and nobody else is anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The server's certificate, and the CA of its clients'.
    pub tls: Option<TlsConfig>,
    /// The id of the group that may connect to a unix socket; else only its owner may.
    pub socket_group: Option<u32>,
    /// What anybody on this machine may do over a loopback address, without any proof.
    pub allow_loopback: BTreeSet<Role>,
    /// Clients by the common name of their certificate; instead of the roles that stand in it.
    pub certificates: Vec<CertificateGrant>,
    /// SHA-256 of certificates (DER) that are no longer accepted.
    pub revoked: Vec<Sha256>,
    /// Clients by their token.
    pub tokens: Vec<TokenGrant>,
    /// Clients over a unix socket by their user.
    pub users: Vec<UserGrant>,
    /// What the colony may do to which this server has opened a link; that is said elsewhere.
    #[serde(skip)]
    pub colony: BTreeSet<Role>,
}

/// What the owner of a certificate may do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateGrant {
    /// The certificate's common name.
    pub name: String,
    /// What.
    pub roles: BTreeSet<Role>,
    /// Where.
    pub services: Services,
}

/// What who knows a token may do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenGrant {
    /// Who it was given to.
    pub name: String,
    /// The token's hash.
    pub sha256: Sha256,
    /// What.
    pub roles: BTreeSet<Role>,
    /// Where.
    pub services: Services,
    /// Until when; RFC 3339.
    pub expires_at: Timestamp,
}

/// What a user of this machine may do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserGrant {
    /// The user's id.
    pub uid: u32,
    /// What.
    pub roles: BTreeSet<Role>,
    /// Where.
    pub services: Services,
}

impl Settings {
    /// Whether every name means one grant.
    pub(super) fn check(&self) -> Result<(), AccessError> {
        let hashes: Vec<String> = texts(&self.tokens, |grant| grant.sha256.to_string());
        let names = texts(&self.certificates, |grant| grant.name.clone());
        let users = texts(&self.users, |grant| grant.uid.to_string());
        for (what, keys) in [
            ("two tokens have the hash", hashes),
            ("two entries of `certificates` have the name", names),
            ("two entries of `users` have the uid", users),
        ] {
            let mut seen = BTreeSet::new();
            if let Some(twice) = keys.iter().find(|key| !seen.insert(*key)) {
                let twice = twice.escape_debug();
                return Err(AccessError::Settings(format!("{what} `{twice}`")));
            }
        }
        Ok(())
    }
}

fn texts<T>(grants: &[T], key: impl Fn(&T) -> String) -> Vec<String> {
    grants.iter().map(key).collect()
}
