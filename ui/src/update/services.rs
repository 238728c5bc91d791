//! The services of a colony: opening one, folding, and why that cannot be done.

use super::probes::refuse;
use crate::event::{Effect, OpenTarget};
use crate::services::ServiceRow;
use crate::state::{Phase, Screen, State};

/// Opens the selected service, whichever of its rows is selected.
pub(super) fn open(state: &mut State) -> Vec<Effect> {
    let list = &state.services;
    let service = match list.selected() {
        Some(ServiceRow::Service { service, .. } | ServiceRow::Replica { service, .. }) => service,
        Some(ServiceRow::Agents { .. }) => {
            state.services.toggle();
            return Vec::new();
        }
        Some(ServiceRow::Agent { agent, .. }) => {
            let agent = &list.agents()[agent];
            let message = format!("{} is an agent: it has no functions", agent.agent_id);
            return refuse(state, "not-a-service", message, "choose a service".into());
        }
        None => return Vec::new(),
    };
    let service = &list.services()[service];
    let troubles: Vec<_> = service.replicas.iter().map(|it| list.trouble(it)).collect();
    if let Some(Some(trouble)) = troubles.first()
        && troubles.iter().all(Option::is_some)
    {
        let message = format!("No replica of {} can be probed: {trouble}", service.name);
        let help = "the agents at the end of the list say what they lack".to_owned();
        return refuse(state, "not-probeable", message, help);
    }
    let what = OpenTarget::Service(service.name.clone());
    state.screen = Screen::Functions;
    if state.opened.as_ref() == Some(&what) && state.phase == Phase::Open {
        return Vec::new();
    }
    super::probes::begin_to_open(state, what)
}

/// The service that is selected, or whose replica is.
pub(super) fn selected(state: &State) -> Option<String> {
    match state.services.selected()? {
        ServiceRow::Service { service, .. } | ServiceRow::Replica { service, .. } => {
            Some(state.services.services()[service].name.clone())
        }
        ServiceRow::Agents { .. } | ServiceRow::Agent { .. } => None,
    }
}

/// To the right: opens the row, or goes on to its first one; to the left: folds it, or goes back.
pub(super) fn sideways(state: &mut State, right: bool) {
    let height = usize::from(state.list_rows().height);
    if right {
        state.services.go_in(height);
    } else {
        state.services.go_out(height);
    }
}
