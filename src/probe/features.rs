//! What of the kernel coral builds on, tried and not concluded from a release: distributions add
//! features to older kernels, and build newer ones without.

use std::io;

use aya::maps::MapType;
use aya::programs::ProgramType;
use aya::sys::{
    BpfHelper, UProbeMultiFeature, is_helper_supported, is_map_supported, is_perf_link_supported,
    is_uprobe_multi_supported,
};

use super::perf_events;

/// A feature of the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Links for many probes at once.
    MultiLinks,
    /// Multi links that only one process hits, all of its threads and no other process.
    ProcessFilter,
    /// Links for one probe.
    PerfLinks,
    /// Numbers that a program gets with a hit, and tell it which probe it was.
    Cookies,
    /// The queue on which records leave the kernel.
    RingBuffer,
    /// Loops whose length is not known when a program is loaded.
    BpfLoop,
}

/// What the kernel answers when a feature is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// It has it.
    Works,
    /// It does not know it.
    Unknown,
    /// It does not let this process find out, with this error.
    Refused(String),
}

/// The answers for all features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features([Trial; Feature::ALL.len()]);

impl Feature {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 6] = [
        Self::MultiLinks,
        Self::ProcessFilter,
        Self::PerfLinks,
        Self::Cookies,
        Self::RingBuffer,
        Self::BpfLoop,
    ];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MultiLinks => "multi_links",
            Self::ProcessFilter => "process_filter",
            Self::PerfLinks => "perf_links",
            Self::Cookies => "cookies",
            Self::RingBuffer => "ring_buffer",
            Self::BpfLoop => "bpf_loop",
        }
    }

    /// The first release, major and minor, that has it.
    pub fn since(self) -> (u32, u32) {
        match self {
            Self::MultiLinks => (6, 6),
            Self::ProcessFilter => (6, 10),
            Self::PerfLinks | Self::Cookies => (5, 15),
            Self::RingBuffer => (5, 8),
            Self::BpfLoop => (5, 17),
        }
    }

    fn try_it(self) -> Trial {
        let answer = match self {
            Self::MultiLinks => is_uprobe_multi_supported(UProbeMultiFeature::LinkCreation),
            Self::ProcessFilter => {
                is_uprobe_multi_supported(UProbeMultiFeature::ProcessScopedPidFilter)
            }
            Self::PerfLinks => {
                is_perf_link_supported().and_then(|links| Ok(links && perf_events::try_uprobe()?))
            }
            Self::Cookies => has_helper(BpfHelper::BPF_FUNC_get_attach_cookie),
            Self::RingBuffer => is_map_supported(MapType::RingBuf).map_err(|error| error.io_error),
            Self::BpfLoop => has_helper(BpfHelper::BPF_FUNC_loop),
        };
        match answer {
            Ok(true) => Trial::Works,
            Ok(false) => Trial::Unknown,
            // A kernel without bpf(2) at all does not know them either.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Trial::Unknown,
            Err(error) => Trial::Refused(error.to_string()),
        }
    }
}

fn has_helper(helper: BpfHelper) -> io::Result<bool> {
    is_helper_supported(ProgramType::KProbe, helper).map_err(io::Error::other)
}

impl Features {
    /// Tries all features by loading trivial programs and maps; nothing stays.
    ///
    /// With a `simulated` release, features that are newer than it count as unknown.
    pub fn read(simulated: Option<(u32, u32)>) -> Self {
        Self(Feature::ALL.map(|feature| match simulated {
            Some(release) if release < feature.since() => Trial::Unknown,
            _ => feature.try_it(),
        }))
    }

    /// The same answer for every feature.
    pub fn all(trial: &Trial) -> Self {
        Self(std::array::from_fn(|_| trial.clone()))
    }

    /// These answers, but another one for one feature.
    #[must_use]
    pub fn with(mut self, feature: Feature, trial: Trial) -> Self {
        self.0[feature as usize] = trial;
        self
    }

    /// What the kernel answered.
    pub fn trial(&self, feature: Feature) -> &Trial {
        &self.0[feature as usize]
    }

    /// Whether the kernel has it.
    pub fn has(&self, feature: Feature) -> bool {
        *self.trial(feature) == Trial::Works
    }

    /// The features without which there are no probes and which the kernel does not have; either
    /// kind of links will do.
    pub fn missing(&self) -> Vec<Feature> {
        let links = if self.has(Feature::MultiLinks) {
            Feature::MultiLinks
        } else {
            Feature::PerfLinks
        };
        [
            links,
            Feature::Cookies,
            Feature::RingBuffer,
            Feature::BpfLoop,
        ]
        .into_iter()
        .filter(|&feature| !self.has(feature))
        .collect()
    }

    /// What the kernel said, where it did not let this process try a feature that is missing.
    pub fn refusal(&self) -> Option<&str> {
        self.missing()
            .into_iter()
            .find_map(|feature| match self.trial(feature) {
                Trial::Refused(why) => Some(why.as_str()),
                Trial::Works | Trial::Unknown => None,
            })
    }
}
