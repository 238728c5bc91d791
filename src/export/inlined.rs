//! Where functions were inlined, as lists of them show it.

use std::borrow::Cow;

use coral_model::escape;
use serde::{Serialize, Serializer};

/// A function that was inlined.
#[derive(Clone, Debug, Serialize)]
pub struct InlinedCalls<'a> {
    /// Its name.
    #[serde(serialize_with = "escaped")]
    pub name: &'a str,
    /// The source file that it is defined in.
    #[serde(serialize_with = "escaped_option")]
    pub file: Option<&'a str>,
    /// The line of its definition, from 1.
    pub line: Option<u32>,
    /// The calls that were inlined where that can be counted.
    pub calls: Vec<InlinedCall<'a>>,
    /// How many more there are where nothing may be probed.
    pub uncountable: u32,
}

/// A call that was inlined.
#[derive(Clone, Debug, Serialize)]
pub struct InlinedCall<'a> {
    /// The function whose code it is in now.
    #[serde(serialize_with = "escaped")]
    pub into: &'a str,
    /// The source file of the call.
    #[serde(serialize_with = "escaped_option")]
    pub file: Option<&'a str>,
    /// The line of the call, from 1.
    pub line: Option<u32>,
    /// Whether its count is exact as far as the code tells; an estimate otherwise.
    pub is_exact: bool,
}

impl InlinedCall<'_> {
    /// What its count is, in a word.
    pub(super) fn kind(&self) -> &'static str {
        if self.is_exact { "exact" } else { "estimate" }
    }
}

/// Every call beside its function.
pub(super) fn rows<'a, 'b>(
    inlined: &'b [InlinedCalls<'a>],
) -> impl Iterator<Item = (&'b InlinedCalls<'a>, &'b InlinedCall<'a>)> {
    let of =
        |function: &'b InlinedCalls<'a>| function.calls.iter().map(move |call| (function, call));
    inlined.iter().flat_map(of)
}

fn escaped<S: Serializer>(text: &&str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&escape(text))
}

fn escaped_option<S: Serializer>(text: &Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    let text: Option<Cow<'_, str>> = text.map(escape);
    text.serialize(serializer)
}
