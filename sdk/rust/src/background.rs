//! The one thread that does everything, so that the application's own are never kept.

use std::convert::Infallible;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use coral_proto::agent::v1::RegisterServiceRequest;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::address::{Address, Listener};
use crate::index::IndexCache;
use crate::log::{Log, LogLevel};
use crate::{Error, registration, service, signals};

/// What the thread works with.
pub(crate) struct Setup {
    pub(crate) request: RegisterServiceRequest,
    pub(crate) agent: Address,
    pub(crate) cache: IndexCache,
    pub(crate) log: Log,
    pub(crate) refresh_on_sighup: bool,
}

/// The running thread. It ends with the process.
pub(crate) struct Background {
    listeners: mpsc::Sender<Listener>,
}

impl Background {
    pub(crate) fn start(setup: Setup) -> Result<Self, Error> {
        let (listeners, receiver) = mpsc::channel(1);
        let thread = thread::Builder::new().name("coral-sdk".to_owned());
        let log = setup.log.clone();
        let body = move || guarded(&log, || run(setup, receiver));
        signals::with_all_blocked(|| thread.spawn(body)).map_err(Error::Thread)?;
        Ok(Self { listeners })
    }

    /// Lets the thread answer on a listener.
    pub(crate) fn serve(&self, listener: Listener) -> Result<(), Error> {
        self.listeners.try_send(listener).map_err(|_| Error::Ended)
    }
}

/// The thread's edge: no panic goes beyond it.
fn guarded(log: &Log, body: impl FnOnce() -> io::Result<Infallible>) {
    let reason = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(never)) => match never {},
        Ok(Err(error)) => error.to_string(),
        Err(_panic) => "an error in coral-sdk itself".to_owned(),
    };
    let message = format!("monitoring has ended, the application goes on: {reason}");
    log.write(LogLevel::Error, &message);
}

fn run(setup: Setup, mut listeners: mpsc::Receiver<Listener>) -> io::Result<Infallible> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let Setup {
        mut request,
        agent,
        cache,
        log,
        refresh_on_sighup,
    } = setup;
    request.build_id = cache.executable().binary().build_id;
    let cache = Arc::new(cache);
    let (request, requests) = watch::channel(request);
    runtime.block_on(async move {
        let mut tasks = JoinSet::new();
        tasks.spawn(registration::keep(agent, requests, log.clone()));
        loop {
            tokio::select! {
                Some(listener) = listeners.recv() => {
                    let address = listener.address()?.to_string();
                    log.write(LogLevel::Info, &format!("answering on {address}"));
                    tasks.spawn(serve(listener, Arc::clone(&cache), log.clone()));
                    tasks.spawn(forget_unused(Arc::clone(&cache), log.clone()));
                    if refresh_on_sighup {
                        tasks.spawn(refresh_on_hangups(Arc::clone(&cache), request.clone(), log.clone()));
                    }
                    request.send_modify(|request| request.sdk_listen_addr = address);
                }
                // A task that panics ends alone.
                Some(ended) = tasks.join_next() => if ended.is_err() {
                    log.write(LogLevel::Error, "a part of monitoring has ended: an error in coral-sdk itself");
                }
            }
        }
    })
}

async fn serve(listener: Listener, cache: Arc<IndexCache>, log: Log) {
    if let Err(error) = service::serve(listener, cache, log.clone()).await {
        log.write(LogLevel::Error, &format!("no longer answering: {error}"));
    }
}

async fn forget_unused(cache: Arc<IndexCache>, log: Log) {
    loop {
        cache.forget_when_unused().await;
        log.write(LogLevel::Debug, "the list of functions is forgotten");
    }
}

/// Reads the program anew when asked to. Handlers that were there before are called, too.
async fn refresh_on_hangups(
    cache: Arc<IndexCache>,
    request: watch::Sender<RegisterServiceRequest>,
    log: Log,
) {
    let mut hangups = match signal(SignalKind::hangup()) {
        Ok(hangups) => hangups,
        Err(error) => return log.write(LogLevel::Warn, &format!("no refresh on SIGHUP: {error}")),
    };
    while hangups.recv().await.is_some() {
        cache.forget();
        // Whoever watches the request sees a change, and registers again.
        request.send_modify(|_| {});
        log.write(LogLevel::Info, "refreshed");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::LogSink;

    #[test]
    fn a_panic_ends_at_the_threads_edge_and_is_logged() {
        let (sender, lines) = channel();
        let sink =
            LogSink::new(move |level, line: &str| sender.send((level, line.to_owned())).unwrap());
        let log = Log::new(LogLevel::Info, sink);
        let ended = thread::spawn(move || guarded(&log, || panic!("planted"))).join();
        assert!(ended.is_ok());
        let (level, line) = lines.recv().unwrap();
        assert_eq!(level, LogLevel::Error);
        assert_eq!(
            line,
            "monitoring has ended, the application goes on: an error in coral-sdk itself"
        );
    }
}
