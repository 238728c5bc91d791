//! Certificates for a try-out: a CA, an agent's, a colony's, and clients' for every role.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use coral_model::{Diagnostic, ExitStatus};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use super::Role;
use super::certificate::{ROLE_URI, SERVICE_URI};

/// How long the certificates are good for.
const VALID_YEARS: i32 = 1;
const CERTIFICATE_MODE: u32 = 0o644;
const KEY_MODE: u32 = 0o600;

/// What to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The folder; it is made if it is missing.
    pub directory: PathBuf,
    /// The agent's name.
    pub name: String,
    /// Names and addresses of the machines that agent and colony run on, besides this one's
    /// loopback.
    pub hosts: Vec<String>,
}

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum CertsError {
    #[error("{} exists already", path.display())]
    Exists { path: PathBuf },
    #[error("{} cannot be written: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
}

impl Diagnostic for CertsError {
    fn code(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "certificates-exist",
            Self::Io { .. } => "certificates-unwritable",
            Self::Make(_) => "bad-certificate-name",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Exists { .. } => "name another folder; nothing is overwritten",
            Self::Io { .. } => "name a folder that may be written to",
            Self::Make(_) => "give host names and IP addresses in ASCII",
        }
        .to_owned()
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::Exists { .. } | Self::Make(_) => ExitStatus::Usage,
            Self::Io { .. } => ExitStatus::Failure,
        }
    }
}

/// Makes the certificates and their keys: `ca.pem`, `ca-key.pem`, `agent.pem`, `agent-key.pem`,
/// and so on. Each client has `debug:read` and the role that its file is named after, for all
/// services. Nothing is overwritten, and what was begun and fails is removed.
///
/// # Errors
/// If one of the files exists or cannot be written, or a host is no name.
pub fn init(plan: &Plan) -> Result<Vec<PathBuf>, CertsError> {
    let files = make(plan)?;
    let directory = &plan.directory;
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|error| of_io(directory, error))?;
    let mut written = Vec::new();
    for file in files {
        let path = directory.join(&file.name);
        if let Err(error) = write(&path, &file) {
            for path in written {
                // The first error is the one to tell.
                let _ = fs::remove_file(path);
            }
            return Err(error);
        }
        written.push(path);
    }
    Ok(written)
}

/// The name of the files of the certificate that has a role.
pub fn client_name(role: Role) -> &'static str {
    match role {
        Role::Read => "client-read",
        Role::Attach => "client-attach",
        Role::Detach => "client-detach",
        Role::Capture => "client-capture",
        Role::Agent => "agent",
        Role::Admin => "client-admin",
    }
}

/// A file to write.
struct Pem {
    name: String,
    text: String,
    mode: u32,
}

fn make(plan: &Plan) -> Result<Vec<Pem>, CertsError> {
    let mut params = params("coral try-out CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let mut files = pair("ca", ca.pem(), ca.key());
    let mut leaf = |file: &str, params: CertificateParams| -> Result<(), CertsError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &ca)?;
        files.extend(pair(file, certificate.pem(), &key));
        Ok(())
    };
    leaf("agent", server(&plan.name, &plan.hosts, &[Role::Agent])?)?;
    // A colony acts at the agents for its own clients.
    leaf("colony", server("colony", &plan.hosts, &[Role::Admin])?)?;
    for role in Role::ALL.into_iter().filter(|&role| role != Role::Agent) {
        leaf(client_name(role), client(role)?)?;
    }
    Ok(files)
}

/// Both a server's and a client's: agents connect to colonies, and colonies to agents.
fn server(name: &str, hosts: &[String], roles: &[Role]) -> Result<CertificateParams, CertsError> {
    let mut all_hosts: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    all_hosts.extend_from_slice(hosts);
    let mut params = params(name);
    params.subject_alt_names = CertificateParams::new(all_hosts)?.subject_alt_names;
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    grant(&mut params, roles)?;
    Ok(params)
}

fn client(role: Role) -> Result<CertificateParams, CertsError> {
    let mut params = params(client_name(role));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    // Each can do what it is for: values are of sessions, and who starts one ends it.
    let mut roles = match role {
        Role::Capture => vec![Role::Read, Role::Attach, Role::Detach, Role::Capture],
        Role::Attach => vec![Role::Read, Role::Attach, Role::Detach],
        other => vec![Role::Read, other],
    };
    roles.dedup();
    grant(&mut params, &roles)?;
    Ok(params)
}

/// Writes roles into a certificate, for all services.
fn grant(params: &mut CertificateParams, roles: &[Role]) -> Result<(), CertsError> {
    if roles.is_empty() {
        return Ok(());
    }
    let role_uris = roles.iter().map(|role| format!("{ROLE_URI}{role}"));
    for uri in role_uris.chain([format!("{SERVICE_URI}*")]) {
        let uri = Ia5String::try_from(uri)?;
        params.subject_alt_names.push(SanType::URI(uri));
    }
    Ok(())
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Months and days are between 1 and 31.
    let midnight = |date: Date| {
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        date_time_ymd(i32::from(date.year()), month, day)
    };
    let today = TimeZone::UTC.to_datetime(Timestamp::now()).date();
    // Clocks of other machines may be behind.
    params.not_before = midnight(today.saturating_sub(1.day()));
    params.not_after = midnight(today.saturating_add(VALID_YEARS.years()));
    params
}

fn pair(name: &str, certificate: String, key: &KeyPair) -> Vec<Pem> {
    vec![
        Pem {
            name: format!("{name}.pem"),
            text: certificate,
            mode: CERTIFICATE_MODE,
        },
        Pem {
            name: format!("{name}-key.pem"),
            text: key.serialize_pem(),
            mode: KEY_MODE,
        },
    ]
}

fn write(path: &Path, file: &Pem) -> Result<(), CertsError> {
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(file.mode)
        .open(path)
        .map_err(|error| of_io(path, error))?;
    out.write_all(file.text.as_bytes())
        .map_err(|error| of_io(path, error))
}

fn of_io(path: &Path, error: io::Error) -> CertsError {
    let path = path.to_owned();
    if error.kind() == io::ErrorKind::AlreadyExists {
        CertsError::Exists { path }
    } else {
        CertsError::Io { path, error }
    }
}
