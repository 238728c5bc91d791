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

/// Updates from now until the session has ended, at most one in each interval.
pub(super) fn updates(
    snapshots: watch::Receiver<Arc<Snapshot>>,
    interval: Duration,
) -> ReceiverStream<Result<SessionUpdate, Status>> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    tokio::spawn(send_all(snapshots, interval, sender));
    ReceiverStream::new(receiver)
}

async fn send_all(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    interval: Duration,
    client: mpsc::Sender<Result<SessionUpdate, Status>>,
) {
    let mut updates = SessionUpdates::new();
    loop {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
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
