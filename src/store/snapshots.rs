//! Whole snapshots as bytes: the wire's messages, each behind its length, deflated.

use std::io::{Read, Write};
use std::sync::Arc;

use coral_model::Snapshot;
use coral_proto::agent::v1::SessionUpdate;
use coral_proto::convert::{Assembled, ConvertError, SESSION_BYTES_MAX, SessionUpdates};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use prost::Message;

/// The snapshot as bytes.
pub(super) fn encode(snapshot: &Arc<Snapshot>) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    for update in SessionUpdates::new().next(snapshot) {
        encoder
            .write_all(&update.encode_length_delimited_to_vec())
            .expect("a vector takes everything");
    }
    encoder.finish().expect("a vector takes everything")
}

/// The snapshot that the bytes are.
///
/// # Errors
/// If they are none.
pub(super) fn decode(bytes: &[u8]) -> Result<Arc<Snapshot>, ConvertError> {
    let cut_off = || ConvertError::Missing { field: "snapshot" };
    let mut inflated = Vec::new();
    DeflateDecoder::new(bytes)
        .take(SESSION_BYTES_MAX as u64)
        .read_to_end(&mut inflated)
        .map_err(|_| cut_off())?;
    let mut rest = inflated.as_slice();
    let mut assembled = Assembled::new();
    let mut snapshot = None;
    while !rest.is_empty() {
        let update = SessionUpdate::decode_length_delimited(&mut rest).map_err(|_| cut_off())?;
        snapshot = assembled.apply(update)?;
    }
    snapshot.ok_or_else(cut_off)
}
