//! Who is asked: an agent about its node, or a colony about all of its agents.

use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_client::AgentClient;
use coral_proto::colony::v1::debug_service_client::DebugServiceClient;
use tonic::{IntoRequest, Response, Status, Streaming};

use crate::access::AuthorizedChannel;

/// A connection. Both kinds have the same calls, with the same messages.
#[derive(Clone)]
pub(super) enum Client {
    Agent(AgentClient<AuthorizedChannel>),
    Colony(DebugServiceClient<AuthorizedChannel>),
}

macro_rules! calls {
    ($($call:ident($request:ident) -> $answer:ty;)*) => {
        impl Client {
            $(
                pub(super) async fn $call(
                    &mut self,
                    request: impl IntoRequest<wire::$request>,
                ) -> Result<Response<$answer>, Status> {
                    match self {
                        Self::Agent(agent) => agent.$call(request).await,
                        Self::Colony(colony) => colony.$call(request).await,
                    }
                }
            )*
        }
    };
}

calls! {
    get_capabilities(GetCapabilitiesRequest) -> wire::GetCapabilitiesResponse;
    list_services(ListServicesRequest) -> wire::ListServicesResponse;
    list_functions(ListFunctionsRequest) -> wire::ListFunctionsResponse;
    list_callees(ListCalleesRequest) -> wire::ListCalleesResponse;
    start_session(StartSessionRequest) -> wire::StartSessionResponse;
    watch_session(WatchSessionRequest) -> Streaming<wire::SessionUpdate>;
    list_sessions(ListSessionsRequest) -> wire::ListSessionsResponse;
    add_functions(AddFunctionsRequest) -> wire::AddFunctionsResponse;
    remove_functions(RemoveFunctionsRequest) -> wire::RemoveFunctionsResponse;
    update_filter(UpdateFilterRequest) -> wire::UpdateFilterResponse;
    extend_session(ExtendSessionRequest) -> wire::ExtendSessionResponse;
    end_sessions(EndSessionsRequest) -> wire::EndSessionsResponse;
    download_traces(DownloadTracesRequest) -> Streaming<wire::DownloadTracesResponse>;
}

impl Client {
    /// The colony, for what agents do not have.
    pub(super) fn colony(&mut self) -> Result<&mut DebugServiceClient<AuthorizedChannel>, Status> {
        match self {
            Self::Colony(colony) => Ok(colony),
            Self::Agent(_) => Err(Status::unimplemented(
                "an agent remembers nothing: ask a colony",
            )),
        }
    }

    /// The processes of an agent's node. A colony lists services.
    pub(super) async fn list_processes(
        &mut self,
        request: impl IntoRequest<wire::ListProcessesRequest>,
    ) -> Result<Response<wire::ListProcessesResponse>, Status> {
        match self {
            Self::Agent(agent) => agent.list_processes(request).await,
            Self::Colony(_) => Err(not_of_colonies("processes")),
        }
    }

    /// The recording that an agent has made.
    pub(super) async fn download_recording(
        &mut self,
        request: impl IntoRequest<wire::DownloadRecordingRequest>,
    ) -> Result<Response<Streaming<wire::DownloadRecordingResponse>>, Status> {
        match self {
            Self::Agent(agent) => agent.download_recording(request).await,
            Self::Colony(_) => Err(not_of_colonies("recordings")),
        }
    }
}

fn not_of_colonies(what: &str) -> Status {
    Status::unimplemented(format!("a colony has no {what}: ask the agent of a node"))
}
