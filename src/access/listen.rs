//! Where a server listens, as it is written in configurations.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use super::AccessError;

/// Where a server listens: `unix:/run/coral/agent.sock`, `127.0.0.1:9001`, `[::]:9001`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Listen {
    /// A socket of this machine's file system.
    Unix(PathBuf),
    /// An address and a port; port 0 means any free one.
    Tcp(SocketAddr),
}

impl Listen {
    /// Whether only processes of this machine can connect.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
        }
    }
}

impl FromStr for Listen {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let refuse = |why| AccessError::BadListen {
            text: text.to_owned(),
            why,
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') && !path.ends_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(refuse("a socket's path begins with `/` and names a file"))
            };
        }
        if let Some(port) = text.strip_prefix("localhost:") {
            let port = port.parse().map_err(|_| refuse("the port is no number"))?;
            let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
            return Ok(Self::Tcp(SocketAddr::new(loopback, port)));
        }
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| refuse("it is neither `unix:/path` nor an IP address and a port"))
    }
}

impl TryFrom<String> for Listen {
    type Error = AccessError;

    fn try_from(text: String) -> Result<Self, AccessError> {
        text.parse()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
            Self::Tcp(address) => write!(out, "{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_meant() {
        for (text, is_local, shown) in [
            ("unix:/run/coral.sock", true, "unix:/run/coral.sock"),
            ("127.0.0.1:9001", true, "127.0.0.1:9001"),
            ("127.8.8.8:9001", true, "127.8.8.8:9001"),
            ("localhost:9001", true, "127.0.0.1:9001"),
            ("[::1]:9001", true, "[::1]:9001"),
            ("[::ffff:127.0.0.1]:9001", true, "[::ffff:127.0.0.1]:9001"),
            ("0.0.0.0:9001", false, "0.0.0.0:9001"),
            ("[::]:9001", false, "[::]:9001"),
            ("192.0.2.1:9001", false, "192.0.2.1:9001"),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(
                (listen.is_local(), listen.to_string()),
                (is_local, shown.into())
            );
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in [
            "",
            "9001",
            ":9001",
            "unix:",
            "unix:a/b",
            "unix:/a/",
            "host:9001",
            "::1:x",
        ] {
            let error = text.parse::<Listen>().unwrap_err();
            assert!(matches!(error, AccessError::BadListen { .. }), "{text}");
        }
    }
}
