//! An application that uses the library, and what it may rely on. One process is registered once,
//! so this is one test.
#![allow(clippy::unwrap_used)] // all of this is a test
#![allow(unsafe_code)] // handlers of signals are installed and signals sent by libc alone

use std::mem;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use coral_proto::sdk::v1::runtime_monitoring_client::RuntimeMonitoringClient;
use coral_proto::sdk::v1::{GetFunctionOffsetRequest, ListFunctionsRequest};
use coral_sdk::{Error, LogLevel, LogSink, Options, enable_runtime_monitoring, register_service};

static HANGUPS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_hangup(_: libc::c_int) {
    HANGUPS.fetch_add(1, SeqCst);
}

#[test]
fn the_application_keeps_what_is_its_own() {
    refuses_what_is_wrong();
    install_hangup_handler();
    let (sender, lines) = channel();
    register_service("application", options(sender)).unwrap();
    let again = register_service("again", Options::default()).unwrap_err();
    assert!(matches!(again, Error::AlreadyRegistered { name } if name == "application"));
    enable_runtime_monitoring().unwrap();
    enable_runtime_monitoring().unwrap();

    // Every line was passed on by a function that then panicked.
    let address = wait_for(&lines, "answering on ");
    forgets_the_list_and_reads_it_again(&address, &lines);

    // SAFETY: raise has no preconditions.
    assert_eq!(unsafe { libc::raise(libc::SIGHUP) }, 0);
    wait_for(&lines, "refreshed");
    assert_eq!(HANGUPS.load(SeqCst), 1, "the application's own handler");
}

fn refuses_what_is_wrong() {
    let refused = [
        ("", Options::default(), "invalid-text"),
        ("a\nb", Options::default(), "invalid-text"),
        (&*"a".repeat(256), Options::default(), "invalid-text"),
        (
            "a",
            Options {
                agent_addr: "agent".into(),
                ..Options::default()
            },
            "invalid-address",
        ),
        (
            "a",
            Options {
                sdk_listen_addr: "0.0.0.0:0".into(),
                ..Options::default()
            },
            "invalid-address",
        ),
        (
            "a",
            Options {
                sdk_listen_addr: "unix:a".into(),
                ..Options::default()
            },
            "invalid-address",
        ),
        (
            "a",
            Options {
                health_endpoint: "\u{1b}[2J".into(),
                ..Options::default()
            },
            "invalid-text",
        ),
    ];
    for (name, options, code) in refused {
        assert_eq!(
            register_service(name, options).unwrap_err().code(),
            code,
            "{name:?}"
        );
    }
    assert_eq!(
        enable_runtime_monitoring().unwrap_err().code(),
        "not-registered"
    );
}

fn install_hangup_handler() {
    // SAFETY: the structure is plain data for which zero is valid, and the handler only adds to an
    // atomic number, which is allowed in a handler.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = count_hangup as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        assert_eq!(
            libc::sigaction(libc::SIGHUP, &action, std::ptr::null_mut()),
            0
        );
    }
}

fn options(lines: Sender<String>) -> Options {
    let log = move |_: LogLevel, line: &str| {
        lines.send(line.to_owned()).unwrap();
        panic!("a planted panic in the application's own function");
    };
    Options {
        // Nobody listens there.
        agent_addr: "127.0.0.1:1".to_owned(),
        sdk_listen_addr: "127.0.0.1:0".to_owned(),
        log_level: LogLevel::Debug,
        log: LogSink::new(log),
        index_retention: Duration::from_millis(50),
        ..Options::default()
    }
}

fn forgets_the_list_and_reads_it_again(address: &str, lines: &Receiver<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let url = format!("http://{address}");
        let mut client = RuntimeMonitoringClient::connect(url).await.unwrap();
        for _ in 0..2 {
            let request = GetFunctionOffsetRequest {
                function_name: "no such function".into(),
            };
            assert!(
                !client
                    .get_function_offset(request)
                    .await
                    .unwrap()
                    .into_inner()
                    .found
            );
            wait_for(lines, "found ");
            wait_for(lines, "the list of functions is forgotten");
        }
        let request = ListFunctionsRequest {
            pattern: "count_hangup$".into(),
            ..Default::default()
        };
        let found = client
            .list_functions(request)
            .await
            .unwrap()
            .into_inner()
            .functions;
        assert_eq!(found.len(), 1);
    });
}

/// Waits for a line with this beginning; returns what is behind it.
fn wait_for(lines: &Receiver<String>, beginning: &str) -> String {
    loop {
        let line = lines.recv_timeout(Duration::from_secs(30)).unwrap();
        if let Some(rest) = line.strip_prefix(beginning) {
            return rest.to_owned();
        }
    }
}
