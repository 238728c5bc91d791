//! What is asked of all replicas of a session at once.

use std::collections::{BTreeSet, HashSet};
use std::future::Future;

use coral_proto::agent::v1::agent_client::AgentClient;
use coral_proto::convert::duration_from_wire;
use jiff::SignedDuration;
use tonic::Code;

use super::*;
use crate::access::AuthorizedChannel;
use crate::colony::changes::FunctionName;
use crate::serving::status;

/// What a lease may differ by for the time that answers take.
const LATE_MIN: Duration = Duration::from_secs(1);

type Agent = AgentClient<AuthorizedChannel>;

/// Ends a session of an agent.
pub(super) async fn end(mut agent: Agent, session: String) -> Result<(), Status> {
    let request = wire::EndSessionsRequest {
        session_id: session,
        ..wire::EndSessionsRequest::default()
    };
    let ended = agent.end_sessions(timed(ANSWER_MAX, request)).await;
    ended.map(drop)
}

async fn set_filter(mut agent: Agent, session: String, filter: String) -> Result<(), Status> {
    let request = wire::UpdateFilterRequest {
        session_id: session,
        filter,
    };
    let updated = agent.update_filter(timed(ANSWER_MAX, request)).await;
    updated.map(drop)
}

/// Makes a session of an agent longer, and returns what is left of it.
async fn extend(mut agent: Agent, session: String, by: Duration) -> Result<Duration, Status> {
    let request = wire::ExtendSessionRequest {
        session_id: session,
        by: Some(duration_to_wire(by)),
    };
    let extended = agent.extend_session(timed(ANSWER_MAX, request)).await?;
    let remaining = extended.into_inner().remaining.unwrap_or_default();
    duration_from_wire(&remaining, "remaining").map_err(|error| status::of(&error))
}

async fn add(
    mut agent: Agent,
    session: String,
    functions: Vec<FunctionId>,
) -> Result<wire::Attached, Status> {
    let request = wire::AddFunctionsRequest {
        session_id: session,
        function_ids: functions.into_iter().map(|id| id.0).collect(),
    };
    let added = agent.add_functions(timed(ANSWER_MAX, request)).await?;
    Ok(added.into_inner().attached.unwrap_or_default())
}

async fn remove(
    mut agent: Agent,
    session: String,
    functions: Vec<FunctionId>,
) -> Result<(), Status> {
    let request = wire::RemoveFunctionsRequest {
        session_id: session,
        function_ids: functions.into_iter().map(|id| id.0).collect(),
    };
    let removed = agent.remove_functions(timed(ANSWER_MAX, request)).await;
    removed.map(drop)
}

/// A replica that has missed changes of its session.
struct Late {
    agent: Agent,
    id: String,
    process: ReplicaProcess,
    snapshot: Arc<Snapshot>,
    wish: Wish,
}

impl Late {
    async fn catch_up(self, catalog: &Catalog, registry: &Registry) -> Result<(), Status> {
        let changes = &self.wish.changes;
        let again = || (self.agent.clone(), self.id.clone());
        let info = &self.snapshot.session;
        let filter = info.settings.filter.as_ref().map(Expression::to_string);
        if let Some(wanted) = changes
            .filter
            .clone()
            .filter(|it| *it != filter.unwrap_or_default())
        {
            let (agent, id) = again();
            set_filter(agent, id, wanted).await?;
        }
        let left = self.wish.deadline.saturating_duration_since(Instant::now());
        let missing = left.saturating_sub(info.remaining);
        if changes.extended && missing > LATE_MIN {
            let (agent, id) = again();
            extend(agent, id, missing).await?;
        }
        let attached: HashSet<FunctionId> = self
            .snapshot
            .functions
            .iter()
            .filter(|it| it.attached)
            .map(|it| it.id)
            .collect();
        let own = async |functions: &BTreeSet<FunctionName>, is_there: bool| {
            let own = catalog.named_in_build(registry, &self.process, functions);
            let mut own = own.await?;
            own.retain(|id| attached.contains(id) == is_there);
            Ok::<_, Status>(own)
        };
        let missing = own(&changes.added, false).await?;
        if !missing.is_empty() {
            let (agent, id) = again();
            add(agent, id, missing).await?;
        }
        let surplus = own(&changes.removed, true).await?;
        if !surplus.is_empty() {
            let (agent, id) = again();
            remove(agent, id, surplus).await?;
        }
        Ok(())
    }
}

