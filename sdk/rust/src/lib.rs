#![doc = include_str!("../README.md")]

mod address;
mod back_off;
mod background;
mod connections;
mod error;
mod index;
mod log;
mod options;
mod registration;
mod service;
mod signals;

use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coral_proto::agent::v1::RegisterServiceRequest;

pub use error::Error;
pub use log::{LogLevel, LogSink};
pub use options::Options;

use address::{Address, Listener};
use background::{Background, Setup};
use index::{Executable, IndexCache};
use log::Log;
use options::check_text;

/// Longer is the life of no useful list.
const RETENTION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes this process known to the agent of its node, as a replica of a service, for as long as it
/// runs.
///
/// Returns at once: a background thread registers, again before the agent's lease ends, and again
/// after the agent was started anew. That there is no agent is no error; it is looked for until it
/// is there. Processes that this one forks without an exec are not registered.
///
/// # Errors
///
/// What is wrong with the name or the options, [`Error::AlreadyRegistered`], or why the process
/// cannot read its own program or start a thread.
pub fn register_service(name: &str, options: Options) -> Result<(), Error> {
    check_text("name", name)?;
    if name.is_empty() {
        return Err(Error::InvalidText {
            what: "name",
            value: String::new(),
            reason: "it is empty",
        });
    }
    check_text("health_endpoint", &options.health_endpoint)?;
    let agent = Address::parse("agent_addr", &options.agent_addr)?;
    let listen_at = Address::parse("sdk_listen_addr", &options.sdk_listen_addr)?;
    let listen_at = listen_at.require_local("sdk_listen_addr")?;
    let mut registered = registered();
    if let Some(Registered { name, .. }) = &*registered {
        return Err(Error::AlreadyRegistered { name: name.clone() });
    }
    let executable = Arc::new(Executable::open().map_err(Error::Executable)?);
    let background = Background::start(Setup {
        request: request(name, &options),
        agent,
        cache: IndexCache::new(executable, options.index_retention.min(RETENTION_MAX)),
        log: Log::new(options.log_level, options.log),
        refresh_on_sighup: options.refresh_on_sighup,
    })?;
    *registered = Some(Registered {
        name: name.to_owned(),
        listen_at,
        background,
        is_monitoring: false,
    });
    Ok(())
}

/// Lets the agent ask where the functions of this process are.
///
/// Returns at once. Nothing is read before somebody asks, and it is forgotten a minute after the
/// last question. Calling it again changes nothing.
///
/// # Errors
///
/// [`Error::NotRegistered`] before [`register_service`], and [`Error::Listen`] if the address is
/// taken, as it is by another process with the same fixed port.
pub fn enable_runtime_monitoring() -> Result<(), Error> {
    let mut registered = registered();
    let registered = registered.as_mut().ok_or(Error::NotRegistered)?;
    if registered.is_monitoring {
        return Ok(());
    }
    let listener = Listener::bind(&registered.listen_at).map_err(|source| Error::Listen {
        address: registered.listen_at.to_string(),
        source,
    })?;
    registered.background.serve(listener)?;
    registered.is_monitoring = true;
    Ok(())
}

/// What a process is registered as, once.
struct Registered {
    name: String,
    listen_at: Address,
    background: Background,
    is_monitoring: bool,
}

/// Held for microseconds, and whole at any time, so a panic spoils nothing.
fn registered() -> MutexGuard<'static, Option<Registered>> {
    static REGISTERED: Mutex<Option<Registered>> = Mutex::new(None);
    REGISTERED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn request(name: &str, options: &Options) -> RegisterServiceRequest {
    RegisterServiceRequest {
        name: name.to_owned(),
        pid: process::id(),
        port: options.port.into(),
        health_endpoint: options.health_endpoint.clone(),
        // Known when monitoring is enabled.
        sdk_listen_addr: String::new(),
        sdk_version: env!("CARGO_PKG_VERSION").to_owned(),
        build_id: String::new(),
    }
}
