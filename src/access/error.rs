//! Why a server is not opened, or not reached.

use std::io;
use std::path::PathBuf;

use coral_model::{Diagnostic, ExitStatus};

use super::{Endpoint, Listen};

/// Why a server is not opened, or not reached.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum AccessError {
    #[error("`{}` is no place to listen at: {why}", text.escape_debug())]
    BadListen { text: String, why: &'static str },
    #[error("`{}` is no server's address: {why}", text.escape_debug())]
    BadEndpoint { text: String, why: &'static str },
    #[error("{listen} can be reached from other machines, and {missing}")]
    Unprotected {
        listen: Listen,
        missing: &'static str,
    },
    #[error("{endpoint} is another machine, and without TLS anybody between could read and act")]
    Insecure { endpoint: Endpoint },
    #[error("{endpoint} speaks TLS, and no CA is configured that could vouch for it")]
    NoAuthority { endpoint: Endpoint },
    #[error("the {what} {} cannot be used: {why}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        why: String,
    },
    #[error("the {what} {} has mode {mode:03o}: others than its owner may use it", path.display())]
    KeyExposed {
        what: &'static str,
        path: PathBuf,
        mode: u32,
    },
    #[error("the TLS settings do not fit together: {0}")]
    Tls(String),
    #[error("{0}")]
    Settings(String),
    #[error("{listen} cannot be opened: {error}")]
    Listen { listen: Listen, error: io::Error },
    #[error("{listen} is in use by a running server")]
    InUse { listen: Listen },
    #[error("{endpoint} cannot be reached: {why}")]
    Unreachable {
        endpoint: Endpoint,
        why: String,
        /// What the operating system said, if it did.
        kind: Option<io::ErrorKind>,
    },
    #[error("the token cannot be read: {}: {why}", path.display())]
    TokenFile { path: PathBuf, why: String },
    #[error("the token cannot be sent: it holds characters that no token has")]
    Token,
}

impl Diagnostic for AccessError {
    fn code(&self) -> &'static str {
        match self {
            Self::BadListen { .. } => "bad-listen-address",
            Self::BadEndpoint { .. } => "bad-endpoint",
            Self::Unprotected { .. } => "unprotected-listener",
            Self::Insecure { .. } => "insecure-endpoint",
            Self::NoAuthority { .. } => "no-ca",
            Self::File { .. } => "bad-certificate-file",
            Self::KeyExposed { .. } => "key-exposed",
            Self::Tls(_) => "bad-tls-settings",
            Self::Settings(_) => "bad-access-settings",
            Self::Listen { .. } => "cannot-listen",
            Self::InUse { .. } => "already-listening",
            Self::Unreachable { .. } => "unreachable",
            Self::Token | Self::TokenFile { .. } => "bad-token",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::BadListen { .. } => "write `unix:/run/coral/agent.sock` or `127.0.0.1:9001`",
            Self::BadEndpoint { .. } => {
                "write `unix:/run/coral/agent.sock` or `https://host:9001`, and of a colony \
                 `unix:/run/coral/colony.sock` or `https://host:9000`"
            }
            Self::Unprotected { .. } => {
                "configure TLS with a CA for client certificates, or with tokens; `coral certs \
                 init` makes certificates for a try-out; or listen on 127.0.0.1 or a unix socket"
            }
            Self::Insecure { .. } => "use `https://` and give the CA of the server's certificate",
            Self::NoAuthority { .. } => "give the CA that signed the server's certificate",
            Self::File { .. } => "give readable files in PEM; `coral certs init` makes examples",
            Self::KeyExposed { path, .. } => {
                return format!("chmod 600 {}", path.display());
            }
            Self::Tls(_) => "let the key belong to the certificate, and the certificate to the CA",
            Self::Settings(_) => "correct the configuration of the access",
            Self::Listen { error, .. } if error.kind() == io::ErrorKind::AddrInUse => {
                "stop the server that uses it, or listen elsewhere"
            }
            Self::Listen { .. } => "check that the address or the folder exists and may be used",
            Self::InUse { .. } => "stop that server, or listen elsewhere",
            Self::Unreachable { endpoint, kind, .. } => match (endpoint, kind) {
                (Endpoint::Unix(_), Some(io::ErrorKind::PermissionDenied)) => {
                    "this user may not open the socket: the server's own user and root may, and \
                     those of the group that its configuration names (access.socket_group)"
                }
                (Endpoint::Tcp { is_tls: true, .. }, _) => {
                    "check that the server runs, its address, and its CA"
                }
                _ => "check that the server runs, and its address",
            },
            Self::TokenFile { .. } => "correct `token_file`, or give the token otherwise",
            Self::Token => "copy the token again, without line ends or quotes",
        }
        .to_owned()
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::BadListen { .. }
            | Self::BadEndpoint { .. }
            | Self::Unprotected { .. }
            | Self::Insecure { .. }
            | Self::NoAuthority { .. }
            | Self::Settings(_)
            | Self::Token
            | Self::TokenFile { .. } => ExitStatus::Usage,
            Self::File { .. }
            | Self::KeyExposed { .. }
            | Self::Tls(_)
            | Self::Listen { .. }
            | Self::InUse { .. }
            | Self::Unreachable { .. } => ExitStatus::Failure,
        }
    }
}
