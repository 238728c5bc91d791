//! What an agent allows, and what probes would cost.

use coral_model::{ExpectedCost, FunctionId, Limits};

use super::ConvertError;
use super::number::{duration_from_wire, duration_to_wire, figure};
use crate::agent::v1 as wire;

impl From<&Limits> for wire::Limits {
    fn from(limits: &Limits) -> Self {
        let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            sessions: number(limits.sessions),
            functions_per_session: number(limits.functions_per_session),
            duration: Some(duration_to_wire(limits.duration)),
            records_per_s: limits.records_per_s,
            memory_bytes: limits.memory_bytes,
        }
    }
}

impl TryFrom<wire::Limits> for Limits {
    type Error = ConvertError;

    fn try_from(limits: wire::Limits) -> Result<Self, ConvertError> {
        let field = "limits.duration";
        let duration = limits.duration.ok_or(ConvertError::Missing { field })?;
        Ok(Self {
            sessions: limits.sessions as usize,
            functions_per_session: limits.functions_per_session as usize,
            duration: duration_from_wire(&duration, field)?,
            records_per_s: limits.records_per_s,
            memory_bytes: limits.memory_bytes,
        })
    }
}

impl From<&ExpectedCost> for wire::ExpectedCost {
    fn from(cost: &ExpectedCost) -> Self {
        Self {
            hits_per_s: figure(cost.hits_per_s).unwrap_or_default(),
            cpu_percent: cost.cpu_percent.and_then(figure),
            dearest_function_id: cost.dearest.map(|(function, _)| function.0),
            dearest_percent: cost
                .dearest
                .and_then(|(_, percent)| figure(percent))
                .unwrap_or_default(),
            counted: Some(duration_to_wire(cost.counted)),
            is_at_least: cost.is_at_least,
        }
    }
}

impl TryFrom<wire::ExpectedCost> for ExpectedCost {
    type Error = ConvertError;

    fn try_from(cost: wire::ExpectedCost) -> Result<Self, ConvertError> {
        let field = "expected.counted";
        let counted = cost.counted.ok_or(ConvertError::Missing { field })?;
        let percent = figure(cost.dearest_percent).unwrap_or_default();
        Ok(Self {
            hits_per_s: figure(cost.hits_per_s).unwrap_or_default(),
            cpu_percent: cost.cpu_percent.and_then(figure),
            dearest: cost
                .dearest_function_id
                .map(|function| (FunctionId(function), percent)),
            counted: duration_from_wire(&counted, field)?,
            is_at_least: cost.is_at_least,
        })
    }
}
