//! The sessions that the console has started on its process.

use std::collections::HashSet;
use std::time::Duration;

use coral_model::filter::Expression;
use coral_model::{ExpectedCost, FunctionId, SessionId};
use coral_ui::{Attach, AttachTo, Failure, Level, Notice, SourceEvent};

use super::host::{Host, HostSession, Started, is_over};
use crate::agent::Attached;

/// The live sessions, the newest last.
pub(super) struct Sessions<S> {
    held: Vec<Held<S>>,
    /// Those that run on without being asked anything: they could not be ended, or their functions
    /// have other numbers by now.
    unwanted: Vec<S>,
    /// The functions whose calls were counted before, or whose cost was agreed to.
    known: HashSet<FunctionId>,
}

/// A session, and what its probes are on.
struct Held<S> {
    session: S,
    functions: HashSet<FunctionId>,
}

impl<S: HostSession> Sessions<S> {
    pub(super) fn new() -> Self {
        Self {
            held: Vec::new(),
            unwanted: Vec::new(),
            known: HashSet::new(),
        }
    }

    /// Attaches, unless that would cost more than its budget and nobody has agreed to it; returns
    /// what is to be reported.
    pub(super) async fn attach<H: Host<Session = S>>(
        &mut self,
        host: &mut H,
        attach: Attach,
    ) -> Vec<SourceEvent> {
        let is_known = |id: &FunctionId| self.known.contains(id);
        let asks = !attach.is_confirmed && !attach.functions.iter().all(is_known);
        match self.add_or_start(host, &attach, asks).await {
            Ok(Ok(attached)) => {
                self.known.extend(&attach.functions);
                attached_reports(attached)
            }
            Ok(Err(expected)) => {
                let attach = Box::new(attach);
                vec![SourceEvent::Costly { attach, expected }]
            }
            Err(failure) => vec![SourceEvent::AttachFailed {
                functions: attach.functions,
                failure,
            }],
        }
    }

    /// What is attached, or what it would cost where that is too much.
    async fn add_or_start<H: Host<Session = S>>(
        &mut self,
        host: &mut H,
        attach: &Attach,
        asks: bool,
    ) -> Result<Result<Attached, ExpectedCost>, Failure> {
        self.put_aside(|held| !held.session.is_live());
        let newest = self.held.last_mut();
        if let Some(newest) = newest.filter(|_| attach.session == AttachTo::Newest) {
            if asks {
                let expected = host.expected(attach).await?;
                if expected.is_over(attach.settings.budget_percent) {
                    return Ok(Err(expected));
                }
            }
            match newest.add(&attach.functions).await {
                Err(failure) if is_over(&failure) => {}
                added => return added.map(Ok),
            }
        }
        match host.start(attach, asks).await? {
            Started::Costly(expected) => Ok(Err(expected)),
            Started::Live(session, attached) => {
                // Two sessions would have every hit cost twice. One that cannot be asked now is
                // told by its own numbers to have them still.
                let _ = self.remove(&attached.functions).await;
                self.held.retain(|held| !held.functions.is_empty());
                self.held.push(Held {
                    session,
                    functions: attached.functions.iter().copied().collect(),
                });
                Ok(Ok(attached))
            }
        }
    }

    /// Detaches from functions, whichever session they are in.
    pub(super) async fn remove(&mut self, functions: &[FunctionId]) -> Result<(), Failure> {
        for held in &mut self.held {
            let ids = functions.iter().copied();
            let here: Vec<FunctionId> = ids.filter(|id| held.functions.contains(id)).collect();
            if here.is_empty() {
                continue;
            }
            match held.session.remove(&here).await {
                Err(failure) if !is_over(&failure) => return Err(failure),
                // If the session is over, every probe is gone.
                _ => held.functions.retain(|id| !here.contains(id)),
            }
        }
        Ok(())
    }

    /// Ends all sessions; their final snapshots come the way all of them come.
    pub(super) async fn detach_all(&mut self) -> Result<(), Failure> {
        let held = self.held.drain(..).map(|held| held.session);
        let mut result = Ok(());
        let all: Vec<S> = std::mem::take(&mut self.unwanted)
            .into_iter()
            .chain(held)
            .collect();
        for session in all.into_iter().filter(|session| !session.is_over()) {
            if let Err((session, failure)) = session.end().await {
                result = Err(failure);
                self.unwanted.push(session);
            }
        }
        result
    }

    /// Makes all leases longer.
    pub(super) async fn extend(&self, by: Duration) -> Result<(), Failure> {
        for held in &self.held {
            match held.session.extend(by).await {
                Err(failure) if !is_over(&failure) => return Err(failure),
                // The next snapshot says how long it still runs, or that it is over.
                _ => {}
            }
        }
        Ok(())
    }

