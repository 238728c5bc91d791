//! The recordings of sessions: a frame a second, in files that have no name and a common limit.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coral_model::{SessionState, Snapshot};
use coral_proto::agent::v1::DownloadRecordingResponse;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::agent::Watched;
use crate::recording::Recorder;
use crate::serving::status;

/// What all recordings together may take on the disk; a recording ends where there is no more.
const ALL_BYTES_MAX: u64 = 256 << 20;
const FRAME_INTERVAL: Duration = Duration::from_secs(1);
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks on their way to a client.
const CHUNKS_MAX: usize = 4;

/// The recording of a session, for as long as the session is remembered.
#[derive(Debug)]
pub(super) struct Recording {
    /// Or why there is none.
    file: Result<Shared, String>,
    /// Whether nothing more will be written.
    is_done: watch::Receiver<bool>,
}

impl Recording {
    /// Records a session until it ends. Needs to run within the runtime.
    pub(super) fn start(watched: &Arc<Watched>, snapshots: watch::Receiver<Arc<Snapshot>>) -> Self {
        let (done, is_done) = watch::channel(false);
        let file = tempfile::tempfile().map(Shared::new);
        if let Ok(file) = &file {
            let (out, watched) = (file.clone(), Arc::clone(watched));
            let runtime = Handle::current();
            spawn_blocking(move || {
                // Where it cannot be written any further, it stays readable up to there.
                let _ = runtime.block_on(record(out, &watched, snapshots));
                done.send_replace(true);
            });
        }
        Self {
            file: file.map_err(|error| error.to_string()),
            is_done,
        }
    }

    /// Waits until it is written to its end; for a session that is over.
    pub(super) async fn done(&self) {
        // It has failed where nobody says so.
        let _ = self.is_done.clone().wait_for(|is_done| *is_done).await;
    }

    /// What is recorded by now, in chunks.
    pub(super) fn download(
        &self,
    ) -> Result<ReceiverStream<Result<DownloadRecordingResponse, Status>>, Status> {
        let file = self.file.clone().map_err(|why| {
            let message = format!("there is no recording: {why}");
            let help = "give the agent a folder for temporary files that has room";
            status::with(Code::FailedPrecondition, "no-recording", &message, help)
        })?;
        let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
        spawn_blocking(move || {
            let end = file.0.len.load(Ordering::Acquire);
            let mut at = 0;
            while at < end {
                let chunk = file.read(at, end);
                at += chunk.as_ref().map_or(end, |chunk| chunk.len() as u64);
                let chunk = chunk.map(|chunk| DownloadRecordingResponse { chunk });
                let chunk = chunk.map_err(|error| status::failed(&error.to_string()));
                if sender.blocking_send(chunk).is_err() {
                    return;
                }
            }
        });
        Ok(ReceiverStream::new(chunks))
    }
}

async fn record(
    out: Shared,
    watched: &Watched,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
) -> io::Result<()> {
    let mut recorder = Recorder::create(out, &watched.target, watched.table(), Timestamp::now())?;
    loop {
        let snapshot = Arc::clone(&snapshots.borrow_and_update());
        recorder.frame(snapshot.session.elapsed, &snapshot)?;
        if snapshot.session.state != SessionState::Active {
            break;
        }
        let is_over = |latest: &Arc<Snapshot>| latest.session.state != SessionState::Active;
        tokio::select! {
            () = sleep(FRAME_INTERVAL) => {}
            ended = snapshots.wait_for(is_over) => if ended.is_err() {
                break;
            }
        }
    }
    recorder.finish().map(drop)
}

/// A file that is written at its end and read from anywhere.
#[derive(Clone, Debug)]
struct Shared(Arc<Contents>);

#[derive(Debug)]
struct Contents {
    file: File,
    len: AtomicU64,
}

/// What all files take.
static ALL_BYTES: AtomicU64 = AtomicU64::new(0);

impl Shared {
    fn new(file: File) -> Self {
        Self(Arc::new(Contents {
            file,
            len: AtomicU64::new(0),
        }))
    }

    fn read(&self, at: u64, end: u64) -> io::Result<Vec<u8>> {
        let len = CHUNK_BYTES.min((end - at) as usize);
        let mut chunk = vec![0; len];
        self.0.file.read_exact_at(&mut chunk, at)?;
        Ok(chunk)
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len() as u64;
        if ALL_BYTES.fetch_add(len, Ordering::Relaxed) + len > ALL_BYTES_MAX {
            ALL_BYTES.fetch_sub(len, Ordering::Relaxed);
            return Err(io::ErrorKind::StorageFull.into());
        }
        let end = self.0.len.load(Ordering::Relaxed);
        let written = self.0.file.write_all_at(bytes, end);
        self.0.len.store(end + len, Ordering::Release);
        written.map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        ALL_BYTES.fetch_sub(*self.len.get_mut(), Ordering::Relaxed);
    }
}
