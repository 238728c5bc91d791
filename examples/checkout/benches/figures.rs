//! What the SDK adds to an application: `cargo bench -p coral-example-checkout`.
//!
//! Every figure is of a fresh process, which is this program again. Start-up is what the two calls
//! take on the application's thread. Memory is the resident set, all pages of the program's file
//! included. Processor time is what the kernel counts for the SDK's thread (`schedstat`), while no
//! agent is there, which is the dearest case: it is looked for again and again.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // figures are printed, and errors end the run

use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use coral_proto::sdk::v1::ListFunctionsRequest;
use coral_proto::sdk::v1::runtime_monitoring_client::RuntimeMonitoringClient;
use coral_sdk::{LogLevel, LogSink, Options};

const RUNS: usize = 21;
const IDLE: Duration = Duration::from_secs(60);
const CHILD: &str = "--child";

fn main() {
    let mut arguments = env::args().skip_while(|argument| argument != CHILD).skip(1);
    match arguments.next().as_deref() {
        Some("start-up") => start_up(),
        Some("idle") => idle(),
        Some("asked") => asked(),
        _ => report(),
    }
}

fn report() {
    let mut start_ups_us: Vec<f64> = (0..RUNS)
        .map(|_| child("start-up").parse().unwrap())
        .collect();
    start_ups_us.sort_by(f64::total_cmp);
    println!(
        "start-up: quickest {:.0} us, median {:.0} us, slowest {:.0} us of {RUNS} processes",
        start_ups_us[0],
        start_ups_us[RUNS / 2],
        start_ups_us[RUNS - 1]
    );
    println!("{}", child("asked"));
    println!("{}", child("idle"));
}

fn child(figure: &str) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args([CHILD, figure])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn start_up() {
    let begin = Instant::now();
    let _log = enable();
    println!("{:.1}", begin.elapsed().as_secs_f64() * 1e6);
}

fn idle() {
    let before_kb = resident_kb();
    let log = enable();
    wait_for(&log, "cannot register");
    let added_kb = resident_kb() - before_kb;
    let before_ns = sdk_thread_ns();
    let begin = Instant::now();
    thread::sleep(IDLE);
    let percent = (sdk_thread_ns() - before_ns) as f64 / begin.elapsed().as_nanos() as f64 * 100.0;
    println!(
        "idle: {percent:.4} % of a core over {} s, {:.1} MB added",
        IDLE.as_secs(),
        added_kb as f64 / 1e3
    );
}

/// Memory while the list is held, and after it was forgotten. The questions come from another
/// process's worth of code in this one; its runtime is there before the first look.
fn asked() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let before_kb = resident_kb();
    let log = enable();
    let address = wait_for(&log, "answering on ");
    let begin = Instant::now();
    let count = runtime.block_on(async {
        let url = format!("http://{address}");
        let mut client = RuntimeMonitoringClient::connect(url).await.unwrap();
        let request = ListFunctionsRequest {
            page_size: 10_000,
            ..Default::default()
        };
        client
            .list_functions(request)
            .await
            .unwrap()
            .into_inner()
            .functions
            .len()
    });
    let taken = begin.elapsed();
    let held_kb = resident_kb() - before_kb;
    wait_for(&log, "the list of functions is forgotten");
    let left_kb = resident_kb() - before_kb;
    println!(
        "asked: first page of {count} functions after {} ms, {:.1} MB added, {:.1} MB when forgotten",
        taken.as_millis(),
        held_kb as f64 / 1e3,
        left_kb as f64 / 1e3
    );
}

/// What an application does, with a list that is forgotten soon.
fn enable() -> Receiver<String> {
    let (sender, log) = channel();
    let options = Options {
        // Nobody listens there.
        agent_addr: "127.0.0.1:1".to_owned(),
        sdk_listen_addr: "127.0.0.1:0".to_owned(),
        log_level: LogLevel::Debug,
        log: LogSink::new(move |_, line: &str| drop(sender.send(line.to_owned()))),
        index_retention: Duration::from_secs(1),
        ..Options::default()
    };
    coral_sdk::register_service("figures", options).unwrap();
    coral_sdk::enable_runtime_monitoring().unwrap();
    log
}

fn wait_for(log: &Receiver<String>, beginning: &str) -> String {
    let mut lines = log.iter();
    lines
        .find_map(|line| line.strip_prefix(beginning).map(str::to_owned))
        .unwrap()
}

fn resident_kb() -> i64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// For how long the SDK's thread has run.
fn sdk_thread_ns() -> u64 {
    let mut tasks = fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| task.unwrap().path());
    let is_sdk = |task: &std::path::PathBuf| {
        fs::read_to_string(task.join("comm")).unwrap().trim() == "coral-sdk"
    };
    let schedstat = fs::read_to_string(tasks.find(is_sdk).unwrap().join("schedstat")).unwrap();
    schedstat
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}
