//! Whose a session is.

use coral_model::Escaped;

use crate::access::{Identity, Source};

/// The name that somebody gives themselves is in every list of sessions.
const NAME_CHARS_MAX: usize = 100;

/// The name of who asks, for people; where it is nobody in particular, the one that they give
/// themselves, cut and escaped.
pub(crate) fn requested_by(who: &Identity, given: &str) -> String {
    if who.source != Source::Loopback || given.is_empty() {
        return who.name.clone();
    }
    let name: String = given.chars().take(NAME_CHARS_MAX).collect();
    format!("{} (loopback)", Escaped(&name))
}

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

    /// Whether that may be the same one: all who come over the loopback have one name.
    pub(crate) fn may_be(&self, who: &Identity) -> bool {
        let is_loopback = self.source == Source::Loopback && who.source == Source::Loopback;
        is_loopback || *self == Self::of(who)
    }

    /// Whether that is certainly the same one: all who come over the loopback have one name.
    pub(crate) fn is(&self, who: &Identity) -> bool {
        *self == Self::of(who) && who.source != Source::Loopback
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::access::Services;

    #[test]
    fn only_who_is_nobody_in_particular_names_themselves() {
        let of = |source, given: &str| {
            let who = Identity {
                name: "itself".into(),
                roles: BTreeSet::new(),
                services: Services::all(),
                source,
            };
            requested_by(&who, given)
        };
        assert_eq!(of(Source::Token, "ann"), "itself");
        assert_eq!(of(Source::Loopback, ""), "itself");
        assert_eq!(of(Source::Loopback, "ann"), "ann (loopback)");
        assert_eq!(of(Source::Loopback, "\u{1b}[2J"), "\\u{1b}[2J (loopback)");
        let long = of(Source::Loopback, &"n".repeat(1_000));
        assert_eq!(long, format!("{} (loopback)", "n".repeat(NAME_CHARS_MAX)));
    }
}
