//! Every kind of identity against a real server, over TLS, a unix socket and loopback.

use coral_tui::access::{
    CertificateGrant, Gate, Peer, PeerAddress, Role, Services, Settings, Sha256, TlsConfig,
    UserGrant,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tonic::Code;

use crate::certificates::{certificates, files, issue};
use crate::listeners::{settings_of, token_grant};
use crate::server::{Server, ask};

const NEVER: &str = "2999-01-01T00:00:00Z";

fn grant(name: &str, roles: &[Role], service: &str) -> CertificateGrant {
    CertificateGrant {
        name: name.into(),
        roles: roles.iter().copied().collect(),
        services: Services(vec![service.into()]),
    }
}

/// A refusal in the handshake reaches the client as a connection that ended.
fn is_refused_by_tls(answer: &Result<Code, String>) -> bool {
    match answer {
        Ok(code) => matches!(code, Code::Unknown | Code::Unavailable),
        Err(code) => code == "unreachable",
    }
}

#[tokio::test]
async fn certificates_over_tls() {
    let folder = certificates();
    let foreign = certificates();
    let path = folder.path();
    let revoked = issue(path, "revoked", 2999);
    let der = CertificateDer::from_pem_file(revoked.certificate.as_ref().unwrap()).unwrap();
    let settings = Settings {
        certificates: vec![
            grant("ann", &[Role::Attach], "shop"),
            grant("bob", &[Role::Attach], "bank"),
            grant("revoked", &[Role::Admin], "*"),
        ],
        revoked: vec![Sha256::of(&der)],
        ..settings_of(files(path, "agent"))
    };
    let server = Server::start("127.0.0.1:0", settings, Role::Attach).await;
    let endpoint = server.endpoint(true);

    let answers = [
        (
            "the role is in the certificate",
            files(path, "client-attach"),
            Code::Ok,
        ),
        ("admin", files(path, "client-admin"), Code::Ok),
        (
            "another role",
            files(path, "client-read"),
            Code::PermissionDenied,
        ),
        (
            "the role is in the settings",
            issue(path, "ann", 2999),
            Code::Ok,
        ),
        (
            "another service",
            issue(path, "bob", 2999),
            Code::PermissionDenied,
        ),
        (
            "a name that nobody knows",
            issue(path, "eve", 2999),
            Code::PermissionDenied,
        ),
        ("revoked", revoked, Code::Unauthenticated),
    ];
    for (what, tls, expected) in answers {
        assert_eq!(
            ask(&endpoint, Some(&tls), None).await,
            Ok(expected),
            "{what}"
        );
    }
    assert_eq!(
        server.refused(),
        [r#"Refused("the certificate is revoked")"#]
    );

    let own_ca = Some(path.join("ca.pem"));
    let nobody = TlsConfig {
        ca: own_ca.clone(),
        certificate: None,
        key: None,
    };
    let stranger = TlsConfig {
        ca: own_ca,
        ..files(foreign.path(), "client-admin")
    };
    for (what, tls) in [
        ("none", nobody),
        ("wrong CA", stranger),
        ("expired", issue(path, "late", 2020)),
    ] {
        let answer = ask(&endpoint, Some(&tls), None).await;
        assert!(is_refused_by_tls(&answer), "{what}: {answer:?}");
    }
    assert!(server.refused().len() > 3, "handshakes that fail are told");

    // The client looks at the server, too.
    let distrusting = files(foreign.path(), "client-admin");
    let refused = Err("unreachable".to_owned());
    assert_eq!(ask(&endpoint, Some(&distrusting), None).await, refused);
    let right = files(path, "client-attach");
    let no_ca = Err("no-ca".to_owned());
    assert_eq!(ask(&endpoint, None, None).await, no_ca);
    let insecure = Err("insecure-endpoint".to_owned());
    assert_eq!(
        ask("http://192.0.2.1:9001", Some(&right), None).await,
        insecure
    );
}

#[tokio::test]
async fn a_server_under_a_name_that_its_certificate_does_not_have_is_left() {
    let folder = certificates();
    let settings = settings_of(files(folder.path(), "agent"));
    let server = Server::start("127.0.0.2:0", settings, Role::Attach).await;
    let endpoint = server
        .endpoint(false)
        .replace("http://127.0.0.1", "https://127.0.0.2");
    let client = files(folder.path(), "client-attach");
    let answer = ask(&endpoint, Some(&client), None).await;
    assert_eq!(answer, Err("unreachable".to_owned()));
}

#[tokio::test]
async fn tokens_over_tls() {
    let folder = certificates();
    let path = folder.path();
    let mut elsewhere = token_grant("bob", "of-bob", NEVER);
    elsewhere.services = Services(vec!["bank".into()]);
    let mut reader = token_grant("carl", "of-carl", NEVER);
    reader.roles = [Role::Read].into();
    let settings = Settings {
        tokens: vec![
            token_grant("ann", "of-ann", NEVER),
            token_grant("late", "of-late", "2020-01-01T00:00:00Z"),
            elsewhere,
            reader,
        ],
        ..settings_of(files(path, "agent"))
    };
    let server = Server::start("127.0.0.1:0", settings, Role::Attach).await;
    let endpoint = server.endpoint(true);
    let ca_only = TlsConfig {
        ca: Some(path.join("ca.pem")),
        certificate: None,
        key: None,
    };
    let admin = files(path, "client-admin");
    for (what, tls, token, expected) in [
        ("right", &ca_only, Some("of-ann"), Code::Ok),
        ("none", &ca_only, None, Code::Unauthenticated),
        ("unknown", &ca_only, Some("of-eve"), Code::Unauthenticated),
        ("a part", &ca_only, Some("of-an"), Code::Unauthenticated),
        ("empty", &ca_only, Some(""), Code::Unauthenticated),
        ("expired", &ca_only, Some("of-late"), Code::Unauthenticated),
        (
            "another service",
            &ca_only,
            Some("of-bob"),
            Code::PermissionDenied,
        ),
        (
            "another role",
            &ca_only,
            Some("of-carl"),
            Code::PermissionDenied,
        ),
        ("a certificate instead", &admin, None, Code::Ok),
        (
            "a wrong token beside a right certificate",
            &admin,
            Some("x"),
            Code::Unauthenticated,
        ),
        (
            "the token decides",
            &admin,
            Some("of-carl"),
            Code::PermissionDenied,
        ),
    ] {
        assert_eq!(
            ask(&endpoint, Some(tls), token).await,
            Ok(expected),
            "{what}"
        );
    }
    let unsendable = ask(&endpoint, Some(&ca_only), Some("a\nb")).await;
    assert_eq!(unsendable, Err("bad-token".into()));
}

#[tokio::test]
async fn loopback_alone_is_nobody_unless_it_is_said() {
    let nobody = Server::start("127.0.0.1:0", Settings::default(), Role::Read).await;
    let answer = ask(&nobody.endpoint(false), None, None).await;
    assert_eq!(answer, Ok(Code::Unauthenticated));

    let settings = Settings {
        allow_loopback: [Role::Read].into(),
        ..Settings::default()
    };
    let reader = Server::start("127.0.0.1:0", settings.clone(), Role::Read).await;
    assert_eq!(ask(&reader.endpoint(false), None, None).await, Ok(Code::Ok));
    let attacher = Server::start("127.0.0.1:0", settings, Role::Attach).await;
    let answer = ask(&attacher.endpoint(false), None, None).await;
    assert_eq!(answer, Ok(Code::PermissionDenied));
}

#[tokio::test]
async fn over_a_unix_socket_the_servers_own_user_is_admin() {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", folder.path().join("agent.sock").display());
    let server = Server::start(&listen, Settings::default(), Role::Attach).await;
    assert_eq!(ask(&server.endpoint(false), None, None).await, Ok(Code::Ok));
    let answer = ask(&server.endpoint(false), None, Some("unknown")).await;
    assert_eq!(answer, Ok(Code::Unauthenticated));
}

#[test]
fn other_users_are_who_the_settings_say() {
    let user = UserGrant {
        uid: 65_534,
        roles: [Role::Read].into(),
        services: Services(vec!["shop".into()]),
    };
    let settings = Settings {
        users: vec![user],
        ..Settings::default()
    };
    let gate = Gate::new(settings.clone()).unwrap();
    let of_user = |uid| {
        let address = PeerAddress::Unix { uid, pid: None };
        let peer = Peer {
            address,
            certificate: None,
        };
        gate.identify(&peer, None)
    };
    let nobody = of_user(65_534).unwrap();
    assert!(nobody.may(Role::Read, "shop") && !nobody.may(Role::Attach, "shop"));
    assert!(of_user(0).unwrap().may(Role::Admin, "shop"));
    assert_eq!(of_user(65_533).unwrap_err().reason(), "the user is unknown");

    let twice = Settings {
        users: [settings.users.clone(), settings.users].concat(),
        ..Settings::default()
    };
    assert!(Gate::new(twice).is_err());
}
