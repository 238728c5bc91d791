//! Whose a session is.

use crate::access::{Identity, Source};

/// Who has asked for a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    name: String,
    source: Source,
}

impl Owner {
    pub(crate) fn of(who: &Identity) -> Self {
        Self {
            name: who.name.clone(),
            source: who.source,
        }
    }

    /// Somebody who was asked before, as far as that was remembered.
    pub(crate) fn named(name: String, source: Source) -> Self {
        Self { name, source }
    }

    /// How they have proven who they are.
    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// Whether that is certainly the same one: all who come over the loopback have one name.
    pub(crate) fn is(&self, who: &Identity) -> bool {
        *self == Self::of(who) && who.source != Source::Loopback
    }
}
