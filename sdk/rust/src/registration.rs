//! Makes the application known to the agent, and keeps it known.

use std::time::Duration;

use coral_proto::agent::v1::agent_client::AgentClient;
use coral_proto::agent::v1::{RegisterServiceRequest, RegisterServiceResponse};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::Endpoint;

use crate::address::Address;
use crate::back_off::{BackOff, jittered};
use crate::log::{Log, LogLevel, escaped};

const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(5);
const RESPONSE_BYTES_MAX: usize = 64 << 10;
/// An agent that was started anew knows nobody; so it is told at least that often.
const RENEWAL_INTERVAL_MAX: Duration = Duration::from_secs(30);
/// Whatever lease an agent gives, it is not asked more often.
const RENEWAL_INTERVAL_MIN: Duration = Duration::from_millis(250);

/// Registers again and again: before the lease ends, when the request changes, and after failures
/// with growing waits. Ends when nobody can change the request any longer.
pub(crate) async fn keep(
    agent: Address,
    mut request: watch::Receiver<RegisterServiceRequest>,
    log: Log,
) {
    let mut back_off = BackOff::new();
    let mut last: Option<Result<String, String>> = None;
    loop {
        let current = request.borrow_and_update().clone();
        let (outcome, wait) = match register(&agent, current).await {
            Ok(response) => {
                back_off.reset();
                (Ok(response.agent_id.clone()), renewal_interval(&response))
            }
            Err(reason) => (Err(reason), back_off.wait()),
        };
        log_change(&log, &agent, last.as_ref(), &outcome);
        last = Some(outcome);
        if let Ok(Err(_closed)) = timeout(wait, request.changed()).await {
            return;
        }
    }
}

/// One attempt over a connection of its own, so that nothing of a former agent is left.
async fn register(
    agent: &Address,
    request: RegisterServiceRequest,
) -> Result<RegisterServiceResponse, String> {
    let attempt = async {
        let url = match agent {
            Address::Tcp(address) => format!("http://{address}"),
            Address::Unix(_) => agent.to_string(),
        };
        let endpoint = Endpoint::from_shared(url).map_err(|error| error.to_string())?;
        let channel = endpoint
            .connect()
            .await
            .map_err(|error| with_cause(&error))?;
        let mut client = AgentClient::new(channel).max_decoding_message_size(RESPONSE_BYTES_MAX);
        let response = client
            .register_service(request)
            .await
            .map_err(|status| refusal(&status))?;
        Ok(response.into_inner())
    };
    timeout(ATTEMPT_TIME_MAX, attempt)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", ATTEMPT_TIME_MAX.as_secs())))
}

/// Half of the lease, or what is reasonable where the lease is not.
fn renewal_interval(response: &RegisterServiceResponse) -> Duration {
    let lease = response
        .lease
        .and_then(|lease| Duration::try_from(lease).ok());
    let half = lease.map_or(RENEWAL_INTERVAL_MAX, |lease| lease / 2);
    jittered(half.clamp(RENEWAL_INTERVAL_MIN, RENEWAL_INTERVAL_MAX))
}

/// Says what changed, and nothing when an agent is missing for long.
fn log_change(
    log: &Log,
    agent: &Address,
    last: Option<&Result<String, String>>,
    now: &Result<String, String>,
) {
    if last == Some(now) {
        return;
    }
    match now {
        Ok(agent_id) => {
            let message = format!(
                "registered with the agent \"{}\" at {agent}",
                escaped(agent_id)
            );
            log.write(LogLevel::Info, &message);
        }
        Err(reason) => {
            // Reasons may alternate while an agent starts; the first one was told.
            let is_news = !matches!(last, Some(Err(_)));
            let level = if is_news {
                LogLevel::Warn
            } else {
                LogLevel::Debug
            };
            let message =
                format!("cannot register with the agent at {agent}: {reason}; trying again");
            log.write(level, &message);
        }
    }
}

fn refusal(status: &Status) -> String {
    format!("{:?}, \"{}\"", status.code(), escaped(status.message()))
}

/// What a transport error says is little; its deepest cause says more.
fn with_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    escaped(&cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_in_time_whatever_the_agent_says() {
        let second = |seconds, nanos| Some(prost_types_duration(seconds, nanos));
        for (lease, least_ms, most_ms) in [
            (second(10, 0), 2_500, 5_000),
            (second(1, 0), 250, 500),
            (second(0, 0), 125, 250),
            (second(-5, 0), 15_000, 30_000),
            (second(i64::MAX, i32::MAX), 15_000, 30_000),
            (second(3, -1), 125, 30_000),
            (None, 15_000, 30_000),
        ] {
            let response = RegisterServiceResponse {
                agent_id: String::new(),
                lease,
            };
            let interval_ms = renewal_interval(&response).as_millis();
            assert!(
                (least_ms..=most_ms).contains(&interval_ms),
                "{lease:?}: {interval_ms} ms"
            );
        }
    }

    fn prost_types_duration(seconds: i64, nanos: i32) -> prost_types::Duration {
        prost_types::Duration { seconds, nanos }
    }
}
