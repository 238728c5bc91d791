//! What can be compared.

use Field as F;
use Operator as O;

use super::Operator;

/// Something that is known of a function, or measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Name,
    Package,
    File,
    Line,
    Size,
    Language,
    Probe,
    Own,
    Probed,
    Calls,
    Rate,
    P50,
    P90,
    P95,
    P99,
    Max,
    Mean,
    Total,
    SelfTime,
    Errors,
    InFlight,
    Cost,
}

/// What a field is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Nothing: it holds by itself.
    Flag,
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number with one of these units; the last one is that of a number without.
    Number(&'static [Unit]),
}

/// A unit of numbers.
#[derive(Debug, PartialEq)]
pub(crate) struct Unit {
    pub(super) name: &'static str,
    /// How much one of it is: in nanoseconds, bytes, percent, or by count.
    pub(super) size: f64,
}

const fn unit(name: &'static str, size: f64) -> Unit {
    Unit { name, size }
}

/// Times. Without a unit there is only 0.
pub(super) static TIMES: [Unit; 6] = [
    unit("ns", 1.0),
    unit("us", 1e3),
    unit("µs", 1e3),
    unit("ms", 1e6),
    unit("s", 1e9),
    unit("", 0.0),
];
static COUNTS: [Unit; 3] = [unit("k", 1e3), unit("M", 1e6), unit("", 1.0)];
/// Sizes are shown in KiB, so that is what a k is.
static SIZES: [Unit; 6] = [
    unit("B", 1.0),
    unit("k", 1024.0),
    unit("KiB", 1024.0),
    unit("M", 1_048_576.0),
    unit("MiB", 1_048_576.0),
    unit("", 1.0),
];
static PERCENTS: [Unit; 2] = [unit("%", 1.0), unit("", 1.0)];

const LANGUAGES: &[&str] = &["go", "rust", "c", "c++", "assembly", "unknown"];
const PROBES: &[&str] = &["full", "entry_only", "none"];

impl Kind {
    /// How it is compared, and the same for people; not at all if it holds by itself.
    pub(super) fn operators(self) -> (&'static [Operator], &'static str) {
        match self {
            Self::Flag => (&[], ""),
            Self::Text => (&[O::Equal, O::NotEqual, O::Contains], "`=`, `!=` or `~`"),
            Self::Word(_) => (&[O::Equal, O::NotEqual], "`=` or `!=`"),
            Self::Number(_) => (
                &[
                    O::Equal,
                    O::NotEqual,
                    O::Less,
                    O::LessOrEqual,
                    O::Greater,
                    O::GreaterOrEqual,
                ],
                "`=`, `!=`, `<`, `<=`, `>` or `>=`",
            ),
        }
    }
}

impl Field {
    /// All fields by their names; the first name of a field is the one that it is written by.
    pub(super) const ALL: [(&'static str, Self); 24] = [
        ("name", F::Name),
        ("package", F::Package),
        ("file", F::File),
        ("line", F::Line),
        ("size", F::Size),
        ("lang", F::Language),
        ("language", F::Language),
        ("probe", F::Probe),
        ("probed", F::Probed),
        ("own_code", F::Own),
        ("calls", F::Calls),
        ("rate", F::Rate),
        ("calls/s", F::Rate),
        ("p50", F::P50),
        ("p90", F::P90),
        ("p95", F::P95),
        ("p99", F::P99),
        ("max", F::Max),
        ("mean", F::Mean),
        ("total", F::Total),
        ("self", F::SelfTime),
        ("errors", F::Errors),
        ("in_flight", F::InFlight),
        ("cost", F::Cost),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|&(_, field)| field)
    }

    pub(super) fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|&&(_, field)| field == self)
            .map_or("", |(name, _)| name)
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            F::Own | F::Probed => Kind::Flag,
            F::Name | F::Package | F::File => Kind::Text,
            F::Language => Kind::Word(LANGUAGES),
            F::Probe => Kind::Word(PROBES),
            F::Line | F::Calls | F::Rate | F::InFlight => Kind::Number(&COUNTS),
            F::Size => Kind::Number(&SIZES),
            F::Errors | F::Cost => Kind::Number(&PERCENTS),
            F::P50 | F::P90 | F::P95 | F::P99 => Kind::Number(&TIMES),
            F::Max | F::Mean | F::Total | F::SelfTime => Kind::Number(&TIMES),
        }
    }

    /// Whether it is measured.
    pub(super) fn is_live(self) -> bool {
        let is_number = matches!(self.kind(), Kind::Number(_));
        self == F::Probed || is_number && !matches!(self, F::Line | F::Size)
    }
}
