//! A collector gets what is stored, as OpenTelemetry defines it, and may be away.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use coral_model::{EndReason, SessionSettings, SessionState};
use coral_tui::config::OtlpConfig;
use coral_tui::outlets::{Origin, Otlp, Warn};
use coral_tui::store::{Entry, NewSession};
use tonic::Status;

use crate::collector::{Collector, Mood, attributes};
use crate::fixture::{calls, checkpoint, journal, session, snapshot};
use crate::tls::Front;

/// An address of this machine; port 0 is any that is free.
const ANY: &str = "127.0.0.1:0";

/// An outlet to a collector, and what it has said.
struct Outlet {
    otlp: Otlp,
    said: Arc<Mutex<Vec<String>>>,
}

impl Outlet {
    fn to(address: SocketAddr) -> Self {
        Self::with(&config(address)).unwrap()
    }

    fn with(config: &OtlpConfig) -> Result<Self, coral_tui::access::AccessError> {
        let said = Arc::new(Mutex::new(Vec::new()));
        let saying = Arc::clone(&said);
        let warn = Warn::new(move |text| saying.lock().unwrap().push(text.to_owned()));
        let otlp = Otlp::open(config, &warn)?;
        Ok(Self { otlp, said })
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

fn config(address: SocketAddr) -> OtlpConfig {
    OtlpConfig {
        endpoint: format!("http://{address}").parse().unwrap(),
        ca: None,
        headers_file: None,
        spans: true,
        metrics: true,
    }
}

fn origin(session: &NewSession) -> Origin {
    Origin::new(journal(&session.id.0, "a"), session, "node-7", None)
}

/// A checkpoint with a function that was called once for each of these durations, and once more.
fn numbers(sequence: u64, durations_ns: &[u64]) -> Entry {
    let ended = SessionState::Ended(EndReason::Expired);
    let functions = [("main.f", durations_ns), ("main.idle", &[][..])];
    checkpoint(sequence, &snapshot("a", 3, &functions, ended))
}

#[tokio::test]
async fn numbers_and_calls_come_as_they_are_stored() {
    let collector = Collector::new();
    let (address, _) = collector.serve(ANY.parse().unwrap()).await;
    let outlet = Outlet::to(address);
    let mut origin = origin(&session("s"));
    let durations_ns = [500, 1_024, 1_279, 1_280, 80_000_000_000];
    let entries = [numbers(1, &durations_ns), calls(2, 3)];
    outlet.otlp.offer(&mut origin, &entries);
    collector
        .await_that(|it| it.sum("coral.function.calls", &[]) > 0 && it.spans.len() == 3)
        .await;
    let received = collector.received.borrow();
    let of_f = [
        ("code.function.name", "main.f"),
        ("coral.session.id", "s"),
        ("coral.requested_by", "alice"),
        ("service.name", "checkout"),
        ("service.instance.id", "a/4242/77"),
        ("host.name", "node-7"),
        ("process.pid", "4242"),
        ("code.line.number", "42"),
    ];
    assert_eq!(received.sum("coral.function.calls", &of_f), 6);
    assert_eq!(received.sum("coral.function.calls", &[]), 7);
    assert_eq!(received.sum("coral.function.errors", &[]), 1);
    let [durations] = received.durations(&[])[..] else {
        panic!("the other function has not returned");
    };
    assert_eq!(durations.count, 5);
    assert_eq!(durations.min, Some(500e-9));
    assert_eq!(durations.max, Some(80.0));
    assert_eq!(
        durations.sum,
        Some((500 + 1_024 + 1_279 + 1_280) as f64 / 1e9 + 80.0)
    );
    let counts = &durations.bucket_counts;
    assert_eq!(counts[..3], [1, 2, 1], "up to 1,023, 1,279 and 1,535 ns");
    assert_eq!(counts.last(), Some(&1), "over 68 s");
    assert_eq!(durations.explicit_bounds[..2], [1_023e-9, 1_279e-9]);
    assert_eq!(
        durations.time_unix_nano - durations.start_time_unix_nano,
        3_000_000_000
    );

    let mut spans: Vec<_> = received.spans.values().collect();
    spans.sort_by_key(|(_, span)| span.end_time_unix_nano);
    let (resource, first) = spans[0];
    assert_eq!(resource["service.instance.id"], "a/4242/77");
    assert_eq!(first.name, "main.handleCheckout");
    assert_eq!(first.end_time_unix_nano - first.start_time_unix_nano, 2_000);
    assert_eq!(first.status.as_ref().unwrap().code, 2, "it failed");
    let told = attributes(&first.attributes);
    assert_eq!(told["coral.goroutine.id"], "7");
    assert_eq!(
        (&*told["coral.sampled"], &*told["coral.sample_rate"]),
        ("false", "1")
    );
    assert!(
        !told.keys().any(|key| key.contains("user")),
        "no values: {told:?}"
    );
    assert_eq!(spans[1].1.status, None);
    let traces: Vec<_> = spans.iter().map(|(_, span)| &span.trace_id).collect();
    assert!(traces[0] != traces[1] && traces[0][..8] == traces[1][..8]);
    assert_eq!(outlet.said(), [""; 0]);
}

#[tokio::test]
async fn what_is_sent_again_is_the_same() {
    let collector = Collector::new();
    let (address, _) = collector.serve(ANY.parse().unwrap()).await;
    let sampled = NewSession {
        settings: SessionSettings {
            sample_rate: 10,
            ..SessionSettings::default()
        },
        ..session("s")
    };
    for _ in 0..2 {
        let outlet = Outlet::to(address);
        let entries = [numbers(1, &[5, 6]), calls(2, 3)];
        outlet.otlp.offer(&mut origin(&sampled), &entries);
        outlet.otlp.close().await;
        assert_eq!(outlet.said(), [""; 0]);
    }
    let received = collector.received.borrow();
    assert_eq!((received.spans.len(), received.spans_again), (3, 3));
    assert_eq!(received.sum("coral.function.calls", &[]), 4);
    let (_, span) = received.spans.values().next().unwrap();
    let told = attributes(&span.attributes);
    assert_eq!(
        (&*told["coral.sampled"], &*told["coral.sample_rate"]),
        ("true", "10")
    );
}

#[tokio::test]
async fn a_collector_that_fails_stalls_and_comes_back_gets_everything() {
    let collector = Collector::new();
    let (address, _) = collector.serve(ANY.parse().unwrap()).await;
    collector.moods.lock().unwrap().extend([
        Mood::Fail(Status::unavailable("warming up")),
        Mood::Stall,
        Mood::Fail(Status::deadline_exceeded("slow")),
    ]);
    let config = OtlpConfig {
        metrics: false,
        ..config(address)
    };
    let outlet = Outlet::with(&config).unwrap();
    let mut origin = origin(&session("s"));
    for sequence in 1..=50 {
        outlet.otlp.offer(&mut origin, &[calls(sequence, 20)]);
    }
    collector.await_that(|it| it.spans.len() == 1_000).await;
    assert_eq!(collector.received.borrow().spans_again, 0);
    outlet.otlp.close().await;
    let said = outlet.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].ends_with("does not take for now (Unavailable: warming up) spans"),
        "{said:?}"
    );
    assert!(said[1].ends_with("takes again: spans"), "{said:?}");
}

