//! How this kernel takes probes: many in one link, or each in a link of its own.

use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::time::Duration;

use aya::programs::uprobe::UProbeScope;

use super::error::ProbeError;
use super::features::{Feature, Features};
use super::requirements::KernelFacts;

/// The kind of links that probes are attached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Many probes in one link, which one process alone hits.
    Multi,
    /// Many probes in one link, which every process hits that runs the file: the link's own filter
    /// would take a single thread. The programs ignore other processes.
    MultiInAllProcesses,
    /// A link for each probe, which every process hits that runs the file, as above.
    Perf,
}

/// The most probes of a session where each needs a link of its own.
const PERF_PROBES_MAX: usize = 32;
/// What taking out one such link takes; several at once are no faster.
const PERF_DETACH: Duration = Duration::from_millis(100);

static LINKS: OnceLock<Links> = OnceLock::new();

impl Links {
    /// The best kind that this kernel has; it is asked once.
    pub fn of_this_kernel() -> Self {
        *LINKS.get_or_init(|| Self::best(&KernelFacts::read().features))
    }

    fn best(features: &Features) -> Self {
        if features.has(Feature::ProcessFilter) {
            Self::Multi
        } else if features.has(Feature::MultiLinks) {
            Self::MultiInAllProcesses
        } else {
            Self::Perf
        }
    }

    /// How long it takes to take out so many probes, where a person would notice.
    pub fn detach_duration(self, probes: u32) -> Option<Duration> {
        (self == Self::Perf).then(|| PERF_DETACH * probes)
    }

    /// The process whose code is changed by a link for the process `tgid`; `None` if that is every
    /// process that runs the file.
    pub fn changed_process(self, tgid: u32) -> Option<u32> {
        (self == Self::Multi).then_some(tgid)
    }

    /// Which processes hit a link for the process `tgid`.
    pub(super) fn scope(self, tgid: u32) -> UProbeScope {
        self.changed_process(tgid)
            .and_then(NonZeroU32::new)
            .map_or(UProbeScope::AllProcesses, UProbeScope::OneProcess)
    }

    /// Whether a session may have so many probes.
    pub(super) fn check(self, probes: usize) -> Result<(), ProbeError> {
        if self == Self::Perf && probes > PERF_PROBES_MAX {
            return Err(ProbeError::TooManyProbes {
                limit: PERF_PROBES_MAX,
                asked: probes,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::features::Trial::{Unknown, Works};
    use super::*;

    #[test]
    fn the_best_kind_of_links_is_taken() {
        let all = Features::all(&Works);
        for (features, links) in [
            (all.clone(), Links::Multi),
            (
                all.clone().with(Feature::ProcessFilter, Unknown),
                Links::MultiInAllProcesses,
            ),
            (
                all.with(Feature::ProcessFilter, Unknown)
                    .with(Feature::MultiLinks, Unknown),
                Links::Perf,
            ),
        ] {
            assert_eq!(Links::best(&features), links);
        }
    }

    #[test]
    fn probes_are_limited_where_each_needs_a_link() {
        for (links, probes, message) in [
            (Links::Multi, 10_000, None),
            (Links::MultiInAllProcesses, 10_000, None),
            (Links::Perf, 32, None),
            (
                Links::Perf,
                63,
                Some("this kernel has no multi links: at most 32 probes; asked for 63"),
            ),
        ] {
            let refused = links.check(probes).err().map(|error| error.to_string());
            assert_eq!(refused.as_deref(), message, "{links:?} {probes}");
        }
    }
}
