//! Certificates that `coral certs init` does not make: of any name, and expired ones.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use coral_tui::access::TlsConfig;
use coral_tui::access::certs::{Plan, init};
use rcgen::{CertificateParams, DnType, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// A folder with the certificates of a try-out.
pub(crate) fn certificates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        directory: folder.path().into(),
        name: "agent".into(),
        hosts: Vec::new(),
    };
    init(&plan).unwrap();
    folder
}

/// The files of one end of a connection, as `coral certs init` names them.
pub(crate) fn files(directory: &Path, name: &str) -> TlsConfig {
    TlsConfig {
        ca: Some(directory.join("ca.pem")),
        certificate: Some(file(directory, name, "")),
        key: Some(file(directory, name, "-key")),
    }
}

fn file(directory: &Path, name: &str, ending: &str) -> PathBuf {
    directory.join(format!("{name}{ending}.pem"))
}

/// A client certificate of the folder's CA, valid until the first day of a year.
pub(crate) fn issue(folder: &Path, name: &str, until_year: i32) -> TlsConfig {
    let ca_key = fs::read_to_string(folder.join("ca-key.pem")).unwrap();
    let mut ca = CertificateParams::default();
    ca.distinguished_name
        .push(DnType::CommonName, "coral try-out CA");
    let issuer = Issuer::new(ca, KeyPair::from_pem(&ca_key).unwrap());
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_after = date_time_ymd(until_year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let config = files(folder, name);
    fs::write(config.certificate.as_ref().unwrap(), certificate.pem()).unwrap();
    let key_path = config.key.as_ref().unwrap();
    fs::write(key_path, key.serialize_pem()).unwrap();
    fs::set_permissions(key_path, Permissions::from_mode(0o600)).unwrap();
    config
}