#[tokio::test]
async fn a_collector_that_is_away_costs_a_bounded_number_of_calls_which_it_is_told() {
    // Nobody listens there for now.
    let address = std::net::TcpListener::bind(ANY)
        .unwrap()
        .local_addr()
        .unwrap();
    let outlet = Outlet::to(address);
    let mut origin = origin(&session("s"));
    let (mut offered, batch) = (0, 1_000);
    while outlet
        .said()
        .iter()
        .all(|text| !text.contains("found no room"))
    {
        offered += 1;
        outlet.otlp.offer(&mut origin, &[calls(offered, batch)]);
        tokio::task::yield_now().await;
        assert!(offered < 1_000, "it is bounded");
    }
    let offered = offered * u64::from(batch);
    outlet.otlp.offer(&mut origin, &[numbers(2_000, &[5])]);
    outlet.otlp.offer(&mut origin, &[numbers(2_001, &[5, 6])]);
    let collector = Collector::new();
    let _serving = collector.serve(address).await;
    let dropped = [("signal", "spans"), ("reason", "queue_full")];
    collector
        .await_that(|it| {
            let dropped = it.sum("coral.otlp.dropped", &dropped) as u64;
            dropped > 0 && it.spans.len() as u64 + dropped == offered
        })
        .await;
    let received = collector.received.borrow();
    assert_eq!(
        received.sum("coral.function.calls", &[("code.function.name", "main.f")]),
        3
    );
    assert!(received.spans.len() as u64 > offered / 2);
}

