//! What of the kernel coral builds on, and what is lost where a part is missing.

use super::checks::check;
use super::system::System;
use super::{Check, Status};
use crate::probe::{Feature, Trial};

/// A check for each feature.
pub(super) fn all(system: &System) -> impl Iterator<Item = Check> + '_ {
    Feature::ALL.map(|feature| of(system, feature)).into_iter()
}

fn of(system: &System, feature: Feature) -> Check {
    let features = &system.kernel.features;
    let has_multi_links = features.has(Feature::MultiLinks);
    let (status, found) = match features.trial(feature) {
        Trial::Works => (Status::Ok, "tried, and works"),
        _ if feature == Feature::PerfLinks && has_multi_links => (Status::Ok, "not needed"),
        Trial::Refused(_) => (Status::Unknown, "may not be tried"),
        Trial::Unknown => match feature {
            Feature::MultiLinks | Feature::ProcessFilter => (Status::Warn, "not in this kernel"),
            _ => (Status::Fail, "not in this kernel"),
        },
    };
    let (major, minor) = feature.since();
    let fix = format!("boot Linux {major}.{minor} or newer");
    check(feature.name(), status, found, needed(feature), &fix)
}

/// What it is, and what is lost without it.
fn needed(feature: Feature) -> &'static str {
    match feature {
        Feature::MultiLinks => {
            "links for many probes; without, a session has at most 32 probes, and each takes 0.1 s \
             to detach"
        }
        Feature::ProcessFilter => {
            "links for one process; without, every process that runs the same file is slowed down, \
             though not counted, and only one coral at a time can probe that file"
        }
        Feature::PerfLinks => "links for single probes, with CONFIG_UPROBE_EVENTS; or multi_links",
        Feature::Cookies => "probes that say which one was hit; without, there are no probes",
        Feature::RingBuffer => "the queue of single calls; without, there are no probes",
        Feature::BpfLoop => "loops, to unwind deep stacks; without, there are no probes",
    }
}
