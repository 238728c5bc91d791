//! What a colony asks an agent for: its journals are the agent's own, of all else there is nothing.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use coral_proto::agent::v1 as wire;
use coral_proto::agent::v1::agent_server::Agent;
use tonic::{Request, Response, Status};

use super::Simulated;
use crate::node::service::Service;

/// The calls of a simulated agent.
pub(super) struct Calls {
    pub(super) agent: Arc<Simulated>,
    pub(super) service: Service,
}

/// As `tonic::async_trait` writes it, which does not look into macros.
type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send + 'a>>;

/// Calls that nobody makes in a simulation.
macro_rules! unasked {
    ($($call:ident($request:ident) -> $answer:ty;)*) => {$(
        fn $call<'a, 'b>(&'a self, _request: Request<wire::$request>) -> Answer<'b, $answer>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(ready(Err(Status::unimplemented("nothing is simulated there"))))
        }
    )*};
}

/// Calls that the agent answers as always.
macro_rules! asked {
    ($($call:ident($request:ident) -> $answer:ty;)*) => {$(
        fn $call<'a, 'b>(&'a self, request: Request<wire::$request>) -> Answer<'b, $answer>
        where
            'a: 'b,
            Self: 'b,
        {
            Agent::$call(&self.service, request)
        }
    )*};
}

/// Calls that have nothing to tell.
macro_rules! empty {
    ($($call:ident($request:ident) -> $answer:ty;)*) => {$(
        fn $call<'a, 'b>(&'a self, _request: Request<wire::$request>) -> Answer<'b, $answer>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(ready(Ok(Response::new(<$answer>::default()))))
        }
    )*};
}

impl Agent for Calls {
    type AttachUprobeStream = <Service as Agent>::AttachUprobeStream;
    type WatchSessionStream = <Service as Agent>::WatchSessionStream;
    type DownloadTracesStream = <Service as Agent>::DownloadTracesStream;
    type ReadJournalStream = <Service as Agent>::ReadJournalStream;
    type DownloadRecordingStream = <Service as Agent>::DownloadRecordingStream;

    asked! {
        list_journals(ListJournalsRequest) -> wire::ListJournalsResponse;
        read_journal(ReadJournalRequest) -> Self::ReadJournalStream;
    }

    fn acknowledge_journal<'a, 'b>(
        &'a self,
        request: Request<wire::AcknowledgeJournalRequest>,
    ) -> Answer<'b, wire::AcknowledgeJournalResponse>
    where
        'a: 'b,
        Self: 'b,
    {
        let asked = request.get_ref();
        let key = (asked.epoch, asked.session_id.clone());
        (self.agent.on_acknowledged)(&key, asked.sequence);
        self.service.acknowledge_journal(request)
    }

    empty! {
        get_capabilities(GetCapabilitiesRequest) -> wire::GetCapabilitiesResponse;
        list_services(ListServicesRequest) -> wire::ListServicesResponse;
    }

    unasked! {
        attach_uprobe(AttachUprobeRequest) -> Self::AttachUprobeStream;
        detach_uprobe(DetachUprobeRequest) -> wire::DetachUprobeResponse;
        list_processes(ListProcessesRequest) -> wire::ListProcessesResponse;
        list_functions(ListFunctionsRequest) -> wire::ListFunctionsResponse;
        list_callees(ListCalleesRequest) -> wire::ListCalleesResponse;
        start_session(StartSessionRequest) -> wire::StartSessionResponse;
        watch_session(WatchSessionRequest) -> Self::WatchSessionStream;
        list_sessions(ListSessionsRequest) -> wire::ListSessionsResponse;
        add_functions(AddFunctionsRequest) -> wire::AddFunctionsResponse;
        remove_functions(RemoveFunctionsRequest) -> wire::RemoveFunctionsResponse;
        update_filter(UpdateFilterRequest) -> wire::UpdateFilterResponse;
        extend_session(ExtendSessionRequest) -> wire::ExtendSessionResponse;
        end_sessions(EndSessionsRequest) -> wire::EndSessionsResponse;
        download_recording(DownloadRecordingRequest) -> Self::DownloadRecordingStream;
        download_traces(DownloadTracesRequest) -> Self::DownloadTracesStream;
        register_service(RegisterServiceRequest) -> wire::RegisterServiceResponse;
    }
}
