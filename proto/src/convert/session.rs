//! What a session is, and what it is asked to do.

use coral_model::filter::Expression;
use coral_model::{
    Capture, EndReason, SessionId, SessionInfo, SessionNotice, SessionSettings, SessionState,
};

use super::ConvertError;
use super::number::{duration_from_wire, duration_to_wire, timestamp_from_wire, timestamp_to_wire};
use super::text::text;
use crate::agent::v1 as wire;

/// A session watches at most so many processes beside its target: what an update says of a session
/// has to fit into one message.
pub const OTHER_PIDS_MAX: usize = 16_384;

impl From<SessionState> for wire::SessionStatus {
    fn from(state: SessionState) -> Self {
        match state {
            SessionState::Active => Self::Active,
            SessionState::Ended(EndReason::Expired) => Self::Expired,
            SessionState::Ended(EndReason::Detached) => Self::Detached,
            SessionState::Ended(EndReason::TargetExited) => Self::TargetExited,
            SessionState::Ended(EndReason::TargetExeced) => Self::TargetExeced,
            SessionState::Ended(EndReason::Budget) => Self::Budget,
            SessionState::Ended(EndReason::Failed) => Self::Failed,
        }
    }
}

impl TryFrom<wire::SessionStatus> for SessionState {
    type Error = ConvertError;

    fn try_from(status: wire::SessionStatus) -> Result<Self, ConvertError> {
        Ok(match status {
            wire::SessionStatus::Active => Self::Active,
            wire::SessionStatus::Expired => Self::Ended(EndReason::Expired),
            wire::SessionStatus::Detached => Self::Ended(EndReason::Detached),
            wire::SessionStatus::TargetExited => Self::Ended(EndReason::TargetExited),
            wire::SessionStatus::TargetExeced => Self::Ended(EndReason::TargetExeced),
            wire::SessionStatus::Budget => Self::Ended(EndReason::Budget),
            wire::SessionStatus::Failed => Self::Ended(EndReason::Failed),
            wire::SessionStatus::Unspecified => {
                return Err(ConvertError::Missing { field: "status" });
            }
        })
    }
}

impl From<&SessionInfo> for wire::SessionInfo {
    fn from(session: &SessionInfo) -> Self {
        let pids = session.other_pids.iter().take(OTHER_PIDS_MAX);
        Self {
            session_id: text(&session.id.0),
            target: Some((&session.target).into()),
            other_pids: pids.copied().collect(),
            started_at: Some(timestamp_to_wire(session.started_at)),
            ended_at: session.ended_at.map(timestamp_to_wire),
            requested_by: text(&session.requested_by),
            elapsed: Some(duration_to_wire(session.elapsed)),
            remaining: Some(duration_to_wire(session.remaining)),
            status: wire::SessionStatus::from(session.state).into(),
            probes: session.probes,
            settings: Some((&session.settings).into()),
        }
    }
}

impl TryFrom<wire::SessionInfo> for SessionInfo {
    type Error = ConvertError;

    fn try_from(session: wire::SessionInfo) -> Result<Self, ConvertError> {
        let missing = |field| ConvertError::Missing { field };
        let started_at = session.started_at.ok_or(missing("started_at"))?;
        let ended_at = session.ended_at.as_ref();
        let elapsed = session.elapsed.ok_or(missing("elapsed"))?;
        let remaining = session.remaining.ok_or(missing("remaining"))?;
        let status = wire::SessionStatus::try_from(session.status)
            .map_err(|_| ConvertError::range("status", &session.status, "a status"))?;
        let settings = session.settings.ok_or(missing("settings"))?;
        let session = Self {
            id: SessionId(session.session_id),
            target: session.target.ok_or(missing("target"))?.into(),
            other_pids: session.other_pids,
            started_at: timestamp_from_wire(&started_at, "started_at")?,
            ended_at: ended_at
                .map(|it| timestamp_from_wire(it, "ended_at"))
                .transpose()?,
            requested_by: session.requested_by,
            elapsed: duration_from_wire(&elapsed, "elapsed")?,
            remaining: duration_from_wire(&remaining, "remaining")?,
            state: status.try_into()?,
            probes: session.probes,
            settings: settings_from_wire(&settings, &SessionSettings::default())?,
        };
        // Screens add the two up.
        match session.started_at.checked_add(session.elapsed) {
            Ok(_) => Ok(session),
            Err(_) => Err(ConvertError::Overflow { field: "elapsed" }),
        }
    }
}

impl From<&SessionSettings> for wire::SessionSettings {
    fn from(settings: &SessionSettings) -> Self {
        Self {
            duration: Some(duration_to_wire(settings.duration)),
            sample_rate: settings.sample_rate,
            min_duration: Some(duration_to_wire(settings.min)),
            max_duration: settings.max.map(duration_to_wire),
            slow: settings.slow.map(duration_to_wire),
            capture_args: settings.capture.arguments,
            capture_return: settings.capture.results,
            filter: settings
                .filter
                .as_ref()
                .map(Expression::to_string)
                .unwrap_or_default(),
            budget_percent: settings.budget_percent,
            no_budget: settings.budget_percent.is_none(),
        }
    }
}

/// What a session is asked to do; `defaults` (the agent's) stand where nothing is asked for.
///
/// # Errors
/// If a duration, the budget or the filter cannot be.
pub fn settings_from_wire(
    settings: &wire::SessionSettings,
    defaults: &SessionSettings,
) -> Result<SessionSettings, ConvertError> {
    let time = |time: &Option<prost_types::Duration>, field| {
        let time = time.as_ref();
        time.map(|time| duration_from_wire(time, field)).transpose()
    };
    let filter = match settings.filter.as_str() {
        "" => defaults.filter.clone(),
        filter => Some(Expression::parse(filter)?),
    };
    Ok(SessionSettings {
        duration: time(&settings.duration, "duration")?.unwrap_or(defaults.duration),
        sample_rate: settings.sample_rate.max(1),
        min: time(&settings.min_duration, "min_duration")?.unwrap_or(defaults.min),
        max: time(&settings.max_duration, "max_duration")?.or(defaults.max),
        slow: time(&settings.slow, "slow")?.or(defaults.slow),
        capture: Capture {
            arguments: settings.capture_args,
            results: settings.capture_return,
        },
        filter,
        budget_percent: budget(settings, defaults)?,
    })
}

/// What the probes may cost: no limit, what is asked for, or what the agent allows.
fn budget(
    settings: &wire::SessionSettings,
    defaults: &SessionSettings,
) -> Result<Option<f64>, ConvertError> {
    match settings.budget_percent {
        _ if settings.no_budget => Ok(None),
        None => Ok(defaults.budget_percent),
        Some(percent) if percent.is_finite() && percent > 0.0 => Ok(Some(percent)),
        Some(percent) => Err(ConvertError::range(
            "budget_percent",
            &percent,
            "a percentage above 0",
        )),
    }
}

impl From<&SessionNotice> for wire::SessionNotice {
    fn from(notice: &SessionNotice) -> Self {
        Self {
            at: Some(duration_to_wire(notice.at)),
            text: text(&notice.text),
        }
    }
}

impl TryFrom<wire::SessionNotice> for SessionNotice {
    type Error = ConvertError;

    fn try_from(notice: wire::SessionNotice) -> Result<Self, ConvertError> {
        let field = "notices.at";
        let at = notice.at.ok_or(ConvertError::Missing { field })?;
        Ok(Self {
            at: duration_from_wire(&at, field)?,
            text: notice.text,
        })
    }
}
