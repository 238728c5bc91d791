//! What a client certificate says of its owner. Its signature has been verified by then.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Role, Services};

/// Roles stand in a certificate as URIs of this form.
pub(super) const ROLE_URI: &str = "coral://role/";
/// And so do the services that they are for; without one they are for none.
pub(super) const SERVICE_URI: &str = "coral://service/";

/// What a certificate says of its owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) roles: BTreeSet<Role>,
    pub(super) services: Services,
    /// Whether the certificate is valid now: a connection may outlive it.
    pub(super) is_current: bool,
}

impl Owner {
    /// Reads a certificate; `None` if it has no common name.
    pub(super) fn of(certificate: &CertificateDer<'_>, now: Timestamp) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let name = certificate.subject().iter_common_name().next()?;
        let name = name.as_str().ok()?.to_owned();
        let validity = certificate.validity();
        let now_s = now.as_second();
        let uris = uris(&certificate);
        Some(Self {
            name,
            roles: parts(&uris, ROLE_URI).filter_map(Role::of_name).collect(),
            services: Services(parts(&uris, SERVICE_URI).map(str::to_owned).collect()),
            is_current: validity.not_before.timestamp() <= now_s
                && now_s <= validity.not_after.timestamp(),
        })
    }
}

fn uris<'a>(certificate: &'a X509Certificate<'_>) -> Vec<&'a str> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let uri = |name: &GeneralName<'a>| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    };
    names.value.general_names.iter().filter_map(uri).collect()
}

fn parts<'a>(uris: &'a [&str], prefix: &'a str) -> impl Iterator<Item = &'a str> {
    uris.iter().filter_map(move |uri| uri.strip_prefix(prefix))
}
