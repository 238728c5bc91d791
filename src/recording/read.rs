//! Reads a recording, whoever has written it: bounded in size, never in a panic, and with what is
//! readable of a file that is damaged.

use std::cmp::Ordering;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use coral_model::{
    CallNode, CallRecord, CallTree, Diagnostic, ExitStatus, FunctionTable, Snapshot, Target, escape,
};
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;

use super::check;
use super::format::{Delta, Frame, Header, SCHEMA, SchemaOnly, inner_before};

/// A recording is read up to this size after decompression.
const DECOMPRESSED_MAX_BYTES: u64 = 512 << 20;
/// All frames together take so much memory at most for what they share with the frame before.
const FRAMES_MAX_BYTES: usize = 1 << 30;

/// Why a recording cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file is something else.
    #[error("this is not a coral recording: {0}")]
    NotARecording(String),
    /// The file is of a version of coral that writes another format.
    #[error("the recording is a `{}`, this program reads `{SCHEMA}`", escape(.0))]
    UnknownSchema(String),
    /// The file ends too early: its writer was killed, or it was not copied whole.
    #[error("the recording ends in the middle")]
    CutOff,
    /// A frame makes no sense.
    #[error("frame {frame} of the recording is damaged: {why}")]
    Damaged {
        /// Which frame, counted from 1.
        frame: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The bytes cannot be decompressed.
    #[error("the recording is damaged: {0}")]
    Corrupt(io::Error),
    /// The file holds more than a recording may.
    #[error("the recording is larger than {} MiB", DECOMPRESSED_MAX_BYTES >> 20)]
    TooLarge,
    /// The operating system could not read it.
    #[error("the recording could not be read: {0}")]
    Io(io::Error),
}

impl Diagnostic for RecordingError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotARecording(_) => "not-a-recording",
            Self::UnknownSchema(_) => "recording-schema",
            Self::CutOff => "recording-cut-off",
            Self::Damaged { .. } | Self::Corrupt(_) => "recording-damaged",
            Self::TooLarge => "recording-too-large",
            Self::Io(_) => "recording-unreadable",
        }
    }

    fn help(&self) -> String {
        match self {
            Self::NotARecording(_) => "name a file that a session was recorded to",
            Self::UnknownSchema(_) => "replay it with the version of coral that has recorded it",
            Self::CutOff | Self::Damaged { .. } | Self::Corrupt(_) => {
                "copy the file again; what is readable of it can be replayed"
            }
            Self::TooLarge => "record fewer functions, or for a shorter time",
            Self::Io(_) => "check that the file is there and that you may read it",
        }
        .to_owned()
    }

    fn exit_status(&self) -> ExitStatus {
        match self {
            Self::NotARecording(_) | Self::UnknownSchema(_) => ExitStatus::Usage,
            _ => ExitStatus::Failure,
        }
    }
}

/// A recording in memory.
#[derive(Debug)]
pub struct Recording {
    target: Target,
    table: Arc<FunctionTable>,
    started_at: Timestamp,
    frames: Vec<(Duration, Arc<Snapshot>)>,
    damage: Option<RecordingError>,
}

