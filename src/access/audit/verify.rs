//! Whether a log is as it was written.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::line::{LINE_BYTES_MAX, Position};
use super::{AuditError, Broken, Fault, anchor, files};
use crate::access::Sha256;

/// A log that is as it was written, as far as can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many records there are.
    pub records: u64,
    /// The hash of the last one.
    pub sha256: Sha256,
    /// How many of them the anchor vouches for. Those behind could have been written by anybody
    /// who can write the file; without an anchor all could.
    pub anchored_records: Option<u64>,
}

/// Looks at every record of a log, from the oldest full file on.
///
/// # Errors
/// With the first record that is not as it was written, or if a file cannot be read.
pub fn verify(path: &Path, anchor_path: Option<&Path>) -> Result<Verified, AuditError> {
    walk_through(path, anchor_path).map_err(AuditError::of_reading)
}

fn walk_through(path: &Path, anchor_path: Option<&Path>) -> Result<Verified, AuditError> {
    let anchored = anchor_path.map(read_anchor).transpose()?;
    let mut walk = Walk::new(path, anchored);
    let files = files::of_log(path).map_err(AuditError::io(path))?;
    if files.is_empty() {
        return Err(AuditError::io(path)(io::ErrorKind::NotFound.into()));
    }
    for file in files {
        walk.through(&file)?;
    }
    let at = walk.end()?;
    Ok(Verified {
        records: at.count,
        sha256: at.sha256,
        anchored_records: anchored.map(|anchored| anchored.count),
    })
}

/// An anchor that has to be there.
fn read_anchor(path: &Path) -> Result<Position, AuditError> {
    let found = anchor::read(path).map_err(AuditError::io(path))?;
    let Some(found) = found else {
        return Err(AuditError::io(path)(io::ErrorKind::NotFound.into()));
    };
    found.ok_or_else(|| bad_anchor(path).into())
}

pub(super) fn bad_anchor(path: &Path) -> Broken {
    Broken {
        record: 0,
        file: path.to_owned(),
        line: 1,
        fault: Fault::BadAnchor,
    }
}

/// A walk along the chain.
pub(super) struct Walk {
    at: Position,
    anchored: Option<Position>,
    file: PathBuf,
    line: u64,
}

impl Walk {
    pub(super) fn new(path: &Path, anchored: Option<Position>) -> Self {
        Self {
            at: Position::START,
            anchored,
            file: path.to_owned(),
            line: 0,
        }
    }

    /// Follows the records of the next file.
    pub(super) fn through(&mut self, path: &Path) -> Result<(), AuditError> {
        let torn = self.through_whole_lines(path)?;
        if torn.bytes > 0 {
            self.line += 1;
            return Err(self.broken(Fault::Torn).into());
        }
        Ok(())
    }

    /// Follows the records of the next file, up to one that has no line end.
    pub(super) fn through_whole_lines(&mut self, path: &Path) -> Result<TornTail, AuditError> {
        let fail = AuditError::io(path);
        let mut reader = BufReader::new(File::open(path).map_err(&fail)?);
        path.clone_into(&mut self.file);
        self.line = 0;
        let mut whole_bytes = 0;
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut bounded = reader.by_ref().take(LINE_BYTES_MAX as u64);
            let read = bounded.read_until(b'\n', &mut line).map_err(&fail)?;
            let Some(record) = line.strip_suffix(b"\n") else {
                return Ok(TornTail {
                    whole_bytes,
                    bytes: read as u64,
                });
            };
            self.line += 1;
            self.at = self.follow(record).map_err(|fault| self.broken(fault))?;
            whole_bytes += read as u64;
        }
    }

    /// Where the chain ends, if that is no earlier than the anchor knows.
    pub(super) fn end(mut self) -> Result<Position, AuditError> {
        match self.anchored {
            Some(anchored) if anchored.count > self.at.count => {
                self.line += 1;
                let count = anchored.count;
                Err(self.broken(Fault::CutOff { count }).into())
            }
            _ => Ok(self.at),
        }
    }

    fn follow(&self, record: &[u8]) -> Result<Position, Fault> {
        let next = self.at.follow(record)?;
        match self.anchored {
            Some(anchored) if anchored.count == next.count && anchored != next => {
                Err(Fault::NotAnchored)
            }
            _ => Ok(next),
        }
    }

    fn broken(&self, fault: Fault) -> Broken {
        Broken {
            record: self.at.count + 1,
            file: self.file.clone(),
            line: self.line,
            fault,
        }
    }
}

/// What stands behind the last line end of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct TornTail {
    /// The length of everything before it.
    pub(super) whole_bytes: u64,
    /// Its own length.
    pub(super) bytes: u64,
}
