//! What a record says.

use serde::Serialize;
use serde_json::Value;

use crate::access::{Identity, Peer, PeerAddress, Source};

/// What was asked for, by whom, and what became of it. All text in it may come from outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Who asked.
    pub who: Who,
    /// What for, such as `session.start`.
    pub action: String,
    /// The session that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The service that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The functions that were asked for, as they were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
    /// What else was asked for, such as the duration and the filter.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub settings: Value,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Who asked for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Who {
    /// Their name; none where it could not be established.
    pub name: Option<String>,
    /// How they have proven it.
    pub source: Option<Source>,
    /// Where they are.
    pub peer: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "reason", rename_all = "snake_case")]
pub enum Outcome {
    /// It is allowed and is done right after this record.
    Allowed,
    /// It was done.
    Done,
    /// It was refused, and why.
    Refused(String),
    /// It was tried and failed, and why.
    Failed(String),
}

impl Entry {
    /// An entry that names who, what and the outcome; the rest is empty.
    pub fn new(who: Who, action: &str, outcome: Outcome) -> Self {
        Self {
            who,
            action: action.to_owned(),
            session: None,
            service: None,
            functions: Vec::new(),
            settings: Value::Null,
            outcome,
        }
    }
}

impl Who {
    /// Somebody who has proven who they are.
    pub fn of(identity: &Identity, peer: &Peer) -> Self {
        Self {
            name: Some(identity.name.clone()),
            source: Some(identity.source),
            peer: peer.address.to_string(),
        }
    }

    /// Somebody of whom no more is known than where they are.
    pub fn unidentified(address: PeerAddress) -> Self {
        Self {
            name: None,
            source: None,
            peer: address.to_string(),
        }
    }

    /// The program itself.
    pub fn coral() -> Self {
        Self {
            name: Some("coral".into()),
            source: None,
            peer: "local".into(),
        }
    }
}