impl SessionTask {
    /// Asks the agent of every replica that is measured. The first refusal is the answer; an agent
    /// that is cut off is not asked, and that is no refusal: its session ends with its lease.
    pub(super) fn ask_all<F>(
        &self,
        answer: Answer<()>,
        ask: impl Fn(Agent, String, ReplicaProcess) -> F,
    ) where
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        let mut asked = JoinSet::new();
        for (agent, session, process) in self.measured() {
            asked.spawn(ask(agent, session, process));
        }
        tokio::spawn(async move {
            let mut result = Ok(());
            while let Some(one) = asked.join_next().await {
                // A task that failed has asked nobody.
                result = result.and(one.unwrap_or_else(|_| Err(cut_off())));
            }
            // Who asked may have gone away.
            let _ = answer.send(result);
        });
    }

    pub(super) fn add(&mut self, functions: Vec<FunctionId>, answer: Answer<wire::Attached>) {
        // Replicas that come later get them as well.
        let named = self.session.catalog.named(&functions);
        self.change(|wish| {
            wish.functions.extend(&functions);
            wish.changes.add(&named);
        });
        let (catalog, registry) = self.shared();
        let mut asked = JoinSet::new();
        for (agent, session, process) in self.measured() {
            let (catalog, registry) = (Arc::clone(&catalog), Arc::clone(&registry));
            let functions = functions.clone();
            asked.spawn(async move {
                let ids = catalog.in_build(&registry, &process, &functions).await?;
                add(agent, session, ids).await
            });
        }
        tokio::spawn(async move {
            let mut sum = wire::Attached::default();
            let mut refusal = None;
            while let Some(one) = asked.join_next().await {
                match one.unwrap_or_else(|_| Err(cut_off())) {
                    Ok(attached) => sum.probes += attached.probes,
                    Err(status) => refusal = Some(status),
                }
            }
            let result = match refusal {
                Some(status) if sum.probes == 0 => Err(status),
                _ => {
                    sum.function_ids = functions.iter().map(|id| id.0).collect();
                    Ok(sum)
                }
            };
            let _ = answer.send(result);
        });
    }

    pub(super) fn remove(&mut self, functions: Vec<FunctionId>, answer: Answer<()>) {
        let named = self.session.catalog.named(&functions);
        self.change(|wish| {
            wish.functions.retain(|id| !functions.contains(id));
            wish.changes.remove(&named);
        });
        let (catalog, registry) = self.shared();
        self.ask_all(answer, move |agent, session, process| {
            let (catalog, registry) = (Arc::clone(&catalog), Arc::clone(&registry));
            let functions = functions.clone();
            async move {
                let ids = catalog.in_build(&registry, &process, &functions).await?;
                remove(agent, session, ids).await
            }
        });
    }

    pub(super) fn set_filter(&mut self, filter: Option<&Expression>, answer: Answer<()>) {
        let filter = filter.map(Expression::to_string).unwrap_or_default();
        self.change(|wish| wish.changes.filter = Some(filter.clone()));
        self.ask_all(answer, move |agent, session, _| {
            set_filter(agent, session, filter.clone())
        });
    }

    pub(super) fn extend(&mut self, by: Duration, answer: Answer<Duration>) {
        let duration = self.session.info.settings.duration;
        let longer = duration.saturating_add(by).min(self.session.duration_max);
        let by = longer.saturating_sub(duration);
        if by.is_zero() {
            let max_s = self.session.duration_max.as_secs();
            let message = format!("a session lasts at most {max_s}s");
            let help = "start another one, or raise colony.debug.sessions.max_duration";
            let code = Code::ResourceExhausted;
            let _ = answer.send(Err(status::with(code, "over-limit", &message, help)));
            return;
        }
        self.change(|wish| {
            wish.deadline += by;
            wish.changes.extended = true;
        });
        let deadline = self.wish.borrow().deadline;
        let remaining = deadline.saturating_duration_since(Instant::now());
        self.session.info.settings.duration = longer;
        let length = SignedDuration::try_from(longer).unwrap_or(SignedDuration::MAX);
        if let Ok(expires_at) = self.session.info.started_at.checked_add(length) {
            self.session.notes.leave(Note::Extended(expires_at));
        }
        let mut asked = JoinSet::new();
        for (agent, session, _) in self.measured() {
            asked.spawn(extend(agent, session, by));
        }
        tokio::spawn(async move {
            let mut result = Ok(remaining);
            while let Some(one) = asked.join_next().await {
                // What all of them grant: an agent has a limit of its own.
                let one = one.unwrap_or_else(|_| Err(cut_off()));
                result = result.and_then(|least: Duration| Ok(least.min(one?)));
            }
            let _ = answer.send(result);
        });
    }

    /// Gives an answer when the history knows what it is about, so that a colony that is killed
    /// right after it goes on with that. A history that cannot be written is not waited for long.
    pub(super) fn once_noted<T: Send + 'static>(&self, answer: Answer<T>) -> Answer<T> {
        let (sender, answered) = oneshot::channel();
        let settled = self.session.notes.settled();
        tokio::spawn(async move {
            if let Ok(result) = answered.await {
                let _ = timeout(NOTED_MAX, settled).await;
                // Who asked may have gone away.
                let _ = answer.send(result);
            }
        });
        sender
    }

    /// Changes what the session is to be like, for those that come later as well.
    fn change(&mut self, change: impl FnOnce(&mut Wish)) {
        self.wish.send_modify(change);
        let changes = self.wish.borrow().changes.to_json();
        if !self.session.notes.leave(Note::Changed(changes)) {
            self.notice_behind();
        }
    }

    /// Brings a replica up to date that could not be asked when something was changed.
    pub(super) fn catch_up(&self, place: usize) {
        let wish = self.wish.borrow().clone();
        let (part, held) = (&self.parts[place], &self.replicas[place]);
        let link = self.session.registry.link(&held.process.agent_id);
        let (Some(link), Some(session), Some(snapshot)) = (link, &held.session, &part.snapshot)
        else {
            return;
        };
        let (agent, id) = (link.calls(Some(&wish.requested_by)), session.id.clone());
        let late = Late {
            snapshot: Arc::clone(snapshot),
            process: held.process.clone(),
            agent,
            id,
            wish,
        };
        let (catalog, registry) = self.shared();
        // Where that fails, it is tried when the agent is heard of again.
        tokio::spawn(async move { late.catch_up(&catalog, &registry).await });
    }

    /// Ends the session of one replica.
    pub(super) fn end_part(&self, place: usize) {
        let held = &self.replicas[place];
        let link = self.session.registry.link(&held.process.agent_id);
        if let (Some(link), Some(session)) = (link, &held.session) {
            let agent = link.calls(Some(&self.wish.borrow().requested_by));
            // Where that fails, it is tried when the agent is heard of again.
            tokio::spawn(end(agent, session.id.clone()));
        }
    }

    fn shared(&self) -> (Arc<Catalog>, Arc<Registry>) {
        let session = &self.session;
        (Arc::clone(&session.catalog), Arc::clone(&session.registry))
    }

    /// The replicas that are measured and whose agents can be asked.
    fn measured(&self) -> Vec<(Agent, String, ReplicaProcess)> {
        let by = &self.session.info.requested_by;
        let held = self.replicas.iter().zip(&self.parts);
        let measured = held.filter(|(_, part)| part.replica.state == ReplicaState::Measuring);
        measured
            .filter_map(|(held, _)| {
                let link = self.session.registry.link(&held.process.agent_id)?;
                let session = held.session.as_ref()?.id.clone();
                Some((link.calls(Some(by)), session, held.process.clone()))
            })
            .collect()
    }
}
