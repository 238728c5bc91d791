//! Whose numbers and calls they are, as OpenTelemetry names that.

use std::time::Duration;

use coral_model::{SessionSettings, Snapshot, Target, escape};
use coral_proto::opentelemetry::proto::common::v1::any_value::Value;
use coral_proto::opentelemetry::proto::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use coral_proto::opentelemetry::proto::resource::v1::Resource;

use crate::store::{JournalKey, NewSession};

/// What is known of a journal besides its entries.
#[derive(Clone, Debug)]
pub struct Origin {
    pub(super) journal: JournalKey,
    service: String,
    requested_by: String,
    host: String,
    target: Option<Target>,
    sample_rate: u32,
    /// Whether calls are left out that were made while the session measured.
    is_sampled: bool,
}

impl Origin {
    /// A journal of that session on that host. The process is known from the first checkpoint on, if
    /// not before.
    pub fn new(
        journal: JournalKey,
        session: &NewSession,
        host: &str,
        target: Option<Target>,
    ) -> Self {
        Self {
            journal,
            service: session.service.clone(),
            requested_by: session.requested_by.clone(),
            host: host.to_owned(),
            target,
            sample_rate: session.settings.sample_rate,
            is_sampled: is_sampled(&session.settings),
        }
    }

    /// Takes from a checkpoint which process it is, and whether calls could not be recorded.
    pub(super) fn note(&mut self, snapshot: &Snapshot) {
        let accounting = &snapshot.accounting;
        self.is_sampled |= accounting.throttled > 0 || accounting.ring_full > 0;
        self.target = Some(snapshot.session.target.clone());
    }

    /// The replica, by the semantic conventions of OpenTelemetry.
    pub(super) fn resource(&self) -> Resource {
        let agent = &self.journal.agent_id;
        let mut attributes = vec![
            text("service.name", &self.service),
            text("host.name", &self.host),
            text("coral.agent.id", agent),
        ];
        if let Some(target) = &self.target {
            let instance = format!("{agent}/{}/{}", target.pid, target.start_ticks);
            attributes.extend([
                text("service.instance.id", &instance),
                number("process.pid", u64::from(target.pid)),
                text("process.executable.path", &target.exe),
            ]);
        }
        Resource { attributes }
    }

    /// What tells the session of a number or a call from others, behind the function's name. An
    /// agent that was started anew counts anew, hence its own session.
    pub(super) fn attributes(&self, function: &str) -> Vec<KeyValue> {
        vec![
            text("code.function.name", function),
            text("coral.session.id", &self.journal.session.0),
            text("coral.agent.session.id", &self.journal.agent_session.0),
            text("coral.requested_by", &self.requested_by),
        ]
    }

    /// Whether the calls that come are a sample, and of how many one.
    pub(super) fn sampling(&self) -> [KeyValue; 2] {
        [
            KeyValue {
                key: "coral.sampled".to_owned(),
                value: Some(AnyValue {
                    value: Some(Value::BoolValue(self.is_sampled)),
                }),
            },
            number("coral.sample_rate", u64::from(self.sample_rate)),
        ]
    }
}

/// Whether a session leaves calls out by its own settings.
fn is_sampled(settings: &SessionSettings) -> bool {
    settings.sample_rate > 1
        || settings.min > Duration::ZERO
        || settings.max.is_some()
        || settings.filter.is_some()
}

/// This program, as what has measured.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "coral".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(escape(value).into())),
        }),
    }
}

pub(super) fn number(key: &str, value: u64) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX))),
        }),
    }
}
