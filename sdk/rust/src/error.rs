//! What can be wrong with a call of this library.

use std::io;

/// Why the application is not known to coral. Nothing of it harms the application, which may go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service's name or its health endpoint cannot be shown on a line.
    #[error("{what} {value:?} is not usable: {reason}")]
    InvalidText {
        /// Which setting it is.
        what: &'static str,
        /// What it was set to.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not the address of a socket of this node.
    #[error("{what} {value:?} is no address: {reason}")]
    InvalidAddress {
        /// Which setting it is.
        what: &'static str,
        /// What it was set to.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// [`crate::register_service`] was called before in this process.
    #[error("this process is registered already, as {name:?}")]
    AlreadyRegistered {
        /// The name it is registered by.
        name: String,
    },
    /// [`crate::register_service`] was not called before.
    #[error("this process is not registered")]
    NotRegistered,
    /// The background thread is gone, which the log told.
    #[error("the background thread has ended")]
    Ended,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address that was asked for.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The process cannot read its own program.
    #[error("cannot open /proc/self/exe: {0}")]
    Executable(#[source] io::Error),
    /// The background thread could not be started.
    #[error("cannot start the background thread: {0}")]
    Thread(#[source] io::Error),
}

impl Error {
    /// The stable code, in kebab case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidText { .. } => "invalid-text",
            Self::InvalidAddress { .. } => "invalid-address",
            Self::AlreadyRegistered { .. } => "already-registered",
            Self::NotRegistered => "not-registered",
            Self::Ended => "sdk-ended",
            Self::Listen { .. } => "cannot-listen",
            Self::Executable(_) => "cannot-read-executable",
            Self::Thread(_) => "cannot-start-thread",
        }
    }

    /// The next step, as a sentence without a final full stop.
    pub fn help(&self) -> &'static str {
        match self {
            Self::InvalidText { .. } => "use 1 to 255 bytes of printable text",
            Self::InvalidAddress { .. } => {
                "use an address of the loopback interface such as 127.0.0.1:9092, or unix:/path"
            }
            Self::AlreadyRegistered { .. } => "call register_service once, when the program starts",
            Self::NotRegistered => "call register_service first",
            Self::Ended => "look for coral-sdk in the application's log, and restart it",
            Self::Listen { .. } => {
                "set sdk_listen_addr to another address; port 0 takes a free one"
            }
            Self::Executable(_) => "mount /proc in the application's container",
            Self::Thread(_) => "raise the limit of threads or memory of the application",
        }
    }
}
