//! A session's snapshots for one client: what has changed, as fast as the client takes it.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{SessionState, Snapshot};
use coral_proto::agent::v1::{SessionUpdate, WatchSessionRequest};
use coral_proto::convert::{SessionUpdates, duration_from_wire};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::status;

/// Messages that wait for a client. While they do, snapshots are passed over: the latest counts.
const WAITING_MAX: usize = 4;

/// The shortest time between two updates of a session, and what it is if nothing is asked for.
const INTERVAL_MIN: Duration = Duration::from_millis(50);
const INTERVAL_USUAL: Duration = Duration::from_millis(200);

/// How long a client wants to wait between two updates.
///
/// # Errors
/// If that is no duration.
pub(crate) fn interval(request: &WatchSessionRequest) -> Result<Duration, Status> {
    let asked = request
        .interval
        .as_ref()
        .map(|asked| duration_from_wire(asked, "interval"));
    let asked = asked.transpose().map_err(|error| status::of(&error))?;
    Ok(asked.map_or(INTERVAL_USUAL, |asked| asked.max(INTERVAL_MIN)))
}

/// Updates from now until the session has ended, at most one in each interval; without what calls
/// receive and return for who may not see it.
pub(crate) fn updates(
    snapshots: watch::Receiver<Arc<Snapshot>>,
    interval: Duration,
    with_values: bool,
) -> ReceiverStream<Result<SessionUpdate, Status>> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(send_all(snapshots, interval, with_values, sender));
    ReceiverStream::new(receiver)
}

async fn send_all(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    interval: Duration,
    with_values: bool,
    client: mpsc::Sender<Result<SessionUpdate, Status>>,
) {
    let mut updates = SessionUpdates::new();
    loop {
        let mut snapshot = Arc::clone(&snapshots.borrow_and_update());
        if !with_values {
            remove_values(Arc::make_mut(&mut snapshot));
        }
        for update in updates.next(&snapshot) {
            if client.send(Ok(update)).await.is_err() {
                return;
            }
        }
        if snapshot.session.state != SessionState::Active {
            return;
        }
        let has_more = tokio::select! {
            () = client.closed() => false,
            has_more = next(&mut snapshots, interval) => has_more,
        };
        if !has_more {
            return;
        }
    }
}

/// Waits until there is another snapshot to tell: after the interval, but the end at once. Whether
/// one comes.
async fn next(snapshots: &mut watch::Receiver<Arc<Snapshot>>, interval: Duration) -> bool {
    let is_over = |latest: &Arc<Snapshot>| latest.session.state != SessionState::Active;
    let mut ends = snapshots.clone();
    tokio::select! {
        has_changed = async { sleep(interval).await; snapshots.changed().await.is_ok() } => has_changed,
        has_ended = async { ends.wait_for(is_over).await.is_ok() } => has_ended,
    }
}

fn remove_values(snapshot: &mut Snapshot) {
    for call in &mut snapshot.slow_calls {
        call.arguments.clear();
        call.results.clear();
        for inner in call
            .inner
            .iter_mut()
            .flat_map(|inner| &mut Arc::make_mut(inner).calls)
        {
            inner.arguments.clear();
            inner.results.clear();
        }
    }
}
