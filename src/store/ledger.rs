//! The row-count ledger: how many rows the history has to have.
//!
//! DuckDB opens a file whose log was cut off without a word, with the transactions before the cut.
//! So the number of the last transaction and the rows of each table stand in a file of their own,
//! which is synced before anybody is told that something is stored. Each line is whole or ignored.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Crc;

use super::Loss;
use super::files;
use super::schema::TABLES;

/// A longer ledger is begun anew.
const BYTES_MAX: u64 = 1 << 20;

/// How far the history has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    /// How many transactions were committed.
    pub(super) commits: u64,
    /// The rows of each table, in the order of [`TABLES`].
    pub(super) rows: [u64; TABLES.len()],
}

impl Totals {
    /// What is missing where these are expected and `found` is there.
    pub(super) fn losses(&self, found: &Self) -> Vec<Loss> {
        let commits = ("commits", self.commits, found.commits);
        let tables = TABLES.iter().zip(self.rows).zip(found.rows);
        let tables = tables.map(|((name, expected), found)| (*name, expected, found));
        std::iter::once(commits)
            .chain(tables)
            .filter(|(_, expected, found)| expected > found)
            .map(|(name, expected, found)| Loss {
                table: name.to_owned(),
                rows: expected - found,
            })
            .collect()
    }

    /// The smaller of both, for each table.
    pub(super) fn least(&self, other: &Self) -> Self {
        let mut least = *self;
        for (least, other) in least.rows.iter_mut().zip(other.rows) {
            *least = other.min(*least);
        }
        least
    }

    fn to_line(self) -> String {
        let mut line = format!("commits={}", self.commits);
        for (name, rows) in TABLES.iter().zip(self.rows) {
            line.push_str(&format!(" {name}={rows}"));
        }
        format!("{line} crc32={:08x}\n", checksum(line.as_bytes()))
    }

    /// A line without its end; `None` if it is not as it was written. Tables that it does not name
    /// had no rows.
    fn from_line(line: &str) -> Option<Self> {
        let (content, sum) = line.rsplit_once(" crc32=")?;
        if u32::from_str_radix(sum, 16).ok()? != checksum(content.as_bytes()) {
            return None;
        }
        let mut totals = Self::default();
        for field in content.split(' ') {
            let (name, count) = field.split_once('=')?;
            let count = count.parse().ok()?;
            match TABLES.iter().position(|table| *table == name) {
                Some(place) => totals.rows[place] = count,
                None if name == "commits" => totals.commits = count,
                None => {}
            }
        }
        Some(totals)
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// An open ledger.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Ledger {
    /// Opens a ledger, or begins one, and returns what stands in it last.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<Totals>)> {
        let mut file = open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let (last, whole_bytes) = last_line(&text);
        // What a crash left of a line that nobody relies on.
        file.set_len(whole_bytes)?;
        let ledger = Self {
            path: path.to_owned(),
            file,
            bytes: whole_bytes,
        };
        Ok((ledger, last))
    }

    /// Writes how far the history has come, for good.
    pub(super) fn write(&mut self, totals: Totals) -> io::Result<()> {
        if self.bytes > BYTES_MAX {
            self.begin_anew(totals)?;
        }
        let line = totals.to_line();
        let written = self
            .file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.bytes += line.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Should that fail, too, the next reader ignores the line.
                let _ = self.file.set_len(self.bytes);
                Err(error)
            }
        }
    }

    /// There is always the old file or the new one.
    fn begin_anew(&mut self, totals: Totals) -> io::Result<()> {
        let next = files::beside(&self.path, "next");
        fs::write(&next, totals.to_line())?;
        let file = open(&next)?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        files::sync_folder(&self.path)?;
        self.bytes = file.metadata()?.len();
        self.file = file;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// The last line that is whole, and where it ends.
fn last_line(text: &[u8]) -> (Option<Totals>, u64) {
    let mut last = (None, 0);
    let mut end = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        end += line.len() as u64;
        let line = line
            .strip_suffix(b"\n")
            .and_then(|it| str::from_utf8(it).ok());
        if let Some(totals) = line.and_then(Totals::from_line) {
            last = (Some(totals), end);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(commits: u64) -> Totals {
        let mut rows = [0; TABLES.len()];
        rows[2] = commits * 10;
        Totals { commits, rows }
    }

    #[test]
    fn whatever_is_cut_off_or_edited_the_last_whole_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let (mut ledger, last) = Ledger::open(&path).unwrap();
        assert_eq!(last, None);
        ledger.write(totals(1)).unwrap();
        let first_bytes = fs::metadata(&path).unwrap().len() as usize;
        ledger.write(totals(2)).unwrap();
        let text = fs::read(&path).unwrap();
        for length in first_bytes..text.len() {
            fs::write(&path, &text[..length]).unwrap();
            let (mut ledger, last) = Ledger::open(&path).unwrap();
            assert_eq!(last, Some(totals(1)), "{length} bytes");
            ledger.write(totals(3)).unwrap();
            assert_eq!(Ledger::open(&path).unwrap().1, Some(totals(3)));
        }
        for at in first_bytes..text.len() {
            let mut edited = text.clone();
            edited[at] ^= 1;
            fs::write(&path, &edited).unwrap();
            assert_eq!(Ledger::open(&path).unwrap().1, Some(totals(1)), "byte {at}");
        }
    }

    #[test]
    fn a_long_ledger_is_begun_anew_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let (mut ledger, _) = Ledger::open(&path).unwrap();
        ledger.bytes = BYTES_MAX + 1;
        ledger.write(totals(7)).unwrap();
        ledger.write(totals(8)).unwrap();
        assert_eq!(Ledger::open(&path).unwrap().1, Some(totals(8)));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
    }

    #[test]
    fn what_is_missing_is_said_by_table() {
        let loss = |table: &str, rows| Loss {
            table: table.into(),
            rows,
        };
        let losses = totals(5).losses(&totals(3));
        assert_eq!(losses, [loss("commits", 2), loss("uprobe_events", 20)]);
        assert_eq!(totals(3).losses(&totals(5)), []);
    }
}
