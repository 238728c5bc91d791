//! As Parquet to object storage or a folder: what is new in the history, once in a while.
//!
//! The history decides what an export holds and writes its files here; this puts them where they
//! are to be, each until it is there, and has the history note that. The names of files are those of
//! the export, so that one that was cut off is put there again in its own place. At most one export
//! lies here at a time; what has not gone waits in the history, which does not delete it.

mod http;
mod objects;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::Warn;
use crate::access::BackOff;
use crate::config::ParquetConfig;
use crate::store::{ExportFile, ExportPlan, Store};
use objects::Objects;
pub use objects::ObjectsError;

/// Single calls in one export, about 10 MB: the history does nothing else while it writes one.
const EVENTS_MAX: u64 = 200_000;
/// The longest wait before the next try.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The way to object storage.
#[derive(Debug)]
pub struct Parquet {
    objects: Objects,
    every: Duration,
    /// Where an export lies until it is elsewhere.
    folder: PathBuf,
    warn: Warn,
    is_failing: bool,
}

impl Parquet {
    /// Files lie in that folder until they are elsewhere. Nothing is sent yet.
    ///
    /// # Errors
    /// If what the configuration and the environment say cannot be used.
    pub fn open(
        config: &ParquetConfig,
        folder: PathBuf,
        warn: &Warn,
    ) -> Result<Self, ObjectsError> {
        Ok(Self {
            objects: Objects::open(config)?,
            every: config.every,
            folder,
            warn: warn.clone(),
            is_failing: false,
        })
    }

    /// Exports what is new, now and once in a while, for ever.
    pub async fn run(mut self, store: Store) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut back_off = BackOff::up_to(WAIT_MAX);
        // What a process of before has left; where it stays, the next export says so.
        let _ = remove(&self.folder);
        loop {
            ticks.tick().await;
            loop {
                match self.export_next(&store).await {
                    Ok(true) => back_off.reset(),
                    Ok(false) => break,
                    Err(why) => {
                        self.tell(&why);
                        sleep(back_off.wait()).await;
                    }
                }
            }
        }
    }

    /// Makes one export; whether there was one to be made.
    async fn export_next(&mut self, store: &Store) -> Result<bool, String> {
        let plan = store.plan_export(EVENTS_MAX).await;
        let Some(plan) = plan.map_err(|error| error.to_string())? else {
            return Ok(false);
        };
        self.export(store, plan).await?;
        if self.is_failing {
            self.is_failing = false;
            let to = self.objects.shown();
            self.warn.say(&format!("{to} takes exports again"));
        }
        Ok(true)
    }

    async fn export(&self, store: &Store, plan: ExportPlan) -> Result<(), String> {
        remove(&self.folder).map_err(|error| self.of_folder(&error))?;
        let written = store.write_export(plan.id.clone(), self.folder.clone());
        let files = written.await.map_err(|error| error.to_string())?;
        for file in &files {
            self.put(file).await?;
        }
        let finished = store.finish_export(plan.id, files.len() as u64).await;
        finished.map_err(|error| error.to_string())?;
        remove(&self.folder).map_err(|error| self.of_folder(&error))
    }

    async fn put(&self, file: &ExportFile) -> Result<(), String> {
        let path = file.path.clone();
        let read = spawn_blocking(move || fs::read(path)).await;
        let bytes = read.map_err(io::Error::from).and_then(|read| read);
        let bytes = bytes.map_err(|error| self.of_folder(&error))?;
        let put = self.objects.put(&file.name, bytes).await;
        put.map_err(|error| error.to_string())
    }

    /// Once, until it works again.
    fn tell(&mut self, why: &str) {
        if !self.is_failing {
            self.is_failing = true;
            let to = self.objects.shown();
            self.warn.say(&format!(
                "{to} has not got the history's export, which is tried again: {why}"
            ));
        }
    }

    fn of_folder(&self, error: &io::Error) -> String {
        format!("{}: {error}", self.folder.display())
    }
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
