//! What may be listened at, and with which files.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use coral_model::Diagnostic;
use coral_tui::access::{Listener, Role, Services, Settings, Sha256, TlsConfig, TokenGrant};

use crate::certificates::{certificates, files};

pub(crate) fn settings_of(tls: TlsConfig) -> Settings {
    Settings {
        tls: Some(tls),
        ..Settings::default()
    }
}

pub(crate) fn token_grant(name: &str, token: &str, expires_at: &str) -> TokenGrant {
    TokenGrant {
        name: name.into(),
        sha256: Sha256::of(token.as_bytes()),
        roles: [Role::Attach].into(),
        services: Services(vec!["sho*".into()]),
        expires_at: expires_at.parse().unwrap(),
    }
}

async fn code(listen: &str, settings: &Settings) -> &'static str {
    match Listener::bind(&listen.parse().unwrap(), settings).await {
        Ok(_) => "open",
        Err(error) => error.code(),
    }
}

#[tokio::test]
async fn what_others_can_reach_is_protected_or_not_opened() {
    let folder = certificates();
    let nothing = Settings::default();
    let by_token = Settings {
        tokens: vec![token_grant("ann", "secret", "2999-01-01T00:00:00Z")],
        ..Settings::default()
    };
    let by_address = Settings {
        allow_loopback: [Role::Admin].into(),
        ..Settings::default()
    };
    let mutual = settings_of(files(folder.path(), "agent"));
    let without_ca = settings_of(TlsConfig {
        ca: None,
        ..files(folder.path(), "agent")
    });
    let tls_and_token = Settings {
        tokens: by_token.tokens.clone(),
        ..without_ca.clone()
    };
    for (listen, settings, expected) in [
        ("127.0.0.1:0", &nothing, "open"),
        ("[::1]:0", &nothing, "open"),
        ("0.0.0.0:0", &nothing, "unprotected-listener"),
        ("[::]:0", &nothing, "unprotected-listener"),
        ("0.0.0.0:0", &by_token, "unprotected-listener"),
        ("0.0.0.0:0", &by_address, "unprotected-listener"),
        ("0.0.0.0:0", &without_ca, "unprotected-listener"),
        ("0.0.0.0:0", &tls_and_token, "open"),
        ("0.0.0.0:0", &mutual, "open"),
    ] {
        assert_eq!(
            code(listen, settings).await,
            expected,
            "{listen} {settings:?}"
        );
    }
}

#[tokio::test]
async fn a_key_that_others_can_read_is_refused_and_bad_files_are_named() {
    let folder = certificates();
    let agent = files(folder.path(), "agent");
    let key = agent.key.clone().unwrap();
    for mode in [0o640, 0o604, 0o644, 0o620] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let settings = settings_of(agent.clone());
        assert_eq!(
            code("127.0.0.1:0", &settings).await,
            "key-exposed",
            "{mode:o}"
        );
    }
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let missing = folder.path().join("missing.pem");
    let foreign = files(folder.path(), "colony").key;
    for (tls, expected) in [
        (
            TlsConfig {
                ca: Some(missing.clone()),
                ..agent.clone()
            },
            "bad-certificate-file",
        ),
        (
            TlsConfig {
                certificate: Some(missing),
                ..agent.clone()
            },
            "bad-certificate-file",
        ),
        (
            TlsConfig {
                ca: Some(key.clone()),
                ..agent.clone()
            },
            "bad-certificate-file",
        ),
        (
            TlsConfig {
                key: None,
                ..agent.clone()
            },
            "bad-tls-settings",
        ),
        (
            TlsConfig {
                key: foreign,
                ..agent.clone()
            },
            "bad-tls-settings",
        ),
    ] {
        let settings = settings_of(tls);
        assert_eq!(
            code("127.0.0.1:0", &settings).await,
            expected,
            "{settings:?}"
        );
    }
}

#[tokio::test]
async fn a_dead_servers_socket_is_replaced_and_a_live_ones_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.sock");
    let listen = format!("unix:{}", path.display());
    // The standard library leaves the file behind, as a server that was killed does.
    drop(UnixListener::bind(&path).unwrap());
    let group = fs::metadata(folder.path()).unwrap().gid();
    for (socket_group, mode) in [(None, 0o600), (Some(group), 0o660)] {
        let settings = Settings {
            socket_group,
            ..Settings::default()
        };
        let first = Listener::bind(&listen.parse().unwrap(), &settings)
            .await
            .unwrap();
        let file = fs::metadata(&path).unwrap();
        assert!(file.file_type().is_socket());
        assert_eq!(file.permissions().mode() & 0o777, mode);
        assert_eq!(code(&listen, &settings).await, "already-listening");
        drop(first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    fs::write(&path, "not a socket").unwrap();
    assert_eq!(code(&listen, &Settings::default()).await, "cannot-listen");
    assert_eq!(fs::read(&path).unwrap(), b"not a socket");
}

#[test]
fn settings_are_read_from_a_configuration() {
    let text = r#"
        allow_loopback = ["debug:read"]
        tls = { certificate = "agent.pem", key = "agent-key.pem" }
        [[tokens]]
        name = "ann"
        sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
        roles = ["debug:attach"]
        services = ["sho*"]
        expires_at = "2999-01-01T00:00:00Z"
    "#;
    let expected = Settings {
        allow_loopback: [Role::Read].into(),
        tls: Some(TlsConfig {
            ca: None,
            certificate: Some("agent.pem".into()),
            key: Some("agent-key.pem".into()),
        }),
        tokens: vec![token_grant("ann", "secret", "2999-01-01T00:00:00Z")],
        ..Settings::default()
    };
    assert_eq!(toml::from_str::<Settings>(text).unwrap(), expected);
    for wrong in [
        "allow_loopback = [\"root\"]",
        "revoked = [\"abc\"]",
        "allow_lopback = []",
        "[[tokens]]\nname = \"ann\"",
    ] {
        assert!(toml::from_str::<Settings>(wrong).is_err(), "{wrong}");
    }
}
