//! The files of a journal: a head, and entries behind it in the order of their numbers.
//!
//! A record is the length and the CRC-32 of a message, four bytes each and little-endian, and the
//! message. From a record on that was cut off or damaged, nothing of the file is there.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use coral_proto::MESSAGE_BYTES_MAX;
use coral_proto::agent::v1::JournalEntry;
use flate2::Crc;
use prost::Message;

/// What such files begin with.
const MAGIC: &[u8] = b"coral-journal 1\n";
/// The length and the CRC before each message.
const RECORD_HEAD_BYTES: usize = 8;

/// What a file says before its first entry.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Head {
    #[prost(string, tag = "1")]
    pub(super) session_id: String,
    #[prost(uint64, tag = "2")]
    pub(super) epoch: u64,
    /// As the session's client has named its request.
    #[prost(string, tag = "3")]
    pub(super) request_id: String,
    /// The start of the machine: what was written before a later one may have been lost.
    #[prost(string, tag = "4")]
    pub(super) boot_id: String,
    #[prost(uint64, tag = "5")]
    pub(super) first_sequence: u64,
    /// How many calls the entries before the first one have, stored or left out.
    #[prost(uint64, tag = "6")]
    pub(super) calls_before: u64,
    /// Whether it holds one checkpoint; else it holds calls.
    #[prost(bool, tag = "7")]
    pub(super) is_checkpoint: bool,
}

/// A file of a journal, as far as it is known without reading it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) first_sequence: u64,
    /// The one before the first if there is no entry.
    pub(super) last_sequence: u64,
    pub(super) calls_before: u64,
    /// How many calls its entries have, or say that they were left out.
    pub(super) calls: u64,
    pub(super) is_checkpoint: bool,
    /// Up to where its records are whole.
    pub(super) len_bytes: u64,
}

/// A file as it was found.
pub(super) struct Found {
    pub(super) head: Head,
    pub(super) segment: Segment,
    /// Its entries, and how many calls the journal has up to each.
    pub(super) calls_up_to: Vec<(u64, u64)>,
    /// Whether the journal's last entry is in it.
    pub(super) has_last: bool,
}

impl Segment {
    /// Makes the file, with nothing but its head.
    ///
    /// # Errors
    /// Those of the file system; then there is no such file.
    pub(super) fn create(path: PathBuf, head: &Head) -> io::Result<(Self, File)> {
        let mut options = OpenOptions::new();
        // A file of this name can only be one that could not be removed.
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&path)?;
        let bytes = [MAGIC, &record(head)].concat();
        if let Err(error) = file.write_all(&bytes) {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let segment = Self {
            path,
            first_sequence: head.first_sequence,
            last_sequence: head.first_sequence - 1,
            calls_before: head.calls_before,
            calls: 0,
            is_checkpoint: head.is_checkpoint,
            len_bytes: bytes.len() as u64,
        };
        Ok((segment, file))
    }

    /// How long a file is that has nothing but such a head.
    pub(super) fn empty_bytes(head: &Head) -> u64 {
        (MAGIC.len() + record(head).len()) as u64
    }

    /// Whether it has no entries.
    pub(super) fn is_empty(&self) -> bool {
        self.last_sequence < self.first_sequence
    }

    /// Where the numbers go on behind it.
    pub(super) fn next_sequence(&self) -> u64 {
        self.last_sequence + 1
    }

    /// How many calls the journal has up to its end.
    pub(super) fn calls_up_to(&self) -> u64 {
        self.calls_before + self.calls
    }

    /// Counts an entry that stands in it now.
    pub(super) fn count(&mut self, entry: &JournalEntry) {
        self.last_sequence = entry.sequence;
        self.calls += calls_of(entry);
    }
}

/// How many calls an entry holds, or says that they were left out.
pub(super) fn calls_of(entry: &JournalEntry) -> u64 {
    entry.calls.len() as u64 + entry.gap.as_ref().map_or(0, |gap| gap.calls)
}

