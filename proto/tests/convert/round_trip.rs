//! The other side has every snapshot exactly.

use std::sync::Arc;

use coral_model::Snapshot;
use coral_proto::agent::v1::SessionUpdate;
use coral_proto::convert::{Assembled, SessionUpdates};
use proptest::prelude::*;
use prost::Message;

use crate::tape::Tape;

/// The shortest limit tried: what cannot be cut of the tapes' snapshots is shorter.
const BYTES_MAX: usize = 2_048;

proptest! {
    #[test]
    fn every_snapshot_arrives_as_it_was(
        numbers in prop::collection::vec(any::<u32>(), 0..4_000),
        bytes_max in prop_oneof![Just(BYTES_MAX), Just(SessionUpdates::BYTES_MAX)],
    ) {
        let mut tape = Tape::new(numbers);
        let mut updates = SessionUpdates::with_bytes_max(bytes_max);
        let mut assembled = Assembled::new();
        let mut last: Option<Snapshot> = None;
        for _ in 0..6 {
            let snapshot = tape.snapshot(last.as_ref());
            let messages = updates.next(&Arc::new(snapshot.clone()));
            for message in &messages {
                prop_assert!(message.encoded_len() <= bytes_max, "{}", message.encoded_len());
            }
            let arrived = apply_all(&mut assembled, messages);
            prop_assert_eq!(&arrived, &snapshot);
            last = Some(snapshot);
        }
    }

    #[test]
    fn a_lost_message_is_noticed(
        numbers in prop::collection::vec(any::<u32>(), 0..4_000),
        lost in any::<prop::sample::Index>(),
    ) {
        let mut tape = Tape::new(numbers);
        let mut updates = SessionUpdates::with_bytes_max(BYTES_MAX);
        let mut messages = Vec::new();
        let mut last: Option<Snapshot> = None;
        for _ in 0..4 {
            let snapshot = tape.snapshot(last.as_ref());
            messages.extend(updates.next(&Arc::new(snapshot.clone())));
            last = Some(snapshot);
        }
        let lost = lost.index(messages.len() - 1);
        // A whole update says everything again, so nothing is missing behind it.
        prop_assume!(!messages[lost + 1].is_whole);
        let mut assembled = Assembled::new();
        for message in messages.drain(..lost) {
            assembled.apply(message).unwrap();
        }
        let error = assembled.apply(messages.remove(1)).unwrap_err();
        let code = coral_model::Diagnostic::code(&error);
        prop_assert!(["wire-gap", "wire-not-whole"].contains(&code), "{}", error);
    }
}

/// The snapshot that these messages lead to, over the wire's bytes.
pub(crate) fn apply_all(assembled: &mut Assembled, messages: Vec<SessionUpdate>) -> Snapshot {
    let mut arrived = None;
    for message in messages {
        assert!(arrived.is_none(), "a message behind the last one");
        let message = SessionUpdate::decode(message.encode_to_vec().as_slice()).unwrap();
        arrived = assembled.apply(message).unwrap();
    }
    Snapshot::clone(&arrived.unwrap())
}
