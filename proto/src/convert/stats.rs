//! The numbers of functions.

use coral_model::{ExitProbe, FunctionId, FunctionStats, JoinedCalls};

use super::number::figure;
use super::text::{optional_text, text};
use super::{ConvertError, histogram};
use crate::agent::v1 as wire;

/// What to send of a function that has changed since it was `last`; all of it if it is new.
pub(super) fn to_wire(
    place: u32,
    now: &FunctionStats,
    last: Option<&FunctionStats>,
) -> wire::FunctionStats {
    let recent_kept = last.map_or(0, |last| {
        kept(&last.recent_calls_per_s, &now.recent_calls_per_s)
    });
    let recent = now.recent_calls_per_s.iter().skip(recent_kept);
    let numbers = wire::FunctionStats {
        place,
        attached: now.attached,
        calls: now.calls,
        returns: now.returns,
        unwound: now.unwound,
        in_flight: now.in_flight,
        errors: now.errors,
        unmatched_exits: now.unmatched_exits,
        latency: Some(histogram::to_wire(
            &now.latency,
            last.map(|last| &last.latency),
        )),
        self_ns: now.self_ns,
        probes_ns: now.probes_ns,
        cost_percent: now.cost_percent.and_then(figure),
        slowest_are_complete: now.slowest_are_complete,
        joined: now.joined.as_deref().map(|joined| {
            let last = last.and_then(|last| last.joined.as_deref());
            joined_to_wire(joined, last)
        }),
        calls_per_s: figure(now.calls_per_s).unwrap_or_default(),
        recent_calls_per_s: recent
            .map(|&rate| figure(rate).unwrap_or_default())
            .collect(),
        // A sparkline has some dozens of points.
        recent_kept: recent_kept as u32,
        ..Default::default()
    };
    if last.is_some_and(|last| is_known(now, last)) {
        return wire::FunctionStats {
            is_known: true,
            ..numbers
        };
    }
    wire::FunctionStats {
        function_id: now.id.0,
        name: text(&now.name),
        file: optional_text(&now.file),
        line: now.line,
        exit_probe: wire::ExitProbe::from(now.exit_probe).into(),
        reason: optional_text(&now.reason),
        detached_because: optional_text(&now.detached_because),
        ..numbers
    }
}

/// Whether what seldom changes is the same.
fn is_known(now: &FunctionStats, last: &FunctionStats) -> bool {
    now.id == last.id
        && now.name == last.name
        && now.file == last.file
        && now.line == last.line
        && now.exit_probe == last.exit_probe
        && now.reason == last.reason
        && now.detached_because == last.detached_because
}

/// How many of the last figures before are the first ones now.
fn kept(last: &[f64], now: &[f64]) -> usize {
    (0..=last.len().min(now.len()))
        .rev()
        .find(|&kept| last[last.len() - kept..] == now[..kept])
        .unwrap_or_default()
}

/// The function that `last` has become.
pub(super) fn from_wire(
    wire: wire::FunctionStats,
    last: Option<&FunctionStats>,
) -> Result<FunctionStats, ConvertError> {
    let known = last.filter(|_| wire.is_known);
    let field = "functions.name";
    let described = match known {
        Some(last) => described_again(last),
        None if wire.is_known => return Err(ConvertError::Missing { field }),
        None => described(&wire)?,
    };
    let latency = wire.latency.as_ref();
    Ok(FunctionStats {
        attached: wire.attached,
        calls: wire.calls,
        returns: wire.returns,
        unwound: wire.unwound,
        in_flight: wire.in_flight,
        errors: wire.errors,
        unmatched_exits: wire.unmatched_exits,
        latency: latency
            .map(|it| histogram::from_wire(it, last.map(|last| &last.latency)))
            .transpose()?
            .unwrap_or_default(),
        self_ns: wire.self_ns,
        probes_ns: wire.probes_ns,
        cost_percent: wire.cost_percent.and_then(figure),
        slowest_are_complete: wire.slowest_are_complete,
        joined: wire
            .joined
            .map(|it| joined_from_wire(&it, last.and_then(|last| last.joined.as_deref())))
            .transpose()?
            .map(Box::new),
        calls_per_s: figure(wire.calls_per_s).unwrap_or_default(),
        recent_calls_per_s: recent(
            last.map_or(&[], |last| &last.recent_calls_per_s),
            wire.recent_kept,
            &wire.recent_calls_per_s,
        )?,
        ..described
    })
}

/// A function without numbers, as an update before this one has described it.
fn described_again(last: &FunctionStats) -> FunctionStats {
    FunctionStats {
        file: last.file.clone(),
        line: last.line,
        exit_probe: last.exit_probe,
        reason: last.reason.clone(),
        detached_because: last.detached_because.clone(),
        ..FunctionStats::new(last.id, last.name.as_str())
    }
}

/// A function without numbers, as this update describes it.
fn described(wire: &wire::FunctionStats) -> Result<FunctionStats, ConvertError> {
    Ok(FunctionStats {
        file: wire.file.clone(),
        line: wire.line,
        exit_probe: wire.exit_probe().try_into()?,
        reason: wire.reason.clone(),
        detached_because: wire.detached_because.clone(),
        ..FunctionStats::new(FunctionId(wire.function_id), wire.name.as_str())
    })
}

fn recent(last: &[f64], kept: u32, new: &[f64]) -> Result<Vec<f64>, ConvertError> {
    let Some(start) = last.len().checked_sub(kept as usize) else {
        return Err(ConvertError::Place {
            field: "functions.recent_kept",
            place: kept.into(),
            len: last.len(),
        });
    };
    let new = new.iter().map(|&rate| figure(rate).unwrap_or_default());
    Ok(last[start..].iter().copied().chain(new).collect())
}

fn joined_to_wire(now: &JoinedCalls, last: Option<&JoinedCalls>) -> wire::JoinedCalls {
    wire::JoinedCalls {
        calls: now.calls,
        completed: now.completed,
        dropped: now.dropped,
        polls: now.polls,
        busy_ns: now.busy_ns,
        latency: Some(histogram::to_wire(
            &now.latency,
            last.map(|last| &last.latency),
        )),
    }
}

fn joined_from_wire(
    wire: &wire::JoinedCalls,
    last: Option<&JoinedCalls>,
) -> Result<JoinedCalls, ConvertError> {
    let latency = wire.latency.as_ref();
    Ok(JoinedCalls {
        calls: wire.calls,
        completed: wire.completed,
        dropped: wire.dropped,
        polls: wire.polls,
        busy_ns: wire.busy_ns,
        latency: latency
            .map(|it| histogram::from_wire(it, last.map(|last| &last.latency)))
            .transpose()?
            .unwrap_or_default(),
    })
}

impl From<ExitProbe> for wire::ExitProbe {
    fn from(probe: ExitProbe) -> Self {
        match probe {
            ExitProbe::ReturnSites => Self::ReturnSites,
            ExitProbe::Uretprobe => Self::Uretprobe,
            ExitProbe::None => Self::None,
        }
    }
}

impl TryFrom<wire::ExitProbe> for ExitProbe {
    type Error = ConvertError;

    fn try_from(probe: wire::ExitProbe) -> Result<Self, ConvertError> {
        match probe {
            wire::ExitProbe::ReturnSites => Ok(Self::ReturnSites),
            wire::ExitProbe::Uretprobe => Ok(Self::Uretprobe),
            wire::ExitProbe::None => Ok(Self::None),
            wire::ExitProbe::Unspecified => {
                let field = "functions.exit_probe";
                Err(ConvertError::Missing { field })
            }
        }
    }
}