/// A message as it stands in a file.
pub(super) fn record(message: &impl Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let mut record = Vec::with_capacity(RECORD_HEAD_BYTES + message.len());
    record.extend((message.len() as u32).to_le_bytes());
    record.extend(crc(&message).to_le_bytes());
    record.extend(message);
    record
}

/// What a file says before its first entry, if that is whole.
///
/// # Errors
/// If it cannot be read.
pub(super) fn head(path: &Path) -> io::Result<Option<Head>> {
    Records::open(path, 0, u64::MAX)?.head()
}

/// Looks at a file that is there; none if its head is not whole, or it holds a part of a
/// checkpoint. One without entries tells all the same what was before it. Entries from
/// `until_sequence` on stand in the next file again, and do not count in this one.
///
/// # Errors
/// If it cannot be read.
pub(super) fn find(path: &Path, until_sequence: u64) -> io::Result<Option<Found>> {
    let mut records = Records::open(path, 0, u64::MAX)?;
    let Some(head) = records.head()? else {
        return Ok(None);
    };
    let mut segment = Segment {
        path: path.to_owned(),
        first_sequence: head.first_sequence,
        last_sequence: head.first_sequence.saturating_sub(1),
        calls_before: head.calls_before,
        calls: 0,
        is_checkpoint: head.is_checkpoint,
        len_bytes: records.offset,
    };
    let mut calls_up_to = Vec::new();
    let (mut has_last, mut continues) = (false, false);
    while let Some(entry) = records.next::<JournalEntry>()? {
        let is_next = entry.sequence == segment.next_sequence();
        if !is_next || entry.sequence >= until_sequence {
            break;
        }
        has_last = entry.is_last;
        continues = entry.checkpoint.as_ref().is_some_and(|it| it.continues);
        segment.count(&entry);
        calls_up_to.push((entry.sequence, segment.calls_up_to()));
        segment.len_bytes = records.offset;
    }
    let is_part = head.is_checkpoint && (segment.is_empty() || continues);
    Ok((!is_part).then_some(Found {
        head,
        segment,
        calls_up_to,
        has_last,
    }))
}

/// Reads the records of a file one after the other.
#[derive(Debug)]
pub(super) struct Records {
    file: BufReader<File>,
    offset: u64,
    until: u64,
}

impl Records {
    /// Those between two places in the file, counted in bytes; at 0 its head is due.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn open(path: &Path, offset: u64, until: u64) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(64 << 10, File::open(path)?);
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            file,
            offset,
            until,
        })
    }

    /// The head, if it is whole. Comes first.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn head(&mut self) -> io::Result<Option<Head>> {
        let mut magic = [0; MAGIC.len()];
        if !self.fill(&mut magic)? || magic != *MAGIC {
            return Ok(None);
        }
        self.offset = MAGIC.len() as u64;
        let head = self.next::<Head>()?;
        Ok(head.filter(|head| head.first_sequence > 0))
    }

    /// The next message; none at the end, and where the file was cut off or damaged.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn next<M: Message + Default>(&mut self) -> io::Result<Option<M>> {
        let mut head = [0; RECORD_HEAD_BYTES];
        if self.offset >= self.until || !self.fill(&mut head)? {
            return Ok(None);
        }
        let [a, b, c, d, e, f, g, h] = head;
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        if len > MESSAGE_BYTES_MAX {
            return Ok(None);
        }
        let mut message = vec![0; len];
        if !self.fill(&mut message)? || crc(&message) != u32::from_le_bytes([e, f, g, h]) {
            return Ok(None);
        }
        self.offset += (RECORD_HEAD_BYTES + len) as u64;
        Ok(M::decode(message.as_slice()).ok())
    }

    /// Lets it go on to there, where the file has grown.
    pub(super) fn grow(&mut self, until: u64) {
        self.until = until;
    }

    /// Whether so much is there.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<bool> {
        match self.file.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}
