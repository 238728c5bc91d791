//! A session's snapshots for one client: what has changed, as fast as the client takes it.

use std::sync::Arc;
use std::time::Duration;

use coral_model::{SessionState, Snapshot};
use coral_proto::agent::v1::SessionUpdate;
use coral_proto::convert::SessionUpdates;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Messages that wait for a client. While they do, snapshots are passed over: the latest counts.
const WAITING_MAX: usize = 4;

/// Updates from now until the session has ended, at most one in each interval; without what calls
/// receive and return for who may not see it.
pub(super) fn updates(
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
        tokio::select! {
            () = client.closed() => return,
            () = sleep(interval) => {}
        }
        if snapshots.changed().await.is_err() {
            return;
        }
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
