//! Where a client connects to.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

use super::AccessError;

/// Where a server is: `unix:/run/coral/agent.sock`, `https://node7:9001`, `http://127.0.0.1:9001`.
/// Without a scheme, an address of this machine is plain and any other is reached by TLS.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Endpoint {
    /// A socket of this machine's file system.
    Unix(PathBuf),
    /// A host and a port.
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether TLS is spoken there.
        is_tls: bool,
    },
}

impl Endpoint {
    /// Whether the way there does not leave this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => is_loopback(host),
        }
    }
}

impl FromStr for Endpoint {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let refuse = |why| AccessError::BadEndpoint {
            text: text.to_owned(),
            why,
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(refuse("a socket's path begins with `/`"))
            };
        }
        let (scheme, address) = text
            .split_once("://")
            .map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
        let address = address.strip_suffix('/').unwrap_or(address);
        let (host, port) = address.rsplit_once(':').ok_or(refuse("it has no port"))?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let is_name =
            |character: char| character.is_ascii_alphanumeric() || "-._:".contains(character);
        if host.is_empty() || !host.chars().all(is_name) {
            return Err(refuse("it has no host"));
        }
        let port = port.parse().map_err(|_| refuse("the port is no number"))?;
        let is_tls = match scheme {
            None => !is_loopback(host),
            Some("https") => true,
            Some("http") => false,
            Some(_) => return Err(refuse("the scheme is neither `https` nor `http`")),
        };
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
            is_tls,
        })
    }
}

impl TryFrom<String> for Endpoint {
    type Error = AccessError;

    fn try_from(text: String) -> Result<Self, AccessError> {
        text.parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
            Self::Tcp { host, port, is_tls } => {
                let scheme = if *is_tls { "https" } else { "http" };
                if host.contains(':') {
                    write!(out, "{scheme}://[{host}]:{port}")
                } else {
                    write!(out, "{scheme}://{host}:{port}")
                }
            }
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_meant() {
        for (text, is_local, shown) in [
            ("unix:/run/a.sock", true, "unix:/run/a.sock"),
            ("127.0.0.1:9001", true, "http://127.0.0.1:9001"),
            ("localhost:9001", true, "http://localhost:9001"),
            ("[::1]:9001", true, "http://[::1]:9001"),
            ("https://127.0.0.1:9001/", true, "https://127.0.0.1:9001"),
            ("node-7.example:9001", false, "https://node-7.example:9001"),
            ("http://10.0.0.1:9001", false, "http://10.0.0.1:9001"),
            ("[fd00::1]:9001", false, "https://[fd00::1]:9001"),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(
                (endpoint.is_local(), endpoint.to_string()),
                (is_local, shown.into())
            );
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for text in [
            "",
            "host",
            "ftp://host:1",
            "host:x",
            ":9",
            "unix:a",
            "a b:9",
            "http://h:9/p",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(matches!(error, AccessError::BadEndpoint { .. }), "{text}");
        }
    }
}