    /// Changes the filter of a session, and says what came of it.
    pub(super) async fn set_filter(&self, id: &SessionId, filter: Option<Expression>) -> Notice {
        let held = self.held.iter().find(|held| held.session.id() == id);
        let result = match held {
            Some(held) => held.session.set_filter(filter.clone()).await,
            None => Err(not_own()),
        };
        match result {
            Ok(()) => Notice {
                level: Level::Info,
                code: None,
                message: match filter {
                    Some(filter) => format!("Calls are recorded where {filter}"),
                    None => "All calls are recorded".to_owned(),
                },
                help: String::new(),
            },
            Err(failure) => failure.into(),
        }
    }

    /// The numbers of functions mean others from now on: what is known of them counts no more.
    pub(super) fn renumbered(&mut self) {
        self.put_aside(|_| true);
        self.known.clear();
    }

    fn put_aside(&mut self, is_it: impl Fn(&Held<S>) -> bool) {
        let aside = self.held.extract_if(.., |held| is_it(held));
        let sessions = aside.map(|held| held.session);
        self.unwanted.extend(sessions.filter(|it| !it.is_over()));
    }

    /// The process is gone, and its sessions end by themselves.
    pub(super) fn forget(&mut self) {
        self.held.clear();
        self.known.clear();
    }
}

impl<S: HostSession> Held<S> {
    async fn add(&mut self, functions: &[FunctionId]) -> Result<Attached, Failure> {
        let attached = self.session.add(functions).await?;
        self.functions.extend(&attached.functions);
        Ok(attached)
    }
}

fn not_own() -> Failure {
    Failure {
        code: "session-ended".into(),
        message: "the session is over".into(),
        help: "attach again".into(),
    }
}

fn attached_reports(attached: Attached) -> Vec<SourceEvent> {
    // Why functions were left out, the session's own notices say.
    vec![SourceEvent::Attached {
        left_out: attached.refused.iter().map(|it| it.function).collect(),
        functions: attached.functions,
        probes: attached.probes,
    }]
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use coral_model::SessionSettings;
    use coral_ui::OpenTarget;

    use super::super::host::News;
    use super::*;

    /// What was asked of a host and of its sessions.
    type Asked = Rc<RefCell<Vec<String>>>;

    struct FakeHost(Asked);

    struct FakeSession {
        id: SessionId,
        asked: Asked,
    }

    impl Host for FakeHost {
        type Session = FakeSession;

        async fn processes(&mut self) -> Option<SourceEvent> {
            None
        }

        async fn open(&mut self, _: &OpenTarget) -> Option<SourceEvent> {
            None
        }

        async fn callees(&mut self, _: FunctionId) -> Result<Vec<FunctionId>, Failure> {
            Ok(Vec::new())
        }

        async fn expected(&mut self, _: &Attach) -> Result<ExpectedCost, Failure> {
            Err(not_own())
        }

        async fn start(
            &mut self,
            attach: &Attach,
            asks: bool,
        ) -> Result<Started<FakeSession>, Failure> {
            self.0.borrow_mut().push(format!("start, asks: {asks}"));
            let session = FakeSession {
                id: SessionId(self.0.borrow().len().to_string()),
                asked: Rc::clone(&self.0),
            };
            Ok(Started::Live(session, attached(&attach.functions)))
        }

        async fn news(&mut self) -> News {
            std::future::pending().await
        }
    }

    impl HostSession for FakeSession {
        fn id(&self) -> &SessionId {
            &self.id
        }

        fn is_live(&self) -> bool {
            true
        }

        async fn add(&self, functions: &[FunctionId]) -> Result<Attached, Failure> {
            self.asked.borrow_mut().push(format!("add to {}", self.id));
            Ok(attached(functions))
        }

        async fn remove(&self, _: &[FunctionId]) -> Result<(), Failure> {
            let asked = format!("remove from {}", self.id);
            self.asked.borrow_mut().push(asked);
            Ok(())
        }

        async fn extend(&self, _: Duration) -> Result<(), Failure> {
            Ok(())
        }

        async fn set_filter(&self, _: Option<Expression>) -> Result<(), Failure> {
            Ok(())
        }

        async fn end(self) -> Result<(), (Self, Failure)> {
            self.asked.borrow_mut().push(format!("end {}", self.id));
            Ok(())
        }
    }

    fn attached(functions: &[FunctionId]) -> Attached {
        Attached {
            functions: functions.to_vec(),
            refused: Vec::new(),
            probes: 1,
        }
    }

    fn attach(is_confirmed: bool) -> Attach {
        Attach {
            functions: vec![FunctionId(7)],
            settings: SessionSettings::default(),
            session: AttachTo::Newest,
            is_confirmed,
        }
    }

    #[tokio::test]
    async fn numbers_that_mean_other_functions_agree_to_nothing_and_are_detached_from_nothing() {
        let asked = Asked::default();
        let mut host = FakeHost(Rc::clone(&asked));
        let mut sessions = Sessions::new();
        sessions.attach(&mut host, attach(true)).await;
        sessions.renumbered();
        sessions.attach(&mut host, attach(false)).await;
        sessions.detach_all().await.unwrap();
        let expected = ["start, asks: false", "start, asks: true", "end 1", "end 2"];
        assert_eq!(*asked.borrow(), expected);
    }
}
