//! What is asked of all replicas of a session at once.

use std::future::Future;

use coral_proto::agent::v1::agent_client::AgentClient;
use jiff::SignedDuration;

use super::*;
use crate::access::AuthorizedChannel;

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
        let wish = Arc::make_mut(&mut self.session.wish);
        wish.functions.extend(&functions);
        let (catalog, registry) = self.shared();
        let mut asked = JoinSet::new();
        for (mut agent, session, process) in self.measured() {
            let (catalog, registry) = (Arc::clone(&catalog), Arc::clone(&registry));
            let functions = functions.clone();
            asked.spawn(async move {
                let ids = catalog.in_build(&registry, &process, &functions).await?;
                let request = wire::AddFunctionsRequest {
                    session_id: session,
                    function_ids: ids.into_iter().map(|id| id.0).collect(),
                };
                let added = agent.add_functions(timed(ANSWER_MAX, request)).await?;
                Ok::<_, Status>(added.into_inner().attached.unwrap_or_default())
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
        let wish = Arc::make_mut(&mut self.session.wish);
        wish.functions.retain(|id| !functions.contains(id));
        let (catalog, registry) = self.shared();
        self.ask_all(answer, move |mut agent, session, process| {
            let (catalog, registry) = (Arc::clone(&catalog), Arc::clone(&registry));
            let functions = functions.clone();
            async move {
                let ids = catalog.in_build(&registry, &process, &functions).await?;
                let request = wire::RemoveFunctionsRequest {
                    session_id: session,
                    function_ids: ids.into_iter().map(|id| id.0).collect(),
                };
                let removed = agent.remove_functions(timed(ANSWER_MAX, request)).await;
                removed.map(drop)
            }
        });
    }

    pub(super) fn extend(&mut self, by: Duration, answer: Answer<Duration>) {
        let wish = Arc::make_mut(&mut self.session.wish);
        wish.deadline += by;
        let remaining = wish.deadline.saturating_duration_since(Instant::now());
        self.session.info.settings.duration += by;
        let length = SignedDuration::try_from(self.session.info.settings.duration);
        let length = length.unwrap_or(SignedDuration::MAX);
        if let Ok(expires_at) = self.session.info.started_at.checked_add(length) {
            self.session.notes.leave(Note::Extended(expires_at));
        }
        let (asked, done) = oneshot::channel();
        self.ask_all(asked, move |mut agent, session, _| async move {
            let request = wire::ExtendSessionRequest {
                session_id: session,
                by: Some(duration_to_wire(by)),
            };
            let extended = agent.extend_session(timed(ANSWER_MAX, request)).await;
            extended.map(drop)
        });
        tokio::spawn(async move {
            let result = done.await.unwrap_or_else(|_| Err(cut_off()));
            let _ = answer.send(result.map(|()| remaining));
        });
    }

    /// Ends the session of one replica.
    pub(super) fn end_part(&self, place: usize) {
        let held = &self.replicas[place];
        let link = self.session.registry.link(&held.process.agent_id);
        if let (Some(link), Some(session)) = (link, &held.session) {
            let agent = link.calls(Some(&self.session.wish.requested_by));
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
        let by = &self.session.wish.requested_by;
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
