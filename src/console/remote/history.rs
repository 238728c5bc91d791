//! What a colony remembers: sessions of everybody, one of them on the screens, and queries.
//!
//! Each is asked for by a task of its own, so that no query is waited for.

use std::sync::Arc;

use coral_model::{
    FunctionTable, FunctionTableBuilder, Language, Module, NewFunction, SessionId, SessionState,
    Snapshot, SqlColumn, SqlResult, SqlSchema, SqlTable, SymbolSource, Target,
};
use coral_ui::{Effect, Failure, OpenedSession, SourceEvent};
use tokio::task::AbortHandle;

use super::RemoteTarget;
use super::link::{Connected, Link};
use crate::console::driver::Reports;
use crate::source::remote::{RemoteAgent, RemoteError};

/// Rows that a screen shows at most.
const ROWS_MAX: u32 = 10_000;
/// The tables of the history with their columns.
const SCHEMA: &str = "SELECT table_name, column_name, data_type FROM information_schema.columns \
                      WHERE table_schema = 'main' ORDER BY table_name, ordinal_position";
/// A session's functions are numbered without holes; a colony that says more is not believed.
const FUNCTIONS_MAX: u32 = 1_000_000;

/// What makes the numbers of a session that is looked at mean other functions.
const RENUMBERED: &str = "the colony has begun anew, and numbers functions otherwise; it can be \
                          opened again";

/// What is asked of the colony's memory now.
pub(super) struct History {
    link: Link,
    reports: Reports,
    visit: Option<(SessionId, AbortHandle)>,
    query: Option<(u64, AbortHandle)>,
}

impl History {
    pub(super) fn new(link: Link, reports: Reports) -> Self {
        Self {
            link,
            reports,
            visit: None,
            query: None,
        }
    }

    /// Begins to do what the screens ask for; the answer is reported.
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::ListHistory => self.list(),
            Effect::OpenSession { session } => self.open(session),
            Effect::CloseSession { session } => {
                let is_it = |(open, _): &mut (SessionId, _)| *open == session;
                abort(self.visit.take_if(is_it));
            }
            Effect::ReadSqlSchema => self.read_schema(),
            Effect::RunSql { query, sql } => self.run(query, sql),
            Effect::CancelSql { query } => {
                abort(self.query.take_if(|(running, _)| *running == query));
            }
            _ => {}
        }
    }

    fn list(&self) {
        let call = async |mut colony: RemoteAgent| colony.history().await;
        let (link, reports) = (self.link.clone(), self.reports.clone());
        tokio::spawn(async move {
            match link.call(call).await {
                Ok(sessions) => report(&reports, SourceEvent::History(sessions.into())).await,
                // The header says so already.
                Err(failure) if failure == link.cut_off() => {}
                Err(failure) => report(&reports, SourceEvent::Notice(failure.into())).await,
            }
        });
    }

    fn open(&mut self, session: SessionId) {
        abort(self.visit.take());
        let visitor = Visitor {
            session: session.clone(),
            reports: self.reports.clone(),
            target: None,
        };
        let task = tokio::spawn(visitor.run(self.link.clone()));
        self.visit = Some((session, task.abort_handle()));
    }

    fn read_schema(&self) {
        let call = async |mut colony: RemoteAgent| colony.sql(SCHEMA, ROWS_MAX).await;
        let (link, reports) = (self.link.clone(), self.reports.clone());
        tokio::spawn(async move {
            let told = match link.call(call).await {
                Ok(rows) => SourceEvent::SqlSchema(Arc::new(schema(&rows))),
                Err(failure) => SourceEvent::Notice(failure.into()),
            };
            report(&reports, told).await;
        });
    }

    fn run(&mut self, query: u64, sql: String) {
        abort(self.query.take());
        let (link, reports) = (self.link.clone(), self.reports.clone());
        let task = tokio::spawn(async move {
            let call = async |mut colony: RemoteAgent| colony.sql(&sql, ROWS_MAX).await;
            let told = match link.call(call).await {
                Ok(result) => SourceEvent::SqlRows {
                    query,
                    result: Arc::new(result),
                },
                Err(failure) => SourceEvent::SqlFailed { query, failure },
            };
            report(&reports, told).await;
        });
        self.query = Some((query, task.abort_handle()));
    }
}

fn abort<T>(running: Option<(T, AbortHandle)>) {
    if let Some((_, task)) = running {
        task.abort();
    }
}

async fn report(reports: &Reports, told: SourceEvent) {
    // The screens are gone: so will this task be.
    let _ = reports.send(told).await;
}

/// Brings a session to the screens, and what it measures while it is live.
struct Visitor {
    session: SessionId,
    reports: Reports,
    /// What it is on, once the screens have it: their functions have its numbers.
    target: Option<Target>,
}

