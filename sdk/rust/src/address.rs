//! Addresses of sockets, and listening on them without ever waiting.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::Error;

/// How many bytes the kernel has for the path of a socket, its final zero left aside.
const UNIX_PATH_BYTES_MAX: usize = 107;

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// Reads `IP:PORT` or `unix:/path`; `what` names the setting. Names of hosts are not resolved:
    /// that could take long.
    pub(crate) fn parse(what: &'static str, text: &str) -> Result<Self, Error> {
        let invalid = |reason| Error::InvalidAddress {
            what,
            value: text.to_owned(),
            reason,
        };
        let Some(path) = text.strip_prefix("unix:") else {
            return text
                .parse()
                .map(Self::Tcp)
                .map_err(|_| invalid("expected IP:PORT or unix:/path"));
        };
        // As URLs write it, too.
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.starts_with('/') {
            return Err(invalid(
                "the path must be absolute, because the agent has another directory",
            ));
        }
        if path.len() > UNIX_PATH_BYTES_MAX {
            return Err(invalid("a socket's path has at most 107 bytes"));
        }
        if path.chars().any(char::is_control) {
            return Err(invalid("the path holds control characters"));
        }
        Ok(Self::Unix(path.into()))
    }

    /// Refuses what other hosts could reach.
    pub(crate) fn require_local(self, what: &'static str) -> Result<Self, Error> {
        match self {
            Self::Tcp(address) if !address.ip().is_loopback() => Err(Error::InvalidAddress {
                what,
                value: address.to_string(),
                reason: "other hosts could reach it, and nobody would ask who they are",
            }),
            local => Ok(local),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that listens, and does not wait.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Listener {
    pub(crate) fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(listener))
            }
            Address::Unix(path) => {
                remove_abandoned(path)?;
                let listener = UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Unix(listener, path.clone()))
            }
        }
    }

    /// Where it listens: the port is the real one.
    pub(crate) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, path) => Ok(Address::Unix(path.clone())),
        }
    }
}

/// Removes the socket of a process that is gone. One that somebody listens on stays, and so does
/// everything that is no socket.
fn remove_abandoned(path: &Path) -> io::Result<()> {
    let is_socket = path
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Its listener's queue may be full; then it is alive, and nobody waits.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, expected) in [
            ("127.0.0.1:9092", Some("127.0.0.1:9092")),
            ("[::1]:0", Some("[::1]:0")),
            ("unix:/run/a.sock", Some("unix:/run/a.sock")),
            ("unix:///run/a.sock", Some("unix:/run/a.sock")),
            ("unix:a.sock", None),
            ("unix:/a\nb", None),
            ("localhost:9092", None),
            ("127.0.0.1", None),
            ("127.0.0.1:65536", None),
            ("", None),
        ] {
            let address = Address::parse("agent_addr", text).ok();
            let written = address.map(|address| address.to_string());
            assert_eq!(written.as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn only_this_host_is_listened_to() {
        for (text, is_local) in [
            ("127.0.0.1:0", true),
            ("127.8.9.1:0", true),
            ("[::1]:0", true),
            ("unix:/run/a.sock", true),
            ("0.0.0.0:9092", false),
            ("[::]:9092", false),
            ("192.0.2.1:9092", false),
        ] {
            let address = Address::parse("sdk_listen_addr", text).unwrap();
            assert_eq!(
                address.require_local("sdk_listen_addr").is_ok(),
                is_local,
                "{text}"
            );
        }
    }

    #[test]
    fn an_abandoned_socket_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let address = Address::Unix(folder.path().join("sdk.sock"));
        let living = Listener::bind(&address).unwrap();
        let error = Listener::bind(&address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(living);
        Listener::bind(&address).unwrap();
    }

    #[test]
    fn what_is_no_socket_is_never_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        std::fs::write(&path, "keep me").unwrap();
        let error = Listener::bind(&Address::Unix(path.clone())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "keep me");
    }
}