#[tokio::test]
async fn what_a_collector_refuses_for_good_is_counted_and_not_sent_again() {
    let collector = Collector::new();
    let (address, _) = collector.serve(ANY.parse().unwrap()).await;
    let config = OtlpConfig {
        metrics: false,
        ..config(address)
    };
    let outlet = Outlet::with(&config).unwrap();
    let mut origin = origin(&session("s"));
    let refusals = [
        Mood::Fail(Status::invalid_argument("no such tenant")),
        Mood::Reject(2),
    ];
    for (sequence, mood) in (1..).zip(refusals) {
        collector.moods.lock().unwrap().push_back(mood);
        outlet.otlp.offer(&mut origin, &[calls(sequence, 5)]);
        outlet.otlp.close().await;
    }
    // The next entry is when it is told.
    outlet.otlp.offer(&mut origin, &[calls(3, 5)]);
    collector.await_that(|it| it.spans.len() == 10).await;
    let said = outlet.said();
    assert!(
        said[0].contains("refuses (InvalidArgument: no such tenant)"),
        "{said:?}"
    );
    assert!(said[1].contains("has not taken 5 spans"), "{said:?}");
    assert!(said[2].contains("rejects (too old)"), "{said:?}");
}

#[tokio::test]
async fn headers_go_with_every_request_and_never_in_the_clear_to_another_machine() {
    let collector = Collector::new();
    let (address, _) = collector.serve(ANY.parse().unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers");
    std::fs::write(&headers, "Authorization: Bearer t0ken\n").unwrap();
    let with_headers = |config: OtlpConfig| OtlpConfig {
        headers_file: Some(headers.clone()),
        ..config
    };
    let config = with_headers(config(address));
    let exposed = Outlet::with(&config).err().unwrap().to_string();
    assert!(exposed.contains("others than its owner"), "{exposed}");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&headers, mode).unwrap();
    let outlet = Outlet::with(&config).unwrap();
    outlet
        .otlp
        .offer(&mut origin(&session("s")), &[calls(1, 1)]);
    collector.await_that(|it| it.spans.len() == 1).await;
    let sent = collector.received.borrow().authorization.clone();
    assert_eq!(sent.as_deref(), Some("Bearer t0ken"));
    let elsewhere = OtlpConfig {
        endpoint: "http://collector.example:4317".parse().unwrap(),
        ..config
    };
    let refused = Outlet::with(&elsewhere).err().unwrap().to_string();
    assert!(refused.contains("without TLS"), "{refused}");
    let plain = OtlpConfig {
        headers_file: None,
        ca: Some(Path::new("/nowhere/ca.pem").into()),
        ..elsewhere
    };
    let refused = Outlet::with(&plain).err().unwrap().to_string();
    assert!(refused.contains("/nowhere/ca.pem"), "{refused}");
}

#[tokio::test]
async fn a_collector_behind_tls_is_told_nothing_before_its_certificate_is_trusted() {
    let collector = Collector::new();
    let (address, _) = collector.serve(ANY.parse().unwrap()).await;
    let front = Front::of(address).await;
    let config = OtlpConfig {
        endpoint: format!("https://{}", front.address).parse().unwrap(),
        ..config(address)
    };
    let trusts_nobody = Outlet::with(&config).unwrap();
    let told = [calls(1, 1)];
    let mut origin = origin(&session("s"));
    trusts_nobody.otlp.offer(&mut origin, &told);
    trusts_nobody.otlp.close().await;
    let said = trusts_nobody.said();
    assert!(said[0].contains("certificate"), "{said:?}");
    assert!(collector.received.borrow().spans.is_empty());
    let trusts_it = Outlet::with(&OtlpConfig {
        ca: Some(front.ca()),
        ..config
    });
    trusts_it.unwrap().otlp.offer(&mut origin, &told);
    collector.await_that(|it| it.spans.len() == 1).await;
}