impl Recording {
    /// Reads a recording up to its end or to where it is damaged; see [`Self::damage`].
    ///
    /// # Errors
    /// If not even its first line can be read.
    pub fn read(input: impl Read) -> Result<Self, RecordingError> {
        let mut lines = Lines::new(input);
        let first = match lines.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => return Err(RecordingError::CutOff),
            Err(RecordingError::Corrupt(error)) => {
                return Err(RecordingError::NotARecording(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        let header = parse_header(first)?;
        let table = header
            .table
            .build()
            .map_err(|why| RecordingError::NotARecording(why.to_owned()))?;
        let mut recording = Self {
            target: header.target,
            table: Arc::new(table),
            started_at: header.started_at,
            frames: Vec::new(),
            damage: None,
        };
        recording.damage = recording.read_frames(&mut lines).err();
        Ok(recording)
    }

    /// The process that was watched.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its functions.
    pub fn table(&self) -> &Arc<FunctionTable> {
        &self.table
    }

    /// When the recording began, by the time of day.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// The snapshots in the order of their time since the recording's start.
    pub fn frames(&self) -> &[(Duration, Arc<Snapshot>)] {
        &self.frames
    }

    /// Whether frames are missing at the end.
    pub fn is_truncated(&self) -> bool {
        self.damage.is_some()
    }

    /// Why frames are missing at the end, if they are.
    pub fn damage(&self) -> Option<&RecordingError> {
        self.damage.as_ref()
    }

    fn read_frames(&mut self, lines: &mut Lines<impl Read>) -> Result<(), RecordingError> {
        let mut size_bytes = 0;
        while let Some(line) = lines.next_line()? {
            let damaged = |why| RecordingError::Damaged {
                frame: self.frames.len() + 1,
                why,
            };
            let frame: Frame<'_> =
                serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
            let at = Duration::from_millis(frame.at_ms);
            let previous = self.frames.last();
            if previous.is_some_and(|(before, _)| *before > at) {
                return Err(damaged("it lies before the one before it".into()));
            }
            let snapshot = apply(previous.map(|(_, snapshot)| &**snapshot), frame.snapshot)
                .map_err(|why| damaged(why.to_owned()))?;
            size_bytes += size_of_val(&*snapshot.functions)
                + size_of_val(&*snapshot.slow_calls)
                + size_of_val(&*snapshot.call_tree.nodes);
            if size_bytes > FRAMES_MAX_BYTES {
                return Err(RecordingError::TooLarge);
            }
            self.frames.push((at, Arc::new(snapshot)));
        }
        Ok(())
    }
}

fn parse_header(line: &[u8]) -> Result<Header, RecordingError> {
    let not_a_recording =
        |error: serde_json::Error| RecordingError::NotARecording(error.to_string());
    let SchemaOnly { schema } = serde_json::from_slice(line).map_err(not_a_recording)?;
    if schema != SCHEMA {
        return Err(RecordingError::UnknownSchema(schema));
    }
    serde_json::from_slice(line).map_err(not_a_recording)
}

/// The snapshot that a delta makes of the one before it.
fn apply(previous: Option<&Snapshot>, delta: Delta<'_>) -> Result<Snapshot, &'static str> {
    let before = previous.map_or(&[][..], |previous| &previous.functions);
    let mut functions = before[..before.len().min(delta.functions_len)].to_vec();
    for (index, stats) in delta.functions {
        check::stats(&stats)?;
        match index.cmp(&functions.len()) {
            Ordering::Less => functions[index] = stats,
            Ordering::Equal => functions.push(stats),
            Ordering::Greater => return Err("a function is missing"),
        }
    }
    if functions.len() != delta.functions_len {
        return Err("it has another number of functions than it says");
    }
    check::accounting(&delta.accounting)?;
    let slow_calls = match (delta.slow_calls, previous) {
        (Some(calls), _) => with_inner(calls.into_owned(), &delta.same_inner, previous)?,
        (None, Some(previous)) => previous.slow_calls.clone(),
        (None, None) => return Err("its slow calls are missing"),
    };
    let call_tree = apply_nodes(previous, delta.nodes, delta.lost_calls)?;
    let mut notices = previous.map_or_else(Vec::new, |previous| previous.notices.clone());
    notices.extend(delta.notices.into_owned());
    Ok(Snapshot {
        session: delta.session.into_owned(),
        functions,
        call_tree,
        slow_calls,
        in_flight: delta.in_flight.into_owned(),
        notices,
        accounting: delta.accounting,
        overhead: delta.overhead,
        replicas: Vec::new(),
    })
}

/// Slow calls with the calls inside of them that the frame before has.
fn with_inner(
    mut calls: Vec<CallRecord>,
    same_inner: &[usize],
    previous: Option<&Snapshot>,
) -> Result<Vec<CallRecord>, &'static str> {
    for &place in same_inner {
        let call = calls.get_mut(place);
        let call = call.ok_or("a slow call is missing")?;
        let inner = inner_before(previous, call);
        let inner = inner.ok_or("the calls inside of a slow one are missing")?;
        call.inner = Some(Arc::clone(inner));
    }
    Ok(calls)
}

/// The call tree that changed paths make of the one before it.
fn apply_nodes(
    previous: Option<&Snapshot>,
    nodes: Vec<(usize, CallNode)>,
    lost_calls: u64,
) -> Result<Arc<CallTree>, &'static str> {
    let mut tree = previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.call_tree));
    if nodes.is_empty() && tree.lost_calls == lost_calls {
        return Ok(tree);
    }
    let changed = Arc::make_mut(&mut tree);
    changed.lost_calls = lost_calls;
    for (place, node) in nodes {
        if node.parent.is_some_and(|parent| parent as usize >= place) {
            return Err("a path lies before its caller's");
        }
        match place.cmp(&changed.nodes.len()) {
            Ordering::Less => changed.nodes[place] = node,
            Ordering::Equal => changed.nodes.push(node),
            Ordering::Greater => return Err("a path is missing"),
        }
    }
    Ok(tree)
}

/// The lines of a compressed file, one at a time.
struct Lines<R: Read> {
    input: BufReader<io::Take<MultiGzDecoder<R>>>,
    line: Vec<u8>,
}

impl<R: Read> Lines<R> {
    fn new(input: R) -> Self {
        // One byte more than allowed tells a file that is too large from one that just fits.
        let limited = MultiGzDecoder::new(input).take(DECOMPRESSED_MAX_BYTES + 1);
        Self {
            input: BufReader::new(limited),
            line: Vec::new(),
        }
    }

    /// The next line, or none behind the last.
    fn next_line(&mut self) -> Result<Option<&[u8]>, RecordingError> {
        self.line.clear();
        self.input
            .read_until(b'\n', &mut self.line)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => RecordingError::CutOff,
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                    RecordingError::Corrupt(error)
                }
                _ => RecordingError::Io(error),
            })?;
        if self.input.get_ref().limit() == 0 {
            return Err(RecordingError::TooLarge);
        }
        match self.line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(&self.line)),
            Some(_) => Err(RecordingError::CutOff),
        }
    }
}
