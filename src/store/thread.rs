//! The thread that has the database.

use std::fmt;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::database::Database;
use super::{Batch, StoreError};

/// Batches that one transaction takes at most: others wait for it, and its rows are in memory.
const BATCHES_MAX: usize = 32;

/// What the thread is asked for.
pub(super) enum Command {
    /// Store a batch, with others that wait.
    Append(Batch, oneshot::Sender<Result<u64, StoreError>>),
    /// Do something; it answers by itself.
    Run(Box<dyn FnOnce(&mut Database) + Send>),
    /// Close the file, and say when it is closed.
    Close(oneshot::Sender<()>),
}

impl fmt::Debug for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Append(..) => "Append",
            Self::Run(_) => "Run",
            Self::Close(_) => "Close",
        })
    }
}

/// Gives the database to a thread of its own, which closes it when nobody can ask any more.
pub(super) fn start(
    mut database: Database,
    mut queue: mpsc::Receiver<Command>,
) -> Result<(), StoreError> {
    let path = database.settings.path.clone();
    let serve = move || {
        let closed = serve(&mut database, &mut queue);
        drop(database);
        if let Some(closed) = closed {
            // Who does not wait any more needs no answer.
            let _ = closed.send(());
        }
    };
    let thread = thread::Builder::new().name("history".into()).spawn(serve);
    thread.map(drop).map_err(StoreError::io(&path))
}

/// Serves until it is to close; who asked for that is told when it is done.
fn serve(
    database: &mut Database,
    queue: &mut mpsc::Receiver<Command>,
) -> Option<oneshot::Sender<()>> {
    let mut next = queue.blocking_recv();
    while let Some(command) = next {
        next = match command {
            Command::Append(batch, answer) => append(database, queue, (batch, answer)),
            Command::Run(work) => {
                work(database);
                None
            }
            Command::Close(closed) => return Some(closed),
        };
        next = next.or_else(|| queue.blocking_recv());
    }
    None
}

/// Stores a batch and those that wait right behind it; returns the command behind those.
fn append(
    database: &mut Database,
    queue: &mut mpsc::Receiver<Command>,
    first: (Batch, oneshot::Sender<Result<u64, StoreError>>),
) -> Option<Command> {
    let (mut batches, mut answers) = (vec![first.0], vec![first.1]);
    let mut next = None;
    while batches.len() < BATCHES_MAX && next.is_none() {
        match queue.try_recv() {
            Ok(Command::Append(batch, answer)) => {
                batches.push(batch);
                answers.push(answer);
            }
            Ok(command) => next = Some(command),
            Err(_) => break,
        }
    }
    for (answer, mark) in answers.into_iter().zip(database.append(&batches)) {
        // Who does not wait any more needs no answer.
        let _ = answer.send(mark);
    }
    next
}
