//! What every gRPC service offers: health, and reflection of its definitions.

use coral_tui::access::connect;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::common::{need, rights};
use crate::daemon::{Daemon, Setup};

const AGENT: &str = "coral.agent.v1.Agent";

#[tokio::test]
async fn health_and_reflection_are_served_to_who_is_known() {
    need!(rights::probes());
    let daemon = Daemon::start();
    let known = connect(&daemon.socket().parse().unwrap(), None, None)
        .await
        .unwrap();
    let check = HealthCheckRequest {
        service: AGENT.into(),
    };
    let health = HealthClient::new(known.clone())
        .check(check.clone())
        .await
        .unwrap();
    assert_eq!(health.into_inner().status(), ServingStatus::Serving);
    let listed = services(ServerReflectionClient::new(known)).await.unwrap();
    assert!(listed.contains(&AGENT.to_owned()), "{listed:?}");

    let closed = Daemon::start_with(&Setup {
        loopback_roles: "",
        ..Setup::default()
    });
    let nobody = connect(&closed.loopback.parse().unwrap(), None, None)
        .await
        .unwrap();
    let refused = HealthClient::new(nobody.clone())
        .check(check)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    let refused = services(ServerReflectionClient::new(nobody))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
}

async fn services(
    mut client: ServerReflectionClient<coral_tui::access::AuthorizedChannel>,
) -> Result<Vec<String>, tonic::Status> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await?
        .into_inner();
    let answer = answers.message().await?.unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(listed) = answer else {
        panic!("{answer:?}");
    };
    Ok(listed
        .service
        .into_iter()
        .map(|service| service.name)
        .collect())
}
