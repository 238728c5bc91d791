//! A record as a line of text, sealed with its own hash.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AuditError, Entry, Fault};
use crate::access::Sha256;

/// A longer line is no record, and a longer record is not written.
pub(super) const LINE_BYTES_MAX: usize = 4 << 20;

/// What stands between a record's content and its own hash.
const SEAL: &str = ",\"sha256\":\"";
/// The hash's digits, and what closes the line.
const SEAL_END_BYTES: usize = 64 + "\"}".len();

/// A place in the chain: behind so many records, the last of which has that hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    pub(super) count: u64,
    pub(super) sha256: Sha256,
}

#[derive(Serialize)]
struct Content<'a> {
    sequence: u64,
    time: Timestamp,
    previous: Sha256,
    #[serde(flatten)]
    entry: &'a Entry,
}

/// What the chain needs of a record.
#[derive(Deserialize)]
struct Link {
    sequence: u64,
    previous: Sha256,
}

impl Position {
    /// Before the first record.
    pub(super) const START: Self = Self {
        count: 0,
        sha256: Sha256::ZERO,
    };

    /// The line of the next record, with its line end, and the position behind it.
    pub(super) fn seal(self, entry: &Entry) -> Result<(String, Self), AuditError> {
        let sequence = self.count + 1;
        let content = Content {
            sequence,
            time: Timestamp::now(),
            previous: self.sha256,
            entry,
        };
        let json = serde_json::to_string(&content).map_err(AuditError::Json)?;
        let mut line = to_ascii(&json);
        line.pop();
        let sha256 = Sha256::of(line.as_bytes());
        line.push_str(&format!("{SEAL}{sha256}\"}}\n"));
        if line.len() > LINE_BYTES_MAX {
            return Err(AuditError::TooLarge {
                bytes: line.len(),
                bytes_max: LINE_BYTES_MAX,
            });
        }
        let behind = Self {
            count: sequence,
            sha256,
        };
        Ok((line, behind))
    }

    /// The position behind a line without its line end, if it is the next record.
    pub(super) fn follow(self, line: &[u8]) -> Result<Self, Fault> {
        let (content, sha256) = unseal(line).ok_or(Fault::Edited)?;
        if Sha256::of(content.as_bytes()) != sha256 {
            return Err(Fault::Edited);
        }
        let link: Link =
            serde_json::from_str(&format!("{content}}}")).map_err(|_| Fault::Edited)?;
        if link.sequence != self.count + 1 {
            return Err(Fault::OutOfOrder {
                found: link.sequence,
            });
        }
        if link.previous != self.sha256 {
            return Err(Fault::Unchained);
        }
        Ok(Self {
            count: link.sequence,
            sha256,
        })
    }
}

/// The content of a line, without the brace that would close it, and its hash.
fn unseal(line: &[u8]) -> Option<(&str, Sha256)> {
    let line = std::str::from_utf8(line).ok()?;
    let (content, end) = line.split_at_checked(line.len().checked_sub(SEAL_END_BYTES)?)?;
    let content = content.strip_suffix(SEAL)?;
    let digits = end.strip_suffix("\"}")?;
    let sha256: Sha256 = digits.parse().ok()?;
    // Each hash is written in one way only.
    (sha256.to_string() == digits).then_some((content, sha256))
}

/// The same JSON in printable ASCII: nothing in it can act on a terminal or hide.
fn to_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        if (' '..='~').contains(&character) {
            ascii.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}