impl Visitor {
    async fn run(mut self, mut link: Link) {
        loop {
            let connected = link.connected().await;
            let followed = tokio::select! {
                followed = self.follow(&connected) => followed,
                () = link.changed() => continue,
            };
            match followed {
                Ok(()) => return,
                Err(error) if error.is_of_link() => {
                    link.report_broken(&connected);
                    link.changed().await;
                }
                Err(error) => return self.fail(&error).await,
            }
        }
    }

    /// Until the session has ended.
    async fn follow(&mut self, connected: &Connected) -> Result<(), RemoteError> {
        let mut colony = connected.agent.clone();
        let mut watching = colony.watch(&self.session.0).await?;
        while let Some(snapshot) = watching.next().await? {
            let is_over = snapshot.session.state != SessionState::Active;
            let is_renumbered = match &self.target {
                Some(target) => snapshot.session.target != *target,
                None => false,
            };
            let told = if is_renumbered {
                self.lost(RENUMBERED)
            } else if self.target.is_some() {
                SourceEvent::Visited(snapshot)
            } else {
                let opened = opened(&mut colony, snapshot).await?;
                self.target = Some(opened.target.clone());
                SourceEvent::SessionOpened(Box::new(opened))
            };
            report(&self.reports, told).await;
            if is_over || is_renumbered {
                return Ok(());
            }
        }
        Err(RemoteError::LinkLost)
    }

    async fn fail(self, error: &RemoteError) {
        let failure = Failure::from(error);
        let told = if self.target.is_some() {
            self.lost(&failure.message)
        } else {
            let session = self.session;
            SourceEvent::SessionNotOpened { session, failure }
        };
        report(&self.reports, told).await;
    }

    fn lost(&self, why: &str) -> SourceEvent {
        SourceEvent::VisitLost {
            session: self.session.clone(),
            why: why.to_owned(),
        }
    }
}

/// The session with its functions: those of the service as it is now, if they are the same. Of a
/// session that is over, the builds may be gone, and what it has measured names its functions.
async fn opened(
    colony: &mut RemoteAgent,
    snapshot: Arc<Snapshot>,
) -> Result<OpenedSession, RemoteError> {
    let target = snapshot.session.target.clone();
    let service = RemoteTarget {
        service: Some(target.service.clone()),
        ..RemoteTarget::default()
    };
    let table = match colony.functions(&service, |_, _| {}).await {
        Ok((_, table)) if names(&table, &snapshot) => table,
        Err(error) if error.is_of_link() => return Err(error),
        _ => measured(&snapshot),
    };
    Ok(OpenedSession {
        session: snapshot.session.id.clone(),
        target,
        table: Arc::new(table),
        moments: vec![(snapshot.session.elapsed, snapshot)],
    })
}

/// Whether the table's functions are those of the session.
fn names(table: &FunctionTable, snapshot: &Snapshot) -> bool {
    let mut functions = snapshot.functions.iter();
    functions.all(|stats| {
        let function = table.get(stats.id);
        function.is_some_and(|function| function.name == stats.name)
    })
}

/// The functions that a session has measured, as a table.
fn measured(snapshot: &Snapshot) -> FunctionTable {
    let mut table = FunctionTableBuilder::new();
    let language = snapshot.session.target.language;
    let module = table.add_module(Module {
        path: snapshot.session.target.service.clone(),
        build_id: None,
        language,
    });
    let functions = snapshot.functions.iter();
    let count = functions
        .clone()
        .map(|it| it.id.0.saturating_add(1))
        .filter(|&count| count <= FUNCTIONS_MAX)
        .max();
    let mut names = vec![""; count.unwrap_or(0) as usize];
    for stats in functions {
        if let Some(name) = names.get_mut(stats.id.0 as usize) {
            *name = &stats.name;
        }
    }
    for name in names {
        table.push(&NewFunction {
            name,
            package: 0..0,
            file: None,
            line: None,
            address: 0,
            size: 0,
            language: Language::Unknown,
            source: SymbolSource::Sdk,
            module,
            plan: None,
        });
    }
    table.build()
}

fn schema(rows: &SqlResult) -> SqlSchema {
    let mut schema = SqlSchema::default();
    for row in rows.rows.iter() {
        let [Some(table), Some(name), Some(type_name)] = row.as_slice() else {
            continue;
        };
        let column = SqlColumn {
            name: name.clone(),
            type_name: type_name.clone(),
        };
        match schema.tables.last_mut().filter(|last| last.name == *table) {
            Some(last) => last.columns.push(column),
            None => schema.tables.push(SqlTable {
                name: table.clone(),
                columns: vec![column],
            }),
        }
    }
    schema
}
