//! From what a client shows to who it is.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;

use super::certificate::Owner;
use super::{
    AccessError, Denied, Identity, Peer, PeerAddress, Role, Services, Settings, Sha256, Source,
};

/// Tells who a client is, by the settings of a server.
#[derive(Debug)]
pub struct Gate {
    settings: Settings,
    own_uid: u32,
}

impl Gate {
    /// The gate of a server that runs as this process's user.
    ///
    /// # Errors
    /// If the settings say two things of one client.
    pub fn new(settings: Settings) -> Result<Self, AccessError> {
        settings.check()?;
        Ok(Self {
            settings,
            own_uid: rustix::process::geteuid().as_raw(),
        })
    }

    /// Who a client is. A token goes before a certificate, a certificate before the address, and
    /// what is shown and wrong is refused, whatever else there is.
    ///
    /// # Errors
    /// If nothing proves who it is. The reason is for the audit log.
    pub fn identify(&self, peer: &Peer, token: Option<&str>) -> Result<Identity, Denied> {
        let now = Timestamp::now();
        match (token, &peer.certificate) {
            (Some(token), _) => self.of_token(token, now),
            (None, Some(certificate)) => self.of_certificate(certificate, now),
            (None, None) => self.of_address(peer.address),
        }
        .map_err(|reason| Denied::Unidentified { reason })
    }

    fn of_token(&self, token: &str, now: Timestamp) -> Result<Identity, &'static str> {
        let hash = Sha256::of(token.as_bytes());
        let grants = &self.settings.tokens;
        let grant = grants
            .iter()
            .find(|grant| grant.sha256 == hash)
            .ok_or("the token is unknown")?;
        if grant.expires_at <= now {
            return Err("the token has expired");
        }
        Ok(Identity {
            name: grant.name.clone(),
            roles: grant.roles.clone(),
            services: grant.services.clone(),
            source: Source::Token,
        })
    }

    fn of_certificate(
        &self,
        certificate: &CertificateDer<'_>,
        now: Timestamp,
    ) -> Result<Identity, &'static str> {
        if self.settings.revoked.contains(&Sha256::of(certificate)) {
            return Err("the certificate is revoked");
        }
        let owner = Owner::of(certificate, now).ok_or("the certificate has no common name")?;
        if !owner.is_current {
            return Err("the certificate has expired");
        }
        let mut grants = self.settings.certificates.iter();
        let (roles, services) = match grants.find(|grant| grant.name == owner.name) {
            Some(grant) => (grant.roles.clone(), grant.services.clone()),
            None => (owner.roles, owner.services),
        };
        Ok(Identity {
            name: owner.name,
            roles,
            services,
            source: Source::Certificate,
        })
    }

    fn of_address(&self, address: PeerAddress) -> Result<Identity, &'static str> {
        match address {
            PeerAddress::Unix { uid, .. } => self.of_user(uid),
            PeerAddress::Colony => Ok(Identity {
                name: "colony".into(),
                roles: self.settings.colony.clone(),
                services: Services::all(),
                source: Source::Colony,
            }),
            PeerAddress::Tcp(address) => {
                let roles = &self.settings.allow_loopback;
                if !address.ip().to_canonical().is_loopback() || roles.is_empty() {
                    return Err("neither a certificate nor a token was shown");
                }
                Ok(Identity {
                    name: "loopback".into(),
                    roles: roles.clone(),
                    services: Services::all(),
                    source: Source::Loopback,
                })
            }
        }
    }

    fn of_user(&self, uid: u32) -> Result<Identity, &'static str> {
        let (roles, services) = if uid == 0 || uid == self.own_uid {
            (BTreeSet::from([Role::Admin]), Services::all())
        } else {
            let grant = self.settings.users.iter().find(|grant| grant.uid == uid);
            let grant = grant.ok_or("the user is unknown")?;
            (grant.roles.clone(), grant.services.clone())
        };
        Ok(Identity {
            name: format!("uid:{uid}"),
            roles,
            services,
            source: Source::UnixUser,
        })
    }
}
