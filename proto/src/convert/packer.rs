//! Spreads what belongs to one update over messages that are short enough.

use prost::Message;

use super::ITEM_BYTES;
use crate::agent::v1::SessionUpdate;

/// What a message holds beside its items: its number, its marks, and the heads of its lists.
const MESSAGE_BYTES: usize = 64;

/// Fills message after message.
pub(super) struct Packer {
    bytes_max: usize,
    full: Vec<SessionUpdate>,
    open: SessionUpdate,
    open_bytes: usize,
}

impl Packer {
    /// Messages of so many bytes, of which `first` begins the first.
    pub(super) fn new(bytes_max: usize, first: SessionUpdate) -> Self {
        Self {
            bytes_max,
            full: Vec::new(),
            open_bytes: MESSAGE_BYTES + first.encoded_len(),
            open: first,
        }
    }

    /// How long an item may be to fit into a message of its own.
    pub(super) fn item_bytes_max(&self) -> usize {
        self.bytes_max.saturating_sub(MESSAGE_BYTES + ITEM_BYTES)
    }

    /// Puts an item into the open message, or into a new one if it does not fit.
    pub(super) fn add<Item: Message>(
        &mut self,
        item: Item,
        put: impl FnOnce(&mut SessionUpdate, Item),
    ) {
        let bytes = ITEM_BYTES + item.encoded_len();
        if self.open_bytes + bytes > self.bytes_max && self.open_bytes > MESSAGE_BYTES {
            self.full.push(std::mem::take(&mut self.open));
            self.open_bytes = MESSAGE_BYTES;
        }
        self.open_bytes += bytes;
        put(&mut self.open, item);
    }

    /// The messages, numbered from the one after `sequence`, which becomes the last one's number.
    pub(super) fn finish(mut self, sequence: &mut u64) -> Vec<SessionUpdate> {
        for update in &mut self.full {
            update.continues = true;
        }
        self.full.push(self.open);
        for update in &mut self.full {
            *sequence += 1;
            update.sequence = *sequence;
        }
        self.full
    }
}
